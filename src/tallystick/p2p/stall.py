"""When a peer counts as stalled: counted in checks made at intervals, not read off a clock.

When the whole process stood still for a minute, one check was late, and no peer is blamed for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tallystick.errors import Rule, RuleViolation
from tallystick.model.limits import SECOND_MS, Limits

CHECKS: Final = 4
"""Checks without progress before a peer counts as stalled."""


@dataclass(slots=True)
class Stall:
    """Counts checks at which something waited and nothing had moved since the last one."""

    progress: int = 0
    checks: int = 0

    def is_over(self, *, waiting: bool, progress: int) -> bool:
        """Check once more: did it last too long? `progress` is any number that grows when something moves."""
        self.checks = self.checks + 1 if waiting and progress == self.progress else 0
        self.progress = progress
        return self.checks >= CHECKS


class Patience:
    """Our patience with one peer: whether it reads, and whether its large message gets on."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._sending, self._arriving = Stall(), Stall()
        self.large_checks = 0
        """Checks at which its large message was found arriving."""

    @property
    def check_every_ms(self) -> int:
        return max(1, self._limits.outbox_stall_ms // CHECKS)

    def check_sending(self, waiting_bytes: int, sent_bytes: int) -> None:
        """So much waits to be sent, and so much was. Raises RuleViolation(OUTBOX_DRAINS)."""
        if self._sending.is_over(waiting=waiting_bytes > 0, progress=sent_bytes):
            seconds = self._limits.outbox_stall_ms // SECOND_MS
            raise RuleViolation(Rule.OUTBOX_DRAINS, f"it read nothing for {seconds} s")

    def check_arriving(self, *, arriving: bool, received_bytes: int, contended: bool) -> None:
        """Is a large message arriving, and do others wait for it? Raises RuleViolation(MESSAGE_ARRIVES_IN_TIME)."""
        if self._arriving.is_over(waiting=arriving, progress=received_bytes):
            raise RuleViolation(Rule.MESSAGE_ARRIVES_IN_TIME, "it stopped in the middle of a large message")
        self.large_checks += arriving
        if contended and self.large_checks > self._limits.large_message_ms * CHECKS // self._limits.outbox_stall_ms:
            raise RuleViolation(
                Rule.MESSAGE_ARRIVES_IN_TIME, "it took too long over a large message while others waited"
            )
