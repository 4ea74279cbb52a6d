"""Sealed blocks in JSON: as the API shows them, and as lines of an exported chain.

    {"index": 7, "previous_hash": "ab..", "timestamp": 1700000000123, "records": [...], "log_size": 12,
     "log_root": "cd..", "body_hash": "ef..", "seal": "207fffff0000000000000005", "hash": "01.."}

Hashes and the seal are lower-case hex. Everything that is hashed can be put together from it: the header from the
members, an entry from `id` and `commit`, its data in canonical form. So whoever reads a block trusts none of it.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from hashlib import sha256
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, UnsetType

from tallystick.errors import Rule, RuleViolation, shown
from tallystick.model.block import INDEX_MAX
from tallystick.model.record import RawRecord, as_json
from tallystick.model.sealed import TIME_MAX_MS, HeaderFields, SealedBlock, UncheckedSealed, header_bytes
from tallystick.model.strict import canonical_data, compact

_SALT: Final = re.compile(r"[A-Za-z0-9_-]{21}[AQgw]")
"""16 bytes in base64url without padding; they leave four bits of the last character unused."""

_Hash = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
_Hex = Annotated[str, msgspec.Meta(pattern=r"\A(?:[0-9a-f]{2})*\Z")]
_Moment = Annotated[int, msgspec.Meta(ge=0, le=TIME_MAX_MS)]


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What claims to be a record of a block."""

    id: str
    commit: str
    salt: str | UnsetType = UNSET
    data: msgspec.Raw | UnsetType = UNSET
    erased: bool | UnsetType = UNSET


class _Block(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What claims to be a block."""

    index: Annotated[int, msgspec.Meta(ge=0, le=INDEX_MAX)]
    previous_hash: _Hash
    timestamp: _Moment
    records: list[_Record]
    log_size: _Moment
    log_root: _Hash
    body_hash: _Hash
    seal: _Hex
    hash: _Hash


_DECODER: Final = msgspec.json.Decoder(_Block)
_ENCODER: Final = msgspec.json.Encoder()


def block_json(block: SealedBlock) -> msgspec.Raw:
    """A block as JSON, without white space, its data in canonical form."""
    return msgspec.Raw(
        b'{"index":%d,"previous_hash":"%b","timestamp":%d,"records":[%b],"log_size":%d,"log_root":"%b",'
        b'"body_hash":"%b","seal":"%b","hash":"%b"}'
        % (
            block.index,
            block.previous_hash.encode(),
            block.timestamp,
            b",".join([bytes(as_json(record)) for record in block.records]),
            block.log_size,
            block.log_root.hex().encode(),
            block.body_hash.hex().encode(),
            block.seal.hex().encode(),
            block.hash.encode(),
        )
    )


def read_block_json(line: bytes, max_data_bytes: int) -> UncheckedSealed:
    """What claims to be a block, its members in any order. That the header has the hash is checked, and nothing else.

    Data may be laid out as its writer liked; what is returned is its canonical form. Everything else is written in one
    way. Raises ValueError when it is not, or when a member is missing, unknown, or there twice; RecursionError when it
    is nested too deeply; RuleViolation: HASH_MATCHES_CONTENT, DATA_WITHIN_SIZE, DATA_IS_CANONICAL.
    """
    text = compact(line)
    block = _DECODER.decode(text)
    if len(_ENCODER.encode(block)) != len(text):  # nothing that was read has a shorter spelling than this one
        raise ValueError("a key occurs twice, or something other than data is written with escapes")
    fields = HeaderFields(
        block.index,
        bytes.fromhex(block.previous_hash),
        block.timestamp,
        block.log_size,
        bytes.fromhex(block.log_root),
        bytes.fromhex(block.body_hash),
        bytes.fromhex(block.seal),
    )
    header = header_bytes(fields)
    hash = sha256(header).hexdigest()
    if hash != block.hash:
        raise RuleViolation(
            Rule.HASH_MATCHES_CONTENT, f"the header of block {block.index} has the hash {hash}, not {block.hash}"
        )
    return UncheckedSealed(header, fields, tuple([_raw(record, max_data_bytes) for record in block.records]), hash)


def _raw(record: _Record, max_data_bytes: int) -> RawRecord:
    entry = b'{"commit":"%b","id":"%b"}' % (record.commit.encode(), record.id.encode())
    salt, data = record.salt, record.data
    if record.erased is True and salt is UNSET and data is UNSET:
        return RawRecord(entry, None, None)
    if record.erased is not UNSET or salt is UNSET or data is UNSET:
        raise ValueError(f"record {shown(record.id)} is to have salt and data, or else erased, which is true")
    if not _SALT.fullmatch(salt):
        raise ValueError(f"the salt of record {shown(record.id)} is not 22 characters of base64url")
    return RawRecord(entry, urlsafe_b64decode(salt + "=="), canonical_data(bytes(data), max_data_bytes))
