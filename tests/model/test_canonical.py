"""Canonical JSON is RFC 8785's, and every value has one spelling only."""

from __future__ import annotations

import json
import struct
from typing import Any, Final

import msgspec
import pytest
import rfc8785
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tallystick.errors import Rule, RuleViolation
from tallystick.model.canonical import INTEGER_MAX, are_plainly_canonical, canonical, check_canonical, plain_forms
from tallystick.model.limits import MAX_DATA_DEPTH

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
integers = st.integers(-INTEGER_MAX, INTEGER_MAX)
floats = st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: not INTEGER_MAX < abs(x) < 1e21)
values = st.recursive(
    st.none() | st.booleans() | integers | floats | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def nested(depth: int, *, within: str = "[") -> str:
    return "[" * depth + "]" * depth if within == "[" else '{"a":' * (depth - 1) + "{}" + "}" * (depth - 1)


def refusal(text: bytes) -> str:
    with pytest.raises(RuleViolation) as broken:
        check_canonical(text)
    assert broken.value.rule is Rule.DATA_IS_CANONICAL
    assert len(broken.value.detail) < 300
    return broken.value.detail


# --- what the RFC says ------------------------------------------------------------------------------


def test_the_example_of_section_3_2_2() -> None:
    value = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/",
        "literals": [None, True, False],
    }
    expected = (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )
    assert canonical(value) == expected.encode()
    check_canonical(expected.encode())


def test_the_example_of_section_3_2_3_is_sorted_by_utf_16() -> None:
    value = {
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\U0001f600": "Emoji: Grinning Face",
        "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis",
    }
    text = canonical(value)
    assert list(json.loads(text).values()) == [
        "Carriage Return",
        "One",
        "Control",
        "Latin Small Letter O With Diaeresis",
        "Euro Sign",
        "Emoji: Grinning Face",
        "Hebrew Letter Dalet With Dagesh",
    ]
    check_canonical(text)
    by_utf_8 = msgspec.json.encode(value, order="sorted")
    assert "canonical form" in refusal(by_utf_8)


NUMBERS: Final = [
    ("0000000000000000", "0"),
    ("8000000000000000", "0"),
    ("0000000000000001", "5e-324"),
    ("8000000000000001", "-5e-324"),
    ("7fefffffffffffff", "1.7976931348623157e+308"),
    ("ffefffffffffffff", "-1.7976931348623157e+308"),
    ("44b52d02c7e14af5", "9.999999999999997e+22"),
    ("44b52d02c7e14af6", "1e+23"),
    ("44b52d02c7e14af7", "1.0000000000000001e+23"),
    ("444b1ae4d6e2ef50", "1e+21"),
    ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
    ("3eb0c6f7a0b5ed8d", "0.000001"),
    ("41b3de4355555553", "333333333.3333332"),
    ("41b3de4355555554", "333333333.33333325"),
    ("41b3de4355555555", "333333333.3333333"),
    ("41b3de4355555556", "333333333.3333334"),
    ("41b3de4355555557", "333333333.33333343"),
    ("becbf647612f3696", "-0.0000033333333333333333"),
    ("43143ff3c1cb0959", "1424953923781206.2"),
]
"""Of appendix B, with the bits of each double."""

NO_NUMBERS: Final = [
    ("4340000000000000", b"9007199254740992"),
    ("c340000000000000", b"-9007199254740992"),
    ("4430000000000000", b"295147905179352830000"),
    ("444b1ae4d6e2ef4e", b"999999999999999700000"),
    ("444b1ae4d6e2ef4f", b"999999999999999900000"),
    ("7fffffffffffffff", b"NaN"),
    ("7ff0000000000000", b"Infinity"),
    ("fff0000000000000", b"-Infinity"),
]
"""The rest of it. The RFC has a form for the first five, but it is that of integers beyond 2^53 - 1: some readers would
take it for what it says, and others for the double nearest to it (RFC 7493, section 2.2)."""


def double(bits: str) -> float:
    value: float = struct.unpack(">d", bytes.fromhex(bits))[0]
    return value


@pytest.mark.parametrize(("bits", "text"), NUMBERS)
def test_numbers_are_written_as_in_appendix_b(bits: str, text: str) -> None:
    assert canonical(double(bits)) == text.encode()
    assert canonical({"in": [double(bits)]}) == b'{"in":[%b]}' % text.encode()
    check_canonical(text.encode())


@pytest.mark.parametrize(("bits", "text"), NO_NUMBERS)
def test_numbers_that_not_every_reader_can_hold_are_refused(bits: str, text: bytes) -> None:
    for value in (double(bits), {"in": [double(bits)]}, ["0.5", 1.5, double(bits)]):
        with pytest.raises(RuleViolation) as broken:
            canonical(value)
        assert broken.value.rule is Rule.DATA_IS_CANONICAL
    refusal(text)
    refusal(b'{"in":[%b]}' % text)


@pytest.mark.parametrize("value", [INTEGER_MAX, -INTEGER_MAX, float(INTEGER_MAX), 0, 10**15])
def test_integers_are_written_out_up_to_what_every_reader_holds(value: float) -> None:
    assert canonical(value) == str(int(value)).encode()
    check_canonical(str(int(value)).encode())


@pytest.mark.parametrize("value", [INTEGER_MAX + 1, -INTEGER_MAX - 1, 10**16, 2**64, 10**400, 10**5_000], ids=range(6))
def test_integers_beyond_are_refused(value: int) -> None:
    for whole in (value, [value], {"a": value}):
        with pytest.raises(RuleViolation) as broken:
            canonical(whole)
        assert broken.value.rule is Rule.DATA_IS_CANONICAL
        assert len(broken.value.detail) < 300
    if value < 10**400:
        refusal(str(value).encode())


# --- the twin ---------------------------------------------------------------------------------------


@given(values)
@example({"\ufffe": 1, "\U0001f600": 2})
@example({"a": "\U0001f600", "\ud7ff": [1, 1.0, -0.0], "\ue000": "1234567890123456"})
@example("0.5 in a string is no number, nor is 1234567890123456789, 1e16 or {[")
def test_the_form_is_that_of_the_reference_implementation(value: Any) -> None:  # noqa: ANN401 - any JSON value
    text = canonical(value)
    assert text == rfc8785.dumps(value)
    check_canonical(text)
    assert canonical(msgspec.json.decode(text)) == text
    assert canonical(json.loads(text)) == text


@given(values, st.sampled_from([None, 0, 1]), st.sampled_from([(",", ":"), (", ", ": ")]), st.booleans(), st.booleans())
def test_every_other_spelling_is_refused(
    value: Any,  # noqa: ANN401 - any JSON value
    indent: int | None,
    separators: tuple[str, str],
    ascii_only: bool,  # noqa: FBT001 - of json.dumps
    sort: bool,  # noqa: FBT001 - likewise
) -> None:
    text = json.dumps(value, indent=indent, separators=separators, ensure_ascii=ascii_only, sort_keys=sort).encode()
    assume(text != canonical(value))
    assert "canonical form" in refusal(text)


@given(values, st.data())
def test_no_byte_can_be_put_anywhere_without_another_value_or_none(value: Any, data: st.DataObject) -> None:  # noqa: ANN401
    text = canonical(value)
    at = data.draw(st.integers(0, len(text)))
    altered = text[:at] + bytes([data.draw(st.integers(0, 255))]) + text[at + data.draw(st.integers(0, 1)) :]
    assume(altered != text)
    try:
        check_canonical(altered)
    except RuleViolation as broken:
        assert broken.rule is Rule.DATA_IS_CANONICAL
    else:
        assert rfc8785.dumps(json.loads(altered)) == altered
        assert json.dumps(json.loads(altered)) != json.dumps(json.loads(text))


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":1,"a":1}', b'{"a":1,"a":2}', b'{"a":1,"\\u0061":2}', b'[{"b":0,"a":0}]', b'{"b":0,"a":0.5}',
        b" 1", b"1 ", b"1\n", b"\xef\xbb\xbf1", b"[1, 2]", b"01", b"+1", b"-0", b"1.0", b"1e0", b"0.10", b".5", b"5.",
        b"1E22", b"1e22", b"1e+22 ", b"100e-2", b"0.0000001", b"1e400", b"NaN", b"nul", b"True", b"'a'",
        b'"\\u0041"', b'"\\/"', b'"\\u000A"', b'"\\u000a"', b'"\\u001F"', b'"\x01"', b'"\\u00fc"', b'"\\u007f"',
        b'"\\ud83d\\ude00"', b'"\\ud800"', b'"\xed\xa0\x80"', b'"\xc0\x80"', b'"\xff"', b'"', b'"\\x"', b"",
        b"[", b"]", b"{", b"[1,]", b'{"a":1,}', b'{"a"}', b"{1:1}", b"1 2", b"[]]", b"\x00", b"/**/1", b"[1]//",
    ],
)  # fmt: skip
def test_what_is_not_canonical_is_refused(text: bytes) -> None:
    refusal(text)
    refusal(b"[%b,0.5]" % text)


@pytest.mark.parametrize(
    "text", [b'"\x7f"', '"ü€"'.encode(), b'"\\u001f\\b\\t\\n\\f\\r\\"\\\\/"', b"{}", b"[]", b'""', b"null"]
)
def test_what_looks_as_if_it_were_not_is_accepted(text: bytes) -> None:
    check_canonical(text)
    assert canonical(json.loads(text)) == text


@pytest.mark.parametrize("value", ["\ud800", {"\udfff": 1}, ["\ud83d"], {"a": {"b": "\ud800x"}}])
def test_half_a_surrogate_pair_is_refused(value: object) -> None:
    with pytest.raises(RuleViolation) as broken:
        canonical(value)
    assert broken.value.rule is Rule.DATA_IS_CANONICAL


@pytest.mark.parametrize("within", ["[", "{"])
def test_data_may_be_nested_so_deeply_and_no_deeper(within: str) -> None:
    """Where every node reads it; and 100,000 levels are refused as one too many is."""
    text = nested(MAX_DATA_DEPTH, within=within)
    assert canonical(json.loads(text)) == text.encode()
    check_canonical(text.encode())
    wide = json.dumps([json.loads(nested(MAX_DATA_DEPTH - 1, within=within))] * 3, separators=(",", ":")).encode()
    assert canonical(json.loads(wide)) == wide
    check_canonical(wide)
    for depth in (MAX_DATA_DEPTH + 1, 900):
        with pytest.raises(RuleViolation):
            canonical(json.loads(nested(depth, within=within)))
    for depth in (MAX_DATA_DEPTH + 1, 900, 100_000):
        refusal(nested(depth, within=within).encode())


# --- many at a time ---------------------------------------------------------------------------------

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-999, 999) | st.text('abc\u00e9\n"', max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab\u00e9", max_size=3), inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(plain.map(canonical)))
def test_plain_values_are_seen_to_be_canonical_all_at_once(texts: list[bytes]) -> None:
    assert are_plainly_canonical(texts)


@given(st.lists(values.map(canonical) | st.text('[]{}",:01.e\n \\-anul', max_size=6).map(str.encode), max_size=5))
@example([b"[1", b"2]"])
@example([b"1\n2", b""])
@example([b"1", b""])
@example([b"1.0"])
@example([b"[" * (MAX_DATA_DEPTH + 1) + b"]" * (MAX_DATA_DEPTH + 1)])
@example([b'[{"a":' * (MAX_DATA_DEPTH // 2) + b"[1]" + b"}]" * (MAX_DATA_DEPTH // 2)])
@example([b"9007199254740993"])
@example([b'{"b":1,"a":1}'])
@example([b'{"a":1,"a":1}'])
def test_what_is_canonical_together_is_canonical_by_itself(texts: list[bytes]) -> None:
    """Texts that are no values, but that make some when they are joined, do not pass for any."""
    if are_plainly_canonical(texts):
        for text in texts:
            check_canonical(text)


def test_one_that_is_not_canonical_among_many_is_found() -> None:
    assert not are_plainly_canonical([b"1"] * 100 + [b" 1"] + [b"1"] * 100)
    assert not are_plainly_canonical([b"1"] * 100 + [b""] + [b"1"] * 100)


def test_many_that_are_nested_are_not_one_that_is_deep() -> None:
    assert are_plainly_canonical([b'[{"a":' * (MAX_DATA_DEPTH // 2) + b"1" + b"}]" * (MAX_DATA_DEPTH // 2)] * 9)


@given(st.lists(plain))
def test_plain_values_are_put_into_their_forms_all_at_once(found: list[Any]) -> None:
    texts = [msgspec.json.encode(value) for value in found]
    assert plain_forms(texts) == [canonical(value) for value in found]


@given(st.lists(values.map(msgspec.json.encode) | st.text('[]{}",:01.e\n \\-anul', max_size=6).map(str.encode)))
@example([b'{"a":1,"a":1}'])
@example([b"[1", b"2]"])
@example([b"1\n2", b""])
def test_forms_of_many_are_those_of_each_or_none(texts: list[bytes]) -> None:
    forms = plain_forms(texts)
    if forms is not None:
        assert forms == [canonical(json.loads(text)) for text in texts]
        assert all(msgspec.json.encode(json.loads(text)) == text for text in texts)  # so no key was there twice
