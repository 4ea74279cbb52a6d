"""What the tests of the sockets share: a ledger that records, a server that knocks, a client that can misbehave.

Everything runs on loopback with real sockets. Nothing sleeps: whoever waits, waits for an event, with
`patience` as the only deadline.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeVar, cast

from websockets.client import ClientProtocol
from websockets.frames import Close, Frame, Opcode
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from tallystick.chain.contracts import Arrival, Fork, Found, Known, Passage, Shown
from tallystick.errors import Rule, RuleViolation
from tallystick.model.block import Block, Header, block_hash, header_of
from tallystick.model.limits import Limits
from tallystick.model.log import Node as LogNode
from tallystick.model.network import CLASSIC, CLASSIC_GENESIS, Network
from tallystick.model.record import Record
from tallystick.node.effects import Admit, Dial
from tallystick.node.inputs import DialFailed, Input, PeerClosed, PeerOpened, PeerSaid
from tallystick.node.ports import Banned, Status
from tallystick.p2p.dialer import Dialer, Resolve, resolved
from tallystick.p2p.door import Door
from tallystick.p2p.hub import Hub
from tallystick.p2p.socket import PeerSocket
from tallystick.wire.dialect import Dialect

PATIENCE_S = 30
T = TypeVar("T")
I = TypeVar("I", bound=Input)  # noqa: E741 - reads best


Scene = Callable[[Callable[[], Awaitable[None]]], None]
"""What the fixture `run` is: it plays a scene."""


async def patience(awaitable: Awaitable[T]) -> T:
    """Wait, but not for ever."""
    async with asyncio.timeout(PATIENCE_S):
        return await awaitable


def blocks_after(parent: Block, count: int, data: str = "data {}") -> list[Block]:
    blocks = []
    for _ in range(count):
        index, text = parent.index + 1, data.format(parent.index + 1)
        hash_ = block_hash(index, parent.hash, 1_700_000_000 + index, text)
        parent = Block(data=text, hash=hash_, index=index, previous_hash=parent.hash, timestamp=1_700_000_000 + index)
        blocks.append(parent)
    return blocks


class ListReader:
    """A chain in a list."""

    def __init__(self, blocks: Sequence[Block] = (CLASSIC_GENESIS,), page_bytes: int = 4 * 2**20) -> None:
        self.blocks = list(blocks)
        self.pages_read = 0
        self.on_page: Callable[[], None] = lambda: None
        self._page_bytes = page_bytes

    def tip(self) -> Header:
        return header_of(self.blocks[-1])

    def block(self, index: int) -> Block | None:
        return self.blocks[index] if 0 <= index < len(self.blocks) else None

    def page(self, first: int, count: int) -> Sequence[Block]:
        self.on_page()
        self.pages_read += 1
        page: list[Block] = []
        size = 0
        for block in self.blocks[first : first + count]:
            size += len(block.data)
            if page and size > self._page_bytes:
                break
            page.append(block)
        return page

    def find(self, hash: str) -> Found | None:
        raise NotImplementedError

    def header(self, index: int) -> Header | None:
        raise NotImplementedError

    def header_bytes(self, index: int) -> bytes | None:
        raise NotImplementedError

    def aside(self, hash: str) -> Header | None:
        raise NotImplementedError

    def passages(self, before: int, count: int, characters: int) -> Sequence[Passage]:
        raise NotImplementedError

    def arrivals(self, after: int, count: int) -> Sequence[Arrival]:
        raise NotImplementedError

    def newest_place(self) -> int:
        raise NotImplementedError

    def records_of(self, id: str) -> Sequence[Shown]:
        raise NotImplementedError

    def records(self, after: int, count: int) -> Sequence[Shown]:
        raise NotImplementedError

    def hashes(self, size: int, nodes: Sequence[LogNode]) -> Sequence[bytes]:
        raise NotImplementedError

    def forks(self, count: int) -> Sequence[Fork]:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


@dataclass
class RecordingLedger:
    """A ledger that decides nothing and remembers what it was told."""

    limits: Limits = field(default_factory=Limits)
    network: Network = CLASSIC
    reader: ListReader = field(default_factory=ListReader)
    takes_records: bool = False
    unwelcome: Rule | None = None
    """Why nobody may dial us."""

    inputs: list[Input] = field(default_factory=list)
    gate: asyncio.Event | None = None
    """While this is not set, messages are not done being handled."""

    hall: asyncio.Event | None = None
    """While this is not set, new peers wait to be heard of."""

    handling: int = 0
    handling_most: int = 0

    def __post_init__(self) -> None:
        self._news = asyncio.Condition()
        self._wakers: set[asyncio.Task[None]] = set()

    @property
    def batches(self) -> int:
        return len(self.inputs)

    async def happened(self, batches: int) -> None:
        raise NotImplementedError

    def submit(self, event: Input) -> None:
        self.inputs.append(event)
        task = asyncio.get_running_loop().create_task(self._wake())
        self._wakers.add(task)
        task.add_done_callback(self._wakers.discard)

    async def _wake(self) -> None:
        async with self._news:
            self._news.notify_all()

    async def submitted(self, event: Input) -> None:
        if isinstance(event, PeerOpened):
            await self._met(event)
            return
        self.submit(event)
        self.handling += 1
        self.handling_most = max(self.handling_most, self.handling)
        try:
            if self.gate is None:
                await asyncio.sleep(0)
            else:
                await self.gate.wait()
        finally:
            self.handling -= 1

    async def _met(self, event: PeerOpened) -> None:
        if self.hall is not None:
            await self.hall.wait()
        self.submit(event)
        await asyncio.sleep(0)

    async def until(self, kind: type[I], count: int = 1, where: Callable[[I], bool] = lambda _: True) -> list[I]:
        """Wait until `count` inputs of this kind have come, and return all there are."""

        def found() -> list[I]:
            return [event for event in self.inputs if isinstance(event, kind) and where(event)]

        try:
            async with asyncio.timeout(PATIENCE_S), self._news:
                await self._news.wait_for(lambda: len(found()) >= count)
        except TimeoutError:
            came = "; ".join(repr(event)[:120] for event in self.inputs[-30:])
            raise AssertionError(f"no {count} {kind.__name__}; the last that came: {came}") from None
        return found()

    def said(self) -> list[bytes]:
        return [event.message for event in self.inputs if isinstance(event, PeerSaid)]

    def check_welcome(self, address: str, dialect: Dialect) -> None:
        """Counts as the node does: it knows of those only of whom it was told."""
        if self.unwelcome is not None:
            raise RuleViolation(self.unwelcome, f"{address} in {dialect}")
        closed = {event.peer for event in self.inputs if isinstance(event, PeerClosed)}
        opened = [event for event in self.inputs if isinstance(event, PeerOpened) and event.peer not in closed]
        inbound = [event for event in opened if event.dialled is None and event.dialect is dialect]
        limits = self.limits
        most = limits.native_inbound_peers if dialect is Dialect.NATIVE else limits.classic_inbound_peers
        if len(inbound) >= most:
            raise RuleViolation(Rule.PEERS_WITHIN_LIMIT, f"{most} of them have dialled us")

    async def post(self, data: str) -> Block:
        raise NotImplementedError

    async def post_records(self, records: Sequence[Record]) -> Sequence[Known]:
        raise NotImplementedError

    async def post_and_wait(self, record: Record, wait_ms: int) -> Block | Known:
        raise NotImplementedError

    async def erase(self, id: str) -> None:
        raise NotImplementedError

    async def add_peer(self, address: str) -> None:
        raise NotImplementedError

    async def remove_peer(self, address: str) -> None:
        raise NotImplementedError

    async def ban(self, subject: str) -> None:
        raise NotImplementedError

    async def unban(self, subject: str) -> None:
        raise NotImplementedError

    def banned(self) -> Sequence[Banned]:
        raise NotImplementedError

    def connected(self) -> Sequence[str]:
        raise NotImplementedError

    def status(self) -> Status:
        raise NotImplementedError


class Porch(asyncio.Protocol):
    """The least of an HTTP server: reads a head, knocks, and passes everything on."""

    def __init__(self, door: Door, speaks: Dialect) -> None:
        """Where classic is spoken, what is offered is not looked at, as in a node of the book."""
        self._door = door
        self._ignored = "sec-websocket-protocol" if speaks is Dialect.CLASSIC else None
        self._head = bytearray()
        self._visitor: PeerSocket | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is not derived from it

    def data_received(self, data: bytes) -> None:
        if self._visitor is not None:
            self._visitor.data_received(data)
            return
        self._head += data
        head, end, rest = bytes(self._head).partition(b"\r\n\r\n")
        if not end:
            return
        assert self._transport is not None
        lines = head.decode().split("\r\n")
        headers = [(line.partition(":")[0].lower(), line.partition(":")[2].strip()) for line in lines[1:]]
        headers = [(name, value) for name, value in headers if name != self._ignored]
        try:
            self._visitor = self._door.knock(lines[0].split()[1], headers, self._transport)
        except RuleViolation as violation:
            self._transport.write(f"HTTP/1.1 400 {violation.rule}\r\ncontent-length: 0\r\n\r\n".encode())
            self._transport.close()
            return
        if rest:
            self._visitor.data_received(rest)

    def eof_received(self) -> None:
        if self._visitor is not None:
            self._visitor.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._visitor is not None:
            self._visitor.connection_lost(exc)

    def pause_writing(self) -> None:
        if self._visitor is not None:
            self._visitor.pause_writing()

    def resume_writing(self) -> None:
        if self._visitor is not None:
            self._visitor.resume_writing()


@dataclass
class Node:
    """A hub that listens, and the ledger that it talks to."""

    hub: Hub
    ledger: RecordingLedger
    port: int
    scheme: str = "ws"

    @property
    def address(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def admits(self, peer: int) -> None:
        """The core was satisfied with this native peer's handshake."""
        self.hub.perform(Admit(peer))

    async def dials(self, address: str) -> PeerOpened:
        before = len([event for event in self.ledger.inputs if isinstance(event, PeerOpened)])
        self.hub.perform(Dial(address))
        return (await self.ledger.until(PeerOpened, before + 1))[-1]

    async def fails_to_dial(self, address: str) -> str:
        before = len([event for event in self.ledger.inputs if isinstance(event, DialFailed)])
        self.hub.perform(Dial(address))
        failed = (await self.ledger.until(DialFailed, before + 1))[-1]
        assert failed.address == address
        return failed.reason

    def socket(self, peer: int) -> PeerSocket:
        return self.hub._sockets[peer]

    def loop_task(self, coroutine: Coroutine[None, None, T]) -> asyncio.Task[T]:
        return asyncio.get_running_loop().create_task(coroutine)

    async def until(self, true: Callable[[], bool]) -> None:
        """Turn the loop until something is true that nobody announces."""
        async with asyncio.timeout(PATIENCE_S):
            while not true():  # noqa: ASYNC110 - no event tells of it, and no time passes in a sleep of nothing
                await asyncio.sleep(0)

    async def closed(self) -> PeerClosed:
        return (await self.ledger.until(PeerClosed))[0]


def _anything(address: str, ip: str) -> None:
    del address, ip


@asynccontextmanager
async def node(
    limits: Limits | None = None,
    reader: ListReader | None = None,
    judge: Callable[[str, str], None] = _anything,
    is_ours: Callable[[str, int], bool] = lambda _ip, _port: False,
    resolve: Resolve = resolved,
    *,
    speaks: Dialect = Dialect.NATIVE,
    classic_ok: bool = True,
    serves_tls: ssl.SSLContext | None = None,
    dials_tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Node]:
    """A listening hub; afterwards every PeerOpened must have had exactly one PeerClosed, and nothing after it."""
    ledger = RecordingLedger(limits=limits or Limits(), reader=reader or ListReader())
    hub = Hub(ledger, Dialer(ledger.limits, judge, is_ours, resolve, tls=dials_tls, classic_ok=classic_ok))
    door = Door(hub)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Porch(door, speaks), "127.0.0.1", 0, ssl=serves_tls)
    try:
        yield Node(hub, ledger, server.sockets[0].getsockname()[1], "wss" if serves_tls else "ws")
    finally:
        for closed in (ledger.gate, ledger.hall):
            if closed is not None:
                closed.set()
        server.close()
        await hub.close(grace_s=10)
        _check_order(ledger.inputs)


def _check_order(inputs: Sequence[Input]) -> None:
    closed: set[int] = set()
    opened: set[int] = set()
    for event in inputs:
        peer = getattr(event, "peer", None)
        if peer is None:
            continue
        assert peer not in closed, f"{event} after PeerClosed"
        if isinstance(event, PeerOpened):
            assert peer not in opened
            opened.add(peer)
        assert peer in opened, f"{event} before PeerOpened"
        if isinstance(event, PeerClosed):
            closed.add(peer)
    assert opened == closed


class RawPeer:
    """A client that says what it is told to, byte for byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, dialect: Dialect) -> None:
        self.reader, self.writer = reader, writer
        offered = [Subprotocol(dialect)] if dialect is Dialect.NATIVE else None
        self.wire = ClientProtocol(parse_uri("ws://localhost/"), subprotocols=offered, max_size=None)
        self._opcode = Opcode.BINARY if dialect is Dialect.NATIVE else Opcode.TEXT
        self._frames: list[Frame] = []

    async def handshake(self, extra: bytes = b"") -> None:
        """Shake hands; `extra` goes out in the same write."""
        self.wire.send_request(self.wire.connect())
        self.writer.write(b"".join(self.wire.data_to_send()) + extra)
        self.wire.receive_data(await patience(self.reader.readuntil(b"\r\n\r\n")))
        assert self.wire.handshake_exc is None, self.wire.handshake_exc
        self.wire.events_received()

    def send(self, data: bytes) -> None:
        if not self.writer.is_closing():
            self.writer.write(data)

    def text(self, text: bytes) -> None:
        self.send(frame(Opcode.TEXT, text))

    def say(self, message: bytes) -> None:
        """In a frame of the kind that its dialect has."""
        self.send(frame(self._opcode, message))

    async def next_frame(self) -> Frame:
        while not self._frames:
            data = await patience(self.reader.read(2**16))
            if not data:
                raise EOFError
            self.wire.receive_data(data)
            self._frames += [event for event in self.wire.events_received() if isinstance(event, Frame)]
        return self._frames.pop(0)

    async def next_message(self) -> bytes:
        """The next message, fragments joined; everything else is passed over."""
        message = b""
        while True:
            got = await self.next_frame()
            if got.opcode in {self._opcode, Opcode.CONT}:
                message += got.data
                if got.fin:
                    return message

    async def close_code(self) -> Close:
        """Read until we are hung up on, and say how."""
        while True:
            got = await self.next_frame()
            if got.opcode is Opcode.CLOSE:
                return Close.parse(bytes(got.data))

    async def is_cut_off(self) -> None:
        """Read until the end, whatever comes before it."""
        with suppress(ConnectionError):
            while await patience(self.reader.read(2**20)):
                pass

    def close(self) -> None:
        self.writer.transport.abort()


def frame(opcode: Opcode, data: bytes, *, fin: bool = True, rsv1: bool = False) -> bytes:
    """A masked frame, however wrong."""
    serialized = bytearray(Frame(opcode, data, fin).serialize(mask=True))
    serialized[0] |= 0x40 if rsv1 else 0
    return bytes(serialized)


@asynccontextmanager
async def raw_peer(
    port: int, extra: bytes = b"", receive_buffer: int | None = None, dialect: Dialect = Dialect.CLASSIC
) -> AsyncIterator[RawPeer]:
    """An open WebSocket to `port`, spoken by hand."""
    sock = socket.socket()
    if receive_buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.setblocking(False)  # noqa: FBT003 - the standard library's signature
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=sock, limit=2**16)
    peer = RawPeer(reader, writer, dialect)
    try:
        await peer.handshake(extra)
        yield peer
    finally:
        peer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
