"""A cable between browser and node, to be cut, and to be put into another node."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from tallystick.testing import local
from tallystick.testing.local import LocalLedger


class Cable:
    """Forwards bytes to a node, and none while it is cut."""

    def __init__(self, host: local._Host) -> None:
        self._host = host
        self._to = 0
        self._is_cut = False
        self._open: set[asyncio.StreamWriter] = set()
        self._server = host.run(asyncio.start_server(self._forward, local.HOST, 0))
        self.url = f"http://{local.HOST}:{self._server.sockets[0].getsockname()[1]}"

    def plug(self, ledger: LocalLedger) -> None:
        """What is asked from now on, this node answers."""
        self._to = urlsplit(ledger.url).port or 0
        self._is_cut = False

    def cut(self) -> None:
        """All connections end, and new ones too, until it is plugged in again."""
        self._is_cut = True
        self._host.run(self._end())

    def close(self) -> None:
        self.cut()
        self._server.close()

    async def _end(self) -> None:
        for writer in self._open:
            writer.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        node_reader, node_writer = await asyncio.open_connection(local.HOST, self._to)
        self._open |= {writer, node_writer}
        try:
            await asyncio.gather(pumped(reader, node_writer), pumped(node_reader, writer))
        finally:
            self._open -= {writer, node_writer}
            for each in (writer, node_writer):
                each.close()


async def pumped(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()
    writer.close()


@contextmanager
def cable(ledger: LocalLedger) -> Iterator[Cable]:
    with local._Host() as host:
        made = Cable(host)
        made.plug(ledger)
        try:
            yield made
        finally:
            made.close()
