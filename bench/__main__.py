"""`python -m bench`: measure everything, and write it down or compare it with what is written down."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench import append, compare, page, plot, propagation
from bench.length import Lengths
from tallystick.bench.figures import Figure, Report, machine_words, markdown
from tallystick.bench.sizes import WHOLE, Sizes
from tallystick.bench.suite import PARTS, Part, Run

DOCS = Path(__file__).parents[1] / "docs"

TINY = Sizes("tiny", 1, 1, 0.2, 0.1, 2_000, 1_000, 1, (16,))
"""To see that all of it runs; the figures mean nothing."""


def main() -> None:
    """Run the command."""
    lengths = Lengths()
    parts = (
        *PARTS,
        Part("append", "appending to a store", append.measure),
        Part("propagation", "sending blocks through five nodes", propagation.measure),
        Part("length", "measuring at each length", lengths.measure),
    )
    asked = _asked([part.name for part in parts])
    sizes = TINY if asked.tiny else WHOLE
    run = Run([part for part in parts if part.name in (asked.only or [part.name])], sizes)
    _measure(run)
    report = run.report(lengths.measured)
    if report is None:
        raise AssertionError("a run has at least one part")
    _say(f"{machine_words(report.machine)} {report.seconds / 60:.1f} minutes.\n\n{markdown(report.figures)}")
    if asked.compare:
        sys.exit(0 if _holds(run, report, sizes, is_whole=not asked.only) else 1)
    if not asked.only and not asked.tiny:
        _write(report)


def _asked(names: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure everything (about 14 minutes).")
    parser.add_argument("--only", action="append", choices=names, help="measure this part, and write nothing")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--compare", action="store_true", help="write nothing; fail where a ratio lost more than 30 %%")
    how.add_argument("--tiny", action="store_true", help="tiny sizes, to see that it runs; writes nothing")
    return parser.parse_args()


def _measure(run: Run) -> None:
    for number, part in enumerate(run.measure(), 1):
        print(f"{number} of {len(run.parts)}: {part.doing}", file=sys.stderr, flush=True)


def _say(text: str) -> None:
    print(f"{text}\n", flush=True)


def _write(report: Report) -> None:
    (DOCS / "benchmarks.json").write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    (DOCS / "benchmarks.svg").write_text(plot.drawn(report.lengths), encoding="utf-8")
    document = DOCS / "benchmarks.md"
    document.write_text(page.renewed(document.read_text(encoding="utf-8"), report), encoding="utf-8")
    _say(f"Written: benchmarks.json, benchmarks.svg and the table of benchmarks.md in {DOCS}.")


def _holds(run: Run, report: Report, sizes: Sizes, *, is_whole: bool) -> bool:
    """Are the ratios those of docs/benchmarks.json, or nearly so? Says what is not."""

    def again(losses: Sequence[compare.Loss]) -> Sequence[Figure]:
        names = {loss.name for loss in losses}
        lost = [part for part, figures in run.measured.items() if any(each.name in names for each in figures)]
        second = Run(lost, sizes)
        _measure(second)
        return [each for figures in second.measured.values() for each in figures]

    committed = msgspec.json.decode((DOCS / "benchmarks.json").read_bytes(), type=Report).figures
    missing = compare.missing(committed, report.figures) if is_whole else []
    if missing:
        _say(f"In docs/benchmarks.json, and not measured any more: {', '.join(missing)}.")
    return compare.holds(committed, report.figures, again, _say) and not missing


if __name__ == "__main__":
    main()
