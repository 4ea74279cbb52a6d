from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tallystick.bench import sizes
from tallystick.bench.figures import Report
from tallystick.bench.suite import SHORT_PARTS
from tallystick.cli.bench import PartName
from tallystick.cli.exits import ExitCode

from .running import PATIENCE_S, run

TINY = sizes.Sizes("quick", 1, 1, 0.05, 0.02, 1_000, 0, 1, (2, 16))


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "QUICK", TINY)


def test_names_are_those_of_the_suite() -> None:
    assert [str(name) for name in PartName] == [part.name for part in SHORT_PARTS]


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("part", PartName)
def test_each_part_measures_beside_its_yardstick(tmp_path: Path, part: str) -> None:
    ran = run("bench", "--quick", "--json", "--only", part, "--dir", str(tmp_path))
    assert ran.code == ExitCode.OK, ran.err
    report = msgspec.json.decode(ran.out, type=Report)
    assert (report.form, report.complete) == ("quick", True)
    first, *_ = report.figures
    assert first.yardstick is not None
    assert first.ratio is not None
    assert first.measured.median > 0
    assert first.ratio.median == pytest.approx(first.measured.median / first.yardstick.measured.median)
    assert len({each.name for each in report.figures}) == len(report.figures)
    assert list(tmp_path.iterdir()) == [], "what was made for it is gone"


@pytest.mark.usefixtures("tiny")
def test_people_get_a_table_and_documents_one_in_markdown() -> None:
    ran = run("bench", "--quick", "--only", "mining", "--only", "verify")
    assert ran.code == ExitCode.OK, ran.err
    for words in ("durable commit", "verify 1,000 blocks", "mining, one process", "bare hashlib with a midstate"):
        assert words in ran.out
    ran = run("bench", "--quick", "--only", "mining", "--markdown")
    assert "| what | measured | yardstick, same run | ratio | goal | met |" in ran.out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--only", "nonsense"], ExitCode.USAGE, "--only"),
        (["--only", "log"], ExitCode.USAGE, "--only"),
        (["--dir", "/no/such"], ExitCode.FOLDER, "--dir /no/such: there is no such folder."),
    ],
)
def test_bad_values_are_refused(arguments: list[str], code: ExitCode, words: str) -> None:
    ran = run("bench", *arguments)
    assert ran.code == code
    assert words in ran.err


def test_what_cannot_be_measured_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallystick.bench.starting.smallest", lambda: ["-c", "raise SystemExit('out of order')"])
    monkeypatch.setattr(sizes, "QUICK", TINY)
    ran = run("bench", "--quick", "--only", "start")
    assert ran.code == ExitCode.REFUSED
    assert "Not measured: -c" in ran.err
    assert "It said: out of order." in ran.err


@pytest.mark.parametrize(("part", "code"), [("mining", "bench.mining.process"), ("verify", "bench.verifying.verify")])
def test_ctrl_c_ends_it_with_what_was_measured(part: str, code: str) -> None:
    """With what the parts before measured; or with words, where that is nothing."""
    program = (
        "import signal\n"
        "from tallystick.bench import sizes, mining, verifying\n"
        f"sizes.QUICK = sizes.Sizes{(*TINY_VALUES,)!r}\n"
        f"def stop(*_): signal.raise_signal(signal.SIGINT)\n"
        f"{code.removeprefix('bench.')} = stop\n"
        "from tallystick.cli import main\n"
        "main()\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, "bench", "--quick", "--only", "verify", "--only", "mining", "--json"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        env=dict(os.environ),
    )
    assert ran.returncode == ExitCode.INTERRUPTED == 128 + signal.SIGINT, ran.stderr
    if part == "verify":
        assert "Interrupted before anything was measured." in ran.stderr
        return
    report = msgspec.json.decode(ran.stdout, type=Report)
    assert not report.complete
    assert [each.name for each in report.figures] == ["verify"]


TINY_VALUES = (TINY.form, 1, 1, 0.05, 0.02, 1_000, 0, 1, (16,))


def test_other_commands_do_not_load_the_benchmarks() -> None:
    program = (
        "import sys, tallystick.cli.application; sys.exit(any('tallystick.bench' in name for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=PATIENCE_S).returncode == 0
