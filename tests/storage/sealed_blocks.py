"""Valid sealed blocks without an engine: the easiest difficulty there is, on schedule, so that it stays so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from itertools import count
from pathlib import Path

import msgspec

from tallystick.model.limits import Limits
from tallystick.model.log import extend, root_of
from tallystick.model.network import EASIEST_BITS, Kind, SealedRules, sealed_network
from tallystick.model.record import Record, with_data
from tallystick.model.sealed import HeaderFields, SealedBlock, body_hash_of, header_bytes, sealed_block
from tallystick.storage.opening import open_store
from tallystick.storage.reader import SqliteReader
from tallystick.storage.sqlite import SqliteStore
from tests.storage.kit import WIDE

RULES = SealedRules(spacing_ms=1_000, half_life_ms=3_600_000, bits=EASIEST_BITS)
NETWORK = sealed_network(Kind.WORK, "storage", RULES, 1_700_000_000_000)
assert isinstance(NETWORK.genesis, SealedBlock)
GENESIS: SealedBlock = NETWORK.genesis

_WORK = 2
"""Hashes that a block takes, on average."""


def record(name: str, text: str = "") -> Record:
    """A record of that id; the same every time."""
    data = msgspec.json.encode(text or f"the text of {name}")
    return with_data(name, data, sha256(name.encode()).digest()[:16])


def records(prefix: str, number: int) -> list[Record]:
    return [record(f"{prefix}-{i}") for i in range(number)]


def child(parent: SealedBlock, held: Sequence[Record] = (), variant: int = 0) -> SealedBlock:
    """A block on `parent`; another one for each `variant`."""
    leaves = [each.leaf for each in held]
    edge = extend(parent.edge, parent.log_size, leaves)
    for nonce in count(variant << 32):
        fields = HeaderFields(
            parent.index + 1,
            bytes.fromhex(parent.hash),
            parent.timestamp + RULES.spacing_ms,
            parent.log_size + len(leaves),
            root_of(edge),
            body_hash_of(leaves),
            RULES.bits.to_bytes(4, "big") + nonce.to_bytes(8, "big"),
        )
        header = header_bytes(fields)
        if sha256(header).digest()[0] < 0x7F:
            block = sealed_block(header, fields, tuple(held))
            return msgspec.structs.replace(block, weight=parent.weight + _WORK, edge=edge)
    raise AssertionError


def branch(parent: SealedBlock, *bodies: Sequence[Record], variant: int = 0) -> list[SealedBlock]:
    """A block for each body, each the child of the one before."""
    blocks = []
    for held in bodies:
        parent = child(parent, held, variant)
        blocks.append(parent)
    return blocks


@contextmanager
def sealed_on_disk(path: Path, limits: Limits = WIDE) -> Iterator[tuple[SqliteStore, SqliteReader]]:
    store, reader = open_store(path, NETWORK, limits)
    try:
        yield store, reader
    finally:
        reader.close()
        store.close()
