"""Documents that prove, to whoever trusts a block's hash, what stands in the log. No node is needed to check them.

A `Proof` leads from a record to a block, step by step, and each step fits the next alone:

    salt and data  ->  commitment in the entry  ->  leaf  ->  path  ->  log_root in the header  ->  hash of the block

The block may be any that is not older than the record, for a header commits to the whole log up to its block. Salt and
data may be missing, if they were erased: the entry is proven just as well. A `ConsistencyProof` leads from one block to
a later one: the later log begins with the earlier.

Neither says whether a block is part of the chain, nor of which network: that is for the trusted hash to say. Both are
JSON. Hashes and headers are in lower-case hex, salts in base64url without padding. Data may be laid out anew on the
way, for it is taken in its canonical form.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

import msgspec

from tallystick.errors import RuleViolation, shown
from tallystick.model import log
from tallystick.model.canonical import canonical
from tallystick.model.log import ProofError, ReadHashes
from tallystick.model.record import RawRecord, Record, check_record
from tallystick.model.sealed import FIXED_BYTES, HeaderFields, read_header

FORMAT: Final = "tallystick-proof/1"
CONSISTENCY_FORMAT: Final = "tallystick-consistency/1"

SALT_CHARACTERS: Final = 22
"""Of base64url, without the padding."""

_NULL: Final = msgspec.Raw(b"null")
_HEX: Final = re.compile(r"(?:[0-9a-f]{2})*")
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_SALT: Final = re.compile(r"[A-Za-z0-9_-]{21}[AQgw]")  # 16 bytes leave four bits of the last character unused


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """That a record stands in the log of a block."""

    format: str
    """`FORMAT`."""

    network: str
    """Hash of the genesis block: where the proof comes from. It is not proven."""

    block: str
    """Hash of the block that is led to."""

    header: str
    """The block's header."""

    position: int
    """Of the record in the log, from 0."""

    path: list[str]
    """What stands beside the way from the record's leaf to the block's `log_root`, from the leaf up."""

    entry: str
    """The record's entry, in its canonical form."""

    salt: str | None = None
    """None when the record comes without its data."""

    data: msgspec.Raw = _NULL
    """Any JSON value, null too; it means nothing without a salt."""


class ConsistencyProof(msgspec.Struct, frozen=True, kw_only=True):
    """That the log of a block begins with the log of another."""

    format: str
    """`CONSISTENCY_FORMAT`."""

    network: str
    """As in `Proof`."""

    old_header: str
    """Header of the block whose log is the shorter one."""

    header: str
    """Header of the other block."""

    path: list[str]
    """What both roots are made of (RFC 9162, section 2.1.4)."""


# --- a record --------------------------------------------------------------------------------------


def prove(record: Record, position: int, header: bytes, network: str, read: ReadHashes) -> Proof:
    """The proof that a record stands at `position` in the log of the block with that header.

    `read` gives hashes of that log. Raises ValueError when the log ends before that position.
    """
    fields = read_header(header, len(header) - FIXED_BYTES)
    path = log.prove_inclusion(position, fields.log_size, read)
    salt, data = record.salt, record.data
    return Proof(
        format=FORMAT,
        network=network,
        block=sha256(header).hexdigest(),
        header=header.hex(),
        position=position,
        path=[hash.hex() for hash in path],
        entry=record.entry.decode(),
        salt=None if salt is None else urlsafe_b64encode(salt)[:SALT_CHARACTERS].decode(),
        data=_NULL if data is None else msgspec.Raw(data),
    )


def check(proof: Proof, block: str) -> Record:
    """The record that is proven to stand in the log of the block with that hash. Raises ProofError.

    Whoever shows what the record holds should show the data that is returned: the document's may have been written in
    a way that reads otherwise, with a key twice.
    """
    _check_origin(proof, FORMAT)
    header, fields = _read_header(proof.header)
    hash = sha256(header).hexdigest()
    if proof.block != hash:
        raise ProofError(f"the header has the hash {hash}, and not that of the block, {shown(proof.block)}")
    if block != hash:
        raise ProofError(f"it leads to the block {hash}, not to {shown(block)}")
    record = _read_record(proof)
    log.check_inclusion(record.leaf, proof.position, fields.log_size, fields.log_root, _read_path(proof.path))
    return record


def _read_record(proof: Proof) -> Record:
    salt, data = None, None
    if proof.salt is not None:
        if not _SALT.fullmatch(proof.salt):
            raise ProofError(f"the salt {shown(proof.salt)} is not {SALT_CHARACTERS} characters of base64url")
        salt, data = urlsafe_b64decode(proof.salt + "=="), _canonical(bytes(proof.data))
    elif bytes(proof.data) != bytes(_NULL):
        raise ProofError("there is data, but no salt that ties it to the entry")
    raw = RawRecord(proof.entry.encode(errors="replace"), salt, data)
    try:
        return check_record(raw, len(data or b""))
    except RuleViolation as broken:
        raise ProofError(broken.detail) from broken


def _canonical(data: bytes) -> bytes:
    try:
        return canonical(msgspec.json.decode(data))
    except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
        raise ProofError(f"the data is not JSON: {shown(str(error))}") from error
    except RuleViolation as broken:
        raise ProofError(broken.detail) from broken


# --- two blocks ------------------------------------------------------------------------------------


def prove_consistency(old_header: bytes, header: bytes, network: str, read: ReadHashes) -> ConsistencyProof:
    """The proof that the log of one block begins with the log of another, by their headers.

    `read` gives hashes of the longer log. Raises ValueError when the old one is not the shorter.
    """
    old, new = (read_header(each, len(each) - FIXED_BYTES) for each in (old_header, header))
    path = log.prove_consistency(old.log_size, new.log_size, read)
    return ConsistencyProof(
        format=CONSISTENCY_FORMAT,
        network=network,
        old_header=old_header.hex(),
        header=header.hex(),
        path=[hash.hex() for hash in path],
    )


def check_consistency(proof: ConsistencyProof) -> tuple[str, str]:
    """The hashes of the two blocks of which the first's log is proven to begin the second's. Raises ProofError."""
    _check_origin(proof, CONSISTENCY_FORMAT)
    old_header, old = _read_header(proof.old_header)
    header, new = _read_header(proof.header)
    log.check_consistency(old.log_size, old.log_root, new.log_size, new.log_root, _read_path(proof.path))
    return sha256(old_header).hexdigest(), sha256(header).hexdigest()


# --- parts -----------------------------------------------------------------------------------------


def _check_origin(proof: Proof | ConsistencyProof, expected: str) -> None:
    if proof.format != expected:
        raise ProofError(f"the format is {shown(proof.format)}; {expected} is known here")
    if not _HASH.fullmatch(proof.network):
        raise ProofError(f"the network {shown(proof.network)} is not a hash of 64 lower-case hex digits")


def _read_header(text: str) -> tuple[bytes, HeaderFields]:
    """A header's bytes and fields. Its seal is as long as it is: that is for a kind of network to say."""
    if not _HEX.fullmatch(text) or len(text) < 2 * FIXED_BYTES:
        raise ProofError(f"the header {shown(text)} is not at least {2 * FIXED_BYTES} lower-case hex digits")
    header = bytes.fromhex(text)
    try:
        return header, read_header(header, len(header) - FIXED_BYTES)
    except RuleViolation as broken:
        raise ProofError(broken.detail) from broken


def _read_path(path: Sequence[str]) -> list[bytes]:
    for each in path:
        if not _HASH.fullmatch(each):
            raise ProofError(f"{shown(each)} in the path is not a hash of 64 lower-case hex digits")
    return [bytes.fromhex(each) for each in path]
