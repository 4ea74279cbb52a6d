"""Records through a running node: acknowledged when durable, answered when sealed, nothing left of who went away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from hashlib import sha256
from itertools import count
from typing import TypeVar

import pytest

from tallystick.app.entropy import ENTROPY
from tallystick.app.runner import Runner, read_clock
from tallystick.chain.contracts import Known, Placed
from tallystick.consensus import engine_for
from tallystick.errors import Rule, RuleViolation, StoreError
from tallystick.model.limits import Limits
from tallystick.model.network import EASIEST_BITS, Kind, SealedRules, sealed_network
from tallystick.model.record import SALT_BYTES, Record, make_record
from tallystick.model.sealed import SealedBlock
from tallystick.node.effects import Admit, Dial, HangUp, Hold, Mine, Ping, Say, SayChain
from tallystick.node.inputs import Tick
from tallystick.node.machine import Node
from tallystick.node.profile import Profile
from tallystick.storage.memory import MemoryReader, MemoryStore
from tallystick.wire.identity import KEY_BYTES, Ed25519Identity

T = TypeVar("T")

RULES = SealedRules(spacing_ms=1_000, half_life_ms=3_600_000, bits=EASIEST_BITS)
LONG_MS = 60_000


class Sockets:
    """There are none."""

    def perform(self, effect: Say | SayChain | Admit | Ping | Hold | HangUp | Dial) -> None:
        raise AssertionError(effect)

    def traffic(self, peer: int) -> tuple[int, int] | None:
        raise AssertionError(peer)


class Seeker:
    """Finds a nonce when it is told to."""

    def __init__(self) -> None:
        self.job: Mine | None = None
        self.asked = asyncio.Event()

    def mine(self, job: Mine) -> None:
        self.job = job
        self.asked.set()

    def hash_rate(self) -> float:
        return 1_000.0

    def find(self, runner: Runner) -> None:
        job = self.job
        assert job is not None
        nonce = next(n for n in count() if sha256(job.head + n.to_bytes(8, "big")).digest() <= job.target)
        runner.mined(job.number, nonce)


class Running:
    """A node that mines, and all that is around it."""

    def __init__(self, limits: Limits) -> None:
        network = sealed_network(Kind.WORK, "runner", RULES, read_clock().wall_ms - 1_000)
        self.store = MemoryStore(network, limits)
        self.reader = MemoryReader(self.store, limits)
        profile = Profile(Ed25519Identity(bytes(KEY_BYTES)), mines=True)
        self.node = Node(engine_for(network), network.genesis, limits, read_clock(), ENTROPY, profile=profile)
        self.runner = Runner(self.node, self.store, self.reader, network, limits)
        self.seeker = Seeker()
        self.runner.start(Sockets(), self.seeker)

    async def heard(self) -> None:
        """Let callers begin, and wait until the batch with what they asked is done."""
        await asyncio.sleep(0)
        await self.runner.submitted(Tick())

    async def seal(self) -> None:
        """Somebody finds the next block, as soon as it is looked for with everything that is pending."""
        while self.seeker.job is None or self.waits:
            self.seeker.asked.clear()
            await self.seeker.asked.wait()
        self.seeker.find(self.runner)

    @property
    def waits(self) -> bool:
        """Is a newer draft on its way?"""
        wake = self.node.wake_at_ms()
        return wake is not None and wake <= read_clock().mono_ms


def play(story: Callable[[Running], Awaitable[T]], limits: Limits | None = None) -> T:
    async def whole() -> T:
        running = Running(limits or Limits(template_ms=1))
        async with asyncio.timeout(30):
            result = await story(running)
        running.runner.stop()
        return result

    return asyncio.run(whole())


def record(name: str, data: object = "data") -> Record:
    return make_record(name, data, bytes(SALT_BYTES))


def test_records_are_acknowledged_when_they_are_durable_in_the_pool() -> None:
    async def story(r: Running) -> None:
        known = await r.runner.post_records([record("a"), record("b")])
        assert known == [Known(record("a"), Placed.POOL), Known(record("b"), Placed.POOL)]
        assert r.store.pool_size()[0] == 2
        assert r.reader.records_of("a")[0].placed is Placed.POOL

    play(story)


def test_who_waits_gets_the_block_that_holds_the_record() -> None:
    async def story(r: Running) -> None:
        caller = asyncio.ensure_future(r.runner.post_and_wait(record("a"), LONG_MS))
        while not caller.done():
            await r.seal()
            await asyncio.wait([caller], timeout=0.01)
        block = caller.result()
        assert isinstance(block, SealedBlock)
        assert record("a") in block.records
        assert r.reader.tip().hash == block.hash

    play(story)


def test_who_has_waited_long_enough_is_told_that_it_is_pending() -> None:
    async def story(r: Running) -> None:
        assert await r.runner.post_and_wait(record("a"), 1) == Known(record("a"), Placed.POOL)
        assert r.store.pool_size()[0] == 1

    play(story)


def test_a_caller_who_goes_away_leaves_the_record_and_makes_room_for_the_next() -> None:
    async def story(r: Running) -> None:
        for number in range(5):
            caller = asyncio.ensure_future(r.runner.post_and_wait(record(f"{number}"), LONG_MS))
            await r.heard()
            caller.cancel()
            await asyncio.wait([caller])
        with pytest.raises(RuleViolation) as refused:
            await asyncio.gather(*(r.runner.post_and_wait(record("more"), LONG_MS) for _ in range(3)))
        assert refused.value.rule is Rule.POOL_HAS_ROOM
        assert r.store.pool_size()[0] == 6

    play(story, Limits(waiting_posts=2))


def test_the_state_tells_of_pool_and_mining() -> None:
    async def story(r: Running) -> None:
        await r.runner.post_records([record("a")])
        status = r.runner.status()
        assert status.pool is not None
        assert status.pool.records == 1
        assert status.mining is not None
        assert status.mining.is_mining
        assert (status.mining.hashes_per_second, status.mining.expected_ms) == (1_000.0, 2)

    play(story)


def test_what_is_erased_is_gone_and_what_is_not_there_cannot_be() -> None:
    async def story(r: Running) -> None:
        await r.runner.post_records([record("a")])
        await r.runner.erase("a")
        assert r.reader.records_of("a")[0].record.data is None
        with pytest.raises(RuleViolation) as refused:
            await r.runner.erase("b")
        assert refused.value.rule is Rule.RECORD_IS_KNOWN

    play(story)


def test_who_waits_when_the_node_stops_is_told_so() -> None:
    async def story(r: Running) -> None:
        caller = asyncio.ensure_future(r.runner.post_and_wait(record("a"), LONG_MS))
        await r.heard()
        assert r.store.pool_size()[0] == 1
        r.runner.stop()
        with pytest.raises(StoreError):
            await caller

    play(story)
