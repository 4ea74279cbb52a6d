"""What a process leaves behind that dies at any write step.

It leaves what its files hold at that moment: its memory is gone, and what it wrote stays, whether or not it was told
to the disk. So nobody has to die for each step. A story is played once, and `Remains` copies the data folder before
every write step, from the creation of the file on, and after every commit (after any other step the disk is as before
the next).

Most steps only change what is in memory: where a folder is, byte for byte, as an earlier one, and must hold the same,
one copy stands for both. The shared memory of SQLite's log does not count: who opens a folder that nobody has
open makes it anew.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import ClassVar

from tallystick.chain.writes import Write
from tallystick.model.limits import Limits
from tallystick.model.network import Network
from tallystick.storage.database import Database
from tallystick.storage.opening import open_store
from tests.storage.kit import commit


def content(folder: Path) -> bytes:
    """The same for folders that hold the same."""
    whole = sha256()
    for file in sorted(folder.iterdir()):
        if not file.name.endswith("-shm"):
            whole.update(f"{file.name} {file.stat().st_size} ".encode() + file.read_bytes())
    return whole.digest()


def is_new(folder: Path, batches: int, seen: set[tuple[bytes, int]]) -> bool:
    """Does a look at it show anything? Not where the same bytes were seen to hold so many batches."""
    known = len(seen)
    seen.add((content(folder), batches))
    return len(seen) > known


class Remains:
    """Copies of one data folder."""

    def __init__(self, folder: Path, root: Path) -> None:
        """Put them into `root`, which is made."""
        root.mkdir()
        self.steps = 0
        """Moments at which the process could have died."""

        self.copies: dict[Path, int] = {}
        """And how many batches of the story each must hold."""

        self.batches = -1
        """Committed so far; -1 until the story begins, for what is committed before makes the file."""

        self._folder, self._root = folder, root
        self._seen: set[tuple[bytes, int]] = set()

    def look(self) -> None:
        """The process could die now."""
        self.steps += 1
        batches = max(self.batches, 0)
        while (found := (content(self._folder), batches)) not in self._seen:
            copy = self._root / f"{self.steps:04}"
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(self._folder, copy)
            if content(copy) == found[0]:  # nobody else wrote meanwhile: hashes are written by a thread of their own
                self._seen.add(found)
                self.copies[copy] = batches

    def committed(self) -> None:
        self.batches += self.batches >= 0


class Watched(Database):
    """Has its folder looked at, wherever the process could die."""

    remains: ClassVar[Remains]

    def write(self, sql: str, parameters: Sequence[object] = ()) -> None:
        self.remains.look()
        super().write(sql, parameters)
        if sql == "COMMIT":
            self.remains.committed()
            self.remains.look()

    def write_many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        self.remains.look()
        super().write_many(sql, rows)


def remains_of(folder: Path, network: Network, limits: Limits, story: Sequence[Sequence[Write]] = ()) -> Remains:
    """What is left of a process that opens `folder`, new or not, and plays a story. The copies are beside it."""
    Watched.remains = remains = Remains(folder, folder.with_name("left"))
    store, reader = open_store(folder, network, limits, Watched)
    remains.batches = 0
    for writes in story:
        commit(store, *writes)
    remains.look()
    reader.close()
    store.close()
    return remains
