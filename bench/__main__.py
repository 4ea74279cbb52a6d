"""`python -m bench`: measure everything, and write it down or compare it with what is written down."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench import append, compare, page, plot, propagation
from bench.length import Lengths
from tallystick.bench.figures import Report, machine_words, markdown
from tallystick.bench.sizes import WHOLE, Sizes
from tallystick.bench.suite import PARTS, Part, Run

DOCS = Path(__file__).parents[1] / "docs"

TINY = Sizes("tiny", 1, 0.2, 0.1, 2_000, 1_000, 1, (16,))
"""To see that all of it runs; the figures mean nothing."""


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure everything (about 12 minutes).")
    parser.add_argument("--compare", action="store_true", help="write nothing; fail where a ratio is much worse")
    parser.add_argument("--only", action="append", metavar="PART", help="measure this part; writes nothing")
    parser.add_argument("--tiny", action="store_true", help="tiny sizes, to see that it runs; writes nothing")
    asked = parser.parse_args()
    lengths = Lengths()
    parts = [
        *PARTS,
        Part("append", "appending to a store", append.measure),
        Part("propagation", "sending blocks through five nodes", propagation.measure),
        Part("length", "measuring at each length", lengths.measure),
    ]
    if asked.only:
        parts = [part for part in parts if part.name in asked.only]
    sizes = TINY if asked.tiny else WHOLE
    run = Run(parts, sizes)
    _measure(run)
    report = run.report(lengths.measured)
    if report is None:
        parser.error(f"--only: no such part as {', '.join(asked.only)}")
    print(f"{machine_words(report.machine)} {report.seconds / 60:.1f} minutes.\n\n{markdown(report.figures)}")
    if asked.compare:
        sys.exit(_compare(run, report, sizes))
    if not asked.only and not asked.tiny:
        _write(report)


def _measure(run: Run) -> None:
    for number, part in enumerate(run.measure(), 1):
        print(f"{number} of {len(run.parts)}: {part.doing}", file=sys.stderr, flush=True)


def _write(report: Report) -> None:
    (DOCS / "benchmarks.json").write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    (DOCS / "benchmarks.svg").write_text(plot.drawn(report.lengths), encoding="utf-8")
    document = DOCS / "benchmarks.md"
    document.write_text(page.renewed(document.read_text(encoding="utf-8"), report), encoding="utf-8")
    print(f"\nWritten: benchmarks.json, benchmarks.svg and the table of benchmarks.md in {DOCS}.")


def _compare(run: Run, report: Report, sizes: Sizes) -> int:
    """Measure what lost once more, and say what has lost then. The exit code."""
    committed = msgspec.json.decode((DOCS / "benchmarks.json").read_bytes(), type=Report)
    losses = compare.losses(committed.figures, report.figures)
    if losses:
        again = Run(_parts_of(run, losses), sizes)
        print(f"\nWorse, and measured once more:\n\n{compare.table(losses)}\n", flush=True)
        _measure(again)
        second = [each for figures in again.measured.values() for each in figures]
        losses = compare.losses(committed.figures, compare.better(report.figures, second))
    missing = compare.missing(committed.figures, report.figures)
    if missing:
        print(f"\nNot measured any more, though docs/benchmarks.json has it: {', '.join(missing)}")
    if losses:
        print(f"\nLost more than {compare.LOSS_MAX:.0%} against docs/benchmarks.json:\n\n{compare.table(losses)}")
    elif not missing:
        print(f"\nNo ratio lost more than {compare.LOSS_MAX:.0%} against docs/benchmarks.json.")
    return 1 if losses or missing else 0


def _parts_of(run: Run, losses: Sequence[compare.Loss]) -> list[Part]:
    names = {loss.name for loss in losses}
    return [part for part, figures in run.measured.items() if any(each.name in names for each in figures)]


if __name__ == "__main__":
    main()
