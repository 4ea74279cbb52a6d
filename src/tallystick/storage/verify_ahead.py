"""Checking a long chain of texts on all cores.

What a block's hash is made of stands in its own row, but for the hash before it, and that stands in the row before. So
stretches of the chain can be checked at the same time, each taking that hash as it is written. Together they show as
much as one walk: each has to begin with the very block that the stretch before it was found to end with.

This runs ahead, and says nothing of what is wrong. Where a stretch is not sound, or branches were switched meanwhile,
it ends, and the walk (`verify_chain`) goes on from there and finds out.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from tallystick.errors import StoreError
from tallystick.model.network import Network
from tallystick.storage.database import Database
from tallystick.storage.verify_chain import PAGE_BLOCKS, End, Progress, TextCheck, read_page

STRETCH_BLOCKS: Final = 50 * PAGE_BLOCKS
"""Half a second of work: to start a process takes as long."""

WORKERS_MOST: Final = 8
"""More of them wait for the disk."""

Ends = tuple[bytes, bytes]
"""The hash a stretch took for granted, of the block before it, and that of its last block."""


def checked_ahead(path: Path, network: Network, last: int, progress: Progress) -> list[End]:
    """The ends of sound stretches from the beginning of the best chain on, up to about the block at `last`."""
    workers = min(_cores(), WORKERS_MOST)
    if workers == 1 or last < 2 * STRETCH_BLOCKS:
        return []
    ends: list[End] = []
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_leave_interrupts)
    try:
        stretches = [
            (end, pool.submit(_check_stretch, path, network, end - STRETCH_BLOCKS, end))
            for end in range(STRETCH_BLOCKS, last + 1, STRETCH_BLOCKS)
        ]
        for index, key in _joined(stretches):
            ends.append(End(index, key, None))
            progress(index + 1, last + 1)
    except (BrokenExecutor, OSError):  # a process was killed, or none can be started: the walk does without
        pass
    finally:
        pool.shutdown(cancel_futures=True)
    return ends


def _cores() -> int:
    """Cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        return os.cpu_count() or 1


def _leave_interrupts() -> None:
    """Ctrl-C is for the process that asked."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _joined(stretches: list[tuple[int, Future[Ends | None]]]) -> Iterator[tuple[int, bytes]]:
    """Index and hash of the last block of each stretch that goes on from the one before, until one does not."""
    before: bytes | None = None
    for index, stretch in stretches:
        ends = stretch.result()
        if ends is None or (before is not None and ends[0] != before):
            return
        before = ends[1]
        yield index, before


def _check_stretch(path: Path, network: Network, first: int, last: int) -> Ends | None:
    """Check the blocks behind the one at `first`, or from the first of all on, up to the one at `last`."""
    try:
        ledger = Database.open_to_look(path)
        try:
            check = TextCheck(ledger, network)
            begin = end = _begin(ledger, first)
            while end is not None and end.index < last:
                page = read_page(ledger, check, end, min(PAGE_BLOCKS, last - end.index))
                end = None if page is None or page.index == end.index else page
        finally:
            ledger.close()
    except StoreError:
        return None
    return None if begin is None or end is None else (begin.key, end.key)


def _begin(ledger: Database, index: int) -> End | None:
    if index == 0:
        return End(-1, b"", None)
    row = ledger.one("SELECT hash FROM blocks WHERE idx = ?", (index,))
    return End(index, row[0], None) if row is not None and isinstance(row[0], bytes) else None
