"""The classic dialect: the three JSON messages of the book's node, byte for byte.

    {"type": 0}                                     QUERY_LATEST: what is your latest block?
    {"type": 1}                                     QUERY_ALL: send me your whole chain
    {"type": 2, "data": "<JSON array of blocks>"}   RESPONSE_BLOCKCHAIN

The array stands inside the message as a *string*, so its text is escaped twice. What goes out is what
Python's `json.dumps` writes in the book's node: blanks after separators, everything beyond ASCII
escaped. What comes in is held to one reading only: no duplicate keys, no `true` for 1, no floats, no
lone surrogates, nothing nested that the message does not need (RFC 8259 leaves all of these open).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from tallystick.errors import Rule, RuleViolation
from tallystick.model.block import Block, UncheckedBlock


class QueryLatest(msgspec.Struct, frozen=True):
    """What is your latest block?"""


class QueryAll(msgspec.Struct, frozen=True):
    """Send me your whole chain."""


class Response(msgspec.Struct, frozen=True):
    """Some blocks, as claimed by the peer: the latest one, or a whole chain."""

    blocks: Sequence[UncheckedBlock]


Message = QueryLatest | QueryAll | Response


class _Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    type: int
    data: str | UnsetType | None = UNSET
    """Null is none: some kin of the book's node write it in queries."""


_ENVELOPE: Final = msgspec.json.Decoder(_Envelope)
_BLOCKS: Final = msgspec.json.Decoder(list[UncheckedBlock])
_KEYS_A_BLOCK: Final = len(UncheckedBlock.__struct_fields__)

_KEY_END: Final = '":'
_SPACED_KEY_END: Final = re.compile(r'"[ \t\n\r]++:')
_STRING_OR_KEY: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"[ \t\n\r]*+(:?)', re.DOTALL)


def decode(text: bytes) -> Message:
    """Read one message. Raises RuleViolation(MESSAGE_IS_WELL_FORMED).

    The answer's blocks are unchecked and in the order received.
    """
    try:
        envelope = _ENVELOPE.decode(text)
        _refuse_duplicate_keys(text.decode(), 1 if envelope.data is UNSET else 2)
        match envelope.type, envelope.data:
            case 0, None | UnsetType():
                return QueryLatest()
            case 1, None | UnsetType():
                return QueryAll()
            case 2, str() as blocks:
                return Response(decode_blocks(blocks))
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise _malformed(str(error)) from error
    with_data = "with" if isinstance(envelope.data, str) else "without"
    raise _malformed(f"no message has type {envelope.type} {with_data} data")


def decode_blocks(text: str) -> list[UncheckedBlock]:
    """Read a JSON array of blocks. Raises RuleViolation, msgspec.MsgspecError, UnicodeError or RecursionError."""
    blocks = _BLOCKS.decode(text)
    _refuse_duplicate_keys(text, _KEYS_A_BLOCK * len(blocks))
    return blocks


def _refuse_duplicate_keys(text: str, expected: int) -> None:
    """Refuse a JSON text with more than `expected` keys; msgspec would silently keep the last of two.

    Every key ends in a quote and a colon, and seldom does anything else, so counting those settles
    most texts. Where the count is off, because data contains JSON, the strings are told apart. Matches are
    counted as they come, for data can be made of nothing else: millions of them, kept, cost hundreds of MB.
    """
    if text.count(_KEY_END) + sum(1 for _ in _SPACED_KEY_END.finditer(text)) == expected:
        return
    if sum(1 for match in _STRING_OR_KEY.finditer(text) if match[1]) != expected:
        raise _malformed("a key stands twice in one object")


def _malformed(detail: str) -> RuleViolation:
    return RuleViolation(Rule.MESSAGE_IS_WELL_FORMED, f"not a message of the classic dialect: {detail[:200]}")


# --- writing ----------------------------------------------------------------------------------------

QUERY_LATEST: Final = b'{"type": 0}'
QUERY_ALL: Final = b'{"type": 1}'

CHAIN_HEAD: Final = b'{"type": 2, "data": "['
CHAIN_TAIL: Final = b']"}'
"""A RESPONSE_BLOCKCHAIN is the head, pieces, and the tail."""

LONGEST_CHARACTER: Final = 14
"""Bytes a character of data can become: two surrogates, `\\\\udXXX` each after the second escaping."""

_SLICE_CHARACTERS: Final = 65_536

LONGEST_FRAME: Final = 400
"""More than the bytes of a RESPONSE_BLOCKCHAIN of one block with no data."""


def chain_piece(blocks: Iterable[Block | UncheckedBlock], *, first: bool) -> bytes:
    """The text of some blocks within a RESPONSE_BLOCKCHAIN, with the separator before it unless `first`."""
    inner = json.dumps([_as_the_book_does(block) for block in blocks])[1:-1]
    outer = json.dumps(inner)[1:-1].encode()
    return outer if first or not outer else b", " + outer


def response(blocks: Iterable[Block | UncheckedBlock]) -> bytes:
    """A whole RESPONSE_BLOCKCHAIN."""
    return CHAIN_HEAD + chain_piece(blocks, first=True) + CHAIN_TAIL


def response_size(block: Block | UncheckedBlock) -> int:
    """Bytes of a RESPONSE_BLOCKCHAIN of this one block, counted a slice at a time: a text that swells when it is
    escaped costs no memory.
    """
    frame = len(response([msgspec.structs.replace(block, data="")]))
    slices = (block.data[at : at + _SLICE_CHARACTERS] for at in range(0, len(block.data), _SLICE_CHARACTERS))
    return frame + sum(len(json.dumps(json.dumps(text)[1:-1])) - 2 for text in slices)


def check_post_fits(block: Block, limit_bytes: int) -> None:
    """Refuse a post that no node of the book could ever take.

    Raises RuleViolation(DATA_WITHIN_SIZE) when RESPONSE_BLOCKCHAIN of this one block would exceed
    `limit_bytes`. The common short post costs one multiplication.
    """
    if not _may_exceed(block, limit_bytes):
        return
    size = response_size(block)
    if size > limit_bytes:
        raise RuleViolation(
            Rule.DATA_WITHIN_SIZE,
            f"data of {len(block.data):,} characters makes a message of {size:,} bytes; "
            f"at most {limit_bytes:,} fit, so that every node of the network can take it. Split it, or post its hash",
        )


def check_can_be_passed_on(blocks: Iterable[object], limit_bytes: int) -> None:
    """Refuse a block that arrived in fewer bytes than the book would write, and that no peer could take from us.

    Blocks of other kinds of network never travel in this dialect, and have limits of their own.
    Raises RuleViolation(MESSAGE_WITHIN_SIZE).
    """
    for block in blocks:
        if not isinstance(block, Block | UncheckedBlock):
            continue
        if _may_exceed(block, limit_bytes) and (size := response_size(block)) > limit_bytes:
            raise RuleViolation(
                Rule.MESSAGE_WITHIN_SIZE, f"a block that makes a message of {size:,} bytes; at most {limit_bytes:,} fit"
            )


def _may_exceed(block: Block | UncheckedBlock, limit_bytes: int) -> bool:
    return len(block.data) * LONGEST_CHARACTER + LONGEST_FRAME > limit_bytes


def _as_the_book_does(block: Block | UncheckedBlock) -> dict[str, str | int]:
    return {
        "data": block.data,
        "hash": block.hash,
        "index": block.index,
        "previous_hash": block.previous_hash,
        "timestamp": block.timestamp,
    }
