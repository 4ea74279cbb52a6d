"""Seeds without end: run until somebody stops it, and keep what breaks a law.

    make soak                                             # from a seed that nobody has run yet
    make soak ARGS="--first 5000 --seconds 3600"

Each seed is run for each kind of network. A seed in which a law breaks goes into a file, with the law that broke, and
belongs into `FOUND` of `test_scenario` once the fault is mended.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import count, islice
from multiprocessing import get_context
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Final, TextIO

from tallystick.model.network import Kind
from tests.sim.mutants import broken_law

FAILURES: Final = Path("soak-failures.txt")
WORKERS: Final = 2
AT_ONCE: Final = 40
RUNS_OF_A_PROCESS: Final = 200
"""Then another one takes over, and what the runs have left behind is gone."""

SAY_EVERY_S: Final = 1.0

Judge = Callable[[Kind, int], str]
"""Which law breaks in a seed of this kind; nothing if all hold."""

Run = tuple[Kind, int]


def verdict(run: Run, judge: Judge = broken_law) -> tuple[Run, str]:
    """A run, and the law that broke in it. In a process of its own: whatever goes wrong is told."""
    try:
        return run, judge(*run)
    except Exception as error:  # noqa: BLE001 - a run that ends so has failed like any other
        return run, repr(error)


def runs_from(first: int) -> Iterator[Run]:
    """Every seed from here on, for each kind."""
    return ((kind, seed) for seed in count(first) for kind in Kind)


def verdicts(pool: Pool, runs: Iterator[Run]) -> Iterator[tuple[Run, str]]:
    """Of each run, some at a time, as they come."""
    while some := list(islice(runs, AT_ONCE)):
        yield from pool.imap_unordered(verdict, some)


def soak(verdicts: Iterable[tuple[Run, str]], failures: Path, seconds: float, out: TextIO) -> int:
    """Take verdicts until the time is over or somebody interrupts, write down those that are bad, and say how far it
    is. Returns how many failed."""
    began_s, said_s, failed = time.monotonic(), 0.0, 0
    with suppress(KeyboardInterrupt):
        for done, ((kind, seed), law) in enumerate(verdicts, 1):
            if law:
                failed += 1
                with failures.open("a", encoding="utf-8") as file:
                    file.write(f"{kind} {seed} {law}\n")
                print(f"\n{kind} {seed}: {law}", file=out)
            spent_s = time.monotonic() - began_s
            is_over = spent_s >= seconds
            if law or is_over or spent_s - said_s >= SAY_EVERY_S:
                said_s = spent_s
                rate = done / max(spent_s, 1e-9)
                said = f"\r{done:,} runs, {failed:,} failed, up to seed {seed:,}, {rate:.1f} runs/s "
                print(said, end="", file=out, flush=True)
            if is_over:
                break
    print(file=out)
    return failed


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code: 1 when a seed failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim.soak", description="Run seeds until it is stopped.")
    parser.add_argument("--first", type=int, default=int(time.time()), help="the first seed; else one of the clock")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long; else never")
    parser.add_argument("--workers", type=int, default=WORKERS, help=f"processes; else {WORKERS}")
    parser.add_argument("--file", type=Path, default=FAILURES, help=f"where failing seeds go; else {FAILURES}")
    chosen = parser.parse_args(arguments)
    print(f"Seeds from {chosen.first:,} on, failing ones into {chosen.file}. Ctrl-C ends it.", file=sys.stderr)
    deaf = (signal.SIGINT, signal.SIG_IGN)  # whoever interrupts means us
    with get_context("spawn").Pool(chosen.workers, signal.signal, deaf, maxtasksperchild=RUNS_OF_A_PROCESS) as pool:
        failed = soak(verdicts(pool, runs_from(chosen.first)), chosen.file, chosen.seconds, sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
