"""Looking for a nonce: one process of the miner, beside the plainest loop over hashlib that keeps the midstate."""

from __future__ import annotations

import statistics
import subprocess
import time
from dataclasses import dataclass
from hashlib import sha256
from typing import IO, Final

from tallystick.app.miner_process import HEAD_BYTES, REPORT_BYTES, TARGET_BYTES, Job, command, order_bytes, read_report

NEVER: Final = bytes(TARGET_BYTES)
"""A target that no hash is known to meet."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A round: process and yardstick one after the other. Hashes a second."""

    ours: float
    yardstick: float

    @property
    def ratio(self) -> float:
        return self.ours / self.yardstick


def bare(seconds: float) -> float:
    """Hashes a second of the loop that one would write down first."""
    copy = sha256(bytes(HEAD_BYTES)).copy
    hashes, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        for nonce in range(hashes, hashes + 10_000):
            hash = copy()
            hash.update(nonce.to_bytes(8, "big"))
            if hash.digest() <= NEVER:
                raise SystemExit("a hash of all zeros")
        hashes += 10_000
    return hashes / (time.perf_counter() - started)


def reported(reports: IO[bytes], seconds: float) -> float:
    """Hashes a second that reached the other end of the pipe, by the clock on this end."""
    reports.read(REPORT_BYTES)
    hashes, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        hashes += read_report(reports.read(REPORT_BYTES)).hashes
    return hashes / (time.perf_counter() - started)


def process(seconds: float) -> float:
    """Hashes a second of one process of the miner."""
    with subprocess.Popen(command(0, 1), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as miner:
        assert miner.stdin is not None
        assert miner.stdout is not None
        miner.stdin.write(order_bytes(Job(1, bytes(HEAD_BYTES), NEVER)))
        miner.stdin.flush()
        return reported(miner.stdout, seconds)


def measure(rounds: int, seconds: float) -> list[Pair]:
    """Alternate between both, so that whatever else the machine does disturbs both alike."""
    return [Pair(process(seconds), bare(seconds)) for _ in range(rounds)]


def rows(rounds: int = 5, seconds: float = 3.0) -> list[str]:
    """Lines of the table of results."""
    pairs = measure(rounds, seconds)
    ratios = sorted(pair.ratio for pair in pairs)
    ours = statistics.median(pair.ours for pair in pairs)
    theirs = statistics.median(pair.yardstick for pair in pairs)
    return [
        (
            f"| mining, one process | {ours:,.0f} hashes/s | bare hashlib loop with a midstate {theirs:,.0f} hashes/s "
            f"| **{statistics.median(ratios):.2f}** ({ratios[0]:.2f} to {ratios[-1]:.2f}) | 0.8 |"
        )
    ]


if __name__ == "__main__":
    print("\n".join(rows()))
