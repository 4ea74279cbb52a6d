"""What a chain of a million blocks costs: memory, the time to be ready again, and verifying it."""

from __future__ import annotations

import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path

from bench.servers import free_port, load, node, seconds_until_ready, serving
from bench.write_path import BODY
from tallystick.chain.writes import Append
from tallystick.consensus.classic import ClassicEngine
from tallystick.model.block import Block, header_of
from tallystick.model.network import CLASSIC, CLASSIC_GENESIS
from tallystick.storage.opening import open_store

BLOCKS = 1_000_000
DATA = "x" * 100
PAGE = 2_000
MIB = 1024 * 1024


def fill(folder: Path, blocks: int) -> None:
    """Make a chain of so many blocks after genesis."""
    engine, parent = ClassicEngine(CLASSIC), CLASSIC_GENESIS
    store, reader = open_store(folder, CLASSIC)
    for _ in range(0, blocks, PAGE):
        page: list[Block] = []
        for _ in range(PAGE):
            parent = engine.seal(header_of(parent), DATA, 1_700_000_000_000)
            page.append(parent)
        store.begin()
        store.apply(Append(page))
        store.commit()
    reader.close()
    store.close()


def memory(folder: Path) -> float:
    """MiB resident in a node after a second of posts and a look at old and new blocks."""
    port = free_port()
    with serving(node(folder, port)) as process:
        load(port, 16, 1.0, BODY)
        subprocess.run([sys.executable, "-c", READ_SOME, str(port)], check=True, stdout=subprocess.DEVNULL)
        return float(process.memory_info().rss) / MIB


READ_SOME = """
import sys, urllib.request
base = f"http://127.0.0.1:{sys.argv[1]}"
read = lambda path: urllib.request.urlopen(base + path).read()
for start in range(0, 1_000_000, 10_000):
    read(f"/blocks?from={start}&limit=1000")
with urllib.request.urlopen(base + "/blocks") as whole:
    while whole.read(1 << 20):
        pass
"""


def verify_rate(folder: Path) -> float:
    """Blocks a second of `tallystick verify`, the start of the process included."""
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "tallystick", "verify", "--data-dir", str(folder)], check=True, capture_output=True
    )
    return BLOCKS / (time.perf_counter() - started)


def bare_rate(folder: Path) -> float:
    """The yardstick: read the same rows and hash the same bytes, and look at nothing."""
    connection = sqlite3.connect(folder / "ledger.sqlite")
    started = time.perf_counter()
    parent = "0"
    for index, timestamp, data in connection.execute("SELECT idx, timestamp, data FROM blocks ORDER BY idx"):
        parent = sha256(f"{index}{parent}{timestamp}{data}".encode()).hexdigest()
    rate = BLOCKS / (time.perf_counter() - started)
    connection.close()
    return rate


def rows(rounds: int = 5) -> list[str]:
    """Lines of the table of results."""
    with tempfile.TemporaryDirectory() as parent:
        empty, full = Path(parent) / "empty", Path(parent) / "full"
        open_and_close(empty)
        fill(full, BLOCKS)
        at_0, at_full = memory(empty), memory(full)
        started = [seconds_until_ready(empty) for _ in range(rounds)]
        ready = [seconds_until_ready(full) for _ in range(rounds)]
        rates = [(verify_rate(full), bare_rate(full)) for _ in range(rounds)]
        size = (full / "ledger.sqlite").stat().st_size / (BLOCKS + 1)
    verified, bare = statistics.median(rate for rate, _ in rates), statistics.median(rate for _, rate in rates)
    ratios = sorted(ours / theirs for ours, theirs in rates)
    kept = f"| memory at {BLOCKS:,} blocks | {at_full:.0f} MiB | at 0 blocks {at_0:.0f} MiB "
    again = f"| ready again with {BLOCKS:,} blocks | {spread(ready)} s | empty folder {spread(started)} s "
    checked = f"| `verify`, {BLOCKS:,} blocks | {verified:,.0f} blocks/s | bare SELECT and hashlib {bare:,.0f}/s "
    return [
        kept + f"| **+{at_full - at_0:.0f} MiB** | +60 MB |",
        again + f"| **{statistics.median(ready) / statistics.median(started):.2f}** | 1.5 s |",
        checked + f"| **{statistics.median(ratios):.2f}** ({ratios[0]:.2f} to {ratios[-1]:.2f}) | 300,000/s |",
        f"| size of a block with 100 bytes of data on disk | {size:.0f} bytes | | | |",
    ]


def spread(values: list[float]) -> str:
    """Median and extremes."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def open_and_close(folder: Path) -> None:
    """Make an empty ledger."""
    store, reader = open_store(folder, CLASSIC)
    reader.close()
    store.close()


if __name__ == "__main__":
    print("\n".join(rows()))
