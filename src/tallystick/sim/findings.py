"""What a study found, as values that go to a terminal, a page or a program alike.

Nothing here depends on the machine that it ran on: the same plan has the same findings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import exp
from statistics import median
from typing import TYPE_CHECKING, Final

import msgspec

from tallystick.sim.ledger import NEVER, Course
from tallystick.sim.presets import Plan

if TYPE_CHECKING:
    from tallystick.sim.net import Net

REACHED: Final = (0.5, 0.9, 0.99, 1.0)
"""Shares of the nodes, for which it is told when they had a block."""

CURVE_POINTS: Final = 100


class Spread(msgspec.Struct, frozen=True):
    """A quantity over many things."""

    median: float
    p90: float
    p99: float
    most: float


class Reach(msgspec.Struct, frozen=True):
    """How long it took until so large a share of the nodes had a block, over all blocks of the best chain."""

    share: float
    blocks: int
    """That came so far."""

    median_ms: float
    p90_ms: float
    p99_ms: float


class Propagation(msgspec.Struct, frozen=True):
    """How blocks spread that stayed on the best chain and had no rival of the same index: where there is one, half of
    the nodes wait for the next block to see which is better, and that would tell of the spacing, not of the network."""

    blocks: int
    mean_ms: float
    """Until a node has a block, over all nodes and blocks: D of Decker and Wattenhofer."""

    reach: list[Reach]
    curve: list[tuple[float, float]]
    """Milliseconds since a block was made, and the share of nodes that have it."""


class Rate(msgspec.Struct, frozen=True):
    """What becomes stale at one spacing of blocks, and what should."""

    spacing_s: float
    made: int
    stale: int
    share: float
    expected: float
    """1 - exp(-D/T), D being `Propagation.mean_ms` and T the spacing."""

    error: float
    """One standard error of the share, from how few blocks there were."""


class Sent(msgspec.Struct, frozen=True):
    """Messages of one kind."""

    kind: str
    messages: int
    size_bytes: int


class Traffic(msgspec.Struct, frozen=True):
    """What went over the wire while blocks were made."""

    seconds: float
    kinds: list[Sent]
    """The one with most bytes first."""

    sent_bytes: Spread
    """By a node."""

    received_bytes: Spread
    messages_a_block: float
    bytes_a_block: float
    """That one node received."""

    bodies_a_block: float
    """How often a node was sent a block's body; 1 would be the least."""

    most_crossings: int
    """Of one body over one connection, as far as that was watched."""


class Reorgs(msgspec.Struct, frozen=True):
    """How often nodes took off so many blocks."""

    depth: int
    times: int


class Findings(msgspec.Struct, frozen=True):
    """Everything that a study found."""

    preset: str
    nodes: int
    kind: str
    seed: int
    blocks: int
    size_bytes: int
    regions: dict[str, int]
    connections: Spread
    complete: bool
    """False when it was interrupted."""

    propagation: Propagation
    stale: list[Rate]
    traffic: Traffic
    reorgs: list[Reorgs]


def findings_of(plan: Plan, nets: Sequence[Net], *, is_whole: bool) -> Findings:
    """What the first net has seen, and what became stale in each."""
    net = nets[0]
    propagation = propagation_of(net)
    return Findings(
        preset=plan.preset.name,
        nodes=plan.nodes,
        kind=str(plan.kind),
        seed=plan.seed,
        blocks=plan.blocks,
        size_bytes=plan.size_bytes,
        regions=dict(sorted(Counter(str(site.region) for site in net.sites).items())),
        connections=spread([len(machine.ends) for machine in net.world.machines]),
        complete=is_whole,
        propagation=propagation,
        stale=[rate_of(each, propagation.mean_ms) for each in nets],
        traffic=_traffic_of(net),
        reorgs=[Reorgs(depth, times) for depth, times in sorted(net.ledger.reorgs.items())],
    )


def propagation_of(net: Net) -> Propagation:
    """How blocks have spread. If each of them has a rival, of all that stayed."""
    best = set(net.best_chain())
    rivals = Counter(course.index for course in net.ledger.courses.values())
    stayed = [course for course in net.ledger.courses.values() if course.hash in best]
    courses = [course for course in stayed if rivals[course.index] == 1] or stayed
    delays_us = sorted(delay for course in courses for delay in course.arrived_us if delay != NEVER)
    return Propagation(
        len(courses),
        _ms(sum(delays_us) / len(delays_us)) if delays_us else 0.0,
        [_reach(share, courses) for share in REACHED],
        _curve(delays_us, net.plan.nodes * len(courses)),
    )


def _reach(share: float, courses: Sequence[Course]) -> Reach:
    times_us = []
    for course in courses:
        needed = max(1, -int(-share * len(course.arrived_us) // 1))
        if course.reached >= needed:
            times_us.append(sorted(delay for delay in course.arrived_us if delay != NEVER)[needed - 1])
    found = spread(times_us)
    return Reach(share, len(times_us), _ms(found.median), _ms(found.p90), _ms(found.p99))


def _curve(delays_us: Sequence[int], all_of_them: int) -> list[tuple[float, float]]:
    """Some points of the cumulative distribution."""
    points = []
    for step in range(CURVE_POINTS + 1):
        place = min(len(delays_us) - 1, len(delays_us) * step // CURVE_POINTS)
        if place >= 0:
            points.append((_ms(delays_us[place]), round((place + 1) / all_of_them, 4)))
    return points


def rate_of(net: Net, mean_ms: float) -> Rate:
    """What of the blocks of a net became stale, and what should where a block takes so long on average."""
    best = set(net.best_chain())
    made = len(net.ledger.courses)
    stale = sum(hash not in best for hash in net.ledger.courses)
    share = stale / made
    return Rate(
        spacing_s=net.spacing_ms / 1_000,
        made=made,
        stale=stale,
        share=round(share, 6),
        expected=round(1 - exp(-mean_ms / net.spacing_ms), 6),
        error=round((max(share * (1 - share), 1 / made**2) / made) ** 0.5, 6),
    )


def _traffic_of(net: Net) -> Traffic:
    traffic, nodes = net.traffic, net.plan.nodes
    blocks = max(1, len(net.ledger.courses))
    kinds = [Sent(kind, traffic.messages[kind], size) for kind, size in traffic.bytes.most_common()]
    return Traffic(
        seconds=((net.closed_ms or net.world.now_ms) - net.opened_ms) / 1_000,
        kinds=kinds,
        sent_bytes=spread(traffic.sent),
        received_bytes=spread(traffic.received),
        messages_a_block=round(sum(traffic.messages.values()) / blocks, 1),
        bytes_a_block=round(sum(traffic.bytes.values()) / blocks / nodes, 1),
        bodies_a_block=round(traffic.bodies / blocks / max(1, nodes - 1), 3),
        most_crossings=max(traffic.crossings.values(), default=0),
    )


def spread(values: Sequence[float]) -> Spread:
    """Middle and upper end of some values; nothing but zeros when there are none."""
    if not values:
        return Spread(0.0, 0.0, 0.0, 0.0)
    ordered = sorted(values)

    def at(share: float) -> float:
        return float(ordered[min(len(ordered) - 1, int(share * len(ordered)))])

    return Spread(float(median(ordered)), at(0.9), at(0.99), float(ordered[-1]))


def _ms(us: float) -> float:
    return round(us / 1_000, 3)
