"""Play the script in a child process again and again, each time dying at another write step.

    python -m tests.storage.dying FOLDER [OLD]
    python -m tests.storage.dying FOLDER --records

makes FOLDER/<step>-before for every write step, from the creation of the file on, and <step>-after for every one that
commits (after any other the disk is as before the next), and writes into `expected` beside it how many batches must be
there when it is opened again. One process forks for all of them.
With OLD, a data folder, each begins as a copy of that, and does no more than open it. With --records it is the script
of a sealed network.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

from tallystick.model.network import CLASSIC
from tallystick.storage.database import Database
from tallystick.storage.opening import open_store
from tests.storage import record_script, script
from tests.storage.sealed_blocks import NETWORK

SURVIVED = 0
DIED = 9


class Dying(Database):
    """Counts its write steps and ends the process, without any farewell, before or after the chosen one."""

    step: ClassVar[int]
    after: ClassVar[bool]
    batches_done: ClassVar[int] = -1
    """-1 until the script begins: what is committed before that makes the file."""

    note: ClassVar[Path]

    def write(self, sql: str, parameters: Sequence[object] = ()) -> None:
        self._arrive(after=False)
        super().write(sql, parameters)
        if sql == "COMMIT":
            Dying.batches_done += Dying.batches_done >= 0
            self._arrive(after=True)

    def write_many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        self._arrive(after=False)
        super().write_many(sql, rows)

    def _arrive(self, *, after: bool) -> None:
        if after == Dying.after:
            Dying.step -= 1
            if Dying.step == 0:
                self.note.write_text(str(max(Dying.batches_done, 0)))
                os._exit(DIED)


def live(folder: Path, old: Path | None, *, records: bool) -> None:
    if old is not None:
        shutil.copytree(old, folder)
    network, limits = (NETWORK, record_script.LIMITS) if records else (CLASSIC, script.LIMITS)
    store, _ = open_store(folder, network, limits, Dying)
    Dying.batches_done = 0
    if records:
        script.play(store, record_script.batches())
    elif old is None:
        script.play(store, script.batches())


def die_everywhere(root: Path, old: Path | None, *, records: bool) -> None:
    last = len(record_script.batches() if records else script.batches())
    for when in ("before", "after"):
        step = 0
        while True:
            step += 1
            folder = root / f"{step:04}-{when}"
            child = os.fork()
            if child == 0:
                Dying.step, Dying.after, Dying.note = step, when == "after", root / f"{folder.name}.expected"
                live(folder, old, records=records)
                os._exit(SURVIVED)
            _, status = os.waitpid(child, 0)
            if os.waitstatus_to_exitcode(status) == SURVIVED:
                (root / f"{folder.name}.expected").write_text(str(last))
                break


if __name__ == "__main__":
    records = sys.argv[2:] == ["--records"]
    die_everywhere(Path(sys.argv[1]), Path(sys.argv[2]) if sys.argv[2:] and not records else None, records=records)
