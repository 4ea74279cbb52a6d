"""The fixtures in another project's run of pytest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.system.processes import environment

PROJECT: Final = {
    "test_without.py": """
import sys

def test_it_costs_nothing_who_does_not_use_it():
    assert not {"sanic", "httpx", "structlog", "tallystick.client", "tallystick.testing.local"} & {*sys.modules}
""",
    "test_with_ledger.py": """
import pytest, threading

def test_it_works(ledger):
    assert ledger.client.wait(ledger.client.post([1, 2]).id).value == [1, 2]

@pytest.mark.ledger(kind="classic")
def test_that_fails(ledger):
    ledger.client.mine("x")
    raise RuntimeError("on purpose")

def test_nothing_is_left_of_it():
    assert [each.name for each in threading.enumerate()] == ["MainThread"]
""",
}


def test_another_project_has_the_fixtures_and_pays_for_them_when_it_uses_them(tmp_path: Path) -> None:
    for name, text in PROJECT.items():
        (tmp_path / name).write_text(text)
    files = ["test_without.py", "test_with_ledger.py"]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "--strict-markers", "-p", "no:cacheprovider", *files],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment(),
        cwd=tmp_path,
    )
    assert "1 failed, 3 passed" in ran.stdout, ran.stdout + ran.stderr
    assert "on purpose" in ran.stdout
    assert "Captured" not in ran.stdout, "nodes say nothing while nothing is wrong"


def test_the_marker_is_explained() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "--markers"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env=environment(),
        cwd=Path(__file__).parent,
    )
    assert "@pytest.mark.ledger(kind=" in ran.stdout
