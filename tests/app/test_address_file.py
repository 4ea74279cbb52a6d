"""The book of addresses on disk: kept when it can be, and never in the way of a start."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from tallystick.app.address_file import ADDRESS_FILE, AddressFile
from tallystick.errors import TallystickError
from tallystick.model.limits import LIMITS, Limits

VERSION = 1


def load(content: bytes) -> list[str]:
    """A book as a test has it: a list of names, under a version."""
    book = json.loads(content)
    if book["version"] != VERSION:
        raise TallystickError(f"version {book['version']} is not {VERSION}")
    addresses: list[str] = book["addresses"]
    return addresses


def save(*addresses: str, version: int = VERSION) -> bytes:
    return json.dumps({"version": version, "addresses": addresses}).encode()


@pytest.fixture
def book(tmp_path: Path) -> AddressFile:
    return AddressFile(tmp_path, LIMITS)


@given(st.lists(st.text(max_size=9), max_size=9), st.lists(st.text(max_size=9), max_size=9))
def test_what_was_written_last_is_read(
    tmp_path_factory: pytest.TempPathFactory, first: list[str], second: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("book")
    book = AddressFile(folder, LIMITS)
    for addresses in (first, second):
        book.write(save(*addresses))
        assert AddressFile(folder, LIMITS).read(load) == addresses
    assert [file.name for file in folder.iterdir()] == [ADDRESS_FILE]


def test_a_first_start_has_no_book_and_nothing_to_tell(book: AddressFile, tmp_path: Path) -> None:
    with capture_logs() as logs:
        assert book.read(load) is None
    assert logs == []
    assert list(tmp_path.iterdir()) == []


GOOD = save("10.0.0.1:3001", "10.0.0.2:3001")
BAD = {
    "empty": b"",
    "cut short": GOOD[:-5],
    "garbled": b"\xff" + GOOD[1:],
    "another form": b"[]",
    "a later version": save(version=2),
    "too large": GOOD + b" " * LIMITS.address_file_bytes,
    "nested": b"[" * 100_000,
}


@pytest.mark.parametrize("content", BAD.values(), ids=BAD.keys())
def test_a_bad_book_is_set_aside_and_the_node_starts_with_an_empty_one(
    book: AddressFile, tmp_path: Path, content: bytes
) -> None:
    """Catalogue row 71, the file: corrupt, cut short, of a later version."""
    (tmp_path / ADDRESS_FILE).write_bytes(content)
    with capture_logs() as logs:
        assert book.read(load) is None
    (entry,) = logs
    assert (entry["log_level"], entry["kept_as"]) == ("warning", str(tmp_path / f"{ADDRESS_FILE}.bad"))
    assert entry["why"]
    assert (tmp_path / f"{ADDRESS_FILE}.bad").read_bytes() == content
    assert not (tmp_path / ADDRESS_FILE).exists()
    book.write(GOOD)
    assert book.read(load) == ["10.0.0.1:3001", "10.0.0.2:3001"]


@given(st.binary(max_size=200))
def test_no_content_stops_a_start(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Catalogue row 71: whatever the file holds."""
    folder = tmp_path_factory.mktemp("book")
    (folder / ADDRESS_FILE).write_bytes(content)
    with capture_logs() as logs:
        read = AddressFile(folder, LIMITS).read(load)
    assert (read is None) == bool(logs)


def folder_in_its_place(file: Path) -> None:
    (file / "inside").mkdir(parents=True)


def pipe_in_its_place(file: Path) -> None:
    os.mkfifo(file)


def link_to_nowhere(file: Path) -> None:
    file.symlink_to(file.with_name("nowhere"))


@pytest.mark.skipif(os.name != "posix", reason="pipes and links as POSIX has them")
@pytest.mark.parametrize("make", [folder_in_its_place, pipe_in_its_place, link_to_nowhere])
def test_what_is_no_file_is_set_aside_too(book: AddressFile, tmp_path: Path, make: Callable[[Path], None]) -> None:
    """Catalogue row 71: a folder in its place, or what would keep a reader waiting for ever."""
    make(tmp_path / ADDRESS_FILE)
    with capture_logs() as logs:
        assert book.read(load) is None
    assert [entry["log_level"] for entry in logs] == ["warning"]
    assert os.path.lexists(tmp_path / f"{ADDRESS_FILE}.bad")
    book.write(GOOD)
    assert book.read(load) is not None


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_book_we_cannot_read_is_set_aside(book: AddressFile, tmp_path: Path) -> None:
    """Catalogue row 71: unreadable."""
    (tmp_path / ADDRESS_FILE).write_bytes(GOOD)
    (tmp_path / ADDRESS_FILE).chmod(0)
    with capture_logs() as logs:
        assert book.read(load) is None
    assert logs[0]["why"] == "Permission denied"
    assert (tmp_path / f"{ADDRESS_FILE}.bad").exists()


def test_a_disk_that_cannot_be_read_costs_the_book_only(
    book: AddressFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catalogue row 71: unreadable, for root too."""
    (tmp_path / ADDRESS_FILE).write_bytes(GOOD)

    def fails(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "open", fails)
    with capture_logs() as logs:
        assert book.read(load) is None
    assert logs[0]["why"] == "Input/output error"


def bad_is_a_file(bad: Path) -> None:
    bad.write_bytes(b"older")


def bad_is_a_folder(bad: Path) -> None:
    bad.mkdir()


def bad_is_a_full_folder(bad: Path) -> None:
    (bad / "inside").mkdir(parents=True)


@pytest.mark.parametrize("make", [bad_is_a_file, bad_is_a_folder, bad_is_a_full_folder])
@pytest.mark.parametrize("found", ["file", "folder"])
def test_an_older_bad_book_gives_way_unless_it_holds_what_is_not_ours(
    book: AddressFile, tmp_path: Path, make: Callable[[Path], None], found: str
) -> None:
    file, bad = tmp_path / ADDRESS_FILE, tmp_path / f"{ADDRESS_FILE}.bad"
    make(bad)
    if found == "file":
        file.write_bytes(b"newer")
    else:
        file.mkdir()
    with capture_logs() as logs:
        assert book.read(load) is None
    if make is bad_is_a_full_folder:
        assert (logs[0]["kept_as"], (bad / "inside").is_dir()) == (None, True)
    else:
        assert logs[0]["kept_as"] == str(bad)
        assert bad.is_dir() if found == "folder" else bad.read_bytes() == b"newer"


def test_a_failing_disk_is_told_of_once_and_stops_nothing(book: AddressFile, tmp_path: Path) -> None:
    (tmp_path / ADDRESS_FILE).mkdir()
    with capture_logs() as logs:
        book.write(GOOD)
        book.write(GOOD)
        assert [entry["log_level"] for entry in logs] == ["warning"]
        (tmp_path / ADDRESS_FILE).rmdir()
        book.write(GOOD)
        (tmp_path / ADDRESS_FILE).unlink()
        (tmp_path / ADDRESS_FILE).mkdir()
        book.write(GOOD)
        assert len(logs) == 2


def test_a_write_that_fails_half_way_leaves_the_last_book(book: AddressFile, monkeypatch: pytest.MonkeyPatch) -> None:
    book.write(GOOD)

    def fails(path: Path, content: bytes) -> int:
        with path.open("wb") as file:
            file.write(content[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, capture_logs() as logs:
        patch.setattr(Path, "write_bytes", fails)
        book.write(save("10.0.0.3:3001"))
    assert logs[0]["why"] == "No space left on device"
    assert book.read(load) == ["10.0.0.1:3001", "10.0.0.2:3001"]
    book.write(save("10.0.0.3:3001"))
    assert book.read(load) == ["10.0.0.3:3001"]


@pytest.mark.skipif(os.name != "posix", reason="modes are a thing of POSIX")
def test_the_book_is_for_its_owner_only(book: AddressFile, tmp_path: Path) -> None:
    book.write(GOOD)
    assert stat.S_IMODE((tmp_path / ADDRESS_FILE).stat().st_mode) == 0o600


def test_a_full_book_of_any_limits_fits_the_file() -> None:
    assert LIMITS.address_file_bytes >= LIMITS.addresses * 512
    assert AddressFile(Path(), Limits(address_file_bytes=5)).read(load) is None
