from __future__ import annotations

import statistics

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.bench.figures import Goal, Report, Spread, figure, machine_words, markdown, number, ratio_words

from .figures import MACHINE, report, with_ratio

RATES = st.floats(min_value=1e-3, max_value=1e9)


def test_the_ratio_is_made_round_by_round() -> None:
    """A machine that becomes slower in the midst of a run disturbs both alike: the ratio does not notice."""
    of = figure("sync", "a sync", "blocks/s", [100.0, 50.0, 10.0], yardstick=("bare", [200.0, 100.0, 20.0]))
    assert of.ratio == Spread(0.5, 0.5, 0.5)
    assert of.measured == Spread(50.0, 10.0, 100.0)
    assert of.yardstick is not None
    assert of.yardstick.measured == Spread(100.0, 20.0, 200.0)
    assert of.rounds == 3


@given(st.lists(st.tuples(RATES, RATES), min_size=1, max_size=9))
def test_a_median_lies_between_its_extremes(rounds: list[tuple[float, float]]) -> None:
    ours, theirs = [mine for mine, _ in rounds], [other for _, other in rounds]
    of = figure("a", "b", "c", ours, yardstick=("bare", theirs))
    assert of.ratio is not None
    for spread in (of.measured, of.ratio):
        assert spread.low <= spread.median <= spread.high
    assert of.ratio.median == statistics.median(mine / other for mine, other in rounds)


def test_rounds_without_their_yardstick_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        figure("a", "b", "c", [1.0, 2.0], yardstick=("bare", [1.0]))


@pytest.mark.parametrize(
    ("goal", "measured", "ratio", "met"),
    [
        (Goal(at_least=100), 100, None, True),
        (Goal(at_least=100), 99, 5.0, False),
        (Goal(at_most=5), 5, None, True),
        (Goal(at_most=5), 5.1, None, False),
        (Goal(ratio_at_least=0.75), 1, 0.75, True),
        (Goal(ratio_at_least=0.75), 10**9, 0.74, False),
        (Goal(ratio_at_least=0.75), 10**9, None, False),
        (Goal(ratio_at_most=1.25), 1, 1.3, False),
        (Goal(at_least=100, ratio_at_least=0.8), 99, 0.8, True),
        (Goal(at_least=100, ratio_at_least=0.8), 100, 0.1, True),
        (Goal(at_least=100, ratio_at_least=0.8), 99, 0.79, False),
    ],
)
def test_one_bound_of_a_goal_is_enough(goal: Goal, measured: float, ratio: float | None, *, met: bool) -> None:
    assert goal.is_met(measured, ratio) is met


def test_a_goal_is_judged_by_medians() -> None:
    slow_once = figure("a", "b", "ms", [4.0, 4.5, 90.0], better="less", goal=Goal(at_most=5))
    assert slow_once.met is True
    assert figure("a", "b", "ms", [4.0]).met is None


def test_the_table_has_a_line_a_figure() -> None:
    goal = Goal(at_least=100_000, ratio_at_least=0.8)
    table = markdown(
        [
            figure("a", "sync", "blocks/s", [50_000.0, 60_000.0], yardstick=("bare", [100_000.0] * 2), goal=goal),
            figure("b", "p99", "ms", [1.234], goal=Goal(at_most=5)),
        ]
    ).splitlines()
    assert table[2] == (
        "| sync | 55,000 blocks/s (50,000 to 60,000) | bare: 100,000 | **0.55** (0.50 to 0.60) "
        "| ≥ 100,000 blocks/s or ratio ≥ 0.8 | **no** |"
    )
    assert table[3] == "| p99 | 1.23 ms |  |  | ≤ 5 ms | yes |"


def test_numbers_for_people() -> None:
    assert [number(value) for value in (0.01234, 3.456, 99.96, 100.4, 123_456.7)] == [
        "0.0123",
        "3.46",
        "100",
        "100",
        "123,457",
    ]
    assert ratio_words(None) == ""
    assert ratio_words(Spread(0.5, 0.5, 0.5)) == "0.50"
    assert machine_words(MACHINE).startswith(
        "2 cores (EPYC), 24 GiB, Linux 6.1, Python 3.11.7, SQLite 3.40.1, files on ext4"
    )


def test_a_busy_machine_is_told_of() -> None:
    assert "Other work" not in machine_words(MACHINE)
    assert "(load average 4.5)" in machine_words(msgspec.structs.replace(MACHINE, load=4.5))


def test_a_report_survives_json_and_a_foreign_key_is_refused() -> None:
    of = report(with_ratio("sync", 0.5), figure("p99", "posts", "ms", [3.0], better="less", goal=Goal(at_most=5)))
    text = msgspec.json.encode(of)
    assert msgspec.json.decode(text, type=Report) == of
    document = msgspec.json.decode(text)
    assert set(document) == {
        *("version", "program", "form", "taken", "seconds", "complete", "machine", "figures", "lengths")
    }
    assert set(document["figures"][0]) == {
        *("name", "what", "unit", "better", "measured", "rounds", "yardstick", "ratio", "goal", "met")
    }
    assert document["figures"][1]["goal"] == {"at_most": 5}
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(document | {"other": 1}), type=Report)
