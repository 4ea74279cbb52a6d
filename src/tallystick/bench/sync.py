"""A new node fetches a chain from one peer, both on this machine, and answers its callers meanwhile."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from tallystick.bench import bare
from tallystick.bench.figures import Figure, Goal, figure
from tallystick.bench.ledgers import Ground
from tallystick.bench.nodes import Caller, UnmeasuredError, node, serving

PAUSE_S: Final = 0.02
"""Between two questions to the node that is syncing."""

STALLED_S: Final = 30.0
"""A sync of which nothing comes for so long has failed."""

MIB: Final = 2**20


@dataclass(frozen=True, slots=True)
class Sync:
    """One run."""

    blocks_per_s: float
    """From the moment the node is told of its peer until its tip is the peer's."""

    p99_ms: float
    """Of `GET /blocks/latest` on the syncing node."""

    grown_mib: tuple[float, float]
    """By how much the largest resident size seen exceeds that before: of the syncing node, and of its peer."""


def measure(ground: Ground) -> list[Figure]:
    """A classic chain."""
    blocks, runs, theirs = ground.sizes.blocks, [], []
    for _ in range(ground.sizes.passes):
        with ground.room() as room:
            theirs.append(blocks / bare.insert(room / "bare", ground.chain))
            runs.append(fetch(ground.full, room / "new", blocks))
    rate = figure(
        "sync",
        f"sync of {blocks:,} classic blocks, verified and durable",
        "blocks/s",
        [run.blocks_per_s for run in runs],
        yardstick=("bare inserts of the same rows", theirs),
        goal=Goal(at_least=100_000, ratio_at_least=0.8),
    )
    return [rate, *beside("sync", "a sync of blocks", runs)]


def beside(name: str, what: str, runs: list[Sync]) -> list[Figure]:
    """What it is to the callers of the syncing node, and to the memory of both."""
    most, at_most = Goal(at_most=60), Goal(at_most=100)
    return [
        figure(
            f"{name}.latest",
            f"GET /blocks/latest during {what}: p99",
            "ms",
            [run.p99_ms for run in runs],
            better="less",
            goal=at_most,
        ),
        *(
            figure(
                f"{name}.memory{part}",
                f"memory more than before {what}{whose}",
                "MiB",
                [run.grown_mib[end] for run in runs],
                better="less",
                goal=most,
            )
            for end, (part, whose) in enumerate((("", ""), (".peer", ", of the peer")))
        ),
    ]


def fetch(full: Path, empty: Path, blocks: int, *options: str) -> Sync:
    """Sync once into an empty folder; `options` are both nodes'. Raises UnmeasuredError when it does not get on."""
    with serving(node(full, *options)) as peer, serving(node(empty, *options)) as new, Caller(new) as caller:
        with Caller(peer) as other:
            other.get("/blocks/latest")
        caller.get("/blocks/latest")
        before = [server.resident_bytes() for server in (new, peer)]
        most = before
        waits: list[float] = []
        moved = started = time.perf_counter()
        caller.post("/addPeer", {"peer": f"ws://127.0.0.1:{peer.port}"})
        index = 0
        while index < blocks:
            time.sleep(PAUSE_S)
            asked = time.perf_counter()
            reached = msgspec.json.decode(caller.get("/blocks/latest"))["index"]
            waits.append((time.perf_counter() - asked) * 1_000)
            most = [max(seen, server.resident_bytes()) for seen, server in zip(most, (new, peer), strict=True)]
            if reached > index:
                index, moved = reached, time.perf_counter()
            elif time.perf_counter() - moved > STALLED_S:
                raise UnmeasuredError(f"a sync stopped at block {index:,} of {blocks:,}")
        took = time.perf_counter() - started
    waits.sort()
    grown = [(after - start) / MIB for after, start in zip(most, before, strict=True)]
    return Sync(blocks / took, waits[int(len(waits) * 0.99)], (grown[0], grown[1]))
