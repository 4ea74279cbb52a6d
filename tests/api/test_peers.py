"""Peers over HTTP: whom a caller may make this node dial."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from functools import partial

import pytest

from tallystick.api.access import Access
from tallystick.api.server import is_this_machine
from tallystick.errors import Rule, RuleViolation, StoreError
from tallystick.model.limits import Limits
from tests.api.serving import JSON_HEAD, Served, run, serving

TOKEN = "t" * 32
PUBLIC = Access("0.0.0.0", 0, write_token=TOKEN)  # noqa: S104 - it is about such addresses
OPEN = Access("0.0.0.0", 0, open=True)  # noqa: S104 - likewise
NAMES = {
    "localhost": ["127.0.0.1"],
    "public.example": ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"],
    "metadata.example": ["169.254.169.254"],
    "one-bad.example": ["93.184.215.14", "10.0.0.1"],
    "scoped.example": ["fe80::1%eth0"],
    "empty.example": [],
}


async def resolve(host: str, port: int) -> Sequence[str]:
    """The names above, and whatever the system takes for a number."""
    if host in NAMES:
        return NAMES[host]
    try:
        return [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, flags=socket.AI_NUMERICHOST)]
    except socket.gaierror:
        raise OSError("no such name") from None


def ours(ip: str, port: int) -> bool:
    return port == 7 and ip == "93.184.215.14"


async def add(node: Served, peer: object, *, token: str | None = None) -> tuple[int, dict[str, object]]:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    answer = await node.client.post("/addPeer", json={"peer": peer}, headers=headers)
    return answer.status_code, answer.json()


def test_a_good_address_is_added_in_its_canonical_form() -> None:
    async def main() -> None:
        async with serving(resolve=resolve, is_ours=ours) as node:
            for peer in ("ws://Public.EXAMPLE:3001/", "wss://public.example", "ws://[2606:2800:0::1]:3001"):
                assert await add(node, peer) == (200, {"status": True})
            assert node.ledger.added == [
                "ws://public.example:3001",
                "wss://public.example:443",
                "ws://[2606:2800::1]:3001",
            ]

    run(main())


@pytest.mark.parametrize(
    ("peer", "type"),
    [
        (3, "peer-not-a-string"),
        (None, "peer-not-a-string"),
        (True, "peer-not-a-string"),
        (["ws://public.example:1"], "peer-not-a-string"),
        ("", "address-is-well-formed"),
        ("public.example:3001", "address-is-well-formed"),
        ("http://169.254.169.254/", "address-is-well-formed"),
        ("file:///etc/passwd", "address-is-well-formed"),
        ("ws://", "address-is-well-formed"),
        ("ws://user:secret@public.example:1", "address-is-well-formed"),
        ("ws://public.example:1/path", "address-is-well-formed"),
        ("ws://public.example:1/?q", "address-is-well-formed"),
        ("ws://public.example:1#f", "address-is-well-formed"),
        ("ws://public.example:0", "address-is-well-formed"),
        ("ws://public.example:65536", "address-is-well-formed"),
        ("ws://public.example:x", "address-is-well-formed"),
        ("ws://public.example:1\r\nx: y", "address-is-well-formed"),
        ("ws://" + "a" * 400 + ":1", "address-is-well-formed"),
        ("ws://nowhere.example:1", "address-resolves"),
        ("ws://empty.example:1", "address-resolves"),
        ("ws://public.example:7", "address-is-not-ours"),
    ],
)
def test_bad_addresses_are_refused_with_the_reason(peer: object, type: str) -> None:
    async def main() -> None:
        async with serving(resolve=resolve, is_ours=ours) as node:
            status, document = await add(node, peer)
            assert (status, document["type"]) == (400, f"urn:tallystick:problem:{type}")
            assert node.ledger.added == []

    run(main())


def test_the_other_ways_to_ask_wrongly() -> None:
    async def main() -> None:
        async with serving() as node:
            for body, kind, status in ((b"{}", "application/json", 400), (b"x", "application/json", 400)):
                answer = await node.client.post("/addPeer", content=body, headers={"content-type": kind})
                assert answer.status_code == status
            answer = await node.client.post("/addPeer", content=b'{"peer": "ws://x:1"}')
            assert answer.status_code == 415

    run(main())


NEVER = [
    "ws://169.254.169.254:80",
    "ws://2852039166:80",
    "ws://0xa9fea9fe:80",
    "ws://0251.0376.0251.0376:80",
    "ws://[::ffff:169.254.169.254]:80",
    "ws://[fe80::1]:80",
    "ws://scoped.example:80",
    "ws://metadata.example:80",
    "ws://224.0.0.1:80",
    "ws://[ff02::1]:80",
    "ws://0.0.0.0:80",
    "ws://0:80",
    "ws://[::]:80",
    "ws://255.255.255.255:80",
    "ws://240.0.0.1:80",
]
PRIVATE = [
    "ws://127.0.0.1:6379",
    "ws://127.1:6379",
    "ws://2130706433:6379",
    "ws://0x7f.1:6379",
    "ws://0177.0.0.1:6379",
    "ws://[::1]:6379",
    "ws://[::ffff:127.0.0.1]:6379",
    "ws://[::ffff:7f00:1]:6379",
    "ws://[64:ff9b::127.0.0.1]:6379",
    "ws://[2002:7f00:1::]:6379",
    "ws://10.1.2.3:6379",
    "ws://192.168.0.1:6379",
    "ws://[fd00::1]:6379",
    "ws://100.64.0.1:6379",
    "ws://one-bad.example:6379",
]


def test_some_addresses_are_never_dialled_in_any_spelling() -> None:
    """Catalogue row 112: server-side request forgery through addPeer."""

    async def main() -> None:
        for access, token in ((Access("127.0.0.1", 0), None), (PUBLIC, TOKEN), (OPEN, None)):
            async with serving(access=access, resolve=resolve, is_ours=ours) as node:
                for peer in NEVER:
                    status, document = await add(node, peer, token=token)
                    assert (status, document["rule"]) == (400, "address-is-allowed"), peer
                assert node.ledger.added == []

    run(main())


def test_private_addresses_are_for_nodes_that_listen_on_one_or_callers_with_the_token() -> None:
    """Catalogue row 112."""

    async def main() -> None:
        for access, token, status in (
            (Access("127.0.0.1", 0), None, 200),
            (PUBLIC, TOKEN, 200),
            (OPEN, None, 400),
            (OPEN, TOKEN, 400),
        ):
            async with serving(access=access, resolve=resolve, is_ours=ours) as node:
                for peer in PRIVATE:
                    assert (await add(node, peer, token=token))[0] == status, peer

    run(main())


def test_an_open_node_with_a_token_trusts_its_holder_only() -> None:
    async def main() -> None:
        access = Access("0.0.0.0", 0, write_token=TOKEN, open=True)  # noqa: S104 - it is about such addresses
        async with serving(access=access, resolve=resolve, is_ours=ours) as node:
            assert (await add(node, "ws://10.0.0.1:1"))[0] == 400
            assert (await add(node, "ws://10.0.0.1:1", token="x" * 32))[0] == 400
            assert (await add(node, "ws://10.0.0.1:1", token=TOKEN))[0] == 200

    run(main())


def test_a_resolver_that_hangs_is_given_up() -> None:
    async def hang(_host: str, _port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    async def main() -> None:
        async with serving(Limits(handshake_ms=500), resolve=hang) as node:
            status, document = await add(node, "ws://public.example:1")
            assert (status, document["rule"]) == (400, "address-resolves")

    run(main())


def test_what_the_ledger_refuses_is_told() -> None:
    async def main() -> None:
        async with serving(resolve=resolve, is_ours=ours) as node:
            node.ledger.fails_with = RuleViolation(Rule.ADDRESS_BOOK_HAS_ROOM, "256 addresses; remove one")
            assert (await add(node, "ws://public.example:1"))[0] == 400
            node.ledger.fails_with = StoreError("gone")
            assert (await add(node, "ws://public.example:1"))[0] == 503

    run(main())


def test_our_own_address_is_recognised() -> None:
    async def main() -> None:
        async with serving(resolve=resolve) as node:
            for host in ("127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]"):
                _, document = await add(node, f"ws://{host}:{node.server.port}")
                assert document.get("rule") == "address-is-not-ours", host
            assert (await add(node, f"ws://127.0.0.1:{node.server.port % 60_000 + 1}"))[0] == 200

    run(main())


def test_every_address_of_a_machine_is_ours_when_we_listen_on_all() -> None:
    everywhere = partial(is_this_machine, ("0.0.0.0", 3001))  # noqa: S104 - it is about such addresses
    assert everywhere("127.0.0.1", 3001)
    assert everywhere("127.7.7.7", 3001)
    assert not everywhere("127.0.0.1", 3002)
    assert not everywhere("192.0.2.1", 3001)
    here = partial(is_this_machine, ("127.0.0.1", 3001))
    assert not here("127.0.0.2", 3001)


def test_the_connected_are_listed() -> None:
    async def main() -> None:
        async with serving() as node:
            assert (await node.client.get("/peers")).json() == []
            node.ledger.open_connections = ["127.0.0.1:40000", "[::1]:3002"]
            assert (await node.client.get("/peers")).json() == ["127.0.0.1:40000", "[::1]:3002"]

    run(main())


@pytest.mark.parametrize(
    ("path", "removed"),
    [
        ("ws%3A%2F%2Fpublic.example%3A3001", "ws://public.example:3001"),
        ("ws://public.example:3001", "ws://public.example:3001"),
        ("ws%3A%2F%2FPUBLIC.example%3A3001%2F", "ws://public.example:3001"),
        ("127.0.0.1%3A40000", "127.0.0.1:40000"),
        ("127.0.0.1:40000", "127.0.0.1:40000"),
        ("%5B%3A%3A1%5D%3A3002", "[::1]:3002"),
    ],
)
def test_a_peer_is_removed_however_its_address_is_encoded(path: str, removed: str) -> None:
    async def main() -> None:
        async with serving() as node:
            node.ledger.added = ["ws://public.example:3001"]
            node.ledger.open_connections = ["127.0.0.1:40000", "[::1]:3002"]
            answer = await node.client.delete(f"/peers/{path}")
            assert (answer.status_code, answer.json()) == (200, {"status": True})
            assert node.ledger.removed == [removed]

    run(main())


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("ws%3A%2F%2Fother%3A1", 404),
        ("10.0.0.1%3A1", 404),
        ("http%3A%2F%2Fx", 400),
        ("%00", 400),
        ("%ff", 400),
    ],
)
def test_unknown_and_malformed_peers_are_not_removed(path: str, status: int) -> None:
    async def main() -> None:
        async with serving() as node:
            answer = await node.client.delete(f"/peers/{path}", headers=JSON_HEAD)
            assert answer.status_code == status, answer.text
            assert node.ledger.removed == []

    run(main())
