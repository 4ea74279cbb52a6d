"""A record: one piece of data that somebody posted, and the entry that the log holds of it.

    data    any JSON value, in its RFC 8785 form                          {"level":"info","text":"started"}
    salt    16 random bytes
    commit  base64url( SHA-256( salt || data ) )
    id      1 to 128 of A-Z a-z 0-9 . _ : -                               01936b1e-7c2a-7e11-9c55-0242ac120002
    entry   the RFC 8785 form of {"commit": ..., "id": ...}, at most 65,535 bytes
    leaf    SHA-256( 00 || entry ), its place in the Merkle log (`model.log`)

The log commits to the entry, and the entry to a salted hash. So data and salt of one record can be withheld or
erased, every proof still holds, and nobody can guess what is gone by trying: the salt went with it. A record without
its data is valid and says so.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from binascii import b2a_base64
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any, Final

import msgspec

from tallystick.errors import Rule, RuleViolation, shown
from tallystick.model.canonical import are_plainly_canonical, canonical, check_canonical
from tallystick.model.limits import MAX_ENTRY_BYTES
from tallystick.model.log import leaf_hash, leaf_hashes

SALT_BYTES: Final = 16

ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}", re.ASCII)
"""What an id may look like."""

_ENTRY: Final = re.compile(rb'\{"commit":"([A-Za-z0-9_-]{42}[AEIMQUYcgkosw048])","id":"([A-Za-z0-9._:-]{1,128})"\}')
"""No character here is ever escaped, so this is the canonical form, and the only one. 32 bytes leave two bits of the
last character unused; they are zero (RFC 4648, section 3.5)."""

_ENTRIES: Final = re.compile(rb'(?:\{"commit":".{43}","id":"[A-Za-z0-9._:-]{1,128}+"\}\n)*+')
"""Any number of them, a line each, whose commitments are to be compared with what they should be; nothing is tried
twice."""

_COMMIT: Final = slice(11, 54)
_ID: Final = slice(62, -2)
"""Where commitment and id stand in an entry."""

_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")


class RawRecord(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What claims to be a record, as peers send it; `check_record` makes a `Record` of it."""

    entry: bytes
    salt: bytes | None
    data: bytes | None


class Record(msgspec.Struct, frozen=True, gc=False):
    """A record that is sound: entry, salt and data fit each other."""

    id: str
    leaf: bytes
    """SHA-256( 00 || entry ), 32 bytes; two records with the same leaf are the same record."""

    entry: bytes
    """RFC 8785 form of what the log holds."""

    salt: bytes | None
    data: bytes | None
    """RFC 8785 form of what was posted. Both are None once they were withheld or erased."""

    @property
    def size_bytes(self) -> int:
        """Bytes of its parts; `sizes` counts those of many."""
        if self.salt is None or self.data is None:
            return len(self.entry)
        return len(self.entry) + len(self.salt) + len(self.data)


def commitment(salt: bytes, data: bytes) -> bytes:
    """The salted hash of canonical `data`, as base64url without padding: 43 bytes of ASCII."""
    return b2a_base64(sha256(salt + data).digest(), newline=False).translate(_URL_SAFE)[:43]


def make_record(id: str, value: Any, salt: bytes) -> Record:  # noqa: ANN401 - any JSON value
    """The record of a posted JSON value. Raises RuleViolation: RECORD_ID_IS_WELL_FORMED, DATA_IS_CANONICAL."""
    return with_data(check_id(id), canonical(value), salt)


def check_id(id: str) -> str:
    """An id that a record may be given. Raises RuleViolation(RECORD_ID_IS_WELL_FORMED).

    One or two dots alone are lawful in a block, and refused here: no URL can name them (RFC 3986, section 5.2.4).
    """
    if not ID.fullmatch(id) or id in {".", ".."}:
        raise RuleViolation(
            Rule.RECORD_ID_IS_WELL_FORMED,
            f"the id {shown(id)} is not 1 to 128 of letters, digits and . _ : -, or dots alone",
        )
    return id


def with_data(id: str, data: bytes, salt: bytes) -> Record:
    """The record of data that is canonical already, under an id that was judged already."""
    entry = b'{"commit":"%b","id":"%b"}' % (commitment(salt, data), id.encode())
    return Record(id, leaf_hash(entry), entry, salt, data)


def check_records(raws: Sequence[RawRecord], max_data_bytes: int) -> list[Record]:
    """`check_record` of many, for a third of the cost where nothing is odd about any of them. Raises RuleViolation."""
    records = _checked_together(raws, max_data_bytes)
    return [check_record(raw, max_data_bytes) for raw in raws] if records is None else records


def _checked_together(raws: Sequence[RawRecord], max_data_bytes: int) -> list[Record] | None:
    """The records of these, if all are sound, have their data, and hold plain values. None means that each has to be
    looked at by itself.

    No entry that is sound holds a line break, so where as many lines are sound as there are entries, each entry is. And
    with a byte of zeros behind it each digest makes 44 characters of base64, the last of them an A, so all commitments
    are compared at once.
    """
    entries = [raw.entry for raw in raws]
    salts = [raw.salt for raw in raws if raw.salt is not None]
    data = [raw.data for raw in raws if raw.data is not None]
    lines = b"\n".join([*entries, b""])
    if (
        not len(entries) == len(salts) == len(data) == lines.count(b"\n")
        or set(map(len, salts)) != {SALT_BYTES}
        or max(map(len, data)) > max_data_bytes
        or not _ENTRIES.fullmatch(lines)
    ):
        return None
    digests = [sha256(salt + text).digest() for salt, text in zip(salts, data, strict=True)]
    commits = b2a_base64(b"\0".join([*digests, b""]), newline=False).translate(_URL_SAFE)
    if commits != b"A".join([*(entry[_COMMIT] for entry in entries), b""]) or not are_plainly_canonical(data):
        return None
    ids = b"\n".join([entry[_ID] for entry in entries]).decode("ascii").split("\n")
    return list(map(Record, ids, leaf_hashes(entries), entries, salts, data))


def check_record(raw: RawRecord, max_data_bytes: int) -> Record:
    """Everything that can be said of a record by itself. Raises RuleViolation."""
    entry, salt, data = raw.entry, raw.salt, raw.data
    parts = _ENTRY.fullmatch(entry) if len(entry) <= MAX_ENTRY_BYTES else None
    if parts is None:
        raise RuleViolation(
            Rule.ENTRY_IS_WELL_FORMED, f"an entry is no canonical object of commit and id: {shown(entry)}"
        )
    if salt is None or data is None:
        if salt is not data:
            raise RuleViolation(Rule.COMMITMENT_MATCHES_DATA, "a record has salt or data, but not both")
    else:
        if len(data) > max_data_bytes:
            raise RuleViolation(
                Rule.DATA_WITHIN_SIZE, f"a record holds {len(data):,} bytes of data; at most {max_data_bytes:,} may be"
            )
        if len(salt) != SALT_BYTES or commitment(salt, data) != parts[1]:
            raise RuleViolation(Rule.COMMITMENT_MATCHES_DATA, f"salt and data do not fit the entry {shown(entry)}")
        check_canonical(data)
    return Record(parts[2].decode("ascii"), leaf_hash(entry), entry, salt, data)


def raw_of(record: Record) -> RawRecord:
    """A record as peers are sent it."""
    return RawRecord(record.entry, record.salt, record.data)


def sizes(records: Iterable[Record]) -> int:
    """Bytes of the parts of all of them (`Record.size_bytes`)."""
    return sum(
        [
            len(each.entry) + (0 if each.salt is None or each.data is None else len(each.salt) + len(each.data))
            for each in records
        ]
    )


def without_data(record: Record) -> Record:
    """What is left of a record that was erased."""
    return Record(record.id, record.leaf, record.entry, None, None)


def as_json(record: Record) -> msgspec.Raw:
    """A record as the API shows it: the members of its entry, then `salt` and `data`, or `erased` in their place."""
    if record.salt is None or record.data is None:
        return msgspec.Raw(record.entry[:-1] + b',"erased":true}')
    salt = urlsafe_b64encode(record.salt)[:22]
    return msgspec.Raw(b'%b,"salt":"%b","data":%b}' % (record.entry[:-1], salt, record.data))
