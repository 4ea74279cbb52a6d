"""The table `records`: every record once, whatever holds it, at its place in the order of arrival.

A place is given once and for all; `spans` name records by it. A record whose data was withheld is completed when a copy
comes that has it, but not when it was erased here: that is marked, and what is marked stays as it is.

A record is found by its id and its `tag`, a piece of its leaf hash. Ids alone would not do: anybody may put any number
of records of one id into blocks and pools, and each look-up of one of them would meet all.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from tallystick.chain.contracts import Name
from tallystick.errors import StoreCorruptError
from tallystick.model.log import leaf_hash, leaf_hashes
from tallystick.model.record import Record
from tallystick.storage.database import Database
from tallystick.storage.rows import damaged
from tallystick.storage.spans import ASKED, Span, as_json

COLUMNS: Final = "r.id, r.entry, r.salt, r.data"

INSERT: Final = (
    "INSERT OR ROLLBACK INTO records (seq, id, tag, entry, erased, salt, data) VALUES (?, ?, ?, ?, NULL, ?, ?)"
)
"""A row that cannot be stored ends the batch, so nothing less need be undone. Else SQLite copies each page before a
statement of many rows changes it, and where ids are random that is a page a row."""

ROWS: Final = (100, 10, 1)
"""Rows that one statement inserts, as long as there are so many: of a hundred each takes half the time of a single one.
More bring little."""

VALUES: Final = 6
"""Of a row."""

_INSERTS: Final = [(rows, INSERT + ", (?, ?, ?, ?, NULL, ?, ?)" * (rows - 1)) for rows in ROWS]

_BYTEARRAY: Final = bytearray()
"""To add bytes to it makes a bytearray of them (see `database`) in half the time of `bytearray(...)`."""

_FIRST_OF_LEAF: Final = struct.Struct(">Q24x")
"""Eight bytes of a leaf hash, of which the tag has six."""

TAG_BYTES: Final = 6
"""SQLite keeps a number of that many in as many bytes. Two records of one tag are found after 2**24 attempts, and each
beyond a few after 2**48."""

SIZE: Final = "length(r.entry) + coalesce(length(r.salt) + length(r.data), 0)"
"""SQL: `Record.size_bytes`."""

LOOKED_UP: Final = 10_000
"""Ids or names asked for in one statement."""

BY_NAME: Final = "FROM json_each(?) j CROSS JOIN records r ON r.id = j.key AND r.tag = j.value"
"""SQL: the records `r` of what `names_as_json` says."""


def tag_of(leaf: bytes) -> int:
    """What of a leaf hash is kept with a record."""
    return int.from_bytes(leaf[:TAG_BYTES], "big")


def inserts(place: int, records: Sequence[Record]) -> Iterator[tuple[str, Sequence[Sequence[object]]]]:
    """What stores records, the first at `place`, each other behind the one before: statements, each with its rows."""
    values: list[object] = [None] * (VALUES * len(records))  # row by row, filled column by column
    values[0::VALUES] = range(place, place + len(records))
    values[1::VALUES] = [record.id for record in records]
    values[2::VALUES] = [first >> 16 for (first,) in _FIRST_OF_LEAF.iter_unpack(b"".join([r.leaf for r in records]))]
    values[3::VALUES] = [_BYTEARRAY + record.entry for record in records]
    values[4::VALUES] = [None if record.salt is None else _BYTEARRAY + record.salt for record in records]
    values[5::VALUES] = [None if record.data is None else _BYTEARRAY + record.data for record in records]
    start = 0
    for rows, statement in _INSERTS:
        size = rows * VALUES
        end = len(values) - (len(values) - start) % size
        if start < end:
            yield statement, [values[at : at + size] for at in range(start, end, size)]
        start = end


def insert(database: Database, place: int, records: Sequence[Record]) -> None:
    """Store records that are not here yet, the first at `place`, each other behind the one before."""
    for statement, rows in inserts(place, records):
        database.write_many(statement, rows)


def names_as_json(names: Iterable[Name]) -> str:
    """Names of records as one parameter of a statement: an object with a member for each. Ids are those of records, so
    they need no escapes; members may share one."""
    return "{" + ",".join([f'"{id}":{tag_of(leaf)}' for id, leaf in names]) + "}"


def to_record(row: Sequence[Any], index: int | None = None) -> Record:
    """A record from its `COLUMNS`; `index` is that of the block it is read for. Raises StoreCorruptError."""
    id, entry, salt, data = row
    absent = salt is None and data is None
    present = salt.__class__ is bytes and data.__class__ is bytes
    if id.__class__ is not str or entry.__class__ is not bytes or not (absent or present):
        raise damaged_record(id) if index is None else damaged(index)
    return Record(id, leaf_hash(entry), entry, salt, data)


def damaged_record(id: object) -> StoreCorruptError:
    """The error of a record whose row cannot be one."""
    return StoreCorruptError(f"Record {str(id)[:128]!r} is damaged on disk. Run verify, then restore a backup.")


def read_spans(database: Database, spans: Iterable[Span], index: int) -> list[Record]:
    """The records of spans, in their order, for the block at `index`. Raises StoreCorruptError when one lacks."""
    records: list[Record] = []
    for first, count in spans:
        rows = database.all(
            f"SELECT {COLUMNS} FROM records r WHERE r.seq >= ? AND r.seq < ? ORDER BY r.seq",  # noqa: S608 - a constant
            (first, first + count),
        )
        if len(rows) != count:
            raise damaged(index)
        records += [to_record(row, index) for row in rows]
    return records


def read_leaves(database: Database, spans: Iterable[Span]) -> list[bytes]:
    """The leaf hashes of the records of spans, in their order."""
    leaves: list[bytes] = []
    for first, count in spans:
        rows = database.all("SELECT entry FROM records WHERE seq >= ? AND seq < ? ORDER BY seq", (first, first + count))
        leaves += leaf_hashes(entry for (entry,) in rows)
    return leaves


def stored(database: Database, records: Sequence[Record]) -> tuple[dict[bytes, int], set[bytes]]:
    """Where those of `records` are that are here, by their entries; and which of them lack their data, and may have it.
    Made for many of which few are here."""
    found: dict[bytes, int] = {}
    lacking: set[bytes] = set()
    last = last_id(database)
    asked = [record for record in records if record.id <= last]
    entries = {record.entry for record in asked}
    for start in range(0, len(asked), LOOKED_UP):
        for entry, place, lacks in _alike(database, asked[start : start + LOOKED_UP]):
            if entry in entries:  # others may share its id
                found[entry] = place
                if lacks:
                    lacking.add(entry)
    return found, lacking


def last_id(database: Database) -> str:
    """The greatest id that is here, or less than any. Ids that nodes make rise with time, so what is new is mostly
    beyond, and one look shows it of thousands. Raises StoreCorruptError."""
    (last,) = database.one("SELECT max(id) FROM records")
    if last is not None and last.__class__ is not str:
        raise damaged_record(last)
    return last or ""


def _alike(database: Database, records: Sequence[Record]) -> list[Any]:
    """Entries, places, and whether they lack data, of all records that may be some of these."""
    columns = "r.entry, r.seq, r.data IS NULL AND r.erased IS NULL"
    ids = list(dict.fromkeys(record.id for record in records))
    most = len(ids) + len(records)
    rows = database.all(
        f"SELECT {columns} FROM json_each(?) j CROSS JOIN records r ON r.id = j.value LIMIT ?",  # noqa: S608 - a constant
        (as_json(ids), most),
    )
    if len(rows) < most:  # as nearly always: by ids alone is three times as quick, as long as few share one
        return rows
    names = names_as_json((record.id, record.leaf) for record in records)
    return database.all(f"SELECT {columns} {BY_NAME}", (names,))


def measured(database: Database, spans: Sequence[Span]) -> int:
    """Bytes of the records of spans, as `Record.size_bytes` counts them."""
    if len(spans) == 1:
        first, count = spans[0]
        row = database.one(
            f"SELECT coalesce(sum({SIZE}), 0) FROM records r WHERE r.seq >= ? AND r.seq < ?",  # noqa: S608 - a constant
            (first, first + count),
        )
    elif spans:
        row = database.one(
            f"""WITH {ASKED} SELECT coalesce(sum({SIZE}), 0) FROM asked CROSS JOIN records r
                WHERE r.seq >= asked.start AND r.seq < asked.stop""",  # noqa: S608 - constants
            (as_json(spans),),
        )
    else:
        row = (0,)
    return int(row[0])
