"""Both stores against the definition: whatever is written, committed, dropped or reopened, all three agree."""

from __future__ import annotations

import shutil
import tempfile
from itertools import accumulate
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
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
from tallystick.chain.writes import (
    OWN,
    AddSide,
    Append,
    DropStaged,
    ForgetBan,
    ForgetPeer,
    Mark,
    RememberBan,
    RememberPeer,
    Write,
)
from tallystick.model.block import Block
from tallystick.model.network import CLASSIC
from tallystick.storage.memory import MemoryReader, MemoryStore
from tallystick.storage.opening import open_store
from tallystick.storage.verify import verify
from tests.effort import examples
from tests.storage.kit import GENESIS, IN_MEMORY, SMALL, Twin, branch, check_reader, check_view, child, commit, switch

TEXTS = st.sampled_from(["", "a", "ü\0", "long" * 50, "longer" * 100])


class StoreLaws(RuleBasedStateMachine):
    """A store beside its twin; the twin has one copy for the running batch and one for what is committed."""

    store: Store
    reader: Reader

    @initialize()
    def start(self) -> None:
        self.open()
        self.running = Twin(SMALL)
        self.committed = self.running.copied()
        self.in_batch = False

    def open(self) -> None:
        raise NotImplementedError

    def write(self, write: Write) -> None:
        if not self.in_batch:
            self.store.begin()
            self.in_batch = True
        self.store.apply(write)
        self.running.apply(write)

    @rule(data=st.data(), texts=st.lists(TEXTS, min_size=1, max_size=5))
    def append(self, data: st.DataObject, texts: list[str]) -> None:
        blocks: list[Block] = []
        marks: list[Mark] = []
        for text in texts:
            block = child(blocks[-1] if blocks else self.running.tip, text)
            kept = block.hash in self.running.aside and block.hash in self.running.duty_of
            blocks.append(block)
            marks.append(None if kept else data.draw(st.sampled_from([None, OWN])))
        self.write(Append(blocks, marks if any(mark is not None for mark in marks) else None))

    @precondition(lambda self: self.running.lost())
    @rule(count=st.integers(1, 3))
    def mine_again(self, count: int) -> None:
        blocks: list[Block] = []
        duties = self.running.lost()[:count]
        for duty in duties:
            blocks.append(child(blocks[-1] if blocks else self.running.tip, duty.data))
        if any(block.hash in self.running.aside for block in blocks):
            return
        self.write(Append(blocks, [duty.first for duty in duties]))

    @rule(data=st.data(), texts=st.lists(TEXTS, min_size=1, max_size=6), staged=st.booleans())
    def add_side(self, data: st.DataObject, texts: list[str], staged: bool) -> None:  # noqa: FBT001 - drawn
        known = self.running.best + self.running.aside + sorted(self.running.staged)
        parent = data.draw(st.sampled_from(known))
        blocks: list[Block] = []
        for text in texts:
            blocks.append(child(blocks[-1] if blocks else self.running.blocks[parent], text))
        self.write(AddSide(blocks, staged))

    @rule(data=st.data(), staged=st.booleans())
    def add_known(self, data: st.DataObject, staged: bool) -> None:  # noqa: FBT001 - drawn
        """Blocks that came before: kept already, on the best chain, staged, or dropped and now back."""
        hashes = data.draw(st.lists(st.sampled_from(sorted(self.running.blocks)), max_size=4))
        self.write(AddSide([self.running.blocks[hash] for hash in hashes if self.running.blocks[hash].index], staged))

    @rule(data=st.data())
    def stage_branch(self, data: st.DataObject) -> None:
        """A branch arrives of which we have some or all beside the chain."""
        kept = [hash for hash in self.running.aside if self.running.path_to(hash)]
        if kept:
            path = self.running.path_to(data.draw(st.sampled_from(kept))) or []
            self.write(AddSide([self.running.blocks[hash] for hash in path], staged=True))

    @rule(number=st.integers(0, 9))
    def flood(self, number: int) -> None:
        """Somebody sends so much that nothing older is left beside the chain but our own, and what is staged."""
        texts = [f"{number}{at}" + "x" * 150 for at in range(8)]
        self.write(AddSide([child(GENESIS, text) for text in texts]))

    @rule()
    def drop_staged(self) -> None:
        self.write(DropStaged())

    @rule(data=st.data())
    def append_kept(self, data: st.DataObject) -> None:
        """A block that is kept aside, staged or not, comes onto the tip by itself."""
        kept = [*self.running.aside, *sorted(self.running.staged)]
        next = [hash for hash in kept if self.running.blocks[hash].previous_hash == self.running.tip.hash]
        if next:
            self.write(Append([self.running.blocks[data.draw(st.sampled_from(next))]]))

    @rule(data=st.data())
    def switch(self, data: st.DataObject) -> None:
        kept = [*self.running.aside, *sorted(self.running.staged)]
        whole = [hash for hash in kept if self.running.path_to(hash)]
        if whole:
            tip = self.running.blocks[data.draw(st.sampled_from(whole))]
            self.write(switch(self.running.tip, self.running.true_fork(tip.hash), tip))

    @rule(address=st.sampled_from(["ws://a:1", "ws://b:2"]), known=st.booleans())
    def peer(self, address: str, known: bool) -> None:  # noqa: FBT001 - drawn
        self.write(RememberPeer(address) if known else ForgetPeer(address))

    @rule(subject=st.sampled_from(["203.0.113.7", "2001:db8::7", "ab" * 32]), known=st.booleans())
    def ban(self, subject: str, known: bool) -> None:  # noqa: FBT001 - drawn
        self.write(RememberBan(subject) if known else ForgetBan(subject))

    @precondition(lambda self: self.in_batch)
    @rule()
    def commit(self) -> None:
        self.store.commit()
        self.running.commit()
        self.committed = self.running.copied()
        self.in_batch = False

    @rule()
    def rollback(self) -> None:
        self.store.rollback()
        self.running = self.committed.copied()
        self.in_batch = False

    @invariant()
    def the_view_shows_the_batch(self) -> None:
        check_view(self.store, self.running)

    @invariant()
    def readers_see_what_is_committed(self) -> None:
        check_reader(self.reader, self.committed)


class MemoryLaws(StoreLaws):
    def open(self) -> None:
        store = MemoryStore(CLASSIC, SMALL)
        self.store, self.reader = store, MemoryReader(store, SMALL)


class SqliteLaws(StoreLaws):
    def open(self) -> None:
        self.path = Path(tempfile.mkdtemp(dir=IN_MEMORY))
        self.store, self.reader = open_store(self.path, CLASSIC, SMALL)

    @rule()
    def reopen(self) -> None:
        self.reader.close()
        self.store.close()
        self.store, self.reader = open_store(self.path, CLASSIC, SMALL)
        self.committed = self.committed.reopened()
        self.running = self.committed.copied()
        self.in_batch = False

    def teardown(self) -> None:
        self.reader.close()
        self.store.close()
        verify(self.path, CLASSIC, thorough=True)
        shutil.rmtree(self.path)


@settings(max_examples=examples(30), deadline=None)
@given(sizes=st.lists(st.integers(1, 12), min_size=1, max_size=6))
def test_a_batch_that_owes_nothing_is_written_like_any_other(sizes: list[int]) -> None:
    """The short way of `Append` against the general one, which is taken when marks are given: files and index agree."""
    blocks = branch(GENESIS, *map(str, range(sum(sizes))))
    ends = list(accumulate(sizes))
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        results = []
        for marks in (None, [None] * 12):
            store, reader = open_store(Path(folder) / str(marks is None), CLASSIC, SMALL)
            for start, end in zip([0, *ends], ends, strict=False):
                commit(store, Append(blocks[start:end], marks and marks[: end - start]))
                store._index.wait()
            rows = store._database.all("SELECT * FROM blocks ORDER BY idx")
            found = [list(store._index.candidates(key)) for _, key, *_ in rows]
            results.append((rows, found, store._index.gap(), list(store.headers(0, 99))))
            reader.close()
            store.close()
        assert results[0] == results[1]


@pytest.mark.parametrize("laws", [MemoryLaws, SqliteLaws])
def test_a_store_equals_its_definition(laws: type[StoreLaws]) -> None:
    """Catalogue rows 99 and 110: whatever happened, what is read back is what was committed."""
    run_state_machine_as_test(
        laws,
        settings=settings(
            max_examples=examples(100), stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
