"""How a long sync gets on: for `GET /status`, and a line in the log now and then.

A node that is a few blocks behind catches up in a moment, and nobody needs to read of it.
"""

from __future__ import annotations

from typing import Final

from tallystick.model.limits import SECOND_MS, Limits
from tallystick.node.effects import Log
from tallystick.node.fetching import Fetching
from tallystick.node.ports import SyncProgress

REPORT_EVERY_MS: Final = 10 * SECOND_MS
"""From one line in the log to the next."""


class Progress:
    """Owner of what was last said about a sync. Times are monotonic milliseconds."""

    def __init__(self, fetching: Fetching, limits: Limits) -> None:
        self._fetching = fetching
        self._limits = limits
        self._began_ms: int | None = None
        self._began_index = 0
        self._next_ms = 0

    def now(self) -> SyncProgress | None:
        """How far it is; None when nothing is fetched."""
        sync = self._fetching.sync
        if not sync.is_active:
            return None
        index, target, rate = self._fetching.reached.index, sync.target(), sync.rate()
        remaining_ms = int(max(0, target - index) * SECOND_MS / rate) if rate > 0 else None
        return SyncProgress(index, max(index, target), rate, remaining_ms, sync.busy())

    def report(self, now_ms: int) -> list[Log]:
        """What is worth a line now: the beginning and the end of a long sync, and how it gets on."""
        progress = self.now()
        if progress is None:
            return self._ended(now_ms)
        if self._began_ms is None:
            if progress.target - progress.index <= self._limits.batch_blocks:
                return []
            self._began_ms, self._began_index = now_ms, progress.index
            self._next_ms = now_ms + REPORT_EVERY_MS
            return [Log("info", "fetching the chain of peers", {"from": progress.index, "to": progress.target})]
        if now_ms < self._next_ms:
            return []
        self._next_ms = now_ms + REPORT_EVERY_MS
        fields = {
            "index": progress.index,
            "to": progress.target,
            "blocks_per_s": round(progress.blocks_per_second),
            "peers": progress.peers,
            "remaining_s": None if progress.remaining_ms is None else progress.remaining_ms // SECOND_MS,
        }
        return [Log("info", "fetching", fields)]

    def _ended(self, now_ms: int) -> list[Log]:
        if self._began_ms is None:
            return []
        index, took_ms = self._fetching.reached.index, now_ms - self._began_ms
        self._began_ms = None
        fields = {"index": index, "blocks": index - self._began_index, "seconds": round(took_ms / SECOND_MS, 1)}
        return [Log("info", "fetching ended", fields)]
