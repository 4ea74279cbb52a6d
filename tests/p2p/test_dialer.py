"""Going out: what is resolved, judged and dialled, and what went wrong in one line."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from websockets.frames import Frame, Opcode
from websockets.utils import accept_key

from tallystick.model.limits import LIMITS, Limits
from tallystick.node.effects import Dial
from tallystick.node.inputs import DialFailed, PeerOpened, PeerSaid
from tallystick.p2p.dialer import resolved
from tallystick.wire.addresses import judge
from tallystick.wire.dialect import Dialect

from .loopback import Scene, node, patience

SELF_SIGNED = Path(__file__).with_name("self_signed.pem")
"""A certificate of localhost with its key, made for these tests and trusted by nobody."""

QUICK = replace(Limits(), handshake_ms=200)


@asynccontextmanager
async def server(answer: bytes, tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Answers whatever is asked with these bytes, `%b` being what accepts the key; yields its port and the requests
    it got."""
    requests: list[bytes] = []
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        try:
            requests.append(await reader.readuntil(b"\r\n\r\n"))
        except asyncio.IncompleteReadError:
            return
        key = requests[-1].decode().partition("Sec-WebSocket-Key: ")[2].partition("\r\n")[0]
        writer.write(answer.replace(b"%b", accept_key(key).encode()))

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield listening.sockets[0].getsockname()[1], requests
    finally:
        listening.close()
        for writer in writers:
            writer.transport.abort()


def resolver(*ips: str) -> Callable[[str, int], asyncio.Future[Sequence[str]]]:
    def resolve(host: str, port: int) -> asyncio.Future[Sequence[str]]:
        del host, port
        answer: asyncio.Future[Sequence[str]] = asyncio.get_running_loop().create_future()
        answer.set_result(ips)
        return answer

    return resolve


def judged(address: str, ip: str) -> None:
    del address
    judge(ip, private_ok=True)


# --- what may be dialled --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ip",
    ["169.254.169.254", "0.0.0.0", "224.0.0.1", "::ffff:169.254.169.254", "fe80::1", "::"],  # noqa: S104
)
def test_a_name_that_resolves_to_where_nobody_may_go_is_not_dialled(run: Scene, ip: str) -> None:
    """Catalogue row 112: the name is harmless, the address it stands for is not."""

    async def scene() -> None:
        async with node(judge=judged, resolve=resolver("127.0.0.1", ip)) as here:
            reason = await here.fails_to_dial("ws://harmless.example:80")
            assert ip in reason
            assert "never dialled" in reason

    run(scene)


def test_exactly_the_judged_address_is_dialled(run: Scene) -> None:
    """DNS rebinding: the name is looked up once, and never again."""

    async def scene() -> None:
        looked_up: list[str] = []

        async def resolve(host: str, port: int) -> Sequence[str]:
            del port
            looked_up.append(host)
            return ["127.0.0.1"]

        async with node(judge=judged, resolve=resolve) as here, node() as there:
            opened = await here.dials(f"ws://no-such-name.invalid:{there.port}")
            assert opened.remote == f"127.0.0.1:{there.port}"
            assert opened.dialled == f"ws://no-such-name.invalid:{there.port}"
            assert looked_up == ["no-such-name.invalid"]

    run(scene)


def test_our_own_address_is_not_dialled(run: Scene) -> None:
    async def scene() -> None:
        async with node(is_ours=lambda ip, port: (ip, port) == ("127.0.0.1", 3001)) as here:
            assert "this node itself" in await here.fails_to_dial("ws://127.0.0.1:3001")

    run(scene)


def test_the_next_address_of_a_name_is_tried_when_one_does_not_answer(run: Scene) -> None:
    async def scene() -> None:
        async with node(QUICK, resolve=resolver("127.0.0.2", "127.0.0.1")) as here, server(b"") as (port, _):
            assert "no WebSocket within" in await here.fails_to_dial(f"ws://name.example:{port}")
        async with node(resolve=resolver("127.0.0.2", "127.0.0.1")) as here, node() as there:
            opened = await here.dials(f"ws://name.example:{there.port}")
            assert opened.remote == f"127.0.0.1:{there.port}"

    run(scene)


def test_the_request_is_the_plain_one_that_a_node_of_the_book_understands(run: Scene) -> None:
    async def scene() -> None:
        async with node() as here, server(b"HTTP/1.1 404 Not Found\r\n\r\n") as (port, requests):
            await here.fails_to_dial(f"ws://127.0.0.1:{port}")
            lines = requests[0].decode().split("\r\n")
            key = lines.pop(4)
            assert key.startswith("Sec-WebSocket-Key: ")
            assert lines == [
                "GET / HTTP/1.1",
                f"Host: 127.0.0.1:{port}",
                "Upgrade: websocket",
                "Connection: Upgrade",
                "Sec-WebSocket-Version: 13",
                "Sec-WebSocket-Protocol: tallystick.1",
                "",
                "",
            ]

    run(scene)


@pytest.mark.parametrize("dialect", Dialect)
def test_members_only_are_dialled_in_the_native_dialect_or_not_at_all(run: Scene, dialect: Dialect) -> None:
    async def scene() -> None:
        async with node(classic_ok=False) as here, node(speaks=dialect) as there:
            if dialect is Dialect.NATIVE:
                assert (await here.dials(there.address)).dialect is Dialect.NATIVE
            else:
                reason = await here.fails_to_dial(there.address)
                assert reason == "it does not speak tallystick.1, and in this network nodes speak nothing else"
                assert (await there.closed()).rule is None

    run(scene)


# --- what can go wrong ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhello", "no WebSocket there: it answered 'HTTP/1.1 200 OK'"),
        (
            b"HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/\r\n\r\n",
            "no WebSocket there: it answered 'HTTP/1.1 302 Found'",
        ),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "no WebSocket there: it answered 'SSH-2.0-OpenSSH_9.2'"),
        (b"\x1b[2J\x00\xff\r\n\r\n", r"no WebSocket there: it answered '\x1b[2J\x00\ufffd'"),
        (b"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "Sec-WebSocket-Accept"),
        (
            b"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: no\r\n\r\n",
            "Sec-WebSocket-Accept",
        ),
        (
            (
                b"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %b\r\n"
                b"Sec-WebSocket-Protocol: tallystick.2\r\n\r\n"
            ),
            "subprotocol",
        ),
        (b"HTTP/1.1 101 OK\r\n" + b"X: " + b"x" * 20_000, "longer than 16,384 bytes"),
        (b"HTTP/1.1 101 OK\r\nnonsense\r\n\r\n", "no WebSocket there"),
    ],
)
def test_what_is_no_peer_is_named_as_what_it_is(run: Scene, answer: bytes, expected: str) -> None:
    """Redirects are never followed."""

    async def scene() -> None:
        async with node() as here, server(answer) as (port, _):
            reason = await here.fails_to_dial(f"ws://127.0.0.1:{port}")
            assert expected in reason
            assert reason.isprintable()
            assert len(reason) < 200

    run(scene)


def test_a_server_that_says_nothing_or_not_enough_is_given_up(run: Scene) -> None:
    """Catalogue row 31, from the dialling side."""

    async def scene() -> None:
        for answer in (b"", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade"):
            async with node(QUICK) as here, server(answer) as (port, _):
                assert await here.fails_to_dial(f"ws://127.0.0.1:{port}") == "no WebSocket within 0.2 s"

    run(scene)


def test_a_resolver_that_never_answers_is_given_up(run: Scene) -> None:
    async def scene() -> None:
        async def silent(host: str, port: int) -> Sequence[str]:
            del host, port
            never: asyncio.Future[Sequence[str]] = asyncio.get_running_loop().create_future()
            return await never

        async with node(QUICK, resolve=silent) as here:
            assert await here.fails_to_dial("ws://name.example:80") == "no WebSocket within 0.2 s"

    run(scene)


def test_nobody_there(run: Scene) -> None:
    async def scene() -> None:
        async with server(b"") as (port, _):
            pass
        async with node() as here:
            reason = await here.fails_to_dial(f"ws://127.0.0.1:{port}")
            assert f"127.0.0.1 port {port}" in reason
            assert "refused" in reason.lower()

    run(scene)


def test_a_name_that_does_not_resolve(run: Scene) -> None:
    async def scene() -> None:
        async def unknown(host: str, port: int) -> Sequence[str]:
            del host, port
            raise OSError(-2, "Name or service not known")

        async with node(resolve=unknown) as here:
            reason = await here.fails_to_dial("ws://nowhere.example:80")
            assert reason == "nowhere.example does not resolve: Name or service not known"

        async with node(resolve=resolver()) as here:
            assert await here.fails_to_dial("ws://nowhere.example:80") == "nowhere.example has no address"

    run(scene)


def test_a_certificate_nobody_vouches_for_is_refused_with_the_reason(run: Scene) -> None:
    async def scene() -> None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(SELF_SIGNED)
        async with node() as here, server(b"", tls) as (port, requests):
            reason = await here.fails_to_dial(f"wss://127.0.0.1:{port}")
            assert "its TLS certificate is not accepted" in reason
            assert "self" in reason
            assert requests == []

    run(scene)


def test_a_server_that_never_shakes_hands_on_tls_is_given_up(run: Scene) -> None:
    async def scene() -> None:
        accepted: list[asyncio.StreamWriter] = []

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            accepted.append(writer)
            await reader.read()
            writer.transport.abort()

        listening = await asyncio.start_server(accept, "127.0.0.1", 0)
        async with node(QUICK) as here:
            port = listening.sockets[0].getsockname()[1]
            assert await here.fails_to_dial(f"wss://127.0.0.1:{port}") == "no WebSocket within 0.2 s"
        listening.close()
        await here.until(lambda: all(writer.is_closing() for writer in accepted))

    run(scene)


def test_a_connection_that_ends_during_the_handshake(run: Scene) -> None:
    async def scene() -> None:
        async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.close()

        listening = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        async with node() as here:
            port = listening.sockets[0].getsockname()[1]
            assert "closed the connection" in await here.fails_to_dial(f"ws://127.0.0.1:{port}")
        listening.close()

    run(scene)


# --- the rest -------------------------------------------------------------------------------------------


def test_what_comes_with_the_answer_is_not_lost(run: Scene) -> None:
    async def scene() -> None:
        async def eager(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            key = head.partition("Sec-WebSocket-Key: ")[2].partition("\r\n")[0]
            writer.write(
                b"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
                + accept_key(key).encode()
                + b"\r\n\r\n"
                + Frame(Opcode.TEXT, b"at once").serialize(mask=False)
            )
            await reader.read()
            writer.close()

        listening = await asyncio.start_server(eager, "127.0.0.1", 0)
        async with node(replace(Limits(), close_ms=100)) as here:
            await here.dials(f"ws://127.0.0.1:{listening.sockets[0].getsockname()[1]}")
            await here.ledger.until(PeerSaid)
            assert here.ledger.said() == [b"at once"]
        listening.close()

    run(scene)


def test_stopping_calls_off_the_dials_in_flight(run: Scene) -> None:
    async def scene() -> None:
        async with node() as here, server(b"") as (port, requests):
            here.hub.perform(Dial(f"ws://127.0.0.1:{port}"))
            await here.until(lambda: bool(requests))
            await patience(here.hub.close(grace_s=5))
            here.hub.perform(Dial(f"ws://127.0.0.1:{port}"))
            assert not [event for event in here.ledger.inputs if isinstance(event, PeerOpened | DialFailed)]

    run(scene)


def test_a_numeric_address_is_resolved_without_asking_anybody(run: Scene) -> None:
    async def scene() -> None:
        assert await resolved("127.0.0.1", 80) == ["127.0.0.1"]
        assert await resolved("::1", 80) == ["::1"]
        assert set(await resolved("2130706433", 80)) == set(await resolved("0x7f.1", 80)) == {"127.0.0.1"}
        assert "127.0.0.1" in await resolved("localhost", 80)
        with pytest.raises(OSError, match=r"."):
            await resolved("a..b", 80)

    run(scene)


def test_so_many_names_are_looked_up_at_a_time(run: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever may add peers could else start thousands of threads with names whose servers do not answer."""
    answers = threading.Event()

    def slow(*_asked: object, **_more: object) -> list[tuple[object, ...]]:
        answers.wait(30)
        return [(0, 0, 0, "", ("10.0.0.1", 80))]

    async def scene() -> None:
        monkeypatch.setattr(socket, "getaddrinfo", slow)
        asked = [asyncio.create_task(resolved("slow.example", 80)) for _ in range(LIMITS.lookups)]
        await asyncio.sleep(0)
        with pytest.raises(OSError, match="too many names"):
            await resolved("slow.example", 80)
        assert await resolved("127.0.0.1", 80) == ["127.0.0.1"], "which asks nobody"
        answers.set()
        assert await asyncio.gather(*asked) == [["10.0.0.1"]] * LIMITS.lookups
        assert await resolved("slow.example", 80) == ["10.0.0.1"]

    run(scene)


def test_a_system_without_a_thread_to_spare_is_an_address_that_does_not_resolve(
    run: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def scene() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            for _ in range(LIMITS.lookups + 1):
                with pytest.raises(OSError, match="no thread"):
                    await resolved("some.example", 80)

    run(scene)
