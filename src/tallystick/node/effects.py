"""What a node wants done, as values: writes for the store first of all, and these for the rims.

The owner of the store applies a step's writes at once, inside the running batch, in the order given.
Everything else waits until the batch is durable: no reply and no message ever speaks of a block that
could still vanish.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from tallystick.chain.contracts import Known
from tallystick.chain.writes import Write
from tallystick.errors import RuleViolation
from tallystick.model.sealed import AnyBlock


class Reply(msgspec.Struct, frozen=True):
    """The answer to the input with this ticket."""

    ticket: int
    answer: AnyBlock | Known | Sequence[Known] | bool | RuleViolation


class Say(msgspec.Struct, frozen=True):
    """Send one message to some peers of one dialect. Never waits for a socket.

    Gossip to a peer whose outbox is over `Limits.outbox_pause_bytes` is dropped, and `PeerDrained`
    follows when it is empty; anything else is queued.
    """

    peers: Sequence[int]
    message: bytes
    gossip: bool = False


class SayChain(msgspec.Struct, frozen=True):
    """Answer QUERY_ALL: the whole committed chain as one message, read and sent piece by piece as the
    socket drains. Where it would exceed `Limits.message_bytes`, the latest block alone. `ChainSaid` follows."""

    peer: int


class Admit(msgspec.Struct, frozen=True):
    """This native peer's handshake is over: frames up to `Limits.frame_bytes` may come from it."""

    peer: int


class SaveAddresses(msgspec.Struct, frozen=True):
    """Put the book of addresses on disk, in place of the last one. Losing one costs little: no commit waits for it."""

    content: bytes


class Mine(msgspec.Struct, frozen=True):
    """Look for a nonce, instead of whatever was looked for before; `Mined` follows when one is found.

    A header is `head` and a nonce of 8 bytes, big-endian; its SHA-256 must not be greater than `target`.
    """

    number: int
    """New for each search."""

    head: bytes
    target: bytes
    difficulty: float = 1.0
    """As a multiple of that of the first block."""

    expected_hashes: int = 1
    """To find one, on average."""


class Ping(msgspec.Struct, frozen=True):
    """Send a WebSocket ping to a classic peer."""

    peer: int


class Hold(msgspec.Struct, frozen=True):
    """Read nothing more from this peer for `for_ms`."""

    peer: int
    for_ms: int


class HangUp(msgspec.Struct, frozen=True):
    """Close the connection with this WebSocket close code; `PeerClosed` follows."""

    peer: int
    code: int
    reason: str


class Dial(msgspec.Struct, frozen=True):
    """Resolve, judge and dial this address; `PeerOpened` or `DialFailed` follows."""

    address: str


class Log(msgspec.Struct, frozen=True):
    """A line for the operator. Values may come from peers: the rim escapes control characters."""

    level: str
    """`debug`, `info`, `warning` or `error`."""

    event: str
    fields: Mapping[str, object] = msgspec.field(default_factory=dict)


Effect = Write | Reply | Say | SayChain | Admit | Ping | Hold | HangUp | Dial | SaveAddresses | Mine | Log
