"""Results as values: a figure, its yardstick, their ratio, the goal, and whether it is met.

Rounds are kept in pairs: what was measured and its yardstick, one right after the other, so that whatever else the
machine did disturbed both alike. The ratio is made pair by pair; its median is what counts, its extremes say how far to
trust it.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Final, Literal

import msgspec

VERSION: Final = 1
"""Of the report as JSON. A key that changes its meaning, or goes, makes another."""

SIGNIFICANT: Final = 100
"""A value from here on is told in whole numbers."""


BUSY: Final = 0.7
"""A load average from here on is worth a word."""


class Spread(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The middle one of several rounds, and the extremes."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of at least one round."""
        return cls(statistics.median(values), min(values), max(values))


class Yardstick(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a figure is held against, in the same unit."""

    what: str
    measured: Spread


class Goal(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a figure should reach. Where several bounds are given, one of them is enough."""

    at_least: float | None = None
    at_most: float | None = None
    ratio_at_least: float | None = None
    ratio_at_most: float | None = None

    def is_met(self, measured: float, ratio: float | None) -> bool:
        """By these medians?"""
        return (
            (self.at_least is not None and measured >= self.at_least)
            or (self.at_most is not None and measured <= self.at_most)
            or (self.ratio_at_least is not None and ratio is not None and ratio >= self.ratio_at_least)
            or (self.ratio_at_most is not None and ratio is not None and ratio <= self.ratio_at_most)
        )

    def words(self, unit: str) -> str:
        """`≥ 100,000 blocks/s or ratio ≥ 0.8`."""
        bounds = (
            (self.at_least, "≥ {} " + unit),
            (self.at_most, "≤ {} " + unit),
            (self.ratio_at_least, "ratio ≥ {}"),
            (self.ratio_at_most, "ratio ≤ {}"),
        )
        return " or ".join(text.format(f"{bound:,.10g}") for bound, text in bounds if bound is not None)


class Figure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of the table."""

    name: str
    """The same in every report: what one is compared by. `write.16`."""

    what: str
    """What was done, for people."""

    unit: str
    better: Literal["more", "less"]
    measured: Spread
    rounds: int
    yardstick: Yardstick | None = None
    ratio: Spread | None = None
    """Measured to yardstick, round by round."""

    goal: Goal | None = None
    met: bool | None = None
    """None where there is no goal."""


def figure(
    name: str,
    what: str,
    unit: str,
    ours: Sequence[float],
    *,
    better: Literal["more", "less"] = "more",
    yardstick: tuple[str, Sequence[float]] | None = None,
    goal: Goal | None = None,
) -> Figure:
    """A figure of these rounds. A yardstick has as many, measured in turn with them."""
    against, ratio = None, None
    if yardstick is not None:
        words, theirs = yardstick
        against = Yardstick(words, Spread.of(theirs))
        ratio = Spread.of([mine / other for mine, other in zip(ours, theirs, strict=True)])
    measured = Spread.of(ours)
    met = None if goal is None else goal.is_met(measured.median, None if ratio is None else ratio.median)
    return Figure(name, what, unit, better, measured, len(ours), against, ratio, goal, met)


class Machine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where it was measured."""

    cores: int
    memory_bytes: int | None
    system: str
    processor: str
    python: str
    sqlite: str
    files: str
    """The kind of file system that the ledgers were on, where the system tells."""

    hash_us: float
    """A SHA-256 of a header's 112 bytes."""

    commit_ms: float
    """A durable commit of one row, bare."""

    load: float | None
    """Processes that were running or waiting in the minute before, on average; None where the system does not tell."""


class Length(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a chain of so many blocks costs."""

    blocks: int
    post_ms: float
    """The median of `POST /mineBlock` at 16 connections."""

    post_p99_ms: float
    get_ms: float
    """The median of `GET /blocks/{index}` at 16 connections, all over the chain."""

    start_s: float
    """From the start of the process until the node is ready."""

    memory_mib: float
    """Resident in the node after all this, with the whole chain read once."""

    disk_bytes: float
    """Of the folder, a block."""


class Report(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole run."""

    version: int
    program: str
    form: str
    """`quick`, `short` or `whole`. Figures are comparable within a form."""

    taken: str
    """When it began, UTC (RFC 3339)."""

    seconds: float
    complete: bool
    """False where somebody interrupted it."""

    machine: Machine
    figures: list[Figure]
    lengths: list[Length] = []


# --- for people -------------------------------------------------------------------------------------


def number(value: float) -> str:
    """Three digits, or all that stand before the point."""
    return f"{value:,.0f}" if abs(value) >= SIGNIFICANT else f"{value:.3g}"


def ratio_words(ratio: Spread | None) -> str:
    """`0.77 (0.75 to 0.79)`; of one round, the ratio alone."""
    if ratio is None:
        return ""
    if ratio.low == ratio.high:
        return f"{ratio.median:.2f}"
    return f"{ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"


def machine_words(machine: Machine) -> str:
    """The machine in a line or two."""
    memory = "" if machine.memory_bytes is None else f"{machine.memory_bytes / 2**30:.0f} GiB, "
    return (
        f"{machine.cores} cores ({machine.processor}), {memory}{machine.system}, Python {machine.python}, "
        f"SQLite {machine.sqlite}, files on {machine.files}. A SHA-256 of 112 bytes takes {machine.hash_us:.2f} µs, "
        f"a bare durable commit {machine.commit_ms:.2f} ms.{_load_words(machine.load)}"
    )


def _load_words(load: float | None) -> str:
    if load is None or load < BUSY:
        return ""
    return (
        f" Other work ran before it, and perhaps beside it (load average {load:.1f}): p99 and commits are worse for it."
    )


def markdown(figures: Iterable[Figure]) -> str:
    """The table of the documents. Medians; extremes in parentheses."""
    lines = ["| what | measured | yardstick, same run | ratio | goal | met |", "|---|---|---|---|---|---|"]
    for each in figures:
        spread = each.measured
        extremes = f" ({number(spread.low)} to {number(spread.high)})" if spread.low != spread.high else ""
        against = "" if each.yardstick is None else f"{each.yardstick.what}: {number(each.yardstick.measured.median)}"
        ratio = f"**{each.ratio.median:.2f}**{ratio_words(each.ratio)[4:]}" if each.ratio else ""
        goal = "" if each.goal is None else each.goal.words(each.unit)
        cells = (each.what, f"{number(spread.median)} {each.unit}{extremes}", against, ratio, goal, met_words(each))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def met_words(of: Figure) -> str:
    """`yes`, `no`, or nothing where there is no goal."""
    return "" if of.met is None else "yes" if of.met else "**no**"
