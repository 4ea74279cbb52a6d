"""A backup is a ledger, whole and consistent, or it is not there at all."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

import pytest

from tallystick.chain.writes import Append
from tallystick.errors import StoreError
from tallystick.model.network import CLASSIC
from tallystick.storage import backup as module
from tallystick.storage import folder
from tallystick.storage.backup import backup
from tallystick.storage.database import Database
from tallystick.storage.verify import verify
from tests.storage.kit import GENESIS, branch, check_reader, check_view, commit, on_disk
from tests.storage.script import LIMITS, batches, play, states


@pytest.mark.parametrize("running", [True, False])
def test_a_backup_is_a_ledger_for_an_empty_folder(tmp_path: Path, running: bool) -> None:  # noqa: FBT001 - a parameter
    """Catalogue row 110: what is restored equals what was there, down to the duties."""
    twin = states()[7]
    target = tmp_path / "copy.sqlite"
    with on_disk(tmp_path / "data", LIMITS) as (store, _):
        play(store, batches()[:7])
        if running:
            assert backup(tmp_path / "data", target, CLASSIC) == twin.tip.index
            commit(store, Append(branch(twin.tip, "later")))
    if not running:
        assert backup(tmp_path / "data", target, CLASSIC) == twin.tip.index
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert {file.name for file in tmp_path.iterdir()} == {"data", "copy.sqlite"}

    restored = tmp_path / "restored"
    restored.mkdir()
    shutil.copy(target, restored / "ledger.sqlite")
    assert verify(restored, CLASSIC, thorough=True).tip == twin.tip.hash
    with on_disk(restored, LIMITS) as (again, reader):
        check_view(again, twin)
        check_reader(reader, twin)
        assert Path(restored / "hashes.sqlite").exists()


def test_a_backup_taken_while_blocks_pour_in_is_one_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with on_disk(tmp_path / "data") as (store, reader):
        tip = branch(GENESIS, *("x" * 2_000 for _ in range(100)))
        commit(store, Append(tip))
        copy_to = Database.copy_to

        def while_writing(source: Database, target: Database, pages: int) -> None:
            commit(store, Append(branch(tip[-1], "meanwhile")))
            copy_to(source, target, pages)

        monkeypatch.setattr(Database, "copy_to", while_writing)
        monkeypatch.setattr(module, "PAGES_AT_ONCE", 1)
        assert backup(tmp_path / "data", tmp_path / "copy.sqlite", CLASSIC) == 100
        assert reader.tip().index == 101


def test_a_backup_never_overwrites(tmp_path: Path) -> None:
    with on_disk(tmp_path / "data"):
        target = tmp_path / "precious"
        target.write_text("precious")
        with pytest.raises(StoreError, match="precious exists already"):
            backup(tmp_path / "data", target, CLASSIC)
        assert target.read_text() == "precious"


def test_a_backup_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with on_disk(tmp_path / "data"):
        with pytest.raises(StoreError, match="nowhere"):
            backup(tmp_path / "data", tmp_path / "nowhere" / "copy", CLASSIC)

        def refuse(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(folder, "sync", refuse)
        with pytest.raises(StoreError, match="No space left"):
            backup(tmp_path / "data", tmp_path / "copy", CLASSIC)
    assert [file.name for file in tmp_path.iterdir()] == ["data"]


def test_a_name_taken_meanwhile_is_not_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "copy"
    with on_disk(tmp_path / "data"):
        monkeypatch.setattr(folder, "sync", lambda _: target.write_text("quicker"))
        with pytest.raises(StoreError, match="appeared in the meantime"):
            backup(tmp_path / "data", target, CLASSIC)
    assert target.read_text() == "quicker"
    assert {file.name for file in tmp_path.iterdir()} == {"data", "copy"}


def test_there_is_nothing_to_back_up(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="There is no ledger"):
        backup(tmp_path / "data", tmp_path / "copy", CLASSIC)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", ".", "/"])
def test_a_place_without_a_name_is_no_place_for_a_copy(tmp_path: Path, name: str) -> None:
    with on_disk(tmp_path), pytest.raises(StoreError, match="exists already"):
        backup(tmp_path, Path(name), CLASSIC)
