"""One way to write a JSON value: RFC 8785, the JSON Canonicalization Scheme.

A record commits to the hash of its data, so two nodes that hold the same value must write the same bytes. Object
keys are sorted by their UTF-16 code units, there is no white space, strings are escaped where they must be and
nowhere else, and numbers are written as ECMAScript does.

msgspec writes the same bytes, with few exceptions: numbers with an exponent, whole numbers that are doubles (1.0), and
the order of keys beyond the Basic Multilingual Plane, which it takes from their UTF-8. What is free of these is called
plain here. That it is shows in the text, by a few searches, which may take a plain value for another one, and never the
other way round. In all others the keys are put in order first, and the numbers are spelled anew in what msgspec wrote:
at some cost for each part, but none that a hostile value could make large. Tests hold all of it against the reference
implementation.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from tallystick.errors import Rule, RuleViolation
from tallystick.model.limits import MAX_DATA_DEPTH

INTEGER_MAX: Final = 2**53 - 1
"""Greatest integer that every JSON reader can hold exactly (RFC 7493, section 2.2)."""

_SHAPE: Final = bytes(
    ord("0") if byte in b"0123456789" else ord("e") if byte in b"eE" else ord(" ") for byte in range(256)
)
"""Translates JSON so that numbers are told by a search for a few bytes, which is faster than any pattern."""

_LONG_NUMBER: Final = b"0" * 16
"""What every integer beyond `INTEGER_MAX` holds, translated."""

_EXPONENT: Final = b"0e"
_WHOLE: Final = re.compile(rb"\.0(?![0-9])")

_EXPONENT_FROM: Final = 1e21
"""Smaller doubles are written without an exponent (ECMA-262, Number::toString): beyond 2^53, as integers are."""

_NO_OPENINGS: Final = bytes(byte for byte in range(256) if byte not in b"{[\n")
"""All bytes but those that begin an array or an object, or end a line."""

_OPENINGS_ALIKE: Final = bytes.maketrans(b"{", b"[")
_TOO_MANY: Final = b"[" * (MAX_DATA_DEPTH + 1)
"""Openings in a line that may be deeper than it may be, translated."""

_BEYOND_BMP: Final = re.compile(rb"[\xf0-\xf4]")
"""In UTF-8, the first byte of a character beyond the Basic Multilingual Plane."""

_BMP_MAX: Final = "\ud7ff"
"""Keys of characters up to here are ordered alike by UTF-16, UTF-8 and code points."""

_TOKEN: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|-?[0-9]++(?:\.[0-9]++)?(?:e-?[0-9]++)?', re.DOTALL)
"""A string, or a number as msgspec writes it."""

_DECIMALS: Final = 6
"""A double of 10^-6 and above is written without an exponent (ECMA-262, Number::toString)."""

_ENCODER: Final = msgspec.json.Encoder(order="sorted")
_AS_IT_COMES: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder()


def canonical(value: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """The RFC 8785 form of a JSON value, made of dict, list, str, int, float, bool and None.

    Raises RuleViolation(DATA_IS_CANONICAL) for what it cannot carry: a number that is written as an integer beyond
    2^53 - 1, NaN, half a surrogate pair; and for a value nested more than `MAX_DATA_DEPTH` deep.
    """
    try:
        text = _ENCODER.encode(value)
        if _shows_plain(text) and not _may_be_deep(text) and b"null" not in text:  # msgspec writes NaN as null
            return text
        if not _is_in_order(value, MAX_DATA_DEPTH):
            text = _AS_IT_COMES.encode(_in_order(value))
        return _TOKEN.sub(_spelled, text)
    except (ValueError, RecursionError) as error:  # UnicodeEncodeError is a ValueError
        raise RuleViolation(Rule.DATA_IS_CANONICAL, f"the data has no canonical form: {str(error)[:160]}") from None


def check_canonical(text: bytes) -> None:
    """Is `text` the canonical form of some value? Raises RuleViolation(DATA_IS_CANONICAL) when it is not."""
    try:
        value = _DECODER.decode(text)
    except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
        raise RuleViolation(Rule.DATA_IS_CANONICAL, f"the data is not JSON: {str(error)[:160]}") from None
    if _shows_plain(text) and not _may_be_deep(text) and _ENCODER.encode(value) == text:
        return
    if canonical(value) != text:
        raise RuleViolation(Rule.DATA_IS_CANONICAL, "the data is not written in its canonical form (RFC 8785)")


# --- many at a time ---------------------------------------------------------------------------------
#
# JSON without white space has no line breaks. So where texts, a line each, have exactly as many breaks as there are
# texts, none of them holds one, and the decoder, which takes a value a line, sees each text by itself.


def are_plainly_canonical(texts: Sequence[bytes]) -> bool:
    """Is each of these the canonical form of a plain value? Made for many at a time, for a fraction of the cost.

    True is certain. False means that each has to be looked at by itself (`check_canonical`).
    """
    lines = b"\n".join([*texts, b""])
    values = _plain_values(lines, len(texts))
    return values is not None and bool(_ENCODER.encode_lines(values) == lines)


def plain_forms(texts: Sequence[bytes]) -> list[bytes] | None:
    """The canonical forms of JSON texts without white space, if all of them are plain values, spelled as an encoder
    would spell them, in which no key occurs twice. None means that each has to be looked at by itself."""
    lines = b"\n".join([*texts, b""])
    values = _plain_values(lines, len(texts))
    if values is None or _AS_IT_COMES.encode_lines(values) != lines:
        return None
    return _ENCODER.encode_lines(values).split(b"\n")[:-1]


def _plain_values(lines: bytes, count: int) -> list[Any] | None:
    """The values of so many lines, if they need no closer look."""
    openings = lines.translate(_OPENINGS_ALIKE, _NO_OPENINGS)
    if lines.count(b"\n") != count or _TOO_MANY in openings or not _shows_plain(lines):
        return None
    try:
        values: list[Any] = _DECODER.decode_lines(lines)
    except (ValueError, RecursionError):
        return None
    return values


# --- plain values -----------------------------------------------------------------------------------


def _may_be_deep(text: bytes) -> bool:
    """Is more opened in it than may be nested?"""
    return text.count(b"{") + text.count(b"[") > MAX_DATA_DEPTH


def _shows_plain(text: bytes) -> bool:
    """Is what msgspec writes so plain?"""
    shape = text.translate(_SHAPE)
    return not (
        _LONG_NUMBER in shape
        or _EXPONENT in shape
        or (b".0" in text and _WHOLE.search(text))
        or (not text.isascii() and _BEYOND_BMP.search(text))
    )


# --- all others -------------------------------------------------------------------------------------


def _is_in_order(value: Any, depth: int) -> bool:  # noqa: ANN401 - likewise
    """Does msgspec put all keys in their order? Looks at every part: raises ValueError for what has no canonical form,
    and when more than `depth` containers stand within each other."""
    kind = value.__class__
    if kind is list:
        parts: Iterable[Any] = value
        is_in_order = True
    elif kind is dict:
        parts = value.values()
        is_in_order = all(key.isascii() or max(key) <= _BMP_MAX for key in value)
    else:
        if kind is float and not math.isfinite(value):
            raise ValueError(f"{value} is no number of JSON")
        return True
    if not depth:
        raise ValueError(f"it is nested more than {MAX_DATA_DEPTH} deep")
    for part in parts:
        is_in_order &= _is_in_order(part, depth - 1)  # to the end: all is to be looked at
    return is_in_order


def _in_order(value: Any) -> Any:  # noqa: ANN401 - likewise
    """The same value, its keys ordered by their UTF-16 code units (RFC 8785, section 3.2.3)."""
    if value.__class__ is list:
        return [_in_order(part) for part in value]
    if value.__class__ is dict:
        return {key: _in_order(value[key]) for key in sorted(value, key=_utf_16)}
    return value


def _utf_16(key: str) -> bytes:
    return key.encode("utf-16-be")


def _spelled(token: re.Match[bytes]) -> bytes:
    """A token as ECMAScript writes it. Raises ValueError for a whole number that not every reader can hold."""
    text = token[0]
    if text.startswith(b'"'):
        return text
    mantissa, has_exponent, exponent = text.partition(b"e")
    if not has_exponent:
        whole = text.removesuffix(b".0")
        if b"." in whole:
            return text
        if abs(int(whole)) > INTEGER_MAX:
            raise ValueError(f"{whole[:40].decode()} is a whole number beyond 2^53 - 1")
        return b"0" if whole == b"-0" else whole
    power = int(exponent)
    if power > 0:
        if float(text) < _EXPONENT_FROM and float(text) > -_EXPONENT_FROM:
            raise ValueError(f"{text[:40].decode()} is a whole number beyond 2^53 - 1")
        return b"%be+%d" % (mantissa, power)
    if power < -_DECIMALS:
        return text
    sign = b"-" if mantissa.startswith(b"-") else b""
    return b"%b0.%b%b" % (sign, b"0" * (-power - 1), mantissa.lstrip(b"-").replace(b".", b""))
