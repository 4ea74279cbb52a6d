"""Servers under test, each a process of its own on a free port."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from bench.load import Result


@contextmanager
def serving(command: Sequence[str]) -> Iterator[psutil.Process]:
    """Run a server until the block ends; it is ready when it printed a line with `listening on`."""
    with subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if "listening on" in line:
                    break
            else:
                raise SystemExit(f"{command} did not start")
            yield psutil.Process(process.pid)
        finally:
            process.terminate()
            process.stdout.close()
            process.wait(30)


def node(folder: Path, port: int, *options: str) -> list[str]:
    """The command of a node."""
    command = ["-m", "tallystick", "start", "--port", str(port), "--data-dir", str(folder), "--log-level", "error"]
    return [*command, *options]


def smallest(port: int) -> list[str]:
    """The command of the yardstick."""
    return ["-m", "bench.smallest", str(port)]


def free_port() -> int:
    """A port nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def load(port: int, connections: int, seconds: float, body: str, path: str = "/mineBlock") -> Result:
    """Post `body` from another process."""
    order = {
        "port": port,
        "method": "POST",
        "path": path,
        "body": body,
        "connections": connections,
        "seconds": seconds,
    }
    done = subprocess.run(
        [sys.executable, "-m", "bench.load", json.dumps(order)], capture_output=True, text=True, check=True
    )
    values: dict[str, Any] = json.loads(done.stdout)
    return Result(**values)


def seconds_until_ready(folder: Path) -> float:
    """From the start of the process to the first 200 of GET /ready."""
    port = free_port()
    started = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, *node(folder, port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            while not _ready(port):
                if process.poll() is not None:
                    raise SystemExit("the node did not start")
                time.sleep(0.002)
            return time.perf_counter() - started
        finally:
            process.terminate()
            process.wait(30)


def _ready(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(b"GET /ready HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            return connection.recv(100).startswith(b"HTTP/1.1 200")
    except OSError:
        return False
