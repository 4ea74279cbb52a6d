"""`status --watch`: live for people, lines for everybody else."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
import pytest
from rich.console import Console

from tallystick.cli import view, watch
from tallystick.cli.exits import ExitCode
from tallystick.client.answers import Status
from tallystick.model.network import CLASSIC

from .fake_node import Answer, Asked, Respond, fake_node, problem
from .running import PATIENCE_S, run

HOSTILE: Final = "\x1b[2J\r\n[red]x[/red]\u202e"
POSIX = pytest.mark.skipif(os.name != "posix", reason="signals and terminals as POSIX has them")


def peer(tip: int, number: int = 1) -> dict[str, Any]:
    return {
        "address": f"10.0.0.{number}:3001",
        "direction": "outbound",
        "dialled": f"ws://10.0.0.{number}:3001",
        "state": "connected",
        "dialect": "tallystick.1",
        "agent": f"tallystick/1.2.3{HOSTILE}",
        "key": "cd" * 32,
        "connected_ms": 5,
        "tip": {"index": tip, "hash": "ef" * 32},
        "latency_ms": 12,
        "received_bytes": 1_500,
        "sent_bytes": 2_500,
        "last_error": None,
    }


def status(index: int, target: int, *, syncing: bool | None = None, **changes: object) -> dict[str, Any]:
    """A node at block `index`, and a peer at `target`."""
    behind = index < target if syncing is None else syncing
    left_ms = (target - index) * 10
    sync = {"index": index, "target": target, "blocks_per_second": 100.0, "remaining_ms": left_ms, "peers": 1}
    return {
        "version": "1.2.3",
        "network": {"kind": "classic", "name": "classic", "id": CLASSIC.id},
        "tip": {"index": index, "hash": f"{index:064x}", "timestamp": 1_700_000_000},
        "uptime_ms": 1_000 + index,
        "peers": [peer(target)],
        "dropped": [],
        "lost_duties": False,
        "data_bytes": None,
        "key": "ab" * 32,
        "sync": sync if behind else None,
        "addresses": 0,
    } | changes


def one_after_the_other(*answers: Answer) -> Respond:
    """The last of them for ever."""
    left = list(answers)
    return lambda _asked: left.pop(0) if len(left) > 1 else left[0]


def states(*bodies: dict[str, Any]) -> Respond:
    return one_after_the_other(*map(Answer, bodies))


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "EVERY_S", 0.0)


# --- lines ------------------------------------------------------------------------------------------


def test_a_pipe_gets_a_line_for_every_change_until_the_node_is_synced() -> None:
    looks = [status(0, 1_000), status(3, 1_000), status(10, 1_000), status(10, 1_000), status(500, 1_000)]
    with fake_node(states(*looks, status(1_000, 1_000))) as node:
        ran = run("status", "--until-synced", "--url", node.url)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        "syncing: block 0 of 1,000 (0 %), 100 blocks/s, 0:10 left, from 1 peer",
        "syncing: block 10 of 1,000 (1 %), 100 blocks/s, 0:10 left, from 1 peer",
        "syncing: block 500 of 1,000 (50 %), 100 blocks/s, 0:05 left, from 1 peer",
        f"block 1,000 {1_000:064x}, 1 peer: at the tip of its peers",
    ]


def test_for_programs_each_line_is_the_whole_state() -> None:
    looks = [status(0, 1_000), status(1, 1_000), status(1_000, 1_000)]
    with fake_node(states(*looks)) as node:
        ran = run("status", "--until-synced", "--json", "--url", node.url)
    assert ran.code == 0
    assert [json.loads(line) for line in ran.out.splitlines()] == [looks[0], looks[2]]
    assert ran.out.isascii()


@pytest.mark.parametrize(
    "waiting",
    [
        status(5, 5, peers=[]),
        status(5, 5, peers=[{**peer(5), "state": "waiting"}]),
        status(5, 5, peers=[{**peer(5), "tip": None}]),
        status(5, 6, syncing=False),
        status(6, 6, syncing=True),
    ],
)
def test_nothing_less_than_the_tip_of_its_peers_is_synced(waiting: dict[str, Any]) -> None:
    with fake_node(states(waiting, waiting, status(9, 9))) as node:
        ran = run("status", "--until-synced", "--url", node.url)
    assert ran.code == 0
    assert len(node.asked) == 3
    assert "at the tip" not in ran.out.splitlines()[0]
    assert "at the tip" in ran.out.splitlines()[-1]


def test_a_node_that_is_away_for_a_while_is_waited_for() -> None:
    starting = problem(503, "it is starting; ask again in a second")
    with fake_node(one_after_the_other(Answer(status(1, 9)), starting, starting, Answer(status(9, 9)))) as node:
        ran = run("status", "--until-synced", "--url", node.url)
    assert ran.code == 0
    assert [line.partition(":")[0] for line in ran.out.splitlines()[:2]] == ["syncing", "trying again"]
    assert "it is starting" in ran.out.splitlines()[1]
    assert len(ran.out.splitlines()) == 3


def test_a_node_that_was_never_there_or_is_away_for_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("status", "--watch", "--url", "http://127.0.0.1:1").code == ExitCode.UNREACHABLE
    monkeypatch.setattr(watch, "PATIENCE_S", 0.0)
    with fake_node(one_after_the_other(Answer(status(1, 9)), problem(503, "it is stopping"))) as node:
        ran = run("status", "--watch", "--url", node.url)
    assert ran.code == ExitCode.REFUSED
    assert "it is stopping" in ran.err


def test_foreign_text_commands_no_terminal() -> None:
    """Catalogue row 120: what a peer or node says of itself is escaped in every line."""
    hostile = status(9, 9, version=HOSTILE, tip={"index": 9, "hash": HOSTILE, "timestamp": 1_700_000_000})
    with fake_node(states(hostile)) as node:
        ran = run("status", "--until-synced", "--url", node.url)
    assert ran.out.replace("\n", "").isprintable()


@POSIX
def test_ctrl_c_is_how_it_ends() -> None:
    asked = 0

    def respond(_asked: Asked) -> Answer:
        nonlocal asked
        asked += 1
        if asked == 2:
            process.send_signal(signal.SIGINT)
        return Answer(status(asked, 9, syncing=False))

    with fake_node(respond) as node:
        command = [sys.executable, "-m", "tallystick", "status", "--watch", "--url", node.url]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            out, errors = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, errors) == (ExitCode.OK, b"")
    assert out.startswith(b"block 1 ")


# --- the picture ------------------------------------------------------------------------------------


def drawn(body: dict[str, Any], width: int = 80, height: int = 24, trouble: str = "") -> list[str]:
    told = msgspec.convert(body, Status)
    console = Console(file=io.StringIO(), width=width, height=height, highlight=False)
    with console.capture() as captured:
        console.print(watch.picture(watch.Look(b"", told, trouble), "http://127.0.0.1:3001", console))
    return captured.get().splitlines()


def test_the_picture_of_a_sync() -> None:
    lines = drawn(status(481_220, 1_000_000))
    assert lines[0].startswith("Tallystick 1.2.3  classic  http://127.0.0.1:3001  up 8 min")
    assert lines[1].startswith("block  481,220  0000000000000000…  mined ")
    assert re.fullmatch(r"sync   ━+[╸╺]?━+ +48 % +481,220 of 1,000,000 *", lines[2])
    assert lines[3].split() == ["100", "blocks/s,", "1:26:28", "left,", "from", "1", "peer"]
    assert lines[5].split() == ["peer", "dir", "dialect", "tip", "latency", "received", "sent"]
    assert lines[6].split() == ["10.0.0.1:3001", "out", "tallystick.1", "1000000", "12", "ms", "1.5", "kB", "2.5", "kB"]
    assert lines[-1].startswith("Ctrl-C ends this view")


def test_the_picture_at_rest() -> None:
    lines = drawn(status(9, 9), width=120)
    assert lines[2] == "sync   at the tip of its peers"
    assert lines[4].split()[3] == "agent"
    assert "no peers" in drawn(status(9, 9, peers=[]))
    assert "1 address being dialled" in drawn(status(9, 9, peers=[{**peer(9), "state": "waiting"}]))


@pytest.mark.parametrize("width", [40, 80, 100, 200])
@pytest.mark.parametrize("height", [5, 16, 24])
def test_the_picture_fits_the_terminal_and_commands_it_nothing(width: int, height: int) -> None:
    """Catalogue row 120: agents of peers are foreign text."""
    crowd = [peer(10**15, number) for number in range(30)]
    for trouble in ("", "trying again: " + "x" * 500):
        lines = drawn(status(10**14, 10**15, peers=crowd), width, height, trouble)
        assert all(len(line) <= width and line.isprintable() for line in lines)
        assert len(lines) < max(height, 12)
        assert any("more" in line for line in lines)


@POSIX
def test_on_a_terminal_it_is_drawn_over_and_over() -> None:
    import pty  # noqa: PLC0415 - not on Windows

    with fake_node(states(status(1, 9), status(5, 9), status(9, 9))) as node:
        ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "tallystick", "status", "--until-synced", "--url", node.url]
        env = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
        with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=env) as process:
            os.close(theirs)
            shown = b"".join(pieces(ours)).decode()
            assert process.wait(PATIENCE_S) == 0
        os.close(ours)
    assert shown.count("Ctrl-C ends this view") >= 3
    assert "55 %" in shown
    assert "at the tip of its peers" in shown
    assert shown.index("\x1b[?25l") < shown.index("\x1b[?25h")  # the cursor is hidden, and comes back


def pieces(terminal: int) -> Iterator[bytes]:
    """What is written to a terminal until its other end is closed, which Linux tells as an error."""
    try:
        while piece := os.read(terminal, 65_536):
            yield piece
    except OSError:
        return


# --- words ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("remaining_ms", "shown"),
    [
        (0, "0:00"),
        (1, "0:01"),
        (59_000, "0:59"),
        (60_000, "1:00"),
        (3_599_001, "1:00:00"),
        (36_000_000_000, "10,000:00:00"),
    ],
)
def test_countdowns(remaining_ms: int, shown: str) -> None:
    assert view.countdown(remaining_ms) == shown


@pytest.mark.parametrize("make", [lambda n: (n, 10**9), lambda n: (10**9 - n, 10**9), lambda n: (n, n)])
def test_only_all_of_it_is_a_hundred_percent(make: Callable[[int], tuple[int, int]]) -> None:
    for number in (0, 1, 5, 10**6):
        index, target = make(number)
        told = msgspec.convert(status(index, target, syncing=True), Status).sync
        assert told is not None
        assert (view.percent(told) == 100) is (index >= target)
