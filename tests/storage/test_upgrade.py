"""A ledger of an earlier version of this program is brought up to date when a node opens it, and loses nothing."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from tallystick.chain.writes import AddSide, Append, RememberBan
from tallystick.errors import StoreCorruptError
from tallystick.model.network import CLASSIC
from tallystick.storage.backup import backup
from tallystick.storage.opening import open_reader
from tallystick.storage.schema import SCHEMA_VERSION
from tallystick.storage.verify import verify
from tests.storage.deaths import remains_of
from tests.storage.kit import Twin, branch, check_reader, check_view, commit, on_disk
from tests.storage.script import LIMITS, batches, play, states

VERSION_1 = """
CREATE TABLE blocks (
         idx INTEGER PRIMARY KEY, hash BLOB NOT NULL, timestamp INTEGER NOT NULL, mark BLOB, data TEXT NOT NULL);
CREATE TABLE side (
         seq INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, idx INTEGER NOT NULL, previous_hash BLOB NOT NULL,
         timestamp INTEGER NOT NULL, run INTEGER NOT NULL, bytes INTEGER NOT NULL, mark BLOB, data TEXT NOT NULL);
CREATE INDEX side_children ON side (previous_hash);
CREATE INDEX side_runs ON side (run, idx);
CREATE INDEX side_foreign ON side (seq, bytes) WHERE mark IS NULL;
CREATE TABLE tips (seq INTEGER PRIMARY KEY);
CREATE TABLE lost (idx INTEGER, hash BLOB, PRIMARY KEY (idx, hash)) WITHOUT ROWID;
CREATE TABLE carriers (duty BLOB, idx INTEGER, hash BLOB, PRIMARY KEY (duty, idx, hash)) WITHOUT ROWID;
CREATE TABLE path (idx INTEGER PRIMARY KEY, seq INTEGER NOT NULL);
CREATE TABLE peers (seq INTEGER PRIMARY KEY, address TEXT NOT NULL UNIQUE);
CREATE TABLE meta (key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
CREATE VIEW chain AS
         SELECT b.idx AS "index", CASE WHEN p.hash IS NULL THEN '0' ELSE lower(hex(p.hash)) END AS previous_hash,
                b.timestamp, b.data, lower(hex(b.hash)) AS hash
         FROM blocks b LEFT JOIN blocks p ON p.idx = b.idx - 1;
PRAGMA application_id = 1414745137;
PRAGMA user_version = 1;
PRAGMA journal_mode = WAL;
"""
"""How schema version 1 laid out a ledger."""

VERSION_2 = VERSION_1.replace(
    "CREATE TABLE path (idx INTEGER PRIMARY KEY, seq INTEGER NOT NULL);",
    """CREATE TABLE staged (
         seq INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, idx INTEGER NOT NULL, previous_hash BLOB NOT NULL,
         timestamp INTEGER NOT NULL, data TEXT NOT NULL);
CREATE TABLE path (idx INTEGER PRIMARY KEY, staged INTEGER NOT NULL, seq INTEGER NOT NULL);
CREATE TABLE bans (seq INTEGER PRIMARY KEY, subject TEXT NOT NULL UNIQUE);""",
).replace("user_version = 1", "user_version = 2")
"""Likewise version 2, which stages branches and keeps bans."""

HASHES_1 = """
CREATE TABLE prefixes (prefix INTEGER, idx INTEGER, PRIMARY KEY (prefix, idx)) WITHOUT ROWID;
CREATE TABLE meta (key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
INSERT INTO meta (key, value) VALUES ('pair', 'these two');
"""
"""How the index of hashes was laid out beside it."""

BATCHES = 7
"""So much of the story has forks, lost duties and remembered peers, and nothing that version 1 did not know."""


HASHES_2 = HASHES_1.replace("prefix INTEGER", "prefix BLOB")


def make_old(folder: Path, number: int) -> None:
    """The folder of a stopped node of an earlier version."""
    now = folder.with_name("now")
    with on_disk(now, LIMITS) as (store, _):
        play(store, batches()[:BATCHES])
    folder.mkdir()
    old = sqlite3.connect(folder / "ledger.sqlite")
    old.executescript(VERSION_1 if number == 1 else VERSION_2)
    old.execute("ATTACH ? AS now", (str(now / "ledger.sqlite"),))
    for table in ("blocks", "side", "tips", "lost", "carriers", "peers"):
        old.execute(f"INSERT INTO {table} SELECT * FROM now.{table}")  # noqa: S608 - from the list above
    old.execute("INSERT INTO meta SELECT * FROM now.meta WHERE key IN ('network', 'side_bytes', 'indexed_to', 'pair')")
    old.execute("UPDATE meta SET value = 'these two' WHERE key = 'pair'")
    old.execute("UPDATE meta SET value = 3 WHERE key = 'indexed_to'")
    rows = old.execute("SELECT hash, idx FROM blocks WHERE idx <= 3").fetchall()
    old.commit()
    old.close()
    hashes = sqlite3.connect(folder / "hashes.sqlite")
    hashes.executescript(HASHES_1 if number == 1 else HASHES_2)
    prefixes = [(int.from_bytes(key[:8], "big", signed=True) if number == 1 else key[:8], index) for key, index in rows]
    hashes.executemany("INSERT INTO prefixes VALUES (?, ?)", prefixes)
    hashes.commit()
    hashes.close()
    shutil.rmtree(now)


@pytest.fixture(params=[1, 2])
def number(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def old(quick_path: Path, number: int) -> Path:
    make_old(quick_path / "old", number)
    return quick_path / "old"


@pytest.fixture(scope="module")
def twin() -> Twin:
    return states()[BATCHES]


def version(folder: Path) -> int:
    connection = sqlite3.connect(folder / "ledger.sqlite")
    (number,) = connection.execute("PRAGMA user_version").fetchone()
    connection.close()
    return int(number)


def layout(folder: Path) -> list[tuple[str, str]]:
    """Every table, index and view with its SQL."""
    connection = sqlite3.connect(folder / "ledger.sqlite")
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name").fetchall()
    connection.close()
    return [(name, " ".join(sql.split())) for name, sql in rows]


def test_an_old_ledger_is_brought_up_to_date_and_keeps_everything(old: Path, twin: Twin) -> None:
    with on_disk(old, LIMITS) as (store, reader):
        check_view(store, twin)
        check_reader(reader, twin)
        more = branch(twin.tip, *"abcdef")
        commit(store, Append(more[:1]), AddSide(more[1:], staged=True), RememberBan("203.0.113.7"))
        assert list(store.bans()) == ["203.0.113.7"]
    assert version(old) == SCHEMA_VERSION
    assert verify(old, CLASSIC, thorough=True).notes == ()
    with on_disk(old, LIMITS) as (store, reader):
        assert reader.tip().hash == more[0].hash
        assert list(store.bans()) == ["203.0.113.7"]


def test_an_upgraded_file_is_laid_out_like_a_new_one(old: Path, tmp_path: Path) -> None:
    for folder in (old, tmp_path):
        with on_disk(folder, LIMITS):
            pass
    assert layout(old) == layout(tmp_path)


def test_whoever_only_looks_reads_an_old_ledger_and_leaves_it_as_it_is(old: Path, twin: Twin) -> None:
    before = {file.name: file.read_bytes() for file in old.iterdir() if file.suffix == ".sqlite"}
    reader = open_reader(old, CLASSIC, LIMITS)
    check_reader(reader, twin)
    reader.close()
    assert verify(old, CLASSIC, thorough=True).notes == (), "its index is in another form, and not judged"
    assert backup(old, old.with_name("copy.sqlite"), CLASSIC) == twin.tip.index
    assert {name: (old / name).read_bytes() for name in before} == before
    old.with_name("again").mkdir()
    old.with_name("copy.sqlite").rename(old.with_name("again") / "ledger.sqlite")
    with on_disk(old.with_name("again"), LIMITS) as (store, _):
        check_view(store, twin)


@pytest.mark.parametrize("never", [0, -1])
def test_a_version_that_never_was_is_damage(old: Path, never: int) -> None:
    connection = sqlite3.connect(old / "ledger.sqlite")
    connection.execute(f"PRAGMA user_version = {never}")
    connection.close()
    with pytest.raises(StoreCorruptError, match=f"has schema version {never}, which there never was"):
        open_reader(old, CLASSIC)


def test_a_process_that_dies_while_it_upgrades_leaves_the_old_file_or_the_new_one(
    old: Path, twin: Twin, number: int
) -> None:
    """Catalogue row 99: death before every write step of the upgrade, and after those that commit."""
    folder = old.with_name("live")
    shutil.copytree(old, folder)
    remains = remains_of(folder, CLASSIC, LIMITS)
    assert {version(copy) for copy in remains.copies} == {number, SCHEMA_VERSION}
    assert remains.steps > 8, "every step of the upgrade must have been visited"
    for folder in remains.copies:
        with on_disk(folder, LIMITS) as (store, reader):
            check_view(store, twin)
            check_reader(reader, twin)
        assert version(folder) == SCHEMA_VERSION
        assert verify(folder, CLASSIC, thorough=True).notes == ()
