from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pytest

from bench import compare
from tallystick.bench.figures import Figure, figure

from .figures import with_ratio


@pytest.mark.parametrize(
    ("better", "now", "share"),
    [("more", 0.69, 0.31), ("more", 0.1, 0.9), ("less", 1.5, 1 / 3), ("less", 10.0, 0.9)],
)
def test_a_loss_of_more_than_a_third_or_so_is_seen_either_way(
    better: Literal["more", "less"], now: float, share: float
) -> None:
    (loss,) = compare.losses([with_ratio("sync", 1.0, better)], [with_ratio("sync", now, better)])
    assert (loss.name, loss.was, loss.now) == ("sync", 1.0, now)
    assert loss.share == pytest.approx(share)


@pytest.mark.parametrize(("better", "now"), [("more", 0.71), ("more", 5.0), ("less", 1.42), ("less", 0.1)])
def test_noise_and_gains_are_no_loss(better: Literal["more", "less"], now: float) -> None:
    assert compare.losses([with_ratio("sync", 1.0, better)], [with_ratio("sync", now, better)]) == []


def test_only_ratios_count() -> None:
    """A machine that is ten times slower loses nothing, and neither does a figure without a yardstick."""

    def on(machine: float) -> list[Figure]:
        return [
            figure("sync", "a sync", "blocks/s", [100_000 / machine], yardstick=("bare", [120_000 / machine])),
            figure("p99", "posts", "ms", [2 * machine], better="less"),
        ]

    assert compare.losses(on(1), on(10)) == []


def test_the_worst_comes_first_and_new_figures_are_no_loss() -> None:
    before = [with_ratio("a", 1.0), with_ratio("b", 1.0), with_ratio("c", 1.0)]
    now = [with_ratio("a", 0.6), with_ratio("b", 0.2), with_ratio("c", 1.0), with_ratio("new", 0.01)]
    losses = compare.losses(before, now)
    assert [loss.name for loss in losses] == ["b", "a"]
    assert compare.table(losses).splitlines()[2] == "| b | what b is | 1.00 | 0.20 | 80% |"


def test_what_is_worse_is_measured_again_and_the_better_counts() -> None:
    first = [with_ratio("a", 0.5), with_ratio("b", 0.5), with_ratio("c", 2.0, "less"), with_ratio("d", 1.0)]
    second = [with_ratio("a", 0.9), with_ratio("b", 0.4), with_ratio("c", 1.1, "less")]
    ratios = {each.name: each.ratio.median for each in compare.better(first, second) if each.ratio is not None}
    assert ratios == pytest.approx({"a": 0.9, "b": 0.5, "c": 1.1, "d": 1.0})


@pytest.mark.parametrize(
    ("second", "holds", "words"), [(0.9, True, "No ratio lost"), (0.4, False, "Lost more than 30% against")]
)
def test_a_loss_counts_when_it_was_measured_twice(second: float, words: str, *, holds: bool) -> None:
    asked: list[str] = []
    said: list[str] = []

    def again(losses: Sequence[compare.Loss]) -> list[Figure]:
        asked.extend(loss.name for loss in losses)
        return [with_ratio("a", second), with_ratio("b", 0.1)]

    committed, measured = [with_ratio("a", 1.0), with_ratio("b", 1.0)], [with_ratio("a", 0.5), with_ratio("b", 1.0)]
    assert compare.holds(committed, measured, again, said.append) is holds
    assert asked == ["a"], "what lost, and nothing else"
    assert "| a | what a is | 1.00 | 0.50 | 50% |" in said[0]
    assert words in said[1]


def test_where_nothing_is_worse_nothing_is_measured_again() -> None:
    def again(_: Sequence[compare.Loss]) -> list[Figure]:
        raise AssertionError

    said: list[str] = []
    assert compare.holds([with_ratio("a", 1.0)], [with_ratio("a", 0.8)], again, said.append)
    assert said == ["No ratio lost more than 30% against what is committed."]


def test_what_is_not_measured_any_more_is_told() -> None:
    before = [with_ratio("a", 1.0), with_ratio("b", 1.0), figure("p99", "posts", "ms", [1.0])]
    assert compare.missing(before, [with_ratio("a", 0.1)]) == ["b"]
