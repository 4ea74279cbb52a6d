"""The composition root: the one place where all parts of a node meet.

    api.Server ──┐                       ┌── storage (the file)
                 ├── Runner ── Node ─────┤
    p2p.Hub ─────┘   (one writer)        └── effects back to Hub and callers

`run` starts a node and returns when it was asked to stop, or raises what stopped it. The port is taken first
(whoever watches the node can ask `/health` while a large store opens), then parts are started from the disk
outwards and stopped from the port inwards, so that nothing is promised that cannot be kept. Whatever was
opened is closed again, wherever the start or the stop fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog

from tallystick import __version__
from tallystick.api.access import Access, listens_privately
from tallystick.api.server import Server, is_this_machine, listen
from tallystick.app import logs
from tallystick.app.config import Config
from tallystick.app.entropy import ENTROPY
from tallystick.app.greeting import greeting, program_name
from tallystick.app.open_files import allowed_connections
from tallystick.app.runner import Runner, read_clock
from tallystick.consensus import engine_for
from tallystick.errors import StoreCorruptError
from tallystick.model.limits import LIMITS
from tallystick.node.machine import Node
from tallystick.p2p.dialer import Dialer, resolved
from tallystick.p2p.door import Door
from tallystick.p2p.hub import Hub
from tallystick.storage.opening import open_store
from tallystick.storage.reader import SqliteReader
from tallystick.storage.sqlite import SqliteStore
from tallystick.wire.addresses import judge

GRACE_S: Final = 3.0
"""For answers under way and goodbyes to peers; with it a node stops well within 5 s."""

log = structlog.get_logger("tallystick")


def run(config: Config, say: Callable[[str], None] | None = None) -> None:
    """Run a node until SIGINT or SIGTERM.

    `say` gets the lines for the person who started it; by default they are printed.
    Raises ConfigError or StoreError when it cannot start, and whatever made it stop later.
    """
    logs.configure(config.log_level, config.log_format)
    with asyncio.Runner(loop_factory=_event_loop) as loop:
        loop.run(_serve(config, say or partial(print, flush=True)))


def _event_loop() -> asyncio.AbstractEventLoop:
    """The fastest event loop there is."""
    try:
        import uvloop  # noqa: PLC0415 - not on Windows
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


async def _serve(config: Config, say: Callable[[str], None]) -> None:
    """Run a node within a running event loop."""
    stop = _stop_signal()
    started_s = time.monotonic()
    server = await listen(
        _access(config), allowed_connections(LIMITS), resolve=resolved, data_size=partial(_size_of, config)
    )
    with contextlib.ExitStack() as opened:
        goodbyes = [server.stop]
        try:
            store, reader = await asyncio.to_thread(open_store, config.data_dir, config.network)
            opened.callback(store.close)
            opened.callback(reader.close)
            runner = _runner(config, store, reader)
            opened.callback(runner.stop)
            hub = Hub(runner, _dialer(config, server))
            goodbyes.append(hub.close)
            runner.start(hub)
            server.open(runner, Door(hub))
            log.info("ready", version=__version__, after_ms=int((time.monotonic() - started_s) * 1000))
            say(greeting(config, server.host, server.port, reader.tip(), program_name(sys.argv[0])))
            await asyncio.wait((stop, runner.failed), return_when=asyncio.FIRST_COMPLETED)
            log.info("stopping")
        finally:
            failures = await asyncio.gather(*(goodbye(GRACE_S) for goodbye in goodbyes), return_exceptions=True)
    for failure in (runner.failure, *failures):
        if failure is not None:
            raise failure
    say("Stopped. Everything acknowledged is on disk.")


def _stop_signal() -> asyncio.Future[object]:
    """Done at the first SIGINT or SIGTERM; a second one ends the process the hard way."""
    loop = asyncio.get_running_loop()
    stop: asyncio.Future[object] = loop.create_future()

    def asked(number: signal.Signals) -> None:
        loop.remove_signal_handler(number)
        if not stop.done():
            stop.set_result(None)

    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C raises KeyboardInterrupt
            loop.add_signal_handler(number, asked, number)
    return stop


def _access(config: Config) -> Access:
    return Access(
        host=config.host,
        port=config.port,
        write_token=config.token,
        read_token=config.read_token,
        open=config.open,
        allowed_hosts=frozenset(config.allowed_hosts),
        allowed_origins=frozenset(config.allowed_origins),
    )


def _runner(config: Config, store: SqliteStore, reader: SqliteReader) -> Runner:
    tip = reader.block(reader.tip().index)
    if tip is None:
        raise StoreCorruptError(
            f"The last block in {config.data_dir} cannot be read. Run verify, then restore a backup."
        )
    node = Node(
        engine_for(config.network),
        tip,
        LIMITS,
        read_clock(),
        ENTROPY,
        dial=list(dict.fromkeys([*config.peers, *store.peers()])),
        max_reorg=config.max_reorg,
    )
    return Runner(node, store, reader, config.network, LIMITS)


def _dialer(config: Config, server: Server) -> Dialer:
    """The way out. Each dial is judged anew, for a name may lead elsewhere today.

    Loopback and private addresses are for peers that the operator named, whether at the start or with
    the token that every other `addPeer` of a guarded node had to show, and for nodes that listen on such
    addresses themselves.
    """
    trusted = config.token is not None or listens_privately(config.host)

    def judge_dial(address: str, ip: str) -> None:
        judge(ip, private_ok=trusted or address in config.peers)

    return Dialer(LIMITS, judge_dial, partial(is_this_machine, (server.host, server.port)), resolved)


def _size_of(config: Config) -> int | None:
    """Bytes of the ledger and its log."""
    with contextlib.suppress(OSError):
        return sum(file.stat().st_size for file in config.data_dir.glob("ledger.sqlite*"))
    return None
