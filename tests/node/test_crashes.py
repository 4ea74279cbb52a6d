"""A whole node over a real file, stopped at every write step of its life, started again, and held against a twin.

The story has posts, a sync, a reorg that takes posts off, posts mined again, a reorg back, and peers
that come and go. At each write step in turn the disk fails: the step is lost, or it is kept and only said
to have failed. What is left must be the state after a whole number of batches, no fewer than were answered.
The node then starts again and the rest of the story is told; at its end everything acknowledged is on the
best chain exactly once, as in the twin that never crashed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

from tallystick.errors import StoreError
from tallystick.model.block import Block
from tallystick.model.limits import Limits
from tallystick.model.network import CLASSIC
from tallystick.model.network import CLASSIC_GENESIS as GENESIS
from tallystick.node.inputs import AddPeer, Input, PeerOpened, PeerSaid, Post, RemovePeer
from tallystick.storage.database import Database
from tallystick.storage.opening import open_store
from tallystick.storage.verify import verify
from tallystick.wire import classic
from tests.node.player import Player, grow

LIMITS = Limits(view_page=3, recent_headers=4)
OURS = {"post 1", "post 2", "post 3", "post 4", "post 5"}


class Failing(Database):
    """A disk that fails at the chosen write step: before it was done, or after."""

    steps_left: ClassVar[int]
    kept: ClassVar[bool]

    def write(self, sql: str, parameters: Sequence[object] = ()) -> None:
        if self._fails() and not Failing.kept:
            raise self._failed()
        super().write(sql, parameters)
        if self._failing():
            raise self._failed()

    def write_many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        if self._fails() and not Failing.kept:
            raise self._failed()
        super().write_many(sql, rows)
        if self._failing():
            raise self._failed()

    @staticmethod
    def _fails() -> bool:
        Failing.steps_left -= 1
        return Failing.steps_left == 0

    @staticmethod
    def _failing() -> bool:
        return Failing.steps_left == 0

    def _failed(self) -> StoreError:
        self.failure = StoreError("the disk failed")
        return self.failure


def story() -> list[list[Input]]:
    """Batches of inputs. Whatever peers send is fixed beforehand, so that every telling is the same."""
    theirs = grow(GENESIS, *(f"b{n}" for n in range(1, 9)))
    far = grow(GENESIS, *(f"c{n}" for n in range(1, 15)))
    return [
        [PeerOpened(1, "10.0.0.1:1", None), Post(1, "post 1")],
        [Post(2, "post 2"), Post(3, "post 3"), AddPeer(4, "ws://a:1")],
        [said(theirs[0])],
        [said(GENESIS, *theirs)],  # takes the posts off
        [Post(5, "post 4"), AddPeer(6, "ws://b:1")],
        [said(*far[:2]), RemovePeer(7, "ws://a:1")],
        [said(GENESIS, *far), Post(8, "post 5")],  # takes them off again
    ]


def said(*blocks: Block) -> PeerSaid:
    return PeerSaid(1, classic.response(blocks))


def tell(player: Player, batch: Sequence[Input]) -> None:
    """One batch, and the second in which lost posts are mined again."""
    player.tell(*batch)
    player.wait(1_000)


def state(player: Player) -> tuple[object, ...]:
    forks = [(fork.tip, [found.block for found in fork.blocks]) for fork in player.reader.forks(100)]
    return player.chain(), forks, list(player.store.lost(100)), list(player.store.peers())


class Twin(Player):
    """A node over memory that notes its state after every commit."""

    def __init__(self) -> None:
        self.states: list[tuple[object, ...]] = []
        super().__init__(LIMITS)
        self.states.append(state(self))

    def tell(self, *events: Input) -> list[object]:  # type: ignore[override] # only the length of time differs
        effects = super().tell(*events)
        self.states.append(state(self))
        return list(effects)


def live(folder: Path, batches: Sequence[Sequence[Input]]) -> int | None:
    """Tell the story over a failing disk; how many batches were answered before it failed, None if it did not."""
    answered = 0
    try:
        store, reader = open_store(folder, CLASSIC, LIMITS, Failing)
    except StoreError:
        return 0
    try:
        player = Player(LIMITS, store=store, reader=reader)
        for batch in batches:
            tell(player, batch)
            answered += 1
    except StoreError:
        return answered
    finally:
        store.rollback()
        reader.close()
        store.close()
    return None


def test_a_node_that_stops_at_any_write_step_goes_on_as_if_it_had_not(tmp_path: Path) -> None:
    """Catalogue rows 99 and 103, for the whole node."""
    batches = story()
    twin = Twin()
    ends = []
    for batch in batches:
        tell(twin, batch)
        ends.append(len(twin.states) - 1)
    assert set(twin.data()) >= OURS
    visited = 0
    for kept in (False, True):
        step = 0
        while True:
            step += 1
            folder = tmp_path / f"{step}-{kept}"
            Failing.steps_left, Failing.kept = step, kept
            answered = live(folder, batches)
            if answered is None:
                break
            visited += 1
            go_on(folder, batches, answered, twin.states, ends)
    assert visited > 100


def go_on(
    folder: Path,
    batches: Sequence[Sequence[Input]],
    answered: int,
    states: Sequence[tuple[object, ...]],
    ends: Sequence[int],
) -> None:
    """Start again on what is left, check it, and tell the rest."""
    store, reader = open_store(folder, CLASSIC, LIMITS)
    try:
        player = Player(LIMITS, store=store, reader=reader)
        assert state(player) in states[ends[answered - 1] if answered else 0 :]
        player.wait(10_000)
        player.tell(PeerOpened(1, "10.0.0.1:1", None))
        for batch in batches[answered:]:
            known = set(player.data())
            events = [event for event in batch if not isinstance(event, Post) or event.data not in known]
            tell(player, [event for event in events if not isinstance(event, PeerOpened)])
        player.wait(60_000)
        held = Counter(player.data())
        assert all(held[data] == 1 for data in OURS), held
        assert not store.lost(1)
    finally:
        reader.close()
        store.close()
    assert verify(folder, CLASSIC, thorough=True).notes == ()
