"""Records as blocks come and go: each is stored once, and exactly one of these says who holds it.

* `logged`: the best chain, each span with its block and its position in the log;
* `pool`: nobody yet;
* `aside`: side and staged blocks only, each span with how many of either hold it (a block may be both). When nobody
  does any more, its records are removed, except those that were erased here: they stay, held by nobody, so that they do
  not come back.

What was once in the pool or on the chain never leaves the two again: a reorg moves it from one to the other. So only
what is in `aside` has its holders counted, and a block that goes aside or comes back moves spans, and no records.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from tallystick.chain.writes import Erase
from tallystick.errors import StoreError
from tallystick.model.limits import Limits
from tallystick.model.log import root_of
from tallystick.model.record import Record
from tallystick.model.sealed import AnyBlock, SealedBlock
from tallystick.model.tiles import lead
from tallystick.storage import log_rows
from tallystick.storage.content import Head, decode_head, encode, spans_of
from tallystick.storage.database import Database
from tallystick.storage.record_rows import insert, measured, read_leaves, stored
from tallystick.storage.rows import damaged
from tallystick.storage.schema import read_count
from tallystick.storage.spans import Piece, Span, checked, cut, divided, joined, merged, put, put_on, total, touching

AT_ONCE: Final = 10_000
"""Records that are moved, or removed, in one go; a block may hold more, and is one go then."""

COUNTERS: Final = ("aside_bytes", "pool_records", "pool_bytes")
"""Of the table `meta`."""


class RecordHoldings:
    """`Holdings` of sealed networks."""

    hold_records: Final = True

    def __init__(self, database: Database, limits: Limits) -> None:
        self._database = database
        self._limits = limits
        self._erased = False
        """Text that was erased may still be in SQLite's log."""
        self.load()

    def load(self) -> None:
        (self._next_place,) = self._database.one("SELECT coalesce(max(seq), 0) + 1 FROM records")
        self._log_size = log_rows.size(self._database)
        self._bytes_aside, self._pool_records, self._pool_bytes = (read_count(self._database, key) for key in COUNTERS)

    @property
    def bytes_aside(self) -> int:
        return self._bytes_aside

    @property
    def pooled_size(self) -> tuple[int, int]:
        return self._pool_records, self._pool_bytes + self._pool_records * self._limits.pool_record_bytes

    def counters(self) -> Mapping[str, int]:
        return dict(zip(COUNTERS, (self._bytes_aside, self._pool_records, self._pool_bytes), strict=True))

    def committed(self) -> None:
        """What was erased is to be nowhere in the folder: the log that still has it is copied and emptied."""
        if self._erased and self._database.empty_log():
            self._erased = False

    # --- blocks come and go --------------------------------------------------------------------

    def append(self, blocks: Sequence[AnyBlock], tops: Sequence[bytes] | None = None) -> Sequence[str | bytes]:
        fresh, size = self._next_place, self._log_size
        sealed = [_sealed(block) for block in blocks]
        for block in sealed:
            size += len(block.records)
            if block.log_size != size:
                raise StoreError(
                    f"Refused to append block {block.index} {block.hash}: it says that the log has {block.log_size} "
                    f"entries, and it has {size}."
                )
        if tops is not None:
            self._check_tops(sealed, tops)
        spans = self._take_in(sealed)
        entering = [(block.index, held) for block, held in zip(sealed, spans, strict=True)]
        self._enter_log(entering, fresh=self._next_place - fresh)
        self._grow([record.leaf for block in sealed for record in block.records], tops)
        return [encode(block, held) for block, held in zip(sealed, spans, strict=True)]

    def _check_tops(self, blocks: Sequence[SealedBlock], tops: Sequence[bytes]) -> None:
        """Do these tops of tiles lead from the tip's log to the root of the last block? Raises StoreError."""
        last = blocks[-1]
        edge = self._head(blocks[0].index - 1).edge
        if root_of(last.edge) != last.log_root or not lead(tops, self._log_size, edge, last.log_size, last.edge):
            raise StoreError(
                f"Refused to append blocks up to {last.index} {last.hash}: the hashes of the log that came with them "
                "do not lead to its root."
            )

    def keep(self, blocks: Sequence[AnyBlock], *, staged: bool) -> Sequence[str | bytes]:
        fresh = self._next_place
        sealed = [_sealed(block) for block in blocks]
        spans = self._take_in(sealed)
        by = (0, 1) if staged else (1, 0)
        if self._next_place > fresh:
            put_on(self._database, "aside", (fresh, self._next_place - fresh, *by))
            if not staged:
                self._bytes_aside += measured(self._database, [(fresh, self._next_place - fresh)])
        for held in spans:
            again, fresh = _seen_before(held, fresh)
            self._hold(again, *by)
        return [encode(block, held) for block, held in zip(sealed, spans, strict=True)]

    def release(self, seq: int) -> None:
        index, content = self._database.one("SELECT idx, data FROM side WHERE seq = ?", (seq,))
        self._hold(merged(_spans(index, content)), -1, 0)

    def drop_staged(self) -> None:
        after = -1
        while rows := self._database.all(
            "SELECT first, count, side FROM aside WHERE staged > 0 AND first > ? ORDER BY first LIMIT ?",
            (after, self._limits.view_page),
        ):
            after = checked(self._database, rows)[-1][0]
            self._database.write_many(
                "UPDATE aside SET staged = 0 WHERE first = ?", [(first,) for first, _, side in rows if side]
            )
            gone = [(first, count) for first, count, side in rows if not side]
            self._database.write_many("DELETE FROM aside WHERE first = ?", [(first,) for first, _ in gone])
            self._remove(gone)

    def rewind(self, fork: int) -> None:
        size = self._head(fork).log_size
        if size > self._log_size:
            raise damaged(fork)
        for start in range(size, self._log_size, AT_ONCE):
            spans = log_rows.leave(self._database, start, start + AT_ONCE)
            put(self._database, "pool", spans)
            self._count_pooled(spans, 1)
        log_rows.rewind_tiles(self._database, self._log_size, size)
        self._log_size = size

    def follow(self, first: int, last: int) -> None:
        with self._database.each(
            "SELECT idx, data FROM blocks WHERE idx BETWEEN ? AND ? ORDER BY idx", (first, last)
        ) as rows:
            waiting: list[tuple[int, Sequence[Span]]] = []
            count = 0
            for index, content in rows:
                waiting.append((index, _spans(index, content)))
                count += total(waiting[-1][1])
                if count >= AT_ONCE:
                    self._follow(waiting)
                    waiting, count = [], 0
            self._follow(waiting)

    def _follow(self, blocks: Sequence[tuple[int, Sequence[Span]]]) -> None:
        self._enter_log(blocks, fresh=0)
        self._grow(read_leaves(self._database, (span for _, held in blocks for span in held)))

    def _head(self, index: int) -> Head:
        """What the best chain's block at `index` says of the log. Raises StoreCorruptError."""
        (content,) = self._database.one("SELECT data FROM blocks WHERE idx = ?", (index,))
        try:
            return decode_head(content)
        except (TypeError, ValueError):
            raise damaged(index) from None

    # --- records by themselves -----------------------------------------------------------------

    def add(self, records: Sequence[Record]) -> None:
        fresh = self._next_place
        spans = merged(joined(self._places(records)))
        known = len(records) - (self._next_place - fresh)
        if total(spans) != len(records) or self._leave_aside(spans) != known:
            raise StoreError("Refused to put records into the pool: one of them is there already, or on the chain.")
        for span in spans:
            put_on(self._database, "pool", span)
        self._count_pooled(spans, 1)

    def complete(self, records: Sequence[Record]) -> None:
        self._complete(records, *stored(self._database, records))

    def erase(self, write: Erase) -> None:
        tag = place = -1
        while rows := self._database.all(
            """SELECT tag, seq, erased FROM records WHERE id = ?1 AND tag >= ?2 AND (tag, seq) > (?2, ?3)
               ORDER BY tag, seq LIMIT ?4""",
            (write.id, tag, place, AT_ONCE),
        ):
            tag, place, _ = rows[-1]
            places = [(each,) for _, each, erased in rows if erased is None]
            self._change(places, "UPDATE records SET erased = 1, salt = NULL, data = NULL WHERE seq = ?")
            self._erased = self._erased or bool(places)

    def _change(self, rows: Sequence[tuple[object, ...]], sql: str) -> None:
        """Change what there is of records, whose places end the rows that `sql` takes, and what they count."""
        if rows:
            spans = merged((int(str(row[-1])), 1) for row in rows)
            pooled, aside = self._counted(spans)
            self._database.write_many(sql, rows)
            pooled_now, aside_now = self._counted(spans)
            self._pool_bytes += pooled_now - pooled
            self._bytes_aside += aside_now - aside

    def _counted(self, spans: Sequence[Span]) -> tuple[int, int]:
        """What of these records counts in the pool, and beside the chain."""
        pooled, _ = divided(touching(self._database, "pool", spans), spans)
        aside, _ = divided(touching(self._database, "aside", spans), spans)
        return (
            measured(self._database, [(first, count) for first, count in pooled]),
            measured(self._database, [(first, count) for first, count, side, _ in aside if side]),
        )

    # --- places --------------------------------------------------------------------------------

    def _take_in(self, blocks: Sequence[SealedBlock]) -> list[list[Span]]:
        """The spans of the records of each block, once all are stored."""
        places = self._places([record for block in blocks for record in block.records])
        spans = []
        start = 0
        for block in blocks:
            spans.append(joined(places[start : start + len(block.records)]))
            start += len(block.records)
        return spans

    def _places(self, records: Sequence[Record]) -> Sequence[int]:
        """Where these records are stored, and from now on are. Completes those that lacked their data."""
        known, lacking = stored(self._database, records)
        fresh = {record.entry: record for record in records if record.entry not in known}
        if fresh:
            place = self._next_place
            insert(self._database, place, list(fresh.values()))
            self._next_place += len(fresh)
            if len(fresh) == len(records):
                return range(place, self._next_place)
            known.update(zip(fresh, range(place, self._next_place), strict=True))
            lacking.update(entry for entry, new in fresh.items() if new.data is None)
        self._complete(records, known, lacking)
        return [known[record.entry] for record in records]

    def _complete(self, records: Sequence[Record], known: Mapping[bytes, int], lacking: set[bytes]) -> None:
        """Those of `lacking` whose data is among `records` have it from now on."""
        if lacking:
            whole = {each.entry: each for each in records if each.data is not None and each.entry in lacking}
            completed = [(each.salt, each.data, known[entry]) for entry, each in whole.items()]
            self._change(completed, "UPDATE records SET salt = ?, data = ? WHERE seq = ?")

    # --- the pool, the log, and what is aside --------------------------------------------------

    def _enter_log(self, blocks: Sequence[tuple[int, Sequence[Span]]], *, fresh: int) -> None:
        """Records go into the log, whole blocks of them, in order; wherever else they were they are no more. So many of
        them are `fresh`: they were nowhere."""
        position = self._log_size
        rows = []
        for index, held in blocks:
            for first, count in held:
                rows.append((first, count, index, position))
                position += count
        spans = merged((first, count) for first, count, _, _ in rows)
        pooled: list[Span] = [(first, count) for first, count in cut(self._database, "pool", spans)]
        self._count_pooled(pooled, -1)
        known = total(pooled) + self._leave_aside(spans)
        if not position - self._log_size == total(spans) == known + fresh:
            raise StoreError(
                f"Refused to put blocks from {blocks[0][0]} on: they hold a record twice, or one that is on the chain."
            )
        put(self._database, "logged", rows)

    def _grow(self, leaves: Sequence[bytes], tops: Sequence[bytes] | None = None) -> None:
        log_rows.append_leaves(self._database, self._log_size, leaves, tops)
        self._log_size += len(leaves)

    def _count_pooled(self, spans: Sequence[Span], sign: int) -> None:
        self._pool_records += sign * total(spans)
        self._pool_bytes += sign * measured(self._database, spans)

    def _leave_aside(self, spans: Sequence[Span]) -> int:
        """Records go where they stay. Returns how many of them were aside."""
        taken = cut(self._database, "aside", spans)
        self._bytes_aside -= measured(self._database, [(first, count) for first, count, side, _ in taken if side])
        return sum(count for _, count, *_ in taken)

    def _hold(self, spans: Sequence[Span], side: int, staged: int) -> None:
        """So many more side and staged blocks hold these records, as far as they are aside."""
        taken = cut(self._database, "aside", spans)
        gone: list[Span] = []
        for first, count, by_side, by_staged in taken:
            span = (first, count)
            if not by_side and side > 0:
                self._bytes_aside += measured(self._database, [span])
            elif by_side and not by_side + side:
                self._bytes_aside -= measured(self._database, [span])
            if by_side + side or by_staged + staged:
                put_on(self._database, "aside", (first, count, by_side + side, by_staged + staged))
            else:
                gone.append(span)
        self._remove(gone)

    def _remove(self, spans: Iterable[Span]) -> None:
        """Records that nobody holds are removed, except those that are not to come back."""
        for first, count in spans:
            end = first + count
            for start in range(first, end, AT_ONCE):
                self._database.write(
                    "DELETE FROM records WHERE seq >= ? AND seq < ? AND erased IS NULL",
                    (start, min(start + AT_ONCE, end)),
                )
            kept = self._database.all("SELECT seq FROM records WHERE seq >= ? AND seq < ?", (first, end))
            pieces: list[Piece] = [(place, 1, 0, 0) for (place,) in kept]
            put(self._database, "aside", pieces)


def _sealed(block: AnyBlock) -> SealedBlock:
    assert isinstance(block, SealedBlock)  # noqa: S101 - of this network
    return block


def _spans(index: int, content: Any) -> Sequence[Span]:  # noqa: ANN401 - a disk may hold anything
    """The spans of the block at `index`. Raises StoreCorruptError."""
    try:
        return spans_of(content)
    except (TypeError, ValueError):
        raise damaged(index) from None


def _seen_before(held: Sequence[Span], fresh: int) -> tuple[list[Span], int]:
    """Of the records of a block, those that were not stored for it; fresh ones are counted up from `fresh`."""
    again = []
    for first, count in held:
        if first <= fresh < first + count:
            again += [(first, fresh - first)] if fresh > first else []
            fresh = first + count
        else:
            again.append((first, count))
    return merged(again), fresh
