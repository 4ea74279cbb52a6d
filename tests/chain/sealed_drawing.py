"""Drawings of chains that hold records: a block is written as its name and the ids of its records, "b2 r1 r7"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Self

from tallystick.chain.contracts import Draft, Past, Unchecked, View
from tallystick.chain.writes import AddRecords, Write
from tallystick.consensus.work import WorkEngine
from tallystick.model.block import Header, header_of
from tallystick.model.limits import Limits
from tallystick.model.network import EASIEST_BITS, Kind, Network, SealedRules, sealed_network
from tallystick.model.sealed import AnyBlock, SealedBlock
from tallystick.storage.memory import MemoryStore
from tests.chain.drawing import NOW_MS, Forks
from tests.storage.sealed_blocks import record

SPACING_MS = 1_000
RULES = SealedRules(spacing_ms=SPACING_MS, half_life_ms=250, bits=EASIEST_BITS)
"""A quarter of a second ahead of the schedule and a block takes twice the work: drawings need few blocks that way."""

STEADY = SealedRules(spacing_ms=SPACING_MS, half_life_ms=1 << 50, bits=EASIEST_BITS)
"""Each block takes two hashes, whenever it is found."""

ALL = 10**6


def network(rules: SealedRules) -> Network:
    return sealed_network(Kind.WORK, "drawn", rules, NOW_MS)


def sealed(block: AnyBlock) -> SealedBlock:
    """A block of the network that these are about."""
    assert isinstance(block, SealedBlock)
    return block


def found(draft: Draft, first: int = 0) -> SealedBlock:
    """The block of a draft, with the first nonce that seals it."""
    return next(sealed(block) for nonce in count(first) if (block := draft.sealed(nonce)) is not None)


def past_among(blocks: Mapping[str, SealedBlock]) -> Past:
    """What is before a block, given all of them by hash."""

    def past(header: Header, count: int) -> list[Header]:
        headers = [header]
        while len(headers) < count and headers[-1].index:
            headers.append(header_of(blocks[headers[-1].previous_hash]))
        return headers[::-1]

    return past


class SealedDrawing(Forks[SealedBlock]):
    """A chain of work over the store in memory. Blocks are dated `SPACING_MS` apart unless said otherwise."""

    now_ms = NOW_MS + 10**9

    def __init__(self, limits: Limits | None = None, max_reorg: int | None = None, rules: SealedRules = STEADY) -> None:
        network_ = network(rules)
        engine = WorkEngine(network_)
        super().__init__(engine, sealed(network_.genesis), limits, max_reorg)
        self.store = MemoryStore(network_, self.limits)
        self.by_hash = {network_.id: sealed(network_.genesis)}
        self._drawn = 0

    @property
    def view(self) -> View:
        return self.store

    def draws(self, *names: str, on: str, after_ms: int = SPACING_MS) -> list[SealedBlock]:
        """Make blocks of somebody else, dated `after_ms` after the one before."""
        drawn = []
        for each in names:
            name, *ids = each.split()
            parent = header_of(self.named[on])
            self._drawn += 1
            draft = self.engine.draft(
                parent, [record(id) for id in ids], past_among(self.by_hash), parent.timestamp + after_ms
            )
            block = found(draft, self._drawn << 32)  # so that blocks of the same content are not the same
            self.named[name] = self.by_hash[block.hash] = block
            drawn.append(block)
            on = name
        return drawn

    def mines(self, name: str) -> Self:
        """Seal what is pending, as far as it fits, on the tip."""
        pending, _ = self.store.pool(0, *self.engine.room())
        draft = self.chain.draft(pending, self.view, self.chain.tip.timestamp + SPACING_MS)
        self.named[name] = found(draft, 1 << 63)
        self.by_hash[self.named[name].hash] = self.named[name]
        self._apply(self.chain.take_sealed(self.named[name]))
        return self

    def posts(self, *ids: str) -> Self:
        self._write([AddRecords([record(id) for id in ids])])
        return self

    def expects_pending(self, *ids: str) -> Self:
        assert [each.id for each in self.store.pool(0, ALL, ALL)[0]] == list(ids)
        return self

    def expects_logged(self, *ids: str) -> Self:
        assert [each.id for block in self._best() for each in block.records] == list(ids)
        return self

    def _claimed(self, block: SealedBlock) -> Unchecked:
        return self.engine.read(self.engine.whole(block))

    def _best(self) -> Sequence[SealedBlock]:
        return [sealed(block) for block in self.store.blocks(0, ALL, ALL)]

    def _everything(self) -> object:
        return self.store.committed.copied()

    def _write(self, writes: Sequence[Write]) -> None:
        self.store.begin()
        for write in writes:
            self.store.apply(write)
        self.store.commit()
