"""Cells of a ledger of records that hold what no program of ours wrote: told as damage, and never a traceback."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from tallystick.chain.writes import AddRecords, AddSide, Append, DropStaged, Erase, Write
from tallystick.errors import StoreError
from tallystick.storage.reader import SqliteReader
from tallystick.storage.sqlite import SqliteStore
from tallystick.storage.verify import verify
from tests.storage.kit import commit, switch
from tests.storage.sealed_blocks import GENESIS, NETWORK, branch, records, sealed_on_disk

R: Final = records("r", 20)
FIRST: Final = branch(GENESIS, R[:2], [], R[2:5], [R[5]])
BEST: Final = [GENESIS, *FIRST[:2], *branch(FIRST[1], [R[3], R[6]], R[7:9], [], [R[9]], variant=1)]
ASIDE: Final = branch(BEST[4], [R[10]], [R[2], R[11]], variant=2)
STAGED: Final = branch(BEST[2], [R[12], R[5]], [R[13]], variant=3)
NEXT: Final = branch(BEST[-1], [R[14]])


def build(folder: Path) -> None:
    """A chain that took the place of another, with records in the log, pending, aside, staged and erased."""
    with sealed_on_disk(folder) as (store, _):
        commit(store, AddRecords([*R[:3], R[16], R[17]]), Append(FIRST))
        commit(store, AddSide(BEST[3:]), switch(FIRST[-1], BEST[2], BEST[-1]))
        commit(store, AddSide(ASIDE), Erase(R[7].id), Erase(R[10].id))
        commit(store, AddSide(STAGED, staged=True))


def edit(folder: Path, statement: str, *values: object) -> None:
    """Change a ledger whose columns take whatever is put into them."""
    connection = sqlite3.connect(folder / "ledger.sqlite")
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute("UPDATE sqlite_master SET sql = replace(sql, ' NOT NULL', '') WHERE type = 'table'")
    connection.commit()
    connection.execute("PRAGMA writable_schema = RESET")
    connection.execute(statement, values)
    connection.commit()
    connection.close()


def reads(_: SqliteStore, reader: SqliteReader) -> None:
    """Every look-up there is; each ends well or with a StoreError."""
    hashes = [block.hash for block in (*BEST, *FIRST[2:], *ASIDE, *STAGED)]
    looks: list[Callable[[], object]] = [lambda: reader.page(0, 100), lambda: reader.forks(10)]
    looks += [partial(reader.find, hash) for hash in hashes]
    looks += [partial(reader.block, index) for index in range(8)]
    looks += [partial(reader.records_of, record.id) for record in R]
    looks += [partial(reader.records, after, 3) for after in range(10)]
    for look in looks:
        with suppress(StoreError):
            look()


def runs(store: SqliteStore, _: SqliteReader) -> None:
    """What a node writes next. Raises StoreError."""
    batches: list[list[Write]] = [
        [AddRecords([R[18]]), Append(NEXT)],
        [switch(NEXT[0], BEST[2], FIRST[-1])],
        [DropStaged(), AddSide(branch(ASIDE[-1], [R[19]]))],
        [switch(FIRST[-1], BEST[2], ASIDE[-1])],
    ]
    for batch in batches:
        commit(store, *batch)


def is_told(use: Callable[[], object]) -> bool:
    try:
        use()
    except StoreError:
        return True
    return False


def opened(folder: Path, use: Callable[[SqliteStore, SqliteReader], None]) -> None:
    with sealed_on_disk(folder) as (store, reader):
        use(store, reader)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE logged SET count = NULL WHERE idx = 6",
        "UPDATE logged SET count = x'00' WHERE idx = 1",
        "UPDATE logged SET idx = 'text' WHERE idx = 1",
        "UPDATE logged SET position = 'text' WHERE idx = 6",
        "UPDATE pool SET count = x'00'",
        "UPDATE aside SET count = 1152921504606846976",
        "UPDATE aside SET count = 1.5",
        "UPDATE aside SET side = x'00'",
        "UPDATE aside SET staged = NULL",
        "UPDATE side SET run = x'00'",
        "UPDATE side SET run = NULL",
        "UPDATE side SET timestamp = -1",
        "UPDATE side SET idx = 'text'",
        "UPDATE side SET idx = -9223372036854775808",
        "UPDATE side SET bytes = 9223372036854775807",
        "UPDATE meta SET value = 9223372036854775807 WHERE key = 'side_bytes'",
    ],
)
def test_a_cell_of_the_wrong_kind_is_told_as_damage(statement: str, tmp_path: Path) -> None:
    build(tmp_path)
    edit(tmp_path, statement)
    with suppress(StoreError):
        opened(tmp_path, reads)
    by_verify = is_told(lambda: verify(tmp_path, NETWORK))
    assert is_told(lambda: opened(tmp_path, runs)) or by_verify


def test_a_record_that_is_only_staged_is_shown_to_nobody_be_it_damaged_or_not(tmp_path: Path) -> None:
    """`verify` does not look at what is staged, so whoever reads must not either."""
    build(tmp_path)
    edit(tmp_path, "UPDATE records SET data = NULL WHERE id = ?", R[13].id)
    verify(tmp_path, NETWORK)
    with sealed_on_disk(tmp_path) as (_, reader):
        assert reader.records_of(R[13].id) == []
