"""What all sealed networks check alike: the form of a header, the body it commits to, and the log it extends.

The stages follow each other so that nobody pays for much that a stranger made up: form, then the seal (of the kind of
network), then each record, then the body that they make against the header, and only in its place the log.

On the wire a block is its header and, right behind it, the MessagePack array of its records, each `[entry, salt,
data]`, written the shortest way.

Data may be withheld, so two nodes may hold different amounts of it for one and the same block. What a block takes is
therefore counted in entries, of which all hold the same: else the one that has all the data would refuse what the
other took. Whoever makes a block counts the data too, and whoever sends one leaves out what would not fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

import msgspec

from tallystick.errors import Rule, RuleViolation
from tallystick.model.block import Header
from tallystick.model.log import Edge, Growth, grow, root_of
from tallystick.model.network import SealedRules
from tallystick.model.record import RawRecord, Record, check_records, raw_of, without_data
from tallystick.model.sealed import (
    FIXED_BYTES,
    SealedBlock,
    SealedHeader,
    UncheckedSealed,
    body_hash_of,
    header_bytes_of,
    read_header,
    sealed_block,
)

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(tuple[RawRecord, ...])

_SHORT_ARRAY: Final = range(0x90, 0xA0)
_ARRAY_COUNT_BYTES: Final = {0xDC: 2, 0xDD: 4}
"""First bytes of an array in MessagePack: with its length in their lower half, or in so many bytes behind them."""


def read_whole(whole: bytes, seal_bytes: int, max_records: int) -> UncheckedSealed:
    """A block as a peer sent it. Raises RuleViolation: HEADER_IS_WELL_FORMED, INDEX_IN_RANGE, BLOCK_WITHIN_SIZE,
    MESSAGE_IS_DECODABLE."""
    end = FIXED_BYTES + seal_bytes
    header, body = whole[:end], whole[end:]
    fields = read_header(header, seal_bytes)
    _check_count(fields.index, _claimed_count(body), max_records)  # before they are made: empty ones take five bytes
    try:
        records = _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _undecodable(fields.index, str(error)[:160]) from None
    if _ENCODER.encode(records) != body:
        raise _undecodable(fields.index, "not written the shortest way")
    return UncheckedSealed(header, fields, records, sha256(header).hexdigest())


def _claimed_count(body: bytes) -> int:
    """How long the array that begins here says it is; 0 when it is none, as the decoder will find out."""
    first = body[0] if body else 0
    if first in _SHORT_ARRAY:
        return first - _SHORT_ARRAY.start
    return int.from_bytes(body[1 : 1 + _ARRAY_COUNT_BYTES.get(first, 0)], "big")


def _check_count(index: int, count: int, most: int) -> None:
    if count > most:
        raise RuleViolation(Rule.BLOCK_WITHIN_SIZE, f"block {index} has {count:,} records; at most {most:,} fit")


def _undecodable(index: int, why: str) -> RuleViolation:
    return RuleViolation(Rule.MESSAGE_IS_DECODABLE, f"the body of block {index}: {why}")


def write_whole(block: SealedBlock) -> bytes:
    """A block as peers are sent it."""
    return header_bytes_of(block) + _ENCODER.encode(tuple(map(raw_of, block.records)))


def as_sent(block: SealedBlock, rules: SealedRules) -> SealedBlock:
    """The block with as much of its data, from the first record on, as `max_block_bytes` has room for."""
    if block.size_bytes <= rules.max_block_bytes:
        return block
    room = rules.max_block_bytes - _entries_bytes(block.records)
    records = []
    for record in block.records:
        bare = without_data(record)
        size_bytes = record.size_bytes - bare.size_bytes
        fits = size_bytes <= room
        room -= size_bytes if fits else 0
        records.append(record if fits else bare)
    return msgspec.structs.replace(block, records=tuple(records))


def _entries_bytes(records: Sequence[Record]) -> int:
    return sum([len(record.entry) for record in records])


def check_body(block: UncheckedSealed, rules: SealedRules) -> SealedBlock:
    """Is this the body that the header commits to, and is each record sound? Raises RuleViolation.

    A body that is not is no fault of the header: whoever sent it is to blame, and the true one is as welcome as ever.
    """
    _check_count(block.index, len(block.records), rules.max_block_records)
    records = tuple(check_records(block.records, rules.max_data_bytes))
    leaves = [record.leaf for record in records]
    if body_hash_of(leaves) != block.fields.body_hash:
        raise RuleViolation(
            Rule.BODY_MATCHES_HEADER, f"the {len(records)} records of block {block.index} are not those of its header"
        )
    if len(set(leaves)) != len(leaves):
        raise RuleViolation(Rule.RECORD_IS_NEW, f"block {block.index} holds a record twice")
    if (size_bytes := _entries_bytes(records)) > rules.max_block_bytes:
        raise RuleViolation(
            Rule.BLOCK_WITHIN_SIZE,
            f"block {block.index} holds {size_bytes:,} bytes of entries; at most {rules.max_block_bytes:,} fit",
        )
    return sealed_block(block.header, block.fields, records)


def extended_log(block: SealedBlock, log_size: int, edge: Edge) -> Growth:
    """What becomes of the log with this block, whose parent has the log given. Raises
    RuleViolation(LOG_MATCHES_RECORDS)."""
    growth = grow(edge, log_size, [record.leaf for record in block.records])
    if block.log_size != log_size + len(block.records) or block.log_root != root_of(growth.edge):
        raise RuleViolation(
            Rule.LOG_MATCHES_RECORDS,
            f"block {block.index} says that the log has {block.log_size} entries and the root {block.log_root.hex()}, "
            f"which is not what its records make of the {log_size} before",
        )
    return growth


def sealed_header(header: Header) -> SealedHeader:
    """A header of a sealed network, which all of a sealed chain are."""
    assert isinstance(header, SealedHeader)  # noqa: S101 - an engine sees blocks of its own network only
    return header


def records_that_fit(records: Sequence[Record], rules: SealedRules) -> Sequence[Record]:
    """As many of the first records as one block may hold, with all their data."""
    room = rules.max_block_bytes
    for number, record in enumerate(records[: rules.max_block_records]):
        room -= record.size_bytes
        if room < 0:
            return records[:number]
    return records[: rules.max_block_records]
