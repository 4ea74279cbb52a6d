"""The book of addresses on disk: `addresses.json` in the data folder.

The book says where peers may be found that nobody configured. Losing it costs a node a little time and nothing
else, so nothing about this file stops a node. Whatever cannot be read as a book (cut short, garbled, written by
a later version, a folder in its place) is set aside as `addresses.json.bad`, for somebody to look at, and the node
starts with an empty book. A disk that refuses a new one is told of once.

What the bytes mean is the business of whoever owns the book; here they are kept.
"""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import structlog

from tallystick.errors import TallystickError
from tallystick.model.limits import Limits
from tallystick.model.text import printable
from tallystick.storage.folder import create_file, sync

ADDRESS_FILE: Final = "addresses.json"

T = TypeVar("T")

log = structlog.get_logger("tallystick")


class AddressFile:
    """The file of one data folder, which must be claimed. Calls may wait for the disk, and are made one at a time."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self._file = folder / ADDRESS_FILE
        self._bad = folder / f"{ADDRESS_FILE}.bad"
        self._partial = folder / f".{ADDRESS_FILE}.partial"
        self._bytes_max = limits.address_file_bytes
        self._fails = False

    def read(self, load: Callable[[bytes], T]) -> T | None:
        """What `load` makes of the file, or None: there is none, or it is no book. Whatever `load` raises says why."""
        try:
            content = _regular_file(self._file, self._bytes_max)
            return load(content)
        except FileNotFoundError:
            if not self._file.is_symlink():
                return None
            reason = "it is a link to nowhere"
        except OSError as error:
            reason = error.strerror or str(error)
        except TallystickError as error:
            reason = str(error)
        except Exception as error:  # noqa: BLE001 - no book, however bad, is worth a node that does not start
            reason = f"{type(error).__name__}: {error}"
        log.warning(
            "the book of addresses cannot be read; starting with an empty one",
            why=printable(reason),
            kept_as=self._set_aside(),
        )
        return None

    def write(self, content: bytes) -> None:
        """Put a new book in the place of the last one, whole or not at all. A disk that refuses is only told of."""
        try:
            self._partial.unlink(missing_ok=True)  # of a write that was cut off
            create_file(self._partial)
            self._partial.write_bytes(content)
            sync(self._partial)
            self._partial.replace(self._file)
        except OSError as error:
            if not self._fails:
                log.warning(
                    "the book of addresses cannot be saved; after a restart, peers are looked for anew",
                    file=str(self._file),
                    why=error.strerror or str(error),
                )
            self._fails = True
        else:
            self._fails = False

    def _set_aside(self) -> str | None:
        """Move a bad file out of the way, over an older one; its new name, or None where it cannot be moved."""
        try:
            if self._bad.is_dir() and not self._bad.is_symlink():
                self._bad.rmdir()
            elif self._file.is_dir():
                self._bad.unlink(missing_ok=True)
            self._file.replace(self._bad)
        except OSError:
            return None
        return str(self._bad)


def _regular_file(file: Path, bytes_max: int) -> bytes:
    """All of a small file. Raises OSError, also when it is larger, or no file: a pipe would keep us waiting."""
    if not stat.S_ISREG(file.stat().st_mode):
        raise OSError(None, "it is no regular file")
    with file.open("rb") as opened:
        content = opened.read(bytes_max + 1)
    if len(content) > bytes_max:
        raise OSError(None, f"it is larger than {bytes_max} bytes")
    return content
