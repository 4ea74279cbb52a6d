"""Committed state, for those who only look: a connection of its own, and no read transaction between calls.

Blocks that are staged (see `staged`) are not shown: they may never become part of anything.

Look-ups take 10 to 20 µs and are made inline, on the event loop. A long read is cut into pages by its
caller, so that the log never waits for a reader to be copied into the main file.
"""

from __future__ import annotations

from collections.abc import Sequence

from tallystick.chain.contracts import Arrival, Fork, Found, Passage, Shown
from tallystick.errors import StoreCorruptError
from tallystick.model.block import INDEX_MAX, Header
from tallystick.model.limits import Limits
from tallystick.model.log import Node
from tallystick.model.sealed import AnyBlock
from tallystick.storage import log_rows, passages, record_lookups
from tallystick.storage.bodies import Bodies
from tallystick.storage.database import Database, Row
from tallystick.storage.hash_index import Finder
from tallystick.storage.rows import asked_key, damaged
from tallystick.storage.side import DATA

BLOCK = "SELECT b.idx, b.hash, b.timestamp, b.data, p.hash FROM blocks b LEFT JOIN blocks p ON p.idx = b.idx - 1"
SIDE = f"SELECT s.idx, s.hash, s.timestamp, {DATA}, s.previous_hash, s.mark FROM side s"  # noqa: S608 - a constant


def read_blocks(database: Database, bodies: Bodies, first: int, count: int, size_bytes: int) -> list[AnyBlock]:
    """Blocks of the best chain at `first` and after: at most `count`, and no more than `size_bytes` of data, but at
    least one if there is one. Raises StoreCorruptError.

    `previous_hash` is the hash of the row before, so reading starts there. In the same statement, for between two
    of them branches may be switched.
    """
    first, count = min(max(first, 0), INDEX_MAX), min(count, INDEX_MAX)
    with database.each(
        """SELECT idx, hash, timestamp, CASE WHEN idx >= ?1 THEN data END FROM blocks
           WHERE idx >= ?1 - 1 AND idx < ?1 + ?2 ORDER BY idx""",
        (first, count),
    ) as rows:
        before = next(rows, None) if first else (-1, None)
        if before is None:
            return []
        if before[0] != first - 1:
            raise damaged(before[0])
        return bodies.run(database, rows, first, before[1], size_bytes)


def side_header(database: Database, bodies: Bodies, key: bytes, table: str) -> Header | None:
    """The header of this hash in `side` or `staged`."""
    columns = f"s.idx, s.hash, s.timestamp, s.previous_hash, {bodies.head('s')}"
    row = database.one(f"SELECT {columns} FROM {table} s WHERE s.hash = ?", (key,))  # noqa: S608 - constants
    return None if row is None else bodies.header(row)


class SqliteReader:
    """A `Reader` of a ledger file."""

    def __init__(self, database: Database, finder: Finder, bodies: Bodies, limits: Limits) -> None:
        self._database = database
        self._finder = finder
        self._bodies = bodies
        self._header = f"""SELECT b.idx, b.hash, b.timestamp, p.hash, {bodies.head("b")}
                           FROM blocks b LEFT JOIN blocks p ON p.idx = b.idx - 1"""  # noqa: S608 - one of two
        self._limits = limits

    def tip(self) -> Header:
        row = self._database.one(f"{self._header} ORDER BY b.idx DESC LIMIT 1")
        if row is None:
            raise StoreCorruptError(f"{self._database.path} holds no block at all. Restore it from a backup.", 0)
        return self._bodies.header(row)

    def header(self, index: int) -> Header | None:
        if not 0 <= index <= INDEX_MAX:
            return None
        row = self._database.one(f"{self._header} WHERE b.idx = ?", (index,))
        return None if row is None else self._bodies.header(row)

    def header_bytes(self, index: int) -> bytes | None:
        if not self._bodies.hold_records or not 0 <= index <= INDEX_MAX:
            return None
        row = self._database.one("SELECT data FROM blocks WHERE idx = ?", (index,))
        return None if row is None else self._bodies.header_bytes(index, row[0])

    def aside(self, hash: str) -> Header | None:
        key = asked_key(hash)
        return None if key is None else side_header(self._database, self._bodies, key, "side")

    def block(self, index: int) -> AnyBlock | None:
        with self._bodies.reading(self._database):
            return self._block(index)

    def _block(self, index: int) -> AnyBlock | None:
        if not 0 <= index <= INDEX_MAX:
            return None
        row = self._database.one(f"{BLOCK} WHERE b.idx = ?", (index,))
        return None if row is None else self._bodies.block(self._database, row)

    def page(self, first: int, count: int) -> Sequence[AnyBlock]:
        with self._bodies.reading(self._database):
            return read_blocks(self._database, self._bodies, first, count, self._limits.page_bytes)

    def find(self, hash: str) -> Found | None:
        key = asked_key(hash)
        if key is None:
            return None
        with self._database.snapshot():
            index = self._stands_at(key)
            if index is not None:
                block = self._block(index)
                if block is None:
                    raise damaged(index)
                return Found(block, orphaned=False, mined_again_as=None)
            row = self._database.one(f"{SIDE} WHERE s.hash = ?", (key,))
            return None if row is None else self._found(row)

    def _stands_at(self, key: bytes) -> int | None:
        """Index of the best chain's block of this hash: asked of the index, then compared one by one in its gap."""
        for index in self._finder.candidates(key):
            if self._database.one("SELECT 1 FROM blocks WHERE idx = ? AND hash = ?", (index, key)):
                return index
        after, upto = self._finder.gap()
        if after >= upto:
            return None
        row = self._database.one("SELECT idx FROM blocks WHERE idx > ? AND idx <= ? AND hash = ?", (after, upto, key))
        return None if row is None else int(row[0])

    def _found(self, row: Row) -> Found:
        *columns, mark = row
        key = row[1]
        block = self._bodies.block(self._database, columns)
        return Found(block, orphaned=True, mined_again_as=None if mark is None else self._mined_again(mark or key))

    def _mined_again(self, duty: bytes) -> str | None:
        row = self._database.one(
            "SELECT b.hash FROM carriers c JOIN blocks b ON b.idx = c.idx AND b.hash = c.hash WHERE c.duty = ?", (duty,)
        )
        return None if row is None else row[0].hex()

    # --- forks ---------------------------------------------------------------------------------

    def forks(self, count: int) -> Sequence[Fork]:
        with self._database.snapshot():
            tips = self._database.all(
                f"""SELECT s.idx, s.hash, s.timestamp, s.previous_hash, {self._bodies.head("s")}, s.run
                    FROM tips t JOIN side s ON s.seq = t.seq ORDER BY t.seq DESC LIMIT ?""",  # noqa: S608 - one of two
                (min(count, self._limits.fork_blocks),),
            )
            known: dict[int, Header | None] = {}
            room = self._limits.page_bytes
            forks = []
            for *columns, run in tips:
                tip = self._bodies.header(columns)
                blocks, room = self._downwards(tip, room)
                forks.append(Fork(self._fork_of(run, known), tip, blocks))
            return forks

    def _downwards(self, tip: Header, room: int) -> tuple[Sequence[Found], int]:
        """The blocks of a branch from its tip, while there is room for their data; and the room that is left."""
        blocks: list[Found] = []
        key = bytes.fromhex(tip.hash)
        while len(blocks) < self._limits.fork_blocks:
            row = self._database.one(f"{SIDE} WHERE s.hash = ?", (key,))
            if row is None:
                break
            found = self._found(row)
            room -= self._bodies.size_of(found.block)
            if room < 0:
                return blocks, 0
            blocks.append(found)
            key = row[4]
        return blocks, room

    def _fork_of(self, run: int, known: dict[int, Header | None]) -> Header | None:
        """The last block that a run shares with the best chain; None when the blocks in between were dropped.

        One step a run (see `side`), and `known` remembers, so that branches of one stem walk it once. After
        `Limits.fork_runs` steps for one answer it is None too.
        """
        passed = []
        fork: Header | None = None
        while run not in known:
            if len(known) >= self._limits.fork_runs:
                break
            passed.append(run)
            known[run] = None  # for now: where damage made a ring of runs, the walk ends
            lowest = self._database.one(
                "SELECT idx, previous_hash FROM side WHERE run = ? ORDER BY idx LIMIT 1", (run,)
            )
            if lowest is None or not isinstance(lowest[0], int) or not 0 < lowest[0] <= INDEX_MAX:
                raise StoreCorruptError(f"The branches in {self._database.path} are damaged. Run verify.")
            index, parent = lowest
            row = self._database.one("SELECT run FROM side WHERE hash = ?", (parent,))
            if row is None:
                fork = self._header_at(index - 1, parent)
                break
            (run,) = row
        else:
            fork = known[run]
        known.update(dict.fromkeys(passed, fork))
        return fork

    def _header_at(self, index: int, key: bytes) -> Header | None:
        row = self._database.one(f"{self._header} WHERE b.idx = ? AND b.hash = ?", (index, key))
        return None if row is None else self._bodies.header(row)

    # --- records -------------------------------------------------------------------------------

    def records_of(self, id: str) -> Sequence[Shown]:
        if not self._bodies.hold_records:
            return []
        with self._bodies.reading(self._database):
            return record_lookups.records_of(self._database, self.header, id, self._limits.records_per_page)

    def records(self, after: int, count: int) -> Sequence[Shown]:
        if not self._bodies.hold_records:
            return []
        with self._bodies.reading(self._database):
            return record_lookups.log_page(self._database, self.header, after, count, self._limits.page_bytes)

    def passages(self, before: int, count: int, characters: int) -> Sequence[Passage]:
        read = passages.of_log if self._bodies.hold_records else passages.of_chain
        return read(self._database, before, count, characters)

    def arrivals(self, after: int, count: int) -> Sequence[Arrival]:
        if not self._bodies.hold_records:
            return []
        with self._bodies.reading(self._database):
            return record_lookups.arrivals(self._database, after, count)

    def newest_place(self) -> int:
        return record_lookups.newest(self._database) if self._bodies.hold_records else 0

    def hashes(self, size: int, nodes: Sequence[Node]) -> Sequence[bytes]:
        with self._bodies.reading(self._database):
            return log_rows.hash_reader(self._database, size)(nodes)

    def close(self) -> None:
        self._database.close()
