"""Records in memory: what the store in memory (see `memory`) keeps of a sealed network beside its blocks.

Each record is stored once, at its place in the order of arrival, and exactly one of these says who holds it:

* `log`: the best chain, in the log's order;
* `pool`: nobody yet;
* `aside`: side and staged blocks only, with how many of either. When nobody does any more it is forgotten, unless it
  was erased: what was erased stays, held by nobody, so that its data does not come back.

What was once in the pool or on the chain never leaves the two again: a reorg moves it from one to the other. So only
what is aside has its holders counted.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from tallystick.chain.contracts import Known, Name, Placed
from tallystick.chain.writes import Erase
from tallystick.errors import StoreError
from tallystick.model.log import Node, node_hash
from tallystick.model.record import Record, without_data
from tallystick.model.sealed import SealedBlock


class Holders(NamedTuple):
    """How many blocks beside the best chain hold a record."""

    side: int
    staged: int


NOBODY = Holders(0, 0)


@dataclass(slots=True)
class Records:
    """The records of a ledger as a value that changes. All numbers are places, unless they say what else they are."""

    stored: dict[int, Record] = field(default_factory=dict)
    """As they are now: completed, or erased."""

    places: dict[bytes, int] = field(default_factory=dict)
    """By leaf."""

    ids: dict[str, list[int]] = field(default_factory=dict)
    """In order of arrival."""

    erased: set[int] = field(default_factory=set)
    log: list[int] = field(default_factory=list)
    positions: dict[int, int] = field(default_factory=dict)
    """Of what is in the log: its position there, from 0."""

    ends: list[int] = field(default_factory=lambda: [0])
    """Of each block of the best chain: the log's size as of this block."""

    pool: list[int] = field(default_factory=list)
    """Ascending."""

    aside: dict[int, Holders] = field(default_factory=dict)
    next_place: int = 1
    pool_bytes: int = 0
    bytes_aside: int = 0
    """Of records that side blocks hold and nobody else; those of staged blocks are not counted."""

    def copied(self) -> Records:
        """Another value of the same content."""
        return Records(
            copy(self.stored),
            copy(self.places),
            {id: copy(places) for id, places in self.ids.items()},
            copy(self.erased),
            copy(self.log),
            copy(self.positions),
            copy(self.ends),
            copy(self.pool),
            copy(self.aside),
            self.next_place,
            self.pool_bytes,
            self.bytes_aside,
        )

    # --- blocks come and go --------------------------------------------------------------------

    def enter_log(self, block: SealedBlock) -> None:
        """The block is put on the best chain. Raises StoreError when that makes no log."""
        size = len(self.log) + len(block.records)
        if block.log_size != size:
            raise StoreError(
                f"Refused to append block {block.index} {block.hash}: it says that the log has {block.log_size} "
                f"entries, and it has {size}."
            )
        for record in block.records:
            place = self._take_in(record)
            if not self._leave_pool(place) and not self._leave_aside(place):
                raise StoreError(
                    f"Refused to put block {block.index} on: it holds a record twice, or one that is on the chain."
                )
            self.positions[place] = len(self.log)
            self.log.append(place)
        self.ends.append(size)

    def rewind(self, fork: int) -> None:
        """Blocks after the index `fork` are taken off the best chain: what they hold is pending again."""
        size = self.ends[fork]
        for place in self.log[size:]:
            del self.positions[place]
            self._enter_pool(place)
        del self.log[size:], self.ends[fork + 1 :]

    def hold(self, block: SealedBlock, side: int, staged: int) -> None:
        """So many more side and staged blocks hold what this one does."""
        for place in [self._take_in(record) for record in block.records]:
            if place in self.aside:
                self._count(place, side, staged)

    def release(self, block: SealedBlock, side: int, staged: int) -> None:
        """So many fewer."""
        for record in block.records:
            place = self.places[record.leaf]
            if place in self.aside:
                self._count(place, -side, -staged)

    # --- records by themselves -----------------------------------------------------------------

    def add(self, records: Sequence[Record]) -> None:
        """They are pending from now on. Raises StoreError when one is already, or is on the chain."""
        for record in records:
            place = self._take_in(record)
            if not self._leave_aside(place):
                raise StoreError("Refused to put records into the pool: one of them is there already, or on the chain.")
            self._enter_pool(place)

    def complete(self, records: Sequence[Record]) -> None:
        """Keep the data of those that are stored without it, and were not erased here."""
        for record in records:
            if record.leaf in self.places:
                self._take_in(record)

    def erase(self, write: Erase) -> None:
        """Forget data and salt, for good."""
        for place in self.ids.get(write.id, ()):
            self.erased.add(place)
            self._change(place, without_data(self.stored[place]))

    def _take_in(self, record: Record) -> int:
        """Where a record is stored, and from now on is: aside and held by nobody, if it is new."""
        place = self.places.get(record.leaf)
        if place is None:
            place = self.next_place
            self.next_place += 1
            self.stored[place] = record
            self.places[record.leaf] = place
            self.ids.setdefault(record.id, []).append(place)
            self.aside[place] = NOBODY
        elif record.data is not None and self.stored[place].data is None and place not in self.erased:
            self._change(place, record)
        return place

    def _change(self, place: int, record: Record) -> None:
        """The same record, with more or less of its data."""
        grown = record.size_bytes - self.stored[place].size_bytes
        if self.is_pending(place):
            self.pool_bytes += grown
        elif self.aside.get(place, NOBODY).side:
            self.bytes_aside += grown
        self.stored[place] = record

    def _enter_pool(self, place: int) -> None:
        insort(self.pool, place)
        self.pool_bytes += self.stored[place].size_bytes

    def _leave_pool(self, place: int) -> bool:
        """Was it there?"""
        if not self.is_pending(place):
            return False
        del self.pool[bisect_left(self.pool, place)]
        self.pool_bytes -= self.stored[place].size_bytes
        return True

    def _leave_aside(self, place: int) -> bool:
        """Was it there?"""
        holders = self.aside.pop(place, None)
        if holders is not None and holders.side:
            self.bytes_aside -= self.stored[place].size_bytes
        return holders is not None

    def _count(self, place: int, side: int, staged: int) -> None:
        before = self.aside[place]
        after = Holders(before.side + side, before.staged + staged)
        self.bytes_aside += (bool(after.side) - bool(before.side)) * self.stored[place].size_bytes
        self.aside[place] = after
        if after == NOBODY and place not in self.erased:
            self._forget(place)

    def _forget(self, place: int) -> None:
        del self.aside[place]
        record = self.stored.pop(place)
        del self.places[record.leaf]
        self.ids[record.id].remove(place)
        if not self.ids[record.id]:
            del self.ids[record.id]

    # --- look-ups ------------------------------------------------------------------------------

    def is_pending(self, place: int) -> bool:
        """Is the record in the pool?"""
        at = bisect_left(self.pool, place)
        return at < len(self.pool) and self.pool[at] == place

    def is_hidden(self, place: int) -> bool:
        """Is the record in staged blocks only, or in none? Readers are not shown those."""
        holders = self.aside.get(place)
        return holders is not None and not holders.side

    def placed(self, place: int) -> Placed:
        """Where a record stands."""
        if place in self.positions:
            return Placed.CHAIN
        return Placed.POOL if self.is_pending(place) else Placed.ASIDE

    def block_of(self, position: int) -> int:
        """Index of the best chain's block that holds the record at this position of the log."""
        return bisect_right(self.ends, position)

    def as_stored(self, block: SealedBlock) -> SealedBlock:
        """A block with its records as they are now."""
        records = tuple([self.stored[self.places[record.leaf]] for record in block.records])
        return block if records == block.records else msgspec.structs.replace(block, records=records)

    def first_of(self, id: str, most: int) -> list[int]:
        """At most so many records of an id: those whose leaf hashes come first."""
        return sorted(self.ids.get(id, ()), key=lambda place: self.stored[place].leaf)[:most]

    def named(self, ids: Iterable[str], most: int) -> list[Known]:
        """As `View.named` has it."""
        places = [place for id in dict.fromkeys(ids) for place in self.first_of(id, most)]
        return [Known(self.stored[place], self.placed(place)) for place in places if self.aside.get(place) != NOBODY]

    def known(self, names: Iterable[Name]) -> list[Known]:
        """As `View.known` has it."""
        places = [(id, self.places.get(leaf)) for id, leaf in dict.fromkeys(names)]
        found = [place for id, place in places if place is not None and self.stored[place].id == id]
        return [Known(self.stored[place], self.placed(place)) for place in found if self.aside.get(place) != NOBODY]

    def pending_after(self, place: int, count: int) -> list[int]:
        """The places of the pool after this one, at most so many."""
        start = bisect_right(self.pool, place)
        return self.pool[start : start + max(count, 0)]

    def repeated(self, fork: int, branch: Iterable[Record]) -> str | None:
        """The id of a record that occurs twice in `branch`, or that the best chain up to the index `fork` holds."""
        seen: set[bytes] = set()
        size = self.ends[fork]
        for record in branch:
            place = self.places.get(record.leaf)
            if record.leaf in seen or (place is not None and self.positions.get(place, size) < size):
                return record.id
            seen.add(record.leaf)
        return None

    def hash_of(self, size: int, node: Node) -> bytes:
        """The hash of a perfect subtree of the log's first `size` entries, from its leaves. Raises StoreError."""
        first, last = node.index << node.level, (node.index + 1) << node.level
        if not 0 <= first < last <= size <= len(self.log):
            raise StoreError(f"Refused to hash entries {first} to {last - 1} of {size}: the log has {len(self.log)}.")
        hashes = [self.stored[place].leaf for place in self.log[first:last]]
        while len(hashes) > 1:
            hashes = [node_hash(left, right) for left, right in zip(hashes[::2], hashes[1::2], strict=True)]
        return hashes[0]
