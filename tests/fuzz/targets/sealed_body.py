"""Blocks of sealed networks as peers send them: what is taken is sound by a second reading, and goes out as it came."""

from __future__ import annotations

import json
import random
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from hashlib import sha256
from typing import Any, Final

import msgspec
import rfc8785

from tallystick.consensus import sealed
from tallystick.consensus.difficulty import expand
from tallystick.consensus.work import SEAL_BYTES
from tallystick.errors import Rule, RuleViolation
from tallystick.model.record import RawRecord, Record, with_data, without_data
from tallystick.model.sealed import FIXED_BYTES, SealedBlock
from tests.consensus.forging import CHAIN, ENGINE, RULES, forged, whole
from tests.fuzz.target import SetAttribute, Target
from tests.fuzz.trees import Change, repacked
from tests.storage.sealed_blocks import record

READING: Final = {
    Rule.HEADER_IS_WELL_FORMED, Rule.INDEX_IN_RANGE, Rule.BLOCK_WITHIN_SIZE, Rule.MESSAGE_IS_DECODABLE,
}  # fmt: skip
CHECKING: Final = {
    Rule.GENESIS_IS_OURS, Rule.SEAL_HOLDS, Rule.BODY_MATCHES_HEADER, Rule.RECORD_IS_NEW, Rule.BLOCK_WITHIN_SIZE,
    Rule.ENTRY_IS_WELL_FORMED, Rule.COMMITMENT_MATCHES_DATA, Rule.DATA_IS_CANONICAL, Rule.DATA_WITHIN_SIZE,
}  # fmt: skip
"""What reading and checking a block may break, by their documentation."""

HEADER_BYTES: Final = FIXED_BYTES + SEAL_BYTES


def one(data: bytes) -> None:
    """A block is refused with a rule of its stage, or it is what the format says, and comes out as it went in."""
    try:
        read = sealed.read_whole(data, SEAL_BYTES, RULES.max_block_records)
    except RuleViolation as broken:
        assert broken.rule in READING
        assert len(broken.detail) < 500
        return
    assert read.header + msgspec.msgpack.encode(read.records) == data
    assert len(read.records) <= RULES.max_block_records
    try:
        block = ENGINE.check_alone(read)
    except RuleViolation as broken:
        assert broken.rule in CHECKING, broken.rule
        assert len(broken.detail) < 500
        return
    assert sealed.write_whole(block) == data
    _check_by_the_format(data, block)
    sent = sealed.as_sent(block, RULES)
    assert sent.size_bytes <= RULES.max_block_bytes
    assert [each.entry for each in sent.records] == [each.entry for each in block.records]
    assert sealed.as_sent(sent, RULES) == sent


def _check_by_the_format(data: bytes, block: SealedBlock) -> None:
    """Once more from the bytes, in the words of docs/format.md and without a line of ours."""
    header, records = data[:HEADER_BYTES], msgspec.msgpack.decode(data[HEADER_BYTES:])
    assert block.hash == sha256(header).hexdigest()
    if block.index == 0:
        return
    assert int(block.hash, 16) <= expand(int.from_bytes(header[-12:-8], "big"))
    leaves = [sha256(b"\0" + entry).digest() for entry, _, _ in records]
    assert len(set(leaves)) == len(leaves)
    assert header[92:124] == sha256(b"".join(leaves)).digest()
    assert sum(len(entry) for entry, _, _ in records) <= RULES.max_block_bytes
    for (entry, salt, held), kept in zip(records, block.records, strict=True):
        members = json.loads(entry)
        assert rfc8785.dumps(members) == entry
        assert sorted(members) == ["commit", "id"]
        assert members["id"] == kept.id
        assert (salt is None) == (held is None)
        if salt is not None:
            assert len(salt) == 16
            assert len(held) <= RULES.max_data_bytes
            assert members["commit"] == urlsafe_b64encode(sha256(salt + held).digest()).decode().rstrip("=")
            assert rfc8785.dumps(json.loads(held)) == held


# --- making blocks that get somewhere ------------------------------------------------------------------

DATA: Final = (
    b"7", b"null", b'"x"', b"1e+21", b"1E21", b"-0", b"0.5", b"[]", b'{"a":1,"b":2}', b'{"b":1,"a":2}',
    b'{"a":1,"a":1}',
    b'"\\u00e9"', b'"\xc3\xa9"', b'"\\ud800"', b"[" * 64 + b"]" * 64, b"[" * 65 + b"]" * 65, b"9007199254740992",
    b"9007199254740991", b"1.0", b"x", b'"' + b"y" * 400 + b'"', b'{"\xef\xac\xb3":1,"\xf0\x9f\x98\x80":2}',
)  # fmt: skip


def mutate(data: bytes, most: int, chance: random.Random, change: Change) -> bytes:
    """Records changed, and a header that fits them: in a block whose hashes do not fit, nothing is looked at."""
    if len(data) < HEADER_BYTES or chance.random() < 1 / 4:
        return change(data, most)
    try:
        rows = msgspec.msgpack.decode(data[HEADER_BYTES:], type=list[RawRecord])
    except (ValueError, RecursionError):
        rows = []
    raws = [_recommitted(raw, chance) for raw in rows]
    match chance.randrange(6):
        case 0 if raws:
            del raws[chance.randrange(len(raws))]
        case 1 if raws:
            raws.append(chance.choice(raws))
        case 2 | 3:
            made = with_data(f"{chance.randrange(50)}", chance.choice(DATA), bytes(16))
            raws.insert(chance.randint(0, len(raws)), RawRecord(made.entry, made.salt, made.data))
    block = forged(CHAIN[chance.randrange(len(CHAIN))], [_as_record(raw) for raw in raws], raws)
    written = whole(block)
    if chance.random() < 1 / 6:
        written = written[:HEADER_BYTES] + (repacked(written[HEADER_BYTES:], chance) or b"")
    return written if len(written) <= most else change(data, most)


def _recommitted(raw: RawRecord, chance: random.Random) -> RawRecord:
    """Sometimes with other data, a commitment to it, or without either."""
    match chance.randrange(8):
        case 0:
            return RawRecord(raw.entry, None, None)
        case 1:
            made = with_data(chance.choice([".", "a", "x" * 128, "x" * 129, ""]), chance.choice(DATA), bytes(16))
            return RawRecord(made.entry, made.salt, made.data)
        case 2:
            return RawRecord(raw.entry.replace(b",", b", ", 1), raw.salt, raw.data)
        case 3:
            return RawRecord(raw.entry, raw.salt, chance.choice(DATA))
    return raw


def _as_record(raw: RawRecord) -> Record:
    return Record("", sha256(b"\0" + raw.entry).digest(), raw.entry, raw.salt, raw.data)


def seeds() -> Iterator[bytes]:
    """Blocks of a good chain, and some that hold odd records."""
    for block in CHAIN:
        yield sealed.write_whole(block)
    for data in DATA:
        yield whole(forged(records=[with_data("odd", data, bytes(16)), record("even")]))
    yield whole(forged(records=[without_data(record("gone"))]))


def plant(put: SetAttribute) -> None:
    """Data is taken as it is written."""
    put(sealed, "check_records", _unlooked_at)


def _unlooked_at(raws: Any, _max_data_bytes: int) -> list[Record]:  # noqa: ANN401 - as the product calls it
    return [Record(json.loads(raw.entry)["id"], sha256(b"\0" + raw.entry).digest(), *_parts(raw)) for raw in raws]


def _parts(raw: RawRecord) -> tuple[bytes, bytes | None, bytes | None]:
    return raw.entry, raw.salt, raw.data


TARGET: Final = Target(one=one, seeds=seeds, plant=plant, mutate=mutate, runs=2_000)
