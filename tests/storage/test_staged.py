"""A longer branch that is still arriving: kept, shown to nobody, followed like any other, and forgotten at once."""

from __future__ import annotations

import sqlite3
import tracemalloc
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from tallystick.chain.contracts import Duty, Reader, Store
from tallystick.chain.writes import OWN, AddSide, Append, DropStaged
from tallystick.errors import StoreCorruptError
from tallystick.model.block import Block, header_of
from tallystick.model.limits import LIMITS, MIB
from tallystick.model.network import CLASSIC
from tallystick.storage.opening import open_store
from tallystick.storage.verify import verify
from tests.storage.conftest import Opener, Pair
from tests.storage.kit import GENESIS, WIDE, branch, commit, on_disk, switch


def kept(store: Store, *blocks: Block) -> list[str]:
    """The data of those of `blocks` that the view knows beside the chain."""
    return [block.data for block in blocks if store.side(block.hash) == header_of(block)]


def tips(reader: Reader) -> list[str]:
    return [fork.tip.hash for fork in reader.forks(99)]


def test_what_is_staged_is_known_to_the_view_and_to_nobody_else(pair: Pair) -> None:
    store, reader = pair
    b = branch(GENESIS, "b1", "b2", "b3")
    commit(store, AddSide(b[:2], staged=True))
    commit(store, AddSide(b, staged=True))
    assert kept(store, *b) == ["b1", "b2", "b3"]
    assert [reader.find(block.hash) for block in b] == [None] * 3
    assert tips(reader) == []


def test_what_is_staged_is_not_counted_and_pushes_nothing_out(opener: Opener) -> None:
    with opener(replace(WIDE, side_bytes=300, side_block_bytes=100)) as (store, _):
        a = branch(GENESIS, "a1", "a2")
        b = branch(GENESIS, *(f"b{i}" * 100 for i in range(20)))
        commit(store, AddSide(a), AddSide(b, staged=True))
        assert len(kept(store, *a, *b)) == 22


@pytest.mark.parametrize("staged", [range(4), range(1, 4), range(3), [1], [0, 2], [3]])
def test_a_switch_takes_a_branch_wherever_its_blocks_are(pair: Pair, staged: list[int]) -> None:
    #         /- b1 - b2 - b3 - b4     some of them staged
    # genesis - a1 - a2 - a3           a2 is ours
    store, reader = pair
    a, b = branch(GENESIS, "a1", "a2", "a3"), branch(GENESIS, "b1", "b2", "b3", "b4")
    commit(store, Append(a, [None, OWN, None]))
    for i, block in enumerate(b):
        commit(store, AddSide([block], staged=i in staged))
    commit(store, switch(a[-1], GENESIS, b[-1]))
    assert list(reader.page(0, 9)) == [GENESIS, *b]
    assert [(fork.tip, fork.fork) for fork in reader.forks(9)] == [(header_of(a[2]), header_of(GENESIS))]
    assert kept(store, *a, *b) == ["a1", "a2", "a3"]
    assert list(store.lost(9)) == [Duty(a[1].hash, "a2")]
    c = branch(b[-1], "c5", "c6")
    commit(store, Append(c))
    assert reader.tip() == header_of(c[-1])


def test_what_a_switch_does_not_take_stays_staged(pair: Pair) -> None:
    store, reader = pair
    b = branch(GENESIS, "b1", "b2", "b3")
    c = branch(b[0], "c2")
    commit(store, AddSide(b, staged=True), AddSide(c, staged=True), switch(GENESIS, GENESIS, b[1]))
    assert kept(store, *b, *c) == ["b3", "c2"]
    commit(store, Append([b[2]]))
    assert kept(store, *b, *c) == ["c2"]
    assert list(reader.page(1, 9)) == b
    commit(store, DropStaged())
    assert kept(store, *b, *c) == []


def test_a_staged_branch_with_a_hole_is_not_followed(pair: Pair) -> None:
    """Catalogue row 104: also of what was staged, nothing is put on the chain unless it links."""
    store, reader = pair
    b = branch(GENESIS, "b1", "b2", "b3")
    commit(store, AddSide([b[0], b[2]], staged=True))
    store.begin()
    with pytest.raises(StoreCorruptError, match="are missing"):
        store.apply(switch(GENESIS, GENESIS, b[2]))
    store.rollback()
    assert kept(store, *b) == ["b1", "b3"]
    assert reader.tip() == header_of(GENESIS)


def test_a_staged_block_that_comes_again_by_itself_is_a_fork_like_any_other(opener: Opener) -> None:
    with opener(replace(WIDE, side_bytes=300, side_block_bytes=100)) as (store, reader):
        b = branch(GENESIS, "b1", "b2", "b3")
        commit(store, AddSide(b, staged=True))
        commit(store, AddSide(b[:2]))
        assert tips(reader) == [b[1].hash]
        assert kept(store, *b) == ["b1", "b2", "b3"]
        commit(store, DropStaged())
        assert kept(store, *b) == ["b1", "b2"]
        spam = [branch(GENESIS, f"s{i}")[0] for i in range(2)]
        commit(store, AddSide(spam))
        assert kept(store, *b) == [], "and they count"


@pytest.mark.parametrize("first", ["aside", "staged"])
@pytest.mark.parametrize("pushed", [[0], [1, 2], [0, 1, 2, 3]])
def test_what_a_staged_branch_stands_on_is_not_dropped_with_what_is_aside(
    opener: Opener, first: str, pushed: list[int]
) -> None:
    """Catalogue row 104: anybody can fill what is beside the chain, and whatever that pushes out, a branch that is
    arriving has no hole."""
    with opener(replace(WIDE, side_bytes=300, side_block_bytes=100)) as (store, reader):
        a, b = branch(GENESIS, "a1", "a2", "a3"), branch(GENESIS, "b1", "b2", "b3", "b4")
        commit(store, Append(a))
        arrives = AddSide(b, staged=True)
        comes_alone = [AddSide([b[at]]) for at in pushed]
        commit(store, *([*comes_alone, arrives] if first == "aside" else [arrives, *comes_alone]))
        commit(store, AddSide([branch(GENESIS, f"s{i}" * 20)[0] for i in range(9)]))
        assert [reader.find(block.hash) for block in b] == [None] * 4
        assert kept(store, *b) == ["b1", "b2", "b3", "b4"]
        commit(store, switch(a[-1], GENESIS, b[-1]))
        assert list(reader.page(1, 9)) == b
        commit(store, DropStaged())
        assert list(reader.page(1, 9)) == b


def test_a_block_that_is_aside_and_staged_leaves_both_when_it_is_followed(pair: Pair) -> None:
    store, reader = pair
    b = branch(GENESIS, "b1", "b2", "b3")
    commit(store, AddSide(b), AddSide(b, staged=True), Append(b[:1]))
    assert kept(store, *b) == ["b2", "b3"]
    commit(store, switch(b[0], b[0], b[1]))
    assert kept(store, *b) == ["b3"]
    assert tips(reader) == [b[2].hash]
    c = branch(GENESIS, "c1", "c2", "c3")
    commit(store, AddSide(c, staged=True), switch(b[1], GENESIS, c[-1]))
    assert tips(reader) == [b[2].hash]
    commit(store, DropStaged())
    assert kept(store, *b) == ["b1", "b2", "b3"]


def test_a_fork_on_top_of_what_was_staged_outlives_it(pair: Pair) -> None:
    store, reader = pair
    b = branch(GENESIS, "b1", "b2", "b3")
    commit(store, AddSide(b[:1]), AddSide(b[1:2], staged=True), AddSide(b[2:]))
    assert tips(reader) == [b[2].hash, b[0].hash], "what is staged joins nothing yet"
    commit(store, DropStaged())
    fork, _ = reader.forks(9)
    assert (fork.tip, fork.fork) == (header_of(b[2]), None)
    assert [found.block for found in fork.blocks] == [b[2]]
    commit(store, AddSide(b[1:2]))
    assert tips(reader) == [b[2].hash]


def test_what_was_staged_in_a_batch_that_is_dropped_is_not_there(pair: Pair) -> None:
    store, _ = pair
    b = branch(GENESIS, "b1", "b2")
    store.begin()
    store.apply(AddSide(b, staged=True))
    store.rollback()
    assert kept(store, *b) == []
    commit(store, AddSide(b, staged=True))
    store.begin()
    store.apply(DropStaged())
    assert kept(store, *b) == []
    store.rollback()
    assert kept(store, *b) == ["b1", "b2"]
    commit(store, Append(b[:1]))
    assert kept(store, *b) == ["b2"]


def test_a_restart_forgets_what_was_staged(tmp_path: Path) -> None:
    b = branch(GENESIS, "b1", "b2")
    with on_disk(tmp_path) as (store, _):
        commit(store, AddSide(b, staged=True))
    assert verify(tmp_path, CLASSIC).side_blocks == 0
    with on_disk(tmp_path) as (store, _):
        assert kept(store, *b) == []
    connection = sqlite3.connect(tmp_path / "ledger.sqlite")
    assert connection.execute("SELECT count(*) FROM staged").fetchone() == (0,)
    connection.close()


def test_a_long_branch_is_staged_followed_and_forgotten_without_memory(tmp_path: Path) -> None:
    """However much a peer makes us stage, it costs disk, and giving it up costs next to nothing."""
    store, reader = open_store(tmp_path, CLASSIC, LIMITS)
    texts = ["x" * 100] * 30_000
    first, second = branch(GENESIS, *texts), branch(GENESIS, "other", *texts)
    for blocks in (first, second):
        for start in range(0, len(blocks), 1_000):
            commit(store, AddSide(blocks[start : start + 1_000], staged=True))
    tracemalloc.start()
    commit(store, switch(GENESIS, GENESIS, first[-1]))
    commit(store, DropStaged())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * MIB + 200 * len(first), "no block is held; of those on the chain, prefixes of their hashes are"
    assert reader.tip() == header_of(first[-1])
    assert not any(store.side(block.hash) for block in islice(second, 0, None, 1_000))
    reader.close()
    store.close()
