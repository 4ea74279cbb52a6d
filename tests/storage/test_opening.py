"""Which folders open, which are refused, and what the refusal says."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tallystick.chain.writes import OWN, Append
from tallystick.errors import (
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreLockedError,
    StoreVersionError,
)
from tallystick.model.network import CLASSIC, Kind, Network
from tallystick.storage.opening import open_reader, open_store
from tallystick.storage.schema import SCHEMA_VERSION
from tests.storage.kit import GENESIS, branch, child, commit, on_disk

BLOCKS = branch(GENESIS, *(f"block {i}" for i in range(1, 21)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A stopped node's data folder with twenty blocks."""
    path = tmp_path / "data"
    with on_disk(path) as (store, _):
        commit(store, Append(BLOCKS, [OWN] * len(BLOCKS)))
    return path


def edit(folder: Path, sql: str) -> None:
    connection = sqlite3.connect(folder / "ledger.sqlite")
    connection.execute(sql)
    connection.commit()
    connection.close()


def reopen(path: Path) -> None:
    with on_disk(path):
        pass


def test_a_folder_is_made_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "data"
    with on_disk(path) as (store, _):
        commit(store, Append(BLOCKS))
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        names = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.iterdir()}
    assert set(names.values()) == {0o600}
    assert {"ledger.sqlite", "ledger.sqlite-wal", "hashes.sqlite", "ledger.lock"} <= set(names)


def test_a_folder_may_exist_and_hold_other_files(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    tmp_path.chmod(0o755)
    reopen(tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_a_stopped_node_leaves_one_file_for_each_database(folder: Path) -> None:
    assert {file.name for file in folder.iterdir()} == {"ledger.sqlite", "hashes.sqlite", "ledger.lock"}


def test_a_second_process_is_refused(folder: Path) -> None:
    """Catalogue row 105: two processes, one data folder: the second refuses, naming folder and process."""
    code = (
        "import sys; from pathlib import Path; from tallystick.storage.opening import open_store;"
        "from tallystick.model.network import CLASSIC; from tallystick.errors import StoreLockedError\n"
        "try: open_store(Path(sys.argv[1]), CLASSIC)\n"
        "except StoreLockedError as error: print(error)"
    )
    with on_disk(folder) as (store, _):
        told = subprocess.run([sys.executable, "-c", code, str(folder)], check=True, capture_output=True, text=True)
        assert f"The data folder {folder} is in use by process {os.getpid()}." in told.stdout
        with pytest.raises(StoreLockedError):
            open_store(folder, CLASSIC)
        commit(store, Append([child(BLOCKS[-1])]))
    reopen(folder)


def test_a_folder_is_free_again_after_a_failed_opening(folder: Path) -> None:
    edit(folder, "PRAGMA user_version = 99")
    for _ in range(2):
        with pytest.raises(StoreVersionError):
            open_store(folder, CLASSIC)


def test_a_newer_schema_is_refused_by_name_of_both_versions(folder: Path) -> None:
    """Catalogue row 106: an older program refuses a newer file."""
    edit(folder, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    said = f"schema version {SCHEMA_VERSION + 1}; this program knows versions up to {SCHEMA_VERSION}"
    for opening in (open_store, open_reader):
        with pytest.raises(StoreVersionError, match=said):
            opening(folder, CLASSIC)


def test_the_ledger_of_another_network_is_refused(folder: Path) -> None:
    other = Network(Kind.CLASSIC, "other", child(GENESIS, "another beginning"))
    for opening in (open_store, open_reader):
        with pytest.raises(StoreVersionError, match=rf"belongs to the network '{GENESIS.hash}', not to 'other'"):
            opening(folder, other)


@pytest.mark.parametrize("content", [b"no database, " * 1000, b"\0" * 8192, b"SQLite format 3\0" + b"\xff" * 9000])
def test_a_file_that_is_no_database_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ledger.sqlite").write_bytes(content)
    for opening in (open_store, open_reader):
        with pytest.raises(StoreCorruptError, match=r"ledger\.sqlite"):
            opening(tmp_path, CLASSIC)
    assert (tmp_path / "ledger.sqlite").read_bytes() == content


def test_a_database_of_somebody_else_is_refused_and_not_touched(tmp_path: Path) -> None:
    edit(tmp_path, "CREATE TABLE t (a)")
    before = (tmp_path / "ledger.sqlite").read_bytes()
    with pytest.raises(StoreCorruptError, match="no ledger"):
        open_store(tmp_path, CLASSIC)
    assert (tmp_path / "ledger.sqlite").read_bytes() == before


def test_an_empty_file_is_a_beginning(tmp_path: Path) -> None:
    """A node that died before its first transaction left just that."""
    (tmp_path / "ledger.sqlite").touch()
    reopen(tmp_path)


@pytest.mark.parametrize("left", ["hashes.sqlite", "ledger.sqlite-wal"])
def test_a_missing_ledger_is_not_replaced_by_an_empty_one(tmp_path: Path, left: str) -> None:
    """Catalogue row 102: a missing file is noticed by what is left beside it."""
    (tmp_path / left).write_bytes(b"x" * 5000)
    with pytest.raises(StoreCorruptError, match=r"ledger\.sqlite is missing, though .* shows that it was there"):
        open_store(tmp_path, CLASSIC)
    assert not (tmp_path / "ledger.sqlite").exists()


def test_the_newest_blocks_are_recomputed(folder: Path) -> None:
    edit(folder, "UPDATE blocks SET data = 'forged' WHERE idx = 17")
    with pytest.raises(StoreCorruptError, match=r"Block 17 in .* does not match its hash") as refused:
        open_store(folder, CLASSIC)
    assert refused.value.index == 17
    edit(folder, "UPDATE blocks SET data = 'block 17' WHERE idx = 17")
    edit(folder, "DELETE FROM blocks WHERE idx = 18")
    with pytest.raises(StoreCorruptError) as refused:
        open_store(folder, CLASSIC)
    assert refused.value.index == 19


def test_a_ledger_without_its_genesis_block_is_refused(folder: Path) -> None:
    edit(folder, "DELETE FROM blocks WHERE idx = 0")
    with pytest.raises(StoreCorruptError, match="genesis"):
        open_store(folder, CLASSIC)


@pytest.mark.parametrize("key", ["network", "side_bytes", "indexed_to", "pair"])
def test_a_missing_setting_is_damage(folder: Path, key: str) -> None:
    edit(folder, f"DELETE FROM meta WHERE key = '{key}'")  # noqa: S608 - from the list above
    with pytest.raises(StoreCorruptError, match=key):
        open_store(folder, CLASSIC)
    assert [file.path for file in psutil.Process().open_files() if str(folder) in file.path] == []


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    for opening in (open_store, open_reader):
        with pytest.raises(StoreError, match="data"):
            opening(tmp_path / "data", CLASSIC)
    with pytest.raises(StoreError, match="name a folder"):
        open_store(tmp_path / "data", CLASSIC)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
@pytest.mark.parametrize("opening", [open_store, open_reader])
def test_a_folder_that_cannot_be_written(folder: Path, opening: Callable[..., object]) -> None:
    folder.chmod(0o500)
    try:
        if opening is open_reader:
            reader = open_reader(folder, CLASSIC)
            assert reader.tip().index == 20
            reader.close()
        else:
            with pytest.raises((StoreError, StoreFullError)):
                opening(folder, CLASSIC)
    finally:
        folder.chmod(0o700)


# --- looking ---------------------------------------------------------------------------------------


def test_looking_where_there_is_no_ledger_creates_none(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="There is no ledger in"):
        open_reader(tmp_path / "data", CLASSIC)
    assert list(tmp_path.iterdir()) == []


def test_looking_at_a_stopped_node_changes_nothing(folder: Path) -> None:
    before = {name: (folder / name).read_bytes() for name in ("ledger.sqlite", "hashes.sqlite")}
    reader = open_reader(folder, CLASSIC)
    assert list(reader.page(1, 99)) == BLOCKS
    found = reader.find(BLOCKS[3].hash)
    assert found is not None
    assert found.block == BLOCKS[3]
    assert reader.find("ab" * 32) is None
    reader.close()
    assert {name: (folder / name).read_bytes() for name in before} == before
    reopen(folder)


def test_looking_beside_a_running_node_sees_what_it_commits(folder: Path) -> None:
    with on_disk(folder) as (store, _):
        reader = open_reader(folder, CLASSIC)
        more = branch(BLOCKS[-1], "more", "still more")
        commit(store, Append(more[:1]))
        assert reader.tip().hash == more[0].hash
        found = reader.find(more[0].hash)
        assert found is not None
        assert not found.orphaned
        commit(store, Append(more[1:]))
        assert reader.tip().hash == more[1].hash
        reader.close()


def test_looking_at_what_a_killed_node_left_reads_its_log(folder: Path, tmp_path: Path) -> None:
    with on_disk(folder) as (store, _):
        (block,) = branch(BLOCKS[-1], "only in the log")
        commit(store, Append([block]))
        copy = tmp_path / "killed"
        copy.mkdir()
        for name in ("ledger.sqlite", "ledger.sqlite-wal"):
            (copy / name).write_bytes((folder / name).read_bytes())
    reader = open_reader(copy, CLASSIC)
    assert reader.tip().hash == block.hash
    reader.close()
    with on_disk(copy) as (_, look):
        assert look.tip().hash == block.hash


def test_people_read_the_chain_with_any_sql_tool(folder: Path) -> None:
    connection = sqlite3.connect(folder / "ledger.sqlite")
    rows = connection.execute(
        'SELECT "index", previous_hash, timestamp, data, hash FROM chain ORDER BY "index"'
    ).fetchall()
    connection.close()
    assert rows == [(b.index, b.previous_hash, b.timestamp, b.data, b.hash) for b in (GENESIS, *BLOCKS)]


def test_no_reader_keeps_the_log_from_being_cut(folder: Path) -> None:
    """A read transaction left open between calls would let the log grow for ever."""
    with on_disk(folder) as (store, reader):
        tip = BLOCKS[-1]
        reader.page(0, 1)
        reader.find(tip.hash)
        reader.forks(3)
        for _ in range(300):
            block = child(tip, "x" * 30_000)
            commit(store, Append([block]))
            reader.page(tip.index - 3, 2)
            tip = block
        assert (folder / "ledger.sqlite-wal").stat().st_size < 3 * 4096 * 1000


def replace(folder: Path) -> None:
    shutil.copy(folder / "ledger.sqlite", folder / "copy")
    (folder / "copy").rename(folder / "ledger.sqlite")


@pytest.mark.parametrize("vanish", [lambda folder: (folder / "ledger.sqlite").unlink(), replace, shutil.rmtree])
@pytest.mark.skipif(os.name != "posix", reason="elsewhere an open file cannot be removed")
def test_nothing_is_acknowledged_once_the_ledger_is_not_there_any_more(
    folder: Path, vanish: Callable[[Path], None]
) -> None:
    """What was written to a file without a name is gone when it is closed."""
    store, reader = open_store(folder, CLASSIC)
    try:
        vanish(folder)
        for _ in range(2):
            with pytest.raises(StoreError, match=r"ledger\.sqlite was removed or replaced .* start again"):
                commit(store, Append([child(BLOCKS[-1], "lost?")], [OWN]))
            store.rollback()
    finally:
        reader.close()
        store.close()
