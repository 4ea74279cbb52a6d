"""Both stores of a sealed network against the definition: whatever is written, committed, dropped or reopened, all
three agree; and what was once in the pool is never lost, nor there twice."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tallystick.chain.contracts import Reader, Store
from tallystick.chain.writes import AddRecords, AddSide, Append, Complete, DropStaged, Erase, Write
from tallystick.model.limits import Limits
from tallystick.model.record import Record, without_data
from tallystick.model.sealed import SealedBlock
from tallystick.storage.memory import MemoryReader, MemoryStore
from tallystick.storage.opening import open_store
from tallystick.storage.verify import verify
from tests.effort import examples
from tests.storage.kit import IN_MEMORY, switch
from tests.storage.sealed_blocks import GENESIS, NETWORK, child, record
from tests.storage.sealed_kit import (
    COUNTED,
    LARGE_BYTES,
    WEIGHED,
    Twin,
    check_promise,
    check_reader,
    check_repeats,
    check_view,
)

RECORDS = [
    *(record(f"r{i}", "x" * (i % 4) * 60) for i in range(28)),
    *(record("r1", f"number {i} of that id") for i in range(5)),
    record("r2", ""),
]
SOME_LARGE = [record(each.id, "x" * LARGE_BYTES) if at % 3 == 0 else each for at, each in enumerate(RECORDS)]
IDS = sorted({each.id for each in RECORDS} | {"nobody"})


CHOICE = st.tuples(st.integers(0, 40), st.sampled_from([1, 2, 7]), st.integers(0, 4), st.sampled_from([0, 0, 1, 2, 12]))
"""Of records: where to begin, in which steps to go on, how many to take, and which of these come without their data."""


class SealedLaws(RuleBasedStateMachine):
    """A store beside its twin; the twin has one copy for the running batch and one for what is committed."""

    limits: ClassVar[Limits] = COUNTED
    universe: ClassVar[Sequence[Record]] = RECORDS
    store: Store
    reader: Reader

    @initialize()
    def start(self) -> None:
        self.open()
        self.running = Twin(self.limits)
        self.committed = self.running.copied()
        self.in_batch = False
        self.posted: set[bytes] = set()
        self.posted_for_good: set[bytes] = set()
        self.places: dict[tuple[bytes, int], int] = {}

    def open(self) -> None:
        raise NotImplementedError

    def write(self, write: Write) -> None:
        if not self.in_batch:
            self.store.begin()
            self.in_batch = True
        self.store.apply(write)
        self.running.apply(write)

    # --- blocks and records to write -----------------------------------------------------------

    def some(self, data: st.DataObject, without: set[bytes], most: int) -> list[Record]:
        """Records that are not among those, some of them without their data."""
        left = [each for each in self.universe if each.leaf not in without]
        if not left:
            return []
        start, step, count, bare = data.draw(CHOICE)
        drawn = dict.fromkeys((start + step * number) % len(left) for number in range(min(count, most)))
        return [without_data(left[each]) if bare >> number & 1 else left[each] for number, each in enumerate(drawn)]

    def grown(self, data: st.DataObject, parent: SealedBlock, length: int) -> list[SealedBlock]:
        """A branch on `parent` in which no record occurs twice."""
        blocks: list[SealedBlock] = []
        held = self.running.in_branch(parent.hash)
        for _ in range(length):
            records = self.some(data, held, 4)
            held |= {each.leaf for each in records}
            blocks.append(child(blocks[-1] if blocks else parent, records, data.draw(st.integers(0, 1))))
        return blocks

    def kept(self) -> list[str]:
        return [*self.running.aside, *self.running.staged]

    # --- rules ---------------------------------------------------------------------------------

    @rule(data=st.data())
    def post(self, data: st.DataObject) -> None:
        records = self.some(data, self.running.entrusted, 3)
        self.write(AddRecords(records))
        self.posted |= {each.leaf for each in records}

    @rule(data=st.data(), length=st.integers(1, 3))
    def append(self, data: st.DataObject, length: int) -> None:
        self.write(Append(self.grown(data, self.running.tip, length)))

    @rule(data=st.data(), length=st.integers(1, 4), staged=st.booleans())
    def add_side(self, data: st.DataObject, length: int, staged: bool) -> None:  # noqa: FBT001 - drawn
        parent = self.running.blocks[data.draw(st.sampled_from(self.running.best + self.kept()))]
        self.write(AddSide(self.grown(data, parent, length), staged))

    @rule(data=st.data(), staged=st.booleans(), bare=st.booleans())
    def add_known(self, data: st.DataObject, staged: bool, bare: bool) -> None:  # noqa: FBT001 - drawn
        """Blocks that came before, as they were then: kept already, on the best chain, staged, or dropped and back."""
        known = data.draw(st.sampled_from([self.kept(), sorted(self.running.blocks)])) or self.running.best
        hashes = data.draw(st.lists(st.sampled_from(known), min_size=1, max_size=4))
        blocks = [self.running.blocks[hash] for hash in hashes if self.running.blocks[hash].index]
        self.write(AddSide([stripped(block) if bare else block for block in blocks], staged))

    def next_to_tip(self) -> list[str]:
        return [hash for hash in self.kept() if self.running.blocks[hash].previous_hash == self.running.tip.hash]

    @precondition(lambda self: self.next_to_tip())
    @rule(data=st.data())
    def append_kept(self, data: st.DataObject) -> None:
        """A block that is kept aside, staged or not, comes onto the tip by itself."""
        self.write(Append([self.running.blocks[data.draw(st.sampled_from(self.next_to_tip()))]]))

    def whole_branches(self) -> list[str]:
        return [hash for hash in self.kept() if self.running.path_to(hash)]

    @precondition(lambda self: self.whole_branches())
    @rule(data=st.data())
    def switch(self, data: st.DataObject) -> None:
        tip = self.running.blocks[data.draw(st.sampled_from(self.whole_branches()))]
        self.write(switch(self.running.tip, self.running.true_fork(tip.hash), tip))

    @rule(data=st.data(), length=st.integers(1, 3), staged=st.booleans())
    def overtake(self, data: st.DataObject, length: int, staged: bool) -> None:  # noqa: FBT001 - drawn
        """A branch comes and is followed at once."""
        fork = self.running.blocks[data.draw(st.sampled_from(self.running.best))]
        blocks = self.grown(data, fork, length)
        if all(block.hash not in self.running.best for block in blocks):
            self.write(AddSide(blocks, staged))
            self.write(switch(self.running.tip, fork, blocks[-1]))

    @precondition(lambda self: any(self.running.path_to(hash) for hash in self.running.aside))
    @rule(data=st.data())
    def stage_branch(self, data: st.DataObject) -> None:
        """A branch arrives of which we have some or all beside the chain."""
        kept = [hash for hash in self.running.aside if self.running.path_to(hash)]
        path = self.running.path_to(data.draw(st.sampled_from(kept))) or []
        self.write(AddSide([self.running.blocks[hash] for hash in path], staged=True))

    @rule(number=st.integers(0, 9))
    def flood(self, number: int) -> None:
        """Somebody sends so much that nothing older is left beside the chain but what is staged."""
        self.write(AddSide([child(GENESIS, [self.universe[3 * at]], 100 + 4 * number + at) for at in range(4)]))

    @rule()
    def drop_staged(self) -> None:
        self.write(DropStaged())

    @rule(data=st.data())
    def complete(self, data: st.DataObject) -> None:
        """Somebody has the data of records that others had sent without."""
        self.write(Complete(self.some(data, set(), 4)))

    @rule(id=st.sampled_from(IDS))
    def erase(self, id: str) -> None:
        self.write(Erase(id))

    @precondition(lambda self: self.kept())
    @rule(data=st.data())
    def ask_for_repeats(self, data: st.DataObject) -> None:
        parent = data.draw(st.sampled_from(self.running.best + self.kept()))
        drawn = data.draw(st.lists(st.sampled_from(range(len(RECORDS))), max_size=3))
        check_repeats(self.store, self.running, parent, [self.universe[each] for each in drawn])

    @precondition(lambda self: self.in_batch)
    @rule(dropped=st.sampled_from([False, False, False, True]))
    def end_batch(self, dropped: bool) -> None:  # noqa: FBT001 - drawn
        if dropped:
            self.store.rollback()
            self.forget_batch()
            return
        self.store.commit()
        self.running.commit()
        self.committed = self.running.copied()
        self.posted_for_good = set(self.posted)
        self.in_batch = False

    def forget_batch(self) -> None:
        self.running = self.committed.copied()
        self.posted = set(self.posted_for_good)
        self.in_batch = False

    # --- laws ----------------------------------------------------------------------------------

    @invariant()
    def the_view_shows_the_batch(self) -> None:
        check_view(self.store, self.running, IDS)

    @invariant()
    def readers_see_what_is_committed(self) -> None:
        check_reader(self.reader, self.committed, IDS)

    @invariant()
    def what_was_posted_is_there_once(self) -> None:
        check_promise(self.store, self.posted)

    @invariant()
    def a_place_is_for_as_long_as_the_record_is_stored(self) -> None:
        for shown in (shown for id in IDS for shown in self.reader.records_of(id)):
            leaf = shown.record.leaf
            assert self.places.setdefault((leaf, self.committed.arrived[leaf]), shown.place) == shown.place


def stripped(block: SealedBlock) -> SealedBlock:
    """The block from somebody who has none of the data."""
    return msgspec.structs.replace(block, records=tuple(map(without_data, block.records)))


class MemoryLaws(SealedLaws):
    def open(self) -> None:
        store = MemoryStore(NETWORK, self.limits)
        self.store, self.reader = store, MemoryReader(store, self.limits)


class SqliteLaws(SealedLaws):
    def open(self) -> None:
        self.path = Path(tempfile.mkdtemp(dir=IN_MEMORY))
        self.store, self.reader = open_store(self.path, NETWORK, self.limits)

    @rule()
    def reopen(self) -> None:
        """Catalogue row 83: what is pending is pending still."""
        self.reader.close()
        self.store.close()
        self.store, self.reader = open_store(self.path, NETWORK, self.limits)
        self.committed = self.committed.reopened()
        self.forget_batch()

    def teardown(self) -> None:
        self.reader.close()
        self.store.close()
        verify(self.path, NETWORK, thorough=True)
        shutil.rmtree(self.path)


class WeighedMemoryLaws(MemoryLaws):
    limits, universe = WEIGHED, SOME_LARGE


class WeighedSqliteLaws(SqliteLaws):
    limits, universe = WEIGHED, SOME_LARGE


@pytest.mark.parametrize("laws", [MemoryLaws, WeighedMemoryLaws, SqliteLaws, WeighedSqliteLaws])
def test_a_store_of_records_equals_its_definition(laws: type[SealedLaws]) -> None:
    """Catalogue rows 82 and 83: whatever reorgs came, each record that was posted is there once, and pending if no
    block of the best chain holds it."""
    run_state_machine_as_test(
        laws,
        settings=settings(
            max_examples=examples(30),
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
