"""Reading: `GET /blocks/{index}` all over a chain, `GET /blocks` whole, and `GET /search` through all of it."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Final

import msgspec

from tallystick.bench import bare
from tallystick.bench.figures import Figure, Goal, figure
from tallystick.bench.ledgers import Ground
from tallystick.bench.load import Result, load
from tallystick.bench.nodes import Caller, Server, UnmeasuredError
from tallystick.bench.sizes import Sizes
from tallystick.bench.write_path import HANDLER, both

CONNECTIONS: Final = 16

PLACES: Final = 2_000
"""Different blocks that are asked for."""

SOUGHT: Final = "stands nowhere"
"""A text that no block holds, so that a search looks at all of them."""

MIB: Final = 2**20


def measure(ground: Ground) -> list[Figure]:
    """One block at a time, then all of them at once."""
    sizes = ground.sizes
    with both(ground.full) as (ours, theirs):
        paths = paths_over(sizes.blocks)
        pairs = [(get(ours, paths, sizes), get(theirs, paths, sizes)) for _ in range(sizes.rounds)]
        one = figure(
            "read.block",
            f"GET /blocks/{{index}}, {CONNECTIONS} connections",
            "blocks/s",
            [mine.requests_per_s for mine, _ in pairs],
            yardstick=(HANDLER, [other.requests_per_s for _, other in pairs]),
            goal=Goal(ratio_at_least=0.8),
        )
        return [one, *_streamed(ours, ground), _searched(ours, ground)]


def paths_over(blocks: int) -> Sequence[str]:
    """Of blocks all over the chain, in no order."""
    entropy = random.Random(1)  # noqa: S311 - repeatable, not secret
    return [f"/blocks/{entropy.randint(0, blocks)}" for _ in range(PLACES)]


def get(server: Server, paths: Sequence[str], sizes: Sizes) -> Result:
    """Read from it for a while."""
    return load(server, "GET", paths, "", CONNECTIONS, (sizes.seconds, sizes.warm_up_s))


def _streamed(node: Server, ground: Ground) -> list[Figure]:
    """The whole chain, and what it takes of the node's memory, once the first round has warmed it."""
    blocks, ours, theirs, grown = ground.sizes.blocks, [], [], []
    with Caller(node) as caller:
        caller.length_of("/blocks")
        for _ in range(ground.sizes.passes):
            before = node.resident_bytes()
            started = time.perf_counter()
            caller.length_of("/blocks")
            ours.append(blocks / (time.perf_counter() - started))
            grown.append((node.resident_bytes() - before) / MIB)
            theirs.append(blocks / bare.encode_all(ground.full))
    return [
        figure(
            "read.chain",
            f"GET /blocks, {blocks:,} blocks as one answer",
            "blocks/s",
            ours,
            yardstick=("bare SELECT and msgspec", theirs),
            goal=Goal(ratio_at_least=0.7),
        ),
        figure(
            "read.chain.memory",
            "GET /blocks: memory more than before",
            "MiB",
            grown,
            better="less",
            goal=Goal(at_most=1),
        ),
    ]


def _searched(node: Server, ground: Ground) -> Figure:
    blocks, ours, theirs = ground.sizes.blocks, [], []
    for _ in range(ground.sizes.passes):
        with Caller(node) as caller:
            started = time.perf_counter()
            _search(caller)
            ours.append(blocks / (time.perf_counter() - started))
        seconds, _ = bare.search_all(ground.full, SOUGHT)
        theirs.append(blocks / seconds)
    return figure(
        "read.search",
        f"GET /search through {blocks:,} blocks",
        "blocks/s",
        ours,
        yardstick=("bare SELECT and casefold", theirs),
    )


def _search(caller: Caller) -> None:
    """Go through all of it, a stretch a request."""
    before: int | None = 2**53 - 1
    while before is not None:
        body = caller.get(f"/search?text={SOUGHT.replace(' ', '+')}&before={before}")
        stretch = msgspec.json.decode(body)
        if "before" not in stretch:
            raise UnmeasuredError(f"GET /search was answered with {body[:200]!r}")
        before = stretch["before"]
