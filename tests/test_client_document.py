"""Every Python block of docs/client.md runs as it stands, against nodes such as it tells one to start."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.system.processes import NodeProcess, environment, nodes
from tests.system.work_nodes import WorkNode, own_network

PAGE: Final = (Path(__file__).parents[1] / "docs" / "client.md").read_text(encoding="utf-8")


def test_the_page_names_every_error() -> None:
    from tallystick.client import errors  # noqa: PLC0415 - of this test alone

    kinds = {
        name for name, each in vars(errors).items() if isinstance(each, type) and issubclass(each, errors.ClientError)
    }
    assert [name for name in sorted(kinds) if f"`{name}`" not in PAGE] == []


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A work network and a classic one."""
    folder = tmp_path_factory.mktemp("document")
    work = WorkNode(folder / "work", own_network(folder, bits=10), mines=True)
    classic = NodeProcess(folder / "classic")
    with nodes(work, classic):
        yield work.url, f"http://127.0.0.1:{classic.port}"


BLOCKS: Final = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)


def run(*arguments: str, within: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, env=environment(), cwd=within
    )


def test_the_blocks_run_in_their_order(served: tuple[str, str], tmp_path: Path) -> None:
    programs = [block for block in BLOCKS if "def test_" not in block]
    assert len(programs) == 10
    for block in programs:
        assert "import" in block, "each can be pasted by itself"
        code = block.replace("http://127.0.0.1:3001", served[0]).replace("http://127.0.0.1:3002", served[1])
        ran = run("-c", code, within=tmp_path)
        assert (ran.returncode, ran.stderr) == (0, ""), block
        assert "do not rely" not in ran.stdout


def test_the_tests_pass(tmp_path: Path) -> None:
    [tests] = [block for block in BLOCKS if "def test_" in block]
    (tmp_path / "test_page.py").write_text(tests)
    ran = run("-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", within=tmp_path)
    assert "4 passed" in ran.stdout, ran.stdout
