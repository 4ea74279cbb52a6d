"""A new node fetches a million blocks from one peer, both on these two cores, and answers its callers meanwhile."""

from __future__ import annotations

import http.client
import json
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench.bare_inserts import bare_seconds, chain_of, compared
from bench.length import BLOCKS, MIB, fill
from bench.servers import free_port, node, serving

PAUSE_S = 0.02
"""Between two questions to the node that is syncing."""

IDLE_S = 2.0


@dataclass(frozen=True, slots=True)
class Sync:
    """One run."""

    blocks_per_s: float
    """From the moment the node is told of its peer until its tip is the peer's."""

    p99_ms: float
    """Of `GET /blocks/latest` on the syncing node."""

    grown_mib: tuple[float, float]
    """By how much the largest resident size seen exceeds that before: of the syncing node, and of its peer."""


class Caller:
    """Somebody who uses the API of a node over one connection."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def get(self, path: str) -> bytes:
        self._connection.request("GET", path)
        return self._connection.getresponse().read()

    def post(self, path: str, body: object) -> bytes:
        self._connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        return self._connection.getresponse().read()


def measure(full: Path, blocks: int, *options: str) -> Sync:
    """Sync once into an empty folder; `options` are both nodes'."""
    here, there = free_port(), free_port()
    with (
        tempfile.TemporaryDirectory() as empty,
        serving(node(full, there, *options)) as peer,
        serving(node(Path(empty), here, *options)) as new,
    ):
        caller = Caller(here)
        caller.get("/blocks/latest")
        Caller(there).get("/blocks/latest")
        time.sleep(IDLE_S)
        before = new.memory_info().rss, peer.memory_info().rss
        most = list(before)
        waits: list[float] = []
        started = time.perf_counter()
        caller.post("/addPeer", {"peer": f"ws://127.0.0.1:{there}"})
        index = 0
        while index < blocks:
            time.sleep(PAUSE_S)
            asked = time.perf_counter()
            index = json.loads(caller.get("/blocks/latest"))["index"]
            waits.append((time.perf_counter() - asked) * 1000)
            most = [max(seen, process.memory_info().rss) for seen, process in zip(most, (new, peer), strict=True)]
        took = time.perf_counter() - started
    waits.sort()
    grown = tuple((after - start) / MIB for after, start in zip(most, before, strict=True))
    return Sync(blocks / took, waits[int(len(waits) * 0.99)], (grown[0], grown[1]))


def rows(rounds: int = 3, blocks: int = BLOCKS) -> list[str]:
    """Lines of the table of results."""
    with tempfile.TemporaryDirectory() as parent:
        full = Path(parent) / "full"
        fill(full, blocks)
        chain = chain_of(blocks)
        runs, bare, alone = [], [], []
        for number in range(rounds):
            bare.append(blocks / bare_seconds(Path(parent) / f"bare {number}", chain))
            alone.append(blocks / bare_seconds(Path(parent) / f"alone {number}", chain, indexed=False))
            runs.append(measure(full, blocks))
    rates = [run.blocks_per_s for run in runs]
    rate, yardstick = statistics.median(rates), statistics.median(bare)
    grown = [max(run.grown_mib[end] for run in runs) for end in (0, 1)]
    p99 = statistics.median(run.p99_ms for run in runs)
    synced = (
        f"| sync of {blocks:,} blocks from one peer, verified and durable | {rate:,.0f} blocks/s "
        f"| bare inserts of the same rows {yardstick:,.0f}/s "
    )
    return [
        synced + compared(rates, bare) + " | 50,000/s and 0.5 |",
        f"| the same | | without their hash index {statistics.median(alone):,.0f}/s " + compared(rates, alone) + " | |",
        f"| memory meanwhile | +{grown[0]:.0f} MiB, its peer +{grown[1]:.0f} MiB | idle | | +60 MB |",
        f"| `GET /blocks/latest` of the syncing node | p99 {p99:.0f} ms | | | 100 ms |",
    ]


if __name__ == "__main__":
    print("\n".join(rows()))
