"""Answers: JSON in, an HTTP response out, with the headers that every response of a node carries.

Sanic builds a case-insensitive multidict for the headers of each response, cleans every value of it, and writes them
out one by one. Ours are few, lower-case and made here, so a plain dict will do, and nearly all answers begin with the
same bytes. On the hot path of `POST /mineBlock` that is a tenth of the whole cost of a request.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Final

import msgspec
from sanic.response import HTTPResponse

JSON: Final = b"application/json"
PROBLEM_JSON: Final = b"application/problem+json"

_ALWAYS: Final = b"x-content-type-options: nosniff\r\ncache-control: no-store\r\n"
"""A browser must not guess another type than ours (a record may hold HTML), and nobody may keep an answer:
any block can leave the chain."""

_encoder: Final = msgspec.json.Encoder()
_encode: Final = _encoder.encode


class Answer(HTTPResponse):
    """A response whose head is cheap. Header names are lower-case ASCII; no value comes from outside."""

    __slots__ = ("_kind",)

    def __init__(
        self,
        body: bytes | None,
        status: int = 200,
        kind: bytes = JSON,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        # The parent's constructor would build two multidicts; these are all the fields it sets.
        self.asgi = False
        self.body = body
        self.content_type = None
        self.stream = None
        self.status = status
        self.headers = {} if headers is None else dict(headers)  # type: ignore[assignment]  # see the module's text
        self._cookies = None
        self._kind = kind

    def head(self) -> bytes:
        """Status line and headers, but for those that say how the body is sent."""
        head = _opening(self.status, self._kind)
        return head + header_lines(self.headers) if self.headers else head


def status_line(status: int) -> bytes:
    """The first line of an answer."""
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode("ascii")


def header_lines(headers: Mapping[str, str]) -> bytes:
    """Headers as they go to the wire."""
    return b"".join(b"%b: %b\r\n" % (name.encode("ascii"), value.encode("ascii")) for name, value in headers.items())


@lru_cache(maxsize=64)  # there are no more statuses and kinds
def _opening(status: int, kind: bytes) -> bytes:
    return status_line(status) + b"content-type: %b\r\n" % kind + _ALWAYS


def encode(value: object) -> bytes:
    """`value` as UTF-8 JSON."""
    return _encode(value)


def encode_into(value: object, buffer: bytearray) -> None:
    """Likewise, in the place of what the buffer holds: for long values that are not needed afterwards."""
    _encoder.encode_into(value, buffer)


def json_answer(value: object, headers: Mapping[str, str] | None = None) -> Answer:
    """200 and `value` as JSON."""
    return Answer(_encode(value), headers=headers)
