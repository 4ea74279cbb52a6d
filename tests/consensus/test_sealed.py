"""What sealed networks share: bodies on the wire, what a block takes, and that withheld data decides nothing."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.consensus.sealed import (
    as_sent,
    check_body,
    extended_log,
    read_whole,
    records_that_fit,
    sealed_header,
    write_whole,
)
from tallystick.consensus.work import SEAL_BYTES, WorkEngine
from tallystick.errors import Rule, RuleViolation
from tallystick.model.block import header_of
from tallystick.model.network import SealedRules
from tallystick.model.record import Record, raw_of, without_data
from tallystick.model.sealed import SealedBlock
from tests.chain.sealed_drawing import SPACING_MS, found, network, past_among, sealed
from tests.consensus.forging import BLOCK, CHAIN, PARENT, RULES, forged, whole
from tests.model.merkle import mth
from tests.storage.sealed_blocks import record

ROOMY = replace(RULES, max_block_bytes=100_000, max_block_records=20)
TEXTS = st.lists(st.sampled_from([0, 1, 60, 250]), max_size=9)


def some(sizes: list[int]) -> list[Record]:
    return [record(f"s{number}", "x" * size) for number, size in enumerate(sizes)]


def bared(records: list[Record], which: int) -> list[Record]:
    return [without_data(each) if which >> number & 1 else each for number, each in enumerate(records)]


def verdict(records: list[Record], which: int, rules: SealedRules) -> Rule | str:
    try:
        return check_body(forged(records=records, raws=[*map(raw_of, bared(records, which))]), rules).hash
    except RuleViolation as broken:
        return broken.rule


def block_of(records: list[Record]) -> SealedBlock:
    return check_body(forged(records=records), ROOMY)


# --- what a block takes -----------------------------------------------------------------------------


@given(TEXTS, st.integers(0, 511), st.integers(0, 511), st.integers(100, 1_500))
def test_whoever_withholds_data_changes_no_verdict(sizes: list[int], one: int, other: int, most: int) -> None:
    """Two nodes hold different amounts of the data of one block, and agree whether it is valid."""
    rules = replace(RULES, max_block_bytes=most, max_block_records=7)
    assert verdict(some(sizes), one, rules) == verdict(some(sizes), other, rules)


def test_what_a_block_takes_is_bounded_in_entries() -> None:
    records = some([250] * 5)
    size = sum(len(each.entry) for each in records)
    assert verdict(records, 0, replace(RULES, max_block_bytes=size)) == block_of(records).hash
    assert verdict(records, 31, replace(RULES, max_block_bytes=size - 1)) is Rule.BLOCK_WITHIN_SIZE
    assert verdict(records, 0, replace(RULES, max_block_records=4)) is Rule.BLOCK_WITHIN_SIZE


@given(TEXTS, st.integers(0, 511), st.integers(0, 4_000))
def test_what_is_sent_of_a_block_fits_and_is_the_block(sizes: list[int], which: int, most: int) -> None:
    """All its data that there is room for, from the first on; of a valid block the entries always fit."""
    block = msgspec.structs.replace(block_of(some(sizes)), records=tuple(bared(some(sizes), which)))
    rules = replace(ROOMY, max_block_bytes=most)
    sent = as_sent(block, rules)
    assert [each.entry for each in sent.records] == [each.entry for each in block.records]
    assert msgspec.structs.replace(sent, records=block.records) == block
    left = [was for was, each in zip(block.records, sent.records, strict=True) if each != was]
    if block.size_bytes <= most:
        assert left == []
    else:
        least = min((each.size_bytes - len(each.entry) for each in left), default=1)
        assert sent.size_bytes + least > most
    if sum(len(each.entry) for each in block.records) <= most:
        assert sent.size_bytes <= most
        again = check_body(read_whole(write_whole(sent), SEAL_BYTES, 20), rules)
        assert again == msgspec.structs.replace(sent, weight=0, edge=())


def test_data_that_just_fits_is_sent() -> None:
    block = block_of(some([250, 250]))
    whole_first = block.size_bytes - (block.records[1].size_bytes - len(block.records[1].entry))
    for most, sent in ((whole_first, [True, False]), (whole_first - 1, [False, False])):
        records = as_sent(block, replace(ROOMY, max_block_bytes=most)).records
        assert [each.data is not None for each in records] == sent


def test_a_block_whose_data_came_together_elsewhere_can_be_passed_on() -> None:
    """A miner who has erased the data of what is pending puts more records into a block than others would. They take
    it, complete it from their own pools, and send as much of it as a block may bring along."""
    engine = WorkEngine(network(RULES))
    genesis = sealed(engine.network.genesis)
    records = some([250] * 5)
    draft = engine.draft(header_of(genesis), bared(records, 31), past_among({}), genesis.timestamp + SPACING_MS)
    bare = found(draft)
    assert len(bare.records) == 5
    completed = msgspec.structs.replace(engine.check_alone(engine.read(engine.whole(bare))), records=tuple(records))
    assert completed.size_bytes > RULES.max_block_bytes
    sent = engine.as_sent(completed)
    assert 0 < sum(each.data is not None for each in sent.records) < 5
    assert engine.check_alone(engine.read(engine.whole(sent))).hash == bare.hash
    assert engine.check_alone(engine.read(engine.whole(completed))).hash == bare.hash  # kept, imported and verified


def test_a_draft_counts_all_the_data_that_it_brings() -> None:
    records = some([150] * 9)
    fitting = records_that_fit(records, RULES)
    assert 0 < len(fitting) < 6
    assert sum(each.size_bytes for each in fitting) <= RULES.max_block_bytes
    assert sum(each.size_bytes for each in records[: len(fitting) + 1]) > RULES.max_block_bytes
    assert records_that_fit(some([0] * 3), replace(RULES, max_block_records=2)) == some([0] * 3)[:2]
    assert records_that_fit([], RULES) == []


# --- on the wire ------------------------------------------------------------------------------------


def test_a_block_is_its_header_and_an_array_of_records() -> None:
    """Byte for byte, so that another implementation can be written."""
    one = record("one", "x")
    sent = write_whole(block_of([one, without_data(record("two"))]))
    assert len(sent[:136]) == 136
    assert one.salt is not None
    entry, other = one.entry, record("two").entry
    assert sent[136:] == (
        b"\x92"
        + (b"\x93\xc4" + bytes([len(entry)]) + entry + b"\xc4\x10" + one.salt + b'\xc4\x03"x"')
        + (b"\x93\xc4" + bytes([len(other)]) + other + b"\xc0\xc0")
    )


def test_reading_stops_at_the_number_of_records_that_fit() -> None:
    sent = whole(forged(records=some([0] * 7)))
    assert len(read_whole(sent, SEAL_BYTES, 7).records) == 7
    with pytest.raises(RuleViolation) as caught:
        read_whole(sent, SEAL_BYTES, 6)
    assert caught.value.rule is Rule.BLOCK_WITHIN_SIZE


@pytest.mark.parametrize("number", [0, 1, 15, 16, 65_535, 65_536])
def test_any_number_of_records_is_counted(number: int) -> None:
    """The three ways in which MessagePack writes how long an array is."""
    body = msgspec.msgpack.encode([[b"", None, None]] * number)
    sent = whole(forged(records=()))[:136] + body
    assert len(read_whole(sent, SEAL_BYTES, number).records) == number
    if number:
        with pytest.raises(RuleViolation) as caught:
            read_whole(sent, SEAL_BYTES, number - 1)
        assert caught.value.rule is Rule.BLOCK_WITHIN_SIZE


# --- the log ----------------------------------------------------------------------------------------


def test_every_header_is_a_checkpoint_of_one_log() -> None:
    """RFC 6962 over all entries of the chain up to it."""
    entries: list[bytes] = []
    for block in CHAIN:
        entries += [each.entry for each in block.records]
        assert (block.log_size, block.log_root) == (len(entries), mth(entries))
    assert len(entries) > 16


def test_a_block_extends_the_log_of_its_parent_and_no_other() -> None:
    header = sealed_header(header_of(PARENT))
    assert extended_log(BLOCK, header.log_size, header.edge).edge == BLOCK.edge
    others = [block for block in CHAIN if block.log_size != PARENT.log_size]
    assert len(others) > 5
    for other in others:
        with pytest.raises(RuleViolation) as caught:
            extended_log(BLOCK, other.log_size, other.edge)
        assert caught.value.rule is Rule.LOG_MATCHES_RECORDS
