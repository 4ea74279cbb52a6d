"""The port: taken, crowded, and given back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import httpx
import pytest

from tallystick.api.access import Access
from tallystick.api.protocol import Crowd, NodeProtocol, counted_address
from tallystick.api.server import listen
from tallystick.errors import ConfigError
from tallystick.model.limits import LIMITS, Limits
from tests.api.fake_ledger import FakeLedger
from tests.api.serving import LOOPS, close, read_all, run, serving, unresolved, until


@pytest.mark.parametrize("loop", LOOPS)
def test_a_taken_port_is_named(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main() -> None:
        async with serving() as node:
            port = node.server.port
            assert port > 0
            with pytest.raises(ConfigError, match=f"port {port} on 127.0.0.1 is taken"):
                await listen(Access("127.0.0.1", port), resolve=unresolved)
            assert (await node.client.get("/health")).status_code == 200

    run(main(), loop)


@pytest.mark.parametrize(
    ("host", "message"), [("192.0.2.1", "no address of this machine"), ("no such host", "does not resolve")]
)
def test_an_address_that_is_not_here_is_named(host: str, message: str) -> None:
    async def main() -> None:
        with pytest.raises(ConfigError, match=message):
            await listen(Access(host, 0, open=True), resolve=unresolved)

    run(main())


def test_a_name_and_ipv6_can_be_listened_on() -> None:
    async def main() -> None:
        async with serving(access=Access("localhost", 0)) as node:
            assert node.server.host in {"127.0.0.1", "::1"}
        with contextlib.suppress(ConfigError):  # where there is no IPv6
            async with serving(access=Access("::1", 0)) as node, httpx.AsyncClient(trust_env=False) as client:
                assert (await client.get(f"http://[::1]:{node.server.port}/health")).status_code == 200

    run(main())


def test_several_nodes_live_in_one_process() -> None:
    async def main() -> None:
        async with serving() as one, serving() as two, serving() as three:
            one.ledger.mine("only here")
            lengths = [len((await node.client.get("/blocks")).json()) for node in (one, two, three)]
            assert lengths == [2, 1, 1]

    run(main())
    run(main())


@pytest.mark.parametrize("loop", LOOPS)
def test_what_is_under_way_is_finished_and_what_rests_is_closed(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def main() -> None:
        async with serving() as node:
            node.ledger.hold = asyncio.Event()
            resting, resting_writer = await node.connect()
            resting_writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await resting.readuntil(b"}")
            silent, silent_writer = await node.connect()
            await until(lambda: node.server.connections == 2)
            post = asyncio.create_task(node.post(b'{"data": "x"}'))
            await node.ledger.posting.wait()
            stopping = asyncio.create_task(node.server.stop(15))
            assert await resting.read() == b""
            assert await silent.read() == b""
            with pytest.raises(httpx.ConnectError):
                async with httpx.AsyncClient(trust_env=False) as client:
                    await client.get(f"http://127.0.0.1:{node.server.port}/health")
            assert not stopping.done()
            node.ledger.hold.set()
            answer = await post
            assert (answer.status_code, answer.headers["connection"]) == (200, "close")
            await stopping
            await close(resting_writer)
            await close(silent_writer)

    run(main(), loop)


def test_requests_that_come_while_it_stops_are_told_so() -> None:
    async def main() -> None:
        async with serving() as node:
            node.ledger.hold = asyncio.Event()
            reader, writer = await node.connect()
            head = b"POST /mineBlock HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            writer.write(head + b"Content-Length: 13\r\n\r\n" + b'{"data": "x"}')
            await node.ledger.posting.wait()
            late, late_writer = await node.connect()
            late_writer.write(b"GET /ready HTTP/1.1\r\n")
            await until(lambda: node.server.connections == 2)
            for _ in range(20):
                await asyncio.sleep(0)
            stopping = asyncio.create_task(node.server.stop(15))
            await asyncio.sleep(0)
            late_writer.write(b"Host: localhost\r\n\r\n")
            received = await read_all(late)
            assert received.startswith(b"HTTP/1.1 503 ")
            assert b"connection: close" in received
            node.ledger.hold.set()
            assert b" 200 OK" in await read_all(reader)
            await stopping
            await close(writer)
            await close(late_writer)

    run(main())


@pytest.mark.parametrize("loop", LOOPS)
def test_the_grace_ends(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main() -> None:
        async with serving() as node:
            node.ledger.hold = asyncio.Event()
            post = asyncio.create_task(node.post(b'{"data": "x"}'))
            await node.ledger.posting.wait()
            await node.server.stop(0.05)
            assert node.server.connections == 0
            with pytest.raises(httpx.TransportError):
                await post
            with pytest.raises(ConnectionError):
                await node.connect()

    run(main(), loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_crowd_is_told_to_come_back(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """Catalogue rows 31 and 32: connection flood."""

    async def main() -> None:
        async with serving(Limits(connections=3)) as node:
            crowd = [await node.connect() for _ in range(3)]
            await until(lambda: node.server.connections == 3)
            for _ in range(20):
                received = await node.raw(b"")
                assert received.startswith(b"HTTP/1.1 503 ")
                assert b"retry-after" in received
            assert node.server.connections == 3
            await close(crowd[0][1])
            await until(lambda: node.server.connections == 2)
            assert (await node.client.get("/health")).status_code == 200
            for _, writer in crowd:
                await close(writer)

    run(main(), loop)


def test_one_address_cannot_take_all_the_room() -> None:
    """Catalogue rows 32 and 118. Loopback is counted in all only."""

    async def main() -> None:
        crowd = Crowd(Limits(connections=10, connections_per_address=2))
        async with serving() as node:
            protocols = iter([object.__new__(NodeProtocol) for _ in range(20)])
            assert node is not None
            inside = [next(protocols), next(protocols)]
            assert [crowd.enter(protocol, "a") for protocol in inside] == [True, True]
            assert not crowd.enter(next(protocols), "a")
            assert crowd.enter(next(protocols), "b")
            assert all(crowd.enter(next(protocols), "") for _ in range(7))
            assert not crowd.enter(next(protocols), "")
            crowd.leave(inside[0], "a")
            assert crowd.enter(next(protocols), "a")
            crowd.leave(inside[1], "a")

    run(main())


@pytest.mark.parametrize(
    ("peername", "same_as"),
    [
        (("127.0.0.1", 1), ("127.0.0.2", 2)),
        (("::1", 1, 0, 0), ("::ffff:127.0.0.1", 2, 0, 0)),
        (("8.8.8.8", 1), ("8.8.8.8", 2)),
        (("2001:db8::1", 1, 0, 0), ("2001:db8::ffff:1:2", 2, 0, 0)),
    ],
)
def test_which_connections_count_together(peername: tuple[str, int], same_as: tuple[str, int]) -> None:
    assert counted_address(peername) == counted_address(same_as)
    assert (counted_address(peername) == "") == (peername[0] in {"127.0.0.1", "::1"})


def test_nothing_is_listened_to_before_it_is_served() -> None:
    async def main() -> None:
        server = await listen(Access("127.0.0.1", 0), LIMITS, resolve=unresolved)
        ledger = FakeLedger()
        server.open(ledger, None)
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(f"http://127.0.0.1:{server.port}/ready")).status_code == 200
        await server.stop(1)
        await server.stop(1)  # twice does no harm

    run(main())
