"""Looking for a nonce: one process of the miner, beside the plainest loop over hashlib that keeps the midstate."""

from __future__ import annotations

import subprocess
import time
from hashlib import sha256
from typing import IO, Final

from tallystick.app.miner_process import HEAD_BYTES, REPORT_BYTES, TARGET_BYTES, Job, command, order_bytes, read_report
from tallystick.bench.figures import Figure, Goal, figure
from tallystick.bench.ledgers import Ground
from tallystick.bench.nodes import UnmeasuredError

NEVER: Final = bytes(TARGET_BYTES)
"""A target that no hash is known to meet."""

AT_ONCE: Final = 10_000
"""Hashes between two looks at the clock."""


def measure(ground: Ground) -> list[Figure]:
    """One process at a time."""
    pairs = [(process(ground.sizes.seconds), bare(ground.sizes.seconds)) for _ in range(ground.sizes.rounds)]
    return [
        figure(
            "mining",
            "mining, one process",
            "hashes/s",
            [mine for mine, _ in pairs],
            yardstick=("bare hashlib with a midstate", [other for _, other in pairs]),
            goal=Goal(ratio_at_least=0.8),
        )
    ]


def bare(seconds: float) -> float:
    """Hashes a second of the loop that one would write down first."""
    copy = sha256(bytes(HEAD_BYTES)).copy
    hashes, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        for nonce in range(hashes, hashes + AT_ONCE):
            hash = copy()
            hash.update(nonce.to_bytes(8, "big"))
            if hash.digest() <= NEVER:
                raise AssertionError("a hash of all zeros")
        hashes += AT_ONCE
    return hashes / (time.perf_counter() - started)


def process(seconds: float) -> float:
    """Hashes a second of one process of the miner."""
    with subprocess.Popen(command(0, 1), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as miner:
        if miner.stdin is None or miner.stdout is None:
            raise UnmeasuredError("the miner has no pipes")
        miner.stdin.write(order_bytes(Job(1, bytes(HEAD_BYTES), NEVER)))
        miner.stdin.flush()
        return reported(miner.stdout, seconds)


def reported(reports: IO[bytes], seconds: float) -> float:
    """Hashes a second that reached the other end of the pipe, by the clock on this end."""
    reports.read(REPORT_BYTES)
    hashes, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        hashes += read_report(reports.read(REPORT_BYTES)).hashes
    return hashes / (time.perf_counter() - started)
