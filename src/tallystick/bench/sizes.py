"""How much is measured, in each form of the suite."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Sizes:
    """One form."""

    form: str
    rounds: int
    """Of each load, and its yardstick's."""

    passes: int
    """Of what goes through a whole chain, and its yardstick's."""

    seconds: float
    """That a load lasts, once it is warm."""

    warm_up_s: float
    blocks: int
    """Of the classic chain that is read, verified and synced; a multiple of 1,000."""

    records: int
    """Of the log that is synced and proven."""

    starts: int
    """Of a process."""

    connections: tuple[int, ...]
    """At which posts are measured."""


QUICK: Final = Sizes("quick", 1, 1, 0.6, 0.2, 50_000, 0, 2, (16,))
SHORT: Final = Sizes("short", 5, 3, 0.8, 0.2, 100_000, 0, 3, (16,))
WHOLE: Final = Sizes("whole", 5, 3, 1.0, 0.25, 1_000_000, 500_000, 5, (1, 16, 64))
