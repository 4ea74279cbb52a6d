"""Accepting connections, one at a time, and never the last open file of the process.

To the kernel a connection is an open file. An event loop left to itself accepts whatever comes: when the
files run out, asyncio's tries hundreds of times a second and reports each, and libuv's takes every
connection that waits and slams it. Either way the store finds no file to open either, and a store that
fails stops the node. So the node accepts by itself. The kernel gives out the lowest free number, so the
number of an accepted socket tells how many files are open: from `spare_files` below the limit on, no more
connections are taken for a while. They wait in the kernel, and those that are open are served as ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Final

import structlog

from tallystick.model.limits import SECOND_MS, Limits

BACKLOG: Final = 512
"""Connections the kernel completes for us while we are busy."""

_log: Final = structlog.get_logger("tallystick.api")

Take = Callable[[socket.socket], None]


class Listener:
    """A bound socket, and what becomes of those who connect to it."""

    def __init__(self, bound: socket.socket, limits: Limits, *, take: Take, turn_away: Take) -> None:
        """`take` owns the connection it is given; `turn_away` too, and closes it at once."""
        self._socket = bound
        self._limits = limits
        self._take = take
        self._turn_away = turn_away
        self._accepting: asyncio.Task[None] | None = None
        self._paused = False

    def open(self) -> None:
        """Begin to accept. Raises OSError when the port is somebody else's."""
        self._socket.listen(BACKLOG)
        self._accepting = asyncio.get_running_loop().create_task(self._accept_all(), name="accept")

    async def close(self) -> None:
        """Accept nothing more, and give the port back. Idempotent."""
        if self._accepting is not None:
            self._accepting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._accepting
            self._accepting = None
        self._socket.close()

    async def _accept_all(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(self._socket)
            except ConnectionAbortedError:  # it was gone before it was accepted
                continue
            except OSError as error:  # above all: no room for another file, in this process or in the system
                await self._pause(error.strerror)
                continue
            if connection.fileno() >= files_allowed() - self._limits.spare_files:
                self._turn_away(connection)
                await self._pause("few open files are left to this process")
                continue
            if self._paused:
                self._paused = False
                _log.info("new connections are accepted again")
            self._take(connection)
            await asyncio.sleep(0)  # accepting may not have waited for anything: let others have their turn

    async def _pause(self, why: str | None) -> None:
        if not self._paused:
            self._paused = True
            _log.warning("new connections have to wait", why=why)
        await asyncio.sleep(self._limits.accept_pause_ms / SECOND_MS)


def files_allowed() -> int:
    """Open files the system allows this process; very many where it has no such limit."""
    try:
        import resource  # noqa: PLC0415 - not on Windows
    except ImportError:
        return 2**31
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2**31 if soft == resource.RLIM_INFINITY else soft
