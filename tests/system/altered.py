"""The `tallystick` command with some limits of its own, where a test would wait too long for the real ones.

If a file is named, its wall clock is off by as many milliseconds as stand there: eight bytes, little-endian, signed.
The file is looked at each time, so that a clock can be put wrong and right while the node runs.

    python altered.py '{"handshake_ms": 500}' FILE start --port 0 ...
    python altered.py '{"handshake_ms": 500}' '' start --port 0 ...
"""

from __future__ import annotations

import json
import mmap
import sys
import time
from dataclasses import replace
from pathlib import Path

from tallystick.app import compose
from tallystick.cli import main
from tallystick.model.limits import LIMITS


def misread_clock(file: Path) -> None:
    """From now on this process takes the wall clock for what the file makes of it. Other clocks stay as they are."""
    with file.open("r+b") as opened:
        offset = mmap.mmap(opened.fileno(), 8, access=mmap.ACCESS_READ)
    true_ns = time.time_ns
    time.time_ns = lambda: true_ns() + int.from_bytes(offset[:8], "little", signed=True) * 1_000_000
    time.time = lambda: time.time_ns() / 1e9


def put_on(limits: str, clock: str) -> None:
    """This process has these limits, as JSON, and the clock of this file, if one is named."""
    vars(compose)["LIMITS"] = replace(LIMITS, **json.loads(limits))
    if clock:
        misread_clock(Path(clock))


if __name__ == "__main__":
    put_on(sys.argv.pop(1), sys.argv.pop(1))
    main()
