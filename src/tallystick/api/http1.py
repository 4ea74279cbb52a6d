"""HTTP/1.1 as Sanic reads it, without its leniencies about where a body ends.

If two programs on the way of a request read its length differently, one can be made to see a second
request in the body of the first (request smuggling, RFC 9112, section 11.2). Python's `int` takes blanks,
`0x` and digits of every script for a length, and Sanic does not look at what stands between two chunks.
"""

from __future__ import annotations

import re
from typing import Final

from sanic.exceptions import BadRequest
from sanic.http import Http

_LENGTH: Final = {10: re.compile(r"[0-9]{1,16}"), 16: re.compile(r"[0-9A-Fa-f]{1,12}")}
_CRLF: Final = b"\r\n"


class StrictHttp(Http):
    """One connection's requests and answers."""

    @staticmethod
    def _safe_int(value: str, base: int = 10) -> int:
        """A Content-Length or a chunk's size: ASCII digits and nothing else (RFC 9112, sections 6.2 and 7.1)."""
        if not _LENGTH[base].fullmatch(value):
            raise ValueError
        return int(value, base)

    async def read(self) -> bytes | None:
        """Some bytes of the body. Each chunk must end where its size said."""
        chunked: object = self.request_body  # Sanic writes a word where its types announce bytes
        if chunked == "chunked" and self.request_bytes_left == 0 and not self.expecting_continue:
            while len(self.recv_buffer) < len(_CRLF):
                await self._receive_more()
            if not self.recv_buffer.startswith(_CRLF):
                self.keep_alive = False
                self.request_body = None  # there is no telling where the next request would begin
                raise BadRequest("Bad chunked encoding")
        return await super().read()

    async def head_response_ignored(self, data: bytes, end_stream: bool) -> None:  # type: ignore[override]  # noqa: FBT001 - Sanic awaits it, and forgot the async
        """What an answer to HEAD does with a body: nothing."""
        super().head_response_ignored(data, end_stream)

    def create_empty_request(self) -> None:
        """A request for the refusal of one that has none. Sanic would parse its URL again, and fail again."""
        self.url = None
        super().create_empty_request()
