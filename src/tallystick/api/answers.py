"""Answers: JSON in, an HTTP response out, with the headers that every response of a node carries.

Sanic builds a case-insensitive multidict for the headers of each response and cleans every value of it.
Ours are few, lower-case and made here, so a plain dict will do; on the hot path of `POST /mineBlock` that
is a tenth of the whole cost of a request.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec
from sanic.response import HTTPResponse

JSON: Final = b"application/json"
PROBLEM_JSON: Final = b"application/problem+json"

_ALWAYS: Final = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))
"""A browser must not guess another type than ours (a record may hold HTML), and nobody may keep an answer:
any block can leave the chain."""

_encode: Final = msgspec.json.Encoder().encode


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

    @property
    def processed_headers(self) -> Iterator[tuple[bytes, bytes]]:
        """The headers as Sanic writes them to the wire."""
        yield b"content-type", self._kind
        yield from _ALWAYS
        for name, value in self.headers.items():
            if value != "":  # Sanic leaves an empty alt-svc where no other protocol is served
                yield name.encode("ascii"), str(value).encode("ascii")


def encode(value: object) -> bytes:
    """`value` as UTF-8 JSON."""
    return _encode(value)


def json_answer(value: object, headers: Mapping[str, str] | None = None) -> Answer:
    """200 and `value` as JSON."""
    return Answer(_encode(value), headers=headers)
