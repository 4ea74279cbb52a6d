"""A block of the book, and the part of it that fork choice looks at.

In a classic network a block carries one string and names its predecessor by hash:

    hash = SHA-256( str(index) + previous_hash + str(timestamp) + data ), lower-case hex

(*Foundations of Blockchain*, chapter 4, `calculate_hash`). The preimage has no separators, so digits
could wander between timestamp and data without changing the hash; `TIMESTAMP_MIN` and `TIMESTAMP_MAX`
allow exactly ten digits, which leaves one way only to read a preimage.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, Final, Protocol

import msgspec

INDEX_MAX: Final = 2**53 - 1
"""Greatest index; what every JSON reader can still count exactly (RFC 8259, section 6)."""

TIMESTAMP_MIN: Final = 1_000_000_000
TIMESTAMP_MAX: Final = 9_999_999_999
"""Seconds since 1970 in exactly ten digits: 2001-09-09 to 2286-11-20."""


class UncheckedBlock(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """What claims to be a block: the right keys with the right JSON types, and nothing more is known.

    `Engine.check_alone` makes a `Block` of it. Only a `Block` is ever stored, linked or shown.
    """

    data: str
    hash: str
    index: int
    previous_hash: str
    timestamp: int | str
    """The book's node writes a number, its predecessor pynaivechain a string of the same digits."""


class Block(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A classic block that is sound by itself. The fields stand in the order in which the book's node writes them."""

    data: str
    """What somebody posted."""

    hash: str
    """SHA-256 of the content, 64 lower-case hex digits."""

    index: int
    """Number of blocks before this one; genesis is 0."""

    previous_hash: str
    """Hash of the block at `index - 1`; `"0"` in the genesis block."""

    timestamp: int
    """Seconds since 1970-01-01 UTC, as the miner's clock had it; always ten digits."""

    @property
    def overhead_bytes(self) -> int:
        """What it takes in memory beside its data, as far as it matters."""
        return 0

    @property
    def size_bytes(self) -> int:
        """What its data takes: at least its characters, which is what counting them costs."""
        return len(self.data)

    @property
    def header(self) -> Header:
        """The block without its data."""
        return Header(self.index, self.hash, self.previous_hash, self.timestamp)


HashBytes = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
Timestamp = Annotated[int, msgspec.Meta(ge=TIMESTAMP_MIN, le=TIMESTAMP_MAX)]


class Body(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What claims to be a block of a run: index and parent follow from its place. `Engine.check_run` makes blocks
    of them."""

    hash: HashBytes
    timestamp: Timestamp
    data: str


class WholeBlock(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What claims to be a block, and stands alone; `Engine.read` makes an unchecked block of it."""

    index: Annotated[int, msgspec.Meta(ge=1, le=INDEX_MAX)]
    previous_hash: HashBytes
    hash: HashBytes
    timestamp: Timestamp
    data: str


class Header(msgspec.Struct, frozen=True, gc=False):
    """What fork choice needs of a block: its place and its links, without the data."""

    index: int
    hash: str
    previous_hash: str
    timestamp: int


class _Headed(Protocol):
    @property
    def header(self) -> Header: ...


def header_of(block: _Headed) -> Header:
    """The header of a block of any kind."""
    return block.header


def block_hash(index: int, previous_hash: str, timestamp: int, data: str) -> str:
    """The book's hash of a block, as 64 lower-case hex digits.

    Raises UnicodeEncodeError when `data` holds a lone surrogate: such text has no UTF-8 form.
    """
    return sha256(f"{index}{previous_hash}{timestamp}{data}".encode()).hexdigest()
