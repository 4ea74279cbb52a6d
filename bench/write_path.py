"""POST /mineBlock, every block durable before its answer, against the smallest Sanic handler."""

from __future__ import annotations

import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.load import Result
from bench.servers import free_port, load, node, serving, smallest

BODY = '{"data": "' + "x" * 100 + '"}'


@dataclass(frozen=True, slots=True)
class Pair:
    """A round: node and yardstick one after the other."""

    ours: Result
    yardstick: Result

    @property
    def ratio(self) -> float:
        return self.ours.requests_per_s / self.yardstick.requests_per_s


def measure(connections: int, rounds: int, seconds: float) -> list[Pair]:
    """Alternate between both, so that whatever else the machine does disturbs both alike."""
    pairs = []
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = free_port(), free_port()
        with serving(node(Path(folder) / "node", ours)), serving(smallest(theirs)):
            for _ in range(rounds):
                yardstick = load(theirs, connections, seconds, BODY)
                pairs.append(Pair(load(ours, connections, seconds, BODY), yardstick))
    return pairs


def rows(rounds: int = 5, seconds: float = 3.0) -> list[str]:
    """Lines of the table of results."""
    lines = []
    for connections in (1, 16, 64):
        pairs = measure(connections, rounds, seconds)
        if errors := sum(pair.ours.errors + pair.yardstick.errors for pair in pairs):
            raise SystemExit(f"{errors} requests failed")
        ratios = sorted(pair.ratio for pair in pairs)
        ours = statistics.median(pair.ours.requests_per_s for pair in pairs)
        theirs = statistics.median(pair.yardstick.requests_per_s for pair in pairs)
        p99 = statistics.median(pair.ours.p99_ms for pair in pairs)
        goal = "0.6" if connections == 16 else ""
        lines.append(
            f"| POST /mineBlock, {connections} connections, durable | {ours:,.0f}/s, p99 {p99:.1f} ms "
            f"| smallest Sanic handler {theirs:,.0f}/s "
            f"| **{statistics.median(ratios):.2f}** ({ratios[0]:.2f} to {ratios[-1]:.2f}) | {goal} |"
        )
    return lines


if __name__ == "__main__":
    print("\n".join(rows()))
