"""How hard properties are tried where a hundred examples would be too many or too few."""

from __future__ import annotations

from hypothesis import settings


def examples(of_a_hundred: int) -> int:
    """So many here; in the nightly, whose profile tries more, as many times more."""
    return max(1, settings().max_examples * of_a_hundred // 100)
