"""The store in memory: the same contract in plain lists and dicts.

It is the naive twin of the SQLite store in tests, and the store of simulated nodes. Running and
committed state are two replicas: a batch is applied to the running one as it comes, and to the committed
one when it is committed. A batch that is dropped costs a copy, and drops are rare.

What the SQLite store maintains is looked up or computed here: tips from children, lost duties from marks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field
from itertools import islice

from tallystick.chain.contracts import Duty, Fork, Found
from tallystick.chain.writes import (
    OWN,
    AddSide,
    Append,
    DropStaged,
    ForgetBan,
    ForgetPeer,
    Mark,
    RememberBan,
    RememberPeer,
    Switch,
    Write,
)
from tallystick.errors import StoreCorruptError, StoreError
from tallystick.model.block import Block, Header, header_of
from tallystick.model.limits import LIMITS, Limits
from tallystick.model.network import Network
from tallystick.storage.rows import size_of


@dataclass(slots=True)
class State:
    """A ledger as a value that changes: what one of the two replicas holds."""

    chain: list[Block]
    marks: dict[str, str]
    """Of marked blocks, wherever they are: hash of the block to hash of the duty's first carrier."""

    carriers: dict[str, list[str]] = field(default_factory=dict)
    """Of each duty that was ever marked: the hashes of all blocks that carry it, the first one first."""

    where: dict[str, int] = field(default_factory=dict)
    """Hash to index of the best chain's blocks."""

    side: dict[str, Block] = field(default_factory=dict)
    """Blocks beside the best chain, in order of arrival."""

    children: dict[str, int] = field(default_factory=dict)
    """How many side blocks name this hash as their parent."""

    side_bytes: int = 0
    lost: set[tuple[int, str]] = field(default_factory=set)
    """Index and hash of the first carrier."""

    staged: dict[str, Block] = field(default_factory=dict)
    """Blocks of a longer branch that is still arriving; in none of the above."""

    peers: dict[str, None] = field(default_factory=dict)
    bans: dict[str, None] = field(default_factory=dict)

    @classmethod
    def of(cls, genesis: Block) -> State:
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
        )

    # --- writes --------------------------------------------------------------------------------

    def apply(self, write: Write, limits: Limits) -> None:
        match write:
            case Append():
                for block, mark in zip(write.blocks, write.marks or [None] * len(write.blocks), strict=True):
                    self._append(block, mark, limits)
            case AddSide():
                self._add_side(write, limits)
            case DropStaged():
                self.staged.clear()
            case Switch():
                self._switch(write, limits)
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
            if block.hash in self.side or block.hash in self.where:
                continue
            if write.staged:
                self.staged[block.hash] = block
            else:
                self.staged.pop(block.hash, None)
                self._put_aside(block, limits)

    def _append(self, block: Block, mark: Mark, limits: Limits) -> None:
        tip = self.chain[-1]
        if block.index != tip.index + 1 or block.previous_hash != tip.hash:
            raise StoreError(f"Refused to append block {block.index} {block.hash}: the tip is {tip.index} {tip.hash}.")
        self._take(block.hash, limits)
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
        path: list[Block] = []
        hash = write.new_tip
        while hash != self.chain[write.fork].hash:
            block = self.aside(hash)
            if block is None:
                raise StoreCorruptError(f"Blocks of the branch to {write.new_tip} are missing.", write.fork + 1)
            path.append(block)
            hash = block.previous_hash
        detached = self.chain[write.fork + 1 :]
        del self.chain[write.fork + 1 :]
        for block in detached:
            del self.where[block.hash]
            self._put_aside(block, limits)
        for block in reversed(path):
            self._take(block.hash, limits)
            self._put_on(block)

    def _put_on(self, block: Block) -> None:
        self.chain.append(block)
        self.where[block.hash] = block.index
        duty = self.marks.get(block.hash)
        if duty is not None:
            self.lost = {(index, first) for index, first in self.lost if first != duty} if self.lost else self.lost

    def _put_aside(self, block: Block, limits: Limits) -> None:
        self.side[block.hash] = block
        self.children[block.previous_hash] = self.children.get(block.previous_hash, 0) + 1
        duty = self.marks.get(block.hash)
        if duty is None:
            self.side_bytes += size_of(block.data) + limits.side_block_bytes
        else:
            self.lost.add((self._first_index(duty), duty))

    def _first_index(self, duty: str) -> int:
        return self.side[duty].index if duty in self.side else self.where[duty]

    def _take(self, hash: str, limits: Limits) -> None:
        """Remove a block that is not on the best chain, wherever it is kept."""
        self.staged.pop(hash, None)
        block = self.side.pop(hash, None)
        if block is None:
            return
        self.children[block.previous_hash] -= 1
        if not self.children[block.previous_hash]:
            del self.children[block.previous_hash]
        if hash not in self.marks:
            self.side_bytes -= size_of(block.data) + limits.side_block_bytes

    def evict(self, limits: Limits) -> None:
        """Drop the oldest unmarked side blocks until the rest is within the limit."""
        while self.side_bytes > limits.side_bytes:
            self._take(next(hash for hash in self.side if hash not in self.marks), limits)

    # --- look-ups ------------------------------------------------------------------------------

    def aside(self, hash: str) -> Block | None:
        """The block of that hash, if it is kept beside the best chain, staged or not."""
        return self.side.get(hash) or self.staged.get(hash)

    def tips(self) -> Iterator[Block]:
        """Side blocks without a side child, the latest first."""
        return (block for block in reversed(self.side.values()) if block.hash not in self.children)

    def found(self, block: Block) -> Found:
        carriers = self.carriers.get(self.marks.get(block.hash, ""), ())
        return Found(block, orphaned=True, mined_again_as=next((hash for hash in carriers if hash in self.where), None))

    def downwards(self, tip: Block) -> Iterator[Block]:
        """The side blocks of a branch, from its tip."""
        block: Block | None = tip
        while block is not None:
            yield block
            block = self.side.get(block.previous_hash)


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

    def blocks(self, first: int, count: int, size_bytes: int) -> Sequence[Block]:
        return _page(self._running, first, count, size_bytes)

    def side(self, hash: str) -> Header | None:
        block = self._running.aside(hash)
        return None if block is None else header_of(block)

    def lost(self, count: int) -> Sequence[Duty]:
        duties = [Duty(hash, self._running.side[hash].data) for _, hash in sorted(self._running.lost)[:count]]
        return duties[: _that_fit((duty.data for duty in duties), self._limits.page_bytes)]

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

    def block(self, index: int) -> Block | None:
        return self._state.chain[index] if 0 <= index < len(self._state.chain) else None

    def page(self, first: int, count: int) -> Sequence[Block]:
        return _page(self._state, first, count, self._limits.page_bytes)

    def find(self, hash: str) -> Found | None:
        state = self._state
        if hash in state.where:
            return Found(state.chain[state.where[hash]], orphaned=False, mined_again_as=None)
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
                room -= size_of(block.data)
                if room < 0:
                    break
                blocks.append(state.found(block))
            room = max(room, 0)
            at = state.where.get(last.previous_hash)
            forks.append(Fork(None if at is None else header_of(state.chain[at]), header_of(tip), blocks))
        return forks

    def close(self) -> None:
        """Nothing to release."""


def _page(state: State, first: int, count: int, size_bytes: int) -> Sequence[Block]:
    """Blocks of the best chain, as `View.blocks` and `Reader.page` owe them."""
    first = max(first, 0)
    blocks = state.chain[first : first + max(count, 0)]
    return blocks[: _that_fit((block.data for block in blocks), size_bytes)]


def _that_fit(texts: Iterator[str], size_bytes: int) -> int | None:
    """How many of the first texts come to no more than `size_bytes`, but one at least; None when all do."""
    for number, text in enumerate(texts):
        size_bytes -= size_of(text)
        if number and size_bytes < 0:
            return number
    return None
