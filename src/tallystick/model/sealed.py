"""Blocks of sealed networks: a header of fixed length, and the records it commits to.

    "TSB1" | index u64 | previous_hash 32 | timestamp_ms u64 | log_size u64 | log_root 32 | body_hash 32 | seal

All numbers are big-endian. The hash of a block is the SHA-256 of its header. `log_size` and `log_root` are the
Merkle tree over *all* entries of the chain up to and including this block (`model.log`), so every header is a
checkpoint of one append-only log. `body_hash` is the SHA-256 of this block's own leaf hashes, concatenated: a body
that arrives late is checked against its header at once, and a wrong body never condemns a good header.

The seal is what gives the block its authority; its length and meaning belong to the kind of network. In a `work`
network it is `bits u32 | nonce u64`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from hashlib import sha256
from typing import Final

import msgspec

from tallystick.errors import Rule, RuleViolation
from tallystick.model.block import INDEX_MAX, Block, Header
from tallystick.model.log import Edge
from tallystick.model.record import RawRecord, Record, sizes

MAGIC: Final = b"TSB1"

RECORD_OBJECTS_BYTES: Final = 400
"""Of a `Record` and its parts, beside their bytes (CPython on 64 bits)."""

_FIXED: Final = struct.Struct(">4sQ32sQQ32s32s")
FIXED_BYTES: Final = _FIXED.size
"""Of a header, before the seal: 124."""

TIME_MAX_MS: Final = INDEX_MAX
"""Greatest timestamp and log size, like the greatest index: what every JSON reader can count exactly."""


class SealedHeader(Header, frozen=True, gc=False):
    """What fork choice and consensus need of a sealed block whose place in the tree is known.

    `timestamp` is in milliseconds since 1970, as its producer's clock had it.
    """

    weight: int = 0
    """Of the whole branch that ends here."""

    log_size: int = 0
    """Entries of the chain up to and including this block."""

    edge: Edge = ()
    """The Merkle log as of this block, as the perfect subtrees it is made of: all that is needed to append to it."""


class SealedBlock(msgspec.Struct, frozen=True):
    """A sealed block that is sound by itself: its header hashes to its name, its seal holds, its body fits."""

    index: int
    previous_hash: str
    timestamp: int
    """Milliseconds since 1970."""

    records: tuple[Record, ...]
    log_size: int
    log_root: bytes
    body_hash: bytes
    seal: bytes
    hash: str
    weight: int = 0
    """Of the whole branch that ends here; 0 until the block is placed (`Engine.place`)."""

    edge: Edge = ()
    """The log as of this block; empty until the block is placed."""

    @property
    def size_bytes(self) -> int:
        """Bytes of its records."""
        return sizes(self.records)

    @property
    def overhead_bytes(self) -> int:
        """What it takes in memory beside these, about: for each record some small objects."""
        return RECORD_OBJECTS_BYTES * len(self.records)

    @property
    def header(self) -> SealedHeader:
        """What fork choice and consensus need of it, once it is placed."""
        return SealedHeader(
            self.index, self.hash, self.previous_hash, self.timestamp, self.weight, self.log_size, self.edge
        )


class UncheckedSealed(msgspec.Struct, frozen=True):
    """What claims to be a sealed block: a header of the right form, and what may be its records."""

    header: bytes
    fields: HeaderFields
    records: tuple[RawRecord, ...]
    hash: str
    """Of the header, so it needs no check."""

    @property
    def index(self) -> int:
        """As the header has it."""
        return self.fields.index

    @property
    def previous_hash(self) -> str:
        """As the header has it."""
        return self.fields.previous_hash.hex()


class HeaderFields(msgspec.Struct, frozen=True, gc=False):
    """What stands in the bytes of a header; nothing of it is checked but its form."""

    index: int
    previous_hash: bytes
    timestamp: int
    log_size: int
    log_root: bytes
    body_hash: bytes
    seal: bytes


def header_bytes(fields: HeaderFields) -> bytes:
    """The header as it is hashed."""
    fixed = _FIXED.pack(
        MAGIC, fields.index, fields.previous_hash, fields.timestamp, fields.log_size, fields.log_root, fields.body_hash
    )
    return fixed + fields.seal


def read_header(text: bytes, seal_bytes: int) -> HeaderFields:
    """The fields of a header whose seal has `seal_bytes`. Raises RuleViolation(HEADER_IS_WELL_FORMED)."""
    if len(text) != FIXED_BYTES + seal_bytes or not text.startswith(MAGIC):
        raise RuleViolation(
            Rule.HEADER_IS_WELL_FORMED,
            f"a header of {len(text)} bytes; expected {FIXED_BYTES + seal_bytes} that begin with TSB1",
        )
    _, index, previous, timestamp, log_size, log_root, body_hash = _FIXED.unpack_from(text)
    if index > INDEX_MAX:
        raise RuleViolation(Rule.INDEX_IN_RANGE, f"index {index} is not within 0 and {INDEX_MAX}")
    if timestamp > TIME_MAX_MS or log_size > TIME_MAX_MS:
        raise RuleViolation(Rule.HEADER_IS_WELL_FORMED, f"timestamp {timestamp} or log size {log_size} is too large")
    return HeaderFields(index, previous, timestamp, log_size, log_root, body_hash, text[FIXED_BYTES:])


def header_bytes_of(block: SealedBlock) -> bytes:
    """The header of a block, as it is hashed."""
    return header_bytes(
        HeaderFields(
            block.index,
            bytes.fromhex(block.previous_hash),
            block.timestamp,
            block.log_size,
            block.log_root,
            block.body_hash,
            block.seal,
        )
    )


def body_hash_of(leaves: Iterable[bytes]) -> bytes:
    """What a header says of its block's own records, by their leaf hashes."""
    return sha256(b"".join(leaves)).digest()


def sealed_block(header: bytes, fields: HeaderFields, records: tuple[Record, ...]) -> SealedBlock:
    """The block of a header and the records that were found to fit it."""
    return SealedBlock(
        fields.index,
        fields.previous_hash.hex(),
        fields.timestamp,
        records,
        fields.log_size,
        fields.log_root,
        fields.body_hash,
        fields.seal,
        sha256(header).hexdigest(),
    )


AnyBlock = Block | SealedBlock
"""A block of any kind of network. They share `index`, `hash`, `previous_hash`, `timestamp`, `size_bytes`, `header`."""
