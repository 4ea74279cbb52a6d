"""The latest table in docs/benchmarks.md, between two marks; the words around it are written by hand."""

from __future__ import annotations

from tallystick.bench.figures import Report, machine_words, markdown

BEGIN = "<!-- written by `make bench`: begin -->"
END = "<!-- written by `make bench`: end -->"


def renewed(document: str, report: Report) -> str:
    """The document with this report's table. Raises ValueError where the marks are missing."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"docs/benchmarks.md has no place for the table: {BEGIN} ... {END}")
    return f"{before}{BEGIN}\n{_text(report)}\n{END}{after}"


def _text(report: Report) -> str:
    goals = [each for each in report.figures if each.goal is not None]
    return (
        f"{report.taken[:10]}, {report.program}, {report.seconds / 60:.0f} minutes. {machine_words(report.machine)}\n\n"
        f"{markdown(report.figures)}\n\n"
        f"{sum(each.met is True for each in goals)} of {len(goals)} goals are met."
    )
