"""Request bodies: strict JSON objects of which one key, a string, is wanted.

A body means one thing or is refused (`model.strict`); so is half a surrogate pair, which has no UTF-8 form and would
fail much later, in the hash. Unknown keys are ignored, as in the book. Bodies of records are read by `posts`.

Nearly every body is `{"data": "..."}` with four quotation marks: so it has two strings, one key, nothing
to be ambiguous about, and the fast decoder alone will do. In any doubt the slow path decides, after having
counted what a decoder would have to allocate.
"""

from __future__ import annotations

import re
from itertools import accumulate
from typing import Final

import msgspec

from tallystick.api.problems import Fault, Refusal
from tallystick.errors import Rule, RuleViolation
from tallystick.model.limits import Limits
from tallystick.model.strict import value_slowly

_QUOTES_OF_ONE_MEMBER: Final = 4
_STRING: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
"""A string, or what follows an opening quotation mark that is never closed: so a search passes over every
character once, whatever it is fed."""

_BRACKET: Final = re.compile(r"[\[{}\]]")


class _DataOnly(msgspec.Struct, gc=False):
    data: str


class _PeerOnly(msgspec.Struct, gc=False):
    peer: str


class _SubjectOnly(msgspec.Struct, gc=False):
    subject: str


class Wanted(msgspec.Struct, frozen=True):
    """The one key an endpoint reads, and what its absence is called."""

    key: str
    missing: Fault | Rule
    not_a_string: Fault | Rule
    fast: msgspec.json.Decoder[_DataOnly] | msgspec.json.Decoder[_PeerOnly] | msgspec.json.Decoder[_SubjectOnly]


DATA: Final = Wanted("data", Fault.DATA_MISSING, Fault.DATA_NOT_A_STRING, msgspec.json.Decoder(_DataOnly))
PEER: Final = Wanted("peer", Fault.PEER_MISSING, Fault.PEER_NOT_A_STRING, msgspec.json.Decoder(_PeerOnly))
SUBJECT: Final = Wanted("subject", Rule.BAN_IS_WELL_FORMED, Rule.BAN_IS_WELL_FORMED, msgspec.json.Decoder(_SubjectOnly))


def text_of(body: bytes, wanted: Wanted, limits: Limits) -> str:
    """The string under the wanted key of a JSON object within `limits`. Raises Refusal or RuleViolation."""
    if body.count(b'"') == _QUOTES_OF_ONE_MEMBER:
        try:
            return getattr(wanted.fast.decode(body), wanted.key)  # type: ignore[no-any-return]  # all hold a str
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass  # the slow path knows what to say
    return _text_slowly(body, wanted, limits)


def _text_slowly(body: bytes, wanted: Wanted, limits: Limits) -> str:
    members = _object_of(body, limits)
    if wanted.key not in members:
        raise _unwanted(wanted.missing, f'the body has no key {wanted.key}; send {{"{wanted.key}": "..."}}')
    value = members[wanted.key]
    if not isinstance(value, str):
        detail = f"{wanted.key} is {_JSON_NAMES[type(value)]}; send it as a JSON string"
        raise _unwanted(wanted.not_a_string, detail)
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise _not_json(f"{wanted.key} holds half a surrogate pair at character {error.start}") from None
    return value


_JSON_NAMES: Final = {
    dict: "an object",
    list: "an array",
    int: "a number",
    float: "a number",
    bool: "a boolean",
    type(None): "null",
}


def _object_of(body: bytes, limits: Limits) -> dict[str, object]:
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _not_json(f"byte {error.start} is not UTF-8") from None
    _check_structure(text, limits)
    try:
        value = value_slowly(text)
    except ValueError as error:  # JSONDecodeError, and integers of thousands of digits
        raise _not_json(str(error)[:200]) from None
    if not isinstance(value, dict):
        detail = f'the body is {_JSON_NAMES.get(type(value), "a string")}; send an object such as {{"key": "value"}}'
        raise Refusal(Fault.NOT_AN_OBJECT, detail)
    return value


def _check_structure(text: str, limits: Limits) -> None:
    """Refuse what would make many objects or nest them deeply, before any is made.

    An escaped quotation mark opens no string, so the strings are counted before they are looked for.
    """
    most = limits.request_json_values
    too_many = (text.count('"') - text.count('\\"')) // 2 > most
    skeleton = "" if too_many else _STRING.sub("", text)
    if too_many or sum(map(skeleton.count, "[{,:")) > most or sum(map(skeleton.count, "]}")) > most:
        raise _not_json(f"it has more than {most} values, far more than this endpoint reads")
    steps = (1 if bracket in "[{" else -1 for bracket in _BRACKET.findall(skeleton))
    if max(accumulate(steps), default=0) > limits.request_json_depth:
        raise _not_json(f"it is nested more than {limits.request_json_depth} deep")


def _unwanted(what: Fault | Rule, detail: str) -> Refusal | RuleViolation:
    return RuleViolation(what, detail) if isinstance(what, Rule) else Refusal(what, detail)


def _not_json(why: str) -> Refusal:
    return Refusal(Fault.NOT_JSON, f"{why}; send one JSON object in UTF-8")
