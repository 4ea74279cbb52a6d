"""Spans: runs of records that arrived one after the other, each as its first place and its length.

A record is stored once and named by its place, the order in which it arrived here. Whatever holds records (the pool,
the log, a block) holds spans of places, so that moving ten thousand records that came together is moving one row.
Spans of one table are disjoint, and what they say of their records stands in the columns behind `first` and `count`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from tallystick.errors import StoreCorruptError
from tallystick.model.block import INDEX_MAX
from tallystick.storage.database import Database

Span = tuple[int, int]
"""(first, count), with a count of at least one."""

Piece = tuple[int, ...]
"""A span, and what its table says of it."""

COUNT_MAX: Final = 2**32 - 1
"""A span is no longer: blocks name theirs in four bytes (`content`)."""


# --- arithmetic ------------------------------------------------------------------------------------


def joined(places: Iterable[int]) -> list[Span]:
    """Places in their own order, as spans."""
    if isinstance(places, range) and places.step == 1:
        return [(places.start, len(places))] if places else []
    spans: list[Span] = []
    first = count = 0
    for place in places:
        if place == first + count:
            count += 1
            continue
        if count:
            spans.append((first, count))
        first, count = place, 1
    if count:
        spans.append((first, count))
    return spans


def merged(spans: Iterable[Span]) -> list[Span]:
    """Spans in ascending order, those that touch made one. They may overlap: then the counts no longer add up."""
    result: list[Span] = []
    start = end = -1
    for first, count in sorted(spans):
        if first <= end:
            end = max(end, first + count)
            continue
        if end > start:
            result.append((start, end - start))
        start, end = first, first + count
    if end > start:
        result.append((start, end - start))
    return result


def total(spans: Iterable[Span]) -> int:
    """How many places there are in spans."""
    return sum(count for _, count in spans)


def divided(pieces: Sequence[Piece], spans: Sequence[Span]) -> tuple[list[Piece], list[Piece]]:
    """What of disjoint, ascending `pieces` lies within merged `spans`, and what outside."""
    inside: list[Piece] = []
    outside: list[Piece] = []
    number = 0
    for first, count, *said in pieces:
        at, end = first, first + count
        while at < end and number < len(spans):
            start, length = spans[number]
            stop = start + length
            if stop <= at:
                number += 1
                continue
            if start >= end:
                break
            if start > at:
                outside.append((at, start - at, *said))
                at = start
            inside.append((at, min(stop, end) - at, *said))
            at = min(stop, end)
        if at < end:
            outside.append((at, end - at, *said))
    return inside, outside


def as_json(values: Sequence[object]) -> str:
    """Many values as one parameter of a statement, for `json_each`."""
    return _ENCODER.encode(values).decode()


ASKED: Final = """asked (start, stop) AS MATERIALIZED (
    SELECT json_extract(value, '$[0]'), json_extract(value, '$[0]') + json_extract(value, '$[1]') FROM json_each(?1))"""
"""SQL: many spans, given as JSON, as a table. Taken apart once: that costs more than looking them up."""

_ENCODER: Final = msgspec.json.Encoder()


# --- tables of spans -------------------------------------------------------------------------------


def checked(database: Database, rows: Sequence[Any]) -> list[Any]:
    """Rows that begin with a span, as they are. Raises StoreCorruptError when one does not, or holds anything but whole
    numbers: a disk may hold anything, and whoever counts places up to a number without end never comes to one."""
    for row in rows:
        is_whole = all(value.__class__ is int for value in row)
        if not is_whole or not 0 <= row[0] <= INDEX_MAX or not 0 < row[1] <= COUNT_MAX:
            raise StoreCorruptError(f"{database.path} is damaged where it says who holds which records. Run verify.")
    return list(rows)


def touching(database: Database, table: str, spans: Sequence[Span]) -> list[Piece]:
    """The rows of a table of spans that share a place with merged `spans`, in ascending order."""
    if not spans:
        return []
    if len(spans) == 1:
        first, count = spans[0]
        rows = database.all(
            f"""SELECT * FROM {table} t
                WHERE t.first < ?2 AND t.first + t.count > ?1
                  AND t.first >= coalesce((SELECT max(o.first) FROM {table} o WHERE o.first <= ?1), ?1)
                ORDER BY t.first""",  # noqa: S608 - our own tables
            (first, first + count),
        )
        return checked(database, rows)
    rows = database.all(
        f"""WITH {ASKED}
            SELECT t.* FROM asked CROSS JOIN {table} t
            WHERE t.first < asked.stop AND t.first + t.count > asked.start
              AND t.first >= coalesce((SELECT max(o.first) FROM {table} o WHERE o.first <= asked.start),
                                      asked.start)""",  # noqa: S608 - likewise
        (as_json(spans),),
    )
    return sorted(set(checked(database, rows)))


def cut(database: Database, table: str, spans: Sequence[Span]) -> list[Piece]:
    """Take merged `spans` out of a table, as far as they are there. Returns what was taken, in ascending order."""
    found = touching(database, table, spans)
    if not found:
        return []
    inside, outside = divided(found, spans)
    if inside:
        keys = [(first,) for first, *_ in found]
        database.write_many(f"DELETE FROM {table} WHERE first = ?", keys)  # noqa: S608 - likewise
        put(database, table, outside)
    return inside


def put(database: Database, table: str, pieces: Sequence[Piece]) -> None:
    """Add spans to a table that holds none of their places."""
    if pieces:
        marks = ", ".join("?" * len(pieces[0]))
        database.write_many(f"INSERT INTO {table} VALUES ({marks})", pieces)  # noqa: S608 - likewise


def put_on(database: Database, table: str, piece: Piece) -> None:
    """Add a span to a table, as part of the one that ends where it begins if that says the same."""
    first, count, *said = piece
    before = database.one(f"SELECT * FROM {table} WHERE first < ? ORDER BY first DESC LIMIT 1", (first,))  # noqa: S608 - likewise
    if before is not None:
        checked(database, [before])
    if before is not None and before[0] + before[1] == first and list(before[2:]) == said:
        database.write(f"UPDATE {table} SET count = count + ? WHERE first = ?", (count, before[0]))  # noqa: S608 - likewise
    else:
        put(database, table, [piece])
