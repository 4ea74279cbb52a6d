"""Whoever lives on a machine: an honest node, a node of the book, a liar. One small interface for all of them.

It is told what happens, one event at a time, and answers what is to be done; the machine it lives on does that, as
`app.runner` does for a real node. To write a faulty peer, derive from `Resident` and write `step`: it gets
`PeerOpened`, `PeerSaid`, `PeerClosed` and `Tick` like any node, and says `Say`, `Dial` or `HangUp`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tallystick.chain.writes import Write
from tallystick.node.effects import Effect
from tallystick.node.inputs import Input, Now
from tallystick.wire.dialect import Dialect


class Resident:
    """What a machine needs of who lives there. All but `step` has a default, for those who keep nothing."""

    dialects: frozenset[Dialect] = frozenset(Dialect)
    """What it speaks; two who both speak the native one do."""

    made: Collection[str | bytes] = ()
    """What it put on the chain by itself, without anybody posting it: texts, or leaves of records."""

    def start(self, now: Now) -> None:
        """The process starts, and knows what is durable. Called before anything else, and after every end."""

    def stop(self, now: Now) -> Sequence[Effect]:
        """The process is told to end; what it still does."""
        return ()

    def step(self, event: Input, now: Now) -> Sequence[Effect]:
        """This happened; what is to be done? Of writes each is applied before the next event is stepped."""
        raise NotImplementedError

    def wake_at_ms(self) -> int | None:
        """When it wants a `Tick`, on its own monotonic clock."""
        return None

    def check_welcome(self, ip: str, dialect: Dialect, now: Now) -> None:
        """May this address dial it? Raises RuleViolation."""

    # --- what is durable -----------------------------------------------------------------------

    def begin(self) -> None:
        """A batch begins."""

    def apply(self, write: Write) -> None:
        """A write belongs to the batch. Raises StoreError."""

    def commit(self) -> None:
        """The batch becomes durable. Raises StoreError."""

    def rollback(self) -> None:
        """The batch never was."""

    def save(self, content: bytes) -> None:
        """Keep the book of addresses."""

    def whole_chain(self) -> bytes:
        """The answer to QUERY_ALL in the classic dialect."""
        return b""
