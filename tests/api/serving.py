"""A served fake ledger on a free port, and raw requests to it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, NoReturn

import httpx
import uvloop

from tallystick.api.access import Access
from tallystick.api.door import Door
from tallystick.api.server import Server, listen
from tallystick.model.limits import LIMITS, Limits
from tests.api.fake_ledger import FakeLedger

DEADLINE_S = 20.0
JSON_HEAD = {"content-type": "application/json"}
LOOPS: list[Callable[[], asyncio.AbstractEventLoop]] = [asyncio.new_event_loop, uvloop.new_event_loop]


def run(
    main: Coroutine[Any, Any, None], loop_factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
) -> None:
    """Run one test's coroutine, with a deadline, on a loop of its own."""

    async def bounded() -> None:
        async with asyncio.timeout(DEADLINE_S):
            await main

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(bounded())


@dataclass
class Served:
    server: Server
    ledger: FakeLedger
    client: httpx.AsyncClient

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.server.port)

    async def raw(self, request: bytes, *, end: bool = False) -> bytes:
        """Send bytes and read until the node closes the connection."""
        reader, writer = await self.connect()
        try:
            writer.write(request)
            if end:
                writer.write_eof()
            return await read_all(reader)
        finally:
            await close(writer)

    async def post(self, body: bytes | str, **head: str) -> httpx.Response:
        """`POST /mineBlock` with this very body."""
        return await self.client.post("/mineBlock", content=body, headers=JSON_HEAD | head)


async def unresolved(_host: str, _port: int) -> NoReturn:
    """Names and addresses mean nothing here, unless a test says otherwise."""
    raise OSError("no resolver")


async def read_all(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the connection ends, in whatever way."""
    received = b""
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(65_536):
            received += piece
    return received


async def until(true: Callable[[], bool]) -> None:
    """Let the loop turn until something is true; the test's deadline ends it if it never is."""
    while not true():  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0)


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


@contextlib.asynccontextmanager
async def serving(
    limits: Limits = LIMITS,
    access: Access | None = None,
    door: Door | None = None,
    *,
    opened: bool = True,
    **options: Any,  # noqa: ANN401 - whatever `listen` takes
) -> AsyncIterator[Served]:
    ledger = FakeLedger(limits)
    server = await listen(access or Access("127.0.0.1", 0), limits, **{"resolve": unresolved} | options)
    if opened:
        server.open(ledger, door)
    try:
        base = f"http://127.0.0.1:{server.port}"
        async with httpx.AsyncClient(base_url=base, trust_env=False, timeout=DEADLINE_S) as client:
            yield Served(server, ledger, client)
    finally:
        await server.stop(0)
