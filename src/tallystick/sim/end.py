"""One end of a connection, and how much may wait there."""

from __future__ import annotations

from collections import deque

from tallystick.errors import Rule
from tallystick.sim.conditions import Line
from tallystick.sim.machine import Machine
from tallystick.wire.dialect import Dialect
from tallystick.wire.terms import Terms


class End:
    """One end of a connection: what its machine has said and not got rid of, and what came and was not handled."""

    __slots__ = (
        "clear_us",
        "closed",
        "dialled",
        "gossip_dropped",
        "held_until_us",
        "inbox",
        "is_admitted",
        "is_handling",
        "is_open",
        "is_sending",
        "is_silent",
        "line",
        "machine",
        "most_waiting_bytes",
        "moved_us",
        "other",
        "outbox",
        "peer",
        "stuck",
        "terms",
        "unread_bytes",
        "waiting_bytes",
        "watched",
    )

    other: End

    def __init__(self, machine: Machine, line: Line, terms: Terms, dialled: str | None) -> None:
        self.machine = machine
        self.peer = machine.next_peer
        machine.next_peer += 1
        self.line = line
        """What it says goes through this."""

        self.terms = terms
        self.dialled = dialled
        self.is_open = True
        self.closed: tuple[str, Rule | None] | None = None
        """Why it was closed, while the machine has not been told of it."""

        self.is_admitted = terms.dialect is Dialect.CLASSIC
        self.outbox: deque[tuple[bytes, int]] | None = None
        """Messages and what they count: the answer to QUERY_ALL is made while it is sent, and counts nothing."""

        self.waiting_bytes = self.most_waiting_bytes = 0
        self.unread_bytes = 0
        """Under way, or in the other end's inbox."""

        self.is_sending = self.gossip_dropped = self.is_silent = self.watched = False
        self.stuck: deque[bytes] | None = None
        """Sent into silence."""

        self.clear_us = 0
        """When the last message under way arrives: none overtakes another."""

        self.moved_us = 0
        self.inbox: deque[bytes] | None = None
        self.is_handling = False
        self.held_until_us = 0

    def __repr__(self) -> str:
        return f"{self.machine} to {self.other.machine}"
