"""What people are shown of a node's peers, and of how far it is behind them: by `status`, once or again and again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from tallystick.cli import terminal
from tallystick.cli.terminal import Column

if TYPE_CHECKING:
    from tallystick.client.answers import Mining, Peer, Status, Sync

NARROW: Final = 100
"""Columns of a terminal below which a peer's program is not shown; what is left fits 80."""

_COLUMNS: Final = (
    Column("peer", 21),
    Column("dir", 3),
    Column("dialect", 12),
    Column("tip", 9, right=True),
    Column("latency", 7, right=True),
    Column("received", 8, right=True),
    Column("sent", 8, right=True),
)
_AGENT: Final = Column("agent")
_AGENT_PLACE: Final = 3


def peer_columns(width: int) -> list[Column]:
    """The columns of a table of peers that is `width` characters wide."""
    columns = list(_COLUMNS)
    if width >= NARROW:
        columns.insert(_AGENT_PLACE, _AGENT)
    return columns


def peer_rows(peers: Iterable[Peer], columns: list[Column]) -> Iterator[tuple[str, ...]]:
    """A row for each open connection, with a cell for each of these columns."""
    for peer in peers:
        cells = {
            "peer": peer.address,
            "dir": "in" if peer.direction == "inbound" else "out",
            "dialect": peer.dialect or "",
            "agent": peer.agent or "",
            "tip": "" if peer.tip is None else str(peer.tip.index),
            "latency": "" if peer.latency_ms is None else f"{peer.latency_ms} ms",
            "received": "" if peer.received_bytes is None else terminal.size(peer.received_bytes),
            "sent": "" if peer.sent_bytes is None else terminal.size(peer.sent_bytes),
        }
        yield tuple(cells[column.title] for column in columns)


def sync_state(status: Status) -> str:
    """How far the node is behind its peers, in a few words."""
    if status.sync is not None:
        return f"block {status.sync.index:,} of {status.sync.target:,} ({percent(status.sync)} %), {pace(status.sync)}"
    if not status.connected:
        return "no peer is connected"
    if status.is_synced:
        return "at the tip of its peers"
    tips = [peer.tip.index for peer in status.connected if peer.tip is not None]
    return f"a peer says that it has block {max(tips):,}" if tips else "no peer has told its tip yet"


def sealing(status: Status) -> list[tuple[str, str]]:
    """What waits to be sealed, and who looks for the block: name and value of each, where there is such a thing."""
    facts = []
    if (pool := status.pool) is not None:
        full = f"{pool.bytes * 100 // max(1, pool.most_bytes)} % full"
        facts.append(("pool", f"{terminal.count(pool.records, 'record')} to be sealed ({full})"))
    if status.mining is not None:
        facts.append(("mining", mining_state(status.mining)))
    return facts


def mining_state(mining: Mining) -> str:
    """How hard the next block is, and how fast this node looks for it."""
    hardness = f"difficulty {mining.difficulty:,.3g}, {scaled(mining.expected_hashes)} hashes a block"
    if not mining.is_mining:
        return f"not here; {hardness}"
    if not mining.hashes_per_second:
        return f"here; {hardness}"
    expected = "" if mining.expected_ms is None else f", {terminal.span(mining.expected_ms / 1_000)} each on average"
    return f"{scaled(mining.hashes_per_second)} hashes/s; {hardness}{expected}"


def scaled(number: float) -> str:
    """A number roughly, as miners write it: `1.5 M`."""
    for unit, name in ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= unit:
            return f"{number / unit:,.1f} {name}"
    return f"{number:,.0f}"


def pace(sync: Sync) -> str:
    """Rate, estimated end, and of how many peers."""
    rate = f"{sync.blocks_per_second:,.0f} blocks/s"
    left = "" if sync.remaining_ms is None else f", {countdown(sync.remaining_ms)} left"
    return f"{rate}{left}, from {terminal.count(sync.peers, 'peer')}"


def percent(sync: Sync) -> int:
    """Whole percents that are done; 100 only when all of it is."""
    return 100 if sync.index >= sync.target else sync.index * 100 // sync.target


def countdown(remaining_ms: int) -> str:
    """A length of time as minutes and seconds, `1:59`, or with hours, `3:01:59`."""
    minutes, seconds = divmod(-(-remaining_ms // 1_000), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
