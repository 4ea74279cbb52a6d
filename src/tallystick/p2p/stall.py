"""When a peer counts as stalled: counted in checks made at intervals, not read off a clock.

When the whole process stood still for a minute, one check was late, and no peer is blamed for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

CHECKS: Final = 4
"""Checks without progress before a peer counts as stalled."""


@dataclass(slots=True)
class Stall:
    """Counts checks at which something waited and nothing had moved since the last one."""

    progress: int = 0
    checks: int = 0

    def is_over(self, *, waiting: bool, progress: int) -> bool:
        """Check once more: did it last too long? `progress` is any number that grows when something moves."""
        self.checks = self.checks + 1 if waiting and progress == self.progress else 0
        self.progress = progress
        return self.checks >= CHECKS
