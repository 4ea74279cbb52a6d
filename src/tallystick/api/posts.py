"""What callers post to a network whose blocks hold records: one, or an array of them, each `{"data": ..., "id": ...}`.

A body means one thing or is refused, as everywhere (`model.strict`), and is taken as a whole: what is wrong with one
record is told with its number, counted from 1, and nothing is recorded. Of a record no other members are known, or a
misspelt `id` would pass for none, and the same post could be recorded twice.

Memory: the decoder makes two small objects a record. In a body of megabytes data stays text until its turn comes, so
that there is one decoded value at a time, and none of data that is written much too long.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Final, TypeVar

import msgspec
import uuid_utils
from msgspec import UNSET, UnsetType

from tallystick.api.problems import Fault, Refusal
from tallystick.errors import Rule, RuleViolation, shown
from tallystick.model.canonical import plain_forms
from tallystick.model.limits import Limits
from tallystick.model.record import SALT_BYTES, Record, check_id, with_data
from tallystick.model.strict import canonical_data, compact, value_slowly


class _Post(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """What may become a record."""

    data: msgspec.Raw
    id: str | UnsetType = UNSET


class _LonePost(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Likewise. That it has no data has an answer of its own."""

    data: msgspec.Raw | UnsetType = UNSET
    id: str | UnsetType = UNSET


_MANY: Final = msgspec.json.Decoder(list[_Post])
_LONE: Final = msgspec.json.Decoder(_LonePost)
_MEMBERS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_ENCODER: Final = msgspec.json.Encoder()

_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
T = TypeVar("T")

_PLACE: Final = re.compile(r" - at `\$(?:\[(\d+)\])?(?:\.(\w+))?`")
"""How a decoder says where something is wrong: in which record, and in which member of it."""


def records_in(body: bytes, limits: Limits, max_data_bytes: int) -> Sequence[Record]:
    """The records of a body, in its order; ids that are made here rise. Raises Refusal or RuleViolation."""
    text = _compact(body)
    is_many = text.startswith(b"[")
    posts = _many(text, limits) if is_many else [_lone(text)]
    salts = os.urandom(SALT_BYTES * len(posts))
    # Most posts are plain, and then all are put into their forms at once. Not many megabytes of them: all are decoded.
    data = [bytes(post.data) for post in posts]
    is_small = len(text) <= limits.page_bytes and max(map(len, data)) <= max_data_bytes
    forms = plain_forms(data) if is_small else None
    number = 0
    try:
        records = []
        for number, post in enumerate(posts, 1):
            id = str(uuid_utils.uuid7()) if post.id is UNSET else check_id(post.id)
            form = canonical_data(data[number - 1], max_data_bytes) if forms is None else forms[number - 1]
            records.append(with_data(id, form, salts[SALT_BYTES * (number - 1) : SALT_BYTES * number]))
        if len(_ENCODER.encode(posts)) != len(text) + (0 if is_many else len("[]")):
            # No member of a post has a shorter spelling than that of the encoder: one occurs twice, or has escapes.
            for number, members in enumerate(_MEMBERS.decode(text if is_many else b"[%b]" % text), 1):  # noqa: B007 - the reader of a refusal wants it
                value_slowly(bytes(members))
    except RuleViolation as broken:
        raise RuleViolation(broken.rule, f"record {number}: {broken.detail}" if is_many else broken.detail) from None
    except ValueError as error:
        why = str(error)[:200]
        raise _not_json(f"record {number}: {why}" if is_many else why) from None
    return records


def record_in(body: bytes, limits: Limits, max_data_bytes: int) -> Record:
    """The record of a body that may hold one only. Raises Refusal or RuleViolation."""
    if body.lstrip(b" \t\r\n").startswith(b"["):
        raise Refusal(Fault.NOT_AN_OBJECT, 'the body is an array; send one object such as {"data": "..."}')
    return records_in(body, limits, max_data_bytes)[0]


def _compact(body: bytes) -> bytes:
    try:
        return compact(body)
    except RecursionError:
        raise RuleViolation(Rule.DATA_IS_CANONICAL, "the data is nested much too deeply") from None
    except ValueError as error:
        why = str(error)[:200]
    try:
        compact(_SURROGATE.sub(rb"\\u0000", body))
    except (ValueError, RecursionError):
        raise _not_json(why) from None
    raise RuleViolation(Rule.DATA_IS_CANONICAL, "a string holds half a surrogate pair, which is no character")


def _many(text: bytes, limits: Limits) -> Sequence[_Post]:
    posts = _decoded(text, _MANY)
    if not posts:
        raise Refusal(Fault.NOT_RECORDS, "the array is empty; send one record or more")
    if len(posts) > limits.records_per_post:
        raise Refusal(
            Fault.TOO_MANY_RECORDS, f"there are {len(posts):,}; at most {limits.records_per_post:,} may come together"
        )
    return posts


def _lone(text: bytes) -> _Post:
    post = _decoded(text, _LONE)
    if post.data is UNSET:
        raise Refusal(Fault.DATA_MISSING, 'the body has no key data; send {"data": ...} with any JSON value')
    return _Post(post.data, post.id)


def _decoded(text: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    try:
        return decoder.decode(text)
    except msgspec.ValidationError as error:
        raise _misshapen(str(error)) from None
    except ValueError as error:
        raise _not_json(str(error)[:200]) from None


def _misshapen(why: str) -> Refusal:
    """A decoder found something other than records."""
    what = "the body"
    place = _PLACE.search(why)
    if place is not None:
        what = f"record {int(place[1]) + 1}" if place[1] else "the record"
        what = f"{place[2]} of {what}" if place[2] else what
        why = why[: place.start()]
    return Refusal(
        Fault.NOT_RECORDS, f"{what}: {shown(why, 160)}; a record is an object that has data and, if you like, an id"
    )


def _not_json(why: str) -> Refusal:
    return Refusal(Fault.NOT_JSON, f"{why}; send records as JSON in UTF-8")
