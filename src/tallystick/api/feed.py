"""What happened to the ledger, told from any place on: the story behind `GET /events`.

Nothing is kept for those who listen. A *cursor* says what somebody was told last: a block, how many of its records, and
which arrivals. Whatever the ledger holds now, what comes next follows from the two. So there is no buffer that could
run over, a reader who is slow is simply told later, and whoever comes back with the cursor of the last event, even
after the node was started anew, goes on where he was: no event is missing, and none is told twice.

If the cursor's block has left the best chain, the story goes back first: a `reorg` says which blocks left, their
records are pending again, one by one, last first, and from the fork on it goes forward. Where the node does not have
the blocks any more that left, or they are more than `Limits.fork_blocks`, there is a `reset`: read the chain anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Final

from tallystick.api.answers import encode
from tallystick.api.views import header_view
from tallystick.chain.contracts import Placed, Reader
from tallystick.errors import StoreCorruptError
from tallystick.model.block import INDEX_MAX, Header
from tallystick.model.limits import Limits
from tallystick.model.record import Record
from tallystick.model.sealed import SealedBlock, SealedHeader

BLOCK, RECORD, REORG, RESET = "block", "record", "reorg", "reset"
KINDS: Final = frozenset({BLOCK, RECORD, REORG, RESET})

_CURSOR: Final = re.compile(r"([0-9]{1,16})-([0-9a-f]{64})-([0-9]{1,10}|all)-([0-9]{1,16}|on)-([0-9]{1,19})")
_BEFORE_ALL: Final = "0" * 64
"""The hash of a cursor that was told of no block."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """What was told last."""

    after: int
    """Blocks that were told: those before this index."""

    hash: str
    """Of the last of them."""

    told: int | None = None
    """How many of its records were told; None: all."""

    back_to: int | None = None
    """The story goes back, until the last block that was told is the one at this index."""

    place: int = 0
    """Records that arrived up to this place were told of."""

    def __str__(self) -> str:
        told = "all" if self.told is None else self.told
        back_to = "on" if self.back_to is None else self.back_to
        return f"{self.after}-{self.hash}-{told}-{back_to}-{self.place}"

    @classmethod
    def read(cls, text: str) -> Cursor | None:
        """The reverse; None when it is none."""
        parts = _CURSOR.fullmatch(text)
        if parts is None or int(parts[5]) > INDEX_MAX:
            return None
        after, told, back_to = int(parts[1]), parts[3], parts[4]
        return cls(
            after,
            parts[2],
            None if told == "all" else int(told),
            None if back_to == "on" else int(back_to),
            int(parts[5]),
        )

    @property
    def index(self) -> int:
        """Of the last block that was told; -1 before the first."""
        return self.after - 1


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened."""

    kind: str
    data: bytes
    """JSON, in one line."""

    cursor: Cursor
    """Who was told this was told all up to here."""


class Feed:
    """The story, for one listener."""

    def __init__(self, reader: Reader, limits: Limits, cursor: Cursor, kinds: frozenset[str]) -> None:
        """`kinds` are told; `reset` always is."""
        self._reader = reader
        self._limits = limits
        self._kinds = kinds
        self.cursor = cursor
        """What all events so far come to."""

        self.is_over = False
        """Was everything told that had happened, when `some` was called last?"""

    def some(self) -> Sequence[Event]:
        """What comes next, at most `Limits.events_at_once`. Raises StoreError."""
        events: list[Event] = []
        self.is_over = False
        for event in self._story():
            self.cursor = event.cursor
            if event.kind in self._kinds or event.kind == RESET:
                events.append(event)
        return events

    # --- the story -----------------------------------------------------------------------------

    def _story(self) -> Iterator[Event]:
        """Event by event. `self.cursor` is where it stands, and moved by whoever takes them."""
        return islice(chain.from_iterable(iter(self._chapter, None)), self._limits.events_at_once)

    def _chapter(self) -> Iterator[Event] | None:
        """What comes next of one kind; None at the end."""
        cursor = self.cursor
        if cursor.back_to is not None:
            return self._back(cursor, cursor.back_to)
        if not self._is_on_chain(cursor):
            return iter([self._turn(cursor)])
        if RECORD in self._kinds and cursor.place < self._reader.newest_place():
            return self._arrived(cursor)
        if cursor.told is not None:
            return self._included(cursor, cursor.told)
        if (header := self._reader.header(cursor.after)) is not None:
            return iter([self._block(cursor, header)])
        self.is_over = True
        return None

    def _is_on_chain(self, cursor: Cursor) -> bool:
        header = self._reader.header(cursor.index) if cursor.index >= 0 else None
        return cursor.index < 0 or (header is not None and header.hash == cursor.hash)

    def _block(self, cursor: Cursor, header: Header) -> Event:
        """A block was added. If it has records, these come next."""
        count = self._records_in(header)
        told = 0 if count and RECORD in self._kinds else None
        shown = {**_members(header), "records": count}
        return Event(BLOCK, encode(shown), replace(cursor, after=header.index + 1, hash=header.hash, told=told))

    def _records_in(self, header: Header) -> int | None:
        """How many records a block of the best chain holds; None in networks without records."""
        if not isinstance(header, SealedHeader):
            return None
        before = self._reader.header(header.index - 1)
        return header.log_size - (before.log_size if isinstance(before, SealedHeader) else 0)

    def _included(self, cursor: Cursor, told: int) -> Iterator[Event]:
        """Records of the last block, from the one on that was not told."""
        header = self._reader.header(cursor.index)
        count = 0 if header is None else self._records_in(header) or 0
        if not isinstance(header, SealedHeader) or told >= count:
            yield Event("", b"", replace(cursor, told=None))
            return
        first = header.log_size - count
        shown = self._reader.records(first + told, min(count - told, self._limits.events_at_once))
        if not shown:
            raise StoreCorruptError(f"The records of block {cursor.index} are missing from the log. Run verify.")
        for number, each in enumerate(shown, told + 1):
            data = _included(each.record, header, first + number - 1)
            yield Event(RECORD, data, replace(cursor, told=None if number == count else number))

    def _arrived(self, cursor: Cursor) -> Iterator[Event]:
        """Records that came since, before the blocks that hold them by now. What is beside the chain only is told once
        the chain has it."""
        for place, id, leaf, placed in self._reader.arrivals(cursor.place, self._limits.events_at_once):
            here = placed in {Placed.POOL, Placed.CHAIN}
            yield Event(RECORD if here else "", _pending(id, leaf) if here else b"", replace(cursor, place=place))

    # --- back ----------------------------------------------------------------------------------

    def _turn(self, cursor: Cursor) -> Event:
        """The last block that was told has left the chain: which ones did?"""
        removed: list[dict[str, object]] = []
        hash = cursor.hash
        while len(removed) < self._limits.fork_blocks and (header := self._reader.aside(hash)) is not None:
            removed.append(_members(header))
            hash = header.previous_hash
            fork = self._reader.header(header.index - 1)
            if fork is not None and fork.hash == hash:
                data = encode({"fork": _members(fork), "removed": removed})
                if RECORD in self._kinds and isinstance(fork, SealedHeader):
                    return Event(REORG, data, replace(cursor, back_to=fork.index))
                return Event(REORG, data, Cursor(fork.index + 1, fork.hash, place=cursor.place))
        tip = self._reader.tip()
        return Event(RESET, encode(_members(tip)), now(self._reader))

    def _back(self, cursor: Cursor, back_to: int) -> Iterator[Event]:
        """Records of the last block that was told are pending again; then it counts as not told."""
        found = self._reader.find(cursor.hash) if cursor.index > back_to else None
        if found is None or not isinstance(found.block, SealedBlock):
            yield Event("", b"", replace(cursor, back_to=None))  # there, or the way is lost: look anew
            return
        records = found.block.records[: cursor.told]
        for left in range(len(records) - 1, -1, -1):
            yield Event(RECORD, _pending(records[left].id, records[left].leaf), replace(cursor, told=left))
        parent = Cursor(found.block.index, found.block.previous_hash, None, back_to, cursor.place)
        yield Event("", b"", parent if parent.index > back_to else replace(parent, back_to=None))


def now(reader: Reader) -> Cursor:
    """Nothing is told of what has happened so far."""
    tip = reader.tip()
    return Cursor(tip.index + 1, tip.hash, place=reader.newest_place())


def since(reader: Reader, index: int) -> Cursor | None:
    """Everything is told from the block at `index` on, that one included; None when the chain is too short."""
    if index == 0:
        return Cursor(0, _BEFORE_ALL)
    before = reader.header(index - 1)
    return None if before is None else Cursor(index, before.hash)


def _members(header: Header) -> dict[str, object]:
    return {name: getattr(header_view(header), name) for name in ("index", "hash", "previous_hash", "timestamp")}


def _pending(id: str, leaf: bytes) -> bytes:
    return encode({"id": id, "leaf": leaf.hex(), "status": Placed.POOL, "block": None, "position": None})


def _included(record: Record, header: Header, position: int) -> bytes:
    block = {"index": header.index, "hash": header.hash, "timestamp": header.timestamp}
    told = {"id": record.id, "leaf": record.leaf.hex(), "status": Placed.CHAIN, "block": block, "position": position}
    return encode(told)
