"""Getting acquainted: who is there, in the same network, and does it hold the key it shows?

    dialler   hello ------------------------------------>   acceptor
              <------------------------------ hello, auth
              auth ------------------------------------->
              <------------------------------------ ready
              ready ------------------------------------>

Each side signs both hellos, byte for byte, and which side it is. The challenges inside make every text to sign new,
so a signature is worth nothing on another connection, in the other direction, or with another word changed. What
it does not prove is that nobody stands in between and passes everything on: for that the connection needs TLS.

A stranger learns nothing before it has said hello, and nothing it sends is looked at before `ready` but these
messages, in this order.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from hashlib import sha256
from typing import Final

import msgspec

from tallystick.errors import Rule, RuleViolation, shown
from tallystick.wire.identity import Identity
from tallystick.wire.native.codec import encode
from tallystick.wire.native.messages import VERSION, Auth, Hello, Message, Point, Ready

_CONTEXT: Final = b"tallystick/auth/1"
"""What else is signed with this key never begins like this."""


class Side(enum.IntEnum):
    """Who opened the connection."""

    DIALLER = 0
    ACCEPTOR = 1


class _Awaits(enum.StrEnum):
    HELLO = "hello"
    AUTH = "auth"
    READY = "ready"
    NOTHING = "nothing"


class Stranger(msgspec.Struct, frozen=True):
    """What we know of the other end once it has proved its key."""

    key: bytes
    hello: Hello


Judge = Callable[[Stranger], None]
"""Is this key welcome? Raises RuleViolation."""


def signed_text(dialler_hello: bytes, acceptor_hello: bytes, signer: Side) -> bytes:
    """What an `Auth` signs: both hellos as they were sent, and which side it is that signs."""
    return _CONTEXT + bytes([signer]) + sha256(dialler_hello).digest() + sha256(acceptor_hello).digest()


class Handshake:
    """One side of the conversation above. Frames to be sent are returned, never kept."""

    def __init__(self, identity: Identity, side: Side, mine: Hello, judge: Judge) -> None:
        """`mine` is what to say of ourselves; its nonce and challenge must be new."""
        self._identity = identity
        self._side = side
        self._mine = mine
        self._mine_frame = encode(mine)
        self._judge = judge
        self._theirs: Hello | None = None
        self._theirs_frame = b""
        self._awaits = _Awaits.HELLO
        self.stranger: Stranger | None = None
        """Set once the other end has proved its key and is welcome."""

    @property
    def said_tip(self) -> Point:
        """Where our own hello said that we stand."""
        return self._mine.tip.point

    @property
    def is_over(self) -> bool:
        """May everything be said now?"""
        return self._awaits is _Awaits.NOTHING

    def begin(self) -> list[bytes]:
        """What to say before the other end said anything."""
        return [self._mine_frame] if self._side is Side.DIALLER else []

    def receive(self, message: Message | None, frame: bytes) -> list[bytes]:
        """Take a message and the frame it came in; return the frames to answer with.

        Raises RuleViolation: HELLO_COMES_FIRST for what does not belong here, HELLO_IS_ACCEPTABLE,
        NETWORK_IS_OURS, PEER_IS_NOT_OURSELVES, PEER_IS_WHO_IT_CLAIMS, or what `judge` raises.
        """
        match self._awaits, message:
            case _Awaits.HELLO, Hello():
                return self._take_hello(message, frame)
            case _Awaits.AUTH, Auth():
                return self._take_auth(message)
            case _Awaits.READY, Ready():
                self._awaits = _Awaits.NOTHING
                return [encode(Ready())] if self._side is Side.DIALLER else []
        name = "an unknown message" if message is None else type(message).__name__.lower()
        raise RuleViolation(Rule.HELLO_COMES_FIRST, f"{name} came where {self._awaits} belongs")

    def _take_hello(self, hello: Hello, frame: bytes) -> list[bytes]:
        self._theirs, self._theirs_frame = hello, frame
        _check(hello, self._mine)
        self._awaits = _Awaits.AUTH
        auth = encode(Auth(self._identity.sign(self._text(self._side))))
        return [auth] if self._side is Side.DIALLER else [self._mine_frame, auth]

    def _take_auth(self, auth: Auth) -> list[bytes]:
        assert self._theirs is not None  # noqa: S101 - a hello came before
        stranger = Stranger(self._theirs.key, self._theirs)
        text = self._text(Side.ACCEPTOR if self._side is Side.DIALLER else Side.DIALLER)
        if not self._identity.verify(stranger.key, text, auth.signature):
            raise RuleViolation(
                Rule.PEER_IS_WHO_IT_CLAIMS,
                f"its signature does not fit the key {stranger.key.hex()[:16]} and this connection",
            )
        self._judge(stranger)
        self.stranger = stranger
        self._awaits = _Awaits.READY
        return [] if self._side is Side.DIALLER else [encode(Ready())]

    def _text(self, signer: Side) -> bytes:
        if self._side is Side.DIALLER:
            return signed_text(self._mine_frame, self._theirs_frame, signer)
        return signed_text(self._theirs_frame, self._mine_frame, signer)


def _check(theirs: Hello, mine: Hello) -> None:
    """Can we talk at all?"""
    lowest, highest = theirs.versions
    if not lowest <= VERSION <= highest:
        raise RuleViolation(
            Rule.HELLO_IS_ACCEPTABLE,
            f"it knows the versions {lowest} to {highest} of tallystick.1, this node knows {VERSION}",
        )
    if theirs.network != mine.network:
        raise RuleViolation(
            Rule.NETWORK_IS_OURS, f"it belongs to the network {theirs.network.hex()}, this node to {mine.network.hex()}"
        )
    if theirs.key == mine.key or theirs.nonce == mine.nonce:
        raise RuleViolation(Rule.PEER_IS_NOT_OURSELVES, "it is this node itself")
    if not _is_plain(theirs.agent):
        raise RuleViolation(Rule.HELLO_IS_ACCEPTABLE, f"its agent is not plain ASCII: {shown(theirs.agent)}")


def _is_plain(agent: str) -> bool:
    """Printable ASCII. What is shown to operators and written to logs should need no washing."""
    return agent.isascii() and (agent.isprintable() or not agent)
