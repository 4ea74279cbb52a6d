"""Where nodes stand, and what their lines are like: six regions of the world, and a switch in a cupboard.

Latencies, bandwidths and the share of each region are those that SimBlock uses for the Bitcoin network of 2019 (Aoki et
al., "SimBlock: A Blockchain Network Simulator", 2019; `NetworkConfiguration.java`): mean latency one way between two
regions, and the medians of what a node takes up and gives out. Around the medians the lines of a region are spread over
the eight `SPREAD` factors, drawn once a node.

A message goes at the rate of the sender's way up or the receiver's way down, whichever is slower, and all that one node
sends takes turns on its way up (`Line.takes_turns`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from tallystick.sim.chance import Chance
from tallystick.sim.conditions import Line, Lines

MBIT: Final = 1_000_000 // 8
"""Bytes a second."""


class Region(StrEnum):
    """Where a node stands."""

    NORTH_AMERICA = "North America"
    EUROPE = "Europe"
    SOUTH_AMERICA = "South America"
    ASIA_PACIFIC = "Asia and Pacific"
    JAPAN = "Japan"
    AUSTRALIA = "Australia"
    ROOM = "one room"
    """A local network: all on one switch."""


_WORLD: Final = tuple(Region)[:6]

_MEAN_LATENCY_MS: Final = (
    (32, 124, 184, 198, 151, 189),
    (124, 11, 227, 237, 252, 294),
    (184, 227, 88, 325, 301, 322),
    (198, 237, 325, 85, 58, 198),
    (151, 252, 301, 58, 12, 126),
    (189, 294, 322, 198, 126, 16),
)

LATENCY_US: Final[Mapping[tuple[Region, Region], int]] = {
    (one, other): 1_000 * _MEAN_LATENCY_MS[row][column]
    for row, one in enumerate(_WORLD)
    for column, other in enumerate(_WORLD)
} | {(Region.ROOM, Region.ROOM): 300}
"""Mean time that a message is under way between two regions."""

JITTER: Final = 0.2
"""Each message takes up to so much less or more than the mean, as a share of it."""


class Rates(NamedTuple):
    """Bytes a second, in the median of a region."""

    up: int
    down: int


RATES: Final[Mapping[Region, Rates]] = {
    Region.NORTH_AMERICA: Rates(int(19.2 * MBIT), int(52.0 * MBIT)),
    Region.EUROPE: Rates(int(20.7 * MBIT), int(40.0 * MBIT)),
    Region.SOUTH_AMERICA: Rates(int(5.8 * MBIT), int(18.0 * MBIT)),
    Region.ASIA_PACIFIC: Rates(int(15.7 * MBIT), int(22.8 * MBIT)),
    Region.JAPAN: Rates(int(10.2 * MBIT), int(22.8 * MBIT)),
    Region.AUSTRALIA: Rates(int(11.3 * MBIT), int(29.9 * MBIT)),
    Region.ROOM: Rates(1_000 * MBIT, 1_000 * MBIT),
}

SPREAD: Final = (0.46, 0.64, 0.78, 0.92, 1.08, 1.28, 1.56, 2.15)
"""What the eighths of a log-normal distribution with median 1 and a spread of 0.5 have in their middles."""

BITCOIN_2019: Final[Mapping[Region, float]] = {
    Region.NORTH_AMERICA: 0.3316,
    Region.EUROPE: 0.4998,
    Region.SOUTH_AMERICA: 0.0090,
    Region.ASIA_PACIFIC: 0.1177,
    Region.JAPAN: 0.0224,
    Region.AUSTRALIA: 0.0195,
}
"""Which share of the nodes stands where."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where one node stands."""

    region: Region
    rates: Rates
    """Its own, in bytes a second."""


def draw_sites(chance: Chance, nodes: int, shares: Mapping[Region, float]) -> list[Site]:
    """Where each of so many nodes stands. The regions have their shares exactly, as far as there are nodes."""
    sites = []
    for region in _spread_out(nodes, shares):
        factor = 1.0 if region is Region.ROOM else chance.choice(SPREAD)
        median = RATES[region]
        sites.append(Site(region, Rates(int(median.up * factor), int(median.down * factor))))
    chance.shuffle(sites)
    return sites


def _spread_out(nodes: int, shares: Mapping[Region, float]) -> list[Region]:
    """The region of each node, by the largest remainder."""
    quotas = {region: nodes * share / sum(shares.values()) for region, share in shares.items()}
    counts = {region: int(quota) for region, quota in quotas.items()}
    by_remainder = sorted(shares, key=lambda region: counts[region] - quotas[region])
    for region in by_remainder[: nodes - sum(counts.values())]:
        counts[region] += 1
    return [region for region, count in counts.items() for _ in range(count)]


def lines_between(sites: Sequence[Site]) -> Lines:
    """What lies between nodes that stand there, by their numbers. Equal lines are one value."""
    known: dict[tuple[Region, Region, int], Line] = {}

    def line(one: int, other: int) -> Line:
        here, there = sites[one], sites[other]
        rate = min(here.rates.up, there.rates.down)
        key = (here.region, there.region, rate)
        found = known.get(key)
        if found is None:
            mean_us = LATENCY_US[here.region, there.region]
            span_us = (int(mean_us * (1 - JITTER)), int(mean_us * (1 + JITTER)))
            found = known[key] = Line(latency_us=span_us, bytes_per_second=rate, takes_turns=True)
        return found

    return line
