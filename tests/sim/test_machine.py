"""A process that can die at any moment: what of a batch is done, and what never is."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tallystick.chain.writes import RememberPeer, Write
from tallystick.errors import StoreFullError
from tallystick.model.limits import Limits
from tallystick.model.network import CLASSIC
from tallystick.node.effects import Effect, Reply
from tallystick.node.inputs import Input, Now, Post, Tick
from tallystick.sim.host import Disk
from tallystick.sim.machine import Doom, Machine
from tallystick.sim.resident import Resident
from tallystick.sim.schedule import TimeStandsStillError
from tallystick.sim.world import World


class Clerk(Resident):
    """Remembers every post as two peers, and says so twice."""

    def __init__(self) -> None:
        self.disk = Disk(CLASSIC, Limits())
        self.wakes_ms: int | None = None
        self.ticks = 0

    def start(self, now: Now) -> None:
        self.disk.rollback()

    def step(self, event: Input, now: Now) -> Sequence[Effect]:
        match event:
            case Post(ticket, data):
                said = Reply(ticket, answer=True)
                return [RememberPeer(data), RememberPeer(f"{data}'"), said, said]
            case Tick():
                self.ticks += 1
        return []

    def wake_at_ms(self) -> int | None:
        return self.wakes_ms

    def begin(self) -> None:
        self.disk.begin()

    def apply(self, write: Write) -> None:
        self.disk.apply(write)

    def commit(self) -> None:
        self.disk.commit()

    def rollback(self) -> None:
        self.disk.rollback()

    @property
    def kept(self) -> list[str]:
        """What is durable."""
        return list(self.disk.committed.peers)


class Watching:
    """Notes what is done."""

    def __init__(self) -> None:
        self.replies: list[tuple[int, int]] = []
        self.batches: list[int] = []
        self.writes: list[Write] = []

    def done(self, machine: Machine, effect: Effect) -> None:
        if isinstance(effect, Reply):
            self.replies.append((machine.now.mono_ms, effect.ticket))

    def stepped(self, machine: Machine, batch: Sequence[Input], writes: Sequence[Write]) -> None:
        self.batches.append(len(batch))
        self.writes += writes


class Office:
    """One machine, and a clerk on it."""

    def __init__(self, commit_us: int = 10_000) -> None:
        self.world = World(1)
        self.clerk = Clerk()
        self.machine = self.world.add(self.clerk, commit_us=commit_us)
        self.seen = Watching()
        self.world.watchers.append(self.seen)
        self.world.start()

    def posts(self, *names: str) -> None:
        for number, name in enumerate(names):
            self.world.tell(0, Post(number, name))


def test_replies_leave_after_the_commit() -> None:
    office = Office()
    office.posts("a")
    office.world.run(9)
    assert (office.clerk.kept, office.seen.replies) == ([], [])
    office.world.run(1)
    assert (office.clerk.kept, office.seen.replies) == (["a", "a'"], [(10, 0), (10, 0)])
    assert office.seen.writes == [RememberPeer("a"), RememberPeer("a'")]


def test_what_comes_during_a_commit_is_the_next_batch() -> None:
    office = Office()
    office.posts("a", "b", "c")
    office.world.run(100)
    assert office.seen.batches == [1, 2]
    assert [when_ms for when_ms, _ in office.seen.replies] == [10, 10, 20, 20, 20, 20]


@pytest.mark.parametrize("kept", [True, False])
def test_a_batch_on_its_way_to_the_disk_is_kept_or_lost_as_a_whole(kept: bool) -> None:  # noqa: FBT001
    office = Office()
    office.posts("a", "b")
    office.world.run(5)
    office.machine.crash(kept=kept)
    office.world.run(100)
    office.machine.start()
    assert office.clerk.kept == (["a", "a'"] if kept else [])
    assert office.clerk.disk._running.peers == office.clerk.disk.committed.peers
    assert office.seen.replies == []


@pytest.mark.parametrize("commit_us", [0, 10_000])
@pytest.mark.parametrize(
    ("after", "kept", "durable", "said"),
    [
        (0, False, [], 0),  # before the first write
        (1, True, [], 0),  # between two writes
        (2, False, [], 0),  # during the commit
        (2, True, ["a", "a'"], 0),
        (3, False, ["a", "a'"], 0),  # after the commit
        (4, False, ["a", "a'"], 1),  # between two messages
        (5, False, ["a", "a'"], 2),
    ],
)
def test_a_process_can_die_between_any_two_things_it_does(
    commit_us: int,
    after: int,
    kept: bool,  # noqa: FBT001
    durable: list[str],
    said: int,
) -> None:
    office = Office(commit_us)
    office.machine.doom = Doom(after, kept)
    office.posts("a")
    office.world.run(100)
    office.posts("b")
    office.world.run(100)
    assert not office.machine.is_up
    assert office.clerk.kept == durable
    assert len(office.seen.replies) == said


@pytest.mark.parametrize("room", [0, 1, 2])
def test_a_full_disk_stops_the_process_and_nothing_of_the_batch_is_kept(room: int) -> None:
    office = Office()
    office.clerk.disk.room = room  # two writes and a commit are needed
    office.posts("a")
    office.world.run(100)
    assert isinstance(office.machine.failure, StoreFullError)
    assert (office.machine.is_up, office.clerk.kept, office.seen.replies) == (False, [], [])
    office.clerk.disk.room = None
    office.machine.start()
    office.posts("b")
    office.world.run(100)
    assert office.clerk.kept == ["b", "b'"]


def test_who_is_told_to_stop_finishes_what_came_before() -> None:
    office = Office()
    office.posts("a", "b")
    office.machine.stop()
    assert not office.machine.is_up
    assert office.clerk.kept == ["a", "a'", "b", "b'"]
    assert len(office.seen.replies) == 4


def test_a_frozen_process_does_nothing_and_forgets_nothing() -> None:
    office = Office(commit_us=0)
    office.machine.freeze(50_000)
    office.posts("a")
    office.world.run(49)
    assert office.seen.batches == []
    office.world.run(1)
    assert office.clerk.kept == ["a", "a'"]


def test_a_batch_whose_commit_ends_in_a_freeze_waits_for_its_end() -> None:
    office = Office()
    office.posts("a")
    office.machine.freeze(50_000)
    office.world.run(49)
    assert office.seen.replies == []
    office.world.run(1)
    assert len(office.seen.replies) == 2


def test_a_tick_comes_when_it_was_asked_for_and_not_while_dead() -> None:
    office = Office(commit_us=0)
    office.clerk.wakes_ms = 30
    office.posts("a")
    office.world.run(29)
    assert office.clerk.ticks == 0
    office.clerk.wakes_ms = 60  # too late to move the bell: it rings, and is hung up again
    office.world.run(30)
    assert office.clerk.ticks == 0
    office.machine.crash(kept=False)
    office.world.run(100)
    assert office.clerk.ticks == 0


def test_a_node_that_wakes_up_for_nothing_is_found() -> None:
    office = Office(commit_us=0)
    office.clerk.wakes_ms = 0
    office.posts("a")
    with pytest.raises(TimeStandsStillError, match="machine 0"):
        office.world.run(1)


def test_writes_alone_need_a_commit() -> None:
    office = Office()
    office.world.tell(0, Tick())
    assert office.seen.batches == [1]
