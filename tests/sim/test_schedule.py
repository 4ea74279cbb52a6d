"""Virtual time."""

import pytest

from tallystick.sim.schedule import SPINNING, Schedule, TimeStandsStillError


def test_calls_are_made_in_the_order_of_time_and_then_of_scheduling() -> None:
    schedule, made = Schedule(), list[tuple[int, str]]()

    def call(name: str) -> None:
        made.append((schedule.now_us, name))

    for when_us, name in ((30, "c"), (10, "a"), (30, "d"), (20, "b")):
        schedule.at(when_us, call, name)
    schedule.run_until(30)
    assert made == [(10, "a"), (20, "b"), (30, "c"), (30, "d")]


def test_what_is_due_later_waits_and_time_goes_on() -> None:
    schedule, made = Schedule(), list[int]()
    schedule.after(11, made.append, 1)
    schedule.run_until(10)
    assert (schedule.now_us, made, len(schedule)) == (10, [], 1)
    schedule.run_until(11)
    assert made == [1]


def test_what_was_due_before_is_done_now_and_not_in_the_past() -> None:
    schedule, made = Schedule(), list[int]()
    schedule.run_until(100)
    schedule.at(5, lambda: made.append(schedule.now_us))
    schedule.run_until(100)
    assert made == [100]


def test_a_call_that_calls_itself_at_once_is_found() -> None:
    schedule = Schedule()

    def again() -> None:
        schedule.after(0, again)

    again()
    with pytest.raises(TimeStandsStillError):
        schedule.run_until(1)
    assert schedule.calls <= SPINNING + 1
