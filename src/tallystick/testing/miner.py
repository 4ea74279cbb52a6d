"""Who seals the blocks of a ledger in tests: at once, on the event loop, for every second hash fits.

A real miner seals blocks without records, too, one after the other. Here there is one when records wait, or when a test
asks for it, or tests would find another chain each time they look.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from hashlib import sha256
from itertools import count

from tallystick.chain.contracts import Reader
from tallystick.model.sealed import FIXED_BYTES, SealedHeader, read_header
from tallystick.node.effects import Mine


class InstantMiner:
    """Seals what is drafted. To be used within its event loop."""

    def __init__(self, reader: Reader, waiting: Callable[[], int], *, at_once: bool) -> None:
        """`waiting` counts the records of the pool; they are sealed `at_once`, or when `seal` is called."""
        self._reader = reader
        self._waiting = waiting
        self._at_once = at_once
        self._job: Mine | None = None
        self._seen = ("", 0)
        """Which tip the draft is on, and how many records it holds."""

        self._found: Callable[[int, int], None] = lambda _number, _nonce: None
        self._height = 0
        """Blocks are sealed until the last one has this index."""

        self._reached: list[tuple[int, asyncio.Future[None]]] = []

    def start(self, found: Callable[[int, int], None]) -> None:
        """`found` takes the number of a job and its nonce."""
        self._found = found

    def mine(self, job: Mine) -> None:
        """The next block is to be this one. Comes whenever the last one has changed, some time after records have come,
        and now and then."""
        tip, before = self._reader.tip(), self._seen
        self._job, self._seen = job, (tip.hash, self._held(job))
        for height, reached in self._reached:
            if height <= tip.index and not reached.done():
                reached.set_result(None)
        self._reached = [each for each in self._reached if not each[1].done()]
        is_full = self._holds_all(job) or before == self._seen  # and what still waits finds no room in it
        if (tip.index < self._height and is_full) or (self._at_once and self._waiting()):
            asyncio.get_running_loop().call_soon(self._solve, job)

    def hash_rate(self) -> float:
        """Nobody measures it."""
        return 0.0

    async def seal(self, blocks: int) -> None:
        """Have so many more blocks. All that waits by now is in the first of them, as far as one block can hold it."""
        height = max(self._height, self._reader.tip().index) + blocks
        reached = asyncio.get_running_loop().create_future()
        self._height = height
        self._reached.append((height, reached))
        if self._job is not None and self._holds_all(self._job):
            self._solve(self._job)
        await reached

    def _held(self, job: Mine) -> int:
        """How many records a block of this draft adds to the log."""
        tip = self._reader.tip()
        logged = tip.log_size if isinstance(tip, SealedHeader) else 0
        return read_header(job.head, len(job.head) - FIXED_BYTES).log_size - logged

    def _holds_all(self, job: Mine) -> bool:
        return self._held(job) >= self._waiting()

    def _solve(self, job: Mine) -> None:
        if job is self._job:
            fits = (nonce for nonce in count() if sha256(job.head + nonce.to_bytes(8)).digest() <= job.target)
            self._found(job.number, next(fits))
