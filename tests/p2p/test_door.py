"""Getting in: the handshake, who is welcome, and what is never agreed to."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tallystick.errors import Rule, RuleViolation
from tallystick.model.limits import Limits
from tallystick.node.effects import HangUp, Say
from tallystick.node.inputs import PeerClosed, PeerOpened
from tallystick.wire.dialect import Dialect

from .loopback import Node, Scene, node, patience, raw_peer

BOOK = (
    "GET / HTTP/1.1\r\n"
    "Host: 127.0.0.1:3001\r\n"
    "Upgrade: websocket\r\n"
    "Connection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
    "User-Agent: Python/3.7 websockets/8.1\r\n"
    "\r\n"
)
"""How a node of the book knocks. The key is that of RFC 6455, section 1.3, and so is the answer to it."""


async def answer_to(here: Node, request: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
    writer.write(request.encode())
    head = await patience(reader.readuntil(b"\r\n\r\n"))
    writer.transport.abort()
    return head


def test_a_node_of_the_book_gets_in(run: Scene) -> None:
    """Golden bytes. No subprotocol is named to it, and compression is not agreed to (catalogue row 6)."""

    async def scene() -> None:
        async with node() as here:
            head = (await answer_to(here, BOOK)).decode()
            lines = [line for line in head.split("\r\n") if not line.startswith("Date: ")]
            assert lines == [
                "HTTP/1.1 101 Switching Protocols",
                "Upgrade: websocket",
                "Connection: Upgrade",
                "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
                "",
                "",
            ]
            [opened] = await here.ledger.until(PeerOpened)
            assert opened.dialled is None
            assert opened.remote.startswith("127.0.0.1:")

    run(scene)


def offering(*offered: str) -> str:
    """The same, of a peer that offers subprotocols."""
    return BOOK.replace("User-Agent", "".join(f"Sec-WebSocket-Protocol: {one}\r\n" for one in offered) + "User-Agent")


@pytest.mark.parametrize(
    ("offered", "dialect"),
    [
        (["tallystick.1"], Dialect.NATIVE),
        (["tallystick.2, tallystick.1"], Dialect.NATIVE),
        (["chat", "tallystick.1"], Dialect.NATIVE),
        (["chat, superchat"], Dialect.CLASSIC),
        (["tallystick.2"], Dialect.CLASSIC),
        (["Tallystick.1"], Dialect.CLASSIC),
        ([], Dialect.CLASSIC),
    ],
)
def test_what_is_offered_decides_about_the_dialect(run: Scene, offered: list[str], dialect: Dialect) -> None:
    async def scene() -> None:
        async with node() as here:
            head = (await answer_to(here, offering(*offered))).decode()
            assert head.startswith("HTTP/1.1 101 ")
            named = [line for line in head.split("\r\n") if "protocol:" in line.lower()]
            assert named == (["Sec-WebSocket-Protocol: tallystick.1"] if dialect is Dialect.NATIVE else [])
            assert (await here.ledger.until(PeerOpened))[0].dialect is dialect

    run(scene)


@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""),
        ("dGhlIHNhbXBsZSBub25jZQ==", "short"),
        ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
        ("dGhlIHNhbXBsZSBub25jZQ==", "žluť"),
        ("Version: 13", "Version: 8"),
        ("Sec-WebSocket-Version: 13\r\n", ""),
        ("Connection: Upgrade", "Connection: keep-alive"),
        ("Upgrade: websocket", "Upgrade: h2c"),
        ("User-Agent", "Sec-WebSocket-Protocol: a b\r\nUser-Agent"),
    ],
)
def test_what_is_no_handshake_is_refused(run: Scene, line: str, instead: str) -> None:
    async def scene() -> None:
        async with node() as here:
            assert line in BOOK
            head = await answer_to(here, BOOK.replace(line, instead, 1))
            assert head.startswith(b"HTTP/1.1 400 message-is-well-formed")
            assert here.ledger.inputs == []

    run(scene)


@pytest.mark.parametrize("rule", [Rule.PEER_IN_GOOD_STANDING, Rule.PEER_IS_NOT_BANNED, Rule.DIALECT_IS_SPOKEN])
def test_whoever_is_not_welcome_is_told_so(run: Scene, rule: Rule) -> None:
    async def scene() -> None:
        async with node() as here:
            here.ledger.unwelcome = rule
            assert (await answer_to(here, BOOK)).startswith(f"HTTP/1.1 400 {rule}".encode())
            assert here.ledger.inputs == []

    run(scene)


def test_inbound_peers_are_counted_and_places_become_free(run: Scene) -> None:
    """Catalogue row 32. Those we dialled do not count."""

    async def scene() -> None:
        async with node(replace(Limits(), classic_inbound_peers=2)) as here, node() as there:
            await here.dials(there.address)
            async with raw_peer(here.port), raw_peer(here.port):
                await here.ledger.until(PeerOpened, 3)
                for _ in range(3):
                    assert (await answer_to(here, BOOK)).startswith(b"HTTP/1.1 400 peers-within-limit")
                here.hub.perform(HangUp(2, 1001, "make room"))
            await here.ledger.until(PeerClosed, 2)
            assert (await answer_to(here, BOOK)).startswith(b"HTTP/1.1 101")

    run(scene)


def test_no_more_peers_come_in_at_once_than_there_are_places(run: Scene) -> None:
    """Catalogue row 32: between a knock and the node hearing of it, others knock. Each dialect has its own places."""
    limits = replace(Limits(), classic_inbound_peers=1, native_inbound_peers=2)

    async def scene() -> None:
        async with node(limits) as here:
            here.ledger.hall = asyncio.Event()
            native = offering("tallystick.1")
            for request, answer in (
                (BOOK, b"101"),
                (BOOK, b"400 peers-within-limit"),
                (native, b"101"),
                (native, b"101"),
                (native, b"400 peers-within-limit"),
            ):
                assert (await answer_to(here, request)).startswith(b"HTTP/1.1 " + answer)
            assert here.ledger.inputs == []
            here.ledger.hall.set()
            await here.ledger.until(PeerClosed, 3)
            assert (await answer_to(here, BOOK)).startswith(b"HTTP/1.1 101")

    run(scene)


def test_a_stopping_node_lets_nobody_in(run: Scene) -> None:
    async def scene() -> None:
        async with node() as here:
            await here.hub.close(grace_s=1)
            with pytest.raises(RuleViolation, match="stopping") as caught:
                here.hub.check_welcome("127.0.0.1", Dialect.CLASSIC)
            assert caught.value.rule is Rule.PEERS_WITHIN_LIMIT
            here.hub.perform(Say([1], b"to nobody"))
            await here.hub.close(grace_s=1)

    run(scene)
