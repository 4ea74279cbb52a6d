"""Two stores of a sealed network to hold against each other, and a third opinion computed from scratch.

Blocks are made by `sealed_blocks`; `Twin` says by definition what a store of them has to show.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import pairwise

import msgspec

from tallystick.chain.contracts import Arrival, Found, Known, Passage, Placed, Reader, Shown, Store
from tallystick.chain.writes import AddRecords, AddSide, Append, Complete, DropStaged, Erase, Switch, Write
from tallystick.model.limits import Limits
from tallystick.model.log import Node
from tallystick.model.record import Record, without_data
from tallystick.model.sealed import SealedBlock, header_bytes_of
from tallystick.sim.host import LeanDisk
from tallystick.storage.memory import MemoryReader, MemoryStore
from tests.storage.kit import SMALL, WIDE, check_passages
from tests.storage.sealed_blocks import GENESIS, NETWORK

EVERYTHING = 10**6

COUNTED = replace(
    SMALL,
    side_block_bytes=10**6,
    side_bytes=4 * 10**6 + 10**5,
    page_bytes=600,
    records_per_id=2,
    records_per_page=3,
)
"""Limits by which four blocks are kept beside the chain, whatever they hold (what a row takes, only its store knows),
and few records are shown of one id."""

LARGE_BYTES = 40_000
WEIGHED = replace(SMALL, side_block_bytes=100, side_bytes=4 * LARGE_BYTES - 1_000, page_bytes=600)
"""Limits by which three large records are kept beside the chain, whatever rows and small records take."""


@contextmanager
def sealed_in_memory(limits: Limits = WIDE) -> Iterator[tuple[Store, Reader]]:
    store = MemoryStore(NETWORK, limits)
    yield store, MemoryReader(store, limits)


@contextmanager
def sealed_lean_in_memory(limits: Limits = WIDE) -> Iterator[tuple[Store, Reader]]:
    """The store of simulated machines by the thousand."""
    store = LeanDisk(NETWORK, limits, {})
    yield store, MemoryReader(store, limits)


def sealed(block: object) -> SealedBlock:
    """A block of the network that these are about."""
    assert isinstance(block, SealedBlock)
    return block


def pending(store: Store) -> list[Record]:
    return list(store.pool(0, EVERYTHING, 10**9)[0])


def log(reader: Reader) -> list[Record]:
    return [shown.record for shown in reader.records(0, EVERYTHING)]


def placed(reader: Reader, *names: str) -> list[Placed]:
    return [shown.placed for name in names for shown in reader.records_of(name)]


def root(leaves: Sequence[bytes]) -> bytes:
    """The Merkle tree hash, word for word as RFC 6962, section 2.1, has it."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return sha256(b"\1" + root(leaves[:k]) + root(leaves[k:])).digest()


def perfect(size: int) -> list[Node]:
    """All perfect subtrees of a log of so many entries."""
    return [Node(level, index) for level in range(size.bit_length()) for index in range(size >> level)]


# --- the third opinion -----------------------------------------------------------------------------


@dataclass
class Twin:
    """The ledger as its definition has it: every block there ever was, where each is, and what came of which record."""

    limits: Limits
    best: list[str] = field(default_factory=lambda: [GENESIS.hash])
    aside: list[str] = field(default_factory=list)
    """In order of arrival."""

    staged: list[str] = field(default_factory=list)
    blocks: dict[str, SealedBlock] = field(default_factory=lambda: {GENESIS.hash: GENESIS})
    entrusted: set[bytes] = field(default_factory=set)
    """Leaves of records that were ever in the pool or on the best chain: from then on they are in one of the two."""

    copies: dict[bytes, Record] = field(default_factory=dict)
    """What is stored of each record, by leaf."""

    arrived: dict[bytes, int] = field(default_factory=dict)
    """When it came, counted over all arrivals there ever were."""

    erased: set[bytes] = field(default_factory=set)
    arrivals: int = 0

    def copied(self) -> Twin:
        return Twin(
            self.limits,
            list(self.best),
            list(self.aside),
            list(self.staged),
            dict(self.blocks),
            set(self.entrusted),
            dict(self.copies),
            dict(self.arrived),
            set(self.erased),
            self.arrivals,
        )

    def reopened(self) -> Twin:
        """What is there after the store was closed and opened again."""
        twin = self.copied()
        twin.apply(DropStaged())
        return twin

    # --- writes --------------------------------------------------------------------------------

    def apply(self, write: Write) -> None:
        match write:
            case Append(blocks):
                for block in map(sealed, blocks):
                    self._arrive(block)
                    self._put_on([block.hash])
            case AddSide(blocks, staged):
                for block in map(sealed, blocks):
                    self._add_side(block, staged=staged)
            case DropStaged():
                self.staged = []
            case Switch(fork, _, new_tip, _):
                path = self.path_to(new_tip)
                assert path is not None
                left = self.best[fork + 1 :]
                del self.best[fork + 1 :]
                self._put_on(path)
                self.aside += left
            case AddRecords(records):
                self._take_in(records)
                self.entrusted |= {record.leaf for record in records}
            case Complete(records):
                for record in records:
                    copy = self.copies.get(record.leaf)
                    if copy is not None and copy.data is None and record.leaf not in self.erased:
                        self.copies[record.leaf] = record
            case Erase(id):
                for leaf in self.of_id(id):
                    self.copies[leaf] = without_data(self.copies[leaf])
                    self.erased.add(leaf)
        self._forget()

    def _add_side(self, block: SealedBlock, *, staged: bool) -> None:
        kept = self.staged if staged else self.aside
        if block.hash not in self.best + kept:
            self._arrive(block)
            kept.append(block.hash)

    def _put_on(self, path: Sequence[str]) -> None:
        self.best += path
        self.aside = [hash for hash in self.aside if hash not in path]
        self.staged = [hash for hash in self.staged if hash not in path]
        self.entrusted |= {leaf for hash in path for leaf in self.leaves(hash)}

    def _arrive(self, block: SealedBlock) -> None:
        self.blocks[block.hash] = block
        self._take_in(block.records)

    def _take_in(self, records: Sequence[Record]) -> None:
        for record in records:
            if record.leaf not in self.copies:
                self.copies[record.leaf] = record
                self.arrivals += 1
                self.arrived[record.leaf] = self.arrivals
            elif self.copies[record.leaf].data is None and record.leaf not in self.erased:
                self.copies[record.leaf] = record

    def _forget(self) -> None:
        """What nobody holds is gone, except that what was erased is known, should it come again."""
        held = self.entrusted.union(*map(self.leaves, [*self.aside, *self.staged]))
        for leaf in self.copies.keys() - held - self.erased:
            del self.copies[leaf], self.arrived[leaf]

    def commit(self) -> None:
        def cost() -> int:
            held = set[bytes]().union(*map(self.leaves, self.aside)) - self.entrusted
            return len(self.aside) * self.limits.side_block_bytes + sum(self.copies[leaf].size_bytes for leaf in held)

        while cost() > self.limits.side_bytes:
            del self.aside[0]
        self._forget()

    # --- what follows from it ------------------------------------------------------------------

    @property
    def tip(self) -> SealedBlock:
        return self.blocks[self.best[-1]]

    def leaves(self, hash: str) -> list[bytes]:
        return [record.leaf for record in self.blocks[hash].records]

    def branch(self, hash: str) -> list[str]:
        """All blocks up to this one, genesis last, by the knowledge of all there ever were."""
        hashes = [hash]
        while hashes[-1] != GENESIS.hash:
            hashes.append(self.blocks[hashes[-1]].previous_hash)
        return hashes

    def of_id(self, id: str) -> list[bytes]:
        """The records of that id that are stored, whether or not anybody holds them."""
        return [leaf for leaf, record in self.copies.items() if record.id == id]

    def in_branch(self, hash: str) -> set[bytes]:
        """What the log as of this block holds."""
        return {leaf for each in self.branch(hash) for leaf in self.leaves(each)}

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

    def true_fork(self, hash: str) -> SealedBlock:
        """The last block that a branch shares with the best chain."""
        return next(self.blocks[each] for each in self.branch(hash) if each in self.best)

    def shown(self, hash: str) -> SealedBlock:
        """A block as it is read back."""
        records = tuple(self.copies[leaf] for leaf in self.leaves(hash))
        return msgspec.structs.replace(self.blocks[hash], records=records)

    def chain(self) -> list[SealedBlock]:
        return [self.shown(hash) for hash in self.best]

    def log(self) -> list[bytes]:
        return [leaf for hash in self.best for leaf in self.leaves(hash)]

    def pool(self) -> list[Record]:
        pending = self.entrusted - set(self.log())
        return [self.copies[leaf] for leaf in sorted(pending, key=self.arrived.__getitem__)]

    def placed(self, leaf: bytes, *, shown: bool = False) -> Placed | None:
        """Where a record stands; None when nobody (readers are `shown`) has it."""
        if leaf in self.log():
            return Placed.CHAIN
        if leaf in self.entrusted:
            return Placed.POOL
        beside = self.aside if shown else [*self.aside, *self.staged]
        return Placed.ASIDE if any(leaf in self.leaves(hash) for hash in beside) else None

    def tips(self) -> list[str]:
        parents = {self.blocks[hash].previous_hash for hash in self.aside}
        return [hash for hash in reversed(self.aside) if hash not in parents]


# --- held against it -------------------------------------------------------------------------------


def check_view(store: Store, twin: Twin, ids: Sequence[str]) -> None:
    """The view of a store shows what the twin holds; of records, those of `ids`."""
    chain = twin.chain()
    assert list(store.headers(0, EVERYTHING)) == [block.header for block in chain]
    assert list(store.blocks(0, EVERYTHING, 10**9)) == chain
    assert [sha256(header).hexdigest() for header in store.header_bytes(0, EVERYTHING)] == twin.best
    assert list(store.header_bytes(1, 2)) == [header_bytes_of(block) for block in chain[1:3]]
    for hash, block in twin.blocks.items():
        kept = hash in twin.aside or hash in twin.staged
        assert store.side(hash) == (block.header if kept else None)
    check_names(store, twin, ids)
    check_pool(store, twin)
    for hash in [*twin.aside, *twin.staged]:
        check_repeats(store, twin, hash, ())


def check_names(store: Store, twin: Twin, ids: Sequence[str]) -> None:
    """What is asked for by name is found, however many share its id; of ids, no more than may be."""
    known = [Known(record, placed) for leaf, record in twin.copies.items() if (placed := twin.placed(leaf))]
    names = [(record.id, leaf) for block in twin.blocks.values() for leaf, record in _by_leaf(block)]
    names += [(record.id, leaf) for leaf, record in twin.copies.items()]
    wrong = [(id, leaf) for (id, _), (_, leaf) in pairwise(names) if (id, leaf) not in names]
    assert sorted(store.known([*names, *wrong]), key=_by_entry) == sorted(known, key=_by_entry)
    assert store.placed([*names, *wrong]) == {each.record.leaf: each.placed for each in known}
    most = twin.limits.records_per_id
    found = store.named(ids)
    assert sorted(found, key=_by_entry) == sorted((each for each in found if each in known), key=_by_entry)
    for id in ids:
        of_id = [each for each in found if each.record.id == id]
        assert len(of_id) <= most
        assert len(of_id) == len([each for each in known if each.record.id == id]) or len(twin.of_id(id)) > most


def _by_leaf(block: SealedBlock) -> list[tuple[bytes, Record]]:
    return [(record.leaf, record) for record in block.records]


def _by_entry(known: Known) -> bytes:
    return known.record.entry


def check_pool(store: Store, twin: Twin) -> None:
    pending = twin.pool()
    size = sum(record.size_bytes + twin.limits.pool_record_bytes for record in pending)
    assert store.pool_size() == (len(pending), size)
    records, last = store.pool(0, EVERYTHING, 10**9)
    assert list(records) == pending
    assert store.pool(last, EVERYTHING, 10**9) == ([], last)
    paged: list[Record] = []
    after = 0
    while page := store.pool(after, 3, 300):
        records, after = page
        if not records:
            break
        assert len(records) == 1 or sum(record.size_bytes for record in records) <= 300
        paged += records
    assert paged == pending


def check_repeats(store: Store, twin: Twin, parent: str, records: Sequence[Record]) -> None:
    path = twin.path_to(parent)
    if path is None:
        return
    fork = twin.true_fork(parent).index
    new = [leaf for hash in path for leaf in twin.leaves(hash)] + [record.leaf for record in records]
    before = {leaf for hash in twin.best[: fork + 1] for leaf in twin.leaves(hash)}
    names = {record.leaf: record.id for record in (*records, *twin.copies.values())}
    twice = {names[leaf] for leaf, count in Counter(new).items() if count > 1 or leaf in before}
    repeated = store.repeats(fork, parent, records)
    assert repeated in twice if twice else repeated is None


def check_reader(reader: Reader, twin: Twin, ids: Sequence[str]) -> None:
    """A reader shows what the twin holds; of records, those of `ids`."""
    chain = twin.chain()
    assert reader.tip() == twin.tip.header
    assert [reader.header(block.index) for block in chain] == [block.header for block in chain]
    assert [reader.block(block.index) for block in chain] == chain
    assert reader.header(len(chain)) is None
    blocks: list[object] = []
    while page := reader.page(len(blocks), 3):
        blocks += page
    assert blocks == chain
    for hash in twin.blocks:
        if hash in twin.best:
            assert reader.find(hash) == Found(twin.shown(hash), orphaned=False, mined_again_as=None)
        elif hash in twin.aside:
            assert reader.find(hash) == Found(twin.shown(hash), orphaned=True, mined_again_as=None)
        else:
            assert reader.find(hash) is None
        assert reader.aside(hash) == (twin.blocks[hash].header if hash in twin.aside else None)
    check_arrivals(reader, twin)
    check_forks(reader, twin)
    check_log(reader, twin)
    check_records(reader, twin, ids)


def check_forks(reader: Reader, twin: Twin) -> None:
    tips = twin.tips()[: twin.limits.fork_blocks]
    forks = reader.forks(EVERYTHING)
    assert [fork.tip for fork in forks] == [twin.blocks[tip].header for tip in tips]
    room = twin.limits.page_bytes
    for fork, tip in zip(forks, tips, strict=True):
        whole = twin.path_to(tip, shown=True) is not None
        assert fork.fork == twin.true_fork(tip).header or (fork.fork is None and not whole)
        expected: list[Found] = []
        for hash in twin.branch(tip):
            if hash not in twin.aside or len(expected) == twin.limits.fork_blocks:
                break
            room -= twin.shown(hash).size_bytes
            if room < 0:
                room = 0
                break
            expected.append(Found(twin.shown(hash), orphaned=True, mined_again_as=None))
        assert list(fork.blocks) == expected


def check_log(reader: Reader, twin: Twin) -> None:
    """The log is that of the chain's blocks, as shown and as hashed, as of every block."""
    shown: list[Shown] = []
    while page := reader.records(len(shown), 3):
        assert len(page) == 1 or sum(each.record.size_bytes for each in page) <= twin.limits.page_bytes
        shown += page
    homes = [block.header for block in twin.chain() for _ in block.records]
    leaves = twin.log()
    assert [(each.record, each.block, each.position, each.placed) for each in shown] == [
        (twin.copies[leaf], home, position, Placed.CHAIN)
        for position, (leaf, home) in enumerate(zip(leaves, homes, strict=True))
    ]
    copies = [(twin.copies[leaf], home) for leaf, home in zip(leaves, homes, strict=True)]
    check_passages(
        reader,
        [
            Passage(
                home.index, home.hash, home.timestamp, each.id, at, None if each.data is None else each.data.decode()
            )
            for at, (each, home) in enumerate(copies)
        ],
    )
    for hash in twin.best:
        block = twin.blocks[hash]
        assert block.log_root == root(leaves[: block.log_size])
    for size in {len(leaves), len(leaves) // 2}:
        nodes = perfect(size)
        expected = [root(leaves[node.index << node.level : (node.index + 1) << node.level]) for node in nodes]
        assert list(reader.hashes(size, nodes)) == expected


def check_records(reader: Reader, twin: Twin, ids: Sequence[str]) -> None:
    """Every record is shown once, where it stands, and in the order in which records came."""
    log, most = twin.log(), twin.limits.records_per_page
    for id in ids:
        found = reader.records_of(id)
        expected = [
            (twin.copies[leaf], log.index(leaf) if leaf in log else None, placed)
            for leaf in sorted(twin.of_id(id), key=twin.arrived.__getitem__)
            if (placed := twin.placed(leaf, shown=True))
        ]
        shown = [(each.record, each.position, each.placed) for each in found]
        assert [each for each in expected if each in shown] == shown
        assert len(shown) <= most
        assert shown == expected or len(twin.of_id(id)) > most
        assert [each.place for each in found] == sorted({each.place for each in found})
        assert all((each.block is None) == (each.position is None) for each in found)
        assert not found or found[0].place >= 1


def check_arrivals(reader: Reader, twin: Twin) -> None:
    """All records that are stored come in the order in which they came, and say where they stand."""
    arrived: list[Arrival] = []
    while page := reader.arrivals(arrived[-1].place if arrived else 0, 3):
        arrived += page
    assert [each[1:] for each in arrived] == [
        (twin.copies[leaf].id, leaf, twin.placed(leaf, shown=True) or None)
        for leaf in sorted(twin.arrived, key=twin.arrived.__getitem__)
    ]
    assert reader.newest_place() == (arrived[-1].place if arrived else 0)


def check_promise(store: Store, posted: Collection[bytes]) -> None:
    """Whatever was put into the pool is exactly once on the best chain, or exactly once in the pool."""
    sealed_ones = [record.leaf for block in store.blocks(0, EVERYTHING, 10**9) for record in sealed(block).records]
    pending = [record.leaf for record in store.pool(0, EVERYTHING, 10**9)[0]]
    counts = Counter(sealed_ones + pending)
    assert [leaf for leaf in posted if counts[leaf] != 1] == []
