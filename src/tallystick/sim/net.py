"""The world of a study: honest nodes, the lines between them, and somebody who has blocks made."""

from __future__ import annotations

from collections import Counter
from typing import Final

from tallystick.consensus import engine_for
from tallystick.model.limits import LIMITS
from tallystick.model.network import CLASSIC, Kind, Network, SealedRules, sealed_network
from tallystick.model.record import SALT_BYTES, Record, make_record
from tallystick.node.inputs import Post, PostRecords
from tallystick.node.profile import Profile
from tallystick.sim.chance import Chance, stream
from tallystick.sim.checkers import Blame, Insides
from tallystick.sim.clock import WALL_MS
from tallystick.sim.host import Disk, Host, LeanDisk
from tallystick.sim.identity import draw_identity
from tallystick.sim.ledger import Course, Ledger
from tallystick.sim.presets import THIN, Plan
from tallystick.sim.regions import Site, draw_sites, lines_between
from tallystick.sim.schedule import SPINNING
from tallystick.sim.sharing import SharedEngine
from tallystick.sim.trace import Untraced
from tallystick.sim.traffic import Traffic
from tallystick.sim.world import World, address_of

START_BITS: Final = 0x2003_FFFF
START_HASHES: Final = 64
"""A nonce takes so many hashes at this difficulty, on average."""

CALLS_AT_ONCE: Final = 1_000
"""So many of one node at the same microsecond, and somebody makes work for itself."""

QUIET_MS: Final = 15_000
"""No connection came or went for so long: nobody knows of anybody else to dial."""

LOOK_EVERY: Final = 50
LOOK_EVERY_THIN: Final = 5_000
"""One batch in so many is followed by a look inside the node that took it."""

_ENTRY_BYTES: Final = 200
"""A record is longer than its data by less than this."""


def network_of(plan: Plan, spacing_ms: int) -> Network:
    """The network that is studied, with blocks of one record at this spacing."""
    if plan.kind is Kind.CLASSIC:
        return CLASSIC
    rules = SealedRules(
        spacing_ms=spacing_ms,
        half_life_ms=1_000 * spacing_ms,
        bits=START_BITS,
        max_block_records=1,
        max_data_bytes=plan.size_bytes,
        max_block_bytes=plan.size_bytes + _ENTRY_BYTES,
    )
    return sealed_network(plan.kind, "studied", rules, WALL_MS - spacing_ms)


def draw_topology(chance: Chance, nodes: int, outbound: int) -> list[list[int]]:
    """Whom each node has dialled: so many others, none of which has dialled it."""
    dials: list[list[int]] = []
    linked: list[set[int]] = [{node} for node in range(nodes)]
    for node in range(nodes):
        chosen: list[int] = []
        while len(chosen) < outbound and len(linked[node]) < nodes:
            other = chance.randrange(nodes)
            if other not in linked[node]:
                linked[node].add(other)
                linked[other].add(node)
                chosen.append(other)
        dials.append(chosen)
    return dials


class Net:
    """Owner of a world and of what is seen in it."""

    def __init__(self, plan: Plan, spacing_ms: int) -> None:
        self.plan = plan
        self.spacing_ms = spacing_ms
        self.limits = THIN if plan.is_thin else LIMITS
        network = network_of(plan, spacing_ms)
        self._engine = SharedEngine(engine_for(network))
        self.sites: list[Site] = draw_sites(stream(plan.seed, "sites"), plan.nodes, plan.preset.shares)
        self.world = World(plan.seed, limits=self.limits, lines=lines_between(self.sites), trace=Untraced())
        self.world.schedule.spinning = max(SPINNING, CALLS_AT_ONCE * plan.nodes)
        self.world.hashes_a_second = START_HASHES * 1_000 / (spacing_ms * plan.miners)
        self.ledger = Ledger(self.world.schedule, plan.nodes, self._on_made)
        self.traffic = Traffic(self._engine, plan.nodes)
        self.world.links.taps.append(self.traffic)
        self.insides = Insides(LOOK_EVERY_THIN if plan.is_thin else LOOK_EVERY)
        self.world.watchers += [self.ledger, Blame(may_be_slow=True), self.insides]
        self.hosts: list[Host] = []
        self.topology = draw_topology(self.world.stream("topology"), plan.nodes, self.limits.outbound_peers)
        self.opened_ms = self.closed_ms = 0
        self._connections = self._connected_ms = 0
        self._people = self.world.stream("people")
        self._posts = 0
        self._is_making = False
        self._populate(network)

    def _populate(self, network: Network) -> None:
        plan = self.plan
        miners = set(self.world.stream("miners").sample(range(plan.nodes), plan.miners))
        shelf: dict[bytes, Record] = {}
        for number in range(plan.nodes):
            host = Host(
                network,
                self.limits,
                self._profile(number, mines=number in miners),
                self.world.stream(f"entropy {number}"),
                engine=self._engine,
                store=LeanDisk(network, self.limits, shelf) if plan.is_thin else Disk(network, self.limits),
            )
            self.hosts.append(host)
            self.world.add(host, commit_us=plan.commit_us)

    def _profile(self, number: int, *, mines: bool) -> Profile:
        """A thin node dials whom the topology says; others begin with one that they know, and find the rest."""
        is_thin = self.plan.is_thin
        knows = self.topology[number] if is_thin else [number - 1] if number else []
        return Profile(
            draw_identity(self.world.stream(f"key {number}"), is_stub=is_thin),
            agent="tallystick/sim",
            listen_port=0 if is_thin else 3001,
            dial=tuple(map(address_of, knows)),
            discover=not is_thin,
            classic=self.plan.kind is Kind.CLASSIC,
            mines=mines,
        )

    # --- phases --------------------------------------------------------------------------------

    def start(self) -> None:
        """Everybody starts, and where there are thousands, is connected at once."""
        self.world.start()
        if self.plan.is_thin:
            self.world.connect([(node, other) for node, dials in enumerate(self.topology) for other in dials])

    def is_acquainted(self) -> bool:
        """Has everybody as many connections as it wants, all of them admitted, or does nobody find any more?"""
        machines, now_ms = self.world.machines, self.world.now_ms
        connections = sum(len(machine.ends) for machine in machines)
        if connections != self._connections:
            self._connections, self._connected_ms = connections, now_ms
        wanted = min(self.limits.outbound_peers, self.plan.nodes - 1)
        is_over = now_ms - self._connected_ms >= QUIET_MS or all(len(machine.ends) >= wanted for machine in machines)
        return is_over and all(end.is_admitted for machine in machines for end in machine.ends.values())

    def open(self) -> None:
        """From here on everything is measured, and blocks are made."""
        self.opened_ms = self.world.now_ms
        self.ledger.is_open = self.traffic.is_open = self._is_making = True
        if self.plan.kind is Kind.CLASSIC:
            self._post_later()
        else:
            self._post()

    def stop_making(self) -> None:
        """No more blocks; those that are there have time to spread."""
        self._is_making = self.world.is_mining = False

    def close(self) -> None:
        """Nothing is measured any more."""
        self.closed_ms = self.world.now_ms
        self.ledger.is_open = self.traffic.is_open = False

    def is_settled(self) -> bool:
        """Do all chains weigh the same, and has everybody written down what came?"""
        weights = {host.weight() for host in self.hosts}
        return len(weights) == 1 and all(machine.is_idle for machine in self.world.machines)

    def check(self) -> None:
        """Look inside some nodes once more. Raises LawBrokenError."""
        for machine in self.world.machines[:: max(1, self.plan.nodes // 100)]:
            self.insides.look(machine)

    # --- what people do ------------------------------------------------------------------------

    def _on_made(self, course: Course) -> None:
        """Somebody has made a block: the next one is to hold something, too."""
        if self._is_making and self.plan.kind is not Kind.CLASSIC:
            self.world.schedule.after(0, self._post)

    def _post_later(self) -> None:
        delay_us = int(self._people.expovariate(1 / (self.spacing_ms * 1_000)))
        self.world.schedule.after(delay_us, self._post)

    def _post(self) -> None:
        """Somebody posts at some node what fills one block."""
        if not self._is_making:
            return
        node = self._people.randrange(self.plan.nodes)
        self._posts += 1
        text = f"{self._posts} ".ljust(self.plan.size_bytes - 2, "x")
        if self.plan.kind is Kind.CLASSIC:
            self.world.tell(node, Post(self._posts, text))
            self._post_later()
        else:
            record = make_record(f"r{self._posts}", text, self._people.randbytes(SALT_BYTES))
            self.world.tell(node, PostRecords(self._posts, [record]))

    # --- what came out -------------------------------------------------------------------------

    def best_chain(self) -> list[str]:
        """Hashes of the chain that most nodes follow."""
        tips = Counter(host.chain()[-1].hash for host in self.hosts)
        best = min(tips, key=lambda tip: (-tips[tip], tip))
        host = next(host for host in self.hosts if host.chain()[-1].hash == best)
        return [block.hash for block in host.chain()]
