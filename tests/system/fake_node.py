"""A node that is dialled: it serves a chain over `tallystick.1`, honestly or with a fault.

Like `native_client` it shares no code with the node. A fault is a function that is shown each request with the honest
reply to it, and says what is sent instead.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Protocol, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from tests.system.native_client import (
    ADDRS,
    BLOCKS,
    FRAME_BYTES,
    GENESIS,
    GET_ADDRS,
    GET_BLOCKS,
    GET_HEADERS,
    GET_RECORDS,
    GET_SURVEY,
    HEADERS,
    PART,
    PART_BYTES,
    PATIENCE_S,
    PING,
    PONG,
    RECORDS,
    SOFT_BYTES,
    SUBPROTOCOL,
    SURVEY,
    Block,
    Conversation,
    Message,
    Point,
    Tip,
    grow,
    knock,
    pack,
    public,
)
from tests.system.sealed_client import Record, SealedBlock


class Servable(Tip, Protocol):
    """What a fake node has to know of a block to serve it, of whatever network."""

    @property
    def index(self) -> int: ...
    @property
    def hash(self) -> bytes: ...
    @property
    def size(self) -> int: ...
    @property
    def body(self) -> object: ...
    @property
    def whole(self) -> object: ...


Fault = Callable[["FakeNode", Conversation, Message, Message], Message | None]
"""What a fake node does with its honest reply to a request: (node, conversation, request, reply) -> what to say, or
None for nothing."""


class FakeNode:
    """Listens on a port of its own, dials and is dialled, and answers what it is asked. A context manager."""

    def __init__(
        self,
        blocks: Iterable[Servable] = (),
        fault: Fault | None = None,
        *,
        genesis: Servable = GENESIS,
        pool: Iterable[Record] = (),
        **claims: object,
    ) -> None:
        """Serve the chain of `genesis` and `blocks`, and the records of `pool`; `claims` are fields of hello to be
        said otherwise."""
        self.chain: list[Servable] = [genesis, *blocks]
        self.pool = {each.leaf: each for each in pool}
        self.fault = fault
        self.claims = claims
        self.key = Ed25519PrivateKey.generate()
        self.requests: list[Message] = []
        """Everything it was asked."""

        self.conversations: list[Conversation] = []
        """Whose handshake is over."""

        self.codes: list[int] = []
        """How they ended."""

        self.greeted = threading.Event()
        self.asked = threading.Event()
        """For headers, alone or with their blocks."""

        self.over = threading.Event()
        """The test ends: nothing is to be waited for any more."""

        listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = listening.getsockname()[1]
        self._server = serve(
            self._meet,
            sock=listening,
            subprotocols=[SUBPROTOCOL],
            compression=None,
            ping_interval=None,
            max_size=FRAME_BYTES,
            close_timeout=1,
        )
        self._threads = [threading.Thread(target=self._server.serve_forever)]

    @property
    def address(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    @property
    def key_text(self) -> str:
        """The node key, as a node shows it."""
        return public(self.key).hex()

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for conversation in [*self.conversations]:
            conversation.wire.close()
        self._server.shutdown()
        for thread in self._threads:
            thread.join()

    def hang_up(self) -> None:
        """End every connection."""
        for conversation in self.conversations:
            conversation.wire.close()

    def dial(self, port: int) -> None:
        """Dial a node, and serve it like those that dial us. Returns when the handshake is over."""
        self._threads.append(threading.Thread(target=self._dial, args=(port,)))
        self._threads[-1].start()
        assert self.greeted.wait(PATIENCE_S), "no handshake"

    # --- the conversation

    def _dial(self, port: int) -> None:
        with suppress(ConnectionClosed), knock(port, self.key) as conversation:
            self._converse(conversation, conversation.greet)

    def _meet(self, wire: ServerConnection) -> None:
        conversation = Conversation(wire, self.key)
        self._converse(conversation, conversation.be_greeted)

    def _converse(self, conversation: Conversation, greet: Callable[..., Message]) -> None:
        with suppress(ConnectionClosed, TimeoutError, OSError):
            greet(self.chain[-1], **{"network": self.chain[0].hash} | self.claims)
            self.conversations.append(conversation)
            self.greeted.set()
            while not self.over.is_set():
                self._hear(conversation)
        self.codes.append(conversation.how_it_ended())

    def _hear(self, conversation: Conversation) -> None:
        message = conversation.hear()
        if message[0] == PING:
            conversation.say(PONG, message[1])
        if message[0] not in {GET_HEADERS, GET_BLOCKS, GET_SURVEY, GET_RECORDS, GET_ADDRS}:
            return
        self.requests.append(message)
        if message[0] in {GET_HEADERS, GET_SURVEY}:
            self.asked.set()
        reply: Message | None = self.answer(message)
        if self.fault is not None and reply is not None:
            reply = self.fault(self, conversation, message, reply)
        if reply is not None:
            conversation.reply(reply)

    # --- honest answers

    def answer(self, request: Message) -> Message:
        """What an honest node with this chain says."""
        match request:
            case [16, number, locator, stop, most, plan]:
                return self._headers(number, locator, stop, most, plan=plan)
            case [18, number, points]:
                found = [self.chain[point[0]].whole for point in points if self.has(point)]
                return [BLOCKS, number, found, [at for at, point in enumerate(points) if not self.has(point)]]
            case [20, number, locator, stop, most]:
                start, end = self._range(locator, stop, most)
                run = [block for block in self.chain[start:end] if isinstance(block, SealedBlock)]
                return [SURVEY, number, self.chain[start - 1].point, [block.header for block in run]]
            case [22, number, names]:
                held = [self.pool[leaf].parts for _, leaf in names if leaf in self.pool]
                return [RECORDS, number, held, [at for at, name in enumerate(names) if name[1] not in self.pool]]
            case [48, number]:
                return [ADDRS, number, []]
        raise AssertionError(f"no request: {request}")

    def has(self, point: Point) -> bool:
        index, hash = point
        return index < len(self.chain) and bool(self.chain[index].hash == hash)

    def _range(self, locator: list[Point], stop: Point | None, most: int) -> tuple[int, int]:
        """Which part of our chain is asked for."""
        parent = next((point for point in locator if self.has(point)), self.chain[0].point)
        first = parent[0] + 1
        if stop is not None and not self.has(stop):
            return first, first
        return first, min(len(self.chain), first + most, len(self.chain) if stop is None else stop[0] + 1)

    def _headers(self, number: int, locator: list[Point], stop: Point | None, most: int, *, plan: bool) -> Message:
        first, end = self._range(locator, stop, most)
        run: list[Servable] = []
        room = SOFT_BYTES
        for block in self.chain[first:end]:
            room -= block.size
            if run and room < 0:
                break
            run.append(block)
        last = first - 1 + len(run)
        ahead = self.chain[last + most :: most][:32] if plan and run else []
        bodies = [block.body for block in run]
        return [HEADERS, number, self.chain[first - 1].point, bodies, [block.hash for block in ahead]]


# --- faults -----------------------------------------------------------------------------------------


def silent(_node: FakeNode, _to: Conversation, request: Message, reply: Message) -> Message | None:
    """Answers pings, and no question for headers."""
    return None if request[0] == GET_HEADERS else reply


def drips(pause_s: float) -> Fault:
    """One true block at a time, with a pause before each."""

    def fault(node: FakeNode, _to: Conversation, request: Message, reply: Message) -> Message:
        if request[0] != GET_HEADERS:
            return reply
        node.over.wait(pause_s)
        return [*reply[:3], reply[3][:1], []]

    return fault


def wrong_hash(index: int) -> Fault:
    """The block at this index has a hash that its content does not give."""

    def fault(_node: FakeNode, _to: Conversation, request: Message, reply: Message) -> Message:
        at = index - reply[2][0] - 1 if request[0] == GET_HEADERS else -1
        if not 0 <= at < len(reply[3]):
            return reply
        bodies = [list(body) for body in reply[3]]
        bodies[at][0] = bytes(32)
        return [*reply[:3], bodies, reply[4]]

    return fault


def wrong_range(_node: FakeNode, _to: Conversation, request: Message, reply: Message) -> Message:
    """True blocks, and not those that follow what it was asked from."""
    if request[0] != GET_HEADERS or len(reply[3]) < 2:
        return reply
    skipped = [reply[2][0] + 1, reply[3][0][0]]
    return [*reply[:2], skipped, reply[3][1:], reply[4]]


def reordered(_node: FakeNode, _to: Conversation, request: Message, reply: Message) -> Message:
    """The right blocks, backwards."""
    return reply if request[0] != GET_HEADERS else [*reply[:3], reply[3][::-1], reply[4]]


def gaps(_node: FakeNode, _to: Conversation, request: Message, reply: Message) -> Message:
    """Every second block."""
    return reply if request[0] != GET_HEADERS else [*reply[:3], reply[3][::2], reply[4]]


def nothing(_node: FakeNode, _to: Conversation, request: Message, reply: Message) -> Message:
    """Has no blocks, whatever it claims."""
    return reply if request[0] != GET_HEADERS else [*reply[:3], [], []]


def made_up_plan(_node: FakeNode, _to: Conversation, request: Message, reply: Message) -> Message:
    """Names thirty-two batches that nobody has, itself included."""
    if request[0] != GET_HEADERS or not request[5]:
        return reply
    return [*reply[:4], [os.urandom(32) for _ in range(32)]]


def too_many(_node: FakeNode, _to: Conversation, request: Message, reply: Message) -> Message:
    """One block more than asked for."""
    if request[0] != GET_HEADERS:
        return reply
    index, hash = reply[2]
    parent = Block(index, b"", hash, 0, "")
    return [*reply[:3], [block.body for block in grow(parent, request[4] + 1)], []]


def another_number(_node: FakeNode, _to: Conversation, request: Message, reply: Message) -> Message:
    """Answers a question that nobody asked."""
    return reply if request[0] != GET_HEADERS else [reply[0], reply[1] + 1_000, *reply[2:]]


def twice(_node: FakeNode, to: Conversation, request: Message, reply: Message) -> Message:
    """Answers every question for headers two times."""
    if request[0] == GET_HEADERS:
        to.reply(reply)
    return reply


def another_kind(_node: FakeNode, _to: Conversation, request: Message, reply: Message) -> Message:
    """Addresses in answer to a question for headers."""
    return reply if request[0] != GET_HEADERS else [ADDRS, request[1], []]


def endless_parts(_node: FakeNode, to: Conversation, request: Message, reply: Message) -> Message | None:
    """A reply in parts that never ends."""
    if request[0] != GET_HEADERS:
        return reply
    part = pack([PART, request[1], False, bytes(PART_BYTES)])
    while True:
        to.say_raw(part)


def hangs_up(after: int) -> Fault:
    """Answers so many questions for headers, and hangs up in the middle of the next answer."""

    def fault(node: FakeNode, to: Conversation, request: Message, reply: Message) -> Message | None:
        asked = sum(each[0] == GET_HEADERS for each in node.requests)
        if request[0] != GET_HEADERS or asked <= after:
            return reply
        to.send_bytes(b"\x82\x7e\xff\xff" + pack(reply)[:1_000])  # a frame of 65,535 bytes, cut off
        to.wire.socket.shutdown(socket.SHUT_RDWR)
        return None

    return fault
