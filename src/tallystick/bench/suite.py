"""The parts of the suite, and a run of them: what is measured comes out part by part, and can be interrupted."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tallystick import __version__
from tallystick.bench import mining, read_path, records, starting, sync, verifying, write_path
from tallystick.bench.figures import VERSION, Figure, Length, Machine, Report
from tallystick.bench.ledgers import Ground
from tallystick.bench.machine import describe
from tallystick.bench.sizes import Sizes


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that is measured."""

    name: str
    doing: str
    """For whoever waits: `posting blocks`."""

    measure: Callable[[Ground], list[Figure]]
    takes_long: bool = False
    """Only the whole form has it."""


PARTS: Final = (
    Part("write", "posting blocks", write_path.measure),
    Part("records", "posting records", records.measure_pool),
    Part("sealing", "posting records until they stand in blocks", records.measure_sealing, takes_long=True),
    Part("log", "syncing and proving records", records.measure_log, takes_long=True),
    Part("read", "reading blocks", read_path.measure),
    Part("sync", "syncing a chain", sync.measure),
    Part("verify", "verifying it", verifying.measure),
    Part("mining", "looking for nonces", mining.measure),
    Part("start", "starting nodes", starting.measure),
)
"""All but those of `make bench` alone, which stand beside the documents that it writes."""

SHORT_PARTS: Final = tuple(part for part in PARTS if not part.takes_long)


class Run:
    """One run, begun when it is made."""

    def __init__(self, parts: Sequence[Part], sizes: Sizes, folder: Path | None = None) -> None:
        """Ledgers are made in a folder within `folder`, by default the system's for temporary files, and are gone
        afterwards."""
        self.parts = parts
        self._sizes = sizes
        self._folder = folder
        self._began = datetime.now(UTC)
        self._started_s = time.monotonic()
        self._machine: Machine | None = None
        self.measured: dict[Part, list[Figure]] = {}
        """So far."""

        self._is_complete = False

    def measure(self) -> Iterator[Part]:
        """Do it, saying before each part which one it is. Raises UnmeasuredError."""
        with tempfile.TemporaryDirectory(prefix="tallystick-bench-", dir=self._folder) as folder:
            self._machine = describe(Path(folder))
            ground = Ground(Path(folder), self._sizes)
            for part in self.parts:
                yield part
                self.measured[part] = part.measure(ground)
        self._is_complete = True

    def report(self, lengths: Sequence[Length] = ()) -> Report | None:
        """What was measured so far; None where that is nothing."""
        if self._machine is None or not self.measured:
            return None
        return Report(
            version=VERSION,
            program=f"tallystick/{__version__}",
            form=self._sizes.form,
            taken=self._began.strftime("%Y-%m-%dT%H:%M:%SZ"),
            seconds=round(time.monotonic() - self._started_s, 1),
            complete=self._is_complete,
            machine=self._machine,
            figures=[each for figures in self.measured.values() for each in figures],
            lengths=list(lengths),
        )
