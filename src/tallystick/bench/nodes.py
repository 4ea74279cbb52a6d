"""Servers under test: each a process of its own, on a free port, with nothing of the environment's settings."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Self

from tallystick.app.config import BOOK_VARIABLES
from tallystick.app.settings import PREFIX
from tallystick.errors import TallystickError
from tallystick.model.text import printable

HOST: Final = "127.0.0.1"

PATIENCE_S: Final = 60.0
"""For a server to be ready, to answer, and to end. Far more than any should take."""

LOOK_EVERY_S: Final = 0.002
"""Whether a server is ready."""

WORDS_BYTES: Final = 500
"""Of what a server that did not start said last."""

PIECE_BYTES: Final = 2**20
"""Of an answer that is read and thrown away, at a time."""

GET_READY: Final = f"GET /ready HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode()


class UnmeasuredError(TallystickError):
    """Something could not be measured: a server did not start, or requests failed. The message says what to look at."""


@dataclass(frozen=True, slots=True)
class Server:
    """A process that serves."""

    port: int
    pid: int
    ready_s: float
    """From its start until it first answered that it is ready."""

    def resident_bytes(self) -> int:
        """Its memory. Raises UnmeasuredError where the system does not tell."""
        return resident_bytes(self.pid)


@contextmanager
def serving(command: Sequence[str]) -> Iterator[Server]:
    """Run a server on a free port, which the command gets as `--port`, until the block ends. Raises UnmeasuredError
    when it does not come up."""
    port = _free_port()
    with tempfile.TemporaryFile() as said:
        began = time.perf_counter()
        with subprocess.Popen(
            [sys.executable, *command, "--port", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            env=environment(),
        ) as process:
            try:
                _until_ready(process, port, said)
                yield Server(port, process.pid, time.perf_counter() - began)
            finally:
                process.terminate()
                _await_end(process)


def node(folder: Path, *options: str) -> list[str]:
    """The command of a node that speaks to nobody who is not named."""
    command = ["-m", "tallystick", "start", "--data-dir", str(folder), "--log-level", "error", "--no-discover"]
    return [*command, *options]


def smallest() -> list[str]:
    """The command of the smallest server."""
    return ["-m", "tallystick.bench.smallest"]


def environment() -> Mapping[str, str]:
    """Ours, without what configures a node: it is measured as it is by itself."""
    others = {name for name in os.environ if name in BOOK_VARIABLES or name.startswith(PREFIX)}
    return {name: value for name, value in os.environ.items() if name not in others}


def _free_port() -> int:
    """A port nobody has now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _until_ready(process: subprocess.Popen[bytes], port: int, said: IO[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not _is_ready(port):
        if process.poll() is not None or time.monotonic() > deadline:
            said.seek(max(0, said.seek(0, os.SEEK_END) - WORDS_BYTES))
            words = printable(said.read().decode(errors="replace").strip()) or "nothing"
            raise UnmeasuredError(f"{' '.join(map(str, process.args[1:4]))} did not come up. It said: {words}")  # type: ignore[index]
        time.sleep(LOOK_EVERY_S)


def _is_ready(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=PATIENCE_S) as connection:
            connection.sendall(GET_READY)
            return connection.recv(100).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def _await_end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()


def resident_bytes(pid: int) -> int:
    """Memory of a process. Raises UnmeasuredError where the system does not tell."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        pass  # not Linux
    try:
        told = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, check=True)  # noqa: S607
        return int(told.stdout) * 1024
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        raise UnmeasuredError("this system does not tell how much memory a process has") from error


class Caller:
    """Somebody who uses the API of a server over one connection. A context manager."""

    def __init__(self, server: Server) -> None:
        self._connection = http.client.HTTPConnection(HOST, server.port, timeout=PATIENCE_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def get(self, path: str) -> bytes:
        """The body of the answer, also of one that says no. Raises UnmeasuredError when the server is not able to."""
        with self._asked("GET", path) as answer:
            return answer.read()

    def post(self, path: str, body: object) -> bytes:
        """Likewise."""
        with self._asked("POST", path, json.dumps(body)) as answer:
            return answer.read()

    def length_of(self, path: str) -> int:
        """Read an answer and keep nothing of it. Its bytes."""
        size = 0
        with self._asked("GET", path) as answer:
            while piece := answer.read(PIECE_BYTES):
                size += len(piece)
        return size

    @contextmanager
    def _asked(self, method: str, path: str, body: str | None = None) -> Iterator[http.client.HTTPResponse]:
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
            if answer.status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
                words = printable(answer.read()[:WORDS_BYTES].decode(errors="replace"))
                raise UnmeasuredError(f"{method} {path} was answered with {answer.status}: {words}")
            yield answer
        except (OSError, http.client.HTTPException) as error:
            raise UnmeasuredError(f"{method} {path} was not answered ({type(error).__name__}: {error})") from error
