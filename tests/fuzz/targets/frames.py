"""WebSocket frames: however a stream is cut, the same messages come of it, and only refusals of the wire go with it."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from tallystick.errors import Rule
from tallystick.model.limits import Limits
from tallystick.p2p import frames as product
from tallystick.p2p.frames import Backlog, Refusal
from tallystick.p2p.inbox import Inbox
from tallystick.wire.dialect import Dialect
from tallystick.wire.terms import terms_of
from tests.fuzz.draw import Draw
from tests.fuzz.target import SetAttribute, Target

LIMITS: Final = replace(
    Limits(), message_bytes=500, frame_bytes=500, stranger_frame_bytes=100, large_message_bytes=200, idle_frames=12
)
RULES: Final = {
    Rule.MESSAGE_IS_WELL_FORMED, Rule.MESSAGE_WITHIN_SIZE, Rule.FRAME_KIND_FITS_DIALECT, Rule.REQUESTS_WITHIN_RATE,
}  # fmt: skip
MASK: Final = b"mask"


class Heard(NamedTuple):
    """What came of a stream."""

    messages: Sequence[bytes]
    is_refused: bool
    """With which code is not compared: of two things that are wrong with a frame, one may show before the other."""

    pongs: Sequence[bytes]


def one(data: bytes) -> None:
    """Two choices, then a stream, as dialler and stranger or friend: cut in three ways it comes to the same."""
    draw = Draw(data)
    dialect, is_stranger = draw.pick(tuple(Dialect)), draw.chance()
    seed, stream = draw.byte(), draw.rest()
    whole = _heard(dialect, [stream], is_stranger=is_stranger)
    assert _heard(dialect, [stream[at : at + 1] for at in range(len(stream))], is_stranger=is_stranger) == whole
    chance, pieces, at = random.Random(seed), [], 0  # noqa: S311 - repeatable, not secret
    while at < len(stream):
        end = at + chance.choice([1, 2, 7, 30, 200])
        pieces.append(stream[at:end])
        at = end
    assert _heard(dialect, pieces, is_stranger=is_stranger) == whole
    most = LIMITS.stranger_frame_bytes if is_stranger and dialect is Dialect.NATIVE else LIMITS.message_bytes
    assert all(len(message) <= most for message in whole.messages)
    if dialect is Dialect.CLASSIC:
        for message in whole.messages:
            message.decode()


def _heard(dialect: Dialect, pieces: Sequence[bytes], *, is_stranger: bool) -> Heard:
    wire = ServerProtocol(state=State.OPEN, max_size=None)
    box = Inbox(wire, terms_of(dialect, LIMITS), LIMITS.idle_frames)
    if not is_stranger:
        box.admit()
    raw, code, messages, pongs = Backlog(), None, [], []
    for piece in pieces:
        raw.add(piece)
        before, stuck = len(raw) + 1, 0
        while raw and code is None:
            assert len(raw) < before, "it takes nothing off"
            before = len(raw)
            try:
                stuck = box.feed(raw)
            except Refusal as refusal:
                assert refusal.rule in RULES
                assert 1000 <= refusal.code < 5000
                assert len(product.close_reason(str(refusal)).encode()) <= 123
                code = refusal.code
            assert stuck <= 1
            assert 0 <= box.partial_bytes <= LIMITS.message_bytes + 2 * 14 + 125
            assert box.idle_frames <= LIMITS.idle_frames + 1
        while box:
            messages.append(box.take())
        pongs += box.pongs
        box.pongs.clear()
        if code is not None:
            break
    assert box.ready_bytes == 0
    assert not box.holds_large
    return Heard(messages, code is not None, pongs)


def _masked(frame: Frame) -> bytes:
    """As a client sends it, but for the mask, which is to be the same every time."""
    plain = frame.serialize(mask=False)
    head = plain[: len(plain) - len(frame.data)]
    data = bytes([byte ^ MASK[at % 4] for at, byte in enumerate(frame.data)])
    return bytes([head[0], head[1] | 0x80]) + head[2:] + MASK + data


def seeds() -> Iterator[bytes]:
    """Messages whole and in fragments, control frames between them, and what is wrong."""

    def stream(*frames: Frame) -> bytes:
        return b"".join(map(_masked, frames))

    def fragment(opcode: Opcode, data: bytes, *, fin: bool) -> Frame:
        return Frame(opcode, data, fin=fin)

    text, binary = Frame(Opcode.TEXT, b'{"type": 0}'), Frame(Opcode.BINARY, b"\x91\x03")
    parts = (
        fragment(Opcode.TEXT, "\u00e9".encode()[:1], fin=False),
        fragment(Opcode.CONT, "\u00e9".encode()[1:], fin=True),
    )
    pong, ping, close = Frame(Opcode.PONG, b"1234"), Frame(Opcode.PING, b""), Frame(Opcode.CLOSE, b"\x03\xe8bye")
    for first in (b"\0\0\7", b"\0\1\7", b"\1\0\7", b"\1\1\7"):
        yield first + stream(text, text)
        yield first + stream(binary, Frame(Opcode.BINARY, b"x" * 126), binary)
        yield first + stream(*parts, pong, text)
        yield first + stream(parts[0], ping, close, parts[1])
        yield first + stream(*[ping] * 14)
        yield first + stream(
            fragment(Opcode.BINARY, b"x" * 90, fin=False), fragment(Opcode.CONT, b"x" * 90, fin=False), binary
        )
        yield first + stream(Frame(Opcode.TEXT, b"x" * 400), text)
        yield first + stream(Frame(Opcode.BINARY, b"x" * 600))
        yield first + text.serialize(mask=False)
        yield first + b"\x82\xff" + b"\x00" * 7 + b"\x05" + MASK + b"hello"
        yield first + b"\x89\xfe\x00\x7e"


def plant(put: SetAttribute) -> None:
    """A head that comes in pieces is read too early."""
    right = product._frame_bytes

    def hastily(head: bytes, room_bytes: int) -> int | None:
        return right(head + bytes(2), room_bytes)

    put(product, "_frame_bytes", hastily)


TARGET: Final = Target(
    one=one,
    seeds=seeds,
    plant=plant,
    dictionary=(b"\x81\x80" + MASK, b"\x82\x80" + MASK, b"\x00\x80" + MASK, b"\x88\x82" + MASK),
    size_bytes=1_200,
    runs=1_500,
)
