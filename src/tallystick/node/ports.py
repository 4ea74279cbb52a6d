"""How the rims reach the node: they submit inputs, ask questions, and read its status.

`api` and `p2p` know this protocol and not each other; the composition root puts them together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tallystick.chain.contracts import Reader
from tallystick.model.block import Block, Header
from tallystick.model.limits import Limits
from tallystick.model.network import Network
from tallystick.node.inputs import Input


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """One connection, or one address we keep dialling."""

    address: str
    """`host:port` of the remote end when connected, else the address we dial."""

    dialled: str | None
    """`ws://host:port` when we dial it, None when they dialled us."""

    state: str
    """`connected`, `dialling` or `waiting` (for the next attempt)."""

    since_ms: int | None
    """How long it has been connected."""

    next_dial_ms: int | None
    """Until the next attempt, when waiting."""

    tip: tuple[int, str] | None
    """Index and hash of the highest block it told us of (unverified)."""

    last_error: str | None
    """Why the last connection or attempt ended."""


@dataclass(frozen=True, slots=True)
class Status:
    """What a node says of itself."""

    tip: Header
    """The in-memory tip; equals the committed tip between batches."""

    peers: Sequence[PeerStatus]
    dropped: Sequence[Mapping[str, object]]
    """The last peers that were dropped for cause, newest first: `address`, `rule`, `detail`."""

    lost_duties: bool
    """Posts wait to be mined again."""


class Ledger(Protocol):
    """The running node, as the API and the peers' door see it. All calls are made on the event loop."""

    @property
    def limits(self) -> Limits: ...

    @property
    def network(self) -> Network: ...

    @property
    def reader(self) -> Reader:
        """Committed state."""

    def submit(self, event: Input) -> None:
        """Hand an input to the node; it is stepped with the next batch."""

    async def submitted(self, event: Input) -> None:
        """As `submit`, and wait until the batch that holds it is durable and its effects are out."""

    async def post(self, data: str) -> Block:
        """Mine `data`; returns once its block is durable. Raises RuleViolation or StoreError."""

    async def add_peer(self, address: str) -> None:
        """Keep dialling `address`. Raises RuleViolation or StoreError."""

    async def remove_peer(self, address: str) -> None:
        """Forget and hang up. Raises RuleViolation(PEER_IS_KNOWN) or StoreError."""

    def welcome(self, address: str) -> bool:
        """May this numeric address dial us now? False while it is discouraged or inbound slots are full."""

    def connected(self) -> Sequence[str]:
        """`host:port` of every open connection, both directions, oldest first: `GET /peers`."""

    def status(self) -> Status: ...
