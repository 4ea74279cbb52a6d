"""One way to write each message, and one way to read it.

MessagePack leaves choices: a small number may take one byte or nine, an array may say its length in four. Whatever
is not written the shortest way is refused, so `encode(decode(frame)) == frame` for every frame that is taken. What
cannot be told apart cannot be used to tell two stories.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from tallystick.errors import Rule, RuleViolation
from tallystick.wire.native.messages import OPTIONAL_TAG, Message, Part, Reply

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Message)

_FIXARRAY: Final = range(0x91, 0xA0)
_UINT8: Final = 0xCC
_LENGTH_OF_HEAD: Final = {0xDC: 3, 0xDD: 5}
"""Bytes of an array's head by its first (MessagePack specification, "array format family")."""


def encode(message: Message) -> bytes:
    """The frame of a message."""
    return _ENCODER.encode(message)


def decode(frame: bytes) -> Message | None:
    """Read a frame; None is a message of a later version that may be ignored.

    Raises RuleViolation(MESSAGE_IS_DECODABLE).
    """
    try:
        message: Message = _DECODER.decode(frame)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OverflowError) as error:
        if _may_be_ignored(frame):
            return None
        raise _malformed(str(error)) from error
    if _ENCODER.encode(message) != frame:
        raise _malformed("it is not written the shortest way")
    return message


def in_parts(reply: Reply, part_bytes: int) -> Iterator[bytes]:
    """The frames that carry a reply: itself, or its parts when it is longer than one of them."""
    whole = encode(reply)
    if len(whole) <= part_bytes:
        yield whole
        return
    for start in range(0, len(whole), part_bytes):
        end = start + part_bytes
        yield encode(Part(reply.id, end >= len(whole), whole[start:end]))


def _may_be_ignored(frame: bytes) -> bool:
    """Does an array begin here whose first element is a tag that may be unknown?"""
    if not frame:
        return False
    head = 1 if frame[0] in _FIXARRAY else _LENGTH_OF_HEAD.get(frame[0], 0)
    return (
        head > 0 and frame[head : head + 1] == bytes([_UINT8]) and frame[head + 1 : head + 2] >= bytes([OPTIONAL_TAG])
    )


def _malformed(detail: str) -> RuleViolation:
    return RuleViolation(Rule.MESSAGE_IS_DECODABLE, f"not a message of tallystick.1: {detail[:160]}")
