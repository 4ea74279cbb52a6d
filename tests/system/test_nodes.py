"""Nodes as processes: started, connected, killed, restarted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.system.processes import (
    PATIENCE_S,
    Load,
    NodeProcess,
    connected,
    environment,
    eventually,
    nodes,
    run,
)


def test_two_nodes_a_post_a_kill_and_a_restart(tmp_path: Path) -> None:
    """The main flow: what one posts the other has, and keeps when either dies."""
    a = NodeProcess(tmp_path / "a", cold=True)
    with nodes(a):
        b = NodeProcess(tmp_path / "b", a.address, cold=True)
        with nodes(b):
            connected(a)
            block = a.mine("hello")
            eventually(lambda: b.get("/blocks/latest") == block, "the block never reached b")
            b.kill()
            a.mine("while b was away")
            b.start()
            eventually(lambda: b.chain() == a.chain(), "b never caught up")
            a.kill()
            assert b.mine("while a was away")["index"] == 3
            a.start()
            eventually(lambda: a.chain() == b.chain(), "a never caught up")
            assert a.stop() == 0
            assert b.stop() == 0


def test_posts_of_both_sides_of_a_partition_survive(tmp_path: Path) -> None:
    a, b = NodeProcess(tmp_path / "a"), NodeProcess(tmp_path / "b")
    with nodes(a, b):
        for number in range(3):
            a.mine(f"a {number}")
        for number in range(5):
            b.mine(f"b {number}")
        status, answer = b.ask("POST", "/addPeer", {"peer": a.address})
        assert (status, answer) == (200, {"status": True})
        wanted = sorted(["my genesis block!!", *(f"a {n}" for n in range(3)), *(f"b {n}" for n in range(5))])
        eventually(lambda: sorted(a.data()) == wanted and a.chain() == b.chain(), "a post was lost")
        [fork] = a.get("/forks")
        assert fork["tip"]["index"] == 3
        orphan = a.get(f"/blocks/{fork['tip']['hash']}")
        assert orphan["orphaned"] is True
        assert a.get(f"/blocks/{orphan['mined_again_as']}")["data"] == orphan["data"]


def test_a_peer_added_by_hand_is_dialled_again_after_a_restart(tmp_path: Path) -> None:
    a, b = NodeProcess(tmp_path / "a"), NodeProcess(tmp_path / "b")
    with nodes(a, b):
        b.ask("POST", "/addPeer", {"peer": a.address})
        connected(b)
        b.kill()
        b.start()
        connected(b)
        assert b.get("/peers") == [f"127.0.0.1:{a.port}"]
        status, _ = b.ask("DELETE", f"/peers/127.0.0.1:{a.port}")
        assert status == 200
        eventually(lambda: b.get("/peers") == [], "the peer was not hung up on")
        b.kill()
        b.start()
        assert b.get("/status")["peers"] == []


KILLS = int(os.environ.get("KILL_ROUNDS", "8"))


def test_kill_9_under_load_loses_nothing(tmp_path: Path) -> None:
    """Catalogue row 100: after each of many kills, everything acknowledged is there, once."""
    node = NodeProcess(tmp_path / "node")
    acknowledged: list[str] = []
    try:
        for kill in range(KILLS):
            node.start()
            loads = [Load(node.port, f"{kill}-{number}") for number in range(4)]
            for load in loads:
                load.start()
            # Wait for progress, not for time: a different amount of it every round.
            eventually(lambda: len(loads[0].acknowledged) > 7 * (kill % 5), "no post was acknowledged")  # noqa: B023 - called at once
            node.kill()
            for load in loads:
                load.join(PATIENCE_S)
                acknowledged += load.acknowledged
        node.start()
        held = node.data()
        assert len(held) == len(set(held))
        assert set(acknowledged) <= set(held)
        assert len(acknowledged) > KILLS
        assert node.stop() == 0
    finally:
        node.end()
    assert run("verify", "--data-dir", str(node.folder)).returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_within_5_s_with_exit_code_0(tmp_path: Path, number: signal.Signals) -> None:
    a = NodeProcess(tmp_path / "a")
    with nodes(a):
        b = NodeProcess(tmp_path / "b", a.address)
        with nodes(b):
            connected(a)
            idle = HTTPConnection("127.0.0.1", a.port)
            idle.request("GET", "/health")
            idle.getresponse().read()
            started = time.monotonic()
            assert a.stop(number) == 0
            assert time.monotonic() - started < 5
            idle.close()


def test_a_signal_at_any_moment_of_the_start_leaves_a_folder_that_opens(tmp_path: Path) -> None:
    """Catalogue row 101."""
    node = NodeProcess(tmp_path / "node")
    command = [sys.executable, "-m", "tallystick", "start", "--port", "0", "--data-dir", str(node.folder)]
    for delay_ms in range(0, 600, 60):
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment()
        )
        try:
            process.wait(delay_ms / 1000)
        except subprocess.TimeoutExpired:
            process.terminate()
        _, errors = process.communicate(timeout=PATIENCE_S)
        assert "Traceback" not in errors
    with nodes(node):
        assert node.mine("still fine")["index"] == 1


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path / "node")
    with nodes(node):
        second = run("start", "--port", str(node.port), "--data-dir", str(tmp_path / "other"))
        assert second.returncode == 2
        assert str(node.port) in second.stderr
        assert "Traceback" not in second.stderr


def test_a_public_address_without_a_token_is_refused(tmp_path: Path) -> None:
    """Catalogue row 116."""
    result = run("start", "--host", "0.0.0.0", "--data-dir", str(tmp_path / "node"))  # noqa: S104 - refused
    assert result.returncode == 2
    assert "--token-file" in result.stderr
    assert "--open" in result.stderr


def test_foreign_files_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path / "node")
    node.folder.mkdir()
    foreign = node.folder / "thesis.txt"
    foreign.write_text("do not touch")
    with nodes(node):
        node.mine("hello")
        assert node.stop() == 0
    assert foreign.read_text() == "do not touch"


def test_the_command_line_talks_to_the_node(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path / "node")
    with nodes(node):
        url = f"http://127.0.0.1:{node.port}"
        assert run("mine", "from the shell", "--url", url).returncode == 0
        assert run("mine", "-", "--url", url, stdin="from a pipe").returncode == 0
        assert node.data()[1:] == ["from the shell", "from a pipe"]
        for command in (["status"], ["blocks"], ["block", "latest"], ["peers"], ["forks"]):
            result = run(*command, "--url", url)
            assert result.returncode == 0, result.stderr
            assert result.stdout
        exported = run("export", "--data-dir", str(node.folder))
        assert len(exported.stdout.splitlines()) == 3
        assert run("verify", "--data-dir", str(node.folder)).returncode == 0
        copy = tmp_path / "copy.sqlite"
        assert run("backup", str(copy), "--data-dir", str(node.folder)).returncode == 0
    other = tmp_path / "other"
    imported = run("import", "-", "--data-dir", str(other), stdin=exported.stdout)
    assert imported.returncode == 0, imported.stderr
    assert run("export", "--data-dir", str(other)).stdout == exported.stdout
