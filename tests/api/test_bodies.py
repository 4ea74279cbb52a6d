"""Bodies mean one thing or are refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.api.bodies import DATA, PEER, _text_slowly, text_of
from tallystick.api.problems import Fault, Refusal
from tallystick.model.limits import LIMITS

CASES = [
    pytest.param(b"", Fault.NOT_JSON, id="empty"),
    pytest.param(b"data=x", Fault.NOT_JSON, id="form"),
    pytest.param(b'{"data": "x"', Fault.NOT_JSON, id="cut off"),
    pytest.param(b'{"data": "x"} {}', Fault.NOT_JSON, id="trailing bytes"),
    pytest.param(b'{"data": "x"}\x00', Fault.NOT_JSON, id="trailing NUL"),
    pytest.param(b"{'data': 'x'}", Fault.NOT_JSON, id="single quotes"),
    pytest.param(b'{"data": "x",}', Fault.NOT_JSON, id="trailing comma"),
    pytest.param(b'{"data": "a\nb"}', Fault.NOT_JSON, id="control character in a string"),
    pytest.param(b'{"data": "\xff"}', Fault.NOT_JSON, id="not UTF-8"),
    pytest.param(b'{"x": "\xff", "data": "x"}', Fault.NOT_JSON, id="not UTF-8 in an ignored key"),
    pytest.param(b'{"data": "\xed\xa0\x80"}', Fault.NOT_JSON, id="a surrogate in UTF-8"),
    pytest.param(b'\xef\xbb\xbf{"data": "x"}', Fault.NOT_JSON, id="byte order mark"),
    pytest.param('{"data": "x"}'.encode("utf-16"), Fault.NOT_JSON, id="UTF-16"),
    pytest.param('{"data": "x"}'.encode("utf-16-le"), Fault.NOT_JSON, id="UTF-16 without a mark"),
    pytest.param('{"data": "x"}'.encode("utf-32"), Fault.NOT_JSON, id="UTF-32"),
    pytest.param(rb'{"data": "\ud800"}', Fault.NOT_JSON, id="row 15: lone surrogate"),
    pytest.param(rb'{"data": "\udc00\ud800"}', Fault.NOT_JSON, id="row 15: reversed pair"),
    pytest.param(rb'{"data": "\"\ud800"}', Fault.NOT_JSON, id="row 15: lone surrogate on the slow path"),
    pytest.param(b'{"data": "x", "data": "y"}', Fault.NOT_JSON, id="row 14: the key twice"),
    pytest.param(rb'{"data": "x", "d\u0061ta": "y"}', Fault.NOT_JSON, id="row 14: the key twice, spelled otherwise"),
    pytest.param(b'{"data": "x", "y": {"z": 1, "z": 2}}', Fault.NOT_JSON, id="row 14: a nested key twice"),
    pytest.param(b'{"data": NaN}', Fault.NOT_JSON, id="row 12: NaN"),
    pytest.param(b'{"data": "x", "y": Infinity}', Fault.NOT_JSON, id="row 12: Infinity"),
    pytest.param(b'{"data": "x", "y": -Infinity}', Fault.NOT_JSON, id="row 12: -Infinity"),
    pytest.param(b'{"data": "x", "y": ' + b"9" * 5_000 + b"}", Fault.NOT_JSON, id="row 13: 5000 digits"),
    pytest.param(b"[" * 100_000, Fault.NOT_JSON, id="row 10: nesting, unclosed"),
    pytest.param(b"[" * 100_000 + b"]" * 100_000, Fault.NOT_JSON, id="row 10: nesting"),
    pytest.param(b'{"data":' * 100_000, Fault.NOT_JSON, id="row 10: nested objects"),
    pytest.param(b"[" * 17 + b"]" * 17, Fault.NOT_JSON, id="row 10: nesting just over the limit"),
    pytest.param(b"]" * 8_000_000, Fault.NOT_JSON, id="row 10: nothing but closing brackets"),
    pytest.param(b"[" + b"{}," * 1_000_000 + b"{}]", Fault.NOT_JSON, id="row 11: 3 MB of {}"),
    pytest.param(b"[" + b'"\\\\",' * 1_000_000 + b'"" ]', Fault.NOT_JSON, id="row 11: many strings"),
    pytest.param(b'\\"' * 4_000_000, Fault.NOT_JSON, id="row 11: 8 MB of escaped quotation marks"),
    pytest.param(b'"' + b'\\"' * 4_000_000, Fault.NOT_JSON, id="row 11: the same, within an unclosed string"),
    pytest.param(b"[]", Fault.NOT_AN_OBJECT, id="array"),
    pytest.param(b'"data"', Fault.NOT_AN_OBJECT, id="string"),
    pytest.param(b"null", Fault.NOT_AN_OBJECT, id="null"),
    pytest.param(b"1", Fault.NOT_AN_OBJECT, id="number"),
    pytest.param(b"{}", Fault.DATA_MISSING, id="no keys"),
    pytest.param(b'{"dat": "x"}', Fault.DATA_MISSING, id="another key"),
    pytest.param(b'{"Data": "x"}', Fault.DATA_MISSING, id="another case"),
    pytest.param(b'{"x": {"data": "x"}}', Fault.DATA_MISSING, id="the key further down"),
    pytest.param(b'{"data": null}', Fault.DATA_NOT_A_STRING, id="null data"),
    pytest.param(b'{"data": 1}', Fault.DATA_NOT_A_STRING, id="number data"),
    pytest.param(b'{"data": 1e400}', Fault.DATA_NOT_A_STRING, id="row 12: 1e400"),
    pytest.param(b'{"data": true}', Fault.DATA_NOT_A_STRING, id="row 18: bool data"),
    pytest.param(b'{"data": ["x"]}', Fault.DATA_NOT_A_STRING, id="array data"),
    pytest.param(b'{"data": {"x": "y"}}', Fault.DATA_NOT_A_STRING, id="object data"),
]


@pytest.mark.parametrize(("body", "fault"), CASES)
def test_what_is_not_one_clear_string_is_refused(body: bytes, fault: Fault) -> None:
    """Catalogue rows 10-15 and 18, as far as they concern the bodies of requests."""
    with pytest.raises(Refusal) as caught:
        text_of(body, DATA, LIMITS)
    assert caught.value.fault is fault
    assert 0 < len(caught.value.detail) < 400
    assert caught.value.detail.isascii()


def test_the_message_names_the_key_that_occurs_twice() -> None:
    with pytest.raises(Refusal, match="the key 'data' occurs twice"):
        text_of(b'{"data": "x", "data": "x"}', DATA, LIMITS)


def test_addresses_are_missed_under_their_own_names() -> None:
    for body, fault in ((b"{}", Fault.PEER_MISSING), (b'{"peer": 3}', Fault.PEER_NOT_A_STRING)):
        with pytest.raises(Refusal) as caught:
            text_of(body, PEER, LIMITS)
        assert caught.value.fault is fault


def test_unknown_keys_are_ignored_as_in_the_book() -> None:
    assert text_of(b'{"x": [1, {"y": null}], "data": "d", "z": "\\"{[,:"}', DATA, LIMITS) == "d"


def test_structure_inside_a_string_is_not_counted() -> None:
    data = '{"a": [1, 2, "three"], "b": "\\\\"}' * 5_000
    assert text_of(json.dumps({"data": data}).encode(), DATA, LIMITS) == data


ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(ANY_TEXT, st.booleans(), st.sampled_from([None, 2]))
def test_whatever_text_is_sent_is_what_arrives(text: str, ascii_only: bool, indent: int | None) -> None:  # noqa: FBT001
    """Catalogue row 17: nothing is normalised, neither combining characters nor controls nor directions."""
    body = json.dumps({"data": text}, ensure_ascii=ascii_only, indent=indent).encode()
    assert text_of(body, DATA, LIMITS) == text


PIECES = ['"data"', '"', "{", "}", ":", ",", "[", "]", " ", "\\", "u", "d800", "dc00", "x", "1", "null", "\n", "\x00"]


def outcome(body: bytes, *, slowly: bool) -> str | Fault:
    try:
        return _text_slowly(body, DATA, LIMITS) if slowly else text_of(body, DATA, LIMITS)
    except Refusal as refusal:
        return refusal.fault


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join), st.booleans())
def test_the_fast_path_is_never_more_lenient_than_the_slow_one(tail: str, wrap: bool) -> None:  # noqa: FBT001
    """The naive twin: two decoders that have nothing in common agree on every body."""
    body = (f'{{"data":"{tail}"}}' if wrap else '{"data"' + tail).encode()
    assert outcome(body, slowly=False) == outcome(body, slowly=True)


@given(st.binary(max_size=60))
def test_any_bytes_are_taken_or_refused(body: bytes) -> None:
    assert isinstance(outcome(body, slowly=False), (str, Fault))
