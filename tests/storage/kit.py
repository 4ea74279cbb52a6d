"""Blocks to store, two stores to hold against each other, and a third opinion computed from scratch."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from tallystick.chain.contracts import Duty, Passage, Reader, Store
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
from tallystick.model.block import Block, Header, block_hash, header_of
from tallystick.model.limits import LIMITS, Limits
from tallystick.model.network import CLASSIC, CLASSIC_GENESIS
from tallystick.model.sealed import AnyBlock
from tallystick.sim.host import LeanDisk
from tallystick.storage.memory import MemoryReader, MemoryStore
from tallystick.storage.opening import open_store

GENESIS = CLASSIC_GENESIS
TIME = 1_700_000_000

IN_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - for `tempfile`, which picks the name
"""Where files cost no disk, if there is such a place."""

SMALL = replace(
    LIMITS, view_page=3, side_bytes=2_000, side_block_bytes=100, page_bytes=300, fork_blocks=5, index_batch=4
)
"""Limits small enough that a few blocks meet all of them."""

WIDE = replace(SMALL, side_bytes=10**9, page_bytes=10**9, fork_blocks=10**6)
"""Pages are small, nothing is dropped or cut."""


def classic(block: AnyBlock) -> Block:
    """A block of the network that these are about."""
    assert isinstance(block, Block)
    return block


def child(parent: Block, data: str = "", timestamp: int = TIME) -> Block:
    index = parent.index + 1
    return Block(data, block_hash(index, parent.hash, timestamp, data), index, parent.hash, timestamp)


def branch(parent: Block, *texts: str) -> list[Block]:
    """A block for each text, each the child of the one before."""
    blocks = []
    for text in texts:
        parent = child(parent, text)
        blocks.append(parent)
    return blocks


def switch(old_tip: AnyBlock, fork: AnyBlock, new_tip: AnyBlock) -> Switch:
    return Switch(fork.index, old_tip.index, new_tip.hash, new_tip.index)


def commit(store: Store, *writes: Write) -> None:
    store.begin()
    for write in writes:
        store.apply(write)
    store.commit()


@contextmanager
def on_disk(path: Path, limits: Limits = WIDE) -> Iterator[tuple[Store, Reader]]:
    store, reader = open_store(path, CLASSIC, limits)
    try:
        yield store, reader
    finally:
        reader.close()
        store.close()


@contextmanager
def in_memory(limits: Limits = WIDE) -> Iterator[tuple[Store, Reader]]:
    store = MemoryStore(CLASSIC, limits)
    yield store, MemoryReader(store, limits)


@contextmanager
def lean_in_memory(limits: Limits = WIDE) -> Iterator[tuple[Store, Reader]]:
    """The store of simulated machines by the thousand."""
    store = LeanDisk(CLASSIC, limits, {})
    yield store, MemoryReader(store, limits)


# --- the third opinion -----------------------------------------------------------------------------


@dataclass
class Twin:
    """The ledger as its definition has it: every block there ever was, and where each is. Maintains nothing."""

    limits: Limits
    best: list[str] = field(default_factory=lambda: [GENESIS.hash])
    aside: list[str] = field(default_factory=list)
    """In order of arrival."""

    staged: set[str] = field(default_factory=set)
    duty_of: dict[str, str] = field(default_factory=dict)
    peers: list[str] = field(default_factory=list)
    bans: list[str] = field(default_factory=list)
    blocks: dict[str, Block] = field(default_factory=lambda: {GENESIS.hash: GENESIS})

    def copied(self) -> Twin:
        return Twin(
            self.limits,
            list(self.best),
            list(self.aside),
            set(self.staged),
            dict(self.duty_of),
            list(self.peers),
            list(self.bans),
            dict(self.blocks),
        )

    def reopened(self) -> Twin:
        """What is there after the store was closed and opened again."""
        twin = self.copied()
        twin.staged = set()
        return twin

    @property
    def tip(self) -> Block:
        return self.blocks[self.best[-1]]

    def apply(self, write: Write) -> None:  # noqa: PLR0912 - one match over all writes
        match write:
            case Append(blocks, marks):
                for block, mark in zip(blocks, marks or [None] * len(blocks), strict=True):
                    self._append(classic(block), mark)
            case AddSide(blocks, staged):
                for block in map(classic, blocks):
                    self.blocks[block.hash] = block
                    if staged and block.hash not in self.best:
                        self.staged.add(block.hash)
                    elif block.hash not in self.best + self.aside:
                        self.aside.append(block.hash)
            case DropStaged():
                self.staged = set()
            case Switch(fork, _, new_tip, _):
                path = self.path_to(new_tip)
                assert path is not None
                left = self.best[fork + 1 :]
                self.best[fork + 1 :] = path
                self.aside = [hash for hash in self.aside if hash not in path] + left
                self.staged -= set(path)
            case RememberPeer(address):
                if address not in self.peers:
                    self.peers.append(address)
            case ForgetPeer(address):
                self.peers = [peer for peer in self.peers if peer != address]
            case RememberBan(subject):
                if subject not in self.bans:
                    self.bans.append(subject)
            case ForgetBan(subject):
                self.bans = [ban for ban in self.bans if ban != subject]

    def _append(self, block: Block, mark: Mark) -> None:
        self.blocks[block.hash] = block
        if block.hash in self.aside:
            self.aside.remove(block.hash)
        self.staged.discard(block.hash)
        self.best.append(block.hash)
        if mark is not None:
            self.duty_of[block.hash] = block.hash if mark == OWN else mark

    def commit(self) -> None:
        def cost(hash: str) -> int:
            return len(self.blocks[hash].data.encode()) + self.limits.side_block_bytes

        foreign = [hash for hash in self.aside if hash not in self.duty_of]
        while sum(map(cost, foreign)) > self.limits.side_bytes:
            self.aside.remove(foreign.pop(0))

    def path_to(self, hash: str, *, shown: bool = False) -> list[str] | None:
        """The side blocks from the best chain up to `hash`, staged ones too unless only those that readers are
        `shown` count; None when one of them is missing."""
        path: list[str] = []
        while hash not in self.best:
            if hash not in self.aside and (shown or hash not in self.staged):
                return None
            path.insert(0, hash)
            hash = self.blocks[hash].previous_hash
        return path

    def chain(self) -> list[Block]:
        return [self.blocks[hash] for hash in self.best]

    def lost(self) -> list[Duty]:
        carried = {self.duty_of.get(hash) for hash in self.best}
        owed = {self.duty_of[hash] for hash in self.aside if hash in self.duty_of} - carried
        first = sorted((self.blocks[hash].index, hash) for hash in owed)
        return [Duty(hash, self.blocks[hash].data) for _, hash in first]

    def mined_again_as(self, hash: str) -> str | None:
        duty = self.duty_of.get(hash)
        again = [other for other in self.best if duty is not None and self.duty_of.get(other) == duty]
        return again[0] if again else None

    def tips(self) -> list[str]:
        parents = {self.blocks[hash].previous_hash for hash in self.aside}
        return [hash for hash in reversed(self.aside) if hash not in parents]

    def true_fork(self, hash: str) -> Block:
        """The last block that a branch shares with the best chain, by the knowledge of all blocks there ever were."""
        while hash not in self.best:
            hash = self.blocks[hash].previous_hash
        return self.blocks[hash]


def check_view(store: Store, twin: Twin) -> None:
    """The view of a store shows what the twin holds."""
    assert list(store.headers(0, 10**6)) == [header_of(block) for block in twin.chain()]
    assert list(store.blocks(0, 10**6, 10**9)) == twin.chain()
    assert list(store.lost(10**6)) == that_fit(twin.lost(), twin.limits)
    for hash, block in twin.blocks.items():
        kept = hash in twin.aside or hash in twin.staged
        assert store.side(hash) == (header_of(block) if kept else None)
    assert (list(store.peers()), list(store.bans())) == (twin.peers, twin.bans)


def check_reader(reader: Reader, twin: Twin) -> None:
    """A reader shows what the twin holds."""
    assert reader.tip() == header_of(twin.tip)
    assert read_all(reader) == twin.chain()
    for hash, block in twin.blocks.items():
        found = reader.find(hash)
        if hash in twin.best:
            assert found == (block, False, None)
        elif hash in twin.aside:
            assert found == (block, True, twin.mined_again_as(hash))
        else:
            assert found is None
        assert reader.aside(hash) == (header_of(block) if hash in twin.aside else None)
    check_forks(reader, twin)
    check_passages(
        reader, [Passage(each.index, each.hash, each.timestamp, None, None, each.data) for each in twin.chain()]
    )


def check_passages(reader: Reader, pieces: Sequence[Passage]) -> None:
    """Read from the newest down, in stretches of any size, each piece of the best chain is there once."""
    for count, characters in ((10**6, 10**9), (3, 10**9), (10**6, 100), (2, 1)):
        found: list[Passage] = []
        while page := reader.passages(found[-1].place if found else 10**18, count, characters):
            sizes = [len(each.text or "") for each in page]
            assert len(page) <= count
            assert sum(sizes[:-1]) < characters, "it ends with the one that reaches the bound"
            found += page
            assert len(page) == count or sum(sizes) >= characters or len(found) == len(pieces)
        assert found == list(pieces)[::-1]
    middle = len(pieces) // 2
    assert list(reader.passages(middle, 2, 10**9)) == list(pieces)[:middle][::-1][:2]
    assert list(reader.passages(0, 9, 9)) == list(reader.passages(-1, 9, 9)) == list(reader.passages(9, 0, 9)) == []


def check_forks(reader: Reader, twin: Twin) -> None:
    tips = twin.tips()[: twin.limits.fork_blocks]
    forks = reader.forks(10**6)
    assert [fork.tip.hash for fork in forks] == tips
    room = twin.limits.page_bytes
    for fork, tip in zip(forks, tips, strict=True):
        whole = twin.path_to(tip, shown=True) is not None
        fork_of: Header = header_of(twin.true_fork(tip))
        assert fork.fork == fork_of or (fork.fork is None and not whole)
        expected: list[object] = []
        hash = tip
        while hash in twin.aside and len(expected) < twin.limits.fork_blocks:
            room -= len(twin.blocks[hash].data.encode())
            if room < 0:
                room = 0
                break
            expected.append((twin.blocks[hash], True, twin.mined_again_as(hash)))
            hash = twin.blocks[hash].previous_hash
        assert list(fork.blocks) == expected


def that_fit(duties: Sequence[Duty], limits: Limits) -> list[Duty]:
    room = limits.page_bytes
    fit: list[Duty] = []
    for duty in duties:
        room -= len(duty.data.encode())
        if fit and room < 0:
            break
        fit.append(duty)
    return fit


def read_all(reader: Reader) -> list[Block]:
    blocks: list[Block] = []
    while page := reader.page(len(blocks), 3):
        blocks.extend(map(classic, page))
    return blocks
