"""What is searched is read along keys that are there, and damage on the way is found. That both stores read the same
stands in the laws (`kit.check_passages`)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tallystick.chain.contracts import Passage, Reader
from tallystick.chain.writes import AddSide, Append, Erase
from tallystick.errors import StoreCorruptError
from tallystick.storage import passages
from tallystick.storage.sqlite import SqliteStore
from tests.storage import kit, sealed_blocks
from tests.storage.conftest import Pair
from tests.storage.kit import GENESIS, child, commit, on_disk, switch
from tests.storage.sealed_blocks import record, records, sealed_on_disk


def sealed_chain(store: SqliteStore) -> None:
    """Three blocks of two records."""
    commit(store, Append(sealed_blocks.branch(sealed_blocks.GENESIS, *(records(name, 2) for name in "abc"))))


def classic_chain(store: SqliteStore) -> None:
    commit(store, Append(kit.branch(GENESIS, *"abcdef")))


@pytest.mark.parametrize(
    ("statement", "steps"),
    [
        (passages.CHAIN, ["SEARCH blocks USING INTEGER PRIMARY KEY (rowid<?)"]),
        (
            passages.LOG,
            [
                "SEARCH l USING INDEX sqlite_autoindex_logged_1 (position<?)",
                "SEARCH r USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
                "SEARCH b USING INTEGER PRIMARY KEY (rowid=?) LEFT-JOIN",
            ],
        ),
    ],
)
def test_rows_are_walked_backwards_by_their_keys_and_nothing_is_sorted(
    tmp_path: Path, statement: str, steps: list[str]
) -> None:
    with sealed_on_disk(tmp_path) as (store, _):
        plan = [row[3] for row in store._database.all(f"EXPLAIN QUERY PLAN {statement}", (9, 9))]
        assert [step.removesuffix(" LEFT-JOIN") for step in plan] == [each.removesuffix(" LEFT-JOIN") for each in steps]


def test_a_page_costs_its_rows_wherever_it_begins(tmp_path: Path) -> None:
    """Steps of SQLite's machine, the same at the end of a log of 40,000 records as near its beginning."""
    with sealed_on_disk(tmp_path) as (store, reader):
        blocks = sealed_blocks.branch(sealed_blocks.GENESIS, *(records(f"r{number}", 1_000) for number in range(40)))
        commit(store, Append(blocks))
        costs = []
        for before in (500, 20_500, 10**15):
            steps = 0

            def count() -> int:
                nonlocal steps
                steps += 1
                return 0

            connection = reader._database._connection
            connection.set_progress_handler(count, 10)
            assert len(reader.passages(before, 300, 10**9)) == 300
            connection.set_progress_handler(None, 0)
            costs.append(steps)
        assert max(costs) < 1.2 * min(costs)


def test_of_what_was_erased_only_the_id_is_left(tmp_path: Path) -> None:
    with sealed_on_disk(tmp_path) as (store, reader):
        sealed_chain(store)
        commit(store, Erase("b-1"))
        found = [(each.id, each.text) for each in reader.passages(4, 2, 10**6)]
        assert found == [("b-1", None), ("b-0", '"the text of b-0"')]


def test_going_on_below_finds_what_stayed_once_whatever_a_reorg_brought(pair: Pair) -> None:
    #              /- b3 - b4
    # genesis - a1 - a2 - a3
    store, reader = pair
    a = kit.branch(GENESIS, "a1", "a2", "a3")
    commit(store, Append(a))
    first = list(reader.passages(10**9, 1, 10**6))
    b = kit.branch(a[1], "b3", "b4")
    commit(store, AddSide(b), switch(a[2], a[1], b[1]))
    assert [each.text for each in first] == ["a3"]
    assert [each.text for each in reader.passages(first[-1].place, 9, 10**6)] == ["a2", "a1", GENESIS.data]


def test_after_a_reorg_to_a_shorter_log_one_goes_on_at_its_end(tmp_path: Path) -> None:
    with sealed_on_disk(tmp_path) as (store, reader):
        a = sealed_blocks.branch(sealed_blocks.GENESIS, records("a", 2), records("b", 9))
        commit(store, Append(a))
        assert reader.passages(10**9, 1, 10**6)[0].place == 10
        b = sealed_blocks.branch(a[0], [record("c")], [], variant=1)
        commit(store, AddSide(b), switch(a[1], a[0], b[1]))
        assert [each.id for each in reader.passages(10, 9, 10**6)] == ["c", "a-1", "a-0"]


def test_a_long_text_ends_a_page_and_is_read_once(tmp_path: Path) -> None:
    with on_disk(tmp_path) as (store, reader):
        commit(store, Append([one := child(GENESIS, "short"), child(one, "x" * 65_536)]))
        assert [len(each.text or "") for each in reader.passages(10**9, 9, 1_000)] == [65_536]
        assert [each.text for each in reader.passages(2, 9, 1_000)] == ["short", GENESIS.data]


SQL = {
    "a block is missing": "DELETE FROM blocks WHERE idx = 3",
    "a hash is none": "UPDATE blocks SET hash = 'x' WHERE idx = 3",
    "a time is none": "UPDATE blocks SET timestamp = 'x' WHERE idx = 3",
    "a text is none": "UPDATE blocks SET data = X'00' WHERE idx = 3",
    "a text is not UTF-8": "UPDATE blocks SET data = CAST(X'FF' AS TEXT) WHERE idx = 3",
}
SEALED_SQL = {
    "a block is missing": "DELETE FROM blocks WHERE idx = 2",
    "a record is missing": "DELETE FROM records WHERE id = 'b-0'",
    "an id is none": "UPDATE records SET id = X'00' WHERE id = 'b-0'",
    "data is none": "UPDATE records SET data = 'x' WHERE id = 'b-0'",
    "data is not UTF-8": "UPDATE records SET data = X'FF' WHERE id = 'b-0'",
    "a position is none": "UPDATE logged SET position = 3.5 WHERE idx = 2",
    "a position is another": "UPDATE logged SET position = 3 WHERE idx = 2",
    "a count is none": "UPDATE logged SET count = 'x' WHERE idx = 2",
}


@pytest.mark.parametrize(
    ("opened", "fill", "sql"),
    [
        *(pytest.param(on_disk, classic_chain, sql, id=name) for name, sql in SQL.items()),
        *(pytest.param(sealed_on_disk, sealed_chain, sql, id=f"sealed, {name}") for name, sql in SEALED_SQL.items()),
    ],
)
def test_damage_on_the_way_is_found(
    tmp_path: Path, opened: Callable[[Path], object], fill: Callable[[SqliteStore], None], sql: str
) -> None:
    with opened(tmp_path) as (store, reader):  # type: ignore[attr-defined]
        fill(store)
        store._database.write(sql)
        with pytest.raises(StoreCorruptError):
            everything(reader)


def everything(reader: Reader) -> list[Passage]:
    return list(reader.passages(10**15, 10**6, 10**9))
