"""Running a node: how it is configured, greets, becomes ready, and stops, whatever goes on meanwhile."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from itertools import groupby
from pathlib import Path

from tests.system.processes import (
    PATIENCE_S,
    Load,
    NodeProcess,
    closing,
    connected,
    environment,
    eventually,
    nodes,
    run,
)


class Unattended(NodeProcess):
    """A node that is told everything by its environment."""

    def arguments(self) -> list[str]:
        return []


def test_variables_and_a_file_configure_a_node(tmp_path: Path) -> None:
    """An option wins over a variable, a variable over the file; `PORT` and `PEERS` are the book's."""
    token = tmp_path / "token"
    token.write_text("a-token-of-24-characters\n")
    token.chmod(0o600)
    (tmp_path / "node.toml").write_text(
        'data_dir = "from the file"\nport = 1\ntoken_file = "token"\nlog_format = "json"\nlog_level = "error"\n'
    )
    a = NodeProcess(tmp_path / "a", cold=True)
    with nodes(a):
        variables = {
            "TALLYSTICK_CONFIG": str(tmp_path / "node.toml"),
            "TALLYSTICK_LOG_LEVEL": "info",
            "PORT": "0",
            "PEERS": a.address,
        }
        b = Unattended(tmp_path / "b", variables=variables)
        with nodes(b):
            connected(b)
            assert b.get("/peers") == [f"127.0.0.1:{a.port}"]
            assert (tmp_path / "from the file" / "ledger.sqlite").is_file()
            assert b.ask("POST", "/mineBlock", {"data": "without a token"})[0] == 401
            url = f"http://127.0.0.1:{b.port}"
            assert run("mine", "with it", "--url", url, "--token-file", str(token)).returncode == 0
            eventually(lambda: a.data()[1:] == ["with it"], "the block never reached a")
            events = [json.loads(line)["event"] for line in b.log.read_text().splitlines()]
            assert events[:2] == ["made the key of this node", "ready"]
            assert b.stop() == 0


def test_what_a_node_does_not_understand_it_refuses_by_name(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    for text, variables, words in (
        ("prot = 3001\n", {}, ["prot", str(file), "port"]),
        ("", {"TALLYSTICK_PROT": "3001"}, ["TALLYSTICK_PROT", "TALLYSTICK_PORT"]),
        ("", {"PORT": "http"}, ["PORT", "http", "65535"]),
        ("", {"PEERS": "localhost:3001"}, ["PEERS", "localhost:3001", "ws://"]),
    ):
        file.write_text(text)
        result = run("start", "--config", str(file), "--data-dir", str(tmp_path / "node"), variables=variables)
        assert result.returncode == 2
        assert [word for word in words if word not in result.stderr] == []
        assert "Traceback" not in result.stderr
    assert not (tmp_path / "node").exists()


def test_the_commands_of_the_greeting_work_when_pasted_elsewhere(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    token = tmp_path / "the token"
    token.write_text("a-token-of-24-characters\n")
    node = NodeProcess(tmp_path / "node", options=("--token-file", str(token)), cold=True)
    with nodes(node):
        assert node.process is not None
        assert node.process.stdout is not None
        lines = iter(node.process.stdout.readline, "Ctrl-C stops it.\n")
        commands = [line for line in lines if (line.startswith("  ") and "--url" in line) or "  curl" in line]
        assert len(commands) == 3
        for command in commands:
            if "curl" in command and shutil.which("curl") is None:
                continue
            result = subprocess.run(
                ["/bin/sh", "-c", command.replace("curl", "curl -fsS")],
                cwd=elsewhere,
                env=environment(),
                capture_output=True,
                text=True,
                timeout=PATIENCE_S,
                check=False,
            )
            assert result.returncode == 0, result.stderr
            assert result.stdout
    if shutil.which("curl") is not None:
        node.options = ()
        with nodes(node):
            assert node.data()[1:] == ["hello"]


@contextmanager
def readers_that_do_not_read(node: NodeProcess, path: str, count: int = 4) -> Iterator[None]:
    """Connections that asked for something long and take a few bytes of it only."""
    sockets = []
    try:
        for _ in range(count):
            stuck = socket.socket()
            stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            stuck.connect(("127.0.0.1", node.port))
            sockets.append(stuck)
            stuck.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert stuck.recv(64).startswith(b"HTTP/1.1 200")
        yield
    finally:
        for stuck in sockets:
            stuck.close()


def test_it_stops_within_5_s_under_load_with_readers_that_are_stuck(tmp_path: Path) -> None:
    a = NodeProcess(tmp_path / "a")
    with nodes(a):
        b = NodeProcess(tmp_path / "b", a.address)
        with nodes(b):
            connected(a)
            for number in range(80):
                a.mine(f"{number} " + "x" * 100_000)
            loads = [Load(a.port, str(number)) for number in range(4)]
            with readers_that_do_not_read(a, "/blocks"):
                for load in loads:
                    load.start()
                eventually(lambda: all(load.acknowledged for load in loads), "no post was acknowledged")
                started = time.monotonic()
                assert a.stop(signal.SIGTERM) == 0
                assert time.monotonic() - started < 10  # 5 on a machine with nothing else to do
            for load in loads:
                load.join(PATIENCE_S)
            a.start()
            assert {text for load in loads for text in load.acknowledged} <= set(a.data())
            eventually(lambda: a.get("/blocks/latest") == b.get("/blocks/latest"), "b never followed")
    assert "Traceback" not in a.log.read_text()


class Watch(threading.Thread):
    """Asks `/ready` again and again until told to stop; `seen` holds the answers, None for no answer."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.port = port
        self.seen: list[int | None] = []
        self.enough = threading.Event()

    def run(self) -> None:
        while not self.enough.is_set():
            self.seen.append(self.ask())

    def ask(self) -> int | None:
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)) as connection:
            try:
                connection.request("GET", "/ready")
                answer = connection.getresponse()
                json.loads(answer.read())
            except (OSError, HTTPException):
                return None
            return answer.status


def test_ready_says_503_or_nothing_before_and_after(tmp_path: Path) -> None:
    """Whoever looks at `/ready` all the time sees it become 200 once, and never again after it was asked to stop."""
    node = NodeProcess(tmp_path / "node", cold=True)
    with nodes(node):
        for number in range(80):
            node.mine(f"{number} " + "x" * 100_000)
        node.stop()
        watch = Watch(node.port)
        watch.start()
        try:
            node.start()
            eventually(lambda: 200 in watch.seen, "it never became ready")
            with readers_that_do_not_read(node, "/blocks"):
                node.send(signal.SIGTERM)
                node.wait()
        finally:
            watch.enough.set()
            watch.join(PATIENCE_S)
    phases = [status for status, _ in groupby(status for status in watch.seen if status != 503)]
    assert phases == [None, 200, None]


def test_posts_that_a_reorg_removed_come_back_though_the_node_is_killed(tmp_path: Path) -> None:
    """The loser of a fork is killed once the longer branch is there, again and again, whatever it is about."""
    a, b = NodeProcess(tmp_path / "a"), NodeProcess(tmp_path / "b")
    promises = [f"a {number}" for number in range(30)]
    with nodes(a, b):
        for text in promises:
            a.mine(text)
        for number in range(40):
            b.mine(f"b {number}")
        a.ask("POST", "/addPeer", {"peer": b.address})
        eventually(lambda: a.get("/blocks/1")["data"] == "b 0", "a never followed the longer branch")
        for _ in range(4):
            a.kill()
            a.start()
        b.mine("and on")
        wanted = sorted(["my genesis block!!", *promises, *(f"b {number}" for number in range(40)), "and on"])
        eventually(lambda: sorted(a.data()) == wanted and a.chain() == b.chain(), "a post was lost or repeated")
        eventually(lambda: a.get("/status")["lost_duties"] is False, "duties are still said to be lost")
        # There may be shorter branches from later: what was mined again can lose once more.
        [fork] = [fork for fork in a.get("/forks") if fork["fork"]["index"] == 0]
        assert [block["data"] for block in fork["blocks"]] == promises[::-1]
        assert all(block["mined_again_as"] for block in fork["blocks"])
        a.kill()
    assert run("verify", "--data-dir", str(a.folder)).returncode == 0
