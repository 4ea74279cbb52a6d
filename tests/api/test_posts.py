"""Bodies that hold records mean one thing or are refused, all of them together."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tallystick.api.posts import record_in, records_in
from tallystick.api.problems import Fault, Refusal
from tallystick.errors import Rule, RuleViolation
from tallystick.model.limits import KIB, LIMITS
from tallystick.model.record import ID, SALT_BYTES, Record, make_record
from tests.effort import examples
from tests.model.test_strict import VALUES

MOST = 64 * KIB
IDS = st.from_regex(ID, fullmatch=True)


def read(body: bytes) -> list[Record]:
    return list(records_in(body, LIMITS, MOST))


# --- what is taken ----------------------------------------------------------------------------------

POSTS = st.lists(st.tuples(VALUES, st.none() | IDS, st.booleans()), min_size=1, max_size=5)


def written(value: Any, id: str | None, *, id_first: bool) -> dict[str, object]:  # noqa: ANN401 - any JSON value
    if id is None:
        return {"data": value}
    return {"id": id, "data": value} if id_first else {"data": value, "id": id}


@given(POSTS, st.booleans(), st.sampled_from([None, 2]), st.booleans())
def test_any_json_is_taken_as_it_is_in_the_order_it_came(
    posts: list[tuple[Any, str | None, bool]],
    ascii_only: bool,  # noqa: FBT001 - Hypothesis gives it by name
    indent: int | None,
    alone: bool,  # noqa: FBT001 - likewise
) -> None:
    posts = posts[:1] if alone else posts
    many = [written(value, id, id_first=id_first) for value, id, id_first in posts]
    records = read(json.dumps(many[0] if alone else many, ensure_ascii=ascii_only, indent=indent).encode())
    for (value, id, _), record in zip(posts, records, strict=True):
        assert id in {None, record.id}
        assert record.salt is not None
        assert len(record.salt) == SALT_BYTES
        assert record == make_record(record.id, value, record.salt)
    assert len({record.salt for record in records}) == len(records)


def test_new_ids_rise_within_a_batch_and_from_one_to_the_next() -> None:
    """UUIDs of version 7 (RFC 9562): their order keeps an index of them cheap."""
    ids = [record.id for _ in range(3) for record in read(b"[" + b",".join([b'{"data":0}'] * 300) + b"]")]
    assert ids == sorted(ids)
    assert len(set(ids)) == 900
    assert all(len(id) == 36 and id[14] == "7" and id[19] in "89ab" for id in ids)


def test_keys_and_ids_may_be_spelled_with_escapes() -> None:
    (record,) = read(rb'[{"d\u0061ta": 1, "id": "\u0061bc"}]')
    assert (record.id, record.data) == ("abc", b"1")


def test_as_many_as_may_come_do() -> None:
    assert len(read(b"[" + b",".join([b'{"data":0}'] * LIMITS.records_per_post) + b"]")) == LIMITS.records_per_post


# --- what is not ------------------------------------------------------------------------------------

GOOD = b'{"data":"good"}'
NESTED = b'{"data":' + b"[" * 65 + b"]" * 65 + b"}"

ONE: list[tuple[str, bytes, Fault | Rule]] = [
    ("number", b"1", Fault.NOT_RECORDS),
    ("text", b'"x"', Fault.NOT_RECORDS),
    ("null", b"null", Fault.NOT_RECORDS),
    ("array in an array", b"[[]]", Fault.NOT_RECORDS),
    ("misspelt id", b'{"data":1,"Id":"x"}', Fault.NOT_RECORDS),
    ("misspelt data", b'{"dat":1}', Fault.NOT_RECORDS),
    ("unknown member of a wild name", '{"data":1,"\u202e\\n":1}'.encode(), Fault.NOT_RECORDS),
    ("salt of one's own", b'{"data":1,"salt":"AAAAAAAAAAAAAAAAAAAAAA"}', Fault.NOT_RECORDS),
    ("number for an id", b'{"data":1,"id":1}', Fault.NOT_RECORDS),
    ("null for an id", b'{"data":1,"id":null}', Fault.NOT_RECORDS),
    ("no id", b'{"data":1,"id":""}', Rule.RECORD_ID_IS_WELL_FORMED),
    ("blank in an id", b'{"data":1,"id":"a b"}', Rule.RECORD_ID_IS_WELL_FORMED),
    ("long id", b'{"data":1,"id":"' + b"a" * 129 + b'"}', Rule.RECORD_ID_IS_WELL_FORMED),
    ("digits of another script", '{"data":1,"id":"٣"}'.encode(), Rule.RECORD_ID_IS_WELL_FORMED),
    ("row 10: nesting just over the limit", NESTED, Rule.DATA_IS_CANONICAL),
    ("row 10: nesting", b'{"data":' + b"[" * 900 + b"]" * 900 + b"}", Rule.DATA_IS_CANONICAL),
    ("row 11: a million objects", b'{"data":[' + b"{}," * 1_000_000 + b"{}]}", Rule.DATA_WITHIN_SIZE),
    ("row 12: 1e400", b'{"data":1e400}', Rule.DATA_IS_CANONICAL),
    ("row 13: integer too large", b'{"data":9007199254740992}', Rule.DATA_IS_CANONICAL),
    ("row 13: 20 digits", b'{"data":-18446744073709551617}', Rule.DATA_IS_CANONICAL),
    ("row 13: 5000 digits", b'{"data":' + b"9" * 5_000 + b"}", Fault.NOT_JSON),
    ("row 14: data twice", b'{"data":1,"data":1}', Fault.NOT_JSON),
    ("row 14: data twice, in escapes", rb'{"data":1,"d\u0061ta":1}', Fault.NOT_JSON),
    ("row 14: id twice", b'{"id":"a","data":1,"id":"a"}', Fault.NOT_JSON),
    ("row 14: a key within", b'{"data":{"x":{"y":1,"y":1}}}', Fault.NOT_JSON),
    ("row 14: a key within, in escapes", rb'{"data":[{"x":1,"\u0078":2}]}', Fault.NOT_JSON),
    ("row 15: a surrogate in UTF-8", b'{"data":"\xed\xa0\x80"}', Fault.NOT_JSON),
    ("not UTF-8", b'{"data":"\xff"}', Fault.NOT_JSON),
    ("written much too long", b'{"data":"' + b"x" * 2_000_000 + b'"}', Rule.DATA_WITHIN_SIZE),
]
"""Wrong by themselves, and as one of many."""

UNPLACED: list[tuple[str, bytes, Fault | Rule]] = [
    ("row 10: deep nesting", b'{"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}", Rule.DATA_IS_CANONICAL),
    ("row 10: deep objects", b'{"data":' * 100_000 + b"1" + b"}" * 100_000, Rule.DATA_IS_CANONICAL),
    ("row 12: NaN", b'{"data":NaN}', Fault.NOT_JSON),
    ("row 12: Infinity", b'{"data":[-Infinity]}', Fault.NOT_JSON),
    ("row 15: half a surrogate pair", rb'{"data":"\ud800"}', Rule.DATA_IS_CANONICAL),
    ("row 15: pair reversed", rb'{"data":{"\udc00\ud800":1}}', Rule.DATA_IS_CANONICAL),
    ("row 15: half a pair in an id", rb'{"data":1,"id":"\udfff"}', Rule.DATA_IS_CANONICAL),
    ("not UTF-8 in an id", b'{"data":1,"id":"\xff"}', Fault.NOT_JSON),
    ("control character", b'{"data":"\x00"}', Fault.NOT_JSON),
]
"""Likewise, and so wrong that a body cannot be cut into records."""

WHOLE: list[tuple[str, bytes, Fault | Rule]] = [
    ("nothing", b"", Fault.NOT_JSON),
    ("blank", b" \n", Fault.NOT_JSON),
    ("form", b"data=x", Fault.NOT_JSON),
    ("no records", b"[]", Fault.NOT_RECORDS),
    ("as an older client wrote it", b'{"records":[{"data":1}]}', Fault.NOT_RECORDS),
    ("no data", b"{}", Fault.DATA_MISSING),
    ("id alone", b'{"id":"x"}', Fault.DATA_MISSING),
    ("no data in one of many", b"[{}]", Fault.NOT_RECORDS),
    ("cut off", b'[{"data":1}', Fault.NOT_JSON),
    ("two bodies", b'{"data":1} {"data":2}', Fault.NOT_JSON),
    ("lines", b'{"data":1}\n{"data":2}\n', Fault.NOT_JSON),
    ("trailing comma", b'[{"data":1},]', Fault.NOT_JSON),
    ("trailing NUL", b'{"data":1}\x00', Fault.NOT_JSON),
    ("byte order mark", b'\xef\xbb\xbf{"data":1}', Fault.NOT_JSON),
    ("UTF-16", '{"data":1}'.encode("utf-16"), Fault.NOT_JSON),
    ("half a pair, and not JSON", rb'[{"data":"\ud800"},', Fault.NOT_JSON),
    ("one too many", b"[" + b",".join([GOOD] * 1_001) + b"]", Fault.TOO_MANY_RECORDS),
    ("row 10: brackets", b"[" * 8_000_000, Rule.DATA_IS_CANONICAL),
    ("row 11: 3 MB of {}", b"[" + b"{}," * 1_000_000 + b"{}]", Fault.NOT_RECORDS),
    ("row 11: millions of numbers", b"[" + b"1," * 4_000_000 + b"1]", Fault.NOT_RECORDS),
    ("row 11: 700,000 records", b"[" + b'{"data":1},' * 700_000 + b'{"data":1}]', Fault.TOO_MANY_RECORDS),
]


def refused(take: Callable[[], object]) -> tuple[Fault | Rule, str]:
    try:
        take()
    except Refusal as refusal:
        what: Fault | Rule = refusal.fault
        detail = refusal.detail
    except RuleViolation as broken:
        what, detail = broken.rule, broken.detail
    else:
        raise AssertionError("it was taken")
    assert 0 < len(detail) < 400
    assert detail.isascii()
    return what, detail


@pytest.mark.parametrize(("body", "what"), [pytest.param(*case, id=name) for name, *case in WHOLE])
def test_a_body_that_is_no_records_is_refused(body: bytes, what: Fault | Rule) -> None:
    """Catalogue rows 10 and 11: and before it costs much."""
    assert refused(lambda: read(body))[0] is what


def among_good_ones(body: bytes) -> bytes:
    return b"[" + b",".join([GOOD, GOOD, body, GOOD]) + b"]"


@pytest.mark.parametrize(("body", "what"), [pytest.param(*case, id=name) for name, *case in ONE])
def test_a_record_that_is_none_is_refused_with_all_others_and_by_its_number(body: bytes, what: Fault | Rule) -> None:
    """Catalogue rows 10-15."""
    assert refused(lambda: read(body))[0] is what
    among, detail = refused(lambda: read(among_good_ones(body)))
    assert among is what
    assert "record 3: " in detail


@pytest.mark.parametrize(("body", "what"), [pytest.param(*case, id=name) for name, *case in UNPLACED])
def test_what_breaks_the_whole_body_is_refused_with_all_of_it(body: bytes, what: Fault | Rule) -> None:
    """Catalogue rows 10, 12 and 15."""
    assert refused(lambda: read(body))[0] is what
    assert refused(lambda: read(among_good_ones(body)))[0] is what


def test_data_over_the_limit_of_the_network_is_counted_in_its_canonical_form() -> None:
    """The node judges that (`node.posting`); here only what is written much too long is stopped."""
    (record,) = records_in(b'{"data":[1.0000,   "\\u0041"]}', LIMITS, 10)
    assert record.data == b'[1,"A"]'


def test_fewer_may_come_together_where_that_is_the_limit() -> None:
    limits = replace(LIMITS, records_per_post=2)
    assert len(records_in(b"[%b,%b]" % (GOOD, GOOD), limits, MOST)) == 2
    assert refused(lambda: records_in(b"[%b,%b,%b]" % (GOOD, GOOD, GOOD), limits, MOST))[0] is Fault.TOO_MANY_RECORDS


def test_one_record_is_one_object() -> None:
    assert record_in(b' {"data":1}', LIMITS, MOST).data == b"1"
    for body in (b"[]", b' \n[{"data":1}]'):
        assert refused(lambda body=body: record_in(body, LIMITS, MOST))[0] is Fault.NOT_AN_OBJECT  # type: ignore[misc]


PIECES = [
    '{"data":',
    '"id":"a"',
    '"id":"b",',
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    '"x"',
    "1",
    " ",
    '"d\\u0061ta":',
    "null",
    "\\",
]


@settings(max_examples=examples(300))
@given(st.lists(st.sampled_from(PIECES), max_size=10).map("".join))
def test_what_is_taken_is_what_a_strict_reader_finds(text: str) -> None:
    """The naive twin: the standard library's decoder, made strict."""
    try:
        records = read(text.encode())
    except (Refusal, RuleViolation):
        return

    def seen(members: list[tuple[str, object]]) -> dict[str, object]:
        assert len(dict(members)) == len(members)
        return dict(members)

    value = json.loads(text, object_pairs_hook=seen)
    many = value if isinstance(value, list) else [value]
    assert [record.data for record in records] == [
        json.dumps(each["data"], separators=(",", ":"), sort_keys=True).encode() for each in many
    ]
    assert all(set(each) <= {"data", "id"} for each in many)
    assert [each.get("id") for each in many] == [
        record.id if "id" in each else None for each, record in zip(many, records, strict=True)
    ]
