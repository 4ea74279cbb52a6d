"""From bytes to messages: framing, limits, and the kind of frames the dialect allows.

The `websockets` library parses frames (RFC 6455) and answers pings and close frames by itself. Added
here is what it leaves to its user: fragments are joined, text is held to UTF-8, binary frames are
refused, and messages wait in order until somebody takes them. The inbox knows no transport; its owner
feeds it and asks how full it is.

Bytes are to be fed in small slices, because the library parses all it is given: one slice costs
little time, whatever is in it, and what a peer has sent is never more than a slice ahead of the checks.
"""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections import deque
from typing import Final

from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol

from tallystick.errors import Rule, RuleViolation
from tallystick.model.limits import Limits
from tallystick.wire.reactions import Close

SLICE_BYTES: Final = 4 * 1024
"""What is fed at a time: at most 2,048 empty frames, a few milliseconds of work."""

_MESSAGE_OVERHEAD: Final = 64
"""What keeping a message costs besides its bytes."""

_DECODE_STEP: Final = 64 * 1024
_PROTOCOL_ERROR: Final = 1002
_utf8_decoder: Final = getincrementaldecoder("utf-8")


class Refusal(RuleViolation):
    """What a peer sent breaks a rule of the wire; `code` is the close code to say so with."""

    def __init__(self, code: int, rule: Rule, detail: str) -> None:
        super().__init__(rule, detail)
        self.code = code


class Inbox:
    """The messages of one peer, in the order they were sent. Text only: the classic dialect."""

    def __init__(self, wire: Protocol, limits: Limits) -> None:
        self._wire = wire
        self._limits = limits
        self._fragments: bytearray | None = None
        self._message_bytes_on_wire = 0
        self._messages: deque[bytes] = deque()
        self._large = 0
        self.slice_bytes = max(1, min(SLICE_BYTES, limits.large_message_bytes // 4))
        """How much to feed at a time."""

        self.partial_bytes = 0
        """Received of a message that is not complete; too high by no more than a slice."""

        self.ready_bytes = 0
        """What the messages that wait to be taken cost to keep."""

        self.pongs: list[bytes] = []
        """Payloads of pongs, for the owner to take away."""

    def __bool__(self) -> bool:
        return bool(self._messages)

    @property
    def holds_large(self) -> bool:
        """Does a message over `Limits.large_message_bytes` wait to be taken?"""
        return self._large > 0

    def take(self) -> bytes:
        """The next message: UTF-8, at most `Limits.message_bytes`. Raises IndexError when there is none."""
        text = self._messages.popleft()
        self.ready_bytes -= len(text) + _MESSAGE_OVERHEAD
        self._large -= len(text) > self._limits.large_message_bytes
        return text

    def clear(self) -> None:
        """Forget everything that waits. What is incomplete stays the library's, and counted."""
        self._messages.clear()
        self._fragments = None
        self._large = self.ready_bytes = 0
        self.pongs.clear()

    def feed(self, data: bytes) -> int:
        """Take in a slice, return how many frames it completed. Raises Refusal; then feed nothing more.

        What the library wants sent in answer is left in its `data_to_send()`.
        """
        self._wire.receive_data(data)
        self.partial_bytes += len(data)
        self._message_bytes_on_wire += len(data)
        frames = [event for event in self._wire.events_received() if isinstance(event, Frame)]
        for frame in frames:
            self._receive(frame)
        if frames:
            self.partial_bytes = len(data) + len(self._fragments or b"")
        self._check_parser()
        if self._fragments is not None and self._message_bytes_on_wire > 2 * self._limits.message_bytes:
            raise _too_big(f"a message in more than {2 * self._limits.message_bytes:,} bytes of fragments")
        return len(frames)

    def _receive(self, frame: Frame) -> None:
        match frame.opcode:
            case Opcode.TEXT | Opcode.CONT:
                self._join(frame)
            case Opcode.BINARY:
                raise Refusal(
                    Close.UNSUPPORTED_DATA,
                    Rule.FRAME_KIND_FITS_DIALECT,
                    "a binary frame; the classic dialect has text frames only",
                )
            case Opcode.PONG:
                self.pongs.append(bytes(frame.data))
            case _:  # pings and close frames: the library has answered them
                pass

    def _join(self, frame: Frame) -> None:
        """The library has checked that fragments follow each other and stay within the size."""
        if self._fragments is None and not frame.fin:
            self._fragments = bytearray(frame.data)
            self._message_bytes_on_wire = len(frame.data)
            return
        if self._fragments is None:
            text = bytes(frame.data)
        else:
            self._fragments += frame.data
            if not frame.fin:
                return
            text = bytes(self._fragments)
            self._fragments = None
        _check_utf8(text)
        self._messages.append(text)
        self.ready_bytes += len(text) + _MESSAGE_OVERHEAD
        self._large += len(text) > self._limits.large_message_bytes

    def _check_parser(self) -> None:
        """Did the library find something wrong? It has written the close frame then."""
        match self._wire.parser_exc:
            case None | EOFError():
                return
            case ProtocolError() if self._wire.close_rcvd is not None:
                return  # a close frame between fragments, which the library minds and RFC 6455, section 5.4 allows
            case PayloadTooBig() as error:
                raise _too_big(str(error)) from error
            case UnicodeDecodeError() as error:
                raise Refusal(Close.INVALID_TEXT, Rule.MESSAGE_IS_WELL_FORMED, "a close reason is not UTF-8") from error
            case error:
                raise Refusal(_PROTOCOL_ERROR, Rule.MESSAGE_IS_WELL_FORMED, f"not WebSocket: {error}") from error


def _too_big(detail: str) -> Refusal:
    return Refusal(Close.MESSAGE_TOO_BIG, Rule.MESSAGE_WITHIN_SIZE, detail)


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
