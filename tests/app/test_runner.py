"""The running node: one writer, batches, and what callers learn when things end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import pytest

from tallystick.app.entropy import ENTROPY
from tallystick.app.runner import Runner, read_clock
from tallystick.chain.contracts import Duty
from tallystick.chain.writes import ForgetBan, RememberBan, Write
from tallystick.consensus import engine_for
from tallystick.errors import Rule, RuleViolation, StoreError, StoreFullError
from tallystick.model.block import Block
from tallystick.model.limits import Limits
from tallystick.model.network import CLASSIC
from tallystick.model.sealed import AnyBlock
from tallystick.node.effects import Admit, Dial, Effect, Reply, SaveAddresses, Say
from tallystick.node.inputs import Ban, Input, Now, PeerOpened, PeerSaid, Post, Tick, Unban
from tallystick.node.machine import Node
from tallystick.node.ports import Banned, PeerStatus, Status
from tallystick.node.profile import Profile
from tallystick.storage.memory import MemoryReader, MemoryStore
from tallystick.wire import classic
from tallystick.wire.dialect import Dialect
from tallystick.wire.identity import KEY_BYTES, Ed25519Identity

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


GONE = 9
"""Number of a connection that no socket is left of."""


class Wires:
    """Notes what concerns peers, and how many commits there were by then."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self.performed: list[Effect] = []
        self.after_commits: list[int] = []
        self.fails_with: Exception | None = None
        self.busy = asyncio.Event()

    def traffic(self, peer: int) -> tuple[int, int] | None:
        return (peer * 1_000, peer) if peer < GONE else None

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
        profile = Profile(Ed25519Identity(bytes(KEY_BYTES)), dial=dial)
        self.node = Node(engine_for(CLASSIC), CLASSIC.genesis, limits, read_clock(), ENTROPY, profile=profile)
        self.runner = Runner(self.node, self.disk, self.reader, CLASSIC, limits)
        self.runner.start(self.wires)

    def data(self) -> list[str]:
        blocks = self.disk.committed.chain[1:]
        data = [block.data for block in blocks if isinstance(block, Block)]
        assert len(data) == len(blocks)
        return data


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


async def outcomes(*posts: Awaitable[AnyBlock]) -> list[AnyBlock | BaseException]:
    return await asyncio.gather(*posts, return_exceptions=True)


def test_posts_that_come_together_share_a_commit() -> None:
    running, blocks = play(lambda r: outcomes(*(r.runner.post(f"{n}") for n in range(16))))
    assert [block.data for block in blocks if isinstance(block, Block)] == running.data() == [f"{n}" for n in range(16)]
    assert running.disk.commits == 1
    assert running.runner.commits.inputs.sum == 16
    assert running.runner.commits.inputs.buckets[-1] == running.runner.commits.seconds.buckets[-1] == ("+Inf", 1)


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

    async def story(r: Running) -> list[AnyBlock | BaseException]:
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
    assert running.runner.commits.inputs.sum == 1
    with pytest.raises(RuleViolation, match="stopping"):
        running.runner.check_welcome("8.8.8.8", Dialect.NATIVE)


def test_a_fault_of_our_own_stops_the_node_too() -> None:
    async def story(r: Running) -> list[AnyBlock | BaseException]:
        r.disk.fails_with = ZeroDivisionError()
        return await outcomes(r.runner.post("x"))

    running, [answer] = play(story)
    assert isinstance(answer, StoreError)
    assert isinstance(running.runner.failure, ZeroDivisionError)


def test_an_effect_that_cannot_be_performed_stops_the_node() -> None:
    """What the core believes and what was done differ then; nobody may be left waiting."""

    async def story(r: Running) -> AnyBlock:
        await r.runner.submitted(PeerOpened(1, "10.0.0.1:1", None))
        r.wires.fails_with = ZeroDivisionError()
        block = await r.runner.post("x")
        await r.runner.submitted(PeerSaid(1, classic.QUERY_LATEST))
        return block

    running, block = play(story)
    assert isinstance(block, Block)
    assert running.data() == [block.data]
    assert isinstance(running.runner.failure, ZeroDivisionError)


def test_a_caller_who_goes_away_disturbs_nobody() -> None:
    async def story(r: Running) -> list[AnyBlock | BaseException]:
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
    async def story(r: Running) -> list[AnyBlock | BaseException]:
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
    async def story(r: Running) -> list[AnyBlock | BaseException]:
        waiting = asyncio.ensure_future(r.runner.post("waiting"))
        await asyncio.sleep(0)
        r.disk.fails_with = StoreFullError("the disk is full")
        r.runner.stop()
        return await outcomes(waiting)

    running, [answer] = play(story)
    assert isinstance(answer, StoreError)
    assert running.runner.failure is running.disk.fails_with


def test_a_look_that_fails_costs_that_look_only() -> None:
    async def story(r: Running) -> AnyBlock:
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


@pytest.mark.parametrize("slice_ms", [0, 10_000])
def test_callers_come_before_peers_and_neither_waits_for_ever(slice_ms: int) -> None:
    """Catalogue row 66: peers that ask for much all the time have a slice of each batch, and one message at least."""
    heard: list[Input] = []
    commits_at: list[int] = []

    async def story(r: Running) -> None:
        step = r.node.step

        def noted(event: Input, *around: Any) -> Sequence[Effect]:  # noqa: ANN401 - whatever a step takes
            if not isinstance(event, Tick):  # which comes when chance has it
                heard.append(event)
                commits_at.append(r.disk.commits)
            return step(event, *around)

        r.node.step = noted  # type: ignore[assignment,method-assign]  # only to look
        said = [PeerSaid(peer, classic.QUERY_LATEST) for peer in range(5)]
        waiting = [r.runner.submitted(event) for event in said]
        await asyncio.gather(*waiting, r.runner.post("first"), r.runner.post("second"))

    play(story, Limits(peers_slice_ms=slice_ms, view_page=4))
    assert [type(event) for event in heard] == [Post] * 2 + [PeerSaid] * 5
    assert commits_at == [0, 0, 0, *([1] * 4 if slice_ms == 0 else [0, 1, 1, 1])]


def test_posts_that_never_end_leave_peers_their_turn() -> None:
    async def story(r: Running) -> None:
        said = asyncio.ensure_future(r.runner.submitted(PeerSaid(1, classic.QUERY_LATEST)))
        while not said.done():
            await outcomes(*(r.runner.post(f"{number}") for number in range(8)))

    play(story, Limits(peers_slice_ms=0, view_page=4))


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


# --- what the core says beyond blocks ---------------------------------------------------------------


class Scripted(Node):
    """A node whose answers a test writes."""

    def __init__(self, *answers: Effect) -> None:
        self.answers = answers
        self.heard: list[Input] = []
        self.peers: list[PeerStatus] = []
        self.book: bytes | None = None

    def addresses_to_save(self, _now: Now) -> bytes | None:
        return self.book

    def step(self, event: Input, *_around: object) -> Sequence[Effect]:
        self.heard.append(event)
        if isinstance(event, Ban | Unban):
            write = RememberBan(event.subject) if isinstance(event, Ban) else ForgetBan(event.subject)
            return [write, Reply(event.ticket, answer=True)]
        return self.answers

    def wake_at_ms(self) -> int | None:
        return None

    def status(self, now: Now, view: object) -> Status:
        return Status(tip=None, peers=self.peers, dropped=[], lost_duties=False)  # type: ignore[arg-type]  # nobody looks

    def banned(self, now: Now) -> Sequence[Banned]:
        return [Banned("10.0.0.7", manual=False, remaining_ms=now.mono_ms)]

    def check_welcome(self, ip: str, dialect: Dialect, now: Now) -> None:
        raise RuleViolation(Rule.DIALECT_IS_SPOKEN, f"{ip} {dialect} {now.mono_ms > 0}")


def tell(
    node: Scripted, story: Callable[[Running], Awaitable[T]], save: Callable[[bytes], None] = lambda _: None
) -> tuple[Running, T]:
    """As `play`, with a node that does as it was told."""

    async def whole() -> tuple[Running, T]:
        running = Running(Limits())
        running.runner.stop()
        running.disk.writes.clear()
        running.wires.performed.clear()
        running.disk.apply = running.disk.writes.append  # type: ignore[assignment]  # what stores do is not ours
        running.runner = Runner(node, running.disk, running.reader, CLASSIC, Limits(), save)
        running.runner.start(running.wires)
        async with asyncio.timeout(30):
            result = await story(running)
        running.runner.stop()
        return running, result

    return asyncio.run(whole())


def test_bans_are_written_before_they_are_answered() -> None:
    node = Scripted()

    async def story(r: Running) -> Sequence[Banned]:
        await r.runner.ban("10.0.0.7")
        await r.runner.unban("10.0.0.7")
        return r.runner.banned()

    running, [banned] = tell(node, story)
    assert running.disk.writes == [RememberBan("10.0.0.7"), ForgetBan("10.0.0.7")]
    assert running.disk.commits == 2
    assert [type(event) for event in node.heard] == [Ban, Unban]
    assert banned.remaining_ms is not None


def test_the_node_says_who_is_welcome() -> None:
    async def story(r: Running) -> str:
        with pytest.raises(RuleViolation) as caught:
            r.runner.check_welcome("10.0.0.7", Dialect.CLASSIC)
        return caught.value.detail

    assert tell(Scripted(), story)[1] == "10.0.0.7 classic True"


def test_what_concerns_sockets_and_the_book_of_addresses_gets_there() -> None:
    saved: list[bytes] = []
    node = Scripted(Admit(1), SaveAddresses(b"book"))
    running, _ = tell(node, lambda r: r.runner.submitted(Tick()), saved.append)
    assert running.wires.performed == [Admit(1)]
    assert saved == [b"book"]


def test_the_book_of_addresses_is_saved_when_the_node_stops() -> None:
    saved: list[bytes] = []
    node = Scripted()
    node.book = b"the last of it"
    tell(node, lambda r: r.runner.submitted(Tick()), saved.append)
    assert saved == [b"the last of it"]


def test_traffic_is_told_of_open_connections() -> None:
    node = Scripted()
    node.peers = [
        PeerStatus("10.0.0.1:1", None, "connected", 1, None, None, None, peer=peer) for peer in (3, GONE, None)
    ]

    async def story(r: Running) -> list[tuple[int | None, int | None]]:
        return [(peer.received_bytes, peer.sent_bytes) for peer in r.runner.status().peers]

    assert tell(node, story)[1] == [(3_000, 3), (None, None), (None, None)]
