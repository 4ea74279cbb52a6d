"""The store by itself: the same blocks as bare inserts, until its index of hashes has caught up."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from tallystick.bench import bare
from tallystick.bench.figures import Figure, figure
from tallystick.bench.ledgers import PER_COMMIT, Ground
from tallystick.chain.writes import Append
from tallystick.model.block import Block
from tallystick.model.network import CLASSIC
from tallystick.storage.opening import open_store


def measure(ground: Ground) -> list[Figure]:
    """Beside both yardsticks: with the index of hashes, which the store writes in a thread of its own, and without."""
    blocks, chain = ground.sizes.blocks, ground.chain
    indexed, alone, ours, longest = [], [], [], []
    for _ in range(ground.sizes.passes):
        with ground.room() as room:
            indexed.append(blocks / bare.insert(room / "bare", chain))
            alone.append(blocks / bare.insert(room / "alone", chain, indexed=False))
            seconds, worst = _append(room / "store", chain)
            ours.append(blocks / seconds)
            longest.append(worst * 1_000)
    what = f"append {blocks:,} blocks to the store, {PER_COMMIT:,} a commit"
    return [
        figure("append", what, "blocks/s", ours, yardstick=("bare inserts of the same rows", indexed)),
        figure("append.unindexed", what, "blocks/s", ours, yardstick=("the same, no index of hashes", alone)),
        figure("append.longest", "append to the store: longest commit", "ms", longest, better="less"),
    ]


def _append(folder: Path, blocks: Sequence[Block]) -> tuple[float, float]:
    """Seconds until the index is complete, and those of the longest commit."""
    store, reader = open_store(folder, CLASSIC)
    try:
        longest = 0.0
        started = time.perf_counter()
        for start in range(0, len(blocks), PER_COMMIT):
            begun = time.perf_counter()
            store.begin()
            store.apply(Append(blocks[start : start + PER_COMMIT]))
            store.commit()
            longest = max(longest, time.perf_counter() - begun)
        store._index.wait()  # noqa: SLF001 - what is written behind belongs to the cost
        return time.perf_counter() - started, longest
    finally:
        reader.close()
        store.close()
