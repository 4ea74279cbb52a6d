"""One connection to the node's port: an HTTP client, or a peer on its way in.

Sanic reads the requests and writes the answers; here a peer's connection is given to the door. The crowd
takes `Limits.connections`, and `connections_per_address` from one address that is not loopback.

No connection has a timer. Its server calls `look` about once a second for each (see `patience`), so that
a request on the hot path pays nothing for its deadlines.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from types import SimpleNamespace
from typing import Final, NamedTuple, cast

from sanic import Request, Sanic
from sanic.config import Config
from sanic.exceptions import RequestCancelled, RequestTimeout
from sanic.http.constants import Stage
from sanic.server import HttpProtocol

from tallystick.api.access import Head
from tallystick.api.answers import encode
from tallystick.api.desk import Desk
from tallystick.api.door import Visitor
from tallystick.api.heads import Fields
from tallystick.api.http1 import StrictHttp
from tallystick.api.patience import Doing, Patience, Verdict
from tallystick.api.problems import Fault, Refusal, problem_document
from tallystick.api.requests import names_html
from tallystick.model.limits import SECOND_MS, Limits
from tallystick.wire.addresses import is_loopback, plain

_IPV6_HOST_BITS: Final = 64
"""Of an IPv6 address: what one customer chooses at will (RFC 6177). They count as one address."""

_CROWDED_BODY: Final = encode(
    problem_document(Fault.BUSY, "it has as many connections as it takes, in all or from your address; close some")
)
CROWDED: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\nretry-after: 5\r\n"
    b"connection: close\r\ncontent-length: %d\r\n\r\n%b" % (len(_CROWDED_BODY), _CROWDED_BODY)
)
"""What is said to a connection too many, in plain HTTP."""


class Crowd:
    """All open connections to our port, those still shaking hands on TLS included, and how many come from
    each address."""

    def __init__(self, limits: Limits) -> None:
        self.connections: set[NodeProtocol] = set()
        self.empty = asyncio.Event()
        """Set while there is none."""
        self.empty.set()
        self.large_bodies = asyncio.Semaphore(limits.large_bodies)
        """The right to send a body of more than `Limits.large_body_bytes`."""
        self._limits = limits
        self._of_address: dict[str, int] = {}

    def enter(self, connection: NodeProtocol, address: str) -> bool:
        """Let it in, if there is room. `address` is empty for loopback, which is counted in all only."""
        of_address = self._of_address.get(address, 0)
        if len(self.connections) >= self._limits.connections:
            return False
        if address and of_address >= self._limits.connections_per_address:
            return False
        self.connections.add(connection)
        self._of_address[address] = of_address + 1
        self.empty.clear()
        return True

    def leave(self, connection: NodeProtocol, address: str) -> None:
        """It is gone."""
        self.connections.remove(connection)
        self._of_address[address] -= 1
        if not self._of_address[address]:
            del self._of_address[address]
        if not self.connections:
            self.empty.set()

    def unread_bytes(self) -> int:
        """What waits for clients to read it, all together. Peers have a limit of their own, each."""
        return sum(connection.unread_bytes for connection in self.connections)


class Host(NamedTuple):
    """What the connections of one server share."""

    desk: Desk
    crowd: Crowd


class NodeProtocol(HttpProtocol):
    """One connection that the crowd has let in."""

    HTTP_CLASS = StrictHttp

    __slots__ = (
        "_address",
        "_admitted",
        "_crowd",
        "_desk",
        "_gone",
        "_holds_place",
        "_left",
        "_more",
        "_patience",
        "_served",
        "_told",
        "_visitor",
    )

    def __init__(
        self, *, loop: asyncio.AbstractEventLoop, app: Sanic[Config, SimpleNamespace], host: Host, address: str
    ) -> None:
        """`address` is what the crowd counts it under."""
        super().__init__(loop=loop, app=app)
        self.request_handler = self._serve
        self._desk, self._crowd = host
        self._address = address
        self._left = False
        self._admitted: tuple[str, Fields] | None = None
        """Method and fields of the last head that was found good for whatever it may ask."""
        self._served = 0
        self._patience = Patience(host.desk.limits, host.desk.monotonic())
        self._told = False
        self._holds_place = False
        """It has one of the places for long bodies."""
        self._visitor: Visitor | None = None
        self._gone = asyncio.Event()
        self._more: asyncio.Future[None] | None = None
        """Done once there are more bytes of a request than were read."""

    # --- requests ------------------------------------------------------------------------------

    async def _serve(self, request: Request) -> None:
        """Answer one request; its head was read."""
        admitted = self._admitted
        if admitted is None or admitted[1] is not self._http.fields or admitted[0] != request.method:
            await self._admit(request)
        if self._http.upgrade_websocket and _knocks(request):
            await self._open_door(request)
        else:
            await self._handle(request)
        self._served += 1

    async def _handle(self, request: Request) -> None:
        self._http.take_body_at_hand(request, self._desk.limits.large_body_bytes)
        if self._body_is_large():
            await self._crowd.large_bodies.acquire()
            self._holds_place = True
        try:
            await self.app.handle_request(request)
        finally:  # Sanic keeps the last request and its answer for as long as the connection rests; they may be long
            self.let_go_of_body(request)
        self.count()
        if self._http.response is not None:
            self._http.response.body = None
        if not self._can_write.is_set():
            await self._can_write.wait()  # of requests sent together, the next is for when this answer was read

    def count(self) -> None:
        """The request was answered: tell how long it took. A head that cannot be read took no time."""
        request, response, read_s = self._http.request, self._http.response, self._http.perft0
        if response is not None:
            seconds = 0.0 if read_s is None else perf_counter() - read_s
            path = None if request.route is None else request.route.path
            self._desk.latency.note(path, request.method, response.status, seconds)

    def let_go_of_body(self, request: Request) -> None:
        """The body was read, and is not needed any more: somebody else may send a long one."""
        request.body = b""
        if self._holds_place:
            self._holds_place = False
            self._crowd.large_bodies.release()

    def _body_is_large(self) -> bool:
        """Chunks announce no length: they count as large."""
        http = self._http
        chunked: object = http.request_body  # Sanic writes a word where its types announce a flag
        return http.request_bytes_left > self._desk.limits.large_body_bytes or chunked == "chunked"

    async def _admit(self, request: Request) -> None:
        head = head_of(request)
        try:
            for_any_path = self._desk.gate.judge(head)
        except Refusal as refusal:
            if refusal.fault is Fault.BAD_REQUEST:
                self._http.keep_alive = False  # who reads this head otherwise may see another request behind it
            if refusal.fault is Fault.TOKEN_NEEDED and head.authorizations:
                await asyncio.sleep(self._desk.limits.wrong_token_ms / SECOND_MS)
            self._served += 1
            raise
        self._admitted = (request.method, self._http.fields) if for_any_path else None

    async def _open_door(self, request: Request) -> None:
        """Give the connection to the peers' door, and stay out of the way until it is closed."""
        _ = self._desk.ledger  # nobody is let in before there is one
        if self._desk.door is None:
            raise Refusal(Fault.DOOR_CLOSED, "it runs without a door for peers")
        if self._http.request_body:
            raise Refusal(
                Fault.BAD_REQUEST, "a WebSocket handshake has no body, or it could pass for frames; send none"
            )
        transport = self.transport
        if transport is None or transport.is_closing():
            return
        self._visitor = self._desk.door.knock(request.path, list(request.headers.items()), transport)
        early = bytes(self.recv_buffer)
        self.recv_buffer.clear()
        if not transport.is_closing():
            transport.resume_reading()
        if early:
            self._visitor.data_received(early)
        await self._gone.wait()

    @property
    def unread_bytes(self) -> int:
        """Bytes of answers that the client has not taken yet."""
        return 0 if self.transport is None or self._visitor is not None else self.transport.get_write_buffer_size()

    # --- deadlines -----------------------------------------------------------------------------

    def check_timeouts(self) -> None:
        """Sanic would start a timer here for each connection; `look` takes its place."""

    def look(self, now_s: float) -> None:
        """End this connection if its time is up."""
        if self._visitor is not None or self.transport is None or self.transport.is_closing():
            return
        waiting_bytes = self.transport.get_write_buffer_size()
        match self._patience.look(self._doing(waiting_bytes), self._served, waiting_bytes, now_s):
            case Verdict.CLOSE:
                self.close()
            case Verdict.ABORT:
                self._cut()
            case Verdict.TELL:
                self._end_slow_request()

    def finish(self) -> None:
        """Close once nothing is under way: at once when resting, else after the answer."""
        http = self.http
        if self._visitor is not None:
            return
        if http is None or http.stage is Stage.IDLE:
            self.close()
        else:
            http.keep_alive = False

    def _cut(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def _doing(self, waiting_bytes: int) -> Doing:
        http = self.http
        if waiting_bytes:
            return Doing.TAKING_ANSWER
        if http is None or http.stage is Stage.REQUEST:
            return Doing.SENDING_HEAD
        if getattr(http, "request_body", None):
            return Doing.SENDING_BODY
        if http.stage is Stage.IDLE:
            return Doing.RESTING if self._served else Doing.SENDING_HEAD
        return Doing.WAITING

    def _end_slow_request(self) -> None:
        """Answer 408 if a request has begun; the next look ends what is still there."""
        http = self.http
        if self._told or http is None or http.stage not in {Stage.REQUEST, Stage.HANDLER} or self._task is None:
            self._cut()
            return
        self._told = True
        http.exception = RequestTimeout()
        self._task.cancel()

    # --- asyncio.Protocol ----------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._visitor is not None:
            self._visitor.data_received(data)
            return
        super().data_received(data)
        if self._more is not None and not self._more.done():
            self._more.set_result(None)

    async def send(self, data: bytes) -> None:
        """Write some of an answer, once there is room for it."""
        if not self._can_write.is_set():
            await self._can_write.wait()
        if self.transport is None or self.transport.is_closing():
            raise RequestCancelled
        self.transport.write(data)

    async def receive_more(self) -> None:
        """Wait for bytes. A bare future, for Sanic's event costs four times as much, and each request waits once."""
        if self.transport is not None:
            self.transport.resume_reading()
        self._more = self.loop.create_future()
        await self._more

    def eof_received(self) -> bool | None:
        return self._visitor.eof_received() if self._visitor is not None else None

    def connection_lost(self, exc: Exception | None) -> None:
        self.leave()
        self._gone.set()
        if self._visitor is None:
            super().connection_lost(exc)  # type: ignore[no-untyped-call]  # Sanic is half typed
        else:
            self._visitor.connection_lost(exc)

    def leave(self) -> None:
        """Make room in the crowd: the connection is gone, or never got through its handshake."""
        if not self._left:
            self._left = True
            self._crowd.leave(self, self._address)

    def pause_writing(self) -> None:
        super().pause_writing()  # type: ignore[no-untyped-call]  # Sanic is half typed
        if self._visitor is not None:
            self._visitor.pause_writing()

    def resume_writing(self) -> None:
        super().resume_writing()  # type: ignore[no-untyped-call]  # Sanic is half typed
        if self._visitor is not None:
            self._visitor.resume_writing()


def let_go_of_body(request: Request) -> None:
    """For handlers that wait after they have read the body, as long as their caller likes: it must not take up memory,
    nor a place for long bodies, until then."""
    cast("NodeProtocol", request.protocol).let_go_of_body(request)


def head_of(request: Request) -> Head:
    """What the gate wants to know of a request."""
    headers = request.headers
    return Head(
        raw=request.head,
        method=request.method,
        hosts=headers.getall("host", []),
        origins=headers.getall("origin", []),
        authorizations=headers.getall("authorization", []),
        knocks=_knocks(request),
        names_html=names_html(request),
    )


def _knocks(request: Request) -> bool:
    """Does it ask for the peers' door?"""
    upgrade = request.headers.getone("upgrade", "")
    return upgrade.lower() == "websocket" and request.method == "GET" and request.raw_url.partition(b"?")[0] == b"/"


def counted_address(peername: tuple[str, int] | None) -> str:
    """The address or network a connection counts for; empty for loopback."""
    if peername is None or is_loopback(peername[0]):
        return ""
    address = plain(peername[0])
    return str(address if address.version == 4 else int(address) >> _IPV6_HOST_BITS)  # noqa: PLR2004 - the family
