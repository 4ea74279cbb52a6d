"""Where frames end, read from their heads (RFC 6455, section 5.2) before anything of them is parsed.

The `websockets` library parses all it is given and keeps what it cannot parse yet. So it is given the
bytes of one frame at a time. That costs little, for a head is fourteen bytes at most, and it buys three
things: many tiny frames in one chunk never hold up the node; a message that is too long is refused by
its head, before a byte of its payload is kept; and whoever wants no more than one message gets no more.
The payload, nearly all of what arrives, passes in pieces as large as they come.
"""

from __future__ import annotations

from typing import Final

from tallystick.errors import Rule, RuleViolation
from tallystick.wire.reactions import Close

_HEAD_BYTES: Final = 14
"""The longest head: two bytes, eight of length, four of mask."""

_LENGTH_BYTES: Final = {126: 2, 127: 8}
_CONTROL: Final = 0x08
_CONTROL_PAYLOAD: Final = 125
_CODE_BYTES: Final = 2


class Refusal(RuleViolation):
    """What a peer sent breaks a rule of the wire; `code` is the close code to say so with."""

    def __init__(self, code: int, rule: Rule, detail: str) -> None:
        super().__init__(rule, detail)
        self.code = code


class Backlog:
    """Bytes that were received and not parsed yet: one chunk as it came, as a rule, and never copied then."""

    def __init__(self) -> None:
        self._bytes = memoryview(b"")

    def __len__(self) -> int:
        return len(self._bytes)

    def add(self, data: bytes) -> None:
        self._bytes = memoryview(bytes(self._bytes) + data if self._bytes else data)

    def first(self, count: int) -> bytes:
        """The first bytes, `count` at most."""
        return bytes(self._bytes[:count])

    def take(self, count: int) -> memoryview:
        """Likewise, and they are gone from here."""
        taken, self._bytes = self._bytes[:count], self._bytes[count:]
        return taken

    def clear(self) -> None:
        self._bytes = memoryview(b"")


class Cutter:
    """Follows the frames of one connection."""

    def __init__(self, slice_bytes: int) -> None:
        """Cut off `slice_bytes` at most at a time."""
        self._slice_bytes = slice_bytes
        self._head = b""
        """What was cut off of a head that is not complete."""
        self._left = 0
        """Bytes to the end of the frame under way, once its head is known."""

    def cut(self, raw: Backlog, room_bytes: int) -> memoryview:
        """Take off `raw`, which is not empty, what to parse next: the rest of one frame at most.

        Raises Refusal when the frame that begins here is longer than `room_bytes`, or a control frame
        longer than those may be.
        """
        if not self._left:
            head = self._head + raw.first(_HEAD_BYTES)
            size = _frame_bytes(head, room_bytes)
            if size is None:
                self._head = head
                return raw.take(len(raw))
            self._left = size - len(self._head)
            self._head = b""
        cut = raw.take(min(self._left, self._slice_bytes))
        self._left -= len(cut)
        return cut


def _frame_bytes(head: bytes, room_bytes: int) -> int | None:
    """Size of the frame with this head, all in all; None when the head is too short to tell."""
    if len(head) < 2:  # noqa: PLR2004 - flags and opcode, mask bit and length
        return None
    masked, payload = head[1] >> 7, head[1] & 0x7F
    payload_at = 2
    if payload in _LENGTH_BYTES:
        payload_at += _LENGTH_BYTES[payload]
        if len(head) < payload_at:
            return None
        payload = int.from_bytes(head[2:payload_at])
    if head[0] & _CONTROL:
        if payload > _CONTROL_PAYLOAD:
            raise Refusal(
                Close.PROTOCOL_ERROR, Rule.MESSAGE_IS_WELL_FORMED, "not WebSocket: a control frame is too long"
            )
    elif payload > room_bytes:
        raise too_big(f"a frame of {payload:,} bytes, where {room_bytes:,} are left to its message")
    return payload_at + 4 * masked + payload


def too_big(detail: str) -> Refusal:
    """The refusal of a message over its limit."""
    return Refusal(Close.MESSAGE_TOO_BIG, Rule.MESSAGE_WITHIN_SIZE, detail)


def close_reason(text: str) -> str:
    """As much of `text` as a close frame can carry beside its code (section 5.5)."""
    return text.encode()[: _CONTROL_PAYLOAD - _CODE_BYTES].decode(errors="ignore")
