"""One way to write a JSON value: RFC 8785, the JSON Canonicalization Scheme.

A record commits to the hash of its data, so two nodes that hold the same value must write the same bytes. Object
keys are sorted by their UTF-16 code units, there is no white space, strings are escaped where they must be and
nowhere else, and numbers are written as ECMAScript does.

msgspec writes the same bytes many times faster, with few exceptions: numbers with an exponent, whole numbers that are
doubles (1.0), integers that a double cannot hold, and keys beyond the Basic Multilingual Plane, whose order it takes
from their UTF-8. What is free of these is called plain here. That it is shows in the text, by a few searches, which may
take a plain value for another one, and never the other way round. The reference implementation writes all that is not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import rfc8785

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

_BEYOND_BMP: Final = re.compile(rb"[\xf0-\xf4]")
"""In UTF-8, the first byte of a character beyond the Basic Multilingual Plane."""

_ATOMS: Final = frozenset({str, bool, type(None)})


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
        is_plain = _shows_plain(text) and not _may_be_deep(text)
        if (is_plain and b"null" not in text) or _is_plain(value, MAX_DATA_DEPTH):  # msgspec writes NaN as null
            return text
        return rfc8785.dumps(value)
    except (ValueError, RecursionError) as error:  # UnicodeEncodeError and rfc8785's own errors are ValueErrors
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
    deepest = max(map(len, lines.translate(None, _NO_OPENINGS).split(b"\n")))
    if lines.count(b"\n") != count or deepest > MAX_DATA_DEPTH or not _shows_plain(lines):
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


def _is_plain(value: Any, depth: int) -> bool:  # noqa: ANN401 - likewise
    """Does msgspec write this value as RFC 8785 does? Looks at all of it that is nested: raises ValueError when more
    than `depth` containers stand within each other."""
    kind = value.__class__
    if kind in _ATOMS:
        return True
    if kind is int:
        return bool(-INTEGER_MAX <= value <= INTEGER_MAX)
    if kind is float and INTEGER_MAX < abs(value) < _EXPONENT_FROM:
        raise ValueError(f"{value:.0f} would be written as an integer beyond 2^53 - 1")
    if kind is not dict and kind is not list:
        return False
    if not depth:
        raise ValueError(f"it is nested more than {MAX_DATA_DEPTH} deep")
    plain = kind is list or all(key.__class__ is str and (key.isascii() or max(key) <= "\ud7ff") for key in value)
    for each in value if kind is list else value.values():
        plain &= _is_plain(each, depth - 1)  # to the end, for depth is looked for everywhere
    return plain
