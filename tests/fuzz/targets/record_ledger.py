"""A ledger of a network whose blocks hold records, damaged: as with a classic one, and with the log and its holders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Final

from tallystick.chain.writes import AddRecords, AddSide, Append, Complete, DropStaged, Erase
from tallystick.model.record import without_data
from tallystick.storage import record_rows
from tests.fuzz.damage import Sound, Uses, used
from tests.fuzz.draw import Draw
from tests.fuzz.target import SetAttribute, Target
from tests.fuzz.targets.ledger import LIMITS as CLASSIC_LIMITS
from tests.storage.kit import commit, switch
from tests.storage.sealed_blocks import GENESIS, NETWORK, branch, record, records, sealed_on_disk

LIMITS: Final = replace(CLASSIC_LIMITS, records_per_id=3, pool_bytes=10**6)
R: Final = records("r", 20)
FIRST: Final = branch(GENESIS, R[:2], [], R[2:5], [R[5]])
BEST: Final = [GENESIS, *FIRST[:2], *branch(FIRST[1], [R[3], R[6]], R[7:9], [], [R[9]], variant=1)]
ASIDE: Final = branch(BEST[4], [R[10]], [R[2], R[11]], variant=2)
STAGED: Final = branch(BEST[2], [R[12], R[5]], [R[13]], variant=3)
NEXT: Final = branch(BEST[-1], [R[14]], [R[15]])
WITHHELD: Final = without_data(record("withheld"))


def _build(folder: Path) -> None:
    """A chain that took the place of another, with records in the log, pending, aside, staged, erased and withheld."""
    with sealed_on_disk(folder, LIMITS) as (store, _):
        commit(store, AddRecords([*R[:3], R[16], R[17]]), Append(FIRST))
        commit(store, AddSide(BEST[3:]), switch(FIRST[-1], BEST[2], BEST[-1]))
        commit(store, AddSide(ASIDE), Erase(R[7].id), Erase(R[10].id))
        commit(store, AddSide(STAGED, staged=True))


USES: Final = Uses(
    NETWORK,
    LIMITS,
    blocks=[*BEST, *FIRST[2:], *ASIDE, *STAGED],
    best=BEST,
    records=[*R, WITHHELD],
    batches=(
        [AddRecords([R[18]]), Append(NEXT[:1])],
        [Complete([R[7]]), Erase(R[8].id), AddSide(STAGED, staged=True)],
        [switch(NEXT[0], BEST[2], FIRST[-1])],
        [DropStaged(), AddSide(branch(ASIDE[-1], [R[19]]))],
        [switch(NEXT[0], BEST[4], ASIDE[-1])],
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
            yield bytes([3, table, 1, kind % 7, 0, kind, 1, 2, 3])
            yield bytes([3, table, 3, 3 + kind % 3, 1, kind, 9, 2, 3])
        for kind in range(5):
            yield bytes([1, table, 1, kind, 1, 0, 3])
    for kind in range(6):
        yield bytes([0, 0, 1, 40 * kind, 7, kind, 1, 2, 3])


def plant(put: SetAttribute) -> None:
    """What stands in the row of a record is believed to be of its kind."""
    put(record_rows, "damaged_record", lambda name: TypeError(f"record {name!r}"))
    put(record_rows, "damaged", lambda index: TypeError(f"block {index}"))


TARGET: Final = Target(one=one, seeds=seeds, plant=plant, size_bytes=120, runs=100)
