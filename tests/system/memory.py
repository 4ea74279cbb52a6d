"""Memory of a node, while something is done to it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psutil

from tests.system.processes import NodeProcess

MIB: Final = 2**20
CAP_BYTES: Final = 256 * MIB


class Highest(threading.Thread):
    """The greatest resident size of a process, looked at all the time until `enough` is set."""

    def __init__(self, node: NodeProcess) -> None:
        super().__init__()
        assert node.process is not None
        self.process = psutil.Process(node.process.pid)
        self.enough = threading.Event()
        self.size_bytes = 0

    def run(self) -> None:
        while not self.enough.wait(0.005):
            self.size_bytes = max(self.size_bytes, self.process.memory_info().rss)


@contextmanager
def bounded_memory(node: NodeProcess) -> Iterator[None]:
    """It never grows beyond the cap."""
    highest = Highest(node)
    highest.start()
    try:
        yield
    finally:
        highest.enough.set()
        highest.join()
    assert 0 < highest.size_bytes < CAP_BYTES, f"{highest.size_bytes / MIB:.0f} MiB"
