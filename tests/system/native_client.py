"""Another implementation of `tallystick.1`, written from docs/protocol.md alone.

It shares no code with the node: WebSockets of the `websockets` library, MessagePack on plain lists, Ed25519 of
`cryptography`. So what both sides understand is what the document says. It is small enough to begin one's own with:

* `grow` makes blocks of a classic network, `push` and `announce` the messages that tell of them;
* `Conversation` says and hears messages, which are lists with the tag in front;
* `dial` opens a connection to a node and greets it.

What blocks of sealed networks are is in `sealed_client`. The other side, a node that is dialled and serves a chain, is
in `fake_node`. All can do wrong what the document forbids, for what a node does then is specified, too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import msgpack
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.sync.connection import Connection
from websockets.typing import Origin, Subprotocol

PATIENCE_S: Final = 30.0
"""How long anything is waited for; only a real failure takes so long."""

SUBPROTOCOL: Final = Subprotocol("tallystick.1")
CONTEXT: Final = b"tallystick/auth/1"
PART_BYTES: Final = 2**20
SOFT_BYTES: Final = 2 * 2**20
FRAME_BYTES: Final = 4 * 2**20

HELLO, AUTH, READY, PING, PONG, PART = 1, 2, 3, 4, 5, 6
GET_HEADERS, HEADERS, GET_BLOCKS, BLOCKS = 16, 17, 18, 19
GET_SURVEY, SURVEY, GET_RECORDS, RECORDS = 20, 21, 22, 23
PUSH, ANNOUNCE, INV = 32, 33, 34
GET_ADDRS, ADDRS = 48, 49

Message = list[Any]
"""Tag, then the fields."""

Point = list[Any]
"""Index and hash."""


def pack(message: object) -> bytes:
    """The frame of a message."""
    return msgpack.encode(message)


# --- blocks -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Block:
    """A block of a classic network."""

    index: int
    previous: bytes
    hash: bytes
    timestamp: int
    data: str

    @property
    def point(self) -> Point:
        return [self.index, self.hash]

    @property
    def weight(self) -> bytes:
        """Of the chain that ends here."""
        return self.index.to_bytes(32, "big")

    @property
    def size(self) -> int:
        """Bytes of data."""
        return len(self.data.encode())

    @property
    def body(self) -> list[Any]:
        """As part of a run."""
        return [self.hash, self.timestamp, self.data]

    @property
    def whole(self) -> list[Any]:
        """Alone."""
        return [self.index, self.previous, self.hash, self.timestamp, self.data]


class Tip(Protocol):
    """The last block of a chain, of whatever network."""

    @property
    def point(self) -> Point: ...
    @property
    def weight(self) -> bytes: ...


GENESIS: Final = Block(
    0,
    b"",
    bytes.fromhex("816534932c2b7154836da6afc367695e6337db8a921823784c14378abed4f7d7"),
    1465154705,
    "my genesis block!!",
)
TIMESTAMP: Final = 1_700_000_000


def hash_of(index: int, previous: bytes, timestamp: int, data: str) -> bytes:
    return sha256(f"{index}{previous.hex()}{timestamp}{data}".encode()).digest()


def child(parent: Block, data: str) -> Block:
    """A valid block after `parent`."""
    index = parent.index + 1
    return Block(index, parent.hash, hash_of(index, parent.hash, TIMESTAMP, data), TIMESTAMP, data)


def grow(parent: Block, count: int, data: str = "block") -> list[Block]:
    """So many blocks, each on the one before."""
    blocks = []
    for _ in range(count):
        parent = child(parent, f"{data} {parent.index + 1}")
        blocks.append(parent)
    return blocks


def push(block: Block) -> Message:
    """What brings a new block."""
    return [PUSH, block.whole, block.weight]


def announce(*blocks: Block) -> Message:
    """What tells of new blocks."""
    return [ANNOUNCE, [block.point for block in blocks], blocks[-1].weight]


def run_of(headers: Message) -> list[Block]:
    """The blocks of a `headers`, with index and parent; their hashes checked."""
    (index, previous), bodies = headers[2], headers[3]
    blocks = []
    for hash, timestamp, data in bodies:
        index += 1
        assert hash == hash_of(index, previous, timestamp, data)
        blocks.append(Block(index, previous, hash, timestamp, data))
        previous = hash
    return blocks


# --- one conversation -------------------------------------------------------------------------------


def public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


def hello(key: Ed25519PrivateKey, own: Tip = GENESIS, /, **changes: object) -> Message:
    """What to say of ourselves, whose chain ends with `own`; `changes` name fields to be said otherwise."""
    fields: dict[str, object] = {
        "versions": [1, 1],
        "network": GENESIS.hash,
        "key": public(key),
        "nonce": os.urandom(8),
        "challenge": os.urandom(32),
        "role": 0,
        "listen_port": 0,
        "agent": "independent/1",
        "tip": [own.point, own.weight],
        "final": None,
        "frame_bytes": FRAME_BYTES,
        "requests": 2,
    }
    assert changes.keys() <= fields.keys()
    return [HELLO, *(fields | changes).values()]


def text_to_sign(dialler_hello: bytes, acceptor_hello: bytes, *, by_acceptor: bool) -> bytes:
    hashes = sha256(dialler_hello).digest() + sha256(acceptor_hello).digest()
    return CONTEXT + bytes([by_acceptor]) + hashes


@dataclass
class Conversation:
    """One open WebSocket to a node."""

    wire: Connection
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    pieces: dict[int, bytes] = field(default_factory=dict)
    """Of replies that come in parts, by the number of the request."""

    def __post_init__(self) -> None:
        self.address = "{}:{}".format(*self.wire.local_address[:2])
        """Our end, as the node sees it."""

    # --- saying

    def say(self, *message: object) -> None:
        self.say_raw(pack(message))

    def say_raw(self, frame: bytes) -> None:
        """One binary WebSocket message of these bytes."""
        self.wire.send(frame)

    def reply(self, message: Message) -> None:
        """Say a reply, in parts where it is long."""
        frame = pack(message)
        if len(frame) <= PART_BYTES:
            self.say_raw(frame)
            return
        for at in range(0, len(frame), PART_BYTES):
            self.say(PART, message[1], at + PART_BYTES >= len(frame), frame[at : at + PART_BYTES])

    def send_bytes(self, data: bytes) -> None:
        """Bytes below the WebSocket: broken frames, or a piece of one."""
        self.wire.socket.sendall(data)

    # --- hearing

    def hear(self, timeout_s: float = PATIENCE_S) -> Message:
        """The next message, its parts joined. Raises TimeoutError, or ConnectionClosed."""
        while True:
            frame = self.wire.recv(timeout_s)
            assert isinstance(frame, bytes), "text in the binary dialect"
            message = msgpack.decode(frame)
            assert pack(message) == frame, "not written the shortest way"
            if message[0] != PART:
                return list(message)
            _, number, last, piece = message
            joined = self.pieces.pop(number, b"") + piece
            if last:
                return list(msgpack.decode(joined))
            self.pieces[number] = joined

    def hear_past_pings(self) -> Message:
        """The next message that is no ping."""
        while (message := self.hear())[0] == PING:
            self.say(PONG, message[1])
        return message

    def hear_next(self, tag: int) -> Message:
        """The next message of this kind. Pings are answered on the way, everything else passes."""
        while (message := self.hear())[0] != tag:
            if message[0] == PING:
                self.say(PONG, message[1])
        return message

    def ask(self, *request: object) -> Message:
        """Ask, and hear the reply: its tag is one more than the question's."""
        self.say(*request)
        tag, number = request[:2]
        assert isinstance(tag, int)
        reply = self.hear_next(tag + 1)
        assert reply[1] == number
        return reply

    def headers(
        self, number: int, *locator: Point, stop: Point | None = None, most: int = 2_000, plan: bool = False
    ) -> Message:
        """Ask for headers."""
        return self.ask(GET_HEADERS, number, list(locator), stop, most, plan)

    def is_answered(self) -> bool:
        """Is the node there, and did it handle everything we said before?"""
        nonce = os.urandom(8)
        self.say(PING, nonce)
        while True:
            message = self.hear()
            if message == [PONG, nonce]:
                return True
            if message[0] == PING:
                self.say(PONG, message[1])

    def close_code(self) -> int:
        """Wait until the node hangs up; its close code, or 1006 when it just cut the connection."""
        with suppress(ConnectionClosed):
            while True:
                self.wire.recv(PATIENCE_S)
        return self.how_it_ended()

    def how_it_ended(self) -> int:
        """The node's close code, or 1006 when it just cut the connection."""
        close = self.wire.protocol.close_rcvd
        return 1006 if close is None else close.code

    # --- greeting

    def greet(self, own: Tip = GENESIS, /, **changes: object) -> Message:
        """The handshake as a dialler; returns the node's hello. Raises ConnectionClosed when we are not welcome."""
        mine = pack(hello(self.key, own, **changes))
        self.say_raw(mine)
        theirs = self.hear()
        theirs_frame = pack(theirs)
        assert theirs[0] == HELLO
        self.say(AUTH, self.key.sign(text_to_sign(mine, theirs_frame, by_acceptor=False)))
        self._check_auth(theirs, text_to_sign(mine, theirs_frame, by_acceptor=True))
        assert self.hear() == [READY]
        self.say(READY)
        return theirs

    def be_greeted(self, own: Tip = GENESIS, /, **changes: object) -> Message:
        """The handshake as an acceptor; returns the node's hello."""
        theirs = self.hear()
        theirs_frame = pack(theirs)
        assert theirs[0] == HELLO
        mine = pack(hello(self.key, own, **changes))
        self.say_raw(mine)
        self.say(AUTH, self.key.sign(text_to_sign(theirs_frame, mine, by_acceptor=True)))
        self._check_auth(theirs, text_to_sign(theirs_frame, mine, by_acceptor=False))
        self.say(READY)
        assert self.hear() == [READY]
        return theirs

    def _check_auth(self, theirs: Message, text: bytes) -> None:
        auth = self.hear()
        assert auth[0] == AUTH
        try:
            Ed25519PublicKey.from_public_bytes(theirs[3]).verify(auth[1], text)
        except InvalidSignature:
            raise AssertionError("the node does not hold the key of its hello") from None


@contextmanager
def knock(
    port: int,
    key: Ed25519PrivateKey | None = None,
    *,
    subprotocols: Sequence[str] = (SUBPROTOCOL,),
    origin: str | None = None,
    compression: str | None = None,
) -> Iterator[Conversation]:
    """A WebSocket to the node at this port of this machine, before anything is said.

    Raises websockets.InvalidStatus when the node answers with an HTTP error.
    """
    wire: ClientConnection
    with connect(
        f"ws://127.0.0.1:{port}/",
        subprotocols=[Subprotocol(name) for name in subprotocols] or None,
        origin=None if origin is None else Origin(origin),
        compression=compression,
        proxy=None,
        ping_interval=None,
        max_size=FRAME_BYTES,
        close_timeout=1,
    ) as wire:
        yield Conversation(wire, key or Ed25519PrivateKey.generate())


@contextmanager
def dial(
    port: int, own: Tip = GENESIS, /, *, key: Ed25519PrivateKey | None = None, **changes: object
) -> Iterator[Conversation]:
    """Likewise, and the handshake is over, for us: our ready may still be on its way."""
    with knock(port, key) as conversation:
        conversation.greet(own, **changes)
        yield conversation
