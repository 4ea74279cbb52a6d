from __future__ import annotations

import pytest

from tallystick.sim.plots import linear, logarithmic, ranking


@pytest.mark.parametrize(
    ("most", "marks"),
    [
        (1.0, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0.0, [0, 1]),
        (7.3, [0, 2, 4, 6, 8]),
        (4_100, [0, 1_000, 2_000, 3_000, 4_000, 5_000]),
    ],
)
def test_marks_are_round_and_reach_the_end(most: float, marks: list[float]) -> None:
    axis = linear(most, "", str)
    assert axis.marks == pytest.approx(marks)
    assert axis.place(axis.marks[-1]) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("least", "most", "marks"), [(0.2, 3, [0.1, 1, 10]), (1, 1, [1, 10]), (5, 2_000, [1, 10, 100, 1_000, 10_000])]
)
def test_a_logarithmic_axis_has_whole_decades(least: float, most: float, marks: list[float]) -> None:
    axis = logarithmic(least, most, "", str)
    assert axis.marks == pytest.approx(marks)
    assert [axis.place(axis.marks[0]), axis.place(axis.marks[-1])] == pytest.approx([0, 1])


def test_the_longest_bar_leaves_room_for_what_is_written() -> None:
    assert ranking([], "nothing").startswith("<svg")
    assert 'width="440.0"' in ranking([("a", 3.0, "three"), ("b", 0.0, "none")], "bars")
