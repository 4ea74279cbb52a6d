"""From the start of the process to a node that is ready, beside the start of the smallest server."""

from __future__ import annotations

from tallystick.bench.figures import Figure, Goal, figure
from tallystick.bench.ledgers import Ground
from tallystick.bench.nodes import node, serving, smallest


def measure(ground: Ground) -> list[Figure]:
    """Of an empty node. The first start makes its folder, and is not counted."""
    ours, theirs = [], []
    with ground.room() as room:
        command = node(room)
        with serving(command):
            pass
        for _ in range(ground.sizes.starts):
            with serving(command) as server:
                ours.append(server.ready_s)
            with serving(smallest()) as server:
                theirs.append(server.ready_s)
    return [
        figure(
            "start",
            "start of an empty node, until it is ready",
            "s",
            ours,
            better="less",
            yardstick=("start of the smallest server", theirs),
            goal=Goal(at_most=0.8),
        )
    ]
