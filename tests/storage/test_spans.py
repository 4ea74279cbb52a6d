"""Spans against sets of places: whatever is joined, divided, taken out and put in, nothing is lost or made up."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.errors import StoreCorruptError
from tallystick.storage.database import Database
from tallystick.storage.spans import (
    COUNT_MAX,
    Piece,
    Span,
    checked,
    cut,
    divided,
    joined,
    merged,
    put,
    put_on,
    total,
    touching,
)

PLACES = st.lists(st.integers(1, 60), max_size=30)
SPANS = st.lists(st.tuples(st.integers(1, 60), st.integers(1, 9)), max_size=12)


def places_of(pieces: list[Piece] | list[Span]) -> set[int]:
    return {place for first, count, *_ in pieces for place in range(first, first + count)}


def disjoint(draw: list[int]) -> list[Piece]:
    """Disjoint spans in ascending order, some of which touch, each saying something."""
    ends = sorted(set(draw))
    return [(first, end - first, first % 3) for first, end in zip(ends[::2], ends[1::2], strict=False)]


@given(PLACES)
def test_joined_spans_are_the_places_in_their_order(places: list[int]) -> None:
    spans = joined(places)
    assert [place for first, count in spans for place in range(first, first + count)] == places
    assert all(first + count != after for (first, count), (after, _) in pairwise(spans))


@given(st.integers(1, 60), st.integers(0, 30))
def test_a_range_of_places_is_one_span(first: int, count: int) -> None:
    places = range(first, first + count)
    assert joined(places) == joined(list(places)) == joined(places[::-1][::-1])
    assert joined(places[::-1]) == joined(list(places[::-1]))


@given(SPANS)
def test_merged_spans_are_the_same_places_in_as_few_spans_as_can_be(spans: list[Span]) -> None:
    result = merged(spans)
    assert places_of(result) == places_of(spans)
    assert total(result) == len(places_of(spans))
    assert all(first + count < after for (first, count), (after, _) in pairwise(result))


@given(PLACES, SPANS)
def test_what_is_divided_is_all_there_and_on_the_right_side(places: list[int], spans: list[Span]) -> None:
    pieces = disjoint(places)
    inside, outside = divided(pieces, merged(spans))
    assert places_of(inside) == places_of(pieces) & places_of(spans)
    assert places_of(outside) == places_of(pieces) - places_of(spans)
    said = {place: word for first, count, word in pieces for place in range(first, first + count)}
    assert all(said[place] == word for first, count, word in inside + outside for place in range(first, first + count))


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    path = tmp_path_factory.mktemp("spans") / "spans.sqlite"
    sqlite3.connect(path).close()
    opened = Database.open(path)
    opened.write("CREATE TABLE kept (first INTEGER PRIMARY KEY, count INTEGER, word INTEGER)")
    opened.write("BEGIN")
    yield opened
    opened.close()


@given(places=PLACES, spans=SPANS)
def test_a_table_of_spans_gives_what_is_asked_for_and_keeps_the_rest(
    database: Database, places: list[int], spans: list[Span]
) -> None:
    database.write("DELETE FROM kept")
    pieces = disjoint(places)
    for piece in pieces:
        put_on(database, "kept", piece)
    asked = merged(spans)
    assert places_of(touching(database, "kept", asked)) >= places_of(pieces) & places_of(spans)
    taken = cut(database, "kept", asked)
    assert places_of(taken) == places_of(pieces) & places_of(spans)
    assert places_of(database.all("SELECT * FROM kept")) == places_of(pieces) - places_of(spans)
    put(database, "kept", taken)
    assert places_of(database.all("SELECT * FROM kept")) == places_of(pieces)


@pytest.mark.parametrize(
    "row", [(1, 0), (-1, 1), (1, None), (b"1", 1), (1, 1.0), (1, COUNT_MAX + 1), (2**63 - 1, 1), (1, 1, "x")]
)
def test_what_a_disk_made_of_a_span_is_no_span(database: Database, row: tuple[object, ...]) -> None:
    assert checked(database, [(1, 1, 5)]) == [(1, 1, 5)]
    with pytest.raises(StoreCorruptError, match="who holds which records"):
        checked(database, [(1, 1, 5), row])
