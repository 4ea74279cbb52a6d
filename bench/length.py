"""What a chain costs by its length: to post, to read, to start with, in memory and on disk. Nothing of it may grow."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from tallystick.bench.figures import Figure, Goal, Length, figure
from tallystick.bench.ledgers import DATA, PER_COMMIT, Ground, fill
from tallystick.bench.load import Result
from tallystick.bench.nodes import Caller, Server, node, serving, smallest
from tallystick.bench.read_path import get, paths_over
from tallystick.bench.write_path import HANDLER, RATIOS, p99, post
from tallystick.model.network import CLASSIC

LENGTHS: Final = (1_000, 10_000, 100_000, 1_000_000)
CONNECTIONS: Final = 16
MIB: Final = 2**20
PAGES: Final = 100
"""That are read, all over the chain."""

MEMORY_MIB: Final = 30_000_000 / MIB
"""The goal: so much more than an empty node has."""

HASH_BYTES: Final = 32


class _At(NamedTuple):
    """What was measured at a length."""

    posts: list[Result]
    gets: list[Result]
    bare: list[Result]
    """Posts to the smallest handler, in turn with those to the node."""

    starts: list[float]
    memory_mib: float
    folder_bytes: int


class Lengths:
    """The part of the suite, which keeps the curve beside its figures."""

    def __init__(self) -> None:
        self.measured: list[Length] = []

    def measure(self, ground: Ground) -> list[Figure]:
        """At each length, and at none."""
        empty = _measure(ground, 0)
        self.measured = []
        longest, at = 0, empty
        for length in LENGTHS:
            if length > ground.sizes.blocks:
                break
            longest, at = length, _measure(ground, length)
            self.measured.append(_length(length, at, empty))
        return _figures(longest, at, empty)


def _length(blocks: int, at: _At, empty: _At) -> Length:
    return Length(
        blocks=blocks,
        post_ms=statistics.median(each.median_ms for each in at.posts),
        post_p99_ms=statistics.median(each.p99_ms for each in at.posts),
        get_ms=statistics.median(each.median_ms for each in at.gets),
        start_s=statistics.median(at.starts),
        memory_mib=at.memory_mib,
        disk_bytes=(at.folder_bytes - empty.folder_bytes) / blocks,
    )


def _figures(blocks: int, at: _At, empty: _At) -> list[Figure]:
    words = f"with {blocks:,} blocks"
    size = (at.folder_bytes - empty.folder_bytes) / blocks
    return [
        figure(
            "length.write",
            f"POST /mineBlock, {CONNECTIONS} connections, {words}",
            "blocks/s",
            [each.requests_per_s for each in at.posts],
            yardstick=(HANDLER, [each.requests_per_s for each in at.bare]),
            goal=Goal(ratio_at_least=RATIOS[CONNECTIONS]),
        ),
        p99("length.write.p99", f"POST /mineBlock, {CONNECTIONS} connections, {words}: p99", at.posts),
        figure(
            "length.start",
            f"start of a node {words}",
            "s",
            at.starts,
            better="less",
            yardstick=("of an empty node", empty.starts),
            goal=Goal(ratio_at_most=1.25),
        ),
        figure(
            "length.memory",
            f"memory of a node {words}",
            "MiB",
            [at.memory_mib],
            better="less",
            yardstick=("of an empty node", [empty.memory_mib]),
        ),
        figure(
            "length.memory.more",
            f"memory of a node {words}: more than an empty one",
            "MiB",
            [at.memory_mib - empty.memory_mib],
            better="less",
            goal=Goal(at_most=round(MEMORY_MIB, 1)),
        ),
        figure(
            "length.disk",
            f"a block with {len(DATA)} bytes of data, on disk",
            "bytes",
            [size],
            better="less",
            yardstick=("its data and its hash", [len(DATA) + HASH_BYTES]),
        ),
    ]


def _measure(ground: Ground, blocks: int) -> _At:
    """Posts come last but memory, for they make the chain longer."""
    sizes = ground.sizes
    with ground.room() as room:
        folder = room / "node"
        fill(folder, CLASSIC, ground.chain[:blocks], PER_COMMIT)
        size = _size(folder)
        with serving(node(folder)):
            pass  # the first start makes what only the first start makes
        starts = []
        for _ in range(sizes.starts):
            with serving(node(folder)) as server:
                starts.append(server.ready_s)
        with serving(node(folder)) as server, serving(smallest()) as theirs:
            gets = [get(server, paths_over(blocks), sizes) for _ in range(sizes.rounds)]
            pairs = [(post(server, CONNECTIONS, sizes), post(theirs, CONNECTIONS, sizes)) for _ in range(sizes.rounds)]
            memory = _memory(server, blocks)
    return _At([mine for mine, _ in pairs], gets, [other for _, other in pairs], starts, memory, size)


def _memory(server: Server, blocks: int) -> float:
    """MiB resident after all that, a look at pages all over the chain, and the whole of it streamed once."""
    with Caller(server) as caller:
        for number in range(PAGES):
            caller.length_of(f"/blocks?from={blocks * number // PAGES}&limit=1000")
        caller.length_of("/blocks")
    return server.resident_bytes() / MIB


def _size(folder: Path) -> int:
    """Bytes of a folder that nobody has open."""
    return sum(file.stat().st_size for file in _files(folder))


def _files(folder: Path) -> Sequence[Path]:
    return [file for file in folder.rglob("*") if file.is_file()]
