"""What any conversation with a peer has, in whatever dialect: who is there, what it claims, and signs of life."""

from __future__ import annotations

from tallystick.model.limits import Limits
from tallystick.wire.addresses import ip_of
from tallystick.wire.allowance import Allowance


class Conversation:
    """One open connection. All times are monotonic milliseconds."""

    def __init__(
        self, remote: str, dialled: str | None, limits: Limits, now_ms: int, allowance: Allowance | None = None
    ) -> None:
        """Begin, with `allowance` if the address used some of it up before."""
        self.remote = remote
        self.ip = ip_of(remote)
        """The numeric address of the other end."""

        self.dialled = dialled
        self.opened_ms = now_ms
        self.tip: tuple[int, str] | None = None
        """Index and hash of the best block it told us of, unverified."""

        self.closing = False
        """We hung up; the connection is not gone yet, and nothing it says counts any more."""

        self.allowance = allowance or Allowance(limits, now_ms)
        self._limits = limits
        self._next_ping_ms = now_ms + limits.ping_every_ms
        self._pong_by_ms: int | None = None
        self._unread_until_ms = now_ms - limits.pong_within_ms

    def spend(self, size_bytes: int, now_ms: int) -> int:
        """Count what this peer costs us; for how many ms should nothing more be read from it?"""
        return self.allowance.received.take(size_bytes, now_ms)

    def ended(self, now_ms: int) -> None:
        """The connection is gone."""

    def ping_is_due(self, now_ms: int) -> bool:
        """Is it time to ping? If so, count it as sent."""
        if now_ms < self._next_ping_ms:
            return False
        self._next_ping_ms = now_ms + self._limits.ping_every_ms
        if self._pong_by_ms is None:
            self._pong_by_ms = now_ms + self._limits.pong_within_ms
        return True

    def ponged(self) -> None:
        """The peer answered a ping."""
        self._pong_by_ms = None

    def is_silent(self, now_ms: int) -> bool:
        """Did the peer leave a ping unanswered for too long?"""
        return self._pong_by_ms is not None and now_ms >= self._silent_at_ms(self._pong_by_ms)

    def left_unread(self, until_ms: int) -> None:
        """We read nothing from the peer until then: its pong may be here, and wait."""
        self._unread_until_ms = max(self._unread_until_ms, until_ms)

    def _silent_at_ms(self, pong_by_ms: int) -> int:
        return max(pong_by_ms, self._unread_until_ms + self._limits.pong_within_ms)

    def excuse(self, late_ms: int) -> None:
        """We ourselves stood still: what the peer sent meanwhile is not read yet."""
        if self._pong_by_ms is not None:
            self._pong_by_ms += late_ms

    def next_ms(self) -> int:
        """When one of the above is next due."""
        if self._pong_by_ms is None:
            return self._next_ping_ms
        return min(self._next_ping_ms, self._silent_at_ms(self._pong_by_ms))
