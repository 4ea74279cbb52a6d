"""What the answers of a node are made of, as much of it as anybody relies on.

A node of another version, or something that is none, may send anything: types and bounds here are what programs and
the commands of the terminal rely on, and an answer that does not keep to them is refused (`requests.decoded`). Keys
that are not known are ignored.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Final

import msgspec

from tallystick.model.block import INDEX_MAX, TIMESTAMP_MAX

Count = Annotated[int, msgspec.Meta(ge=0, le=INDEX_MAX)]
Moment = Annotated[int, msgspec.Meta(ge=0, le=TIMESTAMP_MAX * 1_000 + 999)]
"""When a block was made: seconds in a classic network, milliseconds in others (`terminal.date`)."""

Rate = Annotated[float, msgspec.Meta(ge=0, le=INDEX_MAX)]
"""Numbers as a node sends them; others could not be shown as sizes and dates."""

Difficulty = Annotated[float, msgspec.Meta(ge=0)]


PREVIEWED: Final = 8
"""Records of a block that are looked at for a line of a table."""


class Record(msgspec.Struct, frozen=True):
    """A record as it stands in a block."""

    id: str
    commit: str = ""
    salt: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"")
    """Any JSON value."""

    erased: bool = False

    @property
    def value(self) -> Any:  # noqa: ANN401 - any JSON value
        """What it holds, decoded. None too when it was erased, so look at `erased` where that can be."""
        return None if self.erased else msgspec.json.decode(bytes(self.data))

    @property
    def text(self) -> str:
        """What it holds, for people: a string as it is, other values in JSON."""
        if self.erased:
            return "(erased)"
        raw = bytes(self.data)
        return msgspec.json.decode(raw, type=str) if raw.startswith(b'"') else raw.decode(errors="replace")


class Tip(msgspec.Struct, frozen=True):
    """Index and hash of a block."""

    index: Count
    hash: str


class BlockHeader(msgspec.Struct, frozen=True):
    """A block without what it holds."""

    index: Count
    hash: str
    timestamp: Moment


class StoredRecord(Record, frozen=True, kw_only=True):
    """A record, and where it stands."""

    status: str
    """`pending`, `included`, or `aside`: only in blocks that a better branch removed."""

    block: BlockHeader | None = None
    position: Count | None = None
    """In the log, from 0."""

    confirmations: Count | None = None
    """Blocks from its own to the last one, both counted; None while it is in none."""

    proof: msgspec.Raw = msgspec.Raw(b"")
    """A document of its own (`model.proof`); there is none before it is in a block."""


class Receipt(msgspec.Struct, frozen=True):
    """A record that is safe on a node's disk."""

    id: str
    commit: str
    status: str
    """`pending`; `included` when the same record was posted before, and is in a block by now."""


class Posted(msgspec.Struct, frozen=True):
    """What became of records that were posted, in their order. A node answers with as many as there were."""

    records: Annotated[list[Receipt], msgspec.Meta(min_length=1)]

    @property
    def only(self) -> Receipt:
        """Of one that was posted alone."""
        return self.records[0]


class Done(msgspec.Struct, frozen=True):
    """What was asked for is done, and durable."""

    status: bool

    def __post_init__(self) -> None:
        if self.status is not True:
            raise ValueError("it does not say that it was done")


class Records(msgspec.Struct, frozen=True):
    """All records of an id. A node that has none says so otherwise."""

    records: Annotated[list[StoredRecord], msgspec.Meta(min_length=1)]


class Block(msgspec.Struct, frozen=True):
    """A block as the API shows it: a classic one holds `data`, a sealed one `records`."""

    hash: str
    index: Count
    previous_hash: str
    timestamp: Moment
    data: str | None = None
    records: list[Record] | None = None
    log_size: Count = 0
    log_root: str = ""
    body_hash: str = ""
    seal: str = ""
    orphaned: bool = False
    mined_again_as: str | None = None

    def __post_init__(self) -> None:
        if (self.data is None) is (self.records is None):
            raise ValueError("a block holds either data or records")

    @property
    def preview(self) -> str:
        """The beginning of what it holds, for a line of a table."""
        return self.data or "" if self.records is None else " | ".join(each.text for each in self.records[:PREVIEWED])

    @property
    def size_bytes(self) -> int:
        """Bytes of what it holds."""
        return len((self.data or "").encode()) + sum(len(bytes(record.data)) for record in self.records or ())


class Match(msgspec.Struct, frozen=True):
    """Where a text was found."""

    block: BlockHeader
    excerpt: str
    """Up to 160 characters around it."""

    id: str | None = None
    position: Count | None = None
    """Of the record, and its place in the log; None in a classic network."""

    @property
    def place(self) -> int:
        """What a search that goes on below this one counts in: the position, or else the block's index."""
        return self.block.index if self.position is None else self.position


class Matches(msgspec.Struct, frozen=True):
    """What was found in one stretch of the ledger."""

    matches: list[Match]
    """Newest first."""

    before: Count | None
    """Where to go on; None when nothing is left."""

    searched: Count
    """Blocks or records that were looked through."""

    def is_below(self, before: int | None) -> bool:
        """Does it go on below that place, ever further down? Else whoever follows it may walk in a circle."""
        places = [] if before is None else [before]
        places += [each.place for each in self.matches]
        if self.before is not None:
            places.append(self.before - bool(self.matches))  # the last match is looked at already
        return all(lower < upper for upper, lower in pairwise(places))


class Fork(msgspec.Struct, frozen=True):
    """A branch beside the best chain, its blocks from the tip downwards."""

    fork: BlockHeader | None
    tip: BlockHeader
    blocks: list[Block]


class Peer(msgspec.Struct, frozen=True):
    """A connection, or an address the node keeps dialling."""

    address: str
    direction: str
    state: str
    dialled: str | None = None
    dialect: str | None = None
    agent: str | None = None
    key: str | None = None
    connected_ms: Count | None = None
    tip: Tip | None = None
    latency_ms: Count | None = None
    received_bytes: Count | None = None
    sent_bytes: Count | None = None
    last_error: str | None = None

    @property
    def connected(self) -> bool:
        """Is it more than an address?"""
        return self.state == "connected"


class Sync(msgspec.Struct, frozen=True):
    """How far the node is in fetching a chain that is ahead of its own."""

    index: Count
    target: Count
    blocks_per_second: Rate
    remaining_ms: Count | None
    peers: Count


class Pool(msgspec.Struct, frozen=True):
    """Records that are in no block yet."""

    records: Count
    bytes: Count
    most_bytes: Count


class Mining(msgspec.Struct, frozen=True):
    """How blocks are found, and whether this node looks for them."""

    difficulty: Difficulty
    expected_hashes: Difficulty
    is_mining: bool
    hashes_per_second: Difficulty | None = None
    expected_ms: Difficulty | None = None


class Ban(msgspec.Struct, frozen=True):
    """A node key or numeric address that is kept out; for ever when `remaining_ms` is None."""

    subject: str
    manual: bool
    remaining_ms: Count | None


class DroppedPeer(msgspec.Struct, frozen=True):
    """A peer that broke a rule."""

    address: str = ""
    rule: str = ""
    detail: str = ""


class Network(msgspec.Struct, frozen=True):
    """The network a node is part of."""

    kind: str
    name: str
    id: str


class Status(msgspec.Struct, frozen=True):
    """`GET /status`, as much of it as people are shown."""

    version: str
    network: Network
    tip: BlockHeader
    uptime_ms: Count
    peers: list[Peer]
    dropped: list[DroppedPeer]
    lost_duties: bool
    data_bytes: Count | None
    key: str | None = None
    sync: Sync | None = None
    addresses: Count = 0
    pool: Pool | None = None
    mining: Mining | None = None
    """None in networks without a pool, or where nothing has to be found."""

    @property
    def connected(self) -> list[Peer]:
        """The open connections."""
        return [peer for peer in self.peers if peer.connected]

    @property
    def is_synced(self) -> bool:
        """Is the node at the tip of its peers? Of a node that has none, or none that told its tip, nobody knows."""
        tips = [peer.tip.index for peer in self.connected if peer.tip is not None]
        return self.sync is None and bool(tips) and max(tips) <= self.tip.index
