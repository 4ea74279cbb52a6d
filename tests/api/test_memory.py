"""How much memory clients can make a node hold: a bounded number of long bodies, a bounded amount of unread answers."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import Callable

import pytest

from tallystick.model.limits import KIB, MIB, Limits
from tests.api.serving import LOOPS, Served, close, read_all, run, serving, until
from tests.api.test_hostile import HOST, POST, reader_transport, statuses

LATEST = b"GET /blocks/latest HTTP/1.1\r\n" + HOST
LONG = b'{"data": "' + b"x" * 4_000 + b'"}'
FRAMINGS = [
    pytest.param(b"Content-Length: %d\r\n\r\n" % len(LONG) + LONG[:-1], LONG[-1:], id="length"),
    pytest.param(
        b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(LONG) + LONG[:-1], LONG[-1:] + b"\r\n0\r\n\r\n", id="chunks"
    ),
]


async def unread(node: Served, requests: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A client that sends requests and reads no answer."""
    reader, writer = await node.connect()
    reader_transport(writer).pause_reading()
    writer.write(requests)
    return reader, writer


@pytest.mark.parametrize(("most", "rest"), FRAMINGS)
@pytest.mark.parametrize("loop", LOOPS)
def test_so_many_long_bodies_are_received_at_a_time(
    most: bytes, rest: bytes, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """Catalogue row 109. Short ones pass by; the next long one is for when one is done."""

    async def main() -> None:
        async with serving(Limits(large_body_bytes=1_000, large_bodies=2)) as node:
            slow = [await node.connect() for _ in range(2)]
            for _, writer in slow:
                writer.write(POST + b"Expect: 100-continue\r\n" + most)
            for reader, _ in slow:
                await reader.readuntil(b"100 Continue\r\n\r\n")
            waits = asyncio.create_task(node.post(LONG))
            for _ in range(20):
                assert (await node.post(b'{"data": "short"}')).status_code == 200
            assert not waits.done()
            slow[0][1].write(rest)
            assert (await waits).status_code == 200
            assert statuses(await slow[0][0].readuntil(b"}")) == [200]
            slow[1][1].transport.abort()
            assert (await node.post(LONG)).status_code == 200
            await close(slow[0][1])

    run(main(), loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_body_that_waits_its_turn_has_the_deadline_of_every_body(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def main() -> None:
        async with serving(Limits(large_body_bytes=1_000, large_bodies=1, request_ms=400)) as node:
            both = [await node.connect() for _ in range(2)]
            for _, writer in both:
                writer.write(POST + b"Content-Length: 4000\r\n\r\n{")
            for reader, writer in both:
                assert statuses(await read_all(reader)) == [408]
                await close(writer)
            assert (await node.post(LONG)).status_code == 200

    run(main(), loop)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("path", ["/blocks/latest", "/blocks?from=1", "/blocks/1"])
def test_long_answers_are_refused_while_too_much_is_unread(
    path: str, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """Catalogue rows 109 and 119. What is short is answered, whatever others do."""

    async def main() -> None:
        async with serving(Limits(unread_answers_bytes=MIB)) as node:
            node.ledger.mine("x" * 16 * MIB)
            reader, writer = await unread(node, LATEST + b"Connection: close\r\n\r\n")
            await until(lambda: node.server.unread_bytes > MIB)
            busy = await node.client.get(path)
            assert busy.status_code == 503
            assert int(busy.headers["retry-after"]) > 0
            assert (await node.client.get("/blocks/0")).status_code == 200
            assert (await node.post(b'{"data": "x"}')).status_code == 200
            reader_transport(writer).resume_reading()
            assert statuses((await reader.read())[:KIB]) == [200]
            assert (await node.client.get(path)).status_code == 200
            await close(writer)

    run(main(), loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_an_answer_is_made_when_the_one_before_was_read(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """Catalogue row 118: pipelining must not pile up answers."""

    async def main() -> None:
        async with serving() as node:
            node.ledger.mine("x" * 8 * MIB)
            reader, writer = await unread(node, (LATEST + b"\r\n") * 3 + LATEST + b"Connection: close\r\n\r\n")
            await until(lambda: node.server.unread_bytes > 0)
            for _ in range(20):
                assert (await node.client.get("/health")).status_code == 200
            assert node.server.unread_bytes < 9 * MIB
            reader_transport(writer).resume_reading()
            assert statuses(await reader.read()) == [200] * 4
            await close(writer)

    run(main(), loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_connection_that_rests_keeps_neither_its_last_request_nor_the_answer(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def main() -> None:
        async with serving() as node:
            reader, writer = await node.connect()
            tracemalloc.start()
            writer.write(POST + b"Content-Length: %d\r\n\r\n" % (2 * MIB))
            writer.write(b'{"data": "' + b"x" * (2 * MIB - 12) + b'"}')
            assert b" 413 " in await reader.readuntil(b"}")
            del node.ledger.posted[:]
            gc.collect()
            kept_bytes, _ = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert kept_bytes < MIB
            await close(writer)

    run(main(), loop)
