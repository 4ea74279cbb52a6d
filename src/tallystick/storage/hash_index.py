"""Where the block of a given hash stands: an index written behind the chain.

Hashes are random keys. Writing each into a tree as its block is mined would touch a random page per
block and cost more than the block (docs/decisions/0003-hash-index.md). So the index is *derived*: it lives
in a file of its own, holds 8-byte prefixes only, and is written in sorted batches by a background thread,
a while after the blocks. A batch is one statement that reads the ledger, sorts and writes: SQLite does all of it
without the interpreter, which the other threads have to themselves. Three ranges of the best chain are told apart:

    0 ......... indexed_to ......... covered_from ......... tip
    in the file              the gap              in memory

The gap is empty but for a while after the index was lost, or while blocks pour in faster than the thread
writes; there a look-up reads the blocks themselves. Whatever the index says is a *candidate*: the caller
compares the whole hash with the block at that index, so entries of blocks that left the chain do no harm
and are never removed.

`indexed_to` is kept in the ledger, in the transaction of the blocks it speaks of, and moves only after
the index is durable. A switch of branches lowers it to the fork. The two files know each other by a `pair`:
an index that belongs to another ledger, or to an earlier life of this one, is built anew.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

import structlog

from tallystick.errors import StoreError
from tallystick.model.limits import Limits
from tallystick.storage.database import Database
from tallystick.storage.folder import DataFolder, create_file, told
from tallystick.storage.schema import NOTHING_INDEXED, read_count, read_meta, write_meta

_log: Final = structlog.get_logger("tallystick.storage")

PREFIX_BYTES: Final = 8
"""Of a hash so much is kept. Among a billion blocks two share it with a chance of 3 %, and that does no harm."""

SORTING_KIB: Final = 4_000
"""Memory of the connection that copies. `Limits.index_batch` entries of about 40 bytes are sorted within it; with less
SQLite would write them to a temporary file."""

Memory = dict[bytes, int | tuple[int, ...]]
"""Prefix to index; to several where prefixes collide, which somebody may have worked for."""


def _all_of(entry: int | tuple[int, ...]) -> tuple[int, ...]:
    return entry if isinstance(entry, tuple) else (entry,)


def _add(memory: Memory, prefix: bytes, index: int) -> None:
    known = memory.setdefault(prefix, index)
    if known != index and index not in _all_of(known):
        memory[prefix] = (*_all_of(known), index)


def _add_all(memory: Memory, first: int, keys: Sequence[bytes]) -> None:
    """Add blocks from `first` on. Every block passes here, so the usual case, a new prefix, is met without a call."""
    for index, key in enumerate(keys, first):
        prefix = key[:PREFIX_BYTES]
        if memory.setdefault(prefix, index) != index:
            _add(memory, prefix, index)


def prefix_of(key: bytes) -> bytes:
    """The part of a hash that the index keeps."""
    return key[:PREFIX_BYTES]


class Finder(Protocol):
    """What a reader asks: where might the block of that hash stand?"""

    def candidates(self, key: bytes) -> Iterable[int]:
        """Indexes at which the block may stand, unless it stands in the gap."""

    def gap(self) -> tuple[int, int]:
        """(after, upto): blocks in between are in no index and must be compared one by one."""


class IndexFile:
    """One connection to `hashes.sqlite`, in one of the modes of `Database.open`."""

    def __init__(self, path: Path, mode: str) -> None:
        self._database = Database.open_to_look(path) if mode == "ro" else Database.open(path, mode=mode)

    @classmethod
    def create(cls, folder: DataFolder, pair: str) -> None:
        """A new, empty index in place of whatever is there. Raises StoreError."""
        folder.drop_hashes()
        with told(folder.hashes):
            create_file(folder.hashes)
        file = cls(folder.hashes, "rw")
        try:
            database = file._database
            database.all("PRAGMA journal_mode = WAL")
            database.write("BEGIN IMMEDIATE")
            database.write("CREATE TABLE prefixes (prefix BLOB, idx INTEGER, PRIMARY KEY (prefix, idx)) WITHOUT ROWID")
            database.write("CREATE TABLE meta (key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID")
            database.write("INSERT INTO meta (key, value) VALUES ('pair', ?)", (pair,))
            database.write("COMMIT")
        finally:
            file.close()

    def pair(self) -> str:
        """What this index belongs to. Raises StoreError when the file is no index."""
        return str(read_meta(self._database, "pair"))

    def candidates(self, key: bytes) -> list[int]:
        return [idx for (idx,) in self._database.all("SELECT idx FROM prefixes WHERE prefix = ?", (prefix_of(key),))]

    def missing(self, blocks: Sequence[tuple[int, bytes]]) -> list[int]:
        """Those of some hundred blocks (index, hash) that it does not know, in one statement."""
        asked = ",".join(["(?, ?)"] * len(blocks))
        known = "SELECT 1 FROM prefixes p WHERE p.prefix = asked.prefix AND p.idx = asked.idx"
        rows = self._database.all(
            f"WITH asked (idx, prefix) AS (VALUES {asked}) SELECT idx FROM asked WHERE NOT EXISTS ({known})",  # noqa: S608 - constants
            [part for index, key in blocks for part in (index, prefix_of(key))],
        )
        return [index for (index,) in rows]

    def check_pages(self) -> None:
        """SQLite's own check of the file. Raises StoreCorruptError."""
        self._database.check_pages()

    def follow(self, ledger: Path) -> None:
        """Say whose blocks `copy` reads. Raises StoreError."""
        self._database.attach(ledger, "ledger")
        self._database.all(f"PRAGMA cache_size = -{SORTING_KIB}")

    def copy(self, after: int, upto: int) -> None:
        """Add the blocks of a range, as far as they are committed, and make them durable."""
        self._database.write("BEGIN IMMEDIATE")
        self._database.write(
            """INSERT OR IGNORE INTO prefixes (prefix, idx)
               SELECT substr(hash, 1, ?) AS prefix, idx FROM ledger.blocks
               WHERE idx > ? AND idx <= ? AND typeof(hash) = 'blob' ORDER BY prefix, idx""",
            (PREFIX_BYTES, after, upto),
        )
        self._database.write("COMMIT")

    def close(self) -> None:
        self._database.close()


class HashIndex:
    """The index of a store that is open for writing. Owned by the store, shared with its reader."""

    def __init__(self, folder: DataFolder, ledger: Database, limits: Limits) -> None:
        self._folder = folder
        self._limits = limits
        self._file: IndexFile | None = _paired_file(folder, ledger)
        self._job: _Job | None = None
        self._ceiling = 0
        """The running job may not move `indexed_to` beyond this: blocks above it were replaced since it began."""
        try:
            self.load(ledger)
        except BaseException:
            self.close()
            raise

    def load(self, ledger: Database) -> None:
        """Take up the state the ledger has on disk: at opening, and after a batch was dropped."""
        (tip,) = ledger.one("SELECT max(idx) FROM blocks")
        self.indexed_to = min(read_count(ledger, "indexed_to"), tip) if self._file is not None else NOTHING_INDEXED
        self._committed_tip = tip
        self._older: Memory = {}
        self._newer: Memory = {}
        self._older_upto = NOTHING_INDEXED
        self._covered_from = tip
        if tip - self.indexed_to <= 2 * self._limits.index_batch:
            with ledger.each("SELECT idx, hash FROM blocks WHERE idx > ?", (self.indexed_to,)) as rows:
                for index, key in rows:
                    if isinstance(key, bytes):
                        _add(self._newer, prefix_of(key), index)
            self._covered_from = self.indexed_to
        self._ceiling = min(self._ceiling, tip)

    # --- looking up ----------------------------------------------------------------------------

    def candidates(self, key: bytes) -> Iterator[int]:
        prefix = prefix_of(key)
        for memory in (self._newer, self._older):
            yield from _all_of(memory.get(prefix, ()))
        if self._file is not None:
            try:
                yield from self._file.candidates(key)
            except StoreError as error:
                self._put_aside(error)

    def gap(self) -> tuple[int, int]:
        return self.indexed_to, max(self._covered_from, self.indexed_to)

    # --- following the chain -------------------------------------------------------------------

    def extended(self, first: int, keys: Sequence[bytes]) -> None:
        """Blocks of these hashes joined the chain, from the index `first` on."""
        batch = self._limits.index_batch
        for start in range(0, len(keys), batch):
            part = keys[start : start + batch]
            if len(self._newer) + len(self._older) + len(part) > 2 * batch:
                self._older, self._newer = {}, {}
                self._covered_from = max(self._covered_from, self._committed_tip, first + start - 1)
            _add_all(self._newer, first + start, part)

    def rewound(self, fork: int) -> None:
        """Blocks after `fork` leave the chain; what takes their place is told by `extended`.

        The blocks that leave stay known, in the file and in memory: until the commit, readers still see them.
        """
        if self._covered_from <= self.indexed_to:  # no gap, and none will come: memory takes up from the fork
            self._covered_from = min(self._covered_from, fork)
        self.indexed_to = min(self.indexed_to, fork)
        self._ceiling = min(self._ceiling, fork)

    def committed(self, tip: int) -> None:
        """The chain up to `tip` is durable: let the index follow when enough has come together."""
        self._committed_tip = tip
        self.settle()
        if self._job is None and self._file is not None and tip - self.indexed_to >= self._limits.index_batch:
            for prefix, entry in self._older.items():
                for index in _all_of(entry):
                    _add(self._newer, prefix, index)
            self._older, self._newer = self._newer, {}
            self._older_upto = self._ceiling = tip
            self._job = _Job(self._folder, self.indexed_to + 1, tip, self._limits.index_batch)

    def settle(self) -> None:
        """Take note of what the running job has made durable. Called inside a batch, which then records it."""
        job = self._job
        if job is None:
            return
        done = not job.is_alive()  # asked first: what is durable by then is final
        self.indexed_to = max(self.indexed_to, min(job.durable_to, self._ceiling))
        if self.indexed_to >= self._older_upto:
            self._older = {}
            self._covered_from = max(self._covered_from, self._older_upto)
        if done:
            self._job = None
            if job.failure is not None:
                self._put_aside(job.failure)

    def record(self, ledger: Database, stored: int) -> int:
        """Write `indexed_to` into the running transaction if it differs from `stored`; returns what is stored now."""
        self.settle()
        if self.indexed_to != stored:
            if self._file is None:
                write_meta(ledger, "pair", "")  # no file will match this: the next start builds a new one
            write_meta(ledger, "indexed_to", self.indexed_to)
        return self.indexed_to

    def wait(self) -> None:
        """Wait until the running job is done."""
        if self._job is not None:
            self._job.join()

    def close(self) -> None:
        """Stop the job at its next page and let go of the file. Idempotent."""
        if self._job is not None:
            self._job.stop()
            self._job.join()
            self._job = None
        if self._file is not None:
            self._file.close()
            self._file = None

    def _put_aside(self, why: StoreError) -> None:
        """The file failed us. It is derived: do without until the next start builds a new one."""
        if self._file is None:
            return
        _log.warning("the index of hashes failed; finding blocks by hash is slow until the next start", why=str(why))
        self._file.close()
        self._file = None
        self.indexed_to = self._ceiling = NOTHING_INDEXED  # whatever the running job still writes there


class _Job(threading.Thread):
    """Copies hashes of committed blocks `first .. last` into the index, a batch at a time, on its own connection."""

    def __init__(self, folder: DataFolder, first: int, last: int, batch: int) -> None:
        super().__init__(name="tallystick-hash-index", daemon=True)
        self._folder = folder
        self._last = last
        self._batch = batch
        self._stopped = threading.Event()
        self.durable_to = first - 1
        """Blocks up to this one are in the index, for good. Written here, read by the owner."""
        self.failure: StoreError | None = None
        self.start()

    def stop(self) -> None:
        self._stopped.set()

    def run(self) -> None:
        try:
            self._copy()
        except StoreError as error:
            self.failure = error

    def _copy(self) -> None:
        index = IndexFile(self._folder.hashes, "rw")
        try:
            index.follow(self._folder.ledger)
            while self.durable_to < self._last and not self._stopped.is_set():
                upto = min(self.durable_to + self._batch, self._last)
                index.copy(self.durable_to, upto)
                self.durable_to = upto
        finally:
            index.close()


def _paired_file(folder: DataFolder, ledger: Database) -> IndexFile:
    """The index that belongs to this ledger: the one that is there, or a new and empty one. Raises StoreError."""
    pair = str(read_meta(ledger, "pair"))
    if pair and folder.hashes.exists():
        with suppress(StoreError):
            file = IndexFile(folder.hashes, "look")
            if _belongs(file, pair):
                return file
            file.close()
    pair = secrets.token_hex(16)
    IndexFile.create(folder, pair)
    ledger.write("BEGIN IMMEDIATE")
    write_meta(ledger, "pair", pair)
    write_meta(ledger, "indexed_to", NOTHING_INDEXED)
    ledger.write("COMMIT")
    return IndexFile(folder.hashes, "look")


def _belongs(file: IndexFile, pair: str) -> bool:
    try:
        return file.pair() == pair
    except StoreError:
        return False


class NoIndex:
    """The finder of those who only look, and seldom for a hash: they compare the blocks one by one."""

    def __init__(self, ledger: Database) -> None:
        self._ledger = ledger

    def candidates(self, _key: bytes) -> tuple[int, ...]:
        return ()

    def gap(self) -> tuple[int, int]:
        (tip,) = self._ledger.one("SELECT max(idx) FROM blocks")
        return NOTHING_INDEXED, tip
