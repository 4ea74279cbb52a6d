"""Accepting: what happens when connections would take the last open files."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tallystick.api import listener
from tallystick.model.limits import Limits
from tests.api.serving import DEADLINE_S, LOOPS, close, run, serving, until

HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"

NODE = """
import asyncio, resource, sys
import uvloop
from tallystick.api.access import Access
from tallystick.api.server import listen
from tallystick.model.limits import Limits
from tests.api.fake_ledger import FakeLedger
from tests.api.test_door import FakeDoor

resource.setrlimit(resource.RLIMIT_NOFILE, (96, 96))

async def use_the_disk():
    while True:
        for file in [open("/dev/null") for _ in range(12)]:
            file.close()
        await asyncio.sleep(0.001)

async def main():
    limits = Limits(connections=10_000, accept_pause_ms=20)
    server = await listen(Access("127.0.0.1", 0), limits, resolve=None)
    server.open(FakeLedger(limits), FakeDoor())
    print(server.port, flush=True)
    disk = asyncio.create_task(use_the_disk())
    stdin = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await asyncio.wait({disk, stdin}, return_when=asyncio.FIRST_COMPLETED)
    print("disk failed" if disk.done() else "fine", flush=True)
    disk.cancel()
    await server.stop(1)

loop = uvloop.new_event_loop if sys.argv[1] == "uvloop" else asyncio.new_event_loop
with asyncio.Runner(loop_factory=loop) as runner:
    runner.run(main())
"""


@contextlib.contextmanager
def node_with_few_files(loop: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    process = subprocess.Popen(
        [sys.executable, "-c", NODE, loop],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    with process:
        try:
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S)


def answer_to(connection: socket.socket, request: bytes, until: bytes) -> bytes:
    connection.sendall(request)
    received = b""
    while until not in received:
        piece = connection.recv(65_536)
        assert piece, received
        received += piece
    return received


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_flood_that_would_take_the_last_file_waits_and_all_else_goes_on(loop: str) -> None:
    """Catalogue row 41. In a process of its own that may have 96 open files, with 300 connections knocking:
    peers and clients that are in are served, and the disk has its files."""
    pytest.importorskip("resource")
    knock = b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    with node_with_few_files(loop) as (process, port), contextlib.ExitStack() as flood:
        with connected(port) as peer, connected(port) as client:
            answer_to(peer, knock, b"\r\n\r\n")
            answer_to(client, HEALTH, b"}")
            crowd = [flood.enter_context(connected(port)) for _ in range(300)]
            for number in range(50):
                assert answer_to(peer, b"%d!" % number, b"!") == b"%d!" % number
                assert b" 200 OK" in answer_to(client, HEALTH, b"}")
            assert b" 503 " in next(filter(None, map(heard, crowd)))
            for one in crowd:
                one.close()
            with connected(port) as late:
                assert b" 200 OK" in answer_to(late, HEALTH, b"}")
        assert process.communicate("", timeout=DEADLINE_S)[0].endswith("\nfine\n")


def heard(connection: socket.socket) -> bytes:
    """What one that does not speak has been told so far."""
    connection.setblocking(False)  # noqa: FBT003 - the standard library's signature
    try:
        return connection.recv(1_000)
    except BlockingIOError:
        return b""


@pytest.mark.parametrize("loop", LOOPS)
def test_who_waited_is_let_in_when_there_is_room_again(
    loop: Callable[[], asyncio.AbstractEventLoop], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        limits = Limits(accept_pause_ms=20, spare_files=16)
        async with serving(limits) as node:
            assert (await node.client.get("/health")).status_code == 200
            with monkeypatch.context() as patch, capture_logs() as logs:
                patch.setattr(listener, "files_allowed", lambda: 10)
                assert b" 503 " in await node.raw(b"")
                reader, writer = await node.connect()
                writer.write(HEALTH)
                assert b" 503 " in await reader.read(1_000)
                await close(writer)
                assert (await node.client.get("/health")).status_code == 200
            assert [entry["event"] for entry in logs] == ["new connections have to wait"]
            reader, writer = await node.connect()
            writer.write(HEALTH)
            assert b" 200 OK" in await reader.readuntil(b"}")
            await close(writer)

    run(main(), loop)


def test_an_error_of_accept_is_a_pause_and_no_end() -> None:
    async def main() -> None:
        async with serving(Limits(accept_pause_ms=1)) as node:
            loop, failures = asyncio.get_running_loop(), [OSError(24, "Too many open files"), ConnectionAbortedError()]
            accept = loop.sock_accept

            async def failing(sock: socket.socket) -> tuple[socket.socket, object]:
                if failures:
                    raise failures.pop()
                return await accept(sock)

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(loop, "sock_accept", failing)
                assert (await node.client.get("/health")).status_code == 200
                reader, writer = await node.connect()
                await until(lambda: not failures)
                writer.write(HEALTH)
                assert b" 200 OK" in await reader.readuntil(b"}")
                await close(writer)

    run(main())
