"""A ledger of the classic network that was damaged: told as damage by whatever meets it, and never in another way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Final

from tallystick.chain.writes import OWN, AddSide, Append, RememberBan, RememberPeer
from tallystick.model.network import CLASSIC
from tallystick.storage import rows
from tests.fuzz.damage import Sound, Uses, used
from tests.fuzz.draw import Draw
from tests.fuzz.target import SetAttribute, Target
from tests.storage.kit import GENESIS, WIDE, branch, commit, on_disk, switch

LIMITS: Final = replace(WIDE, index_batch=10_000, fork_blocks=20, side_bytes=5_000)
FIRST: Final = branch(GENESIS, *(f"first {number}" for number in range(8)))
BEST: Final = [GENESIS, *FIRST[:3], *branch(FIRST[2], *(f"best {number}" * 3 for number in range(9)))]
ASIDE: Final = branch(BEST[6], "aside", "and more")
NEXT: Final = branch(BEST[-1], "next", "and next")


def _build(folder: Path) -> None:
    """A chain with posts of our own, some of which a longer one took off and one of which is mined again; branches."""
    with on_disk(folder, LIMITS) as (store, _):
        commit(store, Append(FIRST, [OWN, None] * 4), RememberPeer("ws://a:1"), RememberBan("8.8.8.8"))
        commit(store, AddSide(BEST[4:10]), switch(FIRST[-1], BEST[3], BEST[9]))
        again = [FIRST[4].hash, None]
        commit(store, Append(BEST[10:12], again), AddSide(ASIDE))
        commit(store, Append(BEST[12:]))


USES: Final = Uses(
    CLASSIC,
    LIMITS,
    blocks=[*BEST, *FIRST[3:], *ASIDE],
    best=BEST,
    records=[],
    batches=(
        [Append(NEXT[:1], [OWN])],
        [AddSide(branch(ASIDE[-1], "further", "x" * 3_000))],
        [switch(NEXT[0], BEST[3], FIRST[-1])],
        [switch(NEXT[0], BEST[6], ASIDE[-1])],
    ),
)


@cache
def sound() -> Sound:
    return Sound(_build)


def one(data: bytes) -> None:
    """Whatever is changed, each use ends well or with a StoreError; what is found sound is the chain that was there."""
    used(sound(), USES, Draw(data))


def seeds() -> Iterator[bytes]:
    """No damage, and each kind of it in a few places."""
    yield b""
    tables = len(sound().filled)
    for table in range(tables):
        for kind in range(10):
            yield bytes([3, table, 2, kind, 0, kind, 1, 2, 3])
        for kind in range(5):
            yield bytes([1, table, 1, kind, 1, 0, 3])
    for kind in range(6):
        yield bytes([0, 0, 1, 40 * kind, 7, kind, 1, 2, 3])
    yield bytes([0, 3, 0, 30, 1, 1])


def plant(put: SetAttribute) -> None:
    """What stands in a column is believed to be of its kind."""
    put(rows, "damaged", lambda index: TypeError(f"block {index}"))


TARGET: Final = Target(one=one, seeds=seeds, plant=plant, size_bytes=120, runs=150)
