"""What is studied, as values: how many nodes where, how often somebody makes a block, and how long it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tallystick.model.limits import HOUR_MS, Limits
from tallystick.model.network import Kind
from tallystick.sim.regions import BITCOIN_2019, Region

WHOLE_NODES: Final = 100
"""Up to so many nodes run everything that a node does: they find each other, stay in touch, and keep their tables. More
of them are joined at the start and leave out what only costs: see `THIN`."""

MINERS: Final = 100
"""So many nodes of a larger network look for blocks."""

THIN: Final = Limits(
    first_ping_ms=1_000 * HOUR_MS,
    ping_every_ms=1_000 * HOUR_MS,
    pool_again_ms=1_000 * HOUR_MS,
    template_ms=HOUR_MS,
    addresses=64,
    addresses_per_source=64,
    addresses_per_reply=0,
    recent_headers=32,
    known_blocks=64,
    known_records=256,
    wanted_records=256,
    expired_requests=8,
    discouraged_addresses=16,
    remembered_allowances=16,
)
"""Of nodes by the thousand: no keepalive, nothing said twice, small tables."""


@dataclass(frozen=True, slots=True)
class Preset:
    """A network to begin with."""

    name: str
    about: str
    nodes: int
    shares: Mapping[Region, float]
    blocks: int
    spacings_ms: Sequence[int]
    size_bytes: int
    """Of what a block holds."""

    commit_us: int
    commit_us_per_kb: int
    """How long a node takes to check a block, keep it and pass it on: so long, and so much more for 1,000 bytes."""


PRESETS: Final[Mapping[str, Preset]] = {
    preset.name: preset
    for preset in (
        Preset(
            "lan",
            "on one switch",
            nodes=10,
            shares={Region.ROOM: 1.0},
            blocks=30,
            spacings_ms=(10_000, 1_000),
            size_bytes=2_000,
            commit_us=2_000,
            commit_us_per_kb=180,
        ),
        Preset(
            "consortium",
            "over three regions",
            nodes=50,
            shares={Region.NORTH_AMERICA: 1.0, Region.EUROPE: 1.0, Region.ASIA_PACIFIC: 1.0},
            blocks=40,
            spacings_ms=(15_000, 2_000),
            size_bytes=10_000,
            commit_us=5_000,
            commit_us_per_kb=180,
        ),
        Preset(
            "internet",
            "over six regions, as Bitcoin's stood in 2019",
            nodes=10_000,
            shares=BITCOIN_2019,
            blocks=10,
            spacings_ms=(600_000,),
            size_bytes=20_000,
            commit_us=20_000,
            commit_us_per_kb=180,
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Plan:
    """One study: everything that decides what comes out of it."""

    preset: Preset
    nodes: int
    kind: Kind
    seed: int
    blocks: int
    """So many are made, at each spacing."""

    spacings_ms: Sequence[int]
    """From one block to the next, on average. Everything is measured at the first; at the others only what becomes
    stale."""

    size_bytes: int

    @property
    def is_thin(self) -> bool:
        """Too many nodes to run everything?"""
        return self.nodes > WHOLE_NODES

    @property
    def commit_us(self) -> int:
        """How long a node takes over a block."""
        return self.preset.commit_us + self.preset.commit_us_per_kb * self.size_bytes // 1_000

    @property
    def miners(self) -> int:
        """How many look for blocks."""
        return min(self.nodes, MINERS)
