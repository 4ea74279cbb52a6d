"""The clocks of a machine: never quite those of another, and one of them can be set.

The monotonic clock began at some moment of its own and runs a little fast or slow. The wall clock runs along with it,
and is wrong by an amount that changes when somebody sets it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tallystick.node.inputs import Now

WALL_MS: Final = 1_700_000_000_000
"""The true time at the beginning of the world, in milliseconds since 1970."""

MILLION: Final = 1_000_000


@dataclass(slots=True)
class Clock:
    """What one machine takes for the time."""

    began_ms: int = 0
    """What the monotonic clock showed at the beginning of the world."""

    drift_ppm: int = 0
    """Microseconds in a second by which it is fast."""

    wrong_ms: int = 0
    """By how much the wall clock is ahead of a right one that drifts as this one."""

    def read(self, now_us: int) -> Now:
        """What both clocks show."""
        passed_ms = (now_us + now_us * self.drift_ppm // MILLION) // 1_000
        return Now(WALL_MS + passed_ms + self.wrong_ms, self.began_ms + passed_ms)

    def when_us(self, mono_ms: int) -> int:
        """When the monotonic clock will show this, or has."""
        passed_us = (mono_ms - self.began_ms) * 1_000
        return -(-passed_us * MILLION // (MILLION + self.drift_ppm))
