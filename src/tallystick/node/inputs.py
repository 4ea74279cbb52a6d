"""What can happen to a node, as values. The rims make them; `machine.Node.step` takes them one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from tallystick.chain.contracts import View
from tallystick.chain.duties import Entropy
from tallystick.errors import Rule
from tallystick.model.record import Record
from tallystick.wire.dialect import Dialect


class Now(NamedTuple):
    """The time, as the rim read it."""

    wall_ms: int
    """Milliseconds since 1970; may jump. Dates blocks and nothing else."""

    mono_ms: int
    """Milliseconds of a clock that never goes back; every deadline is of this clock."""


class Moment(NamedTuple):
    """What a step may look at: the time, some randomness, and the chain."""

    now: Now
    entropy: Entropy
    view: View


class Post(msgspec.Struct, frozen=True):
    """Somebody posts `data`; answered with the Block that holds it, or a RuleViolation."""

    ticket: int
    data: str


class PostRecords(msgspec.Struct, frozen=True):
    """Somebody posts records: all of them go into the pool, or none. Answered with a Known for each, in order, or a
    RuleViolation: RECORD_ID_IS_FREE, POOL_HAS_ROOM, DATA_WITHIN_SIZE, NETWORK_TAKES_RECORDS.

    A record whose id is stored already with the same data is answered with what is there, and nothing is added.
    """

    ticket: int
    records: Sequence[Record]


class PostAndWait(msgspec.Struct, frozen=True):
    """Somebody posts a record and waits for the block that holds it: answered with that block once it is sealed, with
    a Known when the wait is over, or with a RuleViolation as above."""

    ticket: int
    record: Record
    wait_ms: int


class StopWaiting(msgspec.Struct, frozen=True):
    """The caller of the `PostAndWait` with this ticket went away. Nothing is answered; the record stays."""

    ticket: int


class EraseRecord(msgspec.Struct, frozen=True):
    """Forget data and salt of all records of this id. Answered with True, or RuleViolation(RECORD_IS_KNOWN)."""

    ticket: int
    id: str


class Mined(msgspec.Struct, frozen=True):
    """The search that `Mine` asked for under this number has found a nonce."""

    number: int
    nonce: int


class AddPeer(msgspec.Struct, frozen=True):
    """Dial this address, now and after every restart. Answered with True, or a RuleViolation."""

    ticket: int
    address: str
    """Canonical `ws://host:port`, judged already (`tallystick.wire.addresses`)."""


class RemovePeer(msgspec.Struct, frozen=True):
    """Forget this peer and hang up. Answered with True, or a RuleViolation(PEER_IS_KNOWN)."""

    ticket: int
    address: str
    """`ws://host:port` of one we dial, or `host:port` of any open connection."""


class Ban(msgspec.Struct, frozen=True):
    """Never talk to this node key (64 hex digits) or numeric address again, and hang up. Answered with True."""

    ticket: int
    subject: str


class Unban(msgspec.Struct, frozen=True):
    """Forgive: a ban, or whatever else keeps this subject out. Answered with True, or RuleViolation(BAN_IS_KNOWN)."""

    ticket: int
    subject: str


class PeerOpened(msgspec.Struct, frozen=True):
    """A WebSocket to a peer is open; `peer` is a number the rim never uses twice."""

    peer: int
    remote: str
    """`host:port` of the other end, numeric; IPv6 in brackets."""

    dialled: str | None
    """The address we dialled, or None when they dialled us."""

    dialect: Dialect = Dialect.CLASSIC
    """What the WebSocket handshake agreed on."""


class PeerSaid(msgspec.Struct, frozen=True):
    """A whole message arrived from a peer. The rim delivers a peer's next one only after this is stepped."""

    peer: int
    message: bytes
    """Classic: UTF-8, at most `Limits.message_bytes`. Native: at most `Limits.frame_bytes`, and until `Admit`
    at most `Limits.stranger_frame_bytes`."""


class PeerProgressed(msgspec.Struct, frozen=True):
    """Bytes of a native peer's next message are arriving. Told at most once in `Limits.progress_every_ms`."""

    peer: int
    partial_bytes: int
    """Of the message that is not complete."""


class PeerPonged(msgspec.Struct, frozen=True):
    """A peer answered our ping."""

    peer: int


class PeerDrained(msgspec.Struct, frozen=True):
    """Everything said to a peer was handed to the network, after some gossip to it had been dropped."""

    peer: int


class ChainSaid(msgspec.Struct, frozen=True):
    """A `SayChain` to this peer is finished: `size_bytes` went out; 0 when the chain was too long to say."""

    peer: int
    size_bytes: int


class PeerClosed(msgspec.Struct, frozen=True):
    """The connection is gone, whoever ended it. Delivered once per `PeerOpened`, and nothing of the peer after it."""

    peer: int
    reason: str
    """One line for the log and the status."""

    rule: Rule | None = None
    """The rule of the wire it broke, when the rim saw that and hung up (a wrong frame, a full outbox)."""


class DialFailed(msgspec.Struct, frozen=True):
    """A `Dial` did not become a `PeerOpened`."""

    address: str
    reason: str
    rule: Rule | None = None
    """The rule that forbade it, if one did."""


class Tick(msgspec.Struct, frozen=True):
    """The time that `Node.wake_at_ms` named has come."""


Input = (
    Post
    | PostRecords
    | PostAndWait
    | StopWaiting
    | EraseRecord
    | Mined
    | AddPeer
    | RemovePeer
    | Ban
    | Unban
    | PeerOpened
    | PeerSaid
    | PeerProgressed
    | PeerPonged
    | PeerDrained
    | ChainSaid
    | PeerClosed
    | DialFailed
    | Tick
)
