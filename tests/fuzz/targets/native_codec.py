"""Frames of the native dialect: what decodes is written back byte for byte, and in parts it comes to the same."""

from __future__ import annotations

from typing import Final, get_args

import msgspec

from tallystick.errors import Rule, RuleViolation
from tallystick.wire.native import codec
from tallystick.wire.native.messages import OPTIONAL_TAG, Message, Part, Reply
from tests.fuzz.target import SetAttribute, Target
from tests.fuzz.trees import msgpack_trees
from tests.wire.native.vocabulary import EXAMPLES

KINDS: Final = get_args(Message)
PART_BYTES: Final = (1, 7, 64)


def one(data: bytes) -> None:
    """A frame is refused with one rule, ignored for its tag, or means exactly one message."""
    try:
        message = codec.decode(data)
    except RuleViolation as broken:
        assert broken.rule is Rule.MESSAGE_IS_DECODABLE
        assert len(broken.detail) <= 200
        return
    if message is None:
        assert data[0] in {*range(0x91, 0xA0), 0xDC, 0xDD}
        assert max(data[1:7]) >= OPTIONAL_TAG
        return
    assert codec.encode(message) == data
    tag, *_ = msgspec.msgpack.decode(data)
    assert KINDS.index(type(message)) >= 0
    assert type(message).__struct_config__.tag == tag
    if isinstance(message, Reply):
        for part_bytes in PART_BYTES:
            assert _joined(message, part_bytes) == data


def _joined(reply: Reply, part_bytes: int) -> bytes:
    """A reply in parts, read and put together again."""
    whole = b""
    frames = list(codec.in_parts(reply, part_bytes))
    if len(frames) == 1 and len(codec.encode(reply)) <= part_bytes:
        return frames[0]
    for number, frame in enumerate(frames, 1):
        part = codec.decode(frame)
        assert isinstance(part, Part)
        assert (part.id, part.last) == (reply.id, number == len(frames))
        assert 0 < len(part.piece) <= part_bytes
        whole += part.piece
    return whole


def plant(put: SetAttribute) -> None:
    """What is not written the shortest way is taken."""
    put(codec, "decode", _decode_leniently)


def _decode_leniently(frame: bytes) -> Message | None:
    try:
        message: Message = msgspec.msgpack.decode(frame, type=Message)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OverflowError) as error:
        raise RuleViolation(Rule.MESSAGE_IS_DECODABLE, str(error)[:160]) from error
    return message


TARGET: Final = Target(
    one=one,
    seeds=lambda: map(codec.encode, EXAMPLES.values()),
    plant=plant,
    mutate=msgpack_trees(),
    runs=6_000,
)
