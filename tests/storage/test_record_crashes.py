"""Whatever stops a node of a sealed network, wherever it was: reopened, it shows exactly what was committed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tallystick.errors import StoreFullError
from tallystick.storage.opening import open_store
from tallystick.storage.verify import verify
from tests.storage.deaths import is_new, remains_of
from tests.storage.kit import commit
from tests.storage.record_script import LIMITS, batches, observed, states
from tests.storage.sealed_blocks import NETWORK, sealed_on_disk
from tests.storage.test_crashes import Failing


def check_folder(folder: Path, expected: object) -> None:
    with sealed_on_disk(folder, LIMITS) as (store, reader):
        assert observed(store, reader) == expected
    assert verify(folder, NETWORK, thorough=True).notes == ()


def test_a_process_that_dies_at_any_write_step_left_the_records_it_had_committed(quick_path: Path) -> None:
    """Catalogue row 99: the same of records, the pool, the log and its tiles."""
    expected = states(quick_path / "expected")
    remains = remains_of(quick_path / "live", NETWORK, LIMITS, batches())
    assert remains.steps > 100 + len(batches()), "every step of the script must have been visited"
    assert {*remains.copies.values()} == {*range(len(expected))}
    for copy, batch in remains.copies.items():
        check_folder(copy, expected[batch])


@pytest.mark.usefixtures("repeatable")
@pytest.mark.parametrize("kept", [False, True], ids=["lost", "kept"])
def test_after_a_failed_write_no_record_is_written_and_none_that_was_committed_is_missing(
    quick_path: Path,
    kept: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Catalogue rows 99 and 103: the same of records."""
    expected, step, done = states(quick_path / "expected"), 0, 0
    seen: set[tuple[bytes, int]] = set()
    while done < len(batches()):
        step += 1
        folder = quick_path / str(1000 + step)
        Failing.step = 10**9
        store, reader = open_store(folder, NETWORK, LIMITS, Failing)
        Failing.step, Failing.kept, Failing.outcome, done = step, kept, 0, 0
        try:
            for writes in batches():
                commit(store, *writes)
                done += 1
        except StoreFullError as failure:
            with pytest.raises(StoreFullError) as repeated:
                store.begin()
            assert repeated.value is failure
            store.rollback()
        reader.close()
        store.close()
        if is_new(folder, done + Failing.outcome, seen):
            check_folder(folder, expected[done + Failing.outcome])
    assert step > 100, "every step of the script must have failed once"
