"""A disk that is full when a test says so, and has room again when it says that.

Where we may mount, it is a small file system in memory, and a file beside the ledger fills it: what the node meets is
what it would meet on a real disk (ENOSPC). Elsewhere the node is forbidden to let any file grow (`setrlimit(2)`,
EFBIG), which to SQLite is nearly the same.
"""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

import psutil

from tests.system.processes import NodeProcess

SIZE_BYTES: Final = 128 * 2**20
"""Much more than nodes write in the longest of stories, minutes of posts on a slow machine. Memory is taken only by
what is in it."""

PAGE_BYTES: Final = 4_096
"""The least that a file in memory takes."""

LOG_BYTES: Final = 64 * 1024
"""A node whose files may not grow still has so much for its last words, which go to a file as well."""


class Disk(Protocol):
    """Where a node keeps its data."""

    def fill(self, node: NodeProcess, left_bytes: int) -> None:
        """Leave about so much room, while the node runs."""

    def begin_full(self) -> None:
        """In a new process, before it becomes a node: what `fill` did holds for it, too."""

    def make_room(self) -> None:
        """There is room again, at the latest for the next process."""


class Mounted:
    """A file system of its own."""

    def __init__(self, folder: Path) -> None:
        self._ballast = folder / "ballast"

    def fill(self, node: NodeProcess, left_bytes: int) -> None:
        """The node may be writing meanwhile: so take what there is, in ever smaller pieces."""
        with self._ballast.open("wb") as file:
            taken, piece = 0, SIZE_BYTES
            while piece >= PAGE_BYTES:
                try:
                    os.posix_fallocate(file.fileno(), taken, piece)
                except OSError as full:
                    assert full.errno == errno.ENOSPC
                    piece //= 2
                else:
                    taken += piece
            file.truncate(max(0, taken - left_bytes))

    def begin_full(self) -> None: ...

    def make_room(self) -> None:
        self._ballast.unlink(missing_ok=True)


class Forbidden:
    """A limit to the size of files. It ends with the process."""

    def __init__(self) -> None:
        self._most_bytes = 0

    def fill(self, node: NodeProcess, left_bytes: int) -> None:
        assert node.process is not None
        sizes = [file.stat().st_size for file in node.folder.iterdir()]
        self._most_bytes = max(*sizes, node.log.stat().st_size + LOG_BYTES) + left_bytes
        psutil.Process(node.process.pid).rlimit(psutil.RLIMIT_FSIZE, (self._most_bytes, self._most_bytes))

    def begin_full(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (self._most_bytes, self._most_bytes))

    def make_room(self) -> None: ...


@contextmanager
def small_disk(folder: Path) -> Iterator[Disk]:
    """This folder, which is empty, on a disk that can be filled."""
    folder.mkdir(mode=0o700)
    mount, unmount = shutil.which("mount"), shutil.which("umount")
    options = ("-t", "tmpfs", "-o", f"size={SIZE_BYTES},mode=700", "tmpfs", str(folder))
    if not (mount and unmount) or subprocess.run([mount, *options], capture_output=True, check=False).returncode:
        yield Forbidden()
        return
    try:
        yield Mounted(folder)
    finally:
        subprocess.run([unmount, "--lazy", str(folder)], check=True)
