"""The port over TLS: the same answers, the same door, and nobody who keeps a handshake waiting."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tallystick.model.limits import Limits
from tests.api.serving import LOOPS, Served, close, read_all, run, serving, until
from tests.api.test_door import KNOCK, SWITCHED, FakeDoor
from tests.cli.certificate import certificate


def trusting(authorities: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authorities))


async def connect(node: Served, tls: ssl.SSLContext) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", node.server.port, ssl=tls)


@pytest.mark.parametrize("loop", LOOPS)
def test_everything_is_served_over_tls(loop: Callable[[], asyncio.AbstractEventLoop], tmp_path: Path) -> None:
    cert, context = certificate(tmp_path)

    async def main() -> None:
        door = FakeDoor()
        async with serving(door=door, tls=context) as node:
            url, own = f"https://127.0.0.1:{node.server.port}", {"origin": f"https://127.0.0.1:{node.server.port}"}
            async with httpx.AsyncClient(base_url=url, trust_env=False, verify=trusting(cert)) as client:
                assert (await client.post("/mineBlock", json={"data": "x" * 300_000}, headers=own)).status_code == 200
                assert len((await client.get("/blocks")).json()) == 2
                foreign = {"origin": own["origin"].replace("https", "http")}
                assert (await client.get("/blocks", headers=foreign)).status_code == 403
            reader, writer = await connect(node, trusting(cert))
            writer.write(KNOCK % b"" + b"early")
            assert await reader.readexactly(len(SWITCHED) + 5) == SWITCHED + b"early"
            door.guests[0].transport.write(b"x" * 3_000_000)
            assert await reader.readexactly(3_000_000) == b"x" * 3_000_000
            writer.transport.abort()
            await until(lambda: node.server.connections == 0)
            assert door.guests[0].events.count("lost") == 1

    run(main(), loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_who_speaks_no_tls_gets_nothing(loop: Callable[[], asyncio.AbstractEventLoop], tmp_path: Path) -> None:
    cert, context = certificate(tmp_path)

    async def main() -> None:
        async with serving(tls=context) as node:
            assert b"HTTP" not in await node.raw(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            with pytest.raises(ssl.SSLCertVerificationError):
                await connect(node, ssl.create_default_context())
            _, writer = await connect(node, trusting(cert))
            await close(writer)
            await until(lambda: node.server.connections == 0)

    run(main(), loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_handshake_that_does_not_begin_is_counted_and_given_up(
    loop: Callable[[], asyncio.AbstractEventLoop], tmp_path: Path
) -> None:
    """Catalogue rows 31 and 32: slowloris before TLS takes a place of the crowd, and only for a while."""
    cert, context = certificate(tmp_path)

    async def main() -> None:
        async with serving(Limits(connections=2, handshake_ms=400), tls=context) as node:
            silent = [await node.connect() for _ in range(2)]
            silent[1][1].write(b"\x16\x03\x01")
            await until(lambda: node.server.connections == 2)
            assert await node.raw(b"") == b""
            assert [await read_all(reader) for reader, _ in silent] == [b"", b""]
            await until(lambda: node.server.connections == 0)
            _, writer = await connect(node, trusting(cert))
            await close(writer)
            for _, writer in silent:
                await close(writer)

    run(main(), loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_stopping_waits_for_no_handshake(loop: Callable[[], asyncio.AbstractEventLoop], tmp_path: Path) -> None:
    _, context = certificate(tmp_path)

    async def main() -> None:
        async with serving(tls=context) as node:
            reader, writer = await node.connect()
            await until(lambda: node.server.connections == 1)
            await node.server.stop(15)
            assert await read_all(reader) == b""
            assert node.server.connections == 0
            await close(writer)

    run(main(), loop)
