"""A load generator: some connections, one request after the other on each, as fast as answers come.

It runs in a process of its own and does as little as possible for each answer (find the end of the head,
read Content-Length, skip the body), so that on two cores the server is what is measured.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from dataclasses import asdict, dataclass

import uvloop

WARM_UP_S = 0.5


@dataclass(frozen=True, slots=True)
class Result:
    """What a run of the load measured."""

    requests_per_s: float
    median_ms: float
    p99_ms: float
    errors: int


class Connection(asyncio.Protocol):
    """One connection that always has one request under way."""

    def __init__(self, request: bytes, latencies: list[float]) -> None:
        self._request = request
        self._latencies = latencies
        self._transport: asyncio.Transport
        self._sent = 0.0
        self._buffer = b""
        self.errors = 0
        self.stopping = False
        self.stopped = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment] # uvloop's is one without deriving from it
        self._send()

    def _send(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(self._request)

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
        self.errors += not buffer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 202"))
        self._latencies.append(time.perf_counter() - self._sent)
        if self.stopping:
            self._transport.close()
        else:
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - as asyncio calls it
        if not self.stopped.done():
            self.stopped.set_result(None)


def request_of(method: str, path: str, body: bytes = b"") -> bytes:
    """The bytes of a request."""
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def generate(port: int, request: bytes, connections: int, seconds: float) -> Result:
    """Load `port` with `request` on so many connections for so long."""
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    pairs = [
        await loop.create_connection(lambda: Connection(request, latencies), "127.0.0.1", port)
        for _ in range(connections)
    ]
    await asyncio.sleep(WARM_UP_S)
    latencies.clear()
    started = time.perf_counter()
    await asyncio.sleep(seconds)
    elapsed, measured = time.perf_counter() - started, sorted(latencies)
    for _, connection in pairs:
        connection.stopping = True
    await asyncio.gather(*(connection.stopped for _, connection in pairs))
    return Result(
        requests_per_s=len(measured) / elapsed,
        median_ms=statistics.median(measured) * 1000,
        p99_ms=measured[int(len(measured) * 0.99)] * 1000,
        errors=sum(connection.errors for _, connection in pairs),
    )


def main() -> None:
    """Run with one JSON argument: port, method, path, body, connections, seconds. Prints the result as JSON."""
    order = json.loads(sys.argv[1])
    request = request_of(order["method"], order["path"], order["body"].encode())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        result = runner.run(generate(order["port"], request, order["connections"], order["seconds"]))
    print(json.dumps(asdict(result)))


if __name__ == "__main__":
    main()
