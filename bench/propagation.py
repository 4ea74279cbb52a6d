"""From a post on the first of five nodes in a line until the last one shows its block."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from bench.servers import free_port, node, serving
from bench.sync import Caller

NODES = 5
POSTS = 200
WARM_UP = 20


def measure() -> list[float]:
    """Milliseconds, a post at a time: from before the post is sent until the last node answers with the block."""
    waits = []
    with ExitStack() as running, tempfile.TemporaryDirectory() as parent:
        ports = [free_port() for _ in range(NODES)]
        for number, port in enumerate(ports):
            neighbour = ["--peer", f"ws://127.0.0.1:{ports[number - 1]}"] if number else []
            command = [*node(Path(parent) / str(number), port), "--no-discover", *neighbour]
            running.enter_context(serving(command))
        first, last = Caller(ports[0]), Caller(ports[-1])
        _until_connected(ports)
        for number in range(WARM_UP + POSTS):
            started = time.perf_counter()
            index = json.loads(first.post("/mineBlock", {"data": f"post {number}"}))["index"]
            while b'"hash"' not in last.get(f"/blocks/{index}"):
                pass
            waits.append((time.perf_counter() - started) * 1000)
            time.sleep(0.01)
    return sorted(waits[WARM_UP:])


def _until_connected(ports: list[int]) -> None:
    """Every node but the ends has two peers."""
    for number, port in enumerate(ports):
        wanted = 1 if number in {0, NODES - 1} else 2
        caller = Caller(port)
        while len(json.loads(caller.get("/peers"))) < wanted:
            time.sleep(0.05)


def rows() -> list[str]:
    """Lines of the table of results."""
    waits = measure()
    p99 = waits[int(len(waits) * 0.99)]
    return [
        f"| a block through {NODES} nodes in a line | {statistics.median(waits):.1f} ms, p99 {p99:.1f} ms | | | 25 ms |"
    ]


if __name__ == "__main__":
    print("\n".join(rows()))
