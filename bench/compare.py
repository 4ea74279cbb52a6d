"""Is it slower than it was? Ratios against ratios, never seconds against seconds: machines differ, and days on one.

A figure with a yardstick is compared by the median of its ratio. Where more is better it lost what it has less of, and
where less is better, what the old ratio is less than the new one: half as fast is a loss of 50 % either way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from tallystick.bench.figures import Figure

LOSS_MAX: Final = 0.30
"""More than noise makes, even where both were measured next to other work, and less than a path that was broken."""


class Loss(NamedTuple):
    """A ratio that is much worse than it was."""

    name: str
    what: str
    was: float
    now: float
    share: float
    """Of what it was. 0.5: half as fast."""


def holds(
    committed: Sequence[Figure],
    measured: Sequence[Figure],
    again: Callable[[Sequence[Loss]], Sequence[Figure]],
    say: Callable[[str], None],
) -> bool:
    """Has nothing lost? What has is measured `again` before it counts, and then the better of both does."""
    found = losses(committed, measured)
    if found:
        say(f"Worse, and measured once more:\n\n{table(found)}")
        found = losses(committed, better(measured, again(found)))
    if found:
        say(f"Lost more than {LOSS_MAX:.0%} against what is committed:\n\n{table(found)}")
    else:
        say(f"No ratio lost more than {LOSS_MAX:.0%} against what is committed.")
    return not found


def losses(committed: Sequence[Figure], measured: Sequence[Figure], most: float = LOSS_MAX) -> list[Loss]:
    """Figures of both whose ratio lost more than `most`, worst first."""
    before = {each.name: each for each in committed}
    found = [loss for each in measured if (loss := _loss(before.get(each.name), each)) is not None]
    return sorted((loss for loss in found if loss.share > most), key=lambda loss: -loss.share)


def _loss(before: Figure | None, now: Figure) -> Loss | None:
    """None where there is nothing to compare."""
    if before is None or before.ratio is None or now.ratio is None:
        return None
    was, has = before.ratio.median, now.ratio.median
    kept = has / was if now.better == "more" else was / has
    return Loss(now.name, now.what, was, has, 1 - kept)


def better(first: Sequence[Figure], second: Sequence[Figure]) -> list[Figure]:
    """Of figures that were measured twice, each time the one with the better ratio."""
    again = {each.name: each for each in second}
    return [_better(each, again.get(each.name, each)) for each in first]


def _better(one: Figure, other: Figure) -> Figure:
    loss = _loss(one, other)
    return other if loss is not None and loss.share < 0 else one


def missing(committed: Sequence[Figure], measured: Sequence[Figure]) -> list[str]:
    """Names of figures with a ratio that were measured once and are not any more: a loss that nobody would see."""
    there = {each.name for each in measured if each.ratio is not None}
    return [each.name for each in committed if each.ratio is not None and each.name not in there]


def table(lost: Sequence[Loss]) -> str:
    """In Markdown."""
    lines = ["| figure | what | ratio was | is | lost |", "|---|---|---|---|---|"]
    lines += [f"| {each.name} | {each.what} | {each.was:.2f} | {each.now:.2f} | {each.share:.0%} |" for each in lost]
    return "\n".join(lines)
