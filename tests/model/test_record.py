"""Records: entry, salt and data fit each other, or it is said what does not; and what is erased changes no leaf."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.errors import Rule, RuleViolation
from tallystick.model.limits import MAX_ENTRY_BYTES
from tallystick.model.record import (
    RawRecord,
    Record,
    as_json,
    check_record,
    check_records,
    commitment,
    make_record,
    raw_of,
    with_data,
    without_data,
)

from .test_canonical import floats, integers, texts

ANY_SIZE: Final = 10**6
values = st.none() | integers | floats | texts | st.lists(texts | floats, max_size=2) | st.dictionaries(texts, integers)
ids = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-", min_size=1, max_size=128)
ids = ids.filter(lambda name: name not in {".", ".."})  # which no URL can name
salts = st.binary(min_size=16, max_size=16)
records = st.builds(make_record, ids, values, salts)


def broken_rule(raw: RawRecord, max_data_bytes: int = ANY_SIZE) -> Rule:
    with pytest.raises(RuleViolation) as broken:
        check_record(raw, max_data_bytes)
    assert 0 < len(broken.value.detail) < 300
    assert broken.value.detail.isprintable()
    return broken.value.rule


def test_a_record_is_made_of_these_bytes() -> None:
    """Golden: the commitment is `printf ... | sha256sum` in base64url, the leaf that of `\\0` and the entry."""
    record = make_record("01936b1e-7c2a-7e11-9c55-0242ac120002", {"text": "started", "level": "info"}, bytes(range(16)))
    assert record.data == b'{"level":"info","text":"started"}'
    assert record.salt == bytes.fromhex("000102030405060708090a0b0c0d0e0f")
    assert (
        record.entry
        == b'{"commit":"h20mmttFMxPiKiOSIcWP9nAha6ngTB2bJMBXjCTV3BM","id":"01936b1e-7c2a-7e11-9c55-0242ac120002"}'
    )
    assert record.leaf.hex() == "2034e7e247adc3b9eb94c60b2129d14a6663d80c8d3758001530a12eb4c03fe9"
    assert bytes(as_json(record)) == (
        record.entry[:-1] + b',"salt":"AAECAwQFBgcICQoLDA0ODw","data":{"level":"info","text":"started"}}'
    )
    assert bytes(as_json(without_data(record))) == record.entry[:-1] + b',"erased":true}'


# --- laws -------------------------------------------------------------------------------------------


@given(records)
def test_a_record_passes_its_own_check(record: Record) -> None:
    assert check_record(raw_of(record), len(record.data or b"")) == record
    left = without_data(record)
    assert check_record(raw_of(left), 0) == left


@given(ids, values, salts)
def test_entry_and_leaf_are_those_of_the_specification(id: str, value: Any, salt: bytes) -> None:  # noqa: ANN401
    record = make_record(id, value, salt)
    assert json.loads(record.data or b"") == value
    commit = urlsafe_b64encode(sha256(salt + (record.data or b"")).digest()).rstrip(b"=")
    assert json.loads(record.entry) == {"commit": commit.decode(), "id": id}
    assert commitment(salt, record.data or b"") == commit
    assert record.leaf == sha256(b"\x00" + record.entry).digest()
    assert record == with_data(id, record.data or b"", salt)
    assert record.size_bytes == len(record.entry) + 16 + len(record.data or b"")


@given(records)
def test_a_record_without_data_is_the_same_record_in_the_log(record: Record) -> None:
    left = without_data(record)
    assert (left.id, left.leaf, left.entry) == (record.id, record.leaf, record.entry)
    assert (left.salt, left.data, left.size_bytes) == (None, None, len(record.entry))
    assert without_data(left) == left


@given(records)
def test_the_api_shows_the_members_of_the_entry_and_what_they_commit_to(record: Record) -> None:
    shown = msgspec.json.decode(bytes(as_json(record)))
    assert shown | {"salt": None, "data": None} == json.loads(record.entry) | {"salt": None, "data": None}
    assert list(shown) == ["commit", "id", "salt", "data"]
    assert urlsafe_b64encode(record.salt or b"").decode() == shown["salt"] + "=="
    assert shown["data"] == json.loads(record.data or b"")


@given(records, st.sampled_from(["entry", "salt", "data"]), st.data())
def test_no_byte_of_a_record_can_be_changed(record: Record, part: str, data: st.DataObject) -> None:
    """Only the id is free: who writes the entry chooses it, and that makes another record."""
    raw = raw_of(record)
    content = getattr(raw, part)
    at = data.draw(st.integers(0, len(content)))
    inserted = data.draw(st.binary(min_size=1, max_size=2))
    altered = content[:at] + inserted + content[at + data.draw(st.integers(0, 2)) :]
    changed = msgspec.structs.replace(raw, **{part: altered})
    if changed == raw:
        return
    try:
        other = check_record(changed, ANY_SIZE)
    except RuleViolation as broken:
        assert broken.rule in {Rule.ENTRY_IS_WELL_FORMED, Rule.COMMITMENT_MATCHES_DATA}
    else:
        assert part == "entry"
        assert json.loads(other.entry) == json.loads(record.entry) | {"id": other.id}
        assert other.id != record.id
        assert other.leaf != record.leaf


@given(records, records)
def test_data_of_one_record_does_not_pass_for_that_of_another(one: Record, other: Record) -> None:
    for mixed in (
        RawRecord(one.entry, one.salt, other.data),
        RawRecord(one.entry, other.salt, one.data),
        RawRecord(one.entry, other.salt, other.data),
    ):
        same = (mixed.salt, mixed.data) == (one.salt, one.data)
        assert same or broken_rule(mixed) is Rule.COMMITMENT_MATCHES_DATA


Change = tuple[int, str, bytes | None]
changes = st.tuples(
    st.integers(0, 7), st.sampled_from(["entry", "salt", "data"]), st.none() | st.binary(max_size=4) | st.just(b"\n")
)


def changed(raws: list[RawRecord], change: Change) -> list[RawRecord]:
    """One part of one of them replaced, cut, or glued to that of its neighbour."""
    at, part, by = change
    one, other = raws[at % len(raws)], raws[(at + 1) % len(raws)]
    content = getattr(one, part)
    if by == b"\n":
        value = (content or b"") + by + (getattr(other, part) or b"")
    else:
        value = None if by is None and part != "entry" else (content or b"")[: at + 9] + (by or b"")
    return [msgspec.structs.replace(raw, **{part: value}) if raw is one else raw for raw in raws]


@given(st.lists(records, min_size=1, max_size=6), st.lists(changes, max_size=2), st.booleans())
def test_many_are_judged_together_as_each_by_itself(some: list[Record], others: list[Change], plain: bool) -> None:  # noqa: FBT001 - Hypothesis fills it in
    """The same records, or the same rule broken by the first that is not sound."""
    raws = [raw_of(make_record(each.id, "plain", bytes(16)) if plain else each) for each in some]
    for change in others:
        raws = changed(raws, change)
    try:
        expected: object = [check_record(raw, ANY_SIZE) for raw in raws]
    except RuleViolation as broken:
        expected = broken.rule
    try:
        assert check_records(raws, ANY_SIZE) == expected
    except RuleViolation as broken:
        assert broken.rule == expected


def test_two_entries_glued_together_are_not_two_records() -> None:
    """A batch of two entries whose lines are three: as many sound lines as there would be, and one entry too few."""
    one, two, three = (raw_of(make_record(f"id{number}", number, bytes(16))) for number in range(3))
    glued = RawRecord(one.entry + b"\n" + two.entry, one.salt, one.data)
    with pytest.raises(RuleViolation) as broken:
        check_records([glued, three], ANY_SIZE)
    assert broken.value.rule is Rule.ENTRY_IS_WELL_FORMED


# --- what is refused --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "id", ["", "x" * 129, "a b", "a/b", "ü", "a\n", "\n", "a\x00", "a%b", 'a"', "\ud800", "\u0661"]
)
def test_an_id_of_another_form_is_refused(id: str) -> None:
    with pytest.raises(RuleViolation) as broken:
        make_record(id, 1, bytes(16))
    assert broken.value.rule is Rule.RECORD_ID_IS_WELL_FORMED
    assert broken.value.detail.isascii()
    entry = b'{"commit":"%b","id":"%b"}' % (b"A" * 43, id.encode(errors="surrogatepass"))
    assert broken_rule(RawRecord(entry, None, None)) is Rule.ENTRY_IS_WELL_FORMED


ENTRY: Final = make_record("id", "data", bytes(16)).entry
COMMIT: Final = ENTRY[11:54]


@pytest.mark.parametrize(
    "entry",
    [
        b"",
        b"{}",
        b"null",
        ENTRY + b" ",
        ENTRY + b"\n",
        b" " + ENTRY,
        ENTRY.replace(b",", b", "),
        b'{"id":"id","commit":"%b"}' % COMMIT,
        b'{"commit":"%b","id":"id","more":1}' % COMMIT,
        b'{"commit":"%b","commit":"%b","id":"id"}' % (COMMIT, COMMIT),
        b'{"commit":"%b","id":1}' % COMMIT,
        b'{"commit":"%b","id":"\\u0061"}' % COMMIT,
        b'{"commit":"%b","id":"id"}' % COMMIT[:-1],
        b'{"commit":"%b=","id":"id"}' % COMMIT,
        b'{"commit":"%bB","id":"id"}' % COMMIT[:-1],
        b'{"commit":"%b+","id":"id"}' % COMMIT[:-1],
        b'{"commit":"%b","id":"%b"}' % (COMMIT, b"x" * MAX_ENTRY_BYTES),
        b"\xff" * 100,
    ],
)
def test_an_entry_of_another_form_is_refused(entry: bytes) -> None:
    assert broken_rule(RawRecord(entry, None, None)) is Rule.ENTRY_IS_WELL_FORMED
    assert broken_rule(RawRecord(entry, bytes(16), b'"data"')) is Rule.ENTRY_IS_WELL_FORMED


@pytest.mark.parametrize(
    ("salt", "data"),
    [
        (bytes(16), None),
        (None, b'"data"'),
        (bytes(15), b'"data"'),
        (bytes(17), b'"data"'),
        (b"", b""),
        (bytes(16), b""),
    ],
)
def test_salt_and_data_come_whole_and_together(salt: bytes | None, data: bytes | None) -> None:
    assert broken_rule(RawRecord(ENTRY, salt, data)) is Rule.COMMITMENT_MATCHES_DATA


@pytest.mark.parametrize("salt", [b"", bytes(15), bytes(17), bytes(32)])
def test_a_salt_has_16_bytes_even_if_the_commitment_fits_another(salt: bytes) -> None:
    record = with_data("id", b"1", salt)
    assert broken_rule(raw_of(record)) is Rule.COMMITMENT_MATCHES_DATA


@pytest.mark.parametrize(
    "data", [b"", b" 1", b'{"b":1,"a":1}', b"1.0", b"NaN", b"\xff", b'{"a":1,"a":1}', b"[" * 9_999]
)
def test_data_that_is_not_canonical_is_refused_even_if_the_commitment_fits(data: bytes) -> None:
    """So a leaf stands for a value, however it was written."""
    assert broken_rule(raw_of(with_data("id", data, bytes(16)))) is Rule.DATA_IS_CANONICAL


def test_data_is_bounded_by_the_network_to_the_byte() -> None:
    record = make_record("id", "x" * 98, bytes(16))
    assert check_record(raw_of(record), 100) == record
    assert broken_rule(raw_of(record), 99) is Rule.DATA_WITHIN_SIZE


def test_nobody_can_tell_erased_data_by_trying() -> None:
    """The same data under the same id has another entry for every salt."""
    entries = {make_record("id", "yes", bytes([n]) * 16).entry for n in range(256)}
    assert len(entries) == 256
