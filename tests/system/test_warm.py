"""A node that was forked is what a started one is."""

from __future__ import annotations

import signal
from pathlib import Path

import psutil
import pytest

from tallystick import __version__
from tests.system.processes import NodeProcess, nodes, run

WAYS = pytest.mark.parametrize("cold", [True, False], ids=["cold", "warm"])


@WAYS
def test_how_it_ended_is_told(tmp_path: Path, cold: bool) -> None:  # noqa: FBT001 - a parameter of the test
    node = NodeProcess(tmp_path / "node", cold=cold)
    with nodes(node):
        assert not node.ends_within(0.0)
        assert node.stop() == 0
        node.start()
        assert node.stop(signal.SIGINT) == 0
        node.start()
        node.kill()
        assert node.process is not None
        assert node.process.poll() == -signal.SIGKILL
    refused = NodeProcess(tmp_path / "node", options=("--port", "none"), cold=cold)
    with pytest.raises(AssertionError, match="not a whole number"), nodes(refused):
        pass
    assert refused.wait() == 2


@WAYS
def test_variables_limits_and_files_are_its_own(tmp_path: Path, cold: bool) -> None:  # noqa: FBT001
    variables = {"TALLYSTICK_LOG_FORMAT": "json"}
    one = NodeProcess(tmp_path / "one", variables=variables, limits={"request_body_bytes": 1_000}, cold=cold)
    other = NodeProcess(tmp_path / "other", cold=cold)
    with nodes(one, other):
        assert one.ask("POST", "/mineBlock", {"data": "x" * 1_000})[0] == 413
        assert other.mine("x" * 1_000)["index"] == 1
        assert files_of(one).isdisjoint(files_of(other))
        other.kill()
        assert one.mine("alone")["index"] == 1
        assert [event["event"] for event in one.events()][-1] == "ready"
    assert other.events() == []


def files_of(node: NodeProcess) -> set[str]:
    assert node.process is not None
    return {file.path for file in psutil.Process(node.process.pid).open_files()}


def test_a_command_reads_writes_and_complains_where_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "here.toml").write_text("prot = 1\n")
    wrong = run("start", "--config", "here.toml", within=tmp_path)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "prot" in wrong.stderr
    unproven = run("check", "-", stdin='{"no": "proof"}')
    assert (unproven.returncode, unproven.stdout) == (1, "")
    assert "Traceback" not in unproven.stderr
    assert run("--version").stdout == f"tallystick {__version__}\n"
