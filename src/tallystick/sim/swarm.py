"""Swarm testing: the seed draws not only what happens but also what it happens to.

One configuration that has everything in it hides as much as it shows: where every fault can happen, some never get the
time to do harm (Groce et al., "Swarm Testing", ISSTA 2012). So each seed leaves out most of them, and draws how many
nodes there are, who dials whom, what they speak, how small their limits are, what lies between them and what is posted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from tallystick.model.limits import Limits
from tallystick.model.network import CLASSIC, EASIEST_BITS, Kind, Network, SealedRules, sealed_network
from tallystick.node.profile import Profile
from tallystick.sim.book import Book
from tallystick.sim.chance import Chance, happens, stream
from tallystick.sim.clock import WALL_MS, Clock
from tallystick.sim.conditions import Line, everywhere
from tallystick.sim.faults import QUIET, Fault, What, draw
from tallystick.sim.faulty.cast import Faulty, address_for, draw_faulty, hemmed_in, move_in
from tallystick.sim.host import Host
from tallystick.sim.identity import draw_identity
from tallystick.sim.workload import Demand
from tallystick.sim.world import World, address_of
from tallystick.wire.dialect import Dialect

SMALL_CLASSIC: Final = Limits(
    view_page=3,
    recent_headers=4,
    page_bytes=200,
    side_bytes=3_000,
    batch_blocks=3,
    headers_per_reply=3,
    plan_batches=3,
    window_batches=3,
    announced_points=2,
    known_blocks=6,
    push_bytes=7,
    reply_soft_bytes=150,
    part_bytes=64,
)
"""Everything in pages and parts, forks deeper than memory, and old side branches dropped all the time."""

SMALL_SEALED: Final = Limits(
    view_page=3,
    recent_headers=4,
    page_bytes=400,
    batch_blocks=3,
    headers_per_reply=3,
    window_batches=3,
    announced_points=2,
    known_blocks=6,
    push_bytes=400,
    reply_soft_bytes=900,
    part_bytes=256,
    announced_records=2,
    records_per_request=2,
    known_records=4,
)
"""Likewise, with records."""

SLOWEST_LINE: Final = 20_000
"""Bytes a second."""

SLOW_LINE_BYTES: Final = 2_000
"""The longest classic post where lines are slow: the dialect says a whole chain again where a block is missing, and
longer ones would not be through by the time when all have to agree."""

WORK: Final = sealed_network(
    Kind.WORK,
    "simulated",
    SealedRules(spacing_ms=10_000, half_life_ms=3_600_000, bits=EASIEST_BITS, max_block_records=5),
    WALL_MS - 10_000,
)


@dataclass(frozen=True)
class Configuration:
    """Everything that a run is made of."""

    seed: int
    network: Network
    dials: Sequence[Sequence[int]]
    """Of each node: whom it dials."""

    limits: Limits = field(repr=False, default_factory=Limits)
    books: frozenset[int] = frozenset()
    """Nodes that are the book's."""

    classic_only: frozenset[int] = frozenset()
    """Nodes that speak the classic dialect alone."""

    miners: frozenset[int] = frozenset()
    line: Line = field(default_factory=Line)
    commit_us: Sequence[int] = ()
    """How long a commit takes at each node; empty: no time."""

    clocks: Sequence[Clock] = ()
    discover: bool = False
    demand: Demand = field(default_factory=Demand)
    faults: Sequence[Fault] = field(repr=False, default=())
    faulty: Sequence[Faulty] = ()
    """Who lives there beside the nodes."""

    during_ms: int = 60_000
    """How long faults and posts go on."""

    @property
    def nodes(self) -> int:
        return len(self.dials)

    @property
    def native(self) -> Sequence[int]:
        """Nodes that speak the native dialect."""
        return [node for node in range(self.nodes) if node not in self.books | self.classic_only]

    @property
    def may_be_slow(self) -> bool:
        """Can an honest node seem to be too slow?"""
        is_narrow = 0 < self.line.bytes_per_second < self.limits.slow_bytes_per_second
        return is_narrow or bool(self.line.lost or {fault.what for fault in self.faults} & QUIET)

    @property
    def is_sealed(self) -> bool:
        """Do its blocks hold records?"""
        return self.network.rules is not None


def network_of(kind: Kind) -> Network:
    """The network of this kind that is simulated."""
    match kind:
        case Kind.CLASSIC:
            return CLASSIC
        case Kind.WORK:
            return WORK


def draw_configuration(seed: int, kind: Kind) -> Configuration:
    """What this seed runs."""
    chance = stream(seed, f"swarm {kind}")
    network = network_of(kind)
    is_sealed = network.rules is not None
    nodes = chance.choice([2, 3, 3, 4, 4, 5, 5, 6, 7])
    books = frozenset({0}) if not is_sealed and happens(chance, 0.25) else frozenset[int]()
    during_ms = 300_000 if is_sealed else 60_000
    kinds = [what for what in What if happens(chance, 0.35)]
    wrong_clock_ms = chance.choice([5_000, 60_000, 300_000])
    is_small = happens(chance, 0.5)
    small = SMALL_SEALED if is_sealed else SMALL_CLASSIC
    drawn = Configuration(
        seed=seed,
        network=network,
        dials=draw_dials(chance, nodes, books),
        limits=small if is_small else Limits(),
        books=books,
        classic_only=frozenset() if is_sealed else _draw_classic_only(chance, nodes),
        miners=frozenset(node for node in range(nodes) if node == 0 or happens(chance, 0.5)),
        line=_draw_line(chance),
        commit_us=[chance.choice([0, 200, 5_000, 50_000]) for _ in range(nodes)] if happens(chance, 0.6) else (),
        clocks=[_draw_clock(chance, 60_000 if is_sealed else 86_400_000) for _ in range(nodes)],
        discover=happens(chance, 0.3),
        demand=_draw_demand(chance, during_ms, is_small=is_small),
        faults=draw(
            chance,
            kinds,
            nodes,
            during_ms=during_ms,
            every_ms=during_ms // chance.choice([5, 15, 40]),
            wrong_clock_ms=wrong_clock_ms,
        ),
        during_ms=during_ms,
    )
    if not is_sealed and drawn.line.bytes_per_second == SLOWEST_LINE:
        least, most = drawn.demand.data_bytes
        drawn = replace(drawn, demand=replace(drawn.demand, data_bytes=(least, min(most, SLOW_LINE_BYTES))))
    return with_faulty(drawn, draw_faulty(stream(seed, f"faulty {kind}"), drawn.native, is_sealed=is_sealed))


def with_faulty(configuration: Configuration, faulty: Sequence[Faulty]) -> Configuration:
    """The same with these in it, and with as little room as it takes for them to do harm."""
    return replace(configuration, faulty=faulty, limits=hemmed_in(configuration.limits, faulty))


def draw_dials(chance: Chance, nodes: int, books: frozenset[int] = frozenset()) -> list[list[int]]:
    """A connected graph: each node dials an earlier one, and some dial more. Those of the book dial nobody, so they
    come first."""
    return [
        sorted({chance.randrange(node) for _ in range(chance.randint(1, 2))}) if node and node not in books else []
        for node in range(nodes)
    ]


def _draw_classic_only(chance: Chance, nodes: int) -> frozenset[int]:
    """All, none, or some."""
    share = chance.choice([0.0, 0.0, 0.5, 1.0])
    return frozenset(node for node in range(nodes) if happens(chance, share))


def _draw_line(chance: Chance) -> Line:
    return Line(
        latency_us=(1_000, chance.choice([2_000, 50_000, 200_000, 1_000_000])),
        bytes_per_second=chance.choice([0, 0, 1_000_000, SLOWEST_LINE]),
        lost=chance.choice([0.0, 0.0, 0.01, 0.1]),
        repeated=chance.choice([0.0, 0.03]),
        gossip_lost=chance.choice([0.0, 0.05, 0.3]),
    )


def _draw_clock(chance: Chance, apart_ms: int) -> Clock:
    return Clock(
        began_ms=chance.randrange(10_000_000),
        drift_ppm=chance.choice([0, 0, -200, 50, 500]),
        wrong_ms=chance.randrange(apart_ms),
    )


def _draw_demand(chance: Chance, during_ms: int, *, is_small: bool) -> Demand:
    """Long posts are not for small limits: they would come in hundreds of parts, and show nothing new."""
    return Demand(
        every_ms=during_ms // chance.choice([10, 40, 100]),
        most=chance.choice([1, 4]),
        data_bytes=chance.choice([(1, 8), (1, 60), (1, 300) if is_small else (200, 20_000)]),
        erases=chance.choice([0.0, 0.1]),
    )


def build(configuration: Configuration) -> World:
    """The world of a configuration; nothing runs in it yet."""
    each = configuration
    world = World(each.seed, limits=each.limits, lines=everywhere(each.line))
    for node in range(each.nodes):
        clock = each.clocks[node] if each.clocks else Clock()
        clock = Clock(clock.began_ms, clock.drift_ppm, clock.wrong_ms)
        if node in each.books:
            world.add(Book(timestamps_as_text=happens(world.stream(f"book {node}"), 0.5)), clock=clock)
            continue
        profile = Profile(
            draw_identity(world.stream(f"key {node}"), is_stub=False),
            agent="tallystick/sim",
            listen_port=3001 if each.discover else 0,
            dial=(*_faulty_of(each, node), *map(address_of, each.dials[node])),
            discover=each.discover,
            classic=not each.is_sealed,
            mines=node in each.miners,
        )
        dialects = frozenset({Dialect.CLASSIC}) if node in each.classic_only else frozenset(Dialect)
        host = Host(each.network, each.limits, profile, world.stream(f"entropy {node}"), dialects=dialects)
        world.add(host, clock=clock, commit_us=each.commit_us[node] if each.commit_us else 0)
    move_in(world, each.faulty, each.network, each.limits, each.during_ms)
    return world


def _faulty_of(each: Configuration, node: int) -> Sequence[str]:
    """Where the faulty ones are that the operator of a node has named, before anybody else."""
    known = [at for at, faulty in enumerate(each.faulty) if node in faulty.dialled_by]
    return [address_for(each.faulty, at, each.nodes) for at in known]
