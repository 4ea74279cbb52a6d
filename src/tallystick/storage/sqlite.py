"""The store on SQLite: the core's writes as rows, and the view the core decides by.

The view reads on the writing connection, so it sees the running batch; readers have connections of
their own and see what is committed. A plain post is one INSERT at the end of one table. What is rare (side
branches, switches, evictions, settled duties) may cost more, and never memory: see `side` and `switch`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tallystick.chain.contracts import Duty, Known, Name, Placed
from tallystick.chain.writes import (
    AddRecords,
    AddSide,
    Append,
    Complete,
    DropStaged,
    Erase,
    ForgetBan,
    ForgetPeer,
    Mark,
    RememberBan,
    RememberPeer,
    Switch,
    Write,
)
from tallystick.errors import StoreCorruptError, StoreError
from tallystick.model.block import INDEX_MAX, Header
from tallystick.model.limits import Limits
from tallystick.model.record import Record
from tallystick.model.sealed import AnyBlock
from tallystick.storage import record_lookups
from tallystick.storage.bodies import Bodies
from tallystick.storage.database import Database
from tallystick.storage.folder import DataFolder
from tallystick.storage.hash_index import HashIndex
from tallystick.storage.holdings import Holdings
from tallystick.storage.reader import read_blocks, side_header
from tallystick.storage.rows import asked_key, key_of, size_of
from tallystick.storage.schema import read_count, write_meta
from tallystick.storage.side import Running, evict, is_full, keep, take
from tallystick.storage.staged import drop_staged, stage, unstage
from tallystick.storage.switch import pages, switch

INSERT_BLOCK: Final = "INSERT INTO blocks (idx, hash, timestamp, mark, data) VALUES (?, ?, ?, ?, ?)"
INSERT_UNMARKED: Final = "INSERT INTO blocks (idx, hash, timestamp, data) VALUES (?, ?, ?, ?)"


class SqliteStore:
    """A `Store` in a data folder this process has claimed. Made by `tallystick.storage.opening.open_store`.

    After a write failed, every further one raises the same StoreError, and the batch it belonged to is gone;
    only of a failed `commit` nobody can say, until the store is opened again, whether it is on disk or not.
    """

    def __init__(
        self,
        folder: DataFolder,
        database: Database,
        index: HashIndex,
        *,
        bodies: Bodies,
        holdings: Holdings,
        limits: Limits,
    ) -> None:
        self._folder = folder
        self._database = database
        self._index = index
        self._bodies = bodies
        self._holdings = holdings
        self._limits = limits
        self._load()

    def _load(self) -> None:
        self._running = Running.load(self._database)
        self._holdings.load()
        self._stored = self._counters()
        self._stored_indexed_to = read_count(self._database, "indexed_to")

    @property
    def tip_index(self) -> int:
        """Index of the last block of the best chain, running batch included."""
        return self._running.tip_index

    # --- batches -------------------------------------------------------------------------------

    def begin(self) -> None:
        self._database.write("BEGIN IMMEDIATE")

    def apply(self, write: Write) -> None:
        match write:
            case Append():
                self._append(write)
            case AddSide(staged=True):
                stage(self._database, self._holdings, write.blocks)
                self._running.staged = True
            case AddSide():
                keep(self._database, self._running, self._holdings, self._limits, write.blocks)
            case DropStaged():
                self._drop_staged()
            case Switch():
                self._switch(write)
            case AddRecords():
                self._holdings.add(write.records)
            case Complete():
                self._holdings.complete(write.records)
            case Erase():
                self._holdings.erase(write)
            case _:
                self._apply_of_operator(write)

    def _apply_of_operator(self, write: Write) -> None:
        match write:
            case RememberPeer():
                self._database.write("INSERT OR IGNORE INTO peers (address) VALUES (?)", (write.address,))
            case ForgetPeer():
                self._database.write("DELETE FROM peers WHERE address = ?", (write.address,))
            case RememberBan():
                self._database.write("INSERT OR IGNORE INTO bans (subject) VALUES (?)", (write.subject,))
            case ForgetBan():
                self._database.write("DELETE FROM bans WHERE subject = ?", (write.subject,))

    def commit(self) -> None:
        if is_full(self._running, self._holdings, self._limits):
            evict(self._database, self._running, self._holdings, self._limits)
        self._write_counters()
        self._stored_indexed_to = self._index.record(self._database, self._stored_indexed_to)
        try:
            self._folder.check_ledger()
        except StoreError as error:
            self._database.failure = error
            raise
        self._database.write("COMMIT")
        self._index.committed(self._running.tip_index)
        self._holdings.committed()

    def _counters(self) -> dict[str, int]:
        return {"side_bytes": self._running.side_bytes, **self._holdings.counters()}

    def _write_counters(self) -> None:
        counters = self._counters()
        if counters != self._stored:
            for key, count in counters.items():
                if count != self._stored[key]:
                    write_meta(self._database, key, count)
            self._stored = counters

    def rollback(self) -> None:
        if self._database.failure is not None:
            self._database.undo()
        elif self._database.in_transaction:
            self._database.write("ROLLBACK")
            self._load()
            self._index.load(self._database)

    def close(self) -> None:
        self._database.undo()
        self._index.close()
        self._database.close()
        self._folder.release()

    # --- writes --------------------------------------------------------------------------------

    def _append(self, write: Append) -> None:
        running, blocks, marks = self._running, write.blocks, write.marks
        index, hash = running.tip_index, running.tip_hash
        for block in blocks:
            if block.index != index + 1 or block.previous_hash != hash:
                raise StoreError(f"Refused to append block {block.index} {block.hash}: the tip is {index} {hash}.")
            index, hash = block.index, block.hash
        first = running.tip_index + 1
        keys = [key_of(block.hash) for block in blocks]
        held = self._holdings.append(blocks, write.tops)
        if running.staged:
            unstage(self._database, keys)
        if (
            marks is None and first > running.side_top
        ):  # what a long batch is: nobody is owed anything, nothing was aside
            rows = zip(range(first, index + 1), map(bytearray, keys), [b.timestamp for b in blocks], held, strict=True)
            self._database.write_many(INSERT_UNMARKED, rows)
        else:
            settled = self._settle(first, keys, marks or [None] * len(keys))
            marked = [
                (b.index, key, b.timestamp, mark, data)
                for b, key, mark, data in zip(blocks, keys, settled, held, strict=True)
            ]
            self._database.write_many(INSERT_BLOCK, marked)
        self._index.extended(first, keys)
        running.tip_index, running.tip_hash = index, hash

    def _settle(self, first: int, keys: Sequence[bytes], marks: Sequence[Mark]) -> list[bytes | None]:
        """The marks to write with blocks from `first` on, once what is kept of them elsewhere is in line with that."""
        settled = []
        for index, (key, mark) in enumerate(zip(keys, marks, strict=True), first):
            mark_key = None if mark is None else key_of(mark)
            if index <= self._running.side_top:
                mark_key = self._take_from_side(index, key, mark_key)
            if mark_key:
                self._settle_duty(mark_key, index, key)
            settled.append(mark_key)
        return settled

    def _take_from_side(self, index: int, key: bytes, mark: bytes | None) -> bytes | None:
        """The block may have been kept aside; if so it moves, and what we owe for it moves along."""
        kept = take(self._database, self._running, key)
        if kept is None:
            return mark
        if kept:
            self._find_again(kept)
        else:
            self._database.write("DELETE FROM lost WHERE idx = ? AND hash = ?", (index, key))
        return kept if mark is None else mark

    def _settle_duty(self, duty: bytes, index: int, key: bytes) -> None:
        """The block carries again what the block `duty` carried first."""
        self._find_again(duty)
        self._database.write("INSERT OR IGNORE INTO carriers (duty, idx, hash) VALUES (?, ?, ?)", (duty, index, key))

    def _find_again(self, duty: bytes) -> None:
        """A duty whose first carrier is aside is lost no more."""
        self._database.write(
            "DELETE FROM lost WHERE (idx, hash) = (SELECT idx, hash FROM side WHERE hash = ?)", (duty,)
        )

    def _switch(self, write: Switch) -> None:
        switch(self._database, self._running, self._holdings, self._limits, write)
        self._index.rewound(write.fork)
        for page in pages(write.fork + 1, write.new_tip_index, self._limits):
            rows = self._database.all("SELECT hash FROM blocks WHERE idx BETWEEN ? AND ? ORDER BY idx", page)
            self._index.extended(page[0], [key for (key,) in rows])

    def _drop_staged(self) -> None:
        if self._running.staged:
            drop_staged(self._database, self._holdings)
            self._running.staged = False

    # --- the view ------------------------------------------------------------------------------

    def headers(self, first: int, count: int) -> Sequence[Header]:
        first, count = min(max(first, 0), INDEX_MAX), min(count, INDEX_MAX)
        rows = self._database.all(
            f"""SELECT b.idx, b.hash, b.timestamp, p.hash, {self._bodies.head("b")}
                FROM blocks b LEFT JOIN blocks p ON p.idx = b.idx - 1
                WHERE b.idx >= ? AND b.idx < ? ORDER BY b.idx""",  # noqa: S608 - one of two
            (first, first + count),
        )
        return [self._bodies.header(row) for row in rows]

    def blocks(self, first: int, count: int, size_bytes: int) -> Sequence[AnyBlock]:
        return read_blocks(self._database, self._bodies, first, count, size_bytes)

    def header_bytes(self, first: int, count: int) -> Sequence[bytes]:
        if not self._bodies.hold_records:
            return []
        first, count = min(max(first, 0), INDEX_MAX), min(count, INDEX_MAX)
        rows = self._database.all(
            "SELECT idx, data FROM blocks WHERE idx >= ? AND idx < ? ORDER BY idx", (first, first + count)
        )
        return [self._bodies.header_bytes(index, data) for index, data in rows]

    def side(self, hash: str) -> Header | None:
        key = asked_key(hash)
        if key is None:
            return None
        header = side_header(self._database, self._bodies, key, "side")
        if header is None and self._running.staged:
            return side_header(self._database, self._bodies, key, "staged")
        return header

    def named(self, ids: Sequence[str]) -> Sequence[Known]:
        return record_lookups.named(self._database, ids, self._limits.records_per_id)

    def known(self, names: Sequence[Name]) -> Sequence[Known]:
        return record_lookups.known(self._database, names)

    def placed(self, names: Sequence[Name]) -> Mapping[bytes, Placed]:
        return record_lookups.placed(self._database, names)

    def pool(self, after: int, count: int, size_bytes: int) -> tuple[Sequence[Record], int]:
        return record_lookups.pool_page(self._database, after, count, size_bytes)

    def pool_size(self) -> tuple[int, int]:
        return self._holdings.pooled_size

    def repeats(self, fork: int, parent: str, records: Sequence[Record]) -> str | None:
        return record_lookups.repeats(self._database, fork, parent, records)

    def lost(self, count: int) -> Sequence[Duty]:
        duties: list[Duty] = []
        room = self._limits.page_bytes
        with self._database.each(
            "SELECT s.hash, s.data FROM lost l JOIN side s ON s.hash = l.hash ORDER BY l.idx, l.hash LIMIT ?", (count,)
        ) as rows:
            for key, data in rows:
                if not isinstance(key, bytes) or not isinstance(data, str):
                    raise StoreCorruptError(
                        f"A post to be mined again is damaged in {self._database.path}. Run verify."
                    )
                room -= size_of(data)
                if duties and room < 0:
                    break
                duties.append(Duty(key.hex(), data))
        return duties

    def peers(self) -> Sequence[str]:
        return [address for (address,) in self._database.all("SELECT address FROM peers ORDER BY seq")]

    def bans(self) -> Sequence[str]:
        return [subject for (subject,) in self._database.all("SELECT subject FROM bans ORDER BY seq")]
