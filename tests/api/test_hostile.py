"""Requests nobody should send, byte by byte."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tallystick.model.limits import Limits
from tests.api.serving import LOOPS, close, read_all, run, serving, until
from tests.effort import examples

HOST = b"Host: localhost\r\n"
POST = b"POST /mineBlock HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
BODY = b'{"data": "x"}'
CLOSE = b"Connection: close\r\n"
LAST = b"\r\n0\r\n\r\n"


def statuses(received: bytes) -> list[int]:
    return [int(digits) for digits in re.findall(rb"HTTP/1\.1 ([0-9]{3}) [A-Z]", received)]


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        pytest.param(b"\r\n\r\n", 400, id="nothing"),
        pytest.param(b"garbage\r\n\r\n", 400, id="no request line"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, id="TLS"),
        pytest.param(b"GET / HTTP/9.9\r\n" + HOST + b"\r\n", 400, id="unknown version"),
        pytest.param(b"GET /\r\n\r\n", 400, id="HTTP/0.9"),
        pytest.param(b"BREW / HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n", 405, id="bad method"),
        pytest.param(b"get / HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n", 405, id="method in lower case"),
        pytest.param(b"G\x00T / HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n", 400, id="NUL in the method"),
        pytest.param(b"GET /\x00 HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n", 400, id="NUL in the path"),
        pytest.param(b"GET /%00 HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n", 404, id="encoded NUL in the path"),
        pytest.param(b"GET /\xff HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n", 400, id="bytes in the path"),
        pytest.param(b"GET /../../etc/passwd HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n", 404, id="traversal"),
        pytest.param(b"GET /blocks/..%2f..%2fetc HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n", 404, id="encoded traversal"),
        pytest.param(b"GET /%0d%0aX:y HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n", 404, id="CRLF in the path"),
        pytest.param(b"GET http://evil/ HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n", 400, id="absolute form"),
        pytest.param(b"GET ?x HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n", 400, id="no path"),
        pytest.param(
            b"GET ?x HTTP/1.1\r\nUpgrade: websocket\r\n" + HOST + CLOSE + b"\r\n", 400, id="no path, and a knock"
        ),
        pytest.param(b"OPTIONS * HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n", 400, id="asterisk form"),
        pytest.param(b"CONNECT evil:80 HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n", 400, id="authority form"),
        pytest.param(b"GET / HTTP/1.1\r\n" + CLOSE + b"\r\n", 400, id="no Host"),
        pytest.param(b"GET / HTTP/1.1\r\n" + HOST + HOST + CLOSE + b"\r\n", 400, id="Host twice"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: evil.example\r\n" + CLOSE + b"\r\n", 421, id="foreign Host"),
        pytest.param(b"GET / HTTP/1.1\r\n" + HOST + b"X: a\x00b\r\n" + CLOSE + b"\r\n", 400, id="NUL in a header"),
        pytest.param(b"GET / HTTP/1.1\r\n" + HOST + b"X: a\nY: b\r\n" + CLOSE + b"\r\n", 400, id="LF in a header"),
        pytest.param(b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n b\r\n" + CLOSE + b"\r\n", 400, id="folded header"),
        pytest.param(b"GET / HTTP/1.1\r\n" + HOST + b"no colon\r\n" + CLOSE + b"\r\n", 400, id="no colon"),
        pytest.param(b"GET / HTTP/1.1\r\n" + HOST + b"X : y\r\n" + CLOSE + b"\r\n", 400, id="blank before the colon"),
        pytest.param(b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"y" * 20_000 + b"\r\n\r\n", 431, id="huge head"),
        pytest.param(b"GET /" + b"y" * 20_000 + b" HTTP/1.1\r\n\r\n", 431, id="huge path"),
        pytest.param(POST + b"Content-Length: -1\r\n\r\n", 400, id="negative length"),
        pytest.param(POST + b"Content-Length: +13\r\n\r\n" + BODY, 400, id="signed length"),
        pytest.param(POST + b"Content-Length: 1_3\r\n\r\n" + BODY, 400, id="row 16: underscore in the length"),
        pytest.param(POST + "Content-Length: ١٣\r\n\r\n".encode() + BODY, 400, id="row 16: Arabic digits"),
        pytest.param(POST + b"Content-Length: 0x0d\r\n\r\n" + BODY, 400, id="hexadecimal length"),
        pytest.param(POST + b"Content-Length: 13, 13\r\n\r\n" + BODY, 400, id="list of lengths"),
        pytest.param(POST + b"Content-Length: \r\n\r\n", 400, id="empty length"),
        pytest.param(POST + b"Content-Length: 13\r\nContent-Length: 13\r\n\r\n" + BODY, 400, id="two lengths"),
        pytest.param(POST + b"Content-Length: 99999999999999999999\r\n\r\n", 400, id="absurd length"),
        pytest.param(POST + b"Content-Length: 999999999\r\n\r\n", 413, id="huge body announced"),
        pytest.param(
            POST + b"Content-Length: 13\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, id="length and chunks"
        ),
        pytest.param(POST + b"Transfer-Encoding: gzip\r\n\r\n", 400, id="unknown transfer coding"),
        pytest.param(POST + b"Transfer-Encoding: chunked, identity\r\n\r\n", 400, id="two transfer codings"),
        pytest.param(POST + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400, id="no chunk size"),
        pytest.param(POST + b"Transfer-Encoding: chunked\r\n\r\n-5\r\n", 400, id="negative chunk"),
        pytest.param(POST + b"Transfer-Encoding: chunked\r\n\r\n0xd\r\n" + BODY, 400, id="0x in a chunk size"),
        pytest.param(POST + b"Transfer-Encoding: chunked\r\n\r\n d\r\n" + BODY, 400, id="blank before a chunk size"),
        pytest.param(POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"0" * 100 + b"\r\n", 400, id="endless chunk size"),
        pytest.param(POST + b"Transfer-Encoding: chunked\r\n\r\nfffffffffff\r\n", 413, id="huge chunk announced"),
        pytest.param(
            POST + b"Transfer-Encoding: chunked\r\n\r\nd\r\n" + BODY + b"XX0\r\n\r\n", 400, id="garbage after a chunk"
        ),
        pytest.param(
            POST + b"Transfer-Encoding: chunked\r\n\r\nd\r\n" + BODY + b"\r\n0\r\nX: y\r\n\r\n", 400, id="trailers"
        ),
        pytest.param(
            POST + b"Transfer-Encoding: chunked\r\n\r\nd;a\nb\r\n" + BODY + LAST, 400, id="LF in a chunk extension"
        ),
        pytest.param(
            POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\n" + BODY[:5] + b"\r\n8;\n\r\n" + BODY[5:] + LAST,
            400,
            id="LF in the extension of the second chunk",
        ),
        pytest.param(POST + b"Expect: miracles\r\nContent-Length: 13\r\n\r\n" + BODY, 417, id="unknown expectation"),
    ],
)
@pytest.mark.parametrize("loop", LOOPS)
def test_malformed_requests_are_answered_once_and_bounded(
    request_bytes: bytes, status: int, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """Catalogue row 118: 4xx, bounded, no crash, and nothing after the bad request is taken for another one."""

    async def main() -> None:
        async with serving(Limits(handshake_ms=4_000, request_ms=4_000)) as node:
            received = await node.raw(request_bytes)
            assert statuses(received) == [status], received
            head, _, body = received.partition(b"\r\n\r\n")
            assert b"application/problem+json" in head
            assert json.loads(body)["status"] == status
            assert node.ledger.posted == []
            assert (await node.client.get("/health")).status_code == 200

    run(main(), loop)


@pytest.mark.parametrize("field", [b"X: a\nContent-Length: 49", b"X: a\r\n folded"])
def test_what_follows_a_head_that_can_be_read_in_two_ways_is_no_request(field: bytes) -> None:
    """Whoever ends lines at a lone line feed sees a body there, and would take our second answer for that of his next
    request (RFC 9112, sections 2.2 and 11.2)."""

    async def main() -> None:
        async with serving() as node:
            second = b"GET /status HTTP/1.1\r\n" + HOST + b"\r\n"
            received = await node.raw(b"GET / HTTP/1.1\r\n" + HOST + field + b"\r\n\r\n" + second)
            assert statuses(received) == [400]
            assert b"connection: close" in received

    run(main())


def test_the_first_chunk_of_a_body_that_was_waited_for_is_looked_at_too() -> None:
    async def main() -> None:
        async with serving() as node:
            head = POST + b"Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
            received = await node.raw(head + b"d;a\nb\r\n" + BODY + LAST)
            assert statuses(received) == [100, 400]
            received = await node.raw(head.replace(b"\r\n", b"\r\n" + CLOSE, 1) + b"d\r\n" + BODY + LAST)
            assert statuses(received) == [100, 200]

    run(main())


def test_a_body_in_chunks_is_a_body() -> None:
    async def main() -> None:
        async with serving() as node:
            chunks = b"".join(b"1;ext=x\r\n%c\r\n" % byte for byte in BODY)
            received = await node.raw(POST + CLOSE + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")
            assert statuses(received) == [200]

    run(main())


@pytest.mark.parametrize("loop", LOOPS)
def test_a_body_over_the_limit_is_413_however_it_comes(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """Catalogue row 118: huge body."""

    async def main() -> None:
        async with serving(Limits(request_body_bytes=1_000)) as node:
            assert (await node.post(b'{"data": "' + b"x" * 988 + b'"}')).status_code == 200
            assert statuses(await node.raw(POST + b"Content-Length: 1001\r\n\r\n" + b"x" * 1_001)) == [413]
            chunk = b"190\r\n" + b"x" * 400 + b"\r\n"
            assert statuses(await node.raw(POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 3)) == [413]

    run(main(), loop)


def test_a_client_that_waits_for_100_continue_gets_it() -> None:
    async def main() -> None:
        async with serving() as node:
            reader, writer = await node.connect()
            writer.write(POST + CLOSE + b"Expect: 100-continue\r\nContent-Length: 13\r\n\r\n")
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(BODY)
            assert statuses(await read_all(reader)) == [200]
            await close(writer)

    run(main())


def test_pipelined_requests_are_answered_in_order() -> None:
    """Catalogue row 118: pipelining."""

    async def main() -> None:
        async with serving() as node:
            posts = [POST + b"Content-Length: 14\r\n\r\n" + b'{"data": "%02d"}' % number for number in range(50)]
            last = b"GET /blocks/x HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n"
            received = await node.raw(b"".join(posts) + last)
            assert statuses(received) == [200] * 50 + [404]
            assert node.ledger.posted == [f"{number:02}" for number in range(50)]

    run(main())


def test_a_body_nobody_asked_for_is_not_the_next_request() -> None:
    async def main() -> None:
        async with serving() as node:
            smuggled = b"GET /blocks HTTP/1.1\r\n" + HOST + b"\r\n"
            first = b"GET /health HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % len(smuggled) + smuggled
            last = b"GET /ready HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n"
            received = await node.raw(first + last)
            assert statuses(received) == [200, 200]
            assert b"genesis" not in received

    run(main())


@pytest.mark.parametrize("rest", [b"5\r\n", b"0\r\n", b"0;a=b\r\n\r"], ids=["no chunk", "no end", "half an end"])
def test_whoever_stops_within_chunks_is_ended(rest: bytes) -> None:
    """Catalogue row 118. It would hold its connection, and a place for long bodies, as long as it likes."""

    async def main() -> None:
        async with serving(Limits(request_ms=300)) as node:
            ended = await node.raw(POST + b"Transfer-Encoding: chunked\r\n\r\n" + rest)
            assert statuses(ended) == [408]
            await until(lambda: node.server.connections == 0)

    run(main())


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(
    ("start", "status"),
    [
        pytest.param(b"", None, id="says nothing"),
        pytest.param(b"G", 408, id="half a method"),
        pytest.param(b"GET /blocks HTTP/1.1\r\nHost: localhost\r\nX: ", 408, id="half a head"),
        pytest.param(POST + b"Content-Length: 1000\r\n\r\n{", 408, id="half a body"),
        pytest.param(POST + b"Transfer-Encoding: chunked\r\n\r\n3e8\r\n{", 408, id="half a chunk"),
    ],
)
def test_byte_by_byte_senders_are_ended(
    start: bytes, status: int | None, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """Catalogue rows 31 and 118: slowloris. Bytes keep arriving, and buy no time."""

    async def main() -> None:
        async with serving(Limits(handshake_ms=200, request_ms=300)) as node:
            reader, writer = await node.connect()
            writer.write(start)
            ended = asyncio.create_task(read_all(reader))
            while not ended.done():
                if status is not None:
                    writer.write(b"x")
                await asyncio.wait([ended], timeout=0.02)
            assert statuses(ended.result()) == ([] if status is None else [status])
            await until(lambda: node.server.connections == 0)
            await close(writer)

    run(main(), loop)


def test_a_body_after_a_refusal_is_not_waited_for_for_ever() -> None:
    async def main() -> None:
        async with serving(Limits(handshake_ms=200, request_ms=300)) as node:
            request = POST.replace(b"localhost", b"evil.example") + b"Content-Length: 1000\r\n\r\n{"
            assert statuses(await node.raw(request)) in ([421], [421, 408])

    run(main())


@pytest.mark.parametrize("loop", LOOPS)
def test_a_resting_connection_is_closed_without_a_word(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main() -> None:
        async with serving(Limits(keep_alive_ms=100)) as node:
            received = await node.raw(b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n")
            assert statuses(received) == [200]

    run(main(), loop)


def reader_transport(writer: asyncio.StreamWriter) -> asyncio.Transport:
    return cast("asyncio.Transport", writer.transport)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_client_that_stops_reading_is_cut_off(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main() -> None:
        async with serving(Limits(page_blocks=10, outbox_stall_ms=200)) as node:
            node.ledger.mine_many(3_000, "x" * 10_000)
            reader, writer = await node.connect()
            reader_transport(writer).pause_reading()
            writer.write(b"GET /blocks HTTP/1.1\r\n" + HOST + b"\r\n")
            await until(lambda: node.ledger.reader.pages_read > 1)
            await until(lambda: node.server.connections == 0)
            assert node.ledger.reader.pages_read < 300
            reader_transport(writer).resume_reading()
            assert not (await read_all(reader)).endswith(b"0\r\n\r\n")
            await close(writer)

    run(main(), loop)


def test_a_client_that_hangs_up_while_we_work_leaves_nothing_behind() -> None:
    async def main() -> None:
        async with serving() as node:
            node.ledger.hold = asyncio.Event()
            _, writer = await node.connect()
            writer.write(POST + b"Content-Length: 13\r\n\r\n" + BODY)
            await node.ledger.posting.wait()
            writer.transport.abort()
            await until(lambda: node.server.connections == 0)
            node.ledger.hold.set()
            assert (await node.client.get("/health")).status_code == 200

    run(main())


PARTS = [POST, HOST, b"\r\n", BODY, b"GET / HTTP/1.1\r\n", b"Content-Length: 13\r\n"]


@settings(max_examples=examples(25))
@given(st.lists(st.binary(max_size=40) | st.sampled_from(PARTS), max_size=8))
def test_any_bytes_end_in_answers_or_nothing(pieces: list[bytes]) -> None:
    """Catalogue row 118."""

    async def main() -> None:
        async with serving() as node:
            received = await node.raw(b"".join(pieces), end=True)
            assert all(status == 200 or 400 <= status < 500 for status in statuses(received))
            assert (await node.client.get("/health")).status_code == 200

    run(main())
