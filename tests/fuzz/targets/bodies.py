"""Bodies of requests of which one key is wanted: the quick decoder and a strict slow one take the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tallystick.api import bodies as product
from tallystick.api.bodies import DATA, PEER, SUBJECT
from tallystick.api.problems import TABLE, Refusal
from tallystick.errors import RuleViolation
from tallystick.model.limits import Limits
from tests.api.test_bodies import CASES
from tests.fuzz.strictly import strictly
from tests.fuzz.target import SetAttribute, Target
from tests.fuzz.trees import json_trees

LIMITS: Final = Limits(request_json_values=20, request_json_depth=4)


def one(data: bytes) -> None:
    """For each key an endpoint may want: what is taken is what the body says, and a sound body is taken."""
    for wanted in (DATA, PEER, SUBJECT):
        try:
            text = product.text_of(data, wanted, LIMITS)
        except (Refusal, RuleViolation) as refusal:
            what = refusal.fault if isinstance(refusal, Refusal) else refusal.rule
            assert 400 <= TABLE[what].status < 500
            assert refusal.detail.isascii()
            assert len(refusal.detail) < 400
            assert _is_too_much(data) or _strictly(data, wanted.key) is None
        else:
            assert text == _strictly(data, wanted.key)


def _strictly(body: bytes, key: str) -> str | None:
    """The text under that key by a decoder that has nothing in common with ours; None when the body is not sound."""

    try:
        value = strictly(body)
        text = value.get(key) if isinstance(value, dict) else None
        if not isinstance(text, str):
            return None
        text.encode()
    except (ValueError, RecursionError):
        return None
    return text


def _is_too_much(body: bytes) -> bool:
    """Does the body, whatever it says, come near the limits?"""
    return body.count(b'"') // 2 + sum(map(body.count, (b",", b":", b"[", b"{", b"]", b"}"))) > 16 or (
        sum(map(body.count, (b"[", b"{"))) > LIMITS.request_json_depth
    )


def seeds() -> Iterator[bytes]:
    """All that the tests of bodies know, as far as it is short, and what is sound."""
    for case in CASES:
        body = case.values[0]
        if isinstance(body, bytes) and len(body) < 300:
            yield body
    yield from (b'{"data":"x"}', b'{"peer": "ws://a:1"}', b'{"subject":"\\u00e9"}', b'{"x":[1,{"y":null}],"data":"d"}')


def plant(put: SetAttribute) -> None:
    """The quick decoder decides alone whenever it can."""
    put(product, "_QUOTES_OF_ONE_MEMBER", 8)


TARGET: Final = Target(
    one=one,
    seeds=seeds,
    plant=plant,
    mutate=json_trees(),
    dictionary=(b'"data":', b"\\ud800", b"NaN", b'\\"'),
    runs=4_000,
)
