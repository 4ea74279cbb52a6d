"""The preset of ten thousand nodes, as a user runs it. Takes many minutes: set LARGE_NODES (`make nightly` does)."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

LARGE_NODES = int(os.environ.get("LARGE_NODES", "0"))
BLOCKS = 10
GIB = 1024 * 1024 * 1024

PROGRAM = """
import resource, sys
from tallystick.cli import main
try:
    main()
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, file=sys.stderr)
"""


@pytest.mark.skipif(not LARGE_NODES, reason="LARGE_NODES is not set")
def test_ten_thousand_nodes_follow_ten_blocks() -> None:
    arguments = ["simulate", "--preset", "internet", "--nodes", str(LARGE_NODES), "--blocks", str(BLOCKS), "--json"]
    ran = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=True)
    found = json.loads(ran.stdout)
    peak_bytes = int(ran.stderr.split()[-1])
    assert found["complete"]
    assert sum(found["regions"].values()) == LARGE_NODES
    assert BLOCKS <= found["stale"][0]["made"] <= BLOCKS + 2
    spread = found["propagation"]
    assert [reach["blocks"] for reach in spread["reach"]] == [spread["blocks"]] * 4
    assert found["traffic"]["bodies_a_block"] < 12
    assert found["traffic"]["most_crossings"] <= 2
    assert found["traffic"]["messages_a_block"] < 64 * LARGE_NODES
    assert peak_bytes < 6 * GIB
