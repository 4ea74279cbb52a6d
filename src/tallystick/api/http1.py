"""HTTP/1.1 as Sanic reads it, without its leniencies about where a body ends.

If two programs on the way of a request read its length differently, one can be made to see a second
request in the body of the first (request smuggling, RFC 9112, section 11.2). Python's `int` takes blanks,
`0x` and digits of every script for a length, and Sanic does not look at what stands between two chunks, nor at what
follows the size of one, where a lone line feed ends the line for some and not for others.
"""

from __future__ import annotations

import re
from typing import Final, Protocol, cast

from sanic.exceptions import BadRequest, RequestCancelled
from sanic.http import Http
from sanic.http.constants import Stage
from sanic.http.http1 import HTTP_CONTINUE

_LENGTH: Final = {10: re.compile(r"[0-9]{1,16}"), 16: re.compile(r"[0-9A-Fa-f]{1,12}")}
_CRLF: Final = b"\r\n"

_CHUNK_HEAD: Final = re.compile(rb"\r\n[0-9A-Fa-f]+(?:;[\t -~\x80-\xff]*)?\r\n")
"""The end of what came before, then the size of a chunk, and extensions that nobody looks at (section 7.1.1)."""

_CHUNK_HEAD_BYTES: Final = 64
"""A longer one is refused while it is incomplete. Sanic has the same limit."""


class Counting(Protocol):
    """Whose connection it is."""

    def count(self) -> None:
        """A request was answered."""


class StrictHttp(Http):
    """One connection's requests and answers."""

    @staticmethod
    def _safe_int(value: str, base: int = 10) -> int:
        """A Content-Length or a chunk's size: ASCII digits and nothing else (RFC 9112, sections 6.2 and 7.1)."""
        if not _LENGTH[base].fullmatch(value):
            raise ValueError
        return int(value, base)

    async def read(self) -> bytes | None:
        """Some bytes of the body. Each chunk must end where its size said, and begin with a line that reads one way."""
        chunked: object = self.request_body  # Sanic writes a word where its types announce bytes
        if chunked == "chunked" and self.request_bytes_left == 0:
            if self.expecting_continue:
                self.expecting_continue = False
                await self._send(HTTP_CONTINUE)
            if not await self._chunk_begins():
                self.keep_alive = False
                self.request_body = None  # there is no telling where the next request would begin
                raise BadRequest("Bad chunked encoding")
        return await super().read()

    async def _chunk_begins(self) -> bool:
        """Wait for the line that a chunk begins with. Is it one?"""
        buffer = self.recv_buffer
        while _CRLF.startswith(buffer):
            await self._receive_more()
        while buffer.startswith(_CRLF) and buffer.find(_CRLF, len(_CRLF)) < 0 and len(buffer) <= _CHUNK_HEAD_BYTES:
            await self._receive_more()
        return _CHUNK_HEAD.match(buffer) is not None

    async def head_response_ignored(self, data: bytes, end_stream: bool) -> None:  # type: ignore[override]  # noqa: FBT001 - Sanic awaits it, and forgot the async
        """What an answer to HEAD does with a body: nothing."""
        super().head_response_ignored(data, end_stream)

    async def error_response(self, exception: Exception) -> None:
        """Answer a request that failed before a handler had it, or while one waited; it counts like any other."""
        is_answered = self.stage in {Stage.REQUEST, Stage.HANDLER}
        await super().error_response(exception)
        if is_answered and not isinstance(exception, RequestCancelled):  # else nobody is there any more to hear it
            cast("Counting", self.protocol).count()

    def create_empty_request(self) -> None:
        """A request for the refusal of one that has none. Sanic would parse its URL again, and fail again."""
        self.url = None
        super().create_empty_request()
