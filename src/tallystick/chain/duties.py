"""Duties: what this node acknowledged is on the best chain, or will be again.

In a classic network anyone can write a longer branch, and a post that was acknowledged on the branch
that lost would be gone. So each acknowledged post is a *duty*. It is carried by the block mined for it
and, after a reorg that took that block off, by another block mined with the same data on the new
branch. A duty is *lost* while none of its carriers is an ancestor of the tip; only lost duties are mined
again, so no branch ever holds two carriers of one duty. Which duties are lost is kept in the store, in
the same transaction as the switch that lost them, and so survives a crash in between.

When many nodes lose posts to the same reorg, all mine again at the same tip, and all but one lose
again. A random wait that doubles while that goes on lets them take turns.
"""

from __future__ import annotations

from typing import Protocol

from tallystick.model.limits import Limits


class Entropy(Protocol):
    """A source of randomness, handed in so that a run can be repeated."""

    def random(self) -> float:
        """Return a number of [0, 1)."""

    def randbytes(self, n: int) -> bytes:
        """Return `n` bytes."""


class Remining:
    """When to look for lost duties and mine them again. All times are monotonic milliseconds."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._jitter_ms = limits.remine_jitter_ms
        self._mined_at_ms: int | None = None
        self.due_at_ms: int | None = None

    def expect_losses(self, now_ms: int, entropy: Entropy) -> None:
        """The best chain changed, or the node starts: look after a while. Sooner plans stand."""
        if self._mined_at_ms is not None:
            lately = now_ms - self._mined_at_ms < self._limits.remine_calm_ms
            self._jitter_ms = (
                min(self._jitter_ms * 2, self._limits.remine_jitter_max_ms) if lately else self._limits.remine_jitter_ms
            )
            self._mined_at_ms = None
        if self.due_at_ms is None:
            self.due_at_ms = now_ms + int(entropy.random() * self._jitter_ms)

    def mined(self, now_ms: int) -> None:
        """Some lost duties were mined again: look at once for more."""
        self._mined_at_ms = self.due_at_ms = now_ms

    def failed(self, now_ms: int) -> None:
        """Lost duties could not be mined: look again later."""
        self.due_at_ms = now_ms + self._limits.remine_jitter_max_ms

    def found_none(self) -> None:
        """No duty is lost: there is nothing to wait for."""
        self.due_at_ms = None
