"""Canonical JSON against the reference implementation of RFC 8785: one spelling for one value, or a refusal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import rfc8785

from tallystick.errors import Rule, RuleViolation
from tallystick.model import canonical as product
from tallystick.model.limits import MAX_DATA_DEPTH
from tests.fuzz.target import SetAttribute, Target
from tests.fuzz.trees import json_trees
from tests.model.test_canonical import NO_NUMBERS, NUMBERS

NEIGHBOURS: Final = (b"1", b'{"a":"b"}', b"[1.5,null]")
"""What stands beside a text where many are looked at together."""


def one(data: bytes) -> None:
    """What is taken is what the reference writes; what is refused it does not write, or not in a way all can read."""
    is_canonical = _takes(data)
    try:
        value = msgspec.json.decode(data)
    except (ValueError, RecursionError):
        assert not is_canonical
        return
    written = _written(value)
    expected = _by_the_reference(value)
    assert written == expected
    assert is_canonical is (expected == data)
    if written is not None:
        assert _takes(written)
        assert json.dumps(json.loads(written), sort_keys=True) == json.dumps(_as_written(value), sort_keys=True)
    for texts in ([data], [*NEIGHBOURS, data], [data, data]):
        if product.are_plainly_canonical(texts):
            assert is_canonical
        forms = product.plain_forms(texts)
        if forms is not None:
            assert len(forms) == len(texts)
            assert forms[-1] == expected


def _takes(text: bytes) -> bool:
    try:
        product.check_canonical(text)
    except RuleViolation as broken:
        assert broken.rule is Rule.DATA_IS_CANONICAL
        assert len(broken.detail) < 300
        return False
    return True


def _written(value: Any) -> bytes | None:  # noqa: ANN401 - any JSON value
    try:
        return product.canonical(value)
    except RuleViolation as broken:
        assert broken.rule is Rule.DATA_IS_CANONICAL
        return None


def _by_the_reference(value: Any) -> bytes | None:  # noqa: ANN401 - any JSON value
    """What the reference writes, but for what we refuse on purpose: depth, and whole numbers not all can hold."""
    if _depth(value) > MAX_DATA_DEPTH or _has_large_whole_number(value):
        return None
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError):
        return None


def _depth(value: Any) -> int:  # noqa: ANN401 - any JSON value
    """Of containers within each other, without calling itself."""
    deepest, level = 0, [value]
    while level := [each for each in level if isinstance(each, list | dict)]:
        deepest += 1
        level = [part for each in level for part in (each.values() if isinstance(each, dict) else each)]
    return deepest


def _has_large_whole_number(value: Any) -> bool:  # noqa: ANN401 - any JSON value
    """Is a double in it written as an integer that not every reader can hold?"""
    level = [value]
    while level:
        if any(isinstance(each, float) and product.INTEGER_MAX < abs(each) < 1e21 for each in level):
            return True
        level = [
            part
            for each in level
            if isinstance(each, list | dict)
            for part in (each.values() if isinstance(each, dict) else each)
        ]
    return False


def _as_written(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """The value as it reads once it was written: 1.0 is 1, and -0.0 is 0."""
    if isinstance(value, dict):
        return {key: _as_written(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_as_written(part) for part in value]
    if isinstance(value, float) and value.is_integer() and abs(value) <= product.INTEGER_MAX:
        return int(value)
    return value


def seeds() -> Iterator[bytes]:
    """Numbers of every form, keys beyond the Basic Multilingual Plane, escapes, nesting."""
    for _, text in NUMBERS:
        yield text.encode()
    for _, raw in NO_NUMBERS:
        yield raw
    yield from (
        b"null", b"[]", b"{}", b'""', b"true", b"1.0", b"-0", b"1e3", b'[1,"a",{"b":[]}]', b'{"a":1,"b":2}',
        b'{"b":1,"a":2}', '{"\ufb33":1,"\U0001f600":2}'.encode(), '{"\U0001f600":1,"\ufb33":2}'.encode(),
        b'"\\u0000\\n\\"\\\\/"', b'"\\ud83d\\ude00"', b'"\\ud800"', b"[" * 64 + b"]" * 64, b"[" * 65 + b"]" * 65,
        b'{"a":1,"a":2}', b'[1.5e-7,"1e5",1e21]', b" [1]", b'{"a":[1e22,"\xf0\x9f\x98\x80",-1e-7]}',
    )  # fmt: skip


def plant(put: SetAttribute) -> None:
    """Keys are left in the order of their UTF-8."""
    put(product, "_is_in_order", lambda _value, _depth: True)


TARGET: Final = Target(
    one=one,
    seeds=seeds,
    plant=plant,
    mutate=json_trees(),
    dictionary=(b"\\ud83d\\ude00", b"1e21", b"\xf0\x9f\x98\x80"),
    runs=4_000,
)
