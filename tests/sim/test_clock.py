"""Clocks that are wrong."""

from hypothesis import given
from hypothesis import strategies as st

from tallystick.sim.clock import WALL_MS, Clock

CLOCKS = st.builds(
    Clock,
    began_ms=st.integers(0, 10**9),
    drift_ppm=st.integers(-100_000, 100_000),
    wrong_ms=st.integers(-(10**8), 10**8),
)


@given(CLOCKS, st.integers(0, 10**9))
def test_a_clock_shows_a_time_from_the_moment_on_that_it_says(clock: Clock, ahead_ms: int) -> None:
    mono_ms = clock.began_ms + ahead_ms
    when_us = clock.when_us(mono_ms)
    assert clock.read(when_us).mono_ms >= mono_ms
    assert when_us == 0 or clock.read(when_us - 1).mono_ms < mono_ms


@given(CLOCKS, st.lists(st.integers(0, 10**12), min_size=2))
def test_the_monotonic_clock_never_goes_back(clock: Clock, moments_us: list[int]) -> None:
    shown = [clock.read(now_us).mono_ms for now_us in sorted(moments_us)]
    assert shown == sorted(shown)


def test_a_clock_that_is_set_leaves_the_other_one_alone() -> None:
    clock = Clock(began_ms=7)
    clock.wrong_ms = 5_000
    assert clock.read(1_000_000) == (WALL_MS + 1_000 + 5_000, 7 + 1_000)


def test_a_fast_clock_gains() -> None:
    assert Clock(drift_ppm=1_000).read(1_000_000_000).mono_ms == 1_001_000
