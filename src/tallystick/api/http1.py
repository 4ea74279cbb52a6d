"""HTTP/1.1 as Sanic speaks it, without its leniencies about where a body ends, and without its haste to begin anew.

Heads and bodies that are all here need no waiting, what a client's head says again was read before (`heads`), and
answers begin with what all of them begin with (`answers`).

If two programs on the way of a request read its length differently, one can be made to see a second
request in the body of the first (request smuggling, RFC 9112, section 11.2). Python's `int` takes blanks,
`0x` and digits of every script for a length, and Sanic does not look at what stands between two chunks, nor at what
follows the size of one, where a lone line feed ends the line for some and not for others.
"""

from __future__ import annotations

import re
from typing import Final, Protocol, cast

from sanic import Request
from sanic.exceptions import BadRequest, ExpectationFailed, PayloadTooLarge, RequestCancelled
from sanic.helpers import has_message_body
from sanic.http import Http
from sanic.http.constants import Stage
from sanic.http.http1 import HTTP_CONTINUE
from sanic.models.protocol_types import TransportProtocol

from tallystick.api.answers import Answer
from tallystick.api.heads import BAD, CHUNKED, LINE, Fields, fields_of

_SIZE: Final = re.compile(r"[0-9A-Fa-f]{1,12}")
_CRLF: Final = b"\r\n"
_END: Final = b"\r\n\r\n"

_OLD: Final = "1.0"
"""The version of those who know no chunks, and of whose connections none lasts unless they say so."""

_CHUNK_HEAD: Final = re.compile(rb"\r\n([0-9A-Fa-f]{1,12})(?:;[\t -~\x80-\xff]*)?\r\n")
"""The end of what came before, then the size of a chunk, and extensions that nobody looks at (section 7.1.1)."""

_CHUNK_HEAD_BYTES: Final = 64
"""A longer one is refused while it is incomplete. Sanic has the same limit."""

_CONNECTION: Final = {True: b"connection: keep-alive\r\n\r\n", False: b"connection: close\r\n\r\n"}
_EXPECTATION_FAILED: Final = 417


class Counting(Protocol):
    """Whose connection it is."""

    def count(self) -> None:
        """A request was answered."""


class StrictHttp(Http):
    """One connection's requests and answers."""

    __slots__ = ("fields",)

    fields: Fields
    """Of the request that is being read or answered."""

    async def http1_request_header(self) -> None:
        """Read the head of a request."""
        head = await self._head()
        line, _, lines = head.partition(_CRLF)
        match = LINE.fullmatch(line)
        if match is None:
            raise BadRequest("its first line is not a method, a path and HTTP/1.1")
        try:
            self.fields = fields = fields_of(lines)
        except ValueError as error:
            raise BadRequest(str(error)) from error
        method, target, version = match[1].decode(), match[2], match[3].decode()
        self.keep_alive = version != _OLD if fields.connection is None else fields.connection == "keep-alive"
        if not self.protocol.app.config.KEEP_ALIVE:
            self.keep_alive = False
        self.head_only = method == "HEAD"
        self.upgrade_websocket = fields.upgrades
        request = self.protocol.request_class(
            url_bytes=target,
            headers=fields.headers,
            head=head,
            version=version,
            method=method,
            transport=cast("TransportProtocol", self.protocol.transport),  # until the connection is lost it has one
            app=self.protocol.app,
        )
        self._expect_body(fields)
        del self.recv_buffer[: len(head) + (len(_CRLF) if fields.length == CHUNKED else len(_END))]
        self.request, request.stream = request, self

    async def _head(self) -> bytes:
        """Wait for all of it. Raises PayloadTooLarge."""
        buffer, looked_at = self.recv_buffer, 0
        while (end := buffer.find(_END, looked_at)) < 0 and len(buffer) < self.HEADER_MAX_SIZE + len(_END):
            looked_at = max(0, len(buffer) - len(_END) + 1)
            await self._receive_more()
        if not 0 <= end < self.HEADER_MAX_SIZE:
            raise PayloadTooLarge("Request header exceeds the size limit")
        return bytes(buffer[:end])

    def _expect_body(self, fields: Fields) -> None:
        """As the head announces it. Of chunks, each begins with the end of the line before it."""
        self.request_bytes_left = self.request_bytes = 0
        if fields.length is None:
            return
        expect = fields.headers.getone("expect", None)
        if expect is not None:
            if expect.lower() != "100-continue":
                raise ExpectationFailed(f"Unknown Expect: {expect}")
            self.expecting_continue = True
        if fields.length == BAD:
            raise BadRequest("Bad content-length")
        self.request_body = "chunked" if fields.length == CHUNKED else True  # type: ignore[assignment]  # see `read`
        self.request_bytes_left = self.request_bytes = max(fields.length, 0)

    @staticmethod
    def _safe_int(value: str, base: int = 16) -> int:
        """The size of a chunk: ASCII digits and nothing else (RFC 9112, section 7.1)."""
        if not _SIZE.fullmatch(value):
            raise ValueError
        return int(value, base)

    def take_body_at_hand(self, request: Request, most_bytes: int) -> None:
        """A short body mostly came with its head. Then it need not be waited for, nor read in pieces."""
        size, buffer = self.fields.length, self.recv_buffer
        if size is None or not 0 <= size <= min(len(buffer), self.request_max_size, most_bytes):
            return
        if not self.expecting_continue:
            request.body = bytes(buffer[:size])
            del buffer[:size]
            self.request_body, self.request_bytes_left = None, 0

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
        """Wait for the line that a chunk begins with, and behind the last one for the end of the body. Is it one?"""
        buffer = self.recv_buffer
        while _CRLF.startswith(buffer):
            await self._receive_more()
        while buffer.startswith(_CRLF) and buffer.find(_CRLF, len(_CRLF)) < 0 and len(buffer) <= _CHUNK_HEAD_BYTES:
            await self._receive_more()
        begins = _CHUNK_HEAD.match(buffer)
        if begins is None:
            return False
        end, is_last = begins.end(), int(begins[1], 16) == 0
        del begins  # a match would hold the buffer as long as it is
        while is_last and len(buffer) < end + len(_CRLF):  # Sanic waits for these without a deadline
            await self._receive_more()
        return True

    async def http1_response_header(self, data: bytes, end_stream: bool) -> None:  # noqa: FBT001 - Sanic's signature
        """Send the head of an answer, with its body if that is all of it."""
        answer = cast("Answer", self.response)
        if not data and answer.body:
            data, end_stream = answer.body, True
        if not has_message_body(answer.status):
            data, framing, self.response_func = b"", b"", None  # type: ignore[assignment]  # Sanic does so too
        elif end_stream:
            framing, self.response_func = b"content-length: %d\r\n" % len(data), None  # type: ignore[assignment]
        elif self.request.version == _OLD:  # RFC 9112, section 6.1
            framing, self.response_func, self.keep_alive = b"", self._http10_response, False
        else:
            framing, self.response_func = b"transfer-encoding: chunked\r\n", self.http1_response_chunked
            data = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
        if self.head_only:
            data, self.response_func = b"", self.head_response_ignored
        head = answer.head() + framing + _CONNECTION[self.keep_alive]
        if self.expecting_continue:
            self.expecting_continue = False
            if answer.status != _EXPECTATION_FAILED:
                head = HTTP_CONTINUE + head
        await self._send(head + data)
        self.stage = Stage.IDLE if end_stream else Stage.RESPONSE

    async def _http10_response(self, data: bytes, end_stream: bool) -> None:  # noqa: FBT001 - Sanic's signature
        """Send a part of an answer as it is: the end of the connection will be its end."""
        if data:
            await self._send(data)
        if end_stream:
            self.response_func, self.stage = None, Stage.IDLE  # type: ignore[assignment]  # as above

    async def head_response_ignored(self, data: bytes, end_stream: bool) -> None:  # type: ignore[override]  # noqa: FBT001 - Sanic awaits it, and forgot the async
        """What an answer to HEAD does with a body: nothing."""
        super().head_response_ignored(data, end_stream)

    async def error_response(self, exception: Exception) -> None:
        """Answer a request that failed before a handler had it, or while one waited; it counts like any other."""
        is_answered = self.stage in {Stage.REQUEST, Stage.HANDLER}
        await super().error_response(exception)
        if is_answered and not isinstance(exception, RequestCancelled):  # else nobody is there any more to hear it
            cast("Counting", self.protocol).count()
