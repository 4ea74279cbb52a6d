"""How many connections fit the files a process may open."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tallystick.app.open_files import RESERVED, fitting
from tallystick.model.limits import LIMITS

resource = pytest.importorskip("resource")

ASK = """
import resource, sys
from tallystick.app.open_files import allowed_connections
from tallystick.model.limits import LIMITS
soft, hard = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
print(allowed_connections(LIMITS).connections, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.parametrize(
    ("files", "connections"), [(20_000, 1_024), (1_344, 1_024), (1_343, 1_023), (1_024, 704), (320, 128), (64, 16)]
)
def test_connections_leave_some_files_to_the_node(files: int, connections: int) -> None:
    """Catalogue row 32: a flood of connections must not keep the store from its files."""
    assert fitting(LIMITS, files).connections == connections


@pytest.mark.parametrize(
    ("soft", "hard", "expected"),
    [
        (256, 4_096, (LIMITS.connections, LIMITS.connections + LIMITS.peer_addresses + RESERVED)),
        (256, 1_024, (704, 1_024)),
        (2_000, 2_000, (LIMITS.connections, 2_000)),
    ],
)
def test_the_system_is_asked_for_what_is_needed(soft: int, hard: int, expected: tuple[int, int]) -> None:
    """In a process of its own, for a hard limit that was lowered never rises again."""
    if 0 <= resource.getrlimit(resource.RLIMIT_NOFILE)[1] < hard:
        pytest.skip("this system's own limit is lower")
    answer = subprocess.run(
        [sys.executable, "-c", ASK, str(soft), str(hard)], capture_output=True, text=True, check=True, timeout=30
    )
    assert tuple(map(int, answer.stdout.split())) == expected
