"""Looking records up: by id, in the pool, in the log, and whether a branch repeats one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from tallystick.chain.contracts import Arrival, Known, Name, Placed, Shown
from tallystick.model.block import INDEX_MAX, Header
from tallystick.model.log import leaf_hash
from tallystick.model.record import ID, Record
from tallystick.storage.content import spans_of
from tallystick.storage.database import Database
from tallystick.storage.record_rows import (
    BY_NAME,
    COLUMNS,
    LOOKED_UP,
    damaged_record,
    last_id,
    names_as_json,
    stored,
    to_record,
)
from tallystick.storage.rows import damaged, key_of
from tallystick.storage.spans import Span, as_json, divided, joined, merged, total, touching

CHECKED_AT_ONCE: Final = 5_000
"""Spans held against the log in one statement."""

COMPACTED: Final = 50_000
"""Spans of a branch that are collected before those that touch are made one."""

_POOLED: Final = "(SELECT p.first + p.count > r.seq FROM pool p WHERE p.first <= r.seq ORDER BY p.first DESC LIMIT 1)"
_LOGGED: Final = """(SELECT CASE WHEN l.first + l.count > r.seq THEN l.idx END
                     FROM logged l WHERE l.first <= r.seq ORDER BY l.first DESC LIMIT 1)"""
_POSITION: Final = """(SELECT CASE WHEN l.first + l.count > r.seq THEN l.position + r.seq - l.first END
                       FROM logged l WHERE l.first <= r.seq ORDER BY l.first DESC LIMIT 1)"""
_ASIDE: Final = """(SELECT CASE WHEN a.first + a.count > r.seq THEN {0} ELSE 0 END
                    FROM aside a WHERE a.first <= r.seq ORDER BY a.first DESC LIMIT 1)"""
"""SQL, of a record `r`: is it in the pool, which block of the best chain holds it, where in the log, and how many
blocks hold it beside the chain?"""

_WHERE: Final = (
    _POOLED,
    _LOGGED,
    f"CASE WHEN r.erased IS NULL THEN 1 ELSE {_ASIDE.format('a.side + a.staged')} END",
)
"""SQL: is a record in the pool, which block of the best chain holds it, and does anybody? Only what was erased may stay
though nobody does."""

HeaderAt = Callable[[int], Header | None]
"""The best chain's header at an index."""


# --- for the view ----------------------------------------------------------------------------------


def named(database: Database, ids: Sequence[str], most: int) -> list[Known]:
    """As `View.named` has it, at most so many of each id."""
    known: list[Known] = []
    last = last_id(database)
    asked = [id for id in dict.fromkeys(ids) if id <= last and id.isascii()]  # no record has another
    for start in range(0, len(asked), LOOKED_UP):
        of_id: Counter[str] = Counter()
        for row in _of_ids(database, asked[start : start + LOOKED_UP], most):
            of_id[row[0]] += 1
            placed = _placed(row) if of_id[row[0]] <= most else None
            if placed is not None:
                known.append(Known(to_record(row[: -len(_WHERE)]), placed))
    return known


def _of_ids(database: Database, ids: Sequence[str], most: int) -> list[Any]:
    """At least `most` of the records of each id, if there are as many."""
    columns = ", ".join((COLUMNS, *_WHERE))
    limit = len(ids) + most
    rows = database.all(
        f"SELECT {columns} FROM json_each(?) j CROSS JOIN records r ON r.id = j.value LIMIT ?",  # noqa: S608 - our own constants
        (as_json(ids), limit),
    )
    if len(rows) < limit:  # as nearly always: that is three times as quick as what bounds each id
        return rows
    return database.all(
        f"""SELECT {columns} FROM json_each(?) j CROSS JOIN records r
            WHERE r.seq IN (SELECT o.seq FROM records o WHERE o.id = j.value ORDER BY o.tag LIMIT ?)""",  # noqa: S608 - likewise
        (as_json(ids), most),
    )


def _placed(row: Sequence[Any]) -> Placed | None:
    """Where a record stands, by `_WHERE`; None when nobody holds it."""
    *_, pooled, logged, held = row
    if pooled:
        return Placed.POOL
    if logged is not None:
        return Placed.CHAIN
    return Placed.ASIDE if held else None


def known(database: Database, names: Sequence[Name]) -> list[Known]:
    """As `View.known` has it."""
    leaves = {leaf for _, leaf in names}
    found = []
    for row in _of_names(database, names, COLUMNS):
        record, placed = to_record(row[: -len(_WHERE)]), _placed(row)
        if placed is not None and record.leaf in leaves:
            found.append(Known(record, placed))
    return found


def placed(database: Database, names: Sequence[Name]) -> dict[bytes, Placed]:
    """As `View.placed` has it."""
    leaves = {leaf for _, leaf in names}
    found = {}
    for row in _of_names(database, names, "r.id, r.entry"):
        if row[1].__class__ is not bytes:
            raise damaged_record(row[0])
        leaf, placed = leaf_hash(row[1]), _placed(row)
        if placed is not None and leaf in leaves:
            found[leaf] = placed
    return found


def _of_names(database: Database, names: Sequence[Name], columns: str) -> Iterator[Sequence[Any]]:
    """Rows of the records of these names, and hardly any of others."""
    last = last_id(database)
    asked = [name for name in dict.fromkeys(names) if name[0] <= last and ID.fullmatch(name[0])]
    columns = ", ".join((columns, *_WHERE))
    for start in range(0, len(asked), LOOKED_UP):
        some = names_as_json(asked[start : start + LOOKED_UP])
        yield from database.all(f"SELECT {columns} {BY_NAME}", (some,))


def pool_page(database: Database, after: int, count: int, size_bytes: int) -> tuple[list[Record], int]:
    """As `View.pool` has it."""
    records: list[Record] = []
    with database.each(
        f"""SELECT r.seq, {COLUMNS} FROM pool p CROSS JOIN records r
            WHERE p.first >= coalesce((SELECT max(o.first) FROM pool o WHERE o.first <= ?1), 0)
              AND r.seq >= p.first AND r.seq < p.first + p.count AND r.seq > ?1
            ORDER BY p.first, r.seq LIMIT ?2""",  # noqa: S608 - likewise
        (min(max(after, 0), INDEX_MAX), max(min(count, INDEX_MAX), 0)),
    ) as rows:
        for place, *columns in rows:
            record = to_record(columns)
            size_bytes -= record.size_bytes
            if records and size_bytes < 0:
                break
            records.append(record)
            after = place
    return records, after


def newest(database: Database) -> int:
    """As `Reader.newest_place` has it."""
    return int(database.one("SELECT coalesce(max(seq), 0) FROM records")[0])


def arrivals(database: Database, after: int, count: int) -> list[Arrival]:
    """As `Reader.arrivals` has it."""
    columns = ", ".join(("r.seq", "r.id", "r.entry", _POOLED, _LOGGED, _ASIDE.format("a.side")))
    arrived = []
    for row in database.all(
        f"SELECT {columns} FROM records r WHERE r.seq > ? ORDER BY r.seq LIMIT ?",  # noqa: S608 - likewise
        (min(max(after, 0), INDEX_MAX), max(min(count, INDEX_MAX), 0)),
    ):
        place, id, entry = row[:3]
        if entry.__class__ is not bytes or id.__class__ is not str:
            raise damaged_record(id)
        arrived.append(Arrival(place, id, leaf_hash(entry), _placed(row)))
    return arrived


def repeats(database: Database, fork: int, parent: str, records: Sequence[Record]) -> str | None:
    """As `View.repeats` has it. Of a long branch only spans are in memory."""
    held: list[Span] = []
    most = COMPACTED
    for spans in _branch(database, fork, parent):
        held += spans
        if len(held) > most:
            whole = merged(held)
            if total(whole) != total(held):
                break
            held, most = whole, max(most, 2 * len(whole))
    entries = {record.entry for record in records}
    if len(entries) != len(records):
        return _first_twice(records)
    held += joined(stored(database, records)[0].values())
    place = _twice(held)
    if place is None:
        place = _before(database, fork, merged(held))
    return None if place is None else str(database.one("SELECT id FROM records WHERE seq = ?", (place,))[0])


def _branch(database: Database, fork: int, tip: str) -> Iterator[Sequence[Span]]:
    """The spans of each block beside the chain, from `tip` down to the child of `fork`."""
    with database.each(
        """WITH RECURSIVE back (idx, data, previous_hash) AS (
             SELECT idx, data, previous_hash FROM side WHERE hash = ?1 AND idx > ?2
             UNION ALL
             SELECT idx, data, previous_hash FROM staged
             WHERE hash = ?1 AND idx > ?2 AND NOT EXISTS (SELECT 1 FROM side WHERE hash = ?1)
             UNION ALL
             SELECT coalesce(s.idx, t.idx), coalesce(s.data, t.data), coalesce(s.previous_hash, t.previous_hash)
             FROM back LEFT JOIN side s ON s.hash = back.previous_hash LEFT JOIN staged t ON t.hash = back.previous_hash
             WHERE back.idx > ?2 + 1 AND coalesce(s.idx, t.idx) IS NOT NULL)
           SELECT idx, data FROM back""",
        (key_of(tip), fork),
    ) as rows:
        for index, content in rows:
            try:
                yield spans_of(content)
            except (TypeError, ValueError):
                raise damaged(index) from None


def _first_twice(records: Sequence[Record]) -> str | None:
    seen: set[bytes] = set()
    for record in records:
        if record.entry in seen:
            return record.id
        seen.add(record.entry)
    return None


def _twice(spans: Sequence[Span]) -> int | None:
    """A place that occurs twice."""
    end = 0
    for first, count in sorted(spans):
        if first < end:
            return first
        end = first + count
    return None


def _before(database: Database, fork: int, spans: Sequence[Span]) -> int | None:
    """A place that is on the best chain up to `fork`."""
    for start in range(0, len(spans), CHECKED_AT_ONCE):
        some = spans[start : start + CHECKED_AT_ONCE]
        logged = [piece for piece in touching(database, "logged", some) if piece[2] <= fork]
        inside, _ = divided(logged, some)
        if inside:
            return inside[0][0]
    return None


# --- for readers -----------------------------------------------------------------------------------


def records_of(database: Database, header_at: HeaderAt, id: str, most: int) -> list[Shown]:
    """Those of at most so many records of that id that readers are shown, in order of arrival."""
    if not ID.fullmatch(id):
        return []
    rows = database.all(
        f"""SELECT r.seq, {COLUMNS}, {_POOLED}, {_LOGGED}, {_POSITION}, {_ASIDE.format("a.side")}
            FROM records r WHERE r.seq IN (SELECT o.seq FROM records o WHERE o.id = ? ORDER BY o.tag LIMIT ?)
            ORDER BY r.seq""",  # noqa: S608 - our own constants
        (id, most),
    )
    shown = []
    for place, *columns, pooled, index, position, held in rows:
        if index is not None:
            header = header_at(_whole(index, columns[0]))
            shown.append(Shown(to_record(columns), place, header, _whole(position, columns[0]), Placed.CHAIN))
        elif pooled or held:
            shown.append(Shown(to_record(columns), place, None, None, Placed.POOL if pooled else Placed.ASIDE))
    return shown


def log_page(database: Database, header_at: HeaderAt, after: int, count: int, size_bytes: int) -> list[Shown]:
    """Records of the log at position `after` and beyond, no more than `size_bytes` of them, but one at least."""
    shown: list[Shown] = []
    headers: dict[int, Header | None] = {}
    with database.each(
        f"""SELECT l.idx, l.position + r.seq - l.first, r.seq, {COLUMNS} FROM logged l CROSS JOIN records r
            WHERE l.position >= coalesce((SELECT max(o.position) FROM logged o WHERE o.position <= ?1), 0)
              AND r.seq >= l.first + max(?1 - l.position, 0) AND r.seq < l.first + l.count
            ORDER BY l.position, r.seq LIMIT ?2""",  # noqa: S608 - likewise
        (min(max(after, 0), INDEX_MAX), max(min(count, INDEX_MAX), 0)),
    ) as rows:
        for index, position, place, *columns in rows:
            record = to_record(columns, index)
            size_bytes -= record.size_bytes
            if shown and size_bytes < 0:
                break
            if index not in headers:
                headers[index] = header_at(_whole(index, record.id))
            shown.append(Shown(record, place, headers[index], _whole(position, record.id), Placed.CHAIN))
    return shown


def _whole(value: Any, id: object) -> int:  # noqa: ANN401 - a disk may hold anything
    """A number that the log says of a record. Raises StoreCorruptError when it is none."""
    if value.__class__ is not int:
        raise damaged_record(id)
    return int(value)
