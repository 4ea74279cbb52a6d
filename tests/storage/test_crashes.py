"""Whatever stops a node, wherever it was: reopened, it holds exactly what was committed.

To crash a whole node rather than a store, hand a subclass of `Database` that overrides `write` and `write_many` to
`open_store(..., database=...)`, as `deaths.Watched` and `Failing` here do: every write step passes there.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import pytest

from tallystick.chain.writes import OWN, Append
from tallystick.errors import StoreError, StoreFullError
from tallystick.model.network import CLASSIC
from tallystick.storage.database import Database, explain
from tallystick.storage.opening import open_store
from tallystick.storage.verify import verify
from tests.storage.deaths import is_new, remains_of
from tests.storage.kit import GENESIS, Twin, branch, check_reader, check_view, child, commit, on_disk
from tests.storage.script import LIMITS, batches, states


def check_folder(folder: Path, twin: Twin) -> None:
    with on_disk(folder, LIMITS) as (store, reader):
        check_view(store, twin.reopened())
        check_reader(reader, twin)
    assert verify(folder, CLASSIC, thorough=True).notes == ()


def test_a_process_that_dies_at_any_write_step_left_what_it_had_committed(quick_path: Path) -> None:
    """Catalogue row 99: death before and after every step that could matter."""
    expected, remains = states(), remains_of(quick_path / "live", CLASSIC, LIMITS, batches())
    assert remains.steps > 50 + len(batches()), "every step of the script must have been visited"
    assert {*remains.copies.values()} == {*range(len(expected))}
    for copy, batch in remains.copies.items():
        check_folder(copy, expected[batch])


class Failing(Database):
    """Counts its write steps and fails at the chosen one: before it (the write is lost) or after it (it is kept)."""

    step: ClassVar[int]
    kept: ClassVar[bool]
    outcome: ClassVar[int]
    """1 when the step that failed was a commit that reached the disk: of it nobody could know."""

    def write(self, sql: str, parameters: Sequence[object] = ()) -> None:
        if not self._due():
            super().write(sql, parameters)
            return
        if self.kept:
            super().write(sql, parameters)
            Failing.outcome = int(sql == "COMMIT")
        raise self._failed()

    def write_many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        if not self._due():
            return super().write_many(sql, rows)
        if self.kept:
            super().write_many(sql, rows)
        raise self._failed()

    def _due(self) -> bool:
        Failing.step -= 1
        return self.step == 0

    def _failed(self) -> StoreError:
        error = sqlite3.OperationalError("injected")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR
        self.failure = explain(error, self.path)
        return self.failure


@pytest.mark.usefixtures("repeatable")
@pytest.mark.parametrize("kept", [False, True], ids=["lost", "kept"])
def test_after_a_failed_write_nothing_more_is_written_and_nothing_committed_is_missing(
    quick_path: Path,
    kept: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Catalogue rows 99 and 103: a write that fails, whether or not it reached the disk, ends the story there."""
    expected, step, done = states(), 0, 0
    seen: set[tuple[bytes, int]] = set()
    while done < len(expected) - 1:
        step += 1
        folder = quick_path / str(step)
        Failing.step = 10**9
        store, reader = open_store(folder, CLASSIC, LIMITS, Failing)
        Failing.step, Failing.kept, Failing.outcome, done = step, kept, 0, 0
        try:
            for writes in batches():
                commit(store, *writes)
                done += 1
        except StoreFullError as failure:
            for again in (store.begin, store.commit):
                with pytest.raises(StoreFullError) as repeated:
                    again()
                assert repeated.value is failure
            store.rollback()
            check_reader(reader, expected[done + Failing.outcome])
        reader.close()
        store.close()
        if is_new(folder, done + Failing.outcome, seen):
            check_folder(folder, expected[done + Failing.outcome])
    assert step > 50, "every step of the script must have failed once"


def test_a_log_cut_off_anywhere_recovers_to_a_committed_state(quick_path: Path) -> None:
    """Catalogue row 102: a torn tail loses the batches that were in it, whole, and nothing else."""
    store, reader = open_store(quick_path / "live", CLASSIC, LIMITS)
    log = quick_path / "live" / "ledger.sqlite-wal"
    sizes = [log.stat().st_size]
    for writes in batches():
        commit(store, *writes)
        sizes.append(log.stat().st_size)
    expected = states()
    whole = log.read_bytes()
    assert len(whole) == sizes[-1], "nothing was copied into the main file yet"
    start = sizes[0]
    cuts = sorted({*range(start, len(whole), 1_733), *(s + d for s in sizes for d in (-1, 0, 1) if start <= s + d)})
    for cut in cuts:
        folder = quick_path / f"cut-{cut}"
        folder.mkdir()
        shutil.copy(quick_path / "live" / "ledger.sqlite", folder)
        (folder / log.name).write_bytes(whole[:cut])
        survived = max(i for i, size in enumerate(sizes) if size <= cut)
        with on_disk(folder, LIMITS) as (again, look):
            check_view(again, expected[survived].reopened())
            check_reader(look, expected[survived])
    reader.close()
    store.close()


def test_a_full_disk_stops_the_store_and_loses_nothing(tmp_path: Path) -> None:
    """Catalogue row 103: SQLite itself says that it is full; with room again, the store goes on."""
    store, reader = open_store(tmp_path, CLASSIC)
    (pages,) = store._database.one("PRAGMA page_count")
    store._database.all(f"PRAGMA max_page_count = {pages + 5}")
    tip = GENESIS
    with pytest.raises(StoreFullError, match=r"ledger.sqlite does not fit on its disk.*Free some space"):  # noqa: PT012
        while True:
            block = child(tip, "x" * 3_000)
            commit(store, Append([block], [OWN]))
            tip = block
    store.rollback()
    assert tip.index > 0
    assert reader.tip().hash == tip.hash
    with pytest.raises(StoreFullError):
        store.begin()
    reader.close()
    store.close()
    with on_disk(tmp_path) as (again, look):
        assert look.tip().hash == tip.hash
        commit(again, Append(branch(tip, "room again")))


def test_the_script_meets_what_it_promises() -> None:
    """The story above is only worth something if it evicts, loses, and finds again."""
    stages = states()
    assert [len(stage.lost()) for stage in stages] == [0, 0, 0, 0, 0, 0, 3, 1, *[0] * 6, 2, 2, 1]
    assert all(stage.tips() for stage in stages[5:])
    for before, after in pairwise(stages[9:12]):
        assert set(before.aside) - set(after.aside), "the oldest were dropped"
    assert [len(stage.staged) for stage in stages[11:]] == [0, 4, 13, 6, 0, 4]
    assert stages[13].staged & set(stages[14].best), "what was staged was followed"
