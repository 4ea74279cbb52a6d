"""Rows to values and back. A row that cannot be a block is damage on disk, and says so by index."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from tallystick.errors import StoreCorruptError
from tallystick.model.block import Block, Header

_HASH: Final = re.compile(r"[0-9a-f]{64}")

NO_PARENT: Final = "0"
"""`previous_hash` of the genesis block."""


def key_of(hash: str) -> bytes:
    """The 32 bytes of a block hash that was checked already."""
    return bytes.fromhex(hash)


def asked_key(hash: str) -> bytes | None:
    """The 32 bytes of a hash that somebody asks for; None when no block can have it."""
    return bytes.fromhex(hash) if _HASH.fullmatch(hash) else None


def to_block(index: Any, key: Any, timestamp: Any, data: Any, parent: Any) -> Block:  # noqa: ANN401 - a disk may hold anything
    """A block from its columns and the key of its parent (None for genesis). Raises StoreCorruptError."""
    are_numbers = index.__class__ is timestamp.__class__ is int
    if not are_numbers or key.__class__ is not bytes or data.__class__ is not str:
        raise damaged(index)
    previous = parent.hex() if parent.__class__ is bytes else _no_parent(index, parent)
    return Block(data, key.hex(), index, previous, timestamp)


def to_blocks(rows: Iterator[Any], first: int, parent: Any, size_bytes: int) -> list[Block]:  # noqa: ANN401 - likewise
    """Blocks that follow one another from `first` on, from their columns and the key of the parent of the first: those
    whose data have `size_bytes` together, but at least one if there is one. Raises StoreCorruptError.

    What `to_block` says of each, in one loop: whole chains are read through it.
    """
    blocks: list[Block] = []
    expected, previous = first, parent.hex() if parent.__class__ is bytes else None
    for index, key, timestamp, data in rows:
        if index != expected:
            raise damaged(index)
        if previous is None or not (timestamp.__class__ is int and key.__class__ is bytes and data.__class__ is str):
            block = to_block(index, key, timestamp, data, parent)  # the genesis block, or none
        else:
            block = Block(data, key.hex(), index, previous, timestamp)
        size_bytes -= len(data) if data.isascii() else len(data.encode())
        if size_bytes < 0 and blocks:
            break
        blocks.append(block)
        expected, previous, parent = index + 1, block.hash, key
    return blocks


def to_header(index: Any, key: Any, timestamp: Any, parent: Any) -> Header:  # noqa: ANN401 - likewise
    """A header, likewise. Raises StoreCorruptError."""
    if not index.__class__ is timestamp.__class__ is int or key.__class__ is not bytes:
        raise damaged(index)
    previous = parent.hex() if parent.__class__ is bytes else _no_parent(index, parent)
    return Header(index, key.hex(), previous, timestamp)


def damaged(index: object) -> StoreCorruptError:
    """The error of a block whose row cannot be one; its index may be what is damaged."""
    if not isinstance(index, int):
        return StoreCorruptError("A block beside the chain is damaged on disk. Run verify, then restore a backup.")
    return StoreCorruptError(f"Block {index} is damaged on disk. Run verify, then restore a backup.", index)


def _no_parent(index: int, parent: Any) -> str:  # noqa: ANN401 - likewise
    """What the genesis block names in the place of a parent. Raises StoreCorruptError for all others."""
    if parent is None and index == 0:
        return NO_PARENT
    raise damaged(index)


def size_of(data: str | bytes) -> int:
    """Bytes of `data`, of a text in UTF-8."""
    return len(data) if isinstance(data, bytes) or data.isascii() else len(data.encode())
