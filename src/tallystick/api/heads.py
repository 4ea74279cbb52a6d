"""The head of a request: its line, and the fields that follow.

Clients repeat themselves. Whatever they ask for, they say the same in their fields, down to the byte, but for the
length of a body; so what was read from fields is remembered, and read once.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from sanic.compat import Header

REMEMBERED_BYTES: Final = 2_048
"""Longer fields are read every time."""

REMEMBERED_FIELDS: Final = 512
"""So many different ones are remembered: of each client that is busy, and of each length that bodies have now."""

CHUNKED: Final = -1
"""The length of a body that announces none."""

BAD: Final = -2
"""The length of a body that nobody can tell the end of."""

LINE: Final = re.compile(rb"([A-Za-z]+) (/[!-~]*) HTTP/(1\.[01])")
"""Method, target in origin form, and version (RFC 9112, section 3)."""

_LENGTH: Final = re.compile(r"[0-9]{1,16}")


class Fields(NamedTuple):
    """What the fields of a head say, as far as it concerns how the request is read."""

    headers: Header
    """All of them. Whoever wants to change some takes a copy."""

    connection: str | None
    """Whether the client wants to go on afterwards, in its words, lower-case. None where it does not say."""

    length: int | None
    """Bytes of the body, `CHUNKED` or `BAD`. None: there is no body."""

    upgrades: bool
    """It asks for a WebSocket."""


def fields_of(lines: bytes) -> Fields:
    """What the lines after the first say. Raises ValueError when one is no field, or when two tell of a body."""
    return (_fields_of if len(lines) > REMEMBERED_BYTES else _remembered)(lines)


def _fields_of(lines: bytes) -> Fields:
    fields = []
    connection = None
    bodies = 0
    for line in lines.decode(errors="surrogateescape").split("\r\n") if lines else ():
        name, colon, value = line.partition(":")
        if not colon:
            raise ValueError("a line of the head is no field")
        name, value = name.lower(), value.lstrip()
        if name == "connection":
            connection = value.lower()
        bodies += name in {"content-length", "transfer-encoding"}
        fields.append((name, value))
    if bodies > 1:  # request smuggling lives on it (RFC 9112, section 6.3)
        raise ValueError("more than one field tells how long the body is")
    headers = Header(fields)
    length = _length_of(headers) if bodies else None
    return Fields(headers, connection, length, headers.getone("upgrade", "").lower() == "websocket")


_remembered: Final = lru_cache(REMEMBERED_FIELDS)(_fields_of)


def _length_of(headers: Header) -> int:
    """ASCII digits and nothing else (RFC 9112, section 6.2)."""
    if headers.getone("transfer-encoding", None) == "chunked":
        return CHUNKED
    length = headers.getone("content-length", "")
    return int(length) if _LENGTH.fullmatch(length) else BAD
