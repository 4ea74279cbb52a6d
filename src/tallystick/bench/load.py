"""A load generator: some connections, one request after the other on each, as fast as answers come.

It runs in a process of its own and does as little as possible for each answer (find the end of the head,
read Content-Length, skip the body), so that on two cores the server is what is measured. `load` starts it, and
`python -m tallystick.bench.load` is it: an `Order` as JSON on stdin, a `Result` on stdout.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import cycle

import msgspec

from tallystick.bench.nodes import HOST, PATIENCE_S, Server, UnmeasuredError


class Order(msgspec.Struct, frozen=True):
    """What is to be done."""

    port: int
    method: str
    paths: Sequence[str]
    """One after the other, and from the beginning again; each connection begins at another."""

    body: str
    connections: int
    seconds: float
    warm_up_s: float


class Result(msgspec.Struct, frozen=True):
    """What a run of the load measured."""

    requests_per_s: float
    median_ms: float
    p99_ms: float


class _Measured(msgspec.Struct, frozen=True):
    """What the process says: nothing is told of requests that failed but how many they were, and one of them."""

    result: Result | None
    errors: int
    first: str


def load(
    server: Server, method: str, paths: Sequence[str], body: str, connections: int, times: tuple[float, float]
) -> Result:
    """Load a server from another process, for so many seconds once it is warm, which takes the others. Raises
    UnmeasuredError when requests fail."""
    order = Order(server.port, method, paths, body, connections, *times)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "tallystick.bench.load"],
            input=msgspec.json.encode(order),
            capture_output=True,
            check=True,
            timeout=sum(times) + PATIENCE_S,
        )
    except subprocess.SubprocessError as error:
        raise UnmeasuredError(f"{method} {paths[0]}: the load generator failed ({type(error).__name__})") from error
    measured = msgspec.json.decode(done.stdout, type=_Measured)
    if measured.errors or measured.result is None:
        raise UnmeasuredError(
            f"{method} {paths[0]}: {measured.errors:,} requests failed; the first answer: {measured.first}"
        )
    return measured.result


# --- the process ------------------------------------------------------------------------------------


class Connection(asyncio.Protocol):
    """One connection that always has one request under way."""

    def __init__(self, requests: Iterator[bytes], latencies: list[float]) -> None:
        self._requests = requests
        self._latencies = latencies
        self._transport: asyncio.Transport
        self._sent = 0.0
        self._buffer = b""
        self.errors = 0
        self.first = b""
        self.stopping = False
        self.stopped = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment] # uvloop's is one without deriving from it
        self._send()

    def _send(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        head = buffer.find(b"\r\n\r\n")
        if head < 0:
            self._buffer = buffer
            return
        at = buffer.lower().find(b"content-length: ", 0, head) + 16
        length = int(buffer[at : buffer.find(b"\r", at)])
        if len(buffer) < head + 4 + length:
            self._buffer = buffer
            return
        self._buffer = b""
        if not buffer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 202")):
            self.errors += 1
            self.first = self.first or buffer[:300]
        self._latencies.append(time.perf_counter() - self._sent)
        if self.stopping:
            self._transport.close()
        else:
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - as asyncio calls it
        if not self.stopping:
            self.errors += 1
            self.first = self.first or b"none; the server hung up"
        if not self.stopped.done():
            self.stopped.set_result(None)


def request_of(method: str, path: str, body: bytes = b"") -> bytes:
    """The bytes of a request."""
    head = f"{method} {path} HTTP/1.1\r\nHost: {HOST}\r\n"
    if method != "GET":
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}\r\n".encode() + body


async def generate(order: Order) -> _Measured:
    """Do it."""
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    requests = [request_of(order.method, path, order.body.encode()) for path in order.paths]

    def connection(number: int) -> Connection:
        start = number * len(requests) // order.connections
        return Connection(cycle(requests[start:] + requests[:start]), latencies)

    pairs = [
        await loop.create_connection(lambda number=number: connection(number), HOST, order.port)  # type: ignore[misc]
        for number in range(order.connections)
    ]
    await asyncio.sleep(order.warm_up_s)
    latencies.clear()
    started = time.perf_counter()
    await asyncio.sleep(order.seconds)
    while not latencies and time.perf_counter() - started < PATIENCE_S / 2 and not _errors(pairs):  # noqa: ASYNC110
        await asyncio.sleep(order.seconds)  # so busy a machine that none was answered yet
    elapsed, measured = time.perf_counter() - started, sorted(latencies)
    for _, connected in pairs:
        connected.stopping = True
    await asyncio.gather(*(connected.stopped for _, connected in pairs))
    errors = _errors(pairs)
    first = next((connected.first for _, connected in pairs if connected.errors), b"none")
    return _Measured(_result(measured, elapsed) if measured else None, errors, repr(first))


def _errors(pairs: Sequence[tuple[asyncio.BaseTransport, Connection]]) -> int:
    return sum(connected.errors for _, connected in pairs)


def _result(latencies: Sequence[float], elapsed: float) -> Result:
    """Of sorted latencies, in seconds."""
    return Result(
        requests_per_s=len(latencies) / elapsed,
        median_ms=statistics.median(latencies) * 1_000,
        p99_ms=latencies[int(len(latencies) * 0.99)] * 1_000,
    )


def _event_loop() -> asyncio.AbstractEventLoop:
    """The fastest event loop there is, as the node's."""
    try:
        import uvloop  # noqa: PLC0415 - not on Windows
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def main() -> None:
    """Take an order from stdin and print what was measured."""
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    with asyncio.Runner(loop_factory=_event_loop) as runner:
        measured = runner.run(generate(order))
    sys.stdout.buffer.write(msgspec.json.encode(measured))


if __name__ == "__main__":
    main()
