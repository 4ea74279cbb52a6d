"""Randomness: a stream of its own for everything that is left to chance, all of them from one seed.

A stream is named after the component that draws from it. So a component that draws once more, or a new one, disturbs
none of the others: what a link does in a seed stays the same when the workload learns something new.
"""

from __future__ import annotations

import random

Chance = random.Random
"""What a component draws from."""


def happens(chance: Chance, share: float) -> bool:
    """Does it happen this time? It does in this share of all times."""
    return chance.random() < share


def stream(seed: int, component: str) -> Chance:
    """The stream of a component in the run of this seed. A text seeds it by its SHA-512, not by `hash`."""
    return random.Random(f"{seed} {component}")  # noqa: S311 - repeatable, not secret
