"""The peers' door: one port, two trades."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from tallystick.api.access import Access
from tallystick.api.door import Headers
from tallystick.errors import Rule, RuleViolation
from tallystick.model.limits import Limits
from tests.api.serving import LOOPS, close, run, serving, until

SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
KNOCK = b"GET / HTTP/1.1\r\nHost: node\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nX-Case: Kept\r\n%b\r\n"


@dataclass
class Guest:
    """Says back what it hears, and remembers all that happened."""

    transport: asyncio.Transport
    events: list[object] = field(default_factory=list)
    lingers: bool = False

    def data_received(self, data: bytes) -> None:
        self.events.append(data)
        self.transport.write(data)

    def eof_received(self) -> bool | None:
        self.events.append("eof")
        self.transport.write(b"bye")
        return self.lingers

    def connection_lost(self, exc: Exception | None) -> None:
        self.events.append("lost")

    def pause_writing(self) -> None:
        self.events.append("pause")

    def resume_writing(self) -> None:
        self.events.append("resume")


@dataclass
class FakeDoor:
    refuses_with: Exception | None = None
    guests: list[Guest] = field(default_factory=list)
    heads: list[tuple[str, Headers]] = field(default_factory=list)

    def knock(self, path: str, headers: Headers, transport: asyncio.Transport) -> Guest:
        self.heads.append((path, headers))
        if self.refuses_with is not None:
            raise self.refuses_with
        transport.write(SWITCHED)
        self.guests.append(Guest(transport))
        return self.guests[-1]


@pytest.mark.parametrize("loop", LOOPS)
def test_a_peer_is_handed_over_with_all_it_has_said(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main() -> None:
        door = FakeDoor()
        async with serving(door=door) as node:
            reader, writer = await node.connect()
            writer.write(KNOCK % b"" + b"early")
            assert await reader.readexactly(len(SWITCHED)) == SWITCHED
            assert await reader.readexactly(5) == b"early"
            writer.write(b"GET / HTTP/1.1\r\n\r\n")  # a peer's bytes are nobody's requests
            assert await reader.readexactly(18) == b"GET / HTTP/1.1\r\n\r\n"
            door.guests[0].lingers = True
            writer.write_eof()
            assert await reader.readexactly(3) == b"bye"
            door.guests[0].transport.close()
            assert await reader.read() == b""
            await until(lambda: node.server.connections == 0)
            assert door.guests[0].events[0] == b"early"
            assert door.guests[0].events[-2:] == ["eof", "lost"]
            path, headers = door.heads[0]
            assert path == "/"
            assert ("x-case", "Kept") in headers
            assert ("upgrade", "WebSocket") in headers
            await close(writer)

    run(main(), loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_peer_that_vanishes_is_reported_once(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main() -> None:
        door = FakeDoor()
        async with serving(door=door) as node:
            reader, writer = await node.connect()
            writer.write(KNOCK % b"")
            await reader.readexactly(len(SWITCHED))
            writer.transport.abort()
            await until(lambda: node.server.connections == 0)
            assert door.guests[0].events.count("lost") == 1

    run(main(), loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_back_pressure_reaches_the_peer(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main() -> None:
        door = FakeDoor()
        async with serving(door=door) as node:
            reader, writer = await node.connect()
            writer.write(KNOCK % b"")
            await reader.readexactly(len(SWITCHED))
            door.guests[0].transport.write(b"x" * 30_000_000)
            await reader.readexactly(30_000_000)
            await until(lambda: door.guests[0].events == ["pause", "resume"])
            await close(writer)

    run(main(), loop)


def test_a_peer_may_be_silent_for_as_long_as_the_door_allows() -> None:
    """The deadlines of requests end with the handshake."""

    async def main() -> None:
        door = FakeDoor()
        times = [0.0]

        def monotonic() -> float:
            times.append(times[-1])
            return times[-1]

        async with serving(Limits(handshake_ms=20), door=door, monotonic=monotonic) as node:
            reader, writer = await node.connect()
            writer.write(KNOCK % b"")
            await reader.readexactly(len(SWITCHED))
            times.append(1_000_000.0)
            looks = len(times)
            await until(lambda: len(times) > looks + 3)
            writer.write(b"still here")
            assert await reader.readexactly(10) == b"still here"
            await close(writer)

    run(main())


@pytest.mark.parametrize(
    ("rule", "status"),
    [
        (Rule.PEERS_WITHIN_LIMIT, 503),
        (Rule.PEER_IN_GOOD_STANDING, 403),
        (Rule.PEER_IS_NOT_BANNED, 403),
        (Rule.MESSAGE_IS_WELL_FORMED, 400),
    ],
)
def test_a_refused_peer_gets_a_problem(rule: Rule, status: int) -> None:
    async def main() -> None:
        async with serving(door=FakeDoor(RuleViolation(rule, "because"))) as node:
            received = await node.raw(KNOCK % b"Connection: close\r\n")
            assert received.startswith(b"HTTP/1.1 %d " % status)
            assert rule.value.encode() in received
            assert (b"retry-after" in received) == (status == 503)

    run(main())


def test_who_must_speak_the_native_dialect_is_told_which_that_is() -> None:
    async def main() -> None:
        async with serving(door=FakeDoor(RuleViolation(Rule.DIALECT_IS_SPOKEN, "members only"))) as node:
            received = await node.raw(KNOCK % b"Connection: close\r\n")
            assert received.startswith(b"HTTP/1.1 426 ")
            assert b"\r\nupgrade: websocket\r\n" in received
            assert b"\r\nsec-websocket-protocol: tallystick.1\r\n" in received

    run(main())


def test_a_door_that_breaks_is_a_500() -> None:
    async def main() -> None:
        async with serving(door=FakeDoor(ZeroDivisionError("secret"))) as node:
            received = await node.raw(KNOCK % b"Connection: close\r\n")
            assert received.startswith(b"HTTP/1.1 500 ")
            assert b"secret" not in received

    run(main())


@pytest.mark.parametrize(
    ("extra", "status"),
    [
        (b"Origin: http://evil.example\r\n", 421),
        (b"Origin: null\r\n", 421),
    ],
)
def test_browsers_of_other_sites_are_not_let_in(extra: bytes, status: int) -> None:
    """Catalogue row 113, a defect of the book's node: any web page could open its WebSocket.

    The handshake's Host is foreign here, which only a handshake without Origin may have.
    """

    async def main() -> None:
        door = FakeDoor()
        async with serving(door=door) as node:
            received = await node.raw(KNOCK % (extra + b"Connection: close\r\n"))
            assert received.startswith(b"HTTP/1.1 %d " % status)
            local = KNOCK.replace(b"node", b"localhost")
            received = await node.raw(local % (extra + b"Connection: close\r\n"))
            assert received.startswith(b"HTTP/1.1 403 ")
            assert door.guests == []

    run(main())


def test_our_own_page_is_let_in() -> None:
    async def main() -> None:
        door = FakeDoor()
        async with serving(door=door) as node:
            reader, writer = await node.connect()
            host = b"localhost:%d" % node.server.port
            writer.write(KNOCK.replace(b"node", host) % (b"Origin: http://" + host + b"\r\n"))
            assert await reader.readexactly(len(SWITCHED)) == SWITCHED
            await close(writer)

    run(main())


def test_a_token_is_not_asked_of_peers() -> None:
    """They have no way to show one. Which of them get in all the same is the node's to say (`Ledger.check_welcome`)."""

    async def main() -> None:
        door = FakeDoor()
        async with serving(access=Access("127.0.0.1", 0, read_token="r" * 32), door=door) as node:
            reader, writer = await node.connect()
            writer.write(KNOCK % b"")
            assert await reader.readexactly(len(SWITCHED)) == SWITCHED
            await close(writer)

    run(main())


def test_without_a_door_nobody_is_let_in() -> None:
    async def main() -> None:
        async with serving() as node:
            assert (await node.raw(KNOCK % b"Connection: close\r\n")).startswith(b"HTTP/1.1 403 ")
        door = FakeDoor()
        async with serving(opened=False, door=door) as node:
            assert (await node.raw(KNOCK % b"Connection: close\r\n")).startswith(b"HTTP/1.1 503 ")
        assert door.heads == []

    run(main())


def test_upgrades_to_anything_else_are_ignored() -> None:
    """RFC 9110, section 7.8: a server may ignore an Upgrade, and then answers as if it were not there."""

    async def main() -> None:
        door = FakeDoor()
        async with serving(door=door) as node:
            for head in (
                b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\nConnection: close\r\n\r\n",
                b"GET /blocks/0 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: close\r\n\r\n",
                b"HEAD / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: close\r\n\r\n",
            ):
                assert (await node.raw(head)).startswith(b"HTTP/1.1 200 ")
            assert door.heads == []

    run(main())


def test_a_peer_counts_as_a_connection() -> None:
    async def main() -> None:
        async with serving(Limits(connections=2), door=FakeDoor()) as node:
            reader, writer = await node.connect()
            writer.write(KNOCK % b"")
            await reader.readexactly(len(SWITCHED))
            assert (await node.client.get("/status")).json()["connections"] == 2
            assert (await node.raw(b"")).startswith(b"HTTP/1.1 503 ")
            await close(writer)

    run(main())


@pytest.mark.parametrize("framing", [b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_a_handshake_with_a_body_is_none(framing: bytes) -> None:
    """What a program in between takes for a body must not become a peer's first words."""

    async def main() -> None:
        door = FakeDoor()
        async with serving(door=door) as node:
            received = await node.raw(KNOCK % (framing + b"Connection: close\r\n") + b"12345", end=True)
            assert received.startswith(b"HTTP/1.1 400 ")
            assert door.heads == []

    run(main())
