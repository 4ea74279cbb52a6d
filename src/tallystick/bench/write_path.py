"""`POST /mineBlock`: every block durable before its answer, against a handler that answers with what came."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from tallystick.bench.figures import Figure, Goal, figure
from tallystick.bench.ledgers import DATA, Ground
from tallystick.bench.load import Result, load
from tallystick.bench.nodes import Server, node, serving, smallest
from tallystick.bench.sizes import Sizes

PATH: Final = "/mineBlock"
BODY: Final = msgspec.json.encode({"data": DATA}).decode()

RATIOS: Final = {16: 0.75, 64: 0.75}
"""Goals, by connections."""

P99_MS: Final = 5.0
"""The goal at 16 connections."""

HANDLER: Final = "smallest handler"


def measure(ground: Ground) -> list[Figure]:
    """At so many connections as the form asks for."""
    with ground.room() as room, both(room / "node") as (ours, theirs):
        return [each for number in ground.sizes.connections for each in _at(number, ours, theirs, ground.sizes)]


@contextmanager
def both(folder: Path, *options: str) -> Iterator[tuple[Server, Server]]:
    """A node and its yardstick, at the same time, so that they are loaded in turn."""
    with serving(node(folder, *options)) as ours, serving(smallest()) as theirs:
        yield ours, theirs


def post(server: Server, connections: int, sizes: Sizes) -> Result:
    """Post blocks to it for a while."""
    return load(server, "POST", [PATH], BODY, connections, (sizes.seconds, sizes.warm_up_s))


def _at(connections: int, ours: Server, theirs: Server, sizes: Sizes) -> list[Figure]:
    pairs = [(post(ours, connections, sizes), post(theirs, connections, sizes)) for _ in range(sizes.rounds)]
    words = f"POST {PATH}, {connections} connection{'s' if connections > 1 else ''}"
    ratio = RATIOS.get(connections)
    rate = figure(
        f"write.{connections}",
        words,
        "blocks/s",
        [mine.requests_per_s for mine, _ in pairs],
        yardstick=(HANDLER, [other.requests_per_s for _, other in pairs]),
        goal=None if ratio is None else Goal(ratio_at_least=ratio),
    )
    if connections != 16:  # noqa: PLR2004 - where the goal is
        return [rate]
    return [rate, p99(f"write.{connections}.p99", f"{words}: p99", [mine for mine, _ in pairs])]


def p99(name: str, what: str, results: list[Result]) -> Figure:
    """How long all but a hundredth of them waited at most. Tails are no measure of one another: it has no ratio."""
    return figure(name, what, "ms", [each.p99_ms for each in results], better="less", goal=Goal(at_most=P99_MS))
