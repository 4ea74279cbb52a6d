"""JSON that means one thing, or is refused (RFC 8259; I-JSON, RFC 7493).

Decoders are lenient in ways that matter to a ledger: they keep the last of two equal keys, and some take NaN. To see
that a text has no key twice takes a look at every object in it, which is slow. But a text without white space is what
an encoder makes of its value, if it spells nothing in a way of its own and has no key twice. So the value is encoded
again and compared, and only where the two differ the slow way decides.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Final, NoReturn

import msgspec

from tallystick.errors import Rule, RuleViolation, shown
from tallystick.model.canonical import canonical

WRITTEN: Final = 6
"""Data may be written in so many times the bytes that its canonical form may take: an escape has six for one. So a few
bytes more cannot make a decoder build millions of values, which are to be refused afterwards."""

_DECODER: Final = msgspec.json.Decoder()
_ENCODER: Final = msgspec.json.Encoder()


def compact(text: bytes) -> bytes:
    """The same JSON without white space between its parts. Raises ValueError and RecursionError.

    What is in its strings is not looked at any closer than it takes to find their ends.
    """
    return msgspec.json.format(text, indent=-1)


def canonical_data(text: bytes, max_data_bytes: int) -> bytes:
    """The canonical form of a record's data, from `compact` JSON.

    Raises RuleViolation: DATA_IS_CANONICAL, DATA_WITHIN_SIZE for data that is written much too long; ValueError for
    what is no JSON, or has a key twice.
    """
    check_written(text, max_data_bytes)
    try:
        return canonical(value_of(text))
    except RecursionError:
        raise RuleViolation(Rule.DATA_IS_CANONICAL, "the data is nested much too deeply") from None


def check_written(text: bytes, max_data_bytes: int) -> None:
    """Is data short enough, as it is written, to be looked at? Raises RuleViolation(DATA_WITHIN_SIZE)."""
    if len(text) > WRITTEN * max_data_bytes:
        raise RuleViolation(
            Rule.DATA_WITHIN_SIZE,
            f"the data is written in {len(text):,} bytes; at most {max_data_bytes:,} may be, in its canonical form. "
            "Split it, or post its hash",
        )


def value_of(text: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """The value of a JSON text, quickly if it is `compact`. Raises ValueError, which says what is wrong, and
    RecursionError when it is nested too deeply for this machine.

    Half surrogate pairs and numbers of any size are for `model.canonical` to judge.
    """
    try:
        value = _DECODER.decode(text)
        if _ENCODER.encode(value) == text:
            return value
    except ValueError:  # msgspec's errors are, and those of UTF-8
        pass  # the slow way knows what to say
    return value_slowly(text)


def value_slowly(text: bytes | str) -> Any:  # noqa: ANN401 - any JSON value
    """As `value_of`, whatever the text looks like."""
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    return json.loads(text, object_pairs_hook=_members, parse_constant=_refuse_constant)


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        counts = Counter(key for key, _ in pairs)
        twice = counts.most_common(1)[0][0]
        raise ValueError(f"the key {shown(twice)} occurs twice")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")
