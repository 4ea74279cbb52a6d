"""Virtual time: what happens when, one thing after the other.

Everything that takes time is put on the schedule as a call. Time jumps from one call to the next; what falls on the
same microsecond happens in the order in which it was scheduled, so a run has one order only.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from typing import Any, Final

SPINNING: Final = 100_000
"""So many calls without time passing, and somebody makes work for itself."""


class TimeStandsStillError(AssertionError):
    """Somebody wakes up for nothing, again and again."""


class Schedule:
    """A clock and what is due on it. Times are microseconds since the beginning of the world."""

    def __init__(self) -> None:
        self.now_us = 0
        self.calls = 0
        """Made so far."""

        self.spinning = SPINNING
        """See there; more where thousands of machines do things at the same time."""

        self._order = count()
        self._due: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []

    def __len__(self) -> int:
        """Calls that are due some time."""
        return len(self._due)

    def at(self, when_us: int, call: Callable[..., None], *arguments: Any) -> None:  # noqa: ANN401 - whatever it takes
        """Call later; at once when that time is over."""
        heapq.heappush(self._due, (max(when_us, self.now_us), next(self._order), call, arguments))

    def after(self, delay_us: int, call: Callable[..., None], *arguments: Any) -> None:  # noqa: ANN401 - likewise
        """Call so much later."""
        self.at(self.now_us + delay_us, call, *arguments)

    def run_until(self, end_us: int) -> None:
        """Let time pass. Raises TimeStandsStillError."""
        due, in_this_us = self._due, 0
        while due and due[0][0] <= end_us:
            when_us, _, call, arguments = heapq.heappop(due)
            in_this_us = in_this_us + 1 if when_us == self.now_us else 0
            if in_this_us > self.spinning:
                raise TimeStandsStillError(f"{in_this_us:,} calls at {when_us:,} us, and no end of it")
            self.now_us = when_us
            self.calls += 1
            call(*arguments)
        self.now_us = max(self.now_us, end_us)
