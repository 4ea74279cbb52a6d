"""From bytes to messages: framing, limits, and the kind of frames the dialect allows.

The `websockets` library parses frames (RFC 6455) and answers pings and close frames by itself. Added
here is what it leaves to its user: sizes are judged by the heads of frames (`frames`), fragments are
joined, text is held to UTF-8, frames of the wrong kind are refused, and messages wait in order until
somebody takes them. The inbox knows no transport; its owner feeds it and asks how full it is.
"""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections import deque
from typing import Final

from websockets.exceptions import ProtocolError
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol

from tallystick.errors import Rule
from tallystick.p2p.frames import Backlog, Cutter, Refusal
from tallystick.wire.reactions import Close
from tallystick.wire.terms import Terms

_MESSAGE_OVERHEAD: Final = 64
"""What keeping a message costs besides its bytes."""

_SHORT_BYTES: Final = 1024
"""A fragment that is shorter and not the last one is as good as empty."""

_CONTROL: Final = frozenset({Opcode.PING, Opcode.PONG, Opcode.CLOSE})

_DECODE_STEP: Final = 64 * 1024
_utf8_decoder: Final = getincrementaldecoder("utf-8")


class Inbox:
    """The messages of one peer, in the order they were sent."""

    def __init__(self, wire: Protocol, terms: Terms, idle_frames_most: int) -> None:
        """`wire` sets no limit of its own (`max_size=None`)."""
        self._wire = wire
        self._terms = terms
        self._opcode = Opcode.TEXT if terms.is_text else Opcode.BINARY
        self._idle_frames_most = idle_frames_most
        self._cutter = Cutter(terms.slice_bytes)
        self._message_bytes = terms.message_bytes
        self._fragments: bytearray | None = None
        self._messages: deque[bytes] = deque()
        self._large = 0
        self.of_stranger = terms.stranger_message_bytes is not None
        """Is the peer a stranger yet?"""
        if terms.stranger_message_bytes is not None:
            self._message_bytes = terms.stranger_message_bytes

        self.partial_bytes = 0
        """Received of a message that is not complete, heads of its frames included."""

        self.ready_bytes = 0
        """What the messages that wait to be taken cost to keep."""

        self.pongs: list[bytes] = []
        """Payloads of pongs, for the owner to take away."""

        self.idle_frames = 0
        """Frames that brought nothing: control frames and short fragments. The owner sets it back from time to time."""

    def __bool__(self) -> bool:
        return bool(self._messages)

    @property
    def is_full(self) -> bool:
        """Do as many messages wait to be taken as may?"""
        return self.ready_bytes >= self._terms.inbox_bytes or len(self._messages) >= self._terms.inbox_messages

    @property
    def holds_large(self) -> bool:
        """Does a message over `Terms.large_message_bytes` wait to be taken?"""
        return self._large > 0

    def admit(self) -> None:
        """The peer is no stranger any more."""
        self.of_stranger = False
        self._message_bytes = self._terms.message_bytes

    def take(self) -> bytes:
        """The next message, within the size that the terms allow; UTF-8 where they say text.

        Raises IndexError when there is none.
        """
        message = self._messages.popleft()
        self.ready_bytes -= len(message) + _MESSAGE_OVERHEAD
        self._large -= len(message) > self._terms.large_message_bytes
        return message

    def clear(self) -> None:
        """Forget everything that waits. What is incomplete stays the library's, and counted."""
        self._messages.clear()
        self._fragments = None
        self._large = self.ready_bytes = 0
        self.pongs.clear()

    def feed(self, raw: Backlog) -> int:
        """Take the next piece off `raw`, which is not empty; return how many frames it completed, none or one.

        Raises Refusal; then feed nothing more. What the library wants sent in answer is left in its
        `data_to_send()`. After a close frame nothing counts any more (RFC 6455, section 5.5.1).
        """
        if self._wire.close_rcvd is not None:
            raw.clear()
            return 0
        piece = self._cutter.cut(raw, self._message_bytes - len(self._fragments or b""))
        self._wire.receive_data(piece)  # type: ignore[arg-type]  # it copies from any buffer
        self.partial_bytes += len(piece)
        frames = [event for event in self._wire.events_received() if isinstance(event, Frame)]
        for frame in frames:
            self._count(frame)
            self._receive(frame)
            self.partial_bytes = len(self._fragments or b"")
        self._check_parser()
        return len(frames)

    def _count(self, frame: Frame) -> None:
        """Each frame costs us as much as a message, even one of two bytes; there is no end of those in a size."""
        self.idle_frames += frame.opcode in _CONTROL or (not frame.fin and len(frame.data) < _SHORT_BYTES)
        if self.idle_frames > self._idle_frames_most:
            raise Refusal(
                Close.TOO_MUCH,
                Rule.REQUESTS_WITHIN_RATE,
                f"more than {self._idle_frames_most:,} control frames and short fragments within seconds",
            )

    def _receive(self, frame: Frame) -> None:
        match frame.opcode:
            case self._opcode | Opcode.CONT:
                self._join(frame)
            case Opcode.TEXT | Opcode.BINARY:
                wrong, right = frame.opcode.name.lower(), self._opcode.name.lower()
                raise Refusal(
                    Close.UNSUPPORTED_DATA,
                    Rule.FRAME_KIND_FITS_DIALECT,
                    f"a {wrong} frame; the dialect {self._terms.dialect} has {right} frames only",
                )
            case Opcode.PONG:
                self.pongs.append(bytes(frame.data))
            case _:  # pings and close frames: the library has answered them
                pass

    def _join(self, frame: Frame) -> None:
        """The library has checked that fragments follow each other, and the cutter that they stay within the size."""
        if self._fragments is None and not frame.fin:
            self._fragments = bytearray(frame.data)
            return
        if self._fragments is None:
            message = bytes(frame.data)
        else:
            self._fragments += frame.data
            if not frame.fin:
                return
            message = bytes(self._fragments)
            self._fragments = None
        if self._terms.is_text:
            _check_utf8(message)
        self._messages.append(message)
        self.ready_bytes += len(message) + _MESSAGE_OVERHEAD
        self._large += len(message) > self._terms.large_message_bytes

    def _check_parser(self) -> None:
        """Did the library find something wrong? It has written the close frame then."""
        match self._wire.parser_exc:
            case None | EOFError():
                return
            case ProtocolError() if self._wire.close_rcvd is not None:
                return  # a close frame between fragments, which the library minds and RFC 6455, section 5.4 allows
            case UnicodeDecodeError() as error:
                raise Refusal(Close.INVALID_TEXT, Rule.MESSAGE_IS_WELL_FORMED, "a close reason is not UTF-8") from error
            case error:
                raise Refusal(Close.PROTOCOL_ERROR, Rule.MESSAGE_IS_WELL_FORMED, f"not WebSocket: {error}") from error


def _check_utf8(text: bytes) -> None:
    """RFC 6455, section 8.1. In steps, for decoding 16 MiB at once would need 64 MiB more for a moment."""
    if text.isascii():
        return
    decoder = _utf8_decoder()
    try:
        for start in range(0, len(text), _DECODE_STEP):
            decoder.decode(text[start : start + _DECODE_STEP])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise Refusal(
            Close.INVALID_TEXT, Rule.MESSAGE_IS_WELL_FORMED, f"a text is not UTF-8: {error.reason}"
        ) from error
