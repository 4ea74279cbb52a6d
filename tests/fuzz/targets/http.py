"""HTTP connections: whatever is sent, what reaches a handler is what another strict parser (h11) reads at that place.

Else two programs on the way of a request could be made to see different ones (request smuggling). All of a connection
is here but its socket: the protocol of the node's port with Sanic behind it, a transport that keeps what is written,
and an event loop without a clock.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple, NoReturn

import h11
from sanic.http import Http
from sanic.server import AsyncioServer

from tallystick.api import http1 as product
from tallystick.api.access import Access, Gate
from tallystick.api.app import build_app
from tallystick.api.bodies import DATA, text_of
from tallystick.api.desk import Desk
from tallystick.api.protocol import Crowd, Host, NodeProtocol
from tallystick.model.limits import Limits
from tests.api.fake_ledger import FakeLedger
from tests.fuzz.draw import Draw
from tests.fuzz.target import SetAttribute, Target

LIMITS: Final = Limits(request_body_bytes=2_000, large_body_bytes=200)
LONG_S: Final = 10_000.0
"""Longer than anybody's patience."""

LEAST_S: Final = 0.001
"""Time goes on by so much at least: a float that grows by next to nothing does not grow."""

ANSWERS_MOST: Final = 100_000
"""Bytes of all answers to one input: a few kilobytes each, and few inputs hold many requests."""


class Clock:
    """A selector without files: when nothing is to be done, time passes at once; without a timer, the loop stops."""

    def __init__(self, loop: IdleLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            self._loop.stop()
        else:
            self._loop.now_s += max(timeout, LEAST_S)
        return []


class IdleLoop(asyncio.BaseEventLoop):
    """An event loop of no system: it runs what is ready, and time is a number."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.failures: list[dict[str, Any]] = []
        self._selector = Clock(self)
        self.set_exception_handler(lambda _loop, context: self.failures.append(context))

    def time(self) -> float:
        return self.now_s

    def _process_events(self, _events: list[Any]) -> None:
        """There are none."""

    def settle(self) -> None:
        """Run until nothing is to be done any more."""
        self.run_forever()


class Line(asyncio.Transport):
    """The transport of a client that reads everything at once."""

    def __init__(self, loop: IdleLoop, protocol: NodeProtocol) -> None:
        super().__init__({"peername": ("127.0.0.1", 5000), "sockname": ("127.0.0.1", 3001)})
        self._loop, self._protocol = loop, protocol
        self._closing = False
        self.written = bytearray()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self._closing, "it writes after it closed"
        self.written += data

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._loop.call_soon(self._protocol.connection_lost, None)

    abort = close

    def is_closing(self) -> bool:
        return self._closing

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...


class Complaints(logging.Handler):
    """What Sanic notes of its own mistakes, and would only write to a log."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


class Port:
    """A node's port that was never opened."""

    def __init__(self) -> None:
        self.loop = IdleLoop()
        self.complaints = Complaints()
        logging.getLogger("sanic.error").addHandler(self.complaints)
        self.crowd = Crowd(LIMITS)
        self.desk = Desk(
            version="1",
            limits=LIMITS,
            gate=Gate(Access("127.0.0.1", 3001), frozenset({"localhost"})),
            resolve=_unresolved,
            is_ours=lambda _ip, _port: False,
            monotonic=self.loop.time,
            data_size=lambda: None,
            connections=lambda: len(self.crowd.connections),
            unread_bytes=self.crowd.unread_bytes,
            started_s=0,
        )
        self.app = build_app(self.desk)
        self.app.config.TOUCHUP = False
        self.loop.create_task(AsyncioServer(self.app, self.loop, None, set()).startup())
        self.loop.settle()

    def hears(self, pieces: Sequence[bytes]) -> tuple[bytes, FakeLedger]:
        """One connection on which these bytes arrive, and then nothing: what was written, and what was done."""
        ledger = FakeLedger(LIMITS)
        self.desk.opened = ledger
        self.loop.now_s = 0.0
        protocol = NodeProtocol(loop=self.loop, app=self.app, host=Host(self.desk, self.crowd), address="")
        assert self.crowd.enter(protocol, "")
        line = Line(self.loop, protocol)
        protocol.connection_made(line)  # type: ignore[no-untyped-call]  # Sanic is half typed
        for piece in pieces:
            self.loop.settle()
            if not line.is_closing():
                protocol.data_received(piece)
        self.loop.settle()
        for _ in range(3):  # what rests is closed, what is half sent is told, and then cut
            self.loop.now_s += LONG_S
            protocol.look(self.loop.now_s)
            self.loop.settle()
        assert line.is_closing(), "it waits for ever"
        assert not self.crowd.connections
        assert not asyncio.all_tasks(self.loop)
        assert not self.loop._scheduled, "a timer is left"  # type: ignore[attr-defined]
        failures, self.loop.failures = self.loop.failures, []
        assert not failures, failures
        complaints, self.complaints.lines = self.complaints.lines, []
        assert not complaints, complaints
        return bytes(line.written), ledger


async def _unresolved(_host: str, _port: int) -> NoReturn:
    raise OSError("no resolver")


_ports: list[Port] = []


def _port() -> Port:
    """The same for all inputs: making one takes a while."""
    if not _ports:
        _ports.append(Port())
    return _ports[0]


# --- the law --------------------------------------------------------------------------------------------


class Asked(NamedTuple):
    """A request as h11 reads it."""

    method: bytes
    target: bytes
    body: bytes


def one(data: bytes) -> None:
    """One choice, how large the pieces are; then a stream. Its answers are HTTP, and answer what h11 reads there."""
    draw = Draw(data)
    size, stream = draw.pick((1, 7, 64, 10**6)), draw.rest()
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
    written, ledger = _port().hears(pieces)
    assert len(written) <= ANSWERS_MOST
    asked, may_go_on = _read_by_h11(stream)
    statuses = _answers(written, asked)
    assert all(status < 500 for status in statuses), statuses
    served = [at for at, status in enumerate(statuses) if status < 400]
    if may_go_on:  # h11 stops where a Host is missing; we refuse that request, and know where the next one begins
        served = [at for at in served if at < len(asked)]
    assert not served or served[-1] < len(asked), "a request was served that another parser does not see"
    posts = [
        asked[at]
        for at in served
        if (asked[at].method, asked[at].target.partition(b"?")[0]) == (b"POST", b"/mineBlock")
    ]
    posted = ledger.posted[: len(posts)] if may_go_on else ledger.posted
    assert posted == [text_of(each.body, DATA, LIMITS) for each in posts]


def _read_by_h11(stream: bytes) -> tuple[list[Asked], bool]:
    """The whole requests in it, up to the first that h11 refuses; was that for its Host alone?"""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=20_000)
    connection.receive_data(stream)
    asked: list[Asked] = []
    request, body = None, b""
    while True:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError as error:
            return asked, "Host: header" in str(error)
        match event:
            case h11.Request():
                request, body = event, b""
            case h11.Data():
                body += event.data
            case h11.EndOfMessage() if request is not None:
                asked.append(Asked(request.method, request.target, body))
                connection.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
                connection.send(h11.EndOfMessage())
                if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                    return asked, False
                connection.start_next_cycle()
            case _:
                return asked, False


_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


def _answers(written: bytes, asked: Sequence[Asked]) -> list[int]:
    """The status of each answer; each is well-formed, and nothing stands between or after them."""
    statuses: list[int] = []
    while written:
        body = written.removeprefix(_CONTINUE).partition(b"\r\n\r\n")[2]
        is_head = not body or body.startswith(b"HTTP/1.1 ")  # of an answer to HEAD there is the head alone
        at, (status, written) = len(statuses), _answer(written, b"HEAD" if is_head else b"GET")
        statuses.append(status)
        assert status >= 400 or at >= len(asked) or (asked[at].method == b"HEAD") is is_head
    return statuses


def _answer(written: bytes, method: bytes) -> tuple[int, bytes]:
    """The status of the first answer, which is to a request of this method, and what follows it."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(written)
    status = None
    while not isinstance(event := connection.next_event(), h11.EndOfMessage):
        assert event is not h11.NEED_DATA, "an answer is cut off"
        if isinstance(event, h11.Response):
            status = event.status_code
            names = [name for name, _ in event.headers]
            assert len(names) == len(set(names))
    assert status is not None
    return status, connection.trailing_data[0]


# --- where it begins ------------------------------------------------------------------------------------

_HOST: Final = b"Host: localhost\r\n"
_POST: Final = b"POST /mineBlock HTTP/1.1\r\n" + _HOST + b"Content-Type: application/json\r\n"
_BODY: Final = b'{"data": "x"}'


def seeds() -> Iterator[bytes]:
    """Requests one after the other, with lengths and in chunks, whole and cut, and what is no HTTP."""
    post = _POST + b"Content-Length: 13\r\n\r\n" + _BODY
    chunks = (
        _POST + b"Transfer-Encoding: chunked\r\n\r\n5;a=b\r\n" + _BODY[:5] + b"\r\n8\r\n" + _BODY[5:] + b"\r\n0\r\n\r\n"
    )
    get = b"GET /blocks?from=0&limit=2 HTTP/1.1\r\n" + _HOST + b"\r\n"
    streams = (
        post, post + post + get, chunks, chunks + post, get + post, post + b"GET /peers HTTP/1.0\r\n" + _HOST + b"\r\n",
        _POST + b"Expect: 100-continue\r\nContent-Length: 13\r\n\r\n" + _BODY,
        b"HEAD /blocks HTTP/1.1\r\n" + _HOST + b"\r\n",
        _POST + b"Content-Length: 13\r\n\r\n" + _BODY[:5], _POST[:30], b"\r\n" + get, b"\x16\x03\x01", b"GET /\r\n\r\n",
        _POST + b"Connection: close\r\nContent-Length: 13\r\n\r\n" + _BODY + get,
        _POST + b"Content-Length: 13\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        _POST + b"Content-Length: 9999\r\n\r\n", _POST + b"Transfer-Encoding: chunked\r\n\r\n0;a=b\r\n\r",
        b"DELETE /peers/10.0.0.1:1 HTTP/1.1\r\n" + _HOST + b"\r\n", b"GET /status HTTP/1.1\r\n" + _HOST + b"\r\n",
        b"POST /addPeer HTTP/1.1\r\n" + _HOST + b'Content-Type: application/json\r\nContent-Length: 22\r\n\r\n{"peer":"ws://1.2.3.4"}',
        b"GET / HTTP/1.1\r\n" + _HOST + b"Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n\x81\x80mask",
        _POST + b"Content-Length: 300\r\n\r\n" + b'{"data":"' + b"y" * 289 + b'"}',
    )  # fmt: skip
    for number, stream in enumerate(streams):
        yield bytes([3 if number else 0]) + stream
    yield b"\1" + chunks + post


def plant(put: SetAttribute) -> None:
    """A chunk may end anywhere, as Sanic has it."""
    put(product.StrictHttp, "read", Http.read)


TARGET: Final = Target(
    one=one,
    seeds=seeds,
    plant=plant,
    dictionary=(_HOST, _POST, _BODY, b"Transfer-Encoding: chunked\r\n", b"Content-Length: 13\r\n", b"\r\n0\r\n\r\n",
    b"Connection: close\r\n",
                b"Connection: keep-alive\r\n", b"Expect: 100-continue\r\n", b" HTTP/1.0\r\n", b"HEAD /blocks",
                b";x=y", b";a\nb", b"X: a\nContent-Length: 5\r\n", b"\r\n\r\n"),
    size_bytes=1_500,
    runs=1_000,
)  # fmt: skip
