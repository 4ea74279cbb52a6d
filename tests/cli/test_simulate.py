from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest

from tallystick.cli.exits import ExitCode
from tallystick.cli.simulate import SIZE_MAX, KindName, PresetName
from tallystick.model.network import Kind
from tallystick.sim.presets import PRESETS

from .running import PATIENCE_S, run, shell

SMALL = ("simulate", "--nodes", "3", "--blocks", "3", "--spacing", "1", "--size", "300")


def test_names_are_those_of_the_simulator() -> None:
    assert [str(name) for name in PresetName] == list(PRESETS)
    assert [str(name) for name in KindName] == [str(kind) for kind in Kind]


@pytest.mark.parametrize("kind", KindName)
def test_the_report_has_the_numbers_of_the_json(tmp_path: Path, kind: KindName) -> None:
    report = tmp_path / "report.html"
    ran = shell(*SMALL, "--kind", kind, "--report", str(report), "--json")
    assert ran.code == ExitCode.OK, ran.err
    held = re.search(r"<pre>(.*?)</pre>", report.read_text(encoding="utf-8"), re.DOTALL)
    assert held is not None
    document = json.loads(ran.out)
    assert json.loads(unescape(held[1])) == document
    assert document["kind"] == kind
    assert document["stale"][0]["made"] >= 3


@pytest.mark.parametrize("kind", KindName)
def test_the_longest_block_can_be_made(kind: KindName) -> None:
    ran = run("simulate", "--nodes", "2", "--blocks", "2", "--kind", kind, "--size", str(SIZE_MAX), "--spacing", "2")
    assert ran.code == ExitCode.OK


def test_people_get_tables() -> None:
    ran = run(*SMALL, "--seed", "5")
    assert ran.code == ExitCode.OK
    for words in ("3 nodes (3 in one room), kind work, seed 5", "Stale blocks", "median", "switches of branches"):
        assert words in ran.out


def test_the_command_in_the_report_makes_it_again(tmp_path: Path) -> None:
    first, again = tmp_path / "first.html", tmp_path / "again.html"
    run(*SMALL, "--report", str(first))
    command = re.search(r"<code>tallystick (.*?)</code>", first.read_text(encoding="utf-8"))
    assert command is not None
    run(*command[1].split(), "--report", str(again))
    assert again.read_bytes() == first.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--nodes", "1"], "--nodes"),
        (["--nodes", "20001"], "--nodes"),
        (["--blocks", "0"], "--blocks"),
        (["--spacing", "0.01"], "--spacing"),
        (["--size", "99"], "--size"),
        (["--seed", "-1"], "--seed"),
        (["--kind", "poa"], "--kind"),
        (["--preset", "moon"], "--preset"),
        (["--nodes", "20000", "--blocks", "101", "--spacing", "1"], "2,020,000 arrivals; at most 2,000,000"),
        (["--spacing", "1"] * 11, "--spacing is given 11 times; at most 10"),
    ],
)
def test_bad_values_are_refused_with_the_option_named(arguments: list[str], words: str) -> None:
    ran = run("simulate", *arguments)
    assert ran.code == ExitCode.USAGE
    assert words in ran.err


def test_a_report_that_cannot_be_written_is_refused_before_the_run(tmp_path: Path) -> None:
    ran = run("simulate", "--preset", "internet", "--report", str(tmp_path / "no" / "report.html"))
    assert ran.code == ExitCode.FOLDER
    assert "No such file" in ran.err


def test_ctrl_c_ends_a_run_with_what_was_measured(tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    arguments = ["simulate", "--nodes", "3", "--blocks", "10000", "--spacing", "1", "--report", str(report), "--json"]
    program = (
        "import signal, sys\n"
        "from tallystick.sim.study import Study\n"
        "run = Study.run\n"
        "def running(self):\n"
        "    for progress in run(self):\n"
        "        if progress.blocks == 3: signal.raise_signal(signal.SIGINT)\n"
        "        yield progress\n"
        "Study.run = running\n"
        "from tallystick.cli import main\n"
        "main()\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        env=dict(os.environ),
    )
    assert ran.returncode == ExitCode.INTERRUPTED == 128 + signal.SIGINT, ran.stderr
    document = json.loads(ran.stdout)
    assert not document["complete"]
    assert document["stale"][0]["made"] == 3
    assert "interrupted" in report.read_text(encoding="utf-8")


def test_other_commands_do_not_load_the_simulator() -> None:
    program = "import sys, tallystick.cli.application; sys.exit(any('tallystick.sim' in name for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=PATIENCE_S).returncode == 0
