"""The yardstick of everything that writes many blocks: the same rows into the same schema in the same batches, bare.

`bare_seconds` is what SQLite and Python's module for it need by themselves: the rows are made beforehand, nothing is
checked, nobody could read meanwhile, and one connection after the other is written in one thread. Each batch of
blocks is a durable commit; the prefixes of their hashes follow in the batches in which the store writes its index.
`store_seconds` is the store: the same blocks as `Append` writes, until the index has caught up.

`python -m bench.bare_inserts` prints both, and the ratio; also without the index, which the store writes in a thread
of its own, beside the blocks.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tallystick.chain.writes import Append
from tallystick.consensus.classic import ClassicEngine
from tallystick.model.block import Block, header_of
from tallystick.model.limits import LIMITS
from tallystick.model.network import CLASSIC, CLASSIC_GENESIS
from tallystick.storage.database import Database
from tallystick.storage.folder import DataFolder
from tallystick.storage.opening import open_store
from tallystick.storage.sqlite import INSERT_UNMARKED

BLOCKS = 1_000_000
BATCH = 1_000
DATA = "x" * 100

INSERT_PREFIX = "INSERT INTO prefixes (prefix, idx) VALUES (?, ?)"


def chain_of(blocks: int, data: str = DATA) -> list[Block]:
    """So many blocks after genesis, all in memory (about 300 bytes each)."""
    engine, parent = ClassicEngine(CLASSIC), CLASSIC_GENESIS
    made = []
    for _ in range(blocks):
        parent = engine.seal(header_of(parent), data, 1_700_000_000_000)
        made.append(parent)
    return made


def bare_seconds(folder: Path, blocks: Sequence[Block], batch: int = BATCH, *, indexed: bool = True) -> float:
    """Seconds to insert the rows of `blocks`, which follow genesis, into a new ledger in `folder`.

    One durable commit for each `batch` of blocks, and with `indexed` one more for each `Limits.index_batch` of them;
    of what is left over the store keeps the prefixes in memory, and nobody writes them here.
    """
    store, reader = open_store(folder, CLASSIC)
    reader.close()
    store.close()
    files = DataFolder(folder)
    ledger, hashes = Database.open(files.ledger), Database.open(files.hashes)
    rows = [(b.index, bytearray.fromhex(b.hash), b.timestamp, b.data) for b in blocks]
    try:
        started = time.perf_counter()
        waiting = 0
        for start in range(0, len(rows), batch):
            _insert(ledger, INSERT_UNMARKED, rows[start : start + batch])
            end = min(start + batch, len(rows))
            if indexed and end - waiting >= LIMITS.index_batch:
                _insert(hashes, INSERT_PREFIX, sorted((bytes(key[:8]), index) for index, key, *_ in rows[waiting:end]))
                waiting = end
        return time.perf_counter() - started
    finally:
        ledger.close()
        hashes.close()


def _insert(database: Database, sql: str, rows: Sequence[Sequence[object]]) -> None:
    database.write("BEGIN IMMEDIATE")
    database.write_many(sql, rows)
    database.write("COMMIT")


def store_seconds(folder: Path, blocks: Sequence[Block], batch: int = BATCH) -> tuple[float, float]:
    """Seconds that the store needs for the same until its index is complete, and the longest of its batches."""
    store, reader = open_store(folder, CLASSIC)
    try:
        longest = 0.0
        started = time.perf_counter()
        for start in range(0, len(blocks), batch):
            begun = time.perf_counter()
            store.begin()
            store.apply(Append(blocks[start : start + batch]))
            store.commit()
            longest = max(longest, time.perf_counter() - begun)
        store._index.wait()  # noqa: SLF001 - what is written behind belongs to the cost
        return time.perf_counter() - started, longest
    finally:
        reader.close()
        store.close()


def rows(rounds: int = 3, count: int = BLOCKS) -> list[str]:
    """Lines of the table of results."""
    blocks = chain_of(count)
    bare, alone, ours, longest = [], [], [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as parent:
            bare.append(count / bare_seconds(Path(parent) / "bare", blocks))
            alone.append(count / bare_seconds(Path(parent) / "alone", blocks, indexed=False))
            seconds, worst = store_seconds(Path(parent) / "store", blocks)
            ours.append(count / seconds)
            longest.append(worst)
    rate, worst_ms = statistics.median(ours), max(longest) * 1000
    what = f"| append {count:,} blocks, {BATCH:,} a commit | {rate:,.0f}/s, longest commit {worst_ms:.0f} ms "
    return [
        what + f"| bare inserts {statistics.median(bare):,.0f}/s {compared(ours, bare)} | 0.8 |",
        what + f"| the same without an index {statistics.median(alone):,.0f}/s {compared(ours, alone)} | |",
    ]


def compared(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """The ratio: median and extremes of the rounds."""
    ratios = sorted(mine / yardstick for mine, yardstick in zip(ours, theirs, strict=True))
    return f"| **{statistics.median(ratios):.2f}** ({ratios[0]:.2f} to {ratios[-1]:.2f})"


if __name__ == "__main__":
    print("\n".join(rows()))
