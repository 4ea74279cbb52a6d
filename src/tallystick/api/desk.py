"""What every noun of the API works with.

The port may be open before the store is (a supervisor then learns at `/ready` that the node is coming up)
and a moment longer than it. So the ledger is asked for through the desk, and while there is none, or not
any more, the caller is told to come back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry

from tallystick.api.access import Gate
from tallystick.api.door import Door
from tallystick.api.latency import Latency
from tallystick.api.problems import Fault, Refusal
from tallystick.model.limits import Limits
from tallystick.node.ports import Ledger

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host and port -> every numeric address of it. Raises OSError or UnicodeError when there is none."""

IsOurs = Callable[[str, int], bool]
"""Is this numeric address and port where this node itself listens?"""


@dataclass(slots=True)
class Desk:
    """The surroundings of the handlers. Owned by the server, which opens and closes it."""

    version: str
    limits: Limits
    gate: Gate
    resolve: Resolve
    is_ours: IsOurs
    monotonic: Callable[[], float]
    """Seconds of a clock that never goes back."""

    data_size: Callable[[], int | None]
    """Bytes the node's data takes on disk, where that is cheap to know."""

    connections: Callable[[], int]
    """Open connections to our port."""

    unread_bytes: Callable[[], int]
    """Bytes of answers that clients who read slowly have not taken yet."""

    started_s: float
    stopping: bool = False
    opened: Ledger | None = None
    door: Door | None = None
    whole_chains: int = 0
    """Answers with the whole chain under way."""

    searches: int = 0
    """Requests that search, or wait for their turn."""

    latency: Latency = field(default_factory=Latency)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    """Who is asked for `GET /metrics`."""

    waits: set[asyncio.Future[Any]] = field(default_factory=set)
    """For blocks that hold what somebody posted. A node that stops does not wait with them: they are cancelled."""

    @property
    def ready(self) -> bool:
        """Is the store open, and the node not about to stop?"""
        return self.opened is not None and not self.stopping

    @property
    def ledger(self) -> Ledger:
        """The node. Raises Refusal while there is none."""
        if self.opened is None or self.stopping:
            raise Refusal(
                Fault.NOT_READY,
                "it is stopping; ask another one" if self.stopping else "it is starting; ask again in a second",
            )
        return self.opened
