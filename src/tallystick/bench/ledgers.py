"""Ledgers to measure: chains of as many blocks as are wanted, in memory and in data folders."""

from __future__ import annotations

import random
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Final

import uuid_utils

from tallystick.app.network_file import write
from tallystick.bench.sizes import Sizes
from tallystick.chain.writes import Append
from tallystick.consensus import engine_for
from tallystick.consensus.classic import ClassicEngine
from tallystick.model.block import Block, Header, header_of
from tallystick.model.network import CLASSIC, CLASSIC_GENESIS, EASIEST_BITS, Kind, Network, SealedRules, sealed_network
from tallystick.model.record import SALT_BYTES, Record, make_record
from tallystick.model.sealed import AnyBlock, SealedBlock
from tallystick.storage.opening import open_store

DATA: Final = "x" * 100
"""Of each classic block."""

TIMESTAMP_S: Final = 1_700_000_000
"""Likewise."""

PER_COMMIT: Final = 1_000
"""Classic blocks that are written at a time, here and in a sync."""

RECORD_DATA: Final = {"level": "info", "text": "the service started", "attempt": 1, "tags": ["boot", "eu-west"]}

PER_BLOCK: Final = 500
"""Records of a sealed block."""

SPACING_MS: Final = 1_000

WINDOW: Final = 11
"""Headers that a block's time is held against."""


class Ground:
    """Where a run measures: a folder for its ledgers, and what several parts need, made once."""

    def __init__(self, folder: Path, sizes: Sizes) -> None:
        self._folder = folder
        self.sizes = sizes

    @contextmanager
    def room(self) -> Iterator[Path]:
        """A folder, gone in the end."""
        with tempfile.TemporaryDirectory(dir=self._folder) as room:
            yield Path(room)

    @cached_property
    def chain(self) -> Sequence[Block]:
        """A classic chain after genesis."""
        return chain_of(self.sizes.blocks)

    @cached_property
    def full(self) -> Path:
        """A data folder that holds it."""
        folder = self._folder / "full"
        fill(folder, CLASSIC, self.chain, PER_COMMIT)
        return folder


def fill(folder: Path, network: Network, blocks: Sequence[AnyBlock], per_commit: int) -> None:
    """Make a ledger of these blocks, which follow genesis."""
    store, reader = open_store(folder, network)
    try:
        for start in range(0, len(blocks), per_commit):
            store.begin()
            store.apply(Append(blocks[start : start + per_commit]))
            store.commit()
    finally:
        reader.close()
        store.close()


def chain_of(blocks: int) -> list[Block]:
    """So many classic blocks after genesis, about 300 bytes of memory each."""
    engine, parent = ClassicEngine(CLASSIC), CLASSIC_GENESIS
    made = []
    for _ in range(blocks):
        parent = engine.seal(header_of(parent), DATA, TIMESTAMP_S * 1_000)
        made.append(parent)
    return made


# --- records ----------------------------------------------------------------------------------------


def work_network(records: int) -> Network:
    """One whose blocks cost two hashes each, so that luck plays no part, and whose schedule is so slack that they go on
    doing so; old enough for a chain of so many records."""
    rules = SealedRules(spacing_ms=SPACING_MS, half_life_ms=86_400_000, bits=EASIEST_BITS)
    born_ms = time.time_ns() // 1_000_000 - SPACING_MS * (records // PER_BLOCK)
    return sealed_network(Kind.WORK, "bench", rules, born_ms)


def network_file(folder: Path, of: Network) -> Path:
    """The network as a file."""
    file = folder / "network.toml"
    file.write_text(write(of), encoding="utf-8")
    return file


def sealed_chain(of: Network, records: int) -> Iterator[SealedBlock]:
    """A chain of blocks of `PER_BLOCK` records each, on schedule."""
    engine, entropy = engine_for(of), random.Random(1)  # noqa: S311 - repeatable, not secret
    genesis = of.genesis
    if not isinstance(genesis, SealedBlock):
        raise TypeError("blocks of this network hold no records")
    newest: deque[Header] = deque([genesis.header], maxlen=WINDOW)

    def past(_: Header, most: int) -> Sequence[Header]:
        return list(newest)[-most:]

    for _ in range(records // PER_BLOCK):
        parent = newest[-1]
        draft = engine.draft(parent, _records(PER_BLOCK, entropy), past, parent.timestamp + SPACING_MS)
        block = next(found for nonce in count() if (found := draft.sealed(nonce)) is not None)
        if isinstance(block, SealedBlock):
            newest.append(block.header)
            yield block


def _records(number: int, entropy: random.Random) -> list[Record]:
    return [make_record(str(uuid_utils.uuid7()), RECORD_DATA, entropy.randbytes(SALT_BYTES)) for _ in range(number)]
