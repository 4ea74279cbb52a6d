"""Changing values rather than bytes: mutators for inputs that are JSON or MessagePack.

A fuzzer that flips bits of a document spoils its form, nearly always, and never sees what comes after the parser.
Here the document is read, one to four things in it are changed, and it is written again. Half of the time the bytes are
changed after all: form is to be spoilt too.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any, Final

import msgspec

from tests.fuzz.draw import EDGES

Change = Callable[[bytes, int], bytes]
"""Some bytes changed, and at most so many of them: what the fuzzer itself does to bytes."""

Mutate = Callable[[bytes, int, random.Random, Change], bytes]
"""Some bytes changed, and at most so many, by a structure that the target knows."""

Mend = Callable[[Any, random.Random], Any]
"""Makes good again what a change spoilt and nobody would get beyond: a hash, say. May leave some of it."""

TEXTS: Final = (
    "", "0", "-", ".", "\0", "\x7f", "\u00e9", "\u2028", "\ufeff", "\uffff", "\U0001f600", "\\", '"', '":', "a" * 64,
    "A" * 43, "127.0.0.1:1", "[::1]:1", "ws://a:1", "1e400", "null", "x" * 300,
)  # fmt: skip
NUMBERS: Final = (*EDGES, 10**15, 10**21, 10**400, 1_700_000_000, 1_700_000_000_000)
FRACTIONS: Final = (0.0, -0.0, 1.0, 1.5, 1e-7, 1e16, 1e21, 1e22, -1e300, 5e-324)
BLOBS: Final = (b"", b"\0", b"\xff" * 8, bytes(32), b"\xc3\xa9", b"TSB1", b"null", b"0" * 300)

_CHANGES_MOST: Final = 4


def json_trees(mend: Mend = lambda value, _chance: value, *, lines: bool = False) -> Mutate:
    """For one JSON document, or one a line."""

    def mutate(data: bytes, most: int, chance: random.Random, change: Change) -> bytes:
        if chance.random() < 1 / 3:
            return change(data, most)
        try:
            value = [json.loads(line) for line in data.splitlines()] if lines else json.loads(data)
        except (ValueError, RecursionError):
            return change(data, most)
        value = mend(changed(value, chance, binary=False), chance)
        texts = [_json(each, chance) for each in value] if lines and isinstance(value, list) else [_json(value, chance)]
        written = "\n".join(texts).encode(errors="surrogatepass")
        return written if len(written) <= most else change(data, most)

    return mutate


def msgpack_trees(mend: Mend = lambda value, _chance: value) -> Mutate:
    """For one MessagePack value, written the shortest way."""

    def mutate(data: bytes, most: int, chance: random.Random, change: Change) -> bytes:
        if chance.random() < 1 / 3:
            return change(data, most)
        written = repacked(data, chance, mend)
        return change(data, most) if written is None or len(written) > most else written

    return mutate


def repacked(data: bytes, chance: random.Random, mend: Mend = lambda value, _chance: value) -> bytes | None:
    """A MessagePack value, a few things in it changed; None when it is none, or none any more."""
    try:
        value = msgspec.msgpack.decode(data)
        return msgspec.msgpack.encode(mend(changed(value, chance, binary=True), chance))
    except (ValueError, RecursionError, OverflowError, TypeError):  # not every number and not every key can be written
        return None


def _json(value: Any, chance: random.Random) -> str:  # noqa: ANN401 - any JSON value
    separators = chance.choice([(",", ":"), (",", ":"), (", ", ": ")])
    try:
        return json.dumps(value, ensure_ascii=chance.random() < 1 / 2, separators=separators)
    except ValueError:  # a number too long for Python to write
        return "9" * 5_000


# --- one value --------------------------------------------------------------------------------------


def changed(value: Any, chance: random.Random, *, binary: bool) -> Any:  # noqa: ANN401 - any value
    """The same with one thing in it changed, or a few."""
    for _ in range(chance.randint(1, _CHANGES_MOST)):
        value = _changed(value, chance, binary=binary)
    return value


def _changed(value: Any, chance: random.Random, *, binary: bool) -> Any:  # noqa: ANN401 - any value
    """The same with one thing in it changed: this value, or something within it."""
    if not isinstance(value, list | dict | tuple) or not value or chance.random() < 1 / 5:
        return _other(value, chance, binary=binary)
    if isinstance(value, dict):
        key = chance.choice(list(value))
        match chance.randrange(8):
            case 0:
                return {other: each for other, each in value.items() if other != key}
            case 1:
                return {**value, _text("x" if not isinstance(key, str) else key, chance): value[key]}
            case 2:
                return {**value, key: value[chance.choice(list(value))]}
        return {**value, key: _changed(value[key], chance, binary=binary)}
    items, at = list(value), chance.randrange(len(value))
    match chance.randrange(10):
        case 0:
            del items[at]
        case 1:
            items.insert(chance.randrange(len(items) + 1), items[at])
        case 2:
            other = chance.randrange(len(items))
            items[at], items[other] = items[other], items[at]
        case 3:
            del items[at:]
        case _:
            items[at] = _changed(items[at], chance, binary=binary)
    return items


def _other(value: Any, chance: random.Random, *, binary: bool) -> Any:  # noqa: ANN401 - any value
    """Something else in its place: like it as a rule, and sometimes anything."""
    if chance.random() < 1 / 6:
        return _anything(value, chance, binary=binary)
    match value:
        case bool():
            return not value
        case int():
            return chance.choice(
                [value + 1, value - 1, -value, value ^ (1 << chance.randrange(64)), chance.choice(NUMBERS)]
            )
        case float():
            return chance.choice([-value, value * 10, value / 10, chance.choice(FRACTIONS)])
        case str():
            return _text(value, chance)
        case bytes():
            return _blob(value, chance)
    return _anything(value, chance, binary=binary)


def _anything(value: Any, chance: random.Random, *, binary: bool) -> Any:  # noqa: ANN401 - any value
    among: list[Any] = [
        None, True, False, [], {}, [value], {"a": value}, chance.choice(TEXTS), chance.choice(NUMBERS),
        chance.choice(FRACTIONS), *((chance.choice(BLOBS),) if binary else ()),
    ]  # fmt: skip
    return chance.choice(among)


def _text(value: str, chance: random.Random) -> str:
    at, end = sorted((chance.randint(0, len(value)), chance.randint(0, len(value))))
    match chance.randrange(5):
        case 0:
            return value[:at] + value[end:]
        case 1:
            return value[:at] + chance.choice(TEXTS) + value[at:]
        case 2:
            return value[:at] + chr(chance.choice([chance.randrange(128), chance.randrange(0xD800)])) + value[at + 1 :]
        case 3:
            return value[:end] + value[at:]
    return chance.choice(TEXTS)


def _blob(value: bytes, chance: random.Random) -> bytes:
    at, end = sorted((chance.randint(0, len(value)), chance.randint(0, len(value))))
    match chance.randrange(5):
        case 0:
            return value[:at] + value[end:]
        case 1:
            return value[:at] + chance.choice(BLOBS) + value[at:]
        case 2:
            return value[:at] + bytes([chance.randrange(256)]) + value[at + 1 :]
        case 3:
            return value[:end] + value[at:]
    return chance.choice(BLOBS)
