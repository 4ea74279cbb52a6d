"""What the column `data` of a sealed block holds: its header, what was found of it, and which records it has.

    length u16 | header | length u8 | weight | count u8 | edge, 32 bytes each | spans, each first u64, count u32

All numbers are big-endian. The weight and the edge are those of the branch and of the log as of this block
(`Engine.place`), so that a branch goes on from any block without reading those before. Records are not here: a span
names records by the place at which they stand in the table `records`, whatever blocks hold them. The header stands at
a fixed offset, for the view `chain`.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

from tallystick.model.log import Edge
from tallystick.model.sealed import FIXED_BYTES, SealedBlock, header_bytes_of
from tallystick.storage.spans import Span

_LENGTH: Final = struct.Struct(">H")
_SPAN: Final = struct.Struct(">QI")
_LOG_SIZE: Final = struct.Struct(">Q")
_LOG_SIZE_AT: Final = _LENGTH.size + 4 + 8 + 32 + 8
_HASH_BYTES: Final = 32

HEADER_AT: Final = _LENGTH.size
"""Where the header begins."""


class Head(NamedTuple):
    """What a header needs beside its links."""

    weight: int
    log_size: int
    edge: Edge


class Content(NamedTuple):
    """All of it."""

    header: bytes
    head: Head
    spans: Sequence[Span]


def encode(block: SealedBlock, spans: Sequence[Span]) -> bytes:
    """The content of a placed block whose records are those of `spans`, in order."""
    header = header_bytes_of(block)
    weight = block.weight.to_bytes((block.weight.bit_length() + 7) // 8, "big")
    return b"".join(
        (
            _LENGTH.pack(len(header)),
            header,
            bytes((len(weight),)),
            weight,
            bytes((len(block.edge),)),
            *block.edge,
            *[_SPAN.pack(first, count) for first, count in spans],
        )
    )


def decode_head(content: bytes) -> Head:
    """Weight and log. Raises ValueError when this is no content."""
    return _head(content)[0]


def decode(content: bytes) -> Content:
    """Raises ValueError when this is no content."""
    head, at = _head(content)
    (length,) = _LENGTH.unpack_from(content)
    try:
        spans = list(_SPAN.iter_unpack(content[at:]))
    except struct.error as error:
        raise ValueError(str(error)) from None
    return Content(content[HEADER_AT : HEADER_AT + length], head, spans)


def header_of(content: bytes) -> bytes:
    """Only the header. Raises ValueError when this is no content."""
    if len(content) < HEADER_AT + FIXED_BYTES:
        raise ValueError("the content of a block is cut off")
    return content[HEADER_AT : HEADER_AT + _LENGTH.unpack_from(content)[0]]


def spans_of(content: bytes) -> Sequence[Span]:
    """Only the spans. Raises ValueError."""
    return decode(content).spans


def _head(content: bytes) -> tuple[Head, int]:
    """What a header needs, and where the spans begin."""
    try:
        (length,) = _LENGTH.unpack_from(content)
        (log_size,) = _LOG_SIZE.unpack_from(content, _LOG_SIZE_AT)
        at = HEADER_AT + length
        size = content[at]
        weight = int.from_bytes(content[at + 1 : at + 1 + size], "big")
        at += 1 + size
        end = at + 1 + content[at] * _HASH_BYTES
    except (struct.error, IndexError) as error:
        raise ValueError(str(error)) from None
    if length < FIXED_BYTES or end > len(content):
        raise ValueError("the content of a block is cut off")
    edge = tuple([content[i : i + _HASH_BYTES] for i in range(at + 1, end, _HASH_BYTES)])
    return Head(weight, log_size, edge), end
