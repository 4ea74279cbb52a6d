"""A served node of a sealed network, all of it but peers and disk, and blocks when a test asks for them."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256

import httpx

from tallystick.api.access import Access
from tallystick.api.server import Server, listen
from tallystick.app.entropy import ENTROPY
from tallystick.app.metrics import NodeCollector
from tallystick.app.runner import Runner, read_clock
from tallystick.consensus import engine_for
from tallystick.model.limits import LIMITS, Limits
from tallystick.node.effects import Effect, Mine
from tallystick.node.machine import Node
from tallystick.node.profile import Profile
from tallystick.storage.memory import MemoryReader, MemoryStore
from tallystick.wire.identity import KEY_BYTES, Ed25519Identity
from tests.api.serving import DEADLINE_S, JSON_HEAD, unresolved, until
from tests.storage.sealed_blocks import NETWORK

HASH_RATE = 2_500.0


class Nobody:
    """Nobody to talk to."""

    def perform(self, effect: Effect) -> None: ...

    def traffic(self, peer: int) -> None: ...


@dataclass
class Miner:
    """Knows what is to be looked for, and looks for it when it is told to."""

    jobs: list[Mine] = field(default_factory=list)

    def mine(self, job: Mine) -> None:
        self.jobs.append(job)

    def hash_rate(self) -> float:
        return HASH_RATE


@dataclass
class SealedNode:
    server: Server
    store: MemoryStore
    reader: MemoryReader
    runner: Runner
    miner: Miner
    client: httpx.AsyncClient

    async def post(self, body: bytes | str, path: str = "/records") -> httpx.Response:
        return await self.client.post(path, content=body, headers=JSON_HEAD)

    @property
    def pending(self) -> int:
        return self.store.pool_size()[0]

    async def seal(self) -> None:
        """Blocks, one at least, until nothing is pending."""
        while True:
            tip, seen = self.reader.tip().hash, len(self.miner.jobs)
            if self.miner.jobs:
                job = self.miner.jobs[-1]
                nonces = map(int.to_bytes, itertools.count(), itertools.repeat(8))
                nonce = next(nonce for nonce in nonces if sha256(job.head + nonce).digest() <= job.target)
                self.runner.mined(job.number, int.from_bytes(nonce))
            await until(partial(self._moved, tip, seen))
            if self.reader.tip().hash != tip and not self.pending:
                return

    def _moved(self, tip: str, jobs: int) -> bool:
        return self.reader.tip().hash != tip or len(self.miner.jobs) > jobs


@contextlib.asynccontextmanager
async def sealed_node(limits: Limits = LIMITS) -> AsyncIterator[SealedNode]:
    limits = replace(limits, template_ms=1)
    store = MemoryStore(NETWORK, limits)
    reader, miner = MemoryReader(store, limits), Miner()
    profile = Profile(Ed25519Identity(bytes(KEY_BYTES)), classic=False, mines=True)
    node = Node(engine_for(NETWORK), NETWORK.genesis, limits, read_clock(), ENTROPY, profile=profile)
    runner = Runner(node, store, reader, NETWORK, limits)
    server = await listen(Access("127.0.0.1", 0), limits, resolve=unresolved)
    runner.start(Nobody(), miner)
    server.open(runner, None, NodeCollector(runner, runner.commits, lambda: (0, 0)))
    try:
        base = f"http://127.0.0.1:{server.port}"
        async with httpx.AsyncClient(base_url=base, trust_env=False, timeout=DEADLINE_S) as client:
            yield SealedNode(server, store, reader, runner, miner, client)
    finally:
        await server.stop(0)
        runner.stop()
