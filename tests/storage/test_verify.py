"""Verify finds what is wrong and names the block; it finds nothing where nothing is, node running or not."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tallystick.chain.writes import OWN, AddSide, Append
from tallystick.errors import StoreCorruptError, StoreError
from tallystick.model.block import block_hash
from tallystick.model.network import CLASSIC
from tallystick.storage import verify_chain as module
from tallystick.storage.opening import open_store
from tallystick.storage.verify import verify
from tests.storage.kit import GENESIS, WIDE, branch, commit, on_disk, switch
from tests.storage.script import LIMITS, batches, play, states

EAGER = replace(WIDE, index_batch=10)
BLOCKS = branch(GENESIS, *(f"block {i}" for i in range(1, 41)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    store, reader = open_store(tmp_path, CLASSIC, EAGER)
    commit(store, Append(BLOCKS, [OWN] * len(BLOCKS)))
    store._index.wait()
    commit(store)
    reader.close()
    store.close()
    return tmp_path


@pytest.fixture
def storied(tmp_path: Path) -> Path:
    """A folder with forks, lost duties and all: the middle of the script."""
    with on_disk(tmp_path, LIMITS) as (store, _):
        play(store, batches()[:7])
    return tmp_path


def edit(folder: Path, *statements: str, file: str = "ledger.sqlite") -> None:
    connection = sqlite3.connect(folder / file)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_a_sound_ledger_is_told_with_its_tip(folder: Path) -> None:
    told: list[tuple[int, int]] = []
    for thorough in (False, True):
        sound = verify(folder, CLASSIC, thorough=thorough, progress=lambda done, of: told.append((done, of)))
        assert (sound.blocks, sound.tip, sound.notes) == (41, BLOCKS[-1].hash, ())
    assert told == [(41, 41)] * 2


def test_side_blocks_and_lost_duties_are_counted(storied: Path) -> None:
    sound = verify(storied, CLASSIC, thorough=True)
    twin = states()[7]
    assert (sound.blocks, sound.side_blocks, sound.lost_duties) == (len(twin.best), len(twin.aside), len(twin.lost()))
    assert sound.lost_duties == 1


OLD = block_hash(20, BLOCKS[18].hash, 999_999_999, "old")


@pytest.mark.parametrize(
    ("statement", "index", "said"),
    [
        ("UPDATE blocks SET data = 'forged' WHERE idx = 20", 20, r"Block 20 has the hash \w+, but its content"),
        ("UPDATE blocks SET timestamp = timestamp + 1 WHERE idx = 20", 20, "Block 20 has the hash"),
        ("UPDATE blocks SET hash = randomblob(32) WHERE idx = 20", 20, "Block 20 has the hash"),
        ("UPDATE blocks SET hash = 'text' WHERE idx = 20", 20, "Block 20 holds values of the wrong kind"),
        ("UPDATE blocks SET data = x'00' WHERE idx = 20", 20, "Block 20 holds values of the wrong kind"),
        ("UPDATE blocks SET data = CAST(CAST(data AS BLOB) AS BLOB) WHERE idx = 20", 20, "wrong kind"),
        ("UPDATE blocks SET timestamp = 'soon' WHERE idx = 20", 20, "Block 20 holds values of the wrong kind"),
        ("UPDATE blocks SET data = CAST(x'ff' AS TEXT) WHERE idx = 20", 20, "Block 20 cannot be read"),
        ("DELETE FROM blocks WHERE idx = 20", 20, "Block 20 is missing; the next block there is 21"),
        ("DELETE FROM blocks WHERE idx BETWEEN 1 AND 30", 1, "Block 1 is missing; the next block there is 31"),
        (
            f"UPDATE blocks SET timestamp = 999999999, data = 'old', hash = x'{OLD}' WHERE idx = 20",  # noqa: S608
            20,
            "Block 20 has the timestamp 999999999, which has not ten digits",
        ),
        ("UPDATE blocks SET data = 'x' WHERE idx IN (7, 9, 20)", 7, "Block 7 has the hash"),
        ("UPDATE blocks SET data = 'x' WHERE idx = 0", 0, "Block 0 has the hash"),
    ],
)
def test_the_first_bad_block_is_named(folder: Path, statement: str, index: int, said: str) -> None:
    edit(folder, statement)
    with pytest.raises(StoreCorruptError, match=said) as found:
        verify(folder, CLASSIC)
    assert found.value.index == index


@pytest.mark.parametrize("page", [1, 3, 40])
def test_a_bad_block_is_found_wherever_a_page_ends(folder: Path, page: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE_BLOCKS", page)
    assert verify(folder, CLASSIC).blocks == 41
    edit(folder, "UPDATE blocks SET data = 'forged' WHERE idx = 21")
    with pytest.raises(StoreCorruptError) as found:
        verify(folder, CLASSIC)
    assert found.value.index == 21


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE side SET data = 'forged' WHERE seq = (SELECT min(seq) FROM side)", "does not match its hash"),
        ("UPDATE side SET bytes = 0 WHERE seq = (SELECT min(seq) FROM side)", "size"),
        ("UPDATE meta SET value = value + 1 WHERE key = 'side_bytes'", "size"),
        ("DELETE FROM tips", "tips"),
        ("INSERT INTO tips VALUES (999)", "tips"),
        ("DELETE FROM lost", "mined again"),
        ("UPDATE lost SET idx = idx + 1", "mined again"),
        ("INSERT INTO lost VALUES (1, randomblob(32))", "mined again"),
        ("DELETE FROM carriers", "not accounted for"),
        ("UPDATE side SET run = 99 WHERE seq = 9", "of another branch"),
        ("UPDATE blocks SET mark = NULL WHERE length(mark) = 32", None),
    ],
)
def test_what_is_kept_beside_the_chain_is_held_against_its_source(
    storied: Path, statement: str, said: str | None
) -> None:
    edit(storied, statement)
    if said is None:
        assert verify(storied, CLASSIC).notes == ()
        return
    with pytest.raises(StoreCorruptError, match=said):
        verify(storied, CLASSIC)


def test_two_branches_told_as_one_are_damage(tmp_path: Path) -> None:
    with on_disk(tmp_path) as (store, _):
        commit(store, AddSide(branch(GENESIS, "a", "b")), AddSide(branch(GENESIS, "c")))
    assert verify(tmp_path, CLASSIC).side_blocks == 3
    edit(tmp_path, "UPDATE side SET run = 1")
    with pytest.raises(StoreCorruptError, match="of another branch"):
        verify(tmp_path, CLASSIC)


def test_a_wrong_index_is_removed_when_no_node_runs(folder: Path) -> None:
    edit(folder, "DELETE FROM prefixes WHERE idx = 16", file="hashes.sqlite")
    (note,) = verify(folder, CLASSIC).notes
    assert note == "The hash index does not know block 16. It was removed, and is built anew when a node starts."
    assert not (folder / "hashes.sqlite").exists()
    assert verify(folder, CLASSIC, thorough=True).notes == ()
    with on_disk(folder) as (_, reader):
        assert reader.find(BLOCKS[15].hash) is not None


def test_one_missing_entry_is_found_on_request(folder: Path) -> None:
    edit(folder, "DELETE FROM prefixes WHERE idx = 17", file="hashes.sqlite")
    assert verify(folder, CLASSIC).notes == ()
    assert len(verify(folder, CLASSIC, thorough=True).notes) == 1


def test_a_wrong_index_stays_while_its_node_runs(folder: Path) -> None:
    edit(folder, "DELETE FROM prefixes WHERE idx = 16", file="hashes.sqlite")
    with on_disk(folder, EAGER):
        (note,) = verify(folder, CLASSIC).notes
        assert "Stop the node and verify again" in note
        assert (folder / "hashes.sqlite").exists()


def test_an_index_that_is_no_database_is_removed(folder: Path) -> None:
    (folder / "hashes.sqlite").write_bytes(b"nothing " * 2000)
    assert len(verify(folder, CLASSIC).notes) == 1
    assert verify(folder, CLASSIC).notes == ()


def test_a_reorg_between_two_pages_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside a running node: after every page the node switches branches, and verify goes back to what stands."""
    monkeypatch.setattr(module, "PAGE_BLOCKS", 3)
    with on_disk(tmp_path) as (store, _):
        commit(store, Append(BLOCKS[:12]))
        tips = [BLOCKS[11]]

        def turns() -> Iterator[None]:
            for turn, fork in enumerate((8, 1, 5, 0)):
                chain = store.headers(fork, 1)
                other = branch(
                    next(b for b in (GENESIS, *known) if b.hash == chain[0].hash), *(f"{turn}.{i}" for i in range(14))
                )
                known.extend(other)
                commit(
                    store,
                    AddSide(other),
                    switch(tips[-1], next(b for b in (GENESIS, *known) if b.hash == chain[0].hash), other[-1]),
                )
                tips.append(other[-1])
                yield

        known = list(BLOCKS)
        turning = turns()
        sound = verify(tmp_path, CLASSIC, progress=lambda _done, _of: next(turning, None))
        assert sound.tip == tips[-1].hash
        assert len(tips) == 5


def test_verify_beside_a_node_that_keeps_writing(folder: Path) -> None:
    with on_disk(folder) as (store, _):
        assert verify(folder, CLASSIC).blocks == 41
        commit(store, Append(branch(BLOCKS[-1], "one more")))
        assert verify(folder, CLASSIC, thorough=True).blocks == 42


def test_where_there_is_nothing_to_verify(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="There is no ledger"):
        verify(tmp_path, CLASSIC)
