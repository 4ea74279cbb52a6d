"""Records as callers post them: each that is taken is sound and says what the body says; one bad one refuses all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from tallystick.api import posts as product
from tallystick.api.problems import TABLE, Refusal
from tallystick.errors import Rule, RuleViolation
from tallystick.model import strict
from tallystick.model.limits import Limits
from tallystick.model.record import ID, check_record, raw_of
from tests.fuzz.strictly import strictly
from tests.fuzz.target import SetAttribute, Target
from tests.fuzz.targets import canonical
from tests.fuzz.trees import json_trees

DATA_BYTES: Final = 200
LIMITS: Final = Limits(records_per_post=5)
GROWN: Final = 10
"""Data may take a few times the bytes it was written in, as 1e15 does; that a network forbids it is seen later."""


def one(data: bytes) -> None:
    """A body is refused with an answer for its caller, or gives the records that a strict reading finds in it."""
    expected = _strictly(data)
    try:
        records = product.records_in(data, LIMITS, DATA_BYTES)
    except (Refusal, RuleViolation) as refusal:
        what = refusal.fault if isinstance(refusal, Refusal) else refusal.rule
        assert 400 <= TABLE[what].status < 500
        assert refusal.detail.isprintable()
        assert len(refusal.detail) < 500
        assert expected is None or what is Rule.DATA_WITHIN_SIZE
        return
    assert expected is not None
    assert [record.data for record in records] == [form for form, _ in expected]
    for record, (_, id) in zip(records, expected, strict=True):
        assert id is None or record.id == id
        assert check_record(raw_of(record), GROWN * strict.WRITTEN * DATA_BYTES) == record
    made = [record.id for record, (_, id) in zip(records, expected, strict=True) if id is None]
    assert made == sorted(set(made))
    _check_lone(data, len(records))


def _check_lone(data: bytes, count: int) -> None:
    """What may be one record only is taken if it is one, and no array."""
    try:
        product.record_in(data, LIMITS, DATA_BYTES)
    except Refusal:
        assert data.lstrip(b" \t\r\n").startswith(b"[")
    else:
        assert count == 1


def _strictly(body: bytes) -> list[tuple[bytes, str | None]] | None:
    """Canonical data and id of each record by decoders that are not ours; None when the body is not sound."""

    try:
        value = strictly(body)
    except (ValueError, RecursionError):
        return None
    posts = value if isinstance(value, list) else [value]
    if not 1 <= len(posts) <= LIMITS.records_per_post:
        return None
    found = [_post(post) for post in posts]
    return None if None in found else [each for each in found if each is not None]


def _post(post: Any) -> tuple[bytes, str | None] | None:  # noqa: ANN401 - any JSON value
    if not isinstance(post, dict) or "data" not in post or post.keys() - {"data", "id"}:
        return None
    id = post.get("id", "made")
    if not isinstance(id, str) or not ID.fullmatch(id) or id in {".", ".."}:
        return None
    form = canonical._by_the_reference(post["data"])
    return None if form is None else (form, post.get("id"))


def seeds() -> Iterator[bytes]:
    """One record and many, with ids and without, plain data and odd."""
    yield from (
        b'{"data":1}', b'{"data": {"b": 1, "a": [1.50, null]}, "id": "a.b:c-d_1"}', b'[{"data":1},{"data":2,"id":"x"}]',
        b'[{"data":"\\u00e9"},{"data":1e21}]', b"[]", b'{"data":1,"id":".."}', b'{"data":1,"data":2}', b'{"id":"x"}',
        b'{"data":{"a":1,"a":2}}', b'[{"data":"\\ud800"}]', b'{"data":1,"ID":"x"}', b'{"data":9007199254740992}',
        b'{"data":"' + b"x" * 250 + b'"}', b'{"data":' + b"[" * 64 + b"]" * 64 + b"}", b'[{"data":1},{}]',
        b'{"data":-0}',
        b'{"data":"\xf0\x9f\x98\x80","id":"\\u0061"}',
        b'[{"data":{"\xef\xac\xb3":1,"\xf0\x9f\x98\x80":2}},{"data":null}]',
    )  # fmt: skip


def plant(put: SetAttribute) -> None:
    """Whether a member of a post occurs twice is not looked at."""
    put(product, "value_slowly", lambda _text: None)


TARGET: Final = Target(
    one=one,
    seeds=seeds,
    plant=plant,
    mutate=json_trees(),
    dictionary=(b'"data":', b'"id":', b"\\ud800", b'{"data":1}'),
    runs=3_000,
)
