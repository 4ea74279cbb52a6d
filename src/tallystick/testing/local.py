"""Nodes in a thread of this process, in memory, with the real API and the real protocol on loopback ports of their own.

Everything above the store is what `tallystick start` runs: server, rules, peers. A thread with an event loop holds a
whole network; it ends with the network, and would not outlive the process. A thread rather than a process, for a node
is there in a few hundredths of a second then, and nobody has to look for what a killed process left behind.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, Final, Self, TypeVar

import structlog

from tallystick import __version__
from tallystick.api.access import Access
from tallystick.api.server import Server, is_this_machine, listen
from tallystick.app.entropy import ENTROPY
from tallystick.app.metrics import NodeCollector
from tallystick.app.runner import Runner, read_clock
from tallystick.client import Client
from tallystick.consensus import engine_for
from tallystick.model.limits import HOUR_MS, LIMITS
from tallystick.model.network import CLASSIC, EASIEST_BITS, Kind, Network, SealedRules, sealed_network
from tallystick.node.machine import Node
from tallystick.node.profile import Profile
from tallystick.p2p.dialer import Dialer, resolved
from tallystick.p2p.door import Door
from tallystick.p2p.hub import Hub
from tallystick.storage.memory import MemoryReader, MemoryStore
from tallystick.testing.miner import InstantMiner
from tallystick.wire.addresses import judge
from tallystick.wire.identity import KEY_BYTES, Ed25519Identity

T = TypeVar("T")

HOST: Final = "127.0.0.1"

PATIENCE_S: Final = 30.0
"""Far more than anything here takes; what takes longer is broken."""

GRACE_S: Final = 1.0
"""For answers under way and goodbyes, when a network ends."""

LOOK_EVERY_S: Final = 0.005

DRAFT_MS: Final = 10
"""Where a test says when a block is made, drafts take in new records this soon, and not after a second."""

RULES: Final = SealedRules(spacing_ms=1, half_life_ms=1_000 * HOUR_MS, bits=EASIEST_BITS)
"""Every second hash fits, and that stays so however many blocks a test makes."""


class LocalLedger:
    """A node that tests talk to."""

    def __init__(self, port: int, kind: Kind, host: _Host, miner: InstantMiner) -> None:
        self.url = f"http://{HOST}:{port}"
        """Of its API."""

        self.address = f"ws://{HOST}:{port}"
        """Where peers dial it."""

        self.kind = kind
        """Of its network: `work` or `classic`."""

        self._host = host
        self._miner = miner

    @cached_property
    def client(self) -> Client:
        """To talk to it. Made when it is first asked for, and closed at the end."""
        return Client(self.url)

    def seal(self, blocks: int = 1) -> None:
        """Make so many more blocks, with the records that wait, in a work network: for confirmations, or for records
        where nothing is sealed at once. Returns when the node that seals has them."""
        if self.kind is not Kind.WORK:
            raise ValueError("in a classic network each post makes a block; use client.mine()")
        self._host.run(self._miner.seal(blocks))

    def close(self) -> None:
        """Hang up."""
        if "client" in vars(self):
            self.client.close()


@contextmanager
def network(count: int, kind: str = "work", *, seals: bool = True) -> Iterator[list[LocalLedger]]:
    """So many nodes, connected with one another. In a work network the first one seals, at once if `seals`."""
    rules = _network(Kind(kind))
    with ExitStack() as opened:
        host = opened.enter_context(_Host())
        nodes = host.run(_started(host, rules, count, seals=seals))
        opened.callback(host.run_out, nodes)
        ledgers = [LocalLedger(node.server.port, rules.kind, host, nodes[0].miner) for node in nodes]
        for each in ledgers:
            opened.callback(each.close)
        yield ledgers


@contextmanager
def quiet() -> Iterator[None]:
    """What nodes log is left out but for errors, unless whoever runs the tests has set up structlog."""
    if structlog.is_configured():
        yield
        return
    ours = structlog.make_filtering_bound_logger(logging.ERROR)
    structlog.configure(wrapper_class=ours)
    try:
        yield
    finally:
        if structlog.get_config()["wrapper_class"] is ours:
            structlog.reset_defaults()


def _network(kind: Kind) -> Network:
    if kind is Kind.CLASSIC:
        return CLASSIC
    return sealed_network(kind, "test", RULES, int(time.time() * 1_000) - HOUR_MS)


# --- nodes ------------------------------------------------------------------------------------------


@dataclass
class _Running:
    """The parts of a node that have to be stopped."""

    server: Server
    runner: Runner
    hub: Hub
    miner: InstantMiner

    async def stop(self) -> None:
        try:
            await asyncio.gather(self.server.stop(GRACE_S), self.hub.close(GRACE_S))
        finally:
            self.runner.stop()


async def _started(host: _Host, rules: Network, count: int, *, seals: bool) -> list[_Running]:
    """Each dials all that were there before it. What was started is stopped again when another one cannot be."""
    nodes: list[_Running] = []
    try:
        for number in range(count):
            dial = tuple(f"ws://{HOST}:{node.server.port}" for node in nodes)
            nodes.append(await _node(rules, dial, mines=number == 0, seals=seals))
        async with asyncio.timeout(PATIENCE_S):
            while any(len(node.runner.connected()) < count - 1 for node in nodes):  # noqa: ASYNC110 - a node has no event for it
                await asyncio.sleep(LOOK_EVERY_S)
    except BaseException:
        await host.stopped(nodes)
        raise
    return nodes


async def _node(rules: Network, dial: tuple[str, ...], *, mines: bool, seals: bool) -> _Running:
    limits = LIMITS if seals else replace(LIMITS, template_ms=DRAFT_MS)
    server = await listen(Access(HOST, 0), limits, resolve=resolved)
    store = MemoryStore(rules, limits)
    reader = MemoryReader(store, limits)
    profile = Profile(
        identity=Ed25519Identity(os.urandom(KEY_BYTES)),
        agent=f"tallystick/{__version__}",
        listen_port=server.port,
        dial=dial,
        classic=rules.rules is None,
        discover=False,
        mines=mines and rules.rules is not None,
    )
    node = Node(engine_for(rules), rules.genesis, limits, read_clock(), ENTROPY, profile=profile)
    runner = Runner(node, store, reader, rules, limits)
    is_ours = partial(is_this_machine, (server.host, server.port))
    hub = Hub(runner, Dialer(limits, _judge, is_ours, resolved, classic_ok=profile.classic))
    miner = InstantMiner(reader, lambda: store.pool_size()[0], at_once=seals)
    miner.start(runner.mined)
    runner.start(hub, miner)
    server.open(runner, Door(hub), NodeCollector(runner, runner.commits, hub.total_traffic))
    return _Running(server, runner, hub, miner)


def _judge(_address: str, ip: str) -> None:
    judge(ip, private_ok=True)


# --- the thread -------------------------------------------------------------------------------------


class _Host:
    """A thread with an event loop. A context manager."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._live, name="tallystick-ledger", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Have this done in the thread, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)

    def run_out(self, nodes: list[_Running]) -> None:
        """Stop these."""
        self.run(self.stopped(nodes))

    async def stopped(self, nodes: list[_Running]) -> None:
        """All of them are stopped, also if one cannot be as it should."""
        for failure in await asyncio.gather(*(node.stop() for node in nodes), return_exceptions=True):
            if isinstance(failure, BaseException):
                raise failure

    def _live(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            left = asyncio.all_tasks(self._loop)
            for task in left:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
        finally:
            self._loop.close()
