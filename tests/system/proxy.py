"""Lines between nodes that a test has in its hand: slow, narrow, cut off, silent, refused.

A node that is told of another one only by the address of a `Proxy` has no other way to it. The proxy listens on a port
that stays the same, and passes on what it hears to wherever its target listens now. All proxies of a test live in one
thread of its own (`Proxies`); whatever a test asks of one is so when the call returns.

What chance decides, the jitter of delays, is drawn from the seed and the name of the line. When bytes arrive, and in
how large pieces, is decided by the machine, as on a real line.
"""

from __future__ import annotations

import asyncio
import enum
import random
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Self, TypeVar

from tests.system.processes import PATIENCE_S

PIECE_BYTES: Final = 16 * 1024
"""Passed on at a time."""

PIECES: Final = 16
"""On their way in one direction; more waits at the sender, as it does where a window is full."""

RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER with no time to linger: whoever has the other end is told that the connection was reset."""

T = TypeVar("T")


class Way(enum.Enum):
    """A direction."""

    OUT = "from who dials"
    BACK = "to who dials"


@dataclass
class Weather:
    """What the line does to what goes one way."""

    delay_s: float = 0.0
    jitter_s: float = 0.0
    """Up to so much more delay, piece by piece; the order stays."""

    bytes_per_s: float | None = None
    cut_after: int | None = None
    """So many more bytes get through; with the last of them the connection ends, in the middle of whatever it was."""

    open: asyncio.Event = field(default_factory=asyncio.Event)
    """Cleared while nothing gets through. What was sent meanwhile arrives later, if anybody still waits for it."""

    passed: int = 0
    """Bytes that got through."""

    def __post_init__(self) -> None:
        self.open.set()

    def pieces(self, data: bytes) -> list[bytes]:
        """As much at a time as goes through in a twentieth of a second."""
        size = PIECE_BYTES if self.bytes_per_s is None else max(1, int(self.bytes_per_s / 20))
        return [data[at : at + size] for at in range(0, len(data), size)]


class CutError(Exception):
    """The line was told to cut here."""


class Proxies:
    """Owner of the thread in which proxies live."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.loop = asyncio.new_event_loop()
        self.all: list[Proxy] = []
        self._thread = threading.Thread(target=self.loop.run_forever, name="proxies")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for proxy in self.all:
            self.run(proxy.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(PATIENCE_S)
        self.loop.close()

    def line(self, name: str, target: int = 0) -> Proxy:
        """A new proxy that leads to this port of this machine."""
        proxy = Proxy(self, name, target)
        self.all.append(proxy)
        proxy.resume()
        return proxy

    def run(self, what: Coroutine[Any, Any, T]) -> T:
        """Have it done in the thread, and wait for it."""
        return asyncio.run_coroutine_threadsafe(what, self.loop).result(PATIENCE_S)

    def do(self, what: Callable[[], T]) -> T:
        """Likewise, what needs no waiting."""
        done: Future[T] = Future()

        def call() -> None:
            try:
                done.set_result(what())
            except BaseException as error:  # noqa: BLE001 - whoever asked gets it
                done.set_exception(error)

        self.loop.call_soon_threadsafe(call)
        return done.result(PATIENCE_S)


class Proxy:
    """One line, to be dialled at `address`."""

    def __init__(self, owner: Proxies, name: str, target: int) -> None:
        self.name = name
        self.target = target
        self.cuts = 0
        """Connections that were cut in the middle."""

        self._owner = owner
        self._random = random.Random(f"{owner.seed} {name}")  # noqa: S311 - chance of a test
        self._weather = {way: Weather() for way in Way}
        self._through: dict[asyncio.Task[None], tuple[socket.socket, socket.socket]] = {}
        self._listener: socket.socket | None = None
        self._place = reserved()
        """Keeps the port ours while nobody listens on it."""

        self.port = int(self._place.getsockname()[1])

    @property
    def address(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    @property
    def connections(self) -> int:
        return self._owner.do(lambda: len(self._through))

    def passed(self, way: Way) -> int:
        """Bytes that went this way so far."""
        return self._weather[way].passed

    # --- what a test can do to it --------------------------------------------------------------

    def delay(self, seconds: float, jitter_s: float = 0.0, *ways: Way) -> None:
        """What is sent from now on arrives later; without `ways`, in both directions, here as below."""
        for weather in self._chosen(ways):
            weather.delay_s, weather.jitter_s = seconds, jitter_s

    def narrow(self, bytes_per_s: float, *ways: Way) -> None:
        """No more than this gets through."""
        for weather in self._chosen(ways):
            weather.bytes_per_s = bytes_per_s

    def cut_after(self, size_bytes: int, way: Way) -> None:
        """Once so many more bytes went this way, the connection ends at both ends. It happens once."""
        self._weather[way].cut_after = size_bytes

    def silence(self, *ways: Way) -> None:
        """Nothing gets through any more, and nobody is told: connections stay open, and new ones are taken."""

        def silence() -> None:
            for weather in self._chosen(ways):
                weather.open.clear()

        self._owner.do(silence)

    def refuse(self) -> None:
        """Take no new connections: whoever dials is refused. Those that are open stay."""
        self._owner.do(self._deafen)

    def resume(self) -> None:
        """Take new connections again."""
        self._owner.do(self._listen)

    def reset(self) -> None:
        """End all connections, both ends being told that they were reset."""
        self._owner.run(self._end_all())

    def clear(self) -> None:
        """A line like any other again."""

        def clear() -> None:
            for weather in self._weather.values():
                weather.delay_s = weather.jitter_s = 0.0
                weather.bytes_per_s = weather.cut_after = None
                weather.open.set()

        self._owner.do(clear)
        self.resume()

    async def close(self) -> None:
        """Nothing is left of it."""
        self._deafen()
        await self._end_all()
        self._place.close()

    # --- how it works: all of this in the thread of its owner ------------------------------------

    def _chosen(self, ways: tuple[Way, ...]) -> list[Weather]:
        return [self._weather[way] for way in ways or Way]

    def _listen(self) -> None:
        if self._listener is None:
            listening = reserved(self.port)
            listening.listen()
            listening.settimeout(0)
            self._owner.loop.add_reader(listening, self._accept, listening)
            self._listener = listening

    def _deafen(self) -> None:
        if self._listener is not None:
            self._owner.loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    def _accept(self, listening: socket.socket) -> None:
        """Let one in. In one go: a task that is ended while it waits for somebody could forget whom it was given."""
        try:
            dialler, _ = listening.accept()
        except OSError:
            return  # gone again
        target = socket.socket()
        for end in (dialler, target):
            end.settimeout(0)
        task = self._owner.loop.create_task(self._join(dialler, target))
        self._through[task] = (dialler, target)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        """However it ended, it has at both ends, and even if it never began."""
        for end in self._through.pop(task):
            end.close()

    async def _end_all(self) -> None:
        """In one go as well: who ends while another is waited for has no sockets any more."""
        ending = list(self._through)
        for task in ending:
            for end in self._through[task]:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)

    async def _join(self, dialler: socket.socket, target: socket.socket) -> None:
        """One connection, from its beginning to its end."""
        with suppress(OSError):
            await self._owner.loop.sock_connect(target, ("127.0.0.1", self.target))
            for end in (dialler, target):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._carry(dialler, target, self._weather[Way.OUT]))
                    both.create_task(self._carry(target, dialler, self._weather[Way.BACK]))
            except* (OSError, CutError):
                pass  # an end was reset or cut off: so is the other

    async def _carry(self, source: socket.socket, sink: socket.socket, weather: Weather) -> None:
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(PIECES)
        async with asyncio.TaskGroup() as both:
            both.create_task(self._hear(source, waiting, weather))
            both.create_task(self._say(sink, waiting, weather))

    async def _hear(self, source: socket.socket, waiting: asyncio.Queue[tuple[float, bytes]], weather: Weather) -> None:
        loop = self._owner.loop
        data = b"?"
        while data:
            data = await loop.sock_recv(source, PIECE_BYTES)
            due_s = loop.time() + weather.delay_s + weather.jitter_s * self._random.random()
            await waiting.put((due_s, data))

    async def _say(self, sink: socket.socket, waiting: asyncio.Queue[tuple[float, bytes]], weather: Weather) -> None:
        loop = self._owner.loop
        while True:
            due_s, data = await waiting.get()
            await asyncio.sleep(due_s - loop.time())
            await weather.open.wait()
            if not data:
                sink.shutdown(socket.SHUT_WR)
                return
            for piece in weather.pieces(data):
                await weather.open.wait()
                await self._pass(sink, piece, weather)
                if weather.bytes_per_s is not None:
                    await asyncio.sleep(len(piece) / weather.bytes_per_s)

    async def _pass(self, sink: socket.socket, piece: bytes, weather: Weather) -> None:
        left = weather.cut_after
        if left is not None and len(piece) >= left:
            weather.cut_after = None
            await self._owner.loop.sock_sendall(sink, piece[:left])
            weather.passed += left
            self.cuts += 1
            raise CutError
        await self._owner.loop.sock_sendall(sink, piece)
        weather.passed += len(piece)
        if left is not None and weather.cut_after is not None:
            weather.cut_after = left - len(piece)


def reserved(port: int = 0) -> socket.socket:
    """A socket bound to this port; two may be, as long as only one of them listens."""
    place = socket.socket()
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    place.bind(("127.0.0.1", port))
    return place
