"""`verify`: the whole chain recomputed, beside a loop that reads the same rows and hashes the same bytes."""

from __future__ import annotations

import time

from tallystick.bench import bare
from tallystick.bench.figures import Figure, Goal, figure
from tallystick.bench.ledgers import Ground
from tallystick.model.network import CLASSIC
from tallystick.storage.verify import verify


def measure(ground: Ground) -> list[Figure]:
    """Of the full ledger, in this process: what is measured is the check, not the start of a command."""
    full, blocks, ours, theirs = ground.full, ground.sizes.blocks, [], []
    for _ in range(ground.sizes.passes):
        started = time.perf_counter()
        verify(full, CLASSIC)
        ours.append(blocks / (time.perf_counter() - started))
        theirs.append(blocks / bare.hash_all(full))
    return [
        figure(
            "verify",
            f"verify {blocks:,} blocks",
            "blocks/s",
            ours,
            yardstick=("bare SELECT and hashlib", theirs),
            goal=Goal(at_least=500_000),
        )
    ]
