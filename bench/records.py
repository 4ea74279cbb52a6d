"""Records in a network of the work kind: into the pool, into blocks, over to another node, and proven.

The network is as easy as one can be (every second hash seals a block), so what is measured is everything but luck.
"""

from __future__ import annotations

import json
import random
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

import uuid_utils

from bench.bare_inserts import compared
from bench.servers import free_port, load, node, serving, smallest
from bench.sync import Caller, Sync, measure
from tallystick.app.network_file import write
from tallystick.chain.writes import Append
from tallystick.consensus import engine_for
from tallystick.model.block import Header
from tallystick.model.network import EASIEST_BITS, Kind, Network, SealedRules, sealed_network
from tallystick.model.record import SALT_BYTES, Record, make_record
from tallystick.model.sealed import SealedBlock
from tallystick.storage.content import encode
from tallystick.storage.database import Database
from tallystick.storage.folder import DataFolder
from tallystick.storage.opening import open_store
from tallystick.storage.record_rows import inserts
from tallystick.storage.sqlite import INSERT_UNMARKED

BATCH = 100
PER_BLOCK = 500
RECORDS = 1_000_000

DATA = {"level": "info", "text": "the service started", "attempt": 1, "tags": ["boot", "eu-west"]}
BODY = json.dumps([{"data": DATA} for _ in range(BATCH)])

PER_COMMIT = 5
"""Blocks that one reply brings, at some 100 KiB each."""

WINDOW = 11
"""Headers that a block's time is held against."""


def network() -> Network:
    """One whose blocks cost two hashes each, and whose schedule is so slack that they go on doing so, old enough for
    `chain`."""
    rules = SealedRules(spacing_ms=1_000, half_life_ms=86_400_000, bits=EASIEST_BITS)
    return sealed_network(Kind.WORK, "bench", rules, time.time_ns() // 1_000_000 - 1_000 * RECORDS // PER_BLOCK)


def network_file(folder: Path, of: Network) -> Path:
    """The network as a file."""
    file = folder / "network.toml"
    file.write_text(write(of), encoding="utf-8")
    return file


# --- into the pool, and into blocks -----------------------------------------------------------------


def posted(seconds: float) -> float:
    """Records a second that were answered with 202, and so are durable in the pool."""
    with tempfile.TemporaryDirectory() as folder:
        port, file = free_port(), network_file(Path(folder), network())
        with serving(node(Path(folder) / "node", port, "--network", str(file))):
            result = load(port, 4, seconds, BODY, "/records")
            if result.errors:
                raise SystemExit(f"{result.errors} requests failed")
            return result.requests_per_s * BATCH


def taken(seconds: float) -> float:
    """The same from the smallest handler, which keeps nothing."""
    port = free_port()
    with serving(smallest(port)):
        return load(port, 4, seconds, BODY, "/records").requests_per_s * BATCH


def sealed(seconds: float) -> float:
    """Records a second that stand in blocks: from the first post until the pool is empty."""
    with tempfile.TemporaryDirectory() as folder:
        port, file = free_port(), network_file(Path(folder), network())
        options = ["--network", str(file), "--mine", "--mine-workers", "1"]
        with serving(node(Path(folder) / "node", port, *options)):
            caller = Caller(port)
            started = time.perf_counter()
            load(port, 4, seconds, BODY, "/records")
            while json.loads(caller.get("/status"))["pool"]["records"]:
                time.sleep(0.01)
            took = time.perf_counter() - started
            return int(json.loads(caller.get("/blocks/latest"))["log_size"]) / took


# --- a long chain -----------------------------------------------------------------------------------


def records_of(number: int, entropy: random.Random) -> list[Record]:
    return [make_record(str(uuid_utils.uuid7()), DATA, entropy.randbytes(SALT_BYTES)) for _ in range(number)]


def chain(of: Network, records: int) -> Iterator[SealedBlock]:
    """A chain of blocks of `PER_BLOCK` records each, on schedule."""
    engine, entropy = engine_for(of), random.Random(1)  # noqa: S311 - repeatable, not secret
    assert isinstance(of.genesis, SealedBlock)
    newest: deque[Header] = deque([of.genesis.header], maxlen=WINDOW)

    def past(_: Header, most: int) -> Sequence[Header]:
        return list(newest)[-most:]

    for _ in range(records // PER_BLOCK):
        parent = newest[-1]
        draft = engine.draft(parent, records_of(PER_BLOCK, entropy), past, parent.timestamp + 1_000)
        block = next(found for nonce in count() if (found := draft.sealed(nonce)) is not None)
        assert isinstance(block, SealedBlock)
        newest.append(block.header)
        yield block


def fill(folder: Path, of: Network, records: int) -> None:
    """A ledger that holds such a chain."""
    store, reader = open_store(folder, of)
    try:
        for block in chain(of, records):
            store.begin()
            store.apply(Append([block]))
            store.commit()
    finally:
        reader.close()
        store.close()


def bare_seconds(folder: Path, of: Network, blocks: Sequence[SealedBlock]) -> float:
    """Seconds to insert the rows of these blocks and their records into a new ledger, with the store's statements and a
    commit for each reply's worth of blocks."""
    store, reader = open_store(folder, of)
    reader.close()
    store.close()
    ledger = Database.open(DataFolder(folder).ledger)
    batches = []
    place = 1
    for start in range(0, len(blocks), PER_COMMIT):
        rows: list[tuple[object, ...]] = []
        records: list[Record] = []
        for block in blocks[start : start + PER_COMMIT]:
            content = bytearray(encode(block, [(place + len(records), len(block.records))]))
            rows.append((block.index, bytearray.fromhex(block.hash), block.timestamp, content))
            records += block.records
        batches.append((list(inserts(place, records)), rows))
        place += len(records)
    try:
        started = time.perf_counter()
        for statements, rows in batches:
            ledger.write("BEGIN IMMEDIATE")
            for statement, values in statements:
                ledger.write_many(statement, values)
            ledger.write_many(INSERT_UNMARKED, rows)
            ledger.write("COMMIT")
        return time.perf_counter() - started
    finally:
        ledger.close()


def proofs(folder: Path, file: Path, records: int, number: int) -> list[float]:
    """Milliseconds that `GET /records/{id}` with its proof takes, of records all over the log."""
    port = free_port()
    with serving(node(folder, port, "--network", str(file))):
        caller = Caller(port)
        entropy, waits = random.Random(2), []  # noqa: S311 - likewise
        for _ in range(number):
            position = entropy.randrange(records)
            (shown,) = json.loads(caller.get(f"/records?after={position}&limit=1"))
            started = time.perf_counter()
            body = caller.get(f"/records/{shown['id']}")
            waits.append((time.perf_counter() - started) * 1000)
            if json.loads(body)["records"][0]["proof"]["position"] != position:
                raise SystemExit("the proof of another record")
    return sorted(waits)


# --- the table --------------------------------------------------------------------------------------


def rows(rounds: int = 3, seconds: float = 3.0, records: int = RECORDS) -> list[str]:
    """Lines of the table of results."""
    pool, bare = [posted(seconds) for _ in range(rounds)], [taken(seconds) for _ in range(rounds)]
    blocks = [sealed(seconds) for _ in range(rounds)]
    lines = [
        (
            f"| POST /records, batches of {BATCH}, 4 connections, durable in the pool | {statistics.median(pool):,.0f} "
            f"records/s | smallest Sanic handler {statistics.median(bare):,.0f}/s {compared(pool, bare)} | 30,000/s |"
        ),
        (
            f"| the same, until they stand in blocks | {statistics.median(blocks):,.0f} records/s "
            f"| smallest Sanic handler, as above {compared(blocks, bare)} | 15,000/s |"
        ),
    ]
    with tempfile.TemporaryDirectory() as parent:
        of = network()
        full, file = Path(parent) / "full", network_file(Path(parent), of)
        fill(full, of, records)
        waits = proofs(full, file, records, 500)
        made = list(chain(of, records))
        runs: list[Sync] = []
        inserts = []
        for number in range(rounds):
            inserts.append(records / bare_seconds(Path(parent) / f"bare {number}", of, made))
            runs.append(measure(full, records // PER_BLOCK, "--network", str(file)))
    rates = [run.blocks_per_s * PER_BLOCK for run in runs]
    rate, yardstick = statistics.median(rates), statistics.median(inserts)
    grown = [max(run.grown_mib[end] for run in runs) for end in (0, 1)]
    return [
        *lines,
        (
            f"| sync of {records:,} records in blocks of {PER_BLOCK}, verified and durable | {rate:,.0f} "
            f"records/s | bare inserts of the same rows {yardstick:,.0f}/s {compared(rates, inserts)} "
            "| 60,000/s |"
        ),
        f"| memory meanwhile | +{grown[0]:.0f} MiB, its peer +{grown[1]:.0f} MiB | idle | | |",
        (
            f"| a record with its proof, in a log of {records:,} | median {statistics.median(waits):.2f} ms, "
            f"p99 {waits[int(len(waits) * 0.99)]:.2f} ms | | | 2 ms |"
        ),
    ]


if __name__ == "__main__":
    print("\n".join(rows()))
