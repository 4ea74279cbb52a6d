"""How long a client may take: for its head, its body, its next request, and to read our answer.

Nobody's clock is set off here. `look` is called every so often, compares what a connection does with what
it did the last time, and says when it is enough. What makes a deadline is the time since the request
began, not since the last byte: single bytes that keep arriving buy a client nothing (slowloris).
"""

from __future__ import annotations

import enum

from tallystick.model.limits import SECOND_MS, Limits


class Doing(enum.Enum):
    """What a connection was found doing."""

    RESTING = enum.auto()
    """Between two requests."""

    SENDING_HEAD = enum.auto()
    """A connection does so from its opening on, before its first byte."""

    SENDING_BODY = enum.auto()

    WAITING = enum.auto()
    """For us to make the answer."""

    TAKING_ANSWER = enum.auto()
    """Some of its answer waits to be sent."""


class Verdict(enum.Enum):
    """What is to be done about a connection."""

    FINE = enum.auto()
    CLOSE = enum.auto()
    TELL = enum.auto()
    """It is too slow; answer so, and close."""

    ABORT = enum.auto()
    """It does not read; telling it is useless."""


class Patience:
    """Our patience with one connection."""

    __slots__ = ("_began_s", "_doing", "_limits", "_request", "_since_s", "_taken_bytes", "_waiting_bytes")

    def __init__(self, limits: Limits, now_s: float) -> None:
        self._limits = limits
        self._doing = Doing.SENDING_HEAD
        self._request = 0
        self._began_s = now_s
        """When the request under way was first seen."""
        self._since_s = now_s
        """Since when it does what it does, or last took enough of its answer."""
        self._waiting_bytes = 0
        self._taken_bytes = 0

    def look(self, doing: Doing, request: int, waiting_bytes: int, now_s: float) -> Verdict:
        """Judge a connection that is found `doing` its `request`-th request, with `waiting_bytes` to be sent to it."""
        if request != self._request or self._doing is Doing.RESTING is not doing:
            self._began_s = now_s
        if request != self._request or doing is not self._doing:
            self._request, self._doing, self._since_s = request, doing, now_s
            self._waiting_bytes, self._taken_bytes = waiting_bytes, 0
        return self._judge(waiting_bytes, now_s)

    def _judge(self, waiting_bytes: int, now_s: float) -> Verdict:
        limits, took_ms = self._limits, (now_s - self._began_s) * SECOND_MS
        match self._doing:
            case Doing.SENDING_HEAD if took_ms >= limits.handshake_ms:
                return Verdict.TELL
            case Doing.SENDING_BODY if took_ms >= limits.request_ms:
                return Verdict.TELL
            case Doing.RESTING if (now_s - self._since_s) * SECOND_MS >= limits.keep_alive_ms:
                return Verdict.CLOSE
            case Doing.TAKING_ANSWER if self._does_not_read(waiting_bytes, now_s):
                return Verdict.ABORT
        return Verdict.FINE

    def _does_not_read(self, waiting_bytes: int, now_s: float) -> bool:
        """More may have been written since the last look; then what waited before was taken, at least."""
        left = waiting_bytes if waiting_bytes <= self._waiting_bytes else 0
        self._taken_bytes += self._waiting_bytes - left
        self._waiting_bytes = waiting_bytes
        if self._taken_bytes >= self._limits.answer_stall_bytes:
            self._taken_bytes, self._since_s = 0, now_s
        return (now_s - self._since_s) * SECOND_MS >= self._limits.outbox_stall_ms
