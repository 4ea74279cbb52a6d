"""The machine that figures were taken on, with two of its own: what a hash costs, and what a durable commit."""

from __future__ import annotations

import os
import platform
import sqlite3
import time
from hashlib import sha256
from pathlib import Path
from typing import Final

from tallystick.bench.bare import commit_ms
from tallystick.bench.figures import Machine

HASHES: Final = 20_000
TRIES: Final = 5


def describe(folder: Path) -> Machine:
    """This machine, and the disk that `folder` is on."""
    return Machine(
        cores=os.cpu_count() or 1,
        memory_bytes=_memory(),
        system=f"{platform.system()} {platform.release()}",
        processor=_processor(),
        python=platform.python_version(),
        sqlite=sqlite3.sqlite_version,
        files=_file_system(folder),
        hash_us=_hash_us(),
        commit_ms=commit_ms(folder / "commits.sqlite"),
        load=_load(),
    )


def _load() -> float | None:
    try:
        return round(os.getloadavg()[0], 1)
    except (AttributeError, OSError):  # not on Windows
        return None


def _hash_us() -> float:
    header, took = bytes(112), []
    for _ in range(TRIES):
        started = time.perf_counter()
        for _ in range(HASHES):
            sha256(header).digest()
        took.append((time.perf_counter() - started) / HASHES * 1e6)
    return min(took)  # what it can; the rest is what others did meanwhile


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return None


def _processor() -> str:
    """Its name where the system tells it, else its kind."""
    try:
        told = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        told = ""
    names = [line.partition(":")[2].strip() for line in told.splitlines() if line.startswith("model name")]
    return names[0] if names and names[0] else platform.machine()


def _file_system(folder: Path) -> str:
    """Its kind. `tmpfs` is memory: what is durable there costs nothing, and is not."""
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    except OSError:
        return "an unknown file system"
    place = folder.resolve()
    over = [mount for mount in mounts if place.is_relative_to(mount[1])]
    return max(over, key=lambda mount: len(mount[1]))[2] if over else "an unknown file system"
