"""The store in memory: the same contract in plain lists and dicts.

It is the naive twin of the SQLite store in tests, and the store of simulated nodes. Running and
committed state are two replicas: a batch is applied to the running one as it comes, and to the committed
one when it is committed. A batch that is dropped costs a copy, and drops are rare.

What the SQLite store maintains is looked up or computed here: tips from children, lost duties from marks, hashes of the
log from its leaves. What blocks of sealed networks hold stands in `memory_records`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from itertools import islice

from tallystick.chain.contracts import Arrival, Duty, Fork, Found, Known, Name, Passage, Placed, Shown
from tallystick.chain.writes import (
    OWN,
    AddRecords,
    AddSide,
    Append,
    Complete,
    DropStaged,
    Erase,
    ForgetBan,
    ForgetPeer,
    Mark,
    OfRecords,
    RememberBan,
    RememberPeer,
    Switch,
    Write,
)
from tallystick.errors import StoreCorruptError, StoreError
from tallystick.model.block import Block, Header, header_of
from tallystick.model.limits import LIMITS, Limits
from tallystick.model.log import Node
from tallystick.model.network import Network
from tallystick.model.record import Record
from tallystick.model.sealed import AnyBlock, SealedBlock, header_bytes_of
from tallystick.storage.memory_passages import passages_of
from tallystick.storage.memory_records import Records
from tallystick.storage.rows import size_of


@dataclass(slots=True)
class State:
    """A ledger as a value that changes: what one of the two replicas holds."""

    chain: list[AnyBlock]
    marks: dict[str, str]
    """Of marked blocks, wherever they are: hash of the block to hash of the duty's first carrier."""

    carriers: dict[str, list[str]] = field(default_factory=dict)
    """Of each duty that was ever marked: the hashes of all blocks that carry it, the first one first."""

    where: dict[str, int] = field(default_factory=dict)
    """Hash to index of the best chain's blocks."""

    side: dict[str, AnyBlock] = field(default_factory=dict)
    """Blocks beside the best chain, in order of arrival."""

    children: dict[str, int] = field(default_factory=dict)
    """How many side blocks name this hash as their parent."""

    side_bytes: int = 0
    lost: set[tuple[int, str]] = field(default_factory=set)
    """Index and hash of the first carrier."""

    staged: dict[str, AnyBlock] = field(default_factory=dict)
    """Blocks of a longer branch that is still arriving, whether or not they are side blocks as well."""

    peers: dict[str, None] = field(default_factory=dict)
    bans: dict[str, None] = field(default_factory=dict)
    records: Records = field(default_factory=Records)
    """In a classic network there is never one."""

    @classmethod
    def of(cls, genesis: AnyBlock) -> State:
        return cls(chain=[genesis], marks={}, where={genesis.hash: 0})

    def copied(self) -> State:
        """Another state of the same content; the blocks themselves are shared."""
        return State(
            copy(self.chain),
            copy(self.marks),
            {duty: copy(blocks) for duty, blocks in self.carriers.items()},
            copy(self.where),
            copy(self.side),
            copy(self.children),
            self.side_bytes,
            copy(self.lost),
            copy(self.staged),
            copy(self.peers),
            copy(self.bans),
            self.records.copied(),
        )

    @property
    def holds_records(self) -> bool:
        """Do blocks of this network hold records?"""
        return isinstance(self.chain[0], SealedBlock)

    # --- writes --------------------------------------------------------------------------------

    def apply(self, write: Write, limits: Limits) -> None:
        match write:
            case Append():
                for block, mark in zip(write.blocks, write.marks or [None] * len(write.blocks), strict=True):
                    self._append(block, mark, limits)
            case AddSide():
                self._add_side(write, limits)
            case DropStaged():
                for hash in list(self.staged):
                    self._unstage(hash)
            case Switch():
                self._switch(write, limits)
            case AddRecords() | Complete() | Erase():
                self._apply_of_records(write)
            case _:
                self._apply_of_operator(write)

    def _apply_of_records(self, write: OfRecords) -> None:
        match write:
            case AddRecords():
                if not self.holds_records:
                    raise StoreError("Refused to keep records: blocks of this network hold none.")
                self.records.add(write.records)
            case Complete():
                self.records.complete(write.records)
            case Erase():
                self.records.erase(write)

    def _apply_of_operator(self, write: Write) -> None:
        match write:
            case RememberPeer():
                self.peers.setdefault(write.address)
            case ForgetPeer():
                self.peers.pop(write.address, None)
            case RememberBan():
                self.bans.setdefault(write.subject)
            case ForgetBan():
                self.bans.pop(write.subject, None)

    def _add_side(self, write: AddSide, limits: Limits) -> None:
        for block in write.blocks:
            if block.hash in self.where or block.hash in (self.staged if write.staged else self.side):
                continue
            if not write.staged:
                self._put_aside(block, limits)
            else:
                self.staged[block.hash] = block
                self._hold(block, staged=1)

    def _append(self, block: AnyBlock, mark: Mark, limits: Limits) -> None:
        tip = self.chain[-1]
        if block.index != tip.index + 1 or block.previous_hash != tip.hash:
            raise StoreError(f"Refused to append block {block.index} {block.hash}: the tip is {tip.index} {tip.hash}.")
        self._bring(block, limits)
        if mark is not None:
            duty = block.hash if mark == OWN else mark
            self.marks[block.hash] = duty
            carriers = self.carriers.setdefault(duty, [])
            if block.hash not in carriers:
                carriers.append(block.hash)
        self._put_on(block)

    def _switch(self, write: Switch, limits: Limits) -> None:
        if write.old_tip != self.chain[-1].index or not 0 <= write.fork <= write.old_tip:
            raise StoreError(f"Refused a switch from block {write.old_tip}: the tip is {self.chain[-1].index}.")
        path: list[AnyBlock] = []
        hash = write.new_tip
        while hash != self.chain[write.fork].hash:
            block = self.aside(hash)
            if block is None:
                raise StoreCorruptError(f"Blocks of the branch to {write.new_tip} are missing.", write.fork + 1)
            path.append(block)
            hash = block.previous_hash
        detached = self.chain[write.fork + 1 :]
        del self.chain[write.fork + 1 :]
        if self.holds_records:
            self.records.rewind(write.fork)
        for block in detached:
            del self.where[block.hash]
            self._put_aside(block, limits)
        for block in reversed(path):
            self._bring(block, limits)
            self._put_on(block)

    def _bring(self, block: AnyBlock, limits: Limits) -> None:
        """A block is about to be put on the best chain: its records enter the log, and it is aside no more."""
        if isinstance(block, SealedBlock):
            self.records.enter_log(block)
        self._unstage(block.hash)
        if block.hash in self.side:
            self._drop(block.hash, limits)

    def _put_on(self, block: AnyBlock) -> None:
        self.chain.append(block)
        self.where[block.hash] = block.index
        duty = self.marks.get(block.hash)
        if duty is not None:
            self.lost = {(index, first) for index, first in self.lost if first != duty} if self.lost else self.lost

    def _put_aside(self, block: AnyBlock, limits: Limits) -> None:
        self.side[block.hash] = block
        self.children[block.previous_hash] = self.children.get(block.previous_hash, 0) + 1
        duty = self.marks.get(block.hash)
        if duty is None:
            self.side_bytes += _row_bytes(block) + limits.side_block_bytes
        else:
            self.lost.add((self._first_index(duty), duty))
        self._hold(block, side=1)

    def _first_index(self, duty: str) -> int:
        return self.side[duty].index if duty in self.side else self.where[duty]

    def _drop(self, hash: str, limits: Limits) -> None:
        """Remove a side block."""
        block = self.side.pop(hash)
        self._release(block, side=1)
        self.children[block.previous_hash] -= 1
        if not self.children[block.previous_hash]:
            del self.children[block.previous_hash]
        if hash not in self.marks:
            self.side_bytes -= _row_bytes(block) + limits.side_block_bytes

    def _unstage(self, hash: str) -> None:
        block = self.staged.pop(hash, None)
        if block is not None:
            self._release(block, staged=1)

    def _hold(self, block: AnyBlock, *, side: int = 0, staged: int = 0) -> None:
        if isinstance(block, SealedBlock):
            self.records.hold(block, side, staged)

    def _release(self, block: AnyBlock, *, side: int = 0, staged: int = 0) -> None:
        if isinstance(block, SealedBlock):
            self.records.release(block, side, staged)

    def evict(self, limits: Limits) -> None:
        """Drop the oldest unmarked side blocks until the rest, with the records that only side blocks hold, is within
        the limit."""
        while self.side_bytes + self.records.bytes_aside > limits.side_bytes:
            self._drop(next(hash for hash in self.side if hash not in self.marks), limits)

    # --- look-ups ------------------------------------------------------------------------------

    def as_stored(self, block: AnyBlock) -> AnyBlock:
        """A block as it is read back: its records may have been completed or erased since it came."""
        return self.records.as_stored(block) if isinstance(block, SealedBlock) else block

    def page(self, first: int, count: int, size_bytes: int) -> Sequence[AnyBlock]:
        """Blocks of the best chain, as `View.blocks` and `Reader.page` owe them."""
        first = max(first, 0)
        blocks = [self.as_stored(block) for block in self.chain[first : first + max(count, 0)]]
        return blocks[: _that_fit((_read_bytes(block) for block in blocks), size_bytes)]

    def aside(self, hash: str) -> AnyBlock | None:
        """The block of that hash, if it is kept beside the best chain, staged or not."""
        return self.side.get(hash) or self.staged.get(hash)

    def tips(self) -> Iterator[AnyBlock]:
        """Side blocks without a side child, the latest first."""
        return (block for block in reversed(self.side.values()) if block.hash not in self.children)

    def found(self, block: AnyBlock) -> Found:
        carriers = self.carriers.get(self.marks.get(block.hash, ""), ())
        again = next((hash for hash in carriers if hash in self.where), None)
        return Found(self.as_stored(block), orphaned=True, mined_again_as=again)

    def downwards(self, tip: AnyBlock) -> Iterator[AnyBlock]:
        """The side blocks of a branch, from its tip."""
        block: AnyBlock | None = tip
        while block is not None:
            yield block
            block = self.side.get(block.previous_hash)

    def repeats(self, fork: int, parent: str, records: Sequence[Record]) -> str | None:
        """As `View.repeats` has it."""
        branch = list(records)
        block = self.aside(parent)
        while isinstance(block, SealedBlock) and block.index > fork:
            branch += block.records
            block = self.aside(block.previous_hash)
        return self.records.repeated(fork, branch) if branch else None

    def shown(self, place: int) -> Shown:
        """The record at a place, as readers see it."""
        record, position = self.records.stored[place], self.records.positions.get(place)
        block = None if position is None else header_of(self.chain[self.records.block_of(position)])
        return Shown(record, place, block, position, self.records.placed(place))


class MemoryStore:
    """A `Store` that forgets everything when it is closed. `reader` shows what is committed."""

    def __init__(self, network: Network, limits: Limits = LIMITS) -> None:
        self._limits = limits
        self._running = State.of(network.genesis)
        self._batch: list[Write] = []
        self.committed = State.of(network.genesis)

    def begin(self) -> None:
        self._batch = []

    def apply(self, write: Write) -> None:
        self._batch.append(write)
        self._running.apply(write, self._limits)

    def commit(self) -> None:
        for write in self._batch:
            self.committed.apply(write, self._limits)
        self._running.evict(self._limits)
        self.committed.evict(self._limits)
        self._batch = []

    def rollback(self) -> None:
        if self._batch:
            self._running = self.committed.copied()
            self._batch = []

    def headers(self, first: int, count: int) -> Sequence[Header]:
        first = max(first, 0)
        return [header_of(block) for block in self._running.chain[first : first + max(count, 0)]]

    def blocks(self, first: int, count: int, size_bytes: int) -> Sequence[AnyBlock]:
        return self._running.page(first, count, size_bytes)

    def header_bytes(self, first: int, count: int) -> Sequence[bytes]:
        first = max(first, 0)
        blocks = self._running.chain[first : first + max(count, 0)]
        return [header_bytes_of(block) for block in blocks if isinstance(block, SealedBlock)]

    def side(self, hash: str) -> Header | None:
        block = self._running.aside(hash)
        return None if block is None else header_of(block)

    def named(self, ids: Sequence[str]) -> Sequence[Known]:
        return self._running.records.named(ids, self._limits.records_per_id)

    def known(self, names: Sequence[Name]) -> Sequence[Known]:
        return self._running.records.known(names)

    def placed(self, names: Sequence[Name]) -> Mapping[bytes, Placed]:
        return {known.record.leaf: known.placed for known in self.known(names)}

    def pool(self, after: int, count: int, size_bytes: int) -> tuple[Sequence[Record], int]:
        kept = self._running.records
        places = kept.pending_after(after, count)
        places = places[: _that_fit((kept.stored[place].size_bytes for place in places), size_bytes)]
        return [kept.stored[place] for place in places], places[-1] if places else after

    def pool_size(self) -> tuple[int, int]:
        kept = self._running.records
        return len(kept.pool), kept.pool_bytes + len(kept.pool) * self._limits.pool_record_bytes

    def repeats(self, fork: int, parent: str, records: Sequence[Record]) -> str | None:
        return self._running.repeats(fork, parent, records)

    def lost(self, count: int) -> Sequence[Duty]:
        duties = [Duty(hash, _text(self._running.side[hash])) for _, hash in sorted(self._running.lost)[:count]]
        return duties[: _that_fit((size_of(duty.data) for duty in duties), self._limits.page_bytes)]

    def peers(self) -> Sequence[str]:
        return list(self._running.peers)

    def bans(self) -> Sequence[str]:
        return list(self._running.bans)

    def close(self) -> None:
        """Nothing to release."""


class MemoryReader:
    """A `Reader` of a MemoryStore."""

    def __init__(self, store: MemoryStore, limits: Limits = LIMITS) -> None:
        self._store = store
        self._limits = limits

    @property
    def _state(self) -> State:
        return self._store.committed

    def tip(self) -> Header:
        return header_of(self._state.chain[-1])

    def header(self, index: int) -> Header | None:
        block = self.block(index)
        return None if block is None else header_of(block)

    def header_bytes(self, index: int) -> bytes | None:
        block = self.block(index)
        return header_bytes_of(block) if isinstance(block, SealedBlock) else None

    def aside(self, hash: str) -> Header | None:
        block = self._state.side.get(hash)
        return None if block is None else header_of(block)

    def block(self, index: int) -> AnyBlock | None:
        state = self._state
        return state.as_stored(state.chain[index]) if 0 <= index < len(state.chain) else None

    def page(self, first: int, count: int) -> Sequence[AnyBlock]:
        return self._state.page(first, count, self._limits.page_bytes)

    def find(self, hash: str) -> Found | None:
        state = self._state
        if hash in state.where:
            return Found(state.as_stored(state.chain[state.where[hash]]), orphaned=False, mined_again_as=None)
        return state.found(state.side[hash]) if hash in state.side else None

    def forks(self, count: int) -> Sequence[Fork]:
        state, room = self._state, self._limits.page_bytes
        forks: list[Fork] = []
        for tip in state.tips():
            if len(forks) >= min(count, self._limits.fork_blocks):
                break
            blocks = []
            *_, last = state.downwards(tip)
            for block in islice(state.downwards(tip), self._limits.fork_blocks):
                found = state.found(block)
                room -= _read_bytes(found.block)
                if room < 0:
                    break
                blocks.append(found)
            room = max(room, 0)
            at = state.where.get(last.previous_hash)
            forks.append(Fork(None if at is None else header_of(state.chain[at]), header_of(tip), blocks))
        return forks

    def records_of(self, id: str) -> Sequence[Shown]:
        state = self._state
        places = sorted(state.records.first_of(id, self._limits.records_per_page))
        return [state.shown(place) for place in places if not state.records.is_hidden(place)]

    def records(self, after: int, count: int) -> Sequence[Shown]:
        state, after = self._state, max(after, 0)
        shown = [state.shown(place) for place in state.records.log[after : after + max(count, 0)]]
        return shown[: _that_fit((each.record.size_bytes for each in shown), self._limits.page_bytes)]

    def passages(self, before: int, count: int, characters: int) -> Sequence[Passage]:
        return passages_of(self._state, before, count, characters)

    def arrivals(self, after: int, count: int) -> Sequence[Arrival]:
        kept = self._state.records
        places = sorted(place for place in kept.stored if place > after)[: max(count, 0)]
        return [
            Arrival(at, kept.stored[at].id, kept.stored[at].leaf, None if kept.is_hidden(at) else kept.placed(at))
            for at in places
        ]

    def newest_place(self) -> int:
        return max(self._state.records.stored, default=0)

    def hashes(self, size: int, nodes: Sequence[Node]) -> Sequence[bytes]:
        return [self._state.records.hash_of(size, node) for node in nodes]

    def close(self) -> None:
        """Nothing to release."""


def _text(block: AnyBlock) -> str:
    assert isinstance(block, Block)  # noqa: S101 - only blocks of one text are marked
    return block.data


def _row_bytes(block: AnyBlock) -> int:
    """What a side block counts by itself; records count as long as anybody beside the chain holds them."""
    return size_of(block.data) if isinstance(block, Block) else 0


def _read_bytes(block: AnyBlock) -> int:
    """What a block that is read counts."""
    return size_of(block.data) if isinstance(block, Block) else block.size_bytes


def _that_fit(sizes: Iterator[int], size_bytes: int) -> int | None:
    """How many of the first sizes come to no more than `size_bytes`, but one at least; None when all do."""
    for number, size in enumerate(sizes):
        size_bytes -= size
        if number and size_bytes < 0:
            return number
    return None
