"""The node's port: opened, served, and closed without dropping an answer.

`listen` takes the port, at first for `/health` and `/ready` only. `Server.open` brings in the ledger and
the door, and from then on everything is served. `Server.stop` lets requests under way finish.

With a TLS context the port speaks TLS and nothing else, to clients and peers alike.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

from prometheus_client.registry import Collector
from sanic import Sanic
from sanic.server import AsyncioServer

from tallystick import __version__
from tallystick.api.access import Access, Gate
from tallystick.api.app import App, build_app
from tallystick.api.desk import Desk, IsOurs, Resolve
from tallystick.api.door import Door
from tallystick.api.listener import Listener
from tallystick.api.protocol import CROWDED, Crowd, Host, NodeProtocol, counted_address
from tallystick.errors import ConfigError
from tallystick.model.limits import LIMITS, SECOND_MS, Limits
from tallystick.node.ports import Ledger
from tallystick.wire.addresses import plain

_FAMILY: Final = {4: socket.AF_INET, 6: socket.AF_INET6}
_LOOKS_PER_DEADLINE: Final = 10
_LOOK_EVERY_MAX_S: Final = 1.0
_LAST_GASP_S: Final = 1.0
"""For the tasks of connections that were cut off."""


class Server:
    """A port that is being served. Made by `listen`."""

    def __init__(self, desk: Desk, app: App, bound: socket.socket, crowd: Crowd, tls: ssl.SSLContext | None) -> None:
        self._desk = desk
        self._app = app
        self._crowd = crowd
        self._tls = tls
        self._listener = Listener(bound, desk.limits, take=self._take, turn_away=self._turn_away)
        self._entering: set[asyncio.Task[None]] = set()
        self._looking: asyncio.TimerHandle | None = None
        self.host: str
        """The numeric address it listens on."""
        self.port: int
        """The port it listens on, also when any free one was asked for."""
        self.host, self.port = bound.getsockname()[:2]

    def open(self, ledger: Ledger, door: Door | None, *collectors: Collector) -> None:
        """Serve everything: the store is open. Without a door no peer is let in. From now on `collectors` are asked for
        `GET /metrics` too."""
        for collector in collectors:
            self._desk.registry.register(collector)
        self._desk.opened, self._desk.door = ledger, door

    @property
    def connections(self) -> int:
        """Open connections, API and peers together."""
        return len(self._crowd.connections)

    @property
    def unread_bytes(self) -> int:
        """Bytes of answers that slow clients have not taken yet."""
        return self._crowd.unread_bytes()

    async def stop(self, grace_s: float) -> None:
        """Stop listening, close what rests, and give requests under way `grace_s` seconds to finish.

        Peers are the door's to say goodbye to, before or meanwhile. What is open after the grace is cut off.
        """
        self._desk.stopping = True
        for wait in list(self._desk.waits):
            wait.cancel()
        self._app.config.KEEP_ALIVE = False
        await self._listener.close()
        for entering in self._entering:
            entering.cancel()
        for connection in list(self._crowd.connections):
            connection.finish()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._crowd.empty.wait()
        await self._cut_off()
        if self._looking is not None:
            self._looking.cancel()
        Sanic.unregister_app(self._app)

    async def _cut_off(self) -> None:
        left = list(self._crowd.connections)
        for connection in left:
            if connection.transport is not None:
                connection.transport.abort()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_GASP_S):
                await self._crowd.empty.wait()
        tasks = [task for task in (connection._task for connection in left) if task is not None]  # noqa: SLF001 - Sanic gives no other handle
        if tasks:
            await asyncio.wait(tasks, timeout=_LAST_GASP_S)

    async def _start(self) -> None:
        # Startup rewrites Sanic's classes without the hooks nobody uses: once for all applications of a process.
        self._app.config.TOUCHUP = not getattr(Sanic, "__touched__", False)
        loop = asyncio.get_running_loop()
        await AsyncioServer(self._app, loop, None, self._crowd.connections).startup()
        self._listener.open()
        self._look()

    def _take(self, connection: socket.socket) -> None:
        """Serve it, if the crowd has room."""
        loop = asyncio.get_running_loop()
        host = Host(self._desk, self._crowd)
        try:
            address = counted_address(connection.getpeername())
        except OSError:  # it is gone already
            connection.close()
            return
        protocol = NodeProtocol(loop=loop, app=self._app, host=host, address=address)
        if not self._crowd.enter(protocol, address):
            self._turn_away(connection)
            return
        entering = loop.create_task(self._enter(connection, protocol))
        self._entering.add(entering)
        entering.add_done_callback(self._entering.discard)

    def _turn_away(self, connection: socket.socket) -> None:
        """Say that there is no room, to those who can hear it without a handshake."""
        with connection, contextlib.suppress(OSError):
            connection.setblocking(False)  # noqa: FBT003 - the standard library's signature
            if self._tls is None:
                connection.send(CROWDED)
                connection.shutdown(socket.SHUT_WR)

    async def _enter(self, connection: socket.socket, protocol: NodeProtocol) -> None:
        """Give the connection to the event loop. What does not get through its handshake is nobody's loss."""
        limits = self._desk.limits
        patience = {
            "ssl_handshake_timeout": limits.handshake_ms / SECOND_MS,
            "ssl_shutdown_timeout": limits.close_ms / SECOND_MS,
        }
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: protocol, connection, ssl=self._tls, **(patience if self._tls else {})
            )
        except BaseException as error:
            protocol.leave()
            if not isinstance(error, OSError):
                raise

    def _look(self) -> None:
        """Look at every connection, and again soon: one timer for all of them."""
        limits = self._desk.limits
        shortest_ms = min(limits.handshake_ms, limits.request_ms, limits.keep_alive_ms, limits.outbox_stall_ms)
        after_s = min(_LOOK_EVERY_MAX_S, shortest_ms / SECOND_MS / _LOOKS_PER_DEADLINE)
        self._looking = asyncio.get_running_loop().call_later(after_s, self._look)
        now_s = self._desk.monotonic()
        for connection in list(self._crowd.connections):
            connection.look(now_s)


async def listen(
    access: Access,
    limits: Limits = LIMITS,
    *,
    resolve: Resolve,
    is_ours: IsOurs | None = None,
    monotonic: Callable[[], float] = time.monotonic,
    data_size: Callable[[], int | None] = lambda: None,
    tls: ssl.SSLContext | None = None,
) -> Server:
    """Take the port and begin to serve it, over TLS if there is a context. Raises ConfigError when it cannot be had."""
    bound = await _bound(access.host, access.port)
    try:
        crowd = Crowd(limits)
        desk = Desk(
            version=__version__,
            limits=limits,
            gate=Gate(replace(access, tls=tls is not None)),
            resolve=resolve,
            is_ours=is_ours or partial(is_this_machine, bound.getsockname()[:2]),
            monotonic=monotonic,
            data_size=data_size,
            connections=lambda: len(crowd.connections),
            unread_bytes=crowd.unread_bytes,
            started_s=monotonic(),
        )
        server = Server(desk, build_app(desk), bound, crowd, tls)
        await server._start()  # noqa: SLF001 - the other half of this function
    except OSError as error:
        bound.close()
        raise _no_port(access.host, access.port, error) from error
    except BaseException:
        bound.close()
        raise
    return server


async def _bound(host: str, port: int) -> socket.socket:
    """A socket bound to the first address of `host`."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"host {host!r} does not resolve; give --host an address of this machine") from error
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setblocking(False)  # noqa: FBT003 - the standard library's signature
        if os.name == "posix":  # elsewhere it would let two programs share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6 and address[0] == "::":
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # both families, on every system
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise _no_port(host, port, error) from error
    return listener


def _no_port(host: str, port: int, error: OSError) -> ConfigError:
    match error.errno:
        case errno.EADDRINUSE:
            return ConfigError(f"port {port} on {host} is taken; stop the program that has it, or give another --port")
        case errno.EACCES:
            return ConfigError(f"port {port} needs privileges; give a --port from 1024 to 65535")
        case errno.EADDRNOTAVAIL:
            return ConfigError(f"{host} is no address of this machine; give --host one that is, such as 127.0.0.1")
    return ConfigError(f"cannot listen on {host} port {port}: {error.strerror}")


def is_this_machine(listening: tuple[str, int], ip: str, port: int) -> bool:
    """Does whoever dials `ip` and `port` reach the socket that listens at `listening`?

    On all addresses it does if `ip` is any of this machine's: if a socket can be bound to it.
    """
    host, own_port = listening
    if port != own_port:
        return False
    own, dialled = plain(host), plain(ip)
    if not own.is_unspecified:
        return dialled == own
    with socket.socket(_FAMILY[dialled.version], socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((str(dialled), 0))
        except OSError:
            return False
    return True
