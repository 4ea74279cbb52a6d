"""A whole chain as one message, without ever holding it: QUERY_ALL's answer.

The answer may have `Limits.message_bytes` and no more, so its size must be known before its first byte
goes out. A `ChainSize` measures the committed chain once, page by page, and remembers where to cut it:
after measuring up to a block it needs to look only at what came later. A reorg takes away cuts from the
end, no more of them than it replaced. A `ChainStream` then reads the chain again, cut by cut, as the
socket drains; a few hundred KiB are in memory, whatever the chain's length.

If the chain is reorganised under a stream, the next piece does not end in the block that was measured.
What was sent is worthless then, and the peer has to ask again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final, cast

import msgspec

from tallystick.chain.contracts import Reader
from tallystick.model.block import Block
from tallystick.model.limits import Limits
from tallystick.model.sealed import AnyBlock
from tallystick.wire import classic

_COUNT_MAX: Final = 512
"""Blocks of a page at most; about 120 KiB of the shortest there are."""

_FRAME_BYTES: Final = len(classic.CHAIN_HEAD) + len(classic.CHAIN_TAIL)


class ChainChangedError(Exception):
    """The chain was reorganised while it was being sent."""


class Cut(msgspec.Struct, frozen=True):
    """A piece of the chain that has been measured."""

    first: int
    """Index of its first block."""

    count: int
    """Number of its blocks."""

    last_hash: str
    """Hash of its last block; while that is in its place, the measure of all up to it holds."""

    total_bytes: int
    """Size of the text of all blocks up to its end."""

    @property
    def end(self) -> int:
        """Index after its last block."""
        return self.first + self.count


class Measure(msgspec.Struct, frozen=True):
    """The whole chain, measured."""

    cuts: tuple[Cut, ...]

    @property
    def size_bytes(self) -> int:
        """Of the RESPONSE_BLOCKCHAIN that carries it."""
        return _FRAME_BYTES + self.cuts[-1].total_bytes


class ChainSize:
    """What is known of the size of the committed chain. One for the whole node.

    The cuts kept cover at most `Limits.message_bytes` of text, and all but the last of them are of a
    decent size, so there are a few hundred at most.
    """

    def __init__(self, reader: Reader, limits: Limits) -> None:
        self._reader = reader
        self._limits = limits
        self._cuts: list[Cut] = []
        self._count = 128

    def step(self) -> Measure | None:
        """Measure one page more. None: call again, preferably after others had their turn.

        When the answer would be too long, the measure is of a part of the chain that already is.
        """
        while self._cuts and not self._stands(self._cuts[-1]):
            self._cuts.pop()
        if self._cuts and self._is_too_long(self._cuts[-1]):
            return Measure(tuple(self._cuts))
        cut = self._measure_next()
        if cut is None:
            return Measure(tuple(self._cuts))
        at_tip = cut.end > self._reader.tip().index
        if at_tip and not self._is_too_long(cut):
            return Measure((*self._cuts, cut))  # the tip grows; what ends with it is measured anew each time
        self._cuts.append(cut)
        return None

    async def answer(self) -> ChainStream | bytes:
        """The answer to QUERY_ALL, measured between other work: the chain; the latest block when the chain
        is longer than a message may be; b"" when even that is. Raises StoreError.
        """
        measure = self.step()
        while measure is None:
            await asyncio.sleep(0)
            measure = self.step()
        if measure.size_bytes <= self._limits.message_bytes:
            return ChainStream(self._reader, measure)
        latest = self._reader.block(self._reader.tip().index)
        text = classic.response([] if latest is None else _classic([latest]))
        return text if len(text) <= self._limits.message_bytes else b""

    def _stands(self, cut: Cut) -> bool:
        block = self._reader.block(cut.end - 1)
        return block is not None and block.hash == cut.last_hash

    def _is_too_long(self, cut: Cut) -> bool:
        return _FRAME_BYTES + cut.total_bytes > self._limits.message_bytes

    def _measure_next(self) -> Cut | None:
        """The next piece of a decent size; None when there are no more blocks."""
        first, total = (self._cuts[-1].end, self._cuts[-1].total_bytes) if self._cuts else (0, 0)
        while True:
            blocks = self._reader.page(first, self._count)
            if not blocks:
                return None
            size = len(classic.chain_piece(_classic(blocks), first=first == 0))
            if size <= self._limits.chain_piece_bytes or len(blocks) == 1:
                break
            self._count = max(1, len(blocks) // 2)
        if size < self._limits.chain_piece_bytes // 2 and len(blocks) == self._count:
            self._count = min(_COUNT_MAX, 2 * self._count)
        return Cut(first, len(blocks), blocks[-1].hash, total + size)


class ChainStream:
    """The text of a measured chain, read while it is sent (an `outbox.Source`)."""

    def __init__(self, reader: Reader, measure: Measure) -> None:
        self._reader = reader
        self._cuts = deque(measure.cuts)
        self.size_bytes = measure.size_bytes

    @property
    def at_end(self) -> bool:
        return not self._cuts

    def read(self) -> bytes:
        """The next piece. Raises ChainChangedError after a reorg of what was measured.

        A block's hash covers its predecessor's, so where the last block of a piece is the one that was
        measured, so is everything before it.
        """
        cut = self._cuts.popleft()
        blocks = self._reader.page(cut.first, cut.count)
        if len(blocks) != cut.count or blocks[-1].hash != cut.last_hash:
            raise ChainChangedError
        is_first = cut.first == 0
        head = classic.CHAIN_HEAD if is_first else b""
        tail = classic.CHAIN_TAIL if self.at_end else b""
        return head + classic.chain_piece(_classic(blocks), first=is_first) + tail


def _classic(blocks: Sequence[AnyBlock]) -> Sequence[Block]:
    """Classic peers are let into classic networks only, which have no other blocks."""
    return cast("Sequence[Block]", blocks)
