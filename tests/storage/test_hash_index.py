"""Blocks are found by hash, wherever the index is with its work and whatever happened to its file."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.chain.contracts import Reader
from tallystick.chain.writes import AddSide, Append
from tallystick.errors import StoreError
from tallystick.model.block import Block
from tallystick.model.network import CLASSIC
from tallystick.storage import hash_index
from tallystick.storage.hash_index import IndexFile
from tallystick.storage.opening import open_reader, open_store
from tallystick.storage.sqlite import SqliteStore
from tallystick.storage.verify import verify
from tests.storage.kit import GENESIS, WIDE, branch, commit, switch

EAGER = replace(WIDE, index_batch=5)
ODD = replace(WIDE, index_batch=7)
LAZY = replace(WIDE, index_batch=10_000)
BLOCKS = branch(GENESIS, *(str(i) for i in range(1, 101)))


def check_finds(reader: Reader, chain: Sequence[Block], others: Sequence[Block] = ()) -> None:
    for block in chain:
        assert reader.find(block.hash) == (block, False, None)
    for block in others:
        found = reader.find(block.hash)
        assert found is None or found.orphaned


def settled(store: SqliteStore) -> int:
    """Let the index finish what it is at, and take note of it; how far it reaches."""
    store._index.wait()
    commit(store)
    return store._index.indexed_to


def indexed(path: Path) -> None:
    """A stopped node's folder in which most blocks are in the index file."""
    store, reader = open_store(path, CLASSIC, EAGER)
    for start in range(0, 100, 10):
        commit(store, Append(BLOCKS[start : start + 10]))
        check_finds(reader, BLOCKS[: start + 10], BLOCKS[start + 10 :])
    while settled(store) < 96:
        pass
    reader.close()
    store.close()


def test_blocks_are_found_while_the_index_follows(tmp_path: Path) -> None:
    indexed(tmp_path)
    store, reader = open_store(tmp_path, CLASSIC, LAZY)
    assert store._index.indexed_to >= 96
    assert store._index.gap()[0] == store._index.gap()[1]
    assert len(store._index._newer) <= 4, "only what the file does not have is in memory"
    check_finds(reader, [GENESIS, *BLOCKS])
    reader.close()
    store.close()
    assert verify(tmp_path, CLASSIC, thorough=True).notes == ()


def test_memory_holds_two_batches_at_most(tmp_path: Path) -> None:
    store, reader = open_store(tmp_path, CLASSIC, EAGER)
    store.begin()
    store.apply(Append(BLOCKS))
    assert len(store._index._newer) + len(store._index._older) <= 2 * 5
    store.commit()
    check_finds(reader, [GENESIS, *BLOCKS])
    while settled(store) < 100:
        check_finds(reader, [GENESIS, *BLOCKS])
    assert store._index.gap()[0] == store._index.gap()[1]
    reader.close()
    store.close()


def lose(path: Path) -> None:
    path.unlink()


def zero(path: Path) -> None:
    path.write_bytes(b"\0" * path.stat().st_size)


def scramble(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(bytes(content))


def empty(path: Path) -> None:
    path.write_bytes(b"")


def swap(path: Path) -> None:
    """An index that belongs to another ledger."""
    connection = sqlite3.connect(path)
    connection.execute("UPDATE meta SET value = 'another'")
    connection.commit()
    connection.close()


@pytest.mark.parametrize("damage", [lose, zero, scramble, empty, swap])
@pytest.mark.parametrize("limits", [EAGER, LAZY], ids=["in the background", "at once"])
def test_a_lost_or_damaged_index_is_built_anew(tmp_path: Path, damage: Callable[[Path], None], limits: object) -> None:
    """Catalogue rows 102 and 110: the index is rebuilt from the blocks, and look-ups are right all the while."""
    indexed(tmp_path)
    damage(tmp_path / "hashes.sqlite")
    for _ in range(2):
        store, reader = open_store(tmp_path, CLASSIC, limits)  # type: ignore[arg-type]  # a parameter of the test
        check_finds(reader, [GENESIS, *BLOCKS])
        while limits is EAGER and settled(store) < 100 - 5 and store._index._file is not None:
            check_finds(reader, BLOCKS[:3])
        commit(store)
        reader.close()
        store.close()
    assert verify(tmp_path, CLASSIC, thorough=True).notes == ()
    reader = open_reader(tmp_path, CLASSIC)
    check_finds(reader, [GENESIS, *BLOCKS])
    reader.close()


def test_an_index_that_fails_while_the_node_runs_is_put_aside(tmp_path: Path) -> None:
    indexed(tmp_path)
    store, reader = open_store(tmp_path, CLASSIC, EAGER)
    scramble(tmp_path / "hashes.sqlite")
    store._index._file._database._connection.execute("PRAGMA shrink_memory")  # type: ignore[union-attr]
    check_finds(reader, [GENESIS, *BLOCKS])
    more = branch(BLOCKS[-1], *"abcdefghijklmnopq")
    for block in more:
        commit(store, Append([block]))
        store._index.wait()
    check_finds(reader, [GENESIS, *BLOCKS, *more])
    commit(store)
    reader.close()
    store.close()
    store, reader = open_store(tmp_path, CLASSIC, EAGER)
    check_finds(reader, [GENESIS, *BLOCKS, *more])
    reader.close()
    store.close()


def failing(_key: bytes) -> NoReturn:
    raise StoreError("a broken disk")


def test_what_an_index_has_learnt_since_the_start_is_not_lost_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Blocks of which only the file knew are compared one by one from then on; and the log says why that is slow."""
    store, reader = open_store(tmp_path, CLASSIC, EAGER)
    for block in BLOCKS:
        commit(store, Append([block]))
        store._index.wait()
    check_finds(reader, [GENESIS, *BLOCKS])
    assert store._index._file is not None
    monkeypatch.setattr(store._index._file, "candidates", failing)
    check_finds(reader, [GENESIS, *BLOCKS])
    reader.close()
    store.close()
    assert capsys.readouterr().out.count("index of hashes failed") == 1


def test_an_index_put_aside_while_it_is_being_written_stays_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the thread wrote into a file that nobody reads any more is no knowledge."""
    indexed(tmp_path)
    store, reader = open_store(tmp_path, CLASSIC, replace(WIDE, index_batch=20))
    hold, resume = threading.Event(), threading.Event()

    def copy_nothing(*_: object) -> None:
        hold.set()
        assert resume.wait(30)

    monkeypatch.setattr(IndexFile, "copy", copy_nothing)
    more = branch(BLOCKS[-1], *(f"more {i}" for i in range(30)))
    commit(store, Append(more))
    assert hold.wait(30)
    store._index._put_aside(StoreError("a broken disk"))
    resume.set()
    store._index.wait()
    commit(store)
    check_finds(reader, [GENESIS, *BLOCKS, *more])
    reader.close()
    store.close()


@pytest.mark.parametrize("fork", [0, 50, 97, 99])
@pytest.mark.parametrize("limits", [EAGER, ODD, LAZY], ids=["eager", "odd", "lazy"])
def test_a_switch_takes_the_index_back_to_the_fork(tmp_path: Path, fork: int, limits: object) -> None:
    indexed(tmp_path)
    store, reader = open_store(tmp_path, CLASSIC, limits)  # type: ignore[arg-type]  # a parameter of the test
    newest = branch(BLOCKS[-1], *"xyz")  # in memory only
    commit(store, Append(newest))
    chain = [GENESIS, *BLOCKS, *newest]
    other = branch(chain[fork], *(f"other {i}" for i in range(105 - fork)))
    store.begin()
    store.apply(AddSide(other))
    store.apply(switch(chain[-1], chain[fork], other[-1]))
    check_finds(reader, chain, other)  # not committed yet
    store.commit()
    new = [*chain[: fork + 1], *other]
    check_finds(reader, new, chain[fork + 1 :])
    if limits is LAZY:
        after, upto = store._index.gap()
        assert after == upto, "memory takes up from the fork"
    (stored,) = store._database.one("SELECT value FROM meta WHERE key = 'indexed_to'")
    assert stored <= fork
    more = branch(other[-1], *(f"more {i}" for i in range(20)))
    for block in more:
        commit(store, Append([block]))
    settled(store)
    check_finds(reader, [*new, *more], chain[fork + 1 :])
    store.begin()
    store.apply(switch(more[-1], chain[fork], chain[-1]))
    store.rollback()
    check_finds(reader, [*new, *more], chain[fork + 1 :])
    reader.close()
    store.close()
    assert verify(tmp_path, CLASSIC, thorough=True).notes == ()


def test_a_switch_while_the_index_is_being_written_is_not_overtaken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the thread wrote of the old branch must never count as knowledge of the new one."""
    read, switched = threading.Event(), threading.Event()
    copy = IndexFile.copy

    def slow_copy(file: IndexFile, after: int, upto: int) -> None:
        copy(file, after, upto)
        read.set()
        assert switched.wait(30)

    monkeypatch.setattr(IndexFile, "copy", slow_copy)
    store, reader = open_store(tmp_path, CLASSIC, replace(WIDE, index_batch=40))
    commit(store, Append(BLOCKS))
    assert read.wait(30)
    other = branch(BLOCKS[9], *(f"other {i}" for i in range(95)))
    commit(store, AddSide(other), switch(BLOCKS[-1], BLOCKS[9], other[-1]))
    switched.set()
    store._index.wait()
    store._index.settle()
    assert store._index.indexed_to == BLOCKS[9].index
    check_finds(reader, [*BLOCKS[:10], *other], BLOCKS[10:])
    assert settled(store) == BLOCKS[9].index, "recorded; and the next job is on its way"
    check_finds(reader, [*BLOCKS[:10], *other], BLOCKS[10:])
    reader.close()
    store.close()
    assert verify(tmp_path, CLASSIC, thorough=True).notes == ()


@given(st.lists(st.binary(max_size=1).map(lambda byte: byte * 32), max_size=40), st.integers(1, 40))
def test_many_prefixes_are_remembered_like_one_after_the_other(keys: list[bytes], cut: int) -> None:
    together: hash_index.Memory = {}
    hash_index._add_all(together, 7, keys[:cut])
    hash_index._add_all(together, 7 + len(keys[:cut]), keys[cut:])
    hash_index._add_all(together, 7, keys[:2])  # a block that left the chain and came back
    singly: hash_index.Memory = {}
    for index, key in enumerate(keys, 7):
        hash_index._add(singly, hash_index.prefix_of(key), index)
    assert together == singly
    for index, key in enumerate(keys, 7):
        assert index in hash_index._all_of(together[hash_index.prefix_of(key)])


@pytest.mark.parametrize("size", [0, 1])
def test_prefixes_may_collide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Eight bytes of a hash can be forged; then blocks share a prefix, and each is still found."""
    monkeypatch.setattr(hash_index, "PREFIX_BYTES", size)
    indexed(tmp_path)
    store, reader = open_store(tmp_path, CLASSIC, LAZY)
    more = branch(BLOCKS[-1], *"abcdef")
    commit(store, Append(more))
    check_finds(reader, [GENESIS, *BLOCKS, *more])
    reader.close()
    store.close()
