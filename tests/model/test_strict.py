"""JSON that means one thing: two decoders that have nothing in common agree on all of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.errors import Rule, RuleViolation
from tallystick.model.canonical import canonical
from tallystick.model.strict import WRITTEN, canonical_data, compact, value_of, value_slowly

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
FLOATS = st.floats(allow_nan=False, allow_infinity=False).filter(lambda number: not 2**53 <= abs(number) < 1e21)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | FLOATS | TEXT,
    lambda values: st.lists(values, max_size=4) | st.dictionaries(TEXT, values, max_size=4),
    max_leaves=12,
)
"""Whatever has a canonical form."""

PIECES = [
    '"a"', '"a":', '"b":', '"', "{", "}", "[", "]", ",", ":", " ", "1", "-0", "1.50", "1e400", "1E3", "null", "true",
    "NaN", "\\u00e9", "\\ud83d\\ude00", "\\ud800", "\\n", "\\/", "é", "\x01", "9" * 30,
]  # fmt: skip


def outcome(text: bytes, *, slowly: bool) -> object:
    try:
        value = value_slowly(text) if slowly else value_of(text)
        return canonical(value)
    except (ValueError, RuleViolation):
        return "refused"


@given(VALUES, st.booleans(), st.sampled_from([None, 1]))
def test_any_value_is_read_however_it_is_laid_out(value: Any, ascii_only: bool, indent: int | None) -> None:  # noqa: ANN401, FBT001 - any JSON value; Hypothesis gives them by name
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    assert value_of(text) == value_of(compact(text)) == value
    assert repr(value_of(compact(text))) == repr(value)  # 1 and 1.0 are kept apart, and the order of keys is kept


@given(st.lists(st.sampled_from(PIECES), max_size=9).map("".join), st.booleans())
def test_the_fast_way_is_never_more_lenient_than_the_slow_one(text: str, wrap: bool) -> None:  # noqa: FBT001 - likewise
    raw = (f"[{text}]" if wrap else text).encode()
    assert outcome(raw, slowly=False) == outcome(raw, slowly=True)
    try:
        small = compact(raw)
    except ValueError:
        return
    assert outcome(small, slowly=False) == outcome(raw, slowly=True)


@given(VALUES, st.dictionaries(TEXT, VALUES, min_size=1, max_size=3), st.data())
def test_a_key_that_occurs_twice_is_found_wherever_it_is(
    around: Any,  # noqa: ANN401 - any JSON value
    members: dict[str, Any],
    data: st.DataObject,
) -> None:
    """Catalogue row 14."""
    twice = data.draw(st.sampled_from(sorted(members)))
    text = json.dumps(members)[:-1] + f", {json.dumps(twice)}: {json.dumps(data.draw(VALUES))}" + "}"
    nested = compact(f'[{json.dumps(around)}, {{"x": [{text}]}}]'.encode())
    with pytest.raises(ValueError, match="occurs twice"):
        value_of(nested)


def test_data_is_canonical_however_it_is_written() -> None:
    assert canonical_data(b'{"b":1.0,"a":"\\u00e9\\/"}', 100) == '{"a":"é/","b":1}'.encode()


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (b"9007199254740992", Rule.DATA_IS_CANONICAL),
        (b"1e400", Rule.DATA_IS_CANONICAL),
        (b"[" * 65 + b"]" * 65, Rule.DATA_IS_CANONICAL),
        (b"[" * 500 + b"1E1" + b"]" * 500, Rule.DATA_IS_CANONICAL),
        (b"[" * 5_000 + b"]" * 5_000, Rule.DATA_IS_CANONICAL),
        (b'"' + b"x" * WRITTEN * 10_000 + b'"', Rule.DATA_WITHIN_SIZE),
    ],
)
def test_what_has_no_canonical_form_is_refused(text: bytes, rule: Rule) -> None:
    with pytest.raises(RuleViolation) as caught:
        canonical_data(text, 10_000)
    assert caught.value.rule is rule
    assert len(caught.value.detail) < 300


def test_the_most_that_data_may_be_written_in_fits() -> None:
    text = b'"' + b"\\u0041" * 98 + b'"'
    assert canonical_data(text, 100) == b'"' + b"A" * 98 + b'"'
