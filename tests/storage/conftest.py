"""All stores, for tests of what every store owes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import pytest

from tallystick.chain.contracts import Reader, Store
from tallystick.model.limits import Limits
from tests.storage.kit import IN_MEMORY, WIDE, in_memory, lean_in_memory, on_disk

Pair = tuple[Store, Reader]


class Opener(Protocol):
    def __call__(self, limits: Limits = WIDE) -> AbstractContextManager[Pair]: ...


@pytest.fixture(params=["sqlite", "memory", "lean"])
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    def open_one(limits: Limits = WIDE) -> AbstractContextManager[Pair]:
        if request.param == "sqlite":
            return on_disk(tmp_path, limits)
        return in_memory(limits) if request.param == "memory" else lean_in_memory(limits)

    return open_one


@pytest.fixture
def quick_path() -> Iterator[Path]:
    """A process that dies takes nothing with it that a disk would keep: memory will do."""
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        yield Path(folder)


@pytest.fixture
def repeatable(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is played twice is the same twice, byte for byte: ledger and index of hashes are paired without chance."""
    monkeypatch.setattr("tallystick.storage.hash_index.secrets.token_hex", lambda size: "ab" * size)


@pytest.fixture
def pair(opener: Opener) -> Iterator[Pair]:
    with opener() as opened:
        yield opened
