"""A token bucket: so many bytes a minute, with a minute's worth saved up at most.

It may be overdrawn by one withdrawal, whose size is often known only afterwards; what follows waits
until the debt is paid. Time is an argument.
"""

from __future__ import annotations

from tallystick.model.limits import MINUTE_MS


class Bucket:
    """Bytes a minute that a peer may cost us."""

    def __init__(self, bytes_per_minute: int, now_ms: int) -> None:
        """Start full."""
        self._rate = bytes_per_minute
        self._level = float(bytes_per_minute)
        self._at_ms = now_ms

    def take(self, size_bytes: int, now_ms: int) -> int:
        """Withdraw, and return for how many ms the bucket is overdrawn now; 0 when it is not."""
        self._fill(now_ms)
        self._level -= size_bytes
        return 0 if self._level >= 0 else int(-self._level * MINUTE_MS / self._rate) + 1

    def is_full(self, now_ms: int) -> bool:
        """Is nothing left to tell it from a new one?"""
        self._fill(now_ms)
        return self._level >= self._rate

    def _fill(self, now_ms: int) -> None:
        self._level = min(self._rate, self._level + (now_ms - self._at_ms) * self._rate / MINUTE_MS)
        self._at_ms = now_ms
