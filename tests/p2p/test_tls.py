"""Peers over TLS: the same conversation, and a line for each certificate that is not accepted."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from tallystick.errors import Rule
from tallystick.model.limits import MIB, Limits
from tallystick.node.effects import HangUp, Say
from tallystick.node.inputs import PeerOpened, PeerSaid
from tallystick.wire.dialect import Dialect
from tests.cli.certificate import certificate

from .loopback import Scene, node


def trusting(authorities: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authorities))


@pytest.mark.parametrize("dialect", Dialect)
def test_peers_talk_over_tls_as_they_do_without(run: Scene, dialect: Dialect, tmp_path: Path) -> None:
    cert, server = certificate(tmp_path)

    async def scene() -> None:
        async with node(dials_tls=trusting(cert)) as here, node(speaks=dialect, serves_tls=server) as there:
            assert there.address.startswith("wss://")
            opened = await here.dials(there.address)
            [met] = await there.ledger.until(PeerOpened)
            assert opened.dialect is met.dialect is dialect
            here.admits(opened.peer)
            there.admits(met.peer)
            said = [b"s" * 500] * 100 + [b"l" * MIB] * 4 + [b"last"]
            for side, peer in ((here, opened.peer), (there, met.peer)):
                for message in said:
                    side.hub.perform(Say([peer], message))
            for side in (here, there):
                await side.ledger.until(PeerSaid, len(said))
                assert side.ledger.said() == said
            here.hub.perform(HangUp(opened.peer, 1001, "so long"))
            assert (await there.closed()).reason == "the peer hung up: 1001 'so long'"
            assert (await here.closed()).rule is None

    run(scene)


def test_a_peer_that_never_reads_is_dropped_over_tls_too(run: Scene, tmp_path: Path) -> None:
    """Catalogue row 33. It reads no more once its inbox is full, for its node is never done with the first message."""
    cert, server = certificate(tmp_path)

    async def scene() -> None:
        async with (
            node(replace(Limits(), outbox_stall_ms=200), dials_tls=trusting(cert)) as here,
            node(replace(Limits(), native_inbox_messages=1), serves_tls=server) as there,
        ):
            peer = (await here.dials(there.address)).peer
            there.ledger.gate = asyncio.Event()
            there.admits((await there.ledger.until(PeerOpened))[0].peer)
            for _ in range(20):
                here.hub.perform(Say([peer], b"x" * MIB))
            closed = await here.closed()
            assert (closed.peer, closed.rule) == (peer, Rule.OUTBOX_DRAINS)

    run(scene)


@pytest.mark.parametrize(
    ("ip", "trusted", "why"),
    [("127.0.0.1", False, "self-signed certificate"), ("127.0.0.9", True, "IP address mismatch")],
)
def test_a_certificate_that_is_not_accepted_is_a_reason_in_one_line(
    run: Scene,
    tmp_path: Path,
    ip: str,
    trusted: bool,  # noqa: FBT001 - pytest passes it so
    why: str,
) -> None:
    cert, server = certificate(tmp_path, ip)

    async def scene() -> None:
        tls = trusting(cert) if trusted else None
        async with node(dials_tls=tls) as here, node(serves_tls=server) as there:
            reason = await here.fails_to_dial(there.address)
            assert reason.startswith(f"127.0.0.1 port {there.port}: its TLS certificate is not accepted: ")
            assert why in reason
            assert reason.isprintable()
            assert there.ledger.inputs == []

    run(scene)


def test_tls_and_none_do_not_meet(run: Scene, tmp_path: Path) -> None:
    cert, server = certificate(tmp_path)

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async def scene() -> None:
        async with node(dials_tls=trusting(cert)) as here, node(serves_tls=server) as guarded:
            reason = await here.fails_to_dial(guarded.address.replace("wss", "ws"))
            assert reason.startswith("it closed the connection during the handshake")
            plain = await asyncio.start_server(answer, "127.0.0.1", 0)
            port = plain.sockets[0].getsockname()[1]
            reason = await here.fails_to_dial(f"wss://127.0.0.1:{port}")
            assert reason == f"127.0.0.1 port {port}: no TLS there: wrong version number"
            plain.close()

    run(scene)
