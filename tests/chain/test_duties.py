"""When lost posts are looked for: soon, later and later while that goes wrong, and soon again in calm."""

from __future__ import annotations

from tallystick.chain.duties import Remining
from tallystick.model.limits import Limits

LIMITS = Limits(remine_jitter_ms=100, remine_jitter_max_ms=400, remine_calm_ms=10_000)


class Always:
    """No randomness: always this part of the jitter."""

    def __init__(self, part: float) -> None:
        self.part = part

    def random(self) -> float:
        return self.part

    def randbytes(self, n: int) -> bytes:
        return bytes(n)


def wait(remining: Remining, now_ms: int) -> int:
    """Losses are expected now: for how long is that waited?"""
    remining.expect_losses(now_ms, Always(0.5))
    assert remining.due_at_ms is not None
    return remining.due_at_ms - now_ms


def test_nothing_is_due_before_losses_are_expected() -> None:
    assert Remining(LIMITS).due_at_ms is None


def test_a_sooner_plan_stands() -> None:
    remining = Remining(LIMITS)
    assert wait(remining, 0) == 50
    assert wait(remining, 40) == 10


def test_the_jitter_doubles_while_what_was_mined_again_is_lost_again() -> None:
    remining, waits = Remining(LIMITS), []
    for now_ms in range(0, 5_000, 1_000):
        waits.append(wait(remining, now_ms))
        remining.mined(now_ms)
        assert remining.due_at_ms == now_ms, "there may be more of them"
        remining.found_none()
        assert remining.due_at_ms is None
    assert waits == [50, 100, 200, 200, 200]


def test_calm_starts_from_the_bottom() -> None:
    remining = Remining(LIMITS)
    for now_ms in (0, 1_000):
        wait(remining, now_ms)
        remining.mined(now_ms)
        remining.found_none()
    assert wait(remining, 1_000 + LIMITS.remine_calm_ms) == 50


def test_looking_without_finding_is_not_losing() -> None:
    remining = Remining(LIMITS)
    for now_ms in (0, 1_000, 2_000):
        assert wait(remining, now_ms) == 50
        remining.found_none()


def test_what_cannot_be_mined_is_tried_again_later() -> None:
    remining = Remining(LIMITS)
    wait(remining, 0)
    remining.failed(50)
    assert remining.due_at_ms == 50 + LIMITS.remine_jitter_max_ms
