"""Stretches that are checked by several processes show what one walk shows, and never more."""

from __future__ import annotations

import os
import sqlite3
from concurrent.futures import Future
from pathlib import Path

import pytest

from tallystick.chain.writes import Append
from tallystick.errors import StoreCorruptError
from tallystick.model.network import CLASSIC
from tallystick.storage import verify_ahead as module
from tallystick.storage.opening import open_store
from tallystick.storage.verify import verify
from tallystick.storage.verify_ahead import _check_stretch, _joined, checked_ahead
from tests.storage.kit import GENESIS, WIDE, branch, commit

BLOCKS = branch(GENESIS, *(f"block {i}" for i in range(1, 46)))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(module, "STRETCH_BLOCKS", 10)
    monkeypatch.setattr(module, "_cores", lambda: 2)
    store, reader = open_store(tmp_path, CLASSIC, WIDE)
    commit(store, Append(BLOCKS))
    reader.close()
    store.close()
    return tmp_path


def edit(folder: Path, statement: str) -> None:
    connection = sqlite3.connect(folder / "ledger.sqlite")
    connection.execute(statement)
    connection.commit()
    connection.close()


def ignore(_done: int, _all: int) -> None:
    """Nobody watches."""


def test_a_sound_chain_is_checked_up_to_its_last_whole_stretch(folder: Path) -> None:
    told: list[tuple[int, int]] = []
    ends = checked_ahead(folder / "ledger.sqlite", CLASSIC, 45, lambda done, of: told.append((done, of)))
    assert [(end.index, end.key.hex()) for end in ends] == [(i, BLOCKS[i - 1].hash) for i in (10, 20, 30, 40)]
    assert told == [(11, 46), (21, 46), (31, 46), (41, 46)]
    sound = verify(folder, CLASSIC)
    assert (sound.blocks, sound.tip) == (46, BLOCKS[-1].hash)


@pytest.mark.parametrize("index", [0, 1, 10, 11, 20, 25, 45])
@pytest.mark.parametrize("change", ["data = 'forged'", "hash = randomblob(32)", "hash = 'text'", "timestamp = 'soon'"])
def test_no_stretch_passes_a_bad_block(folder: Path, index: int, change: str) -> None:
    edit(folder, f"UPDATE blocks SET {change} WHERE idx = {index}")  # noqa: S608 - constants
    for first in range(0, 40, 10):
        holds_it = first < index <= first + 10 or (first, index) == (0, 0)
        found = _check_stretch(folder / "ledger.sqlite", CLASSIC, first, first + 10)
        if holds_it:
            assert found is None
        elif index != first:  # which it takes for granted, as the stretch before shows it
            assert found == (
                bytes.fromhex(BLOCKS[first - 1].hash) if first else b"",
                bytes.fromhex(BLOCKS[first + 9].hash),
            )


def test_the_walk_says_what_is_wrong_where_the_stretches_end(folder: Path) -> None:
    edit(folder, "UPDATE blocks SET data = 'forged' WHERE idx = 25")
    told: list[int] = []
    with pytest.raises(StoreCorruptError, match=r"Block 25 has the hash \w+, but its content") as raised:
        verify(folder, CLASSIC, progress=lambda done, _: told.append(done))
    assert raised.value.index == 25
    assert told == [11, 21]


def test_a_stretch_that_a_missing_block_ends_is_none(folder: Path) -> None:
    edit(folder, "DELETE FROM blocks WHERE idx > 33")
    found = [
        _check_stretch(folder / "ledger.sqlite", CLASSIC, first, first + 10) is not None for first in range(0, 50, 10)
    ]
    assert found == [True, True, True, False, False]


def test_stretches_count_as_long_as_each_begins_where_the_one_before_ended() -> None:
    def done(ends: tuple[bytes, bytes] | None) -> Future[tuple[bytes, bytes] | None]:
        future: Future[tuple[bytes, bytes] | None] = Future()
        future.set_result(ends)
        return future

    a, b, c, d = (bytes([each]) * 32 for each in range(4))
    assert list(_joined([(10, done((b"", a))), (20, done((a, b))), (30, done((c, d))), (40, done((d, a)))])) == [
        (10, a),
        (20, b),
    ]
    assert list(_joined([(10, done((b"", a))), (20, done(None)), (30, done((a, b)))])) == [(10, a)]


def die() -> None:
    """What happens to a process when memory runs out."""
    os._exit(9)


def test_processes_that_die_are_done_without(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_leave_interrupts", die)
    assert checked_ahead(folder / "ledger.sqlite", CLASSIC, 45, ignore) == []
    assert verify(folder, CLASSIC).blocks == 46


def test_short_chains_and_single_cores_are_walked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ProcessPoolExecutor", None)
    assert checked_ahead(folder / "ledger.sqlite", CLASSIC, 19, ignore) == []
    monkeypatch.setattr(module, "_cores", lambda: 1)
    assert checked_ahead(folder / "ledger.sqlite", CLASSIC, 45, ignore) == []
