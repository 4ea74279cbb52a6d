"""A reorg may be as deep as the chain is long, and costs no memory for it."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tallystick.chain.writes import OWN, AddSide, Append
from tallystick.model.limits import LIMITS, MIB
from tallystick.model.network import CLASSIC
from tallystick.storage.opening import open_store
from tests.storage.kit import GENESIS, branch, child, commit, switch

DEPTH = 30_000


@pytest.mark.parametrize("side_mib", [256, 1], ids=["kept", "evicted"])
def test_a_deep_switch_needs_no_memory(tmp_path: Path, side_mib: int) -> None:
    limits = replace(LIMITS, index_batch=2_000, side_bytes=side_mib * MIB)
    store, reader = open_store(tmp_path, CLASSIC, limits)
    tips = []
    for name in "ab":
        tip = GENESIS
        for _ in range(0, DEPTH, 1_000):
            blocks = branch(tip, *(f"{name}" * 100 for _ in range(1_000)))
            tip = blocks[-1]
            if name == "a":
                commit(store, Append(blocks, [OWN, *[None] * 999]))
            else:
                store.begin()
                store.apply(AddSide(blocks))
                store._database.write("COMMIT")  # not commit(): the branch is still arriving, nothing is dropped yet
        tips.append(tip)
    store._index.wait()
    resident = psutil.Process().memory_info().rss
    tracemalloc.start()
    store.begin()
    store.apply(switch(tips[0], GENESIS, tips[1]))
    store.apply(Append([child(tips[1], "next")]))
    store.commit()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * MIB, "30,000 blocks of 100 bytes would be 6 MB as the barest of values"
    assert psutil.Process().memory_info().rss - resident < 24 * MIB
    assert reader.tip().index == DEPTH + 1
    assert len(store.lost(100)) == 30
    (fork,) = (
        (fork for fork in reader.forks(30) if fork.tip.hash == tips[0].hash) if side_mib > 1 else (reader.forks(1)[0],)
    )
    assert len(fork.blocks) in range(1, 101)
    reader.close()
    store.close()
