"""The running node: one writer, batches, and what callers learn when things end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from tallystick.app.entropy import ENTROPY
from tallystick.app.runner import Runner, read_clock
from tallystick.chain.contracts import Duty
from tallystick.chain.writes import Write
from tallystick.consensus import engine_for
from tallystick.errors import Rule, RuleViolation, StoreError, StoreFullError
from tallystick.model.block import Block
from tallystick.model.limits import Limits
from tallystick.model.network import CLASSIC
from tallystick.node.effects import Dial, Effect, Say
from tallystick.node.inputs import PeerOpened, PeerSaid, Tick
from tallystick.node.machine import Node
from tallystick.storage.memory import MemoryReader, MemoryStore
from tallystick.wire import classic

T = TypeVar("T")


class Disk(MemoryStore):
    """A store that counts its commits, notes what it was told to do, and fails when told to."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(CLASSIC, limits)
        self.commits = 0
        self.fails_with: BaseException | None = None
        self.view_fails_with: StoreError | None = None
        self.writes: list[Write] = []

    def apply(self, write: Write) -> None:
        super().apply(write)
        self.writes.append(write)

    def commit(self) -> None:
        if self.fails_with is not None:
            raise self.fails_with
        super().commit()
        self.commits += 1

    def lost(self, count: int) -> list[Duty]:
        if self.view_fails_with is not None:
            raise self.view_fails_with
        return list(super().lost(count))


class Wires:
    """Notes what concerns peers, and how many commits there were by then."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self.performed: list[Effect] = []
        self.after_commits: list[int] = []
        self.fails_with: Exception | None = None
        self.busy = asyncio.Event()

    def perform(self, effect: Effect) -> None:
        if self.fails_with is not None:
            raise self.fails_with
        self.performed.append(effect)
        self.after_commits.append(self.disk.commits)
        self.busy.set()


class Running:
    """A runner with all that is around it."""

    def __init__(self, limits: Limits, dial: tuple[str, ...] = ()) -> None:
        self.disk = Disk(limits)
        self.reader = MemoryReader(self.disk, limits)
        self.wires = Wires(self.disk)
        self.node = Node(engine_for(CLASSIC), CLASSIC.genesis, limits, read_clock(), ENTROPY, dial=dial)
        self.runner = Runner(self.node, self.disk, self.reader, CLASSIC, limits)
        self.runner.start(self.wires)

    def data(self) -> list[str]:
        return [block.data for block in self.disk.committed.chain[1:]]


def play(
    story: Callable[[Running], Awaitable[T]], limits: Limits | None = None, dial: tuple[str, ...] = ()
) -> tuple[Running, T]:
    """Tell a story about a running node, and stop it."""

    async def whole() -> tuple[Running, T]:
        running = Running(limits or Limits(), dial)
        async with asyncio.timeout(30):
            result = await story(running)
        running.runner.stop()
        return running, result

    return asyncio.run(whole())


async def outcomes(*posts: Awaitable[Block]) -> list[Block | BaseException]:
    return await asyncio.gather(*posts, return_exceptions=True)


def test_posts_that_come_together_share_a_commit() -> None:
    running, blocks = play(lambda r: outcomes(*(r.runner.post(f"{n}") for n in range(16))))
    assert [block.data for block in blocks if isinstance(block, Block)] == running.data() == [f"{n}" for n in range(16)]
    assert running.disk.commits == 1


def test_nobody_hears_of_a_block_before_it_is_durable() -> None:
    async def story(r: Running) -> int:
        await r.runner.submitted(PeerOpened(1, "10.0.0.1:1", None))
        before = r.disk.commits
        await r.runner.post("x")
        return before

    running, before = play(story)
    said = [
        commits
        for effect, commits in zip(running.wires.performed, running.wires.after_commits, strict=True)
        if isinstance(effect, Say) and effect.gossip
    ]
    assert said == [before + 1]


def test_a_disk_that_refuses_stops_the_node_and_promises_nothing() -> None:
    """Catalogue row 101: whoever waits is told, nothing of the batch is kept, nothing further is stepped."""
    full = StoreFullError("the disk is full")

    async def story(r: Running) -> list[Block | BaseException]:
        await r.runner.submitted(PeerOpened(1, "10.0.0.1:1", None))
        await r.runner.post("kept")
        r.wires.performed.clear()
        r.disk.fails_with = full
        answers = await outcomes(*(r.runner.post(f"{n}") for n in range(3)))
        await r.runner.failed
        answers += await outcomes(r.runner.post("too late"))
        await r.runner.submitted(PeerSaid(1, classic.QUERY_LATEST))
        r.runner.submit(Tick())
        return answers

    running, answers = play(story)
    assert [type(answer) for answer in answers] == [StoreError] * 4
    assert "the disk is full" in str(answers[0])
    assert running.data() == ["kept"]
    assert running.wires.performed == []
    assert running.runner.failure is full
    assert not running.runner.welcome("8.8.8.8")


def test_a_fault_of_our_own_stops_the_node_too() -> None:
    async def story(r: Running) -> list[Block | BaseException]:
        r.disk.fails_with = ZeroDivisionError()
        return await outcomes(r.runner.post("x"))

    running, [answer] = play(story)
    assert isinstance(answer, StoreError)
    assert isinstance(running.runner.failure, ZeroDivisionError)


def test_an_effect_that_cannot_be_performed_stops_the_node() -> None:
    """What the core believes and what was done differ then; nobody may be left waiting."""

    async def story(r: Running) -> Block:
        await r.runner.submitted(PeerOpened(1, "10.0.0.1:1", None))
        r.wires.fails_with = ZeroDivisionError()
        block = await r.runner.post("x")
        await r.runner.submitted(PeerSaid(1, classic.QUERY_LATEST))
        return block

    running, block = play(story)
    assert running.data() == [block.data]
    assert isinstance(running.runner.failure, ZeroDivisionError)


def test_a_caller_who_goes_away_disturbs_nobody() -> None:
    async def story(r: Running) -> list[Block | BaseException]:
        leaving = asyncio.ensure_future(r.runner.post("leaving"))
        staying = asyncio.ensure_future(r.runner.post("staying"))
        listening = asyncio.ensure_future(r.runner.submitted(PeerOpened(1, "10.0.0.1:1", None)))
        await asyncio.sleep(0)
        leaving.cancel()
        listening.cancel()
        return await outcomes(leaving, staying, r.runner.post("later"))

    running, answers = play(story)
    assert [type(answer) for answer in answers] == [asyncio.CancelledError, Block, Block]
    assert running.data() == ["leaving", "staying", "later"]
    assert running.runner.connected() == ["10.0.0.1:1"]


def test_a_refusal_reaches_its_caller_alone() -> None:
    running, answers = play(lambda r: outcomes(r.runner.post("x" * 1_000_000), r.runner.post("y")))
    assert isinstance(answers[0], RuleViolation)
    assert answers[0].rule is Rule.DATA_WITHIN_SIZE
    assert running.data() == ["y"]


def test_stopping_commits_what_waits_and_takes_nothing_more() -> None:
    async def story(r: Running) -> list[Block | BaseException]:
        waiting = asyncio.ensure_future(r.runner.post("waiting"))
        await asyncio.sleep(0)
        r.runner.stop()
        r.runner.stop()
        return await outcomes(waiting, r.runner.post("too late"))

    running, answers = play(story)
    assert [type(answer) for answer in answers] == [Block, StoreError]
    assert running.data() == ["waiting"]
    assert running.runner.failure is None


def test_a_disk_that_refuses_at_the_very_end_is_a_failure_too() -> None:
    async def story(r: Running) -> list[Block | BaseException]:
        waiting = asyncio.ensure_future(r.runner.post("waiting"))
        await asyncio.sleep(0)
        r.disk.fails_with = StoreFullError("the disk is full")
        r.runner.stop()
        return await outcomes(waiting)

    running, [answer] = play(story)
    assert isinstance(answer, StoreError)
    assert running.runner.failure is running.disk.fails_with


def test_a_look_that_fails_costs_that_look_only() -> None:
    async def story(r: Running) -> Block:
        r.disk.view_fails_with = StoreError("cannot be read")
        with pytest.raises(StoreError):
            r.runner.status()
        return await r.runner.post("x")

    running, _ = play(story)
    assert running.runner.failure is None
    assert running.data() == ["x"]


def test_batches_are_bounded_in_number_and_in_size() -> None:
    """Sixteen clients with a megabyte each must not make one transaction of sixteen megabytes."""
    running, _ = play(lambda r: outcomes(*(r.runner.post(f"{n}") for n in range(10))), Limits(view_page=4))
    assert running.disk.commits == 3
    posts = [f"{n}" * 1000 for n in range(10)]
    running, _ = play(lambda r: outcomes(*map(r.runner.post, posts)), Limits(page_bytes=2500))
    assert running.data() == posts
    assert running.disk.commits == 4

    async def large_messages(r: Running) -> None:
        await asyncio.gather(*(r.runner.submitted(PeerOpened(n, f"10.0.0.{n}:1", None)) for n in range(1, 4)))
        commits = r.disk.commits
        said = [PeerSaid(n, b" " * 1000 + classic.QUERY_LATEST) for n in range(1, 4)]
        await asyncio.gather(*(r.runner.submitted(event) for event in said), r.runner.post("first"))
        assert r.disk.commits == commits + 1

    play(large_messages, Limits(page_bytes=1500))


def test_the_timer_wakes_the_node() -> None:
    running, _ = play(lambda r: r.wires.busy.wait(), dial=("ws://a:1",))
    assert running.wires.performed == [Dial("ws://a:1")]


def test_peers_are_added_and_removed_for_good() -> None:
    async def story(r: Running) -> list[str]:
        await r.runner.add_peer("ws://a:1")
        remembered = list(r.disk.peers())
        await r.runner.remove_peer("a:1")
        with pytest.raises(RuleViolation) as caught:
            await r.runner.remove_peer("a:1")
        assert caught.value.rule is Rule.PEER_IS_KNOWN
        return remembered

    running, remembered = play(story)
    assert remembered == ["ws://a:1"]
    assert list(running.disk.peers()) == []
