"""What one address may cost us in a minute, and that hanging up does not give it back.

Each connection has an allowance. If a new connection always had a full one, whoever has used his up would dial
again. So what is left of an allowance is kept when its connection ends, and the next connection from the
same address goes on with it; until it would be full again, when there is nothing to remember.
"""

from __future__ import annotations

from tallystick.model.limits import Limits
from tallystick.wire.bucket import Bucket


class Allowance:
    """What a conversation may still cost us."""

    def __init__(self, limits: Limits, now_ms: int) -> None:
        self.received = Bucket(limits.received_bytes_per_minute, now_ms)
        """Bytes received, and what handling them cost."""

        self.chains = Bucket(limits.chain_bytes_per_minute, now_ms)
        """Bytes of whole chains sent."""

        self.history = Bucket(limits.history_bytes_per_minute, now_ms)
        """Bytes of old blocks sent to a native peer."""

    def is_full(self, now_ms: int) -> bool:
        return all(bucket.is_full(now_ms) for bucket in (self.received, self.chains, self.history))


class Allowances:
    """What addresses without an open connection have left. Bounded; the longest gone are forgotten first."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._left: dict[str, list[Allowance]] = {}

    def begin(self, ip: str, now_ms: int) -> Allowance:
        """The allowance of a new connection: one that an ended connection left, else a full one."""
        left = self._left.get(ip)
        if left is None:
            return Allowance(self._limits, now_ms)
        allowance = left.pop()
        if not left:
            del self._left[ip]
        return allowance

    def end(self, ip: str, allowance: Allowance, now_ms: int) -> None:
        """A connection ended. An address has no more of them than it had connections at a time."""
        if allowance.is_full(now_ms):
            return
        self._left[ip] = [*self._left.pop(ip, []), allowance]
        if len(self._left) > self._limits.remembered_allowances:
            del self._left[next(iter(self._left))]
