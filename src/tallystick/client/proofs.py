"""Checking what a node says, with nothing but its answer and the hash of a block that is trusted.

A node is somebody else's machine. Whoever has a block's hash from a source they trust, an auditor, a second node, last
week's printout, need not believe it: `check` follows a proof from a record to that hash, `check_consistency` shows that
the log of one block begins with that of another, so that nothing in it was changed or taken out, and `check_block` that
a block is what its hash says. They use the pure functions of `tallystick.model`, and so does `tallystick check`.

What none of these can show is that a block belongs to the chain: that is for the trusted hash to say.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, Final, NoReturn

import msgspec

from tallystick.client.answers import Block, BlockHeader, Record, StoredRecord
from tallystick.client.errors import Misuse, NotProven
from tallystick.client.requests import decoded, not_proven
from tallystick.errors import TallystickError, shown
from tallystick.model import proof as proofs
from tallystick.model.block import TIMESTAMP_MAX, TIMESTAMP_MIN, block_hash
from tallystick.model.canonical import canonical
from tallystick.model.limits import LIMITS
from tallystick.model.proof import ConsistencyProof, Proof
from tallystick.model.record import RawRecord, check_record
from tallystick.model.sealed import FIXED_BYTES, HeaderFields, body_hash_of, header_bytes, read_header

_HASH: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_HEX: Final = re.compile(r"(?:[0-9a-f]{2})*", re.ASCII)
_SALT: Final = re.compile(r"[A-Za-z0-9_-]{21}[AQgw]", re.ASCII)

Document = bytes | str | Mapping[str, Any] | Proof
"""A proof: JSON, the decoded document, or what `read_proof` made of it."""


class Proven(msgspec.Struct, frozen=True):
    """What a proof shows that holds."""

    id: str
    commit: str
    """The salted hash of the data."""

    data: bytes | None
    """What the record holds, as canonical JSON; None when the proof comes without it."""

    position: int
    """In the log, from 0."""

    block: BlockHeader
    """The one that was led to; not older than the record."""

    log_size: int
    """Records up to and including that block."""

    network: str
    """Where the proof says that it comes from; this is not proven."""

    @property
    def value(self) -> Any:  # noqa: ANN401 - any JSON value
        """The data, decoded. None too when the proof comes without it, so look at `data` where that can be."""
        return None if self.data is None else msgspec.json.decode(self.data)


def trusted_hash(text: str) -> str:
    """The hash of a block, as it is compared. Raises Misuse."""
    hash = text.strip().lower()
    if not _HASH.fullmatch(hash):
        raise Misuse(f"{shown(text)} is no hash of a block; expected 64 hex digits")
    return hash


def read_proof(document: Document) -> Proof:
    """A proof that is not checked yet. Raises Unreadable."""
    if isinstance(document, Proof):
        return document
    if isinstance(document, Mapping):
        document = msgspec.json.encode(document)
    return decoded(document.encode(errors="replace") if isinstance(document, str) else document, Proof)


def led_to(proof: Proof) -> str:
    """The hash of the block that a proof claims to lead to. Nobody vouches for it. Raises NotProven."""
    if not _HASH.fullmatch(proof.block):
        _fail(f"{shown(proof.block)} is no hash of a block")
    return proof.block


def check(proof: Document, block_hash: str) -> Proven:
    """What is proven to stand in the log of the block with this hash.

    The hash has to come from somebody you trust, never from whoever gave you the proof. Raises NotProven when the proof
    does not hold, Unreadable when it is none, Misuse when the hash is none.
    """
    document, trusted = read_proof(proof), trusted_hash(block_hash)
    with _as_not_proven():
        record = proofs.check(document, trusted)
        header = bytes.fromhex(document.header)
        fields = read_header(header, len(header) - FIXED_BYTES)
        entry = msgspec.json.decode(record.entry, type=dict[str, str])
    block = BlockHeader(fields.index, trusted, fields.timestamp)
    return Proven(record.id, entry["commit"], record.data, document.position, block, fields.log_size, document.network)


def check_consistency(proof: bytes | ConsistencyProof, old_hash: str, block_hash: str | None = None) -> str:
    """The hash of a later block, whose log is proven to begin with that of the block `old_hash`.

    With `block_hash` it has to be this one. Else you learn which it is, and not whether it is on the chain. Raises
    NotProven, Unreadable, Misuse.
    """
    document = proof if isinstance(proof, ConsistencyProof) else decoded(proof, ConsistencyProof)
    trusted = trusted_hash(old_hash)
    with _as_not_proven():
        old, later = proofs.check_consistency(document)
    if old != trusted:
        _fail(f"it begins at the block {old}, not at {trusted}")
    if block_hash is not None and later != trusted_hash(block_hash):
        _fail(f"it leads to the block {later}, not to {shown(block_hash)}")
    return later


def check_data(record: StoredRecord | Record) -> None:
    """Does the data of a record fit its commitment? Raises NotProven."""
    _leaf(record)


def check_block(block: Block) -> None:
    """Is the block what its hash says, down to the data of each record? Raises NotProven."""
    if block.records is None:
        _check_classic(block)
    else:
        _check_sealed(block, block.records)


def _check_classic(block: Block) -> None:
    if not TIMESTAMP_MIN <= block.timestamp <= TIMESTAMP_MAX:
        _fail(f"the timestamp {block.timestamp} of block {block.index} does not have ten digits")
    if block_hash(block.index, block.previous_hash, block.timestamp, block.data or "") != block.hash:
        _fail(f"block {block.index} does not have the hash {shown(block.hash)}")


def _check_sealed(block: Block, records: list[Record]) -> None:
    for each in (block.previous_hash, block.log_root, block.body_hash):
        if not _HASH.fullmatch(each):
            _fail(f"{shown(each)} in block {block.index} is no hash")
    if not _HEX.fullmatch(block.seal):
        _fail(f"the seal {shown(block.seal)} of block {block.index} is not hex")
    previous, root, body, seal = map(bytes.fromhex, (block.previous_hash, block.log_root, block.body_hash, block.seal))
    fields = HeaderFields(block.index, previous, block.timestamp, block.log_size, root, body, seal)
    if sha256(header_bytes(fields)).hexdigest() != block.hash:
        _fail(f"the header of block {block.index} does not have the hash {shown(block.hash)}")
    if body_hash_of(map(_leaf, records)) != body:
        _fail(f"the records of block {block.index} are not those that its header names")


def _leaf(record: Record) -> bytes:
    """Of a record that fits its commitment, as far as its data is there. Raises NotProven."""
    entry = b'{"commit":"%b","id":"%b"}' % tuple(each.encode(errors="replace") for each in (record.commit, record.id))
    salt = data = None
    if not record.erased:
        if record.salt is None or not _SALT.fullmatch(record.salt):
            _fail(f"record {shown(record.id)} has neither a salt of 22 characters nor was it erased")
        salt = urlsafe_b64decode(record.salt + "==")
    with _as_not_proven():
        if salt is not None:
            data = canonical(msgspec.json.decode(bytes(record.data)))
        return check_record(RawRecord(entry, salt, data), LIMITS.message_bytes).leaf


@contextmanager
def _as_not_proven() -> Iterator[None]:
    """Whatever foreign bytes make the checks raise."""
    try:
        yield
    except TallystickError as error:
        raise not_proven(error) from error
    except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
        raise NotProven(shown(str(error), 200)) from error


def _fail(reason: str) -> NoReturn:
    raise NotProven(reason)
