"""Real node processes for tests: started, talked to over HTTP, killed, and looked at afterwards."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Final

from tests.system.warm import WARM, Forked

PATIENCE_S: Final = 30.0
"""Far more than anything here takes; only a real failure waits for so long."""

LOOK_FIRST_S: Final = 0.01
LOOK_LAST_S: Final = 0.1
"""How soon it is looked again whether something is so: less often the longer it takes, for each look costs those who
are waited for a little of their time."""

BOOK_NODE: Final = Path(__file__).parents[1] / "book_node.py"
ALTERED: Final = Path(__file__).with_name("altered.py")

LISTENING: Final = re.compile(r"listening on  https?://127\.0\.0\.1:(\d+)")


class Served:
    """A process that serves the REST interface of a node."""

    port = 0
    process: subprocess.Popen[str] | Forked | None = None

    def start(self) -> None:
        raise NotImplementedError

    @property
    def address(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def ask(self, method: str, path: str, body: object = None, within_s: float = PATIENCE_S) -> tuple[int, Any]:
        """One request on a connection of its own: status and decoded answer."""
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=within_s)) as connection:
            connection.request(
                method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json"}
            )
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def get(self, path: str) -> Any:  # noqa: ANN401 - any JSON
        status, answer = self.ask("GET", path)
        assert status == 200, answer
        return answer

    def mine(self, data: str) -> Mapping[str, Any]:
        status, block = self.ask("POST", "/mineBlock", {"data": data})
        assert status == 200, block
        assert isinstance(block, dict)
        return block

    def chain(self) -> list[dict[str, Any]]:
        blocks = self.get("/blocks")
        assert isinstance(blocks, list)
        return blocks

    def data(self) -> list[str]:
        return [block["data"] for block in self.chain()]

    def kill(self) -> None:
        """The process is gone from one instruction to the next."""
        self.send(signal.SIGKILL)
        self.wait()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop and return its exit code."""
        self.send(number)
        return self.wait()

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self) -> int:
        assert self.process is not None
        assert self.process.stdout is not None
        code = self.process.wait(PATIENCE_S)
        self.process.stdout.close()
        return code

    def ends_within(self, seconds: float) -> bool:
        """Does it end by itself so soon?"""
        assert self.process is not None
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        return self.process.returncode is not None

    def end(self) -> None:
        """Leave nothing behind, whatever happened."""
        if self.process is not None and self.process.poll() is None:
            self.kill()
        if self.process is not None and self.process.stdout is not None:
            self.process.stdout.close()


class NodeProcess(Served):
    """`tallystick start` on a data folder; `port` stays the same from one start to the next."""

    def __init__(
        self,
        folder: Path,
        *peers: str,
        options: tuple[str, ...] = (),
        variables: Mapping[str, str] | None = None,
        limits: Mapping[str, int] | None = None,
        clock: Path | None = None,
        cold: bool = False,
    ) -> None:
        """`limits` are those that shall be other than a real node's, `clock` a file as `altered` reads it. A `cold`
        node is started by an interpreter of its own, as a person would (`warm`)."""
        self.folder = folder
        self.peers = peers
        self.options = options
        self.variables = variables or {}
        self.cold = cold or not WARM
        self.altered = (json.dumps(limits or {}), str(clock or "")) if limits is not None or clock is not None else None
        self.log = folder.with_name(folder.name + ".log")

    def launch(self, before: Callable[[], None] | None = None) -> None:
        """Start, without waiting. `before` runs in the new process first."""
        arguments, variables = ["start", *self.arguments(), *self.options], environment(**self.variables)
        program = ("-m", "tallystick") if self.altered is None else (str(ALTERED), *self.altered)
        with self.log.open("a") as log:
            if before is None and not self.cold:
                self.process = _forked(arguments, variables, log, self.altered)
                return
            self.process = subprocess.Popen(
                [sys.executable, *program, *arguments],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=variables,
                preexec_fn=before,  # noqa: PLW1509 - limits of a child that does nothing else before exec
            )

    def start(self, before: Callable[[], None] | None = None) -> None:
        """Start and wait until it says what it listens on."""
        self.launch(before)
        assert self.process is not None
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if match := LISTENING.search(line):
                self.port = int(match[1])
                return
        raise AssertionError(f"the node did not start: {self.log.read_text()}")

    def events(self) -> list[dict[str, Any]]:
        """What it logged in all its lives, if it logs JSON."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    @property
    def on_folder(self) -> list[str]:
        """Options of the commands that read the data folder."""
        return ["--data-dir", str(self.folder)]

    def arguments(self) -> list[str]:
        """Where it listens, where its data is, whom it dials."""
        dials = [text for peer in self.peers for text in ("--peer", peer)]
        return ["--port", str(self.port), "--data-dir", str(self.folder), *dials]


class BookProcess(Served):
    """A node of the book (`tests/book_node.py`); what it mined is gone when it ends."""

    def __init__(self, *peers: str, timestamps: str = "number") -> None:
        self.peers = peers
        self.timestamps = timestamps

    def start(self) -> None:
        """Start and wait until it says what it listens on."""
        self.process = subprocess.Popen(
            [sys.executable, BOOK_NODE],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment(PORT=str(self.port), PEERS=",".join(self.peers), BOOK_TIMESTAMPS=self.timestamps),
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("listening on "):
                self.port = int(line.split()[-1])
                return
        raise AssertionError("the book's node did not start")


class Load(threading.Thread):
    """Posts one text after the other until the node is gone; `acknowledged` holds what it was told is mined."""

    def __init__(self, port: int, name: str) -> None:
        super().__init__()
        self.port, self.prefix = port, name
        self.acknowledged: list[str] = []

    def run(self) -> None:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            while True:
                data = f"{self.prefix} {len(self.acknowledged)}"
                connection.request("POST", "/mineBlock", f'{{"data": "{data}"}}', {"Content-Type": "application/json"})
                answer = connection.getresponse()
                if answer.status != 200:
                    return
                answer.read()
                self.acknowledged.append(data)
        except (OSError, HTTPException):
            return  # the node was killed
        finally:
            connection.close()


def environment(**more: str) -> dict[str, str]:
    """Ours, without settings that would reach the node."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("TALLYSTICK_")}
    clean.pop("PORT", None)
    clean.pop("PEERS", None)
    return clean | more


@contextmanager
def nodes(*processes: Served) -> Iterator[None]:
    """Start these one after the other, and end them all."""
    try:
        for process in processes:
            process.start()
        yield
    finally:
        for process in processes:
            process.end()


@contextmanager
def closing(connection: HTTPConnection) -> Iterator[HTTPConnection]:
    try:
        yield connection
    finally:
        connection.close()


def eventually(what: Callable[[], bool], because: str, within_s: float = PATIENCE_S) -> None:
    """Wait for something that other processes bring about."""
    deadline = time.monotonic() + within_s
    pause_s = LOOK_FIRST_S
    while not met(what):
        assert time.monotonic() < deadline, because
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, LOOK_LAST_S)


def met(what: Callable[[], bool]) -> bool:
    """Is it so? A process that does not answer yet is a no."""
    try:
        return what()
    except (OSError, HTTPException):
        return False


def connected(node: Served, count: int = 1) -> None:
    """Wait until `node` has so many peers."""
    eventually(lambda: len(node.get("/peers")) >= count, f"{count} peers never connected")


def run(
    *arguments: str, stdin: str | None = None, variables: Mapping[str, str] | None = None, within: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a `tallystick` command to its end, in the folder `within`, or in ours."""
    if not WARM:
        return subprocess.run(
            [sys.executable, "-m", "tallystick", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
            env=environment(**(variables or {})),
            cwd=within,
        )
    with TemporaryFile("w+") as given, TemporaryFile("w+") as said, TemporaryFile("w+") as complained:
        given.write(stdin or "")
        given.seek(0)
        files = given.fileno(), said.fileno(), complained.fileno()
        process = Forked(arguments, environment(**(variables or {})), files, within=within)
        try:
            code = process.wait(PATIENCE_S)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        for file in (said, complained):
            file.seek(0)
        return subprocess.CompletedProcess(arguments, code, said.read(), complained.read())


def _forked(
    arguments: Sequence[str], variables: Mapping[str, str], log: IO[str], altered: tuple[str, str] | None
) -> Forked:
    """A node that says in a pipe what it listens on."""
    read, write = os.pipe()
    said = os.fdopen(read, "r")
    try:
        with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - no path of ours
            process = Forked(arguments, variables, (nothing.fileno(), write, log.fileno()), altered=altered)
    except BaseException:
        said.close()
        raise
    finally:
        os.close(write)
    process.stdout = said
    return process
