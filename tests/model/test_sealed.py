"""Sealed blocks: a header is these bytes, and reads back as what was put in."""

from __future__ import annotations

import struct
from hashlib import sha256
from typing import Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.errors import Rule, RuleViolation
from tallystick.model.block import INDEX_MAX
from tallystick.model.log import EMPTY_EDGE, extend, root_of
from tallystick.model.record import make_record
from tallystick.model.sealed import (
    FIXED_BYTES,
    TIME_MAX_MS,
    HeaderFields,
    SealedHeader,
    body_hash_of,
    header_bytes,
    header_bytes_of,
    read_header,
    sealed_block,
)

SEAL_BYTES: Final = 12
hashes = st.binary(min_size=32, max_size=32)
fields = st.builds(
    HeaderFields,
    st.integers(0, INDEX_MAX),
    hashes,
    st.integers(0, TIME_MAX_MS),
    st.integers(0, TIME_MAX_MS),
    hashes,
    hashes,
    st.binary(min_size=SEAL_BYTES, max_size=SEAL_BYTES),
)


def broken_rule(text: bytes, seal_bytes: int = SEAL_BYTES) -> Rule:
    with pytest.raises(RuleViolation) as broken:
        read_header(text, seal_bytes)
    assert 0 < len(broken.value.detail) < 200
    return broken.value.rule


def test_a_header_is_these_bytes() -> None:
    """Golden: what `xxd -r -p | sha256sum` gives."""
    records = [make_record("a", "first", bytes(16)), make_record("b", {"n": 2}, bytes(range(16)))]
    leaves = [record.leaf for record in records]
    text = header_bytes(
        HeaderFields(
            index=1,
            previous_hash=bytes.fromhex("11" * 32),
            timestamp=1_700_000_000_123,
            log_size=2,
            log_root=root_of(extend(EMPTY_EDGE, 0, leaves)),
            body_hash=body_hash_of(leaves),
            seal=bytes.fromhex("207fffff0000000000000005"),
        )
    )
    assert text.hex() == (
        "54534231"  # TSB1
        "0000000000000001"  # index
        "1111111111111111111111111111111111111111111111111111111111111111"  # previous_hash
        "0000018bcfe5687b"  # timestamp
        "0000000000000002"  # log_size
        "8944d2c556c221cbc1d61ab82ae25762289fb7786a4a50143f11c7547f5debdd"  # log_root
        "46de0f820eca3d904b5db4196c93163aac20d49c6693de1a13fed05d28885b1d"  # body_hash
        "207fffff0000000000000005"  # seal: bits and nonce
    )
    block = sealed_block(text, read_header(text, SEAL_BYTES), tuple(records))
    assert block.hash == "b850d028b9248a48b9fb3f7d98c5f088ad6e82b518e9f4ab82de0159f023642b"


@given(fields)
def test_the_layout_is_the_specified_one(header: HeaderFields) -> None:
    expected = b"TSB1" + struct.pack(">Q", header.index) + header.previous_hash + struct.pack(">Q", header.timestamp)
    expected += struct.pack(">Q", header.log_size) + header.log_root + header.body_hash + header.seal
    assert header_bytes(header) == expected
    assert len(expected) == FIXED_BYTES + SEAL_BYTES == 136


@given(fields)
def test_a_header_reads_back(header: HeaderFields) -> None:
    text = header_bytes(header)
    assert read_header(text, SEAL_BYTES) == header
    block = sealed_block(text, header, ())
    assert header_bytes_of(block) == text
    assert block.hash == sha256(text).hexdigest()
    assert block.header == SealedHeader(
        header.index, block.hash, header.previous_hash.hex(), header.timestamp, 0, header.log_size, EMPTY_EDGE
    )


@given(fields, st.integers(0, 136 * 8 - 1))
def test_every_bit_of_a_header_counts(header: HeaderFields, bit: int) -> None:
    """There is one header for each hash: what reads at all reads as something else."""
    text = header_bytes(header)
    other = (int.from_bytes(text, "big") ^ 1 << bit).to_bytes(136, "big")
    try:
        assert read_header(other, SEAL_BYTES) != header
    except RuleViolation as broken:
        assert broken.rule in {Rule.HEADER_IS_WELL_FORMED, Rule.INDEX_IN_RANGE}


@given(fields, st.integers(0, 300), st.integers(0, 40))
def test_a_header_has_its_length_and_no_other(header: HeaderFields, length: int, seal_bytes: int) -> None:
    text = (header_bytes(header) + bytes(200))[:length]
    if length == FIXED_BYTES + seal_bytes:
        assert read_header(text, seal_bytes).seal == text[FIXED_BYTES:]
    else:
        assert broken_rule(text, seal_bytes) is Rule.HEADER_IS_WELL_FORMED


HEADER: Final = HeaderFields(1, bytes(32), 1, 1, bytes(32), bytes(32), bytes(SEAL_BYTES))


@pytest.mark.parametrize(
    ("offset", "rule"), [(4, Rule.INDEX_IN_RANGE), (44, Rule.HEADER_IS_WELL_FORMED), (52, Rule.HEADER_IS_WELL_FORMED)]
)
def test_numbers_that_not_every_reader_can_hold_are_refused(offset: int, rule: Rule) -> None:
    """Index, timestamp and log size are within 2^53 - 1, for the API shows them as JSON numbers."""
    text = header_bytes(HEADER)
    for number in (2**53, 2**63, 2**64 - 1):
        assert broken_rule(text[:offset] + number.to_bytes(8, "big") + text[offset + 8 :]) is rule
    greatest = text[:offset] + (2**53 - 1).to_bytes(8, "big") + text[offset + 8 :]
    assert 2**53 - 1 in msgspec.structs.astuple(read_header(greatest, SEAL_BYTES))


@pytest.mark.parametrize("magic", [b"TSB0", b"TSB2", b"tsb1", bytes(4)])
def test_a_header_of_another_version_is_refused(magic: bytes) -> None:
    assert broken_rule(magic + header_bytes(HEADER)[4:]) is Rule.HEADER_IS_WELL_FORMED


@given(st.lists(hashes, max_size=5))
def test_the_body_hash_is_of_all_leaves_in_their_order(leaves: list[bytes]) -> None:
    assert body_hash_of(iter(leaves)) == sha256(b"".join(leaves)).digest()
    if leaves != leaves[::-1]:
        assert body_hash_of(leaves) != body_hash_of(leaves[::-1])


def test_a_block_tells_the_size_of_its_records() -> None:
    records = tuple(make_record(f"r-{n}", "x" * n, bytes(16)) for n in range(4))
    block = sealed_block(header_bytes(HEADER), HEADER, records)
    assert block.size_bytes == sum(record.size_bytes for record in records)
    assert sealed_block(header_bytes(HEADER), HEADER, ()).size_bytes == 0
