"""What a node tells as it happens (`GET /events`): a type for each kind of event, and their stream read byte by byte.

    id: 1072-0a4f...e1-all-on-20411
    event: block
    data: {"index":1071,"hash":"0a4f...e1","previous_hash":"...","timestamp":1764150000000,"records":500}

The format is that of server-sent events (HTML standard, section 9.2.6), as much of it as a node sends. Whoever answers
may be something else than a node: a line and an event have a greatest length, an id has to be one that can be sent
back, and what an event says has to be of its type. Types that are not known are left out, as fields and members are: a
newer node may tell more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from tallystick.client.answers import BlockHeader, Count, Moment
from tallystick.client.errors import Unreadable
from tallystick.client.requests import decoded
from tallystick.errors import shown
from tallystick.model.limits import MIB

EVENT_BYTES_MAX: Final = MIB
"""Of a line, and of what one event says. The longest is a reorg: a hundred blocks of some two hundred bytes each."""

_ID: Final = re.compile(rb"[!-~]{1,256}")
"""What an id may be: it is sent back as a header. A node's is half as long at most."""

_LINE_END: Final = re.compile(rb"\r\n|\n|\r(?!\Z)")
"""Whether a CR at the end of what has arrived ends a line alone is seen when more arrives."""

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class Event(msgspec.Struct, frozen=True, kw_only=True, rename={"id": "last_event_id"}):
    """Something that happened."""

    id: str | None = None
    """A place in the node's story: give it for `after`, and the story goes on right behind this event. It means nothing
    to other nodes. Peers have no place in the story; their events carry that of the event before, or None."""


class BlockAdded(Event, frozen=True, kw_only=True):
    """A block is on the best chain now."""

    index: Count
    hash: str
    previous_hash: str
    timestamp: Moment
    records: Count | None = None
    """How many it holds; None in a classic network."""


class RecordMoved(Event, frozen=True, kw_only=True, rename={"id": "last_event_id", "record_id": "id"}):
    """A record came to the node, or into a block, or its block has left the chain."""

    record_id: str
    leaf: str
    """Its hash in the log."""

    status: Literal["pending", "included"]
    block: BlockHeader | None = None
    """Which holds it, once it is included."""

    position: Count | None = None
    """In the log, from 0, likewise."""

    def __post_init__(self) -> None:
        if (self.status == "included") is (self.block is None or self.position is None):
            raise ValueError("a record is either pending or at a position of a block")


class Reorg(Event, frozen=True, kw_only=True):
    """Blocks have left the best chain. Their records are pending again, one event each, and the new blocks follow."""

    fork: BlockHeader
    """The last block that stays."""

    removed: list[BlockHeader]
    """The last one first."""


class Reset(Event, frozen=True, kw_only=True):
    """What was told before has left the chain, too long ago to tell how. Read the chain anew, up to this block: the
    last one. The story goes on behind it. Comes whatever types were asked for."""

    index: Count
    hash: str
    timestamp: Moment


class PeerChanged(Event, frozen=True, kw_only=True):
    """A connection to a peer is there, or no longer. Each connection to the node begins with those that are there."""

    address: str
    state: Literal["connected", "gone"]
    dialled: str | None = None
    dialect: str | None = None


KINDS: Final[dict[str, type[Event]]] = {
    "block": BlockAdded,
    "record": RecordMoved,
    "reorg": Reorg,
    "reset": Reset,
    "peer": PeerChanged,
}
"""What the node calls them."""

NAMES: Final = {kind: name for name, kind in KINDS.items()}


def is_id(text: str) -> bool:
    """Can this be the id of an event?"""
    return text.isascii() and _ID.fullmatch(text.encode()) is not None


def is_event_stream(kind: str) -> bool:
    """Does an answer with this Content-Type tell events?"""
    return kind.partition(";")[0].strip().lower() == "text/event-stream"


@dataclass(frozen=True, slots=True)
class Message:
    """An event as it was sent."""

    kind: str
    data: bytes
    id: str | None
    """Of the last event that had one, this one included."""


def read(message: Message) -> Event | None:
    """What a message says; None when its type is not known. Raises Unreadable."""
    kind = KINDS.get(message.kind)
    return None if kind is None else msgspec.structs.replace(decoded(message.data, kind), id=message.id)


class EventStream:
    """The bytes of one answer, cut into messages. They may come in pieces of any size."""

    def __init__(self, last_id: str | None = None) -> None:
        self.last_id = last_id
        """Where to go on when the connection is lost: what is complete counts, and nothing behind it."""

        self.is_alive = False
        """Did anything come that a node sends while nothing goes wrong: an event, or a comment in a long silence?"""

        self.has_begun = False
        """Did any line come?"""

        self._rest = bytearray()
        self._searched = 0
        self._is_first = True
        self._id = last_id
        self._kind = b""
        self._data: list[bytes] = []
        self._data_bytes = 0

    def add(self, part: bytes) -> Iterator[Message]:
        """What is complete with these bytes, one by one. Raises Unreadable."""
        self._rest += part
        begin = 0
        while (end := _LINE_END.search(self._rest, max(begin, self._searched))) is not None:
            line = bytes(self._rest[begin : end.start()])
            begin = self._searched = end.end()
            if (message := self._read(line)) is not None:
                yield message
        del self._rest[:begin]
        self._searched = max(0, len(self._rest) - 1)  # the last byte may be a CR, of which more is to be seen
        self._bounded(len(self._rest))

    def _read(self, line: bytes) -> Message | None:
        """One line: a field of an event, or the end of it."""
        self._bounded(len(line))
        if self._is_first:
            line = line.removeprefix(_BYTE_ORDER_MARK)
            self._is_first = False
        self.has_begun = True
        if not line:
            return self._ended()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        match name:
            case b"":
                self.is_alive = True
            case b"event":
                self._kind = value
            case b"id":
                self._id = _checked_id(value)
            case b"data":
                self._data.append(value)
                self._data_bytes += len(value) + 1
                self._bounded(self._data_bytes)
        return None  # `retry` is for those who have no pauses of their own

    def _ended(self) -> Message | None:
        """An empty line: what was said so far is an event, if it says anything."""
        data, kind = self._data, self._kind
        self._data, self._kind, self._data_bytes = [], b"", 0
        self.last_id = self._id
        if not data:
            return None
        self.is_alive = True
        return Message(kind.decode(errors="replace"), b"\n".join(data), self.last_id)

    @staticmethod
    def _bounded(size_bytes: int) -> None:
        if size_bytes > EVENT_BYTES_MAX:
            raise Unreadable(f"an event, or a line of it, is longer than {EVENT_BYTES_MAX} bytes")


def _checked_id(value: bytes) -> str:
    if not _ID.fullmatch(value):
        raise Unreadable(f"{shown(value.decode(errors='replace'), 80)} is no id of an event")
    return value.decode()
