"""Records in a network of the work kind: into the pool, into blocks, over to another node, and proven.

The network is as easy as one can be (every second hash seals a block), so what is measured is everything but luck.
"""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Final

import msgspec

from tallystick.bench import bare
from tallystick.bench.figures import Figure, Goal, figure
from tallystick.bench.ledgers import (
    PER_BLOCK,
    RECORD_DATA,
    Ground,
    fill,
    network_file,
    sealed_chain,
    work_network,
)
from tallystick.bench.load import load
from tallystick.bench.nodes import Caller, Server, UnmeasuredError, node, serving, smallest
from tallystick.bench.sizes import Sizes
from tallystick.bench.sync import beside, fetch
from tallystick.bench.write_path import HANDLER
from tallystick.model.network import Network

BATCH: Final = 100
CONNECTIONS: Final = 4
PATH: Final = "/records"
BODY: Final = msgspec.json.encode([{"data": RECORD_DATA}] * BATCH).decode()

PROOFS: Final = 500

LOOK_EVERY_S: Final = 0.01
"""Whether the pool is empty."""


def measure_pool(ground: Ground) -> list[Figure]:
    """Batches of a hundred, durable in the pool before their answer. A node a round, for pools have an end."""
    of, pairs = work_network(0), []
    for _ in range(ground.sizes.passes):
        with ground.room() as room:
            file = network_file(room, of)
            with serving(node(room / "node", "--network", str(file))) as ours, serving(smallest()) as theirs:
                pairs.append((_post(ours, ground.sizes), _post(theirs, ground.sizes)))
    return [
        figure(
            "records.pool",
            f"POST {PATH}, batches of {BATCH}, {CONNECTIONS} connections",
            "records/s",
            [mine for mine, _ in pairs],
            yardstick=(HANDLER, [other for _, other in pairs]),
            goal=Goal(at_least=60_000),
        )
    ]


def _post(server: Server, sizes: Sizes) -> float:
    """Records a second that were answered with 202."""
    times = (sizes.seconds, sizes.warm_up_s)
    return load(server, "POST", [PATH], BODY, CONNECTIONS, times).requests_per_s * BATCH


def measure_sealing(ground: Ground) -> list[Figure]:
    """The same until all of them stand in blocks, with a process that mines beside node and load."""
    pairs = []
    for _ in range(ground.sizes.passes):
        with serving(smallest()) as theirs:
            other = _post(theirs, ground.sizes)
        pairs.append((_sealed(ground), other))
    return [
        figure(
            "records.blocks",
            f"POST {PATH}, batches of {BATCH}, until they stand in blocks",
            "records/s",
            [mine for mine, _ in pairs],
            yardstick=(HANDLER, [other for _, other in pairs]),
            goal=Goal(at_least=30_000),
        )
    ]


def _sealed(ground: Ground) -> float:
    """Records a second, from the first post until the pool is empty."""
    with ground.room() as room:
        options = ["--network", str(network_file(room, work_network(0))), "--mine", "--mine-workers", "1"]
        with serving(node(room / "node", *options)) as server, Caller(server) as caller:
            started = time.perf_counter()
            _post(server, ground.sizes)
            while msgspec.json.decode(caller.get("/status"))["pool"]["records"]:
                time.sleep(LOOK_EVERY_S)
            took = time.perf_counter() - started
            return int(msgspec.json.decode(caller.get("/blocks/latest"))["log_size"]) / took


def measure_log(ground: Ground) -> list[Figure]:
    """A long log: fetched by another node, and its records proven."""
    records, of = ground.sizes.records, work_network(ground.sizes.records)
    with ground.room() as room:
        chain, file = list(sealed_chain(of, records)), network_file(room, of)
        full, options = room / "full", ("--network", str(file))
        fill(full, of, chain, 1)
        proven = _proofs(full, of, room, records)
        runs, theirs = [], []
        for number in range(ground.sizes.passes):
            theirs.append(records / bare.insert_records(room / f"bare {number}", of, chain))
            runs.append(fetch(full, room / f"new {number}", len(chain), *options))
    rate = figure(
        "records.sync",
        f"sync of {records:,} records in blocks of {PER_BLOCK}, verified and durable",
        "records/s",
        [run.blocks_per_s * PER_BLOCK for run in runs],
        yardstick=("bare inserts of the same rows", theirs),
        goal=Goal(at_least=150_000, ratio_at_least=0.8),
    )
    return [rate, *beside("records.sync", "a sync of records", runs), *proven]


def _proofs(full: Path, of: Network, room: Path, records: int) -> list[Figure]:
    """`GET /records/{id}` with its proof, of records all over the log, one after the other."""
    waits = []
    command = node(full, "--network", str(network_file(room, of)))
    with serving(command) as server, Caller(server) as caller:
        entropy = random.Random(2)  # noqa: S311 - repeatable, not secret
        for _ in range(min(PROOFS, records)):
            position = entropy.randrange(records)
            (shown,) = msgspec.json.decode(caller.get(f"/records?after={position}&limit=1"))
            started = time.perf_counter()
            body = caller.get(f"/records/{shown['id']}")
            waits.append((time.perf_counter() - started) * 1_000)
            if msgspec.json.decode(body)["records"][0]["proof"]["position"] != position:
                raise UnmeasuredError(f"GET /records/{shown['id']} brought the proof of another record")
    waits.sort()
    what, goal = f"a record with its proof, in a log of {records:,}", Goal(at_most=2)
    median, p99 = waits[len(waits) // 2], waits[int(len(waits) * 0.99)]
    return [
        figure("records.proof", f"{what}: median", "ms", [median], better="less", goal=goal),
        figure("records.proof.p99", f"{what}: p99", "ms", [p99], better="less"),
    ]
