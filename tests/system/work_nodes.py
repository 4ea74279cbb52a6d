"""Nodes of work networks as processes, and what tests want to know of them."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import psutil

from tests.system.processes import NodeProcess, eventually, run
from tests.system.sealed_client import Network

CALM: Final = 15
"""Exponent of the hashes a block takes where nodes mine: one process finds a dozen a second or so."""

LINK: Final = re.compile(r'<([^>]+)>; rel="next"')


def network_file(folder: Path, bits: int = CALM) -> Path:
    """A new network, as its founder makes it: it begins now."""
    made = run("network", "new", "--name", folder.name[:20], "--spacing", "1", "--bits", str(bits))
    assert made.returncode == 0, made.stderr
    file = folder / "network.toml"
    file.write_text(made.stdout)
    return file


def own_network(folder: Path, name: str = "own", bits: int = CALM) -> Path:
    """Likewise, and written by hand."""
    target = 2 ** (256 - bits) - 1
    size = (target.bit_length() + 7) // 8
    compact = size << 24 | target >> 8 * (size - 3)
    if compact & 0x800000:
        compact = (size + 1) << 24 | target >> 8 * (size - 2)
    return Network.make(name, int(time.time() * 1000), bits=compact).write(folder / f"{name}.toml")


class WorkNode(NodeProcess):
    """A node of a work network, which mines or does not."""

    def __init__(
        self,
        folder: Path,
        network: Path,
        *peers: str,
        mines: bool = False,
        variables: Mapping[str, str] | None = None,
        limits: Mapping[str, int] | None = None,
        clock: Path | None = None,
    ) -> None:
        super().__init__(folder, *peers, variables=variables, limits=limits, clock=clock)
        self.network = network
        self.mines = mines

    def arguments(self) -> list[str]:
        mining = ["--mine", "--mine-workers", "1"] if self.mines else []
        return [*super().arguments(), "--network", str(self.network), "--no-discover", *mining]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def on_folder(self) -> list[str]:
        return [*super().on_folder, "--network", str(self.network)]

    # --- records

    def post(self, data: object, id: str | None = None) -> dict[str, Any]:
        """Post one record; what the node answers of it."""
        status, answer = self.ask("POST", "/records", {"data": data} if id is None else {"data": data, "id": id})
        assert status == 202, answer
        [posted] = answer["records"]
        assert isinstance(posted, dict)
        return posted

    def record(self, id: str) -> dict[str, Any]:
        """The one record of this id."""
        [record] = self.get(f"/records/{id}")["records"]
        assert isinstance(record, dict)
        return record

    def states(self, id: str) -> list[str]:
        """Of all records of this id; none when the node has not heard of it."""
        status, answer = self.ask("GET", f"/records/{id}")
        return [record["status"] for record in answer["records"]] if status == 200 else []

    def seals(self, *ids: str) -> None:
        """Wait until these are in blocks."""
        eventually(lambda: all(self.states(id) == ["included"] for id in ids), f"not sealed: {ids}")

    def log_of_records(self) -> list[dict[str, Any]]:
        """All records in blocks, page by page."""
        found: list[dict[str, Any]] = []
        while page := self.get(f"/records?after={len(found)}"):
            found += page
        return found

    def holds_once(self, ids: Iterable[str]) -> bool:
        """Is each of these in the log, and none twice?"""
        counted = Counter(record["id"] for record in self.log_of_records())
        return all(counted[id] == 1 for id in ids)

    # --- the node

    def tip(self) -> tuple[int, str]:
        shown = self.get("/status")["tip"]
        return shown["index"], shown["hash"]

    def pool(self) -> int:
        return int(self.get("/status")["pool"]["records"])

    def miners(self) -> list[psutil.Process]:
        """The processes that search for it."""
        assert self.process is not None
        return [child for child in psutil.Process(self.process.pid).children() if is_alive(child)]


def gone(processes: Iterable[psutil.Process]) -> None:
    """Wait until none of these is left."""
    eventually(lambda: not any(map(is_alive, processes)), "a process was left behind")


def is_alive(process: psutil.Process) -> bool:
    """One that ended and that nobody has asked for is not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def verified(node: WorkNode) -> bool:
    """Is its folder sound, from the first block to the last?"""
    result = run("verify", *node.on_folder, "--thorough")
    assert "Traceback" not in result.stderr
    return result.returncode == 0


def holds_text(folder: Path, text: str) -> list[Path]:
    """Files below this folder that have the text among their bytes."""
    wanted = text.encode()
    return [file for file in folder.rglob("*") if file.is_file() and wanted in file.read_bytes()]
