"""How the rims reach the node: they submit inputs, ask questions, and read its status.

`api` and `p2p` know this protocol and not each other; the composition root puts them together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from tallystick.chain.contracts import Known, Reader
from tallystick.model.block import Header
from tallystick.model.limits import Limits
from tallystick.model.network import Network
from tallystick.model.record import Record
from tallystick.model.sealed import AnyBlock
from tallystick.node.inputs import Input
from tallystick.wire.dialect import Dialect
from tallystick.wire.standing import Banned as Banned  # noqa: PLC0414 - part of the vocabulary here


class PeerStatus(msgspec.Struct, frozen=True):
    """One connection, or one address we keep dialling."""

    address: str
    """`host:port` of the remote end when connected, else the address we dial."""

    dialled: str | None
    """`ws://host:port` when we dial it, None when they dialled us."""

    state: str
    """`connected`, `dialling` or `waiting` (for the next attempt)."""

    since_ms: int | None
    """How long it has been connected."""

    next_dial_ms: int | None
    """Until the next attempt, when waiting."""

    tip: tuple[int, str] | None
    """Index and hash of the highest block it told us of (unverified)."""

    last_error: str | None
    """Why the last connection or attempt ended."""

    dialect: str | None = None
    """`classic` or `tallystick.1`, when connected."""

    key: str | None = None
    """The node key it proved to hold, 64 hex digits; classic peers have none."""

    agent: str | None = None
    """What it calls its program; printable ASCII."""

    latency_ms: int | None = None
    """Time of the last ping and its answer."""

    peer: int | None = None
    """The number of the connection."""

    received_bytes: int | None = None
    sent_bytes: int | None = None
    """Of the connection, frames included. Filled in by whoever owns the sockets."""

    origin: str = "configured"
    """Why we are connected: `configured` (a start option or addPeer), `book` (found by ourselves), `inbound`."""


class SyncProgress(msgspec.Struct, frozen=True):
    """How far a node is in fetching a chain that is ahead of its own."""

    index: int
    """Last block that is checked and durable (on the best chain, or staged beside it)."""

    target: int
    """Last block of the chain we fetch, as far as its peers say."""

    blocks_per_second: float
    """Over the last seconds."""

    remaining_ms: int | None
    """Estimated; None while there is no rate to go by."""

    peers: int
    """Peers that blocks are asked of."""


class PoolStatus(msgspec.Struct, frozen=True):
    """Records that are in no block yet."""

    records: int
    bytes: int
    """Their parts, and `Limits.pool_record_bytes` each."""

    most_bytes: int
    """Beyond this, posts are refused."""


class MiningStatus(msgspec.Struct, frozen=True):
    """How blocks are sealed in a network where a nonce has to be found."""

    bits: int
    """Compact target of the next block."""

    difficulty: float
    """Expected hashes per block, as a multiple of those of the first block."""

    expected_hashes: int
    """To find the next block, on average."""

    is_mining: bool
    """Does this node look for it?"""

    hashes_per_second: float | None = None
    """Of this node, lately. Filled in by whoever owns the processes."""

    @property
    def expected_ms(self) -> int | None:
        """How long this node needs on average; None while it has no rate."""
        return int(self.expected_hashes * 1000 / self.hashes_per_second) if self.hashes_per_second else None


class Status(msgspec.Struct, frozen=True):
    """What a node says of itself."""

    tip: Header
    """The in-memory tip; equals the committed tip between batches."""

    peers: Sequence[PeerStatus]
    dropped: Sequence[Mapping[str, object]]
    """The last peers that were dropped for cause, newest first: `address`, `rule`, `detail`."""

    lost_duties: bool
    """Posts wait to be mined again."""

    key: str = ""
    """This node's own key, 64 hex digits."""

    sync: SyncProgress | None = None
    """None when no peer is known to be ahead."""

    addresses: int = 0
    """Entries in the book of addresses."""

    pool: PoolStatus | None = None
    mining: MiningStatus | None = None
    """None in networks without a pool, or without a search."""


class Ledger(Protocol):
    """The running node, as the API and the peers' door see it. All calls are made on the event loop."""

    @property
    def limits(self) -> Limits: ...

    @property
    def network(self) -> Network: ...

    @property
    def reader(self) -> Reader:
        """Committed state."""

    def submit(self, event: Input) -> None:
        """Hand an input to the node; it is stepped with the next batch."""

    @property
    def batches(self) -> int:
        """How often something has happened: who looks now sees what came of so many batches."""

    async def happened(self, batches: int) -> None:
        """Wait until there were more of them, or the node has stopped."""

    async def submitted(self, event: Input) -> None:
        """As `submit`, and wait until the batch that holds it is durable and its effects are out."""

    @property
    def takes_records(self) -> bool:
        """Do blocks of this network hold records (`post_records`), or one text each (`post`)?"""

    async def post(self, data: str) -> AnyBlock:
        """Mine `data`; returns once its block is durable. Raises RuleViolation or StoreError."""

    async def post_records(self, records: Sequence[Record]) -> Sequence[Known]:
        """Put records into the pool, all or none; returns what is there now for each, once it is durable. Raises
        RuleViolation (RECORD_ID_IS_FREE, POOL_HAS_ROOM, DATA_WITHIN_SIZE, NETWORK_TAKES_RECORDS) or StoreError."""

    async def post_and_wait(self, record: Record, wait_ms: int) -> AnyBlock | Known:
        """Post one record and wait for its block; what is there when the wait is over. Raises likewise, and
        RuleViolation(POOL_HAS_ROOM) when too many callers wait."""

    async def erase(self, id: str) -> None:
        """Forget data and salt of the records of this id. Raises RuleViolation(RECORD_IS_KNOWN) or StoreError."""

    async def add_peer(self, address: str) -> None:
        """Keep dialling `address`. Raises RuleViolation or StoreError."""

    async def remove_peer(self, address: str) -> None:
        """Forget and hang up. Raises RuleViolation(PEER_IS_KNOWN) or StoreError."""

    async def ban(self, subject: str) -> None:
        """Keep a node key or a numeric address out for ever, and hang up. Raises RuleViolation or StoreError."""

    async def unban(self, subject: str) -> None:
        """Forgive `subject`. Raises RuleViolation(BAN_IS_KNOWN) or StoreError."""

    def banned(self) -> Sequence[Banned]:
        """Everybody who is kept out now, manual bans first."""

    def check_welcome(self, address: str, dialect: Dialect) -> None:
        """May this numeric address dial us now, in this dialect? Raises RuleViolation: PEER_IN_GOOD_STANDING,
        PEER_IS_NOT_BANNED, PEERS_WITHIN_LIMIT, DIALECT_IS_SPOKEN (members only: the native dialect)."""

    def connected(self) -> Sequence[str]:
        """`host:port` of every open connection, both directions, oldest first: `GET /peers`."""

    def status(self) -> Status: ...
