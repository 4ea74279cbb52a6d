"""Yardsticks of all that reads and writes ledgers: SQLite, hashlib and msgspec, bare.

Each does the least that anybody would have to do for the same: the same rows into the same schema in the same batches,
or the same rows out of it. Nothing is checked, nobody could read meanwhile, and rows that can be made beforehand are.
What comes back are seconds.
"""

from __future__ import annotations

import sqlite3
import statistics
import time
from collections.abc import Sequence
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

from tallystick.bench.ledgers import PER_COMMIT
from tallystick.model.block import Block
from tallystick.model.limits import LIMITS
from tallystick.model.network import CLASSIC, Network
from tallystick.model.record import Record
from tallystick.model.sealed import SealedBlock
from tallystick.storage.content import encode
from tallystick.storage.database import Database
from tallystick.storage.folder import DataFolder
from tallystick.storage.opening import open_store
from tallystick.storage.record_rows import inserts
from tallystick.storage.sqlite import INSERT_UNMARKED

INSERT_PREFIX: Final = "INSERT INTO prefixes (prefix, idx) VALUES (?, ?)"
"""A row of the hash index."""

SEALED_PER_COMMIT: Final = 5
"""Sealed blocks that one reply brings, at some 100 KiB each."""

COMMITS: Final = 200

ROWS: Final = 1_000
"""Rows that are encoded at a time: a page of the API."""


def commit_ms(file: Path) -> float:
    """Milliseconds of a durable commit of one row, in the median."""
    took = []
    with closing(sqlite3.connect(file)) as database:
        database.executescript(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE rows (value INTEGER)"
        )
        for number in range(COMMITS):
            started = time.perf_counter()
            with database:
                database.execute("INSERT INTO rows VALUES (?)", (number,))
            took.append((time.perf_counter() - started) * 1_000)
    return statistics.median(took)


# --- writing ----------------------------------------------------------------------------------------


def insert(folder: Path, blocks: Sequence[Block], *, indexed: bool = True) -> float:
    """Insert the rows of `blocks`, which follow genesis, into a new ledger in `folder`.

    One durable commit for each `PER_COMMIT` of them, and with `indexed` one more for each `Limits.index_batch`; of what
    is left over the store keeps the prefixes of hashes in memory, and nobody writes them here. One connection after the
    other is written, in one thread.
    """
    files = _new(folder, CLASSIC)
    ledger, hashes = Database.open(files.ledger), Database.open(files.hashes)
    rows = [(b.index, bytearray.fromhex(b.hash), b.timestamp, b.data) for b in blocks]
    try:
        started = time.perf_counter()
        waiting = 0
        for start in range(0, len(rows), PER_COMMIT):
            _commit(ledger, [(INSERT_UNMARKED, rows[start : start + PER_COMMIT])])
            end = min(start + PER_COMMIT, len(rows))
            if indexed and end - waiting >= LIMITS.index_batch:
                prefixes = sorted((bytes(key[:8]), index) for index, key, *_ in rows[waiting:end])
                _commit(hashes, [(INSERT_PREFIX, prefixes)])
                waiting = end
        return time.perf_counter() - started
    finally:
        ledger.close()
        hashes.close()


def insert_records(folder: Path, of: Network, blocks: Sequence[SealedBlock]) -> float:
    """Insert the rows of these blocks and their records into a new ledger, with the store's statements and a commit for
    each reply's worth of blocks."""
    ledger = Database.open(_new(folder, of).ledger)
    batches = []
    place = 1
    for start in range(0, len(blocks), SEALED_PER_COMMIT):
        rows: list[tuple[object, ...]] = []
        records: list[Record] = []
        for block in blocks[start : start + SEALED_PER_COMMIT]:
            content = bytearray(encode(block, [(place + len(records), len(block.records))]))
            rows.append((block.index, bytearray.fromhex(block.hash), block.timestamp, content))
            records += block.records
        batches.append([*inserts(place, records), (INSERT_UNMARKED, rows)])
        place += len(records)
    try:
        started = time.perf_counter()
        for batch in batches:
            _commit(ledger, batch)
        return time.perf_counter() - started
    finally:
        ledger.close()


def _new(folder: Path, of: Network) -> DataFolder:
    store, reader = open_store(folder, of)
    reader.close()
    store.close()
    return DataFolder(folder)


def _commit(database: Database, batch: Sequence[tuple[str, Sequence[Sequence[object]]]]) -> None:
    database.write("BEGIN IMMEDIATE")
    for statement, rows in batch:
        database.write_many(statement, rows)
    database.write("COMMIT")


# --- reading ----------------------------------------------------------------------------------------


def hash_all(folder: Path) -> float:
    """Read all blocks of a classic ledger, hash the same bytes as `verify`, and look at nothing."""
    with closing(_ledger(folder)) as ledger:
        started = time.perf_counter()
        parent = "0"
        for index, timestamp, data in ledger.execute("SELECT idx, timestamp, data FROM blocks ORDER BY idx"):
            parent = sha256(f"{index}{parent}{timestamp}{data}".encode()).hexdigest()
        return time.perf_counter() - started


def encode_all(folder: Path) -> float:
    """Read them all and make JSON of them, as `GET /blocks` does, for nobody."""
    encoder, parent = msgspec.json.Encoder(), "0"
    with closing(_ledger(folder)) as ledger:
        started = time.perf_counter()
        rows = ledger.execute("SELECT idx, hash, timestamp, data FROM blocks ORDER BY idx")
        while page := rows.fetchmany(ROWS):
            blocks = []
            for index, key, timestamp, data in page:
                hash = key.hex()
                blocks.append(Block(data, hash, index, parent, timestamp))
                parent = hash
            encoder.encode(blocks)
        return time.perf_counter() - started


def search_all(folder: Path, text: str) -> tuple[float, int]:
    """Look for a text in them all, newest first, without regard to case; and how many hold it."""
    needle, found = text.casefold(), 0
    with closing(_ledger(folder)) as ledger:
        started = time.perf_counter()
        for *_, data in ledger.execute("SELECT idx, hash, timestamp, data FROM blocks ORDER BY idx DESC"):
            found += needle in data.casefold()
        return time.perf_counter() - started, found


def _ledger(folder: Path) -> sqlite3.Connection:
    return sqlite3.connect(DataFolder(folder).ledger)
