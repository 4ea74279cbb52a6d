"""Heads of requests: what is read from them, and that what is remembered is what would be read."""

from __future__ import annotations

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.api.heads import BAD, CHUNKED, LINE, REMEMBERED_BYTES, REMEMBERED_FIELDS, fields_of

HOST = b"Host: localhost"


@pytest.mark.parametrize(
    ("lines", "connection", "length", "upgrades"),
    [
        (b"", None, None, False),
        (HOST, None, None, False),
        (HOST + b"\r\nContent-Length: 13", None, 13, False),
        (b"CONTENT-LENGTH:0", None, 0, False),
        (b"Content-Length: ", None, BAD, False),
        (b"Content-Length: 1_3", None, BAD, False),
        (b"Content-Length: 13 ", None, BAD, False),
        ("Content-Length: ١٣".encode(), None, BAD, False),
        (b"Content-Length: 99999999999999999", None, BAD, False),
        (b"Transfer-Encoding: chunked", None, CHUNKED, False),
        (b"Transfer-Encoding: gzip, chunked", None, BAD, False),
        (b"Connection: Close", "close", None, False),
        (b"connection: keep-alive, Upgrade\r\nUPGRADE: WebSocket", "keep-alive, upgrade", None, True),
    ],
)
def test_what_fields_say(lines: bytes, connection: str | None, length: int | None, upgrades: bool) -> None:  # noqa: FBT001 - a row of the table
    fields = fields_of(lines)
    assert (fields.connection, fields.length, fields.upgrades) == (connection, length, upgrades)


@pytest.mark.parametrize(
    "lines",
    [
        b"no colon",
        HOST + b"\r\n",
        b"Content-Length: 1\r\nContent-Length: 1",
        b"Content-Length: 1\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    ],
)
def test_fields_that_are_none_or_contradict_each_other(lines: bytes) -> None:
    for _ in range(2):  # nor are they remembered as something else
        with pytest.raises(ValueError, match="field"):
            fields_of(lines)


@pytest.mark.parametrize(
    ("line", "is_one"),
    [
        (b"GET / HTTP/1.1", True),
        (b"POST /mineBlock?wait=1 HTTP/1.0", True),
        (b"GET  / HTTP/1.1", False),
        (b"GET / HTTP/1.1 ", False),
        (b"GET http://x/ HTTP/1.1", False),
        (b"OPTIONS * HTTP/1.1", False),
        (b"GET /\x80 HTTP/1.1", False),
        (b"GET / HTTP/2.0", False),
        (b"GET / HTTP/1.1\n", False),
    ],
)
def test_which_lines_are_requests(line: bytes, is_one: bool) -> None:  # noqa: FBT001 - a row of the table
    assert (LINE.fullmatch(line) is not None) is is_one


NAMES = st.sampled_from(["Host", "accept", "X-Y", "Content-Length", "Transfer-Encoding", "Connection", "Upgrade"])
VALUES = st.sampled_from(["localhost", "0", "13", "chunked", "close", "websocket", "a: b"])


@given(fields=st.lists(st.tuples(NAMES, VALUES), max_size=6, unique_by=lambda field: field[0]), blank=st.booleans())
def test_another_parser_reads_the_same(fields: list[tuple[str, str]], *, blank: bool) -> None:
    """h11 is strict, and refuses some of what is refused later here; what it takes is read alike."""
    lines = "\r\n".join(f"{name}:{' ' * blank}{value}" for name, value in fields).encode()
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(b"GET / HTTP/1.0\r\n" + lines + b"\r\n" * (2 if lines else 1))
    try:
        event = connection.next_event()
        assert isinstance(event, h11.Request)
        read = fields_of(lines)
    except (h11.RemoteProtocolError, ValueError):
        return
    assert [(name.lower(), value) for name, value in read.headers.items()] == [
        (name.decode(), value.decode()) for name, value in event.headers
    ]


def test_what_was_read_is_remembered_for_a_while() -> None:
    lines = HOST + b"\r\nX: remembered"
    assert fields_of(lines) is fields_of(bytes(bytearray(lines)))
    first = fields_of(lines)
    for number in range(REMEMBERED_FIELDS):
        fields_of(b"X: %d" % number)
    assert fields_of(lines) is not first
    assert fields_of(lines) == first


def test_long_fields_are_not_remembered() -> None:
    lines = b"X: " + b"y" * (REMEMBERED_BYTES - 3)
    assert fields_of(lines) is fields_of(lines)
    assert fields_of(lines + b"y") is not fields_of(lines + b"y")
