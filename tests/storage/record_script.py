"""A story of records: pending, sealed, reorganised, staged, evicted and erased; and everything a store shows of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from tallystick.chain.contracts import Reader, Store
from tallystick.chain.writes import AddRecords, AddSide, Append, DropStaged, Erase, Write
from tallystick.model.record import without_data
from tests.storage.kit import SMALL, switch
from tests.storage.script import play
from tests.storage.sealed_blocks import GENESIS, branch, child, record, records, sealed_on_disk

LIMITS = replace(SMALL, side_bytes=4_000)

NAMES = [each.id for prefix in "abcdxy" for each in records(prefix, 12)]


@cache
def batches() -> Sequence[Sequence[Write]]:
    #         /- b1 - b2 - b3 - b4         heavier, shares records with a
    # genesis - a1 - a2 - a3 ------ a4 - a5 - a6
    #         \- c1 .. c5                  arrives staged, and is given up
    a = branch(GENESIS, records("a", 3), [*records("a", 5)[3:], *records("x", 2)], [])
    b = branch(GENESIS, records("a", 2), records("b", 3), [record("x-1"), record("b-4")], [], variant=1)
    c = branch(GENESIS, *(records("c", 10)[2 * i : 2 * i + 2] for i in range(4)), [record("a-0")], variant=2)
    back = branch(a[-1], [record("y-0")], [record("b-0")], [record("d-0"), record("d-1")], variant=3)
    spam = [child(GENESIS, [record(f"y-{i}", "spam" * 100), record("y-1")], variant=9 + i) for i in range(2, 12)]
    hidden = child(back[-1], [without_data(record("d-2")), without_data(record("a-5"))])
    return [
        [AddRecords(records("a", 7))],
        [Append(a[:1])],
        [Append(a[1:]), AddRecords([record("x-2")])],
        [AddSide(b[:2])],
        [AddSide(c[:3], staged=True), Erase("a-6")],
        [AddSide(b[2:]), switch(a[-1], GENESIS, b[-1])],
        [AddSide(c[3:], staged=True), AddSide(c[1:2]), Erase("b-0")],
        [AddSide(back[:1], staged=True), AddSide(back[1:]), switch(b[-1], GENESIS, back[-1])],
        [DropStaged(), Append([hidden])],
        [AddSide(spam[:5])],
        [AddSide(spam[5:]), AddRecords([record("d-3"), record("y-2", "spam" * 100)])],
        [AddSide(branch(hidden, records("d", 4)[3:], [record("d-2")], variant=4), staged=True)],
    ]


def observed(store: Store, reader: Reader) -> object:
    """All that a store and its reader show."""
    shown = [reader.records_of(name) for name in NAMES]
    log = reader.records(0, 10**6)
    blocks = {
        block.hash: block
        for writes in batches()
        for write in writes
        if isinstance(write, Append | AddSide)
        for block in write.blocks
    }
    return (
        reader.page(0, 10**6),
        reader.tip(),
        [(fork.tip, fork.fork, [found.block for found in fork.blocks]) for fork in reader.forks(99)],
        [[(each.record, each.position, each.placed) for each in some] for some in shown],
        log,
        [reader.find(hash) for hash in blocks],
        [store.side(hash) for hash in blocks],
        store.headers(0, 10**6),
        store.pool(0, 10**6, 10**9),
        store.pool_size(),
        sorted((known.record.entry, known.placed) for known in store.named(NAMES)),
    )


def states(folder: Path) -> list[object]:
    """What is shown before the first batch and after each, once the store was opened again."""
    result = []
    for number in range(len(batches()) + 1):
        with sealed_on_disk(folder / str(number), LIMITS) as (store, _):
            play(store, batches()[:number])
        with sealed_on_disk(folder / str(number), LIMITS) as (store, reader):
            result.append(observed(store, reader))
    return result
