"""The data folder: which files it holds, who may use it, and what must not be missing.

    ledger.sqlite      the ledger itself; the only file worth a backup
    ledger.sqlite-wal  its write-ahead log: while this exists it is part of the ledger
    ledger.sqlite-shm  shared memory of that log; rebuilt at will
    hashes.sqlite      where a block of a given hash stands; derived, rebuilt when missing
    ledger.lock        locked while a node runs; holds its process id

The folder may hold other files; they are left alone. What we create is for its owner only.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from tallystick.errors import StoreCorruptError, StoreError, StoreFullError, StoreLockedError

FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600
USUAL_MODE: Final = 0o666
"""Of a file that is made to be passed on."""

OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
"""Every mode bit of the group and of everybody else; a private file has none of them."""

SIDE_FILES: Final = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside a database, by suffix."""

PID_DIGITS: Final = 20
"""More of a lock file is not read: nobody knows who wrote it."""


class DataFolder:
    """The paths of a data folder, and its lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ledger = path / "ledger.sqlite"
        self.hashes = path / "hashes.sqlite"
        self._lock_file = path / "ledger.lock"
        self._lock: FileLock | None = None
        self._watched: tuple[int, int] | None = None

    def claim(self) -> None:
        """Create the folder if need be, and take it for this process until `release`.

        Raises StoreLockedError when another process has it, StoreError when it cannot be made.
        """
        with told(self.path):
            self.path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            lock = FileLock(self._lock_file, mode=FILE_MODE, thread_local=False)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                raise StoreLockedError(
                    f"The data folder {self.path} is in use by {self._holder()}. "
                    "Stop it first, or start this one with another --data-dir."
                ) from None
            self._lock = lock
            with suppress(OSError):  # the lock counts, not the note
                self._lock_file.write_text(f"{os.getpid()}\n")

    def release(self) -> None:
        """Let go of the folder. Idempotent."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _holder(self) -> str:
        try:
            with self._lock_file.open(encoding="ascii") as file:
                note = file.read(PID_DIGITS).strip()
        except (OSError, UnicodeDecodeError):
            note = ""
        return f"process {note}" if note.isdecimal() else "another process"

    def prepare(self) -> None:
        """Make sure that there is a ledger file to open, and that none was lost. Raises StoreError."""
        with told(self.path):
            if self.ledger.exists():
                return
            left = [file.name for file in (self.hashes, beside(self.ledger, "-wal")) if file.exists()]
            if left:
                raise StoreCorruptError(
                    f"{self.ledger} is missing, though {' and '.join(left)} shows that it was there. "
                    f"Put it back, restore a backup as {self.ledger}, or empty the folder to start afresh."
                )
            create_file(self.ledger)
            sync(self.path)

    def watch_ledger(self) -> None:
        """Remember which file the ledger is, for `check_ledger`. Raises StoreError."""
        with told(self.ledger):
            self._watched = _identity(self.ledger)

    def check_ledger(self) -> None:
        """Make sure that the ledger is still the file that was opened. Raises StoreError.

        On POSIX systems a file that was removed can be written on, and is gone once it is closed.
        """
        try:
            found = _identity(self.ledger)
        except OSError:
            found = None
        if found != self._watched:
            raise StoreError(
                f"{self.ledger} was removed or replaced while this node was running. "
                "Put it back, or restore a backup, then start again."
            )

    def require(self) -> None:
        """Make sure, for those who only look, that there is a ledger. Raises StoreError."""
        with told(self.path):
            if not self.ledger.is_file():
                raise StoreError(f"There is no ledger in {self.path}. Check --data-dir, or start a node there first.")

    def drop_hashes(self) -> None:
        """Remove the hash index, for it is derived. The folder must be claimed."""
        with told(self.path):
            for file in (self.hashes, *(beside(self.hashes, suffix) for suffix in SIDE_FILES)):
                file.unlink(missing_ok=True)


def beside(file: Path, suffix: str) -> Path:
    """What SQLite calls the file that belongs to `file`."""
    return file.with_name(file.name + suffix)


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def create_file(path: Path, mode: int = FILE_MODE) -> None:
    """An empty file; by default one that only its owner can read, and SQLite gives its log the same mode."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, mode))


def sync(path: Path) -> None:
    """Make durable what was written to a file, or which names are in a folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def new_file(target: Path, mode: int = FILE_MODE) -> Iterator[Path]:
    """A file to write, which becomes `target` once it is complete and on disk. The user's mask applies to `mode`.

    Raises StoreError, and leaves nothing behind, when the target exists or cannot be written.
    """
    with told(target):
        if target.exists():
            raise StoreError(f"{target} exists already. Choose another name, or remove it first.")
        partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
        create_file(partial, mode)
        try:
            yield partial
            sync(partial)
            _name(partial, target)
        finally:
            partial.unlink(missing_ok=True)
        sync(target.parent)


def _name(partial: Path, target: Path) -> None:
    """Give a finished file its name, but never that of a file that is there. `partial` may be left."""
    try:
        os.link(partial, target)
    except FileExistsError:
        raise StoreError(f"{target} appeared in the meantime. Choose another name.") from None
    except OSError:  # a file system without hard links
        partial.rename(target)


_ACCESS_ADVICE: Final = "Check its owner and its mode."
_ADVICE: Final = {
    errno.ENOENT: "Check the path.",
    errno.EEXIST: "It is a file; name a folder.",
    errno.ENOTDIR: "Check the path: a part of it is a file.",
    errno.ENAMETOOLONG: "Choose a shorter name.",
}
"""What to do about an error of the file system."""


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Tell errors of the file system as ours, naming the folder or file."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS}:
            raise StoreFullError(f"{path} cannot be written ({reason}). Check the disk, then start again.") from error
        advice = _ADVICE.get(error.errno or 0, _ACCESS_ADVICE)
        raise StoreError(f"{path} cannot be used ({reason}). {advice}") from error
