"""Whose calls are refused: addresses that broke a rule, for a while. In memory and bounded; a restart forgives."""

from __future__ import annotations

from tallystick.model.limits import Limits
from tallystick.wire.addresses import is_loopback


class Standing:
    """Discouraged numeric addresses, without ports: a peer changes its port at will."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._until_ms: dict[str, int] = {}

    def discourage(self, ip: str, now_ms: int) -> None:
        """Refuse this address for `Limits.discourage_ms`. Loopback is exempt: it may be a proxy, or ourselves."""
        if is_loopback(ip):
            return
        self._until_ms.pop(ip, None)
        self._until_ms[ip] = now_ms + self._limits.discourage_ms
        if len(self._until_ms) > self._limits.discouraged_addresses:
            del self._until_ms[next(iter(self._until_ms))]

    def is_good(self, ip: str, now_ms: int) -> bool:
        """May this address dial us?"""
        return self._until_ms.get(ip, now_ms) <= now_ms
