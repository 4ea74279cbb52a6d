"""From a post on the first of five nodes in a line until the last one shows its block."""

from __future__ import annotations

import statistics
import time
from contextlib import ExitStack

import msgspec

from tallystick.bench.bare import commit_ms
from tallystick.bench.figures import Figure, Goal, figure
from tallystick.bench.ledgers import Ground
from tallystick.bench.nodes import PATIENCE_S, Caller, UnmeasuredError, node, serving

NODES = 5
POSTS = 100
"""A round."""

WARM_UP = 20
PAUSE_S = 0.01


def measure(ground: Ground) -> list[Figure]:
    """A post at a time. Each of the nodes commits the block before it passes it on: the yardstick does nothing else."""
    waits, bare = [], []
    with ExitStack() as running, ground.room() as room:
        callers: list[Caller] = []
        port = 0
        for number in range(NODES):
            neighbour = ["--peer", f"ws://127.0.0.1:{port}"] if number else []
            server = running.enter_context(serving(node(room / str(number), *neighbour)))
            callers.append(running.enter_context(Caller(server)))
            port = server.port
        _until_connected(callers)
        _through(callers, WARM_UP)
        for number in range(ground.sizes.rounds):
            waits.append(_through(callers, POSTS))
            bare.append(NODES * commit_ms(room / f"commits {number}.sqlite"))
    return [
        figure(
            "propagation",
            f"a block through {NODES} nodes in a line: median",
            "ms",
            [statistics.median(each) for each in waits],
            better="less",
            yardstick=(f"{NODES} bare durable commits", bare),
            goal=Goal(at_most=25),
        ),
        figure(
            "propagation.p99",
            f"a block through {NODES} nodes in a line: p99",
            "ms",
            [each[int(len(each) * 0.99)] for each in waits],
            better="less",
        ),
    ]


def _through(callers: list[Caller], posts: int) -> list[float]:
    """Milliseconds from before each post is sent until the last node answers with its block, sorted."""
    waits = []
    for number in range(posts):
        started = time.perf_counter()
        index = msgspec.json.decode(callers[0].post("/mineBlock", {"data": f"post {number}"}))["index"]
        while b'"hash"' not in callers[-1].get(f"/blocks/{index}"):
            if time.perf_counter() - started > PATIENCE_S:
                raise UnmeasuredError(f"block {index} did not come through {NODES} nodes")
        waits.append((time.perf_counter() - started) * 1_000)
        time.sleep(PAUSE_S)
    return sorted(waits)


def _until_connected(callers: list[Caller]) -> None:
    """Every node but the ends has two peers."""
    deadline = time.monotonic() + PATIENCE_S
    for number, caller in enumerate(callers):
        wanted = 1 if number in {0, NODES - 1} else 2
        while len(msgspec.json.decode(caller.get("/peers"))) < wanted:
            if time.monotonic() > deadline:
                raise UnmeasuredError(f"{NODES} nodes in a line did not connect")
            time.sleep(PAUSE_S)
