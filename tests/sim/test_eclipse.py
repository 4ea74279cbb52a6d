"""Whoever wants to surround a node: many machines of one hand, in few networks, against nodes with few places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tallystick.model.limits import Limits
from tallystick.model.network import CLASSIC
from tallystick.node.profile import Profile
from tallystick.sim.clock import WALL_MS
from tallystick.sim.conditions import Line, everywhere
from tallystick.sim.faulty.boaster import Staller
from tallystick.sim.faulty.cast import PORT, Faulty, Name, move_in
from tallystick.sim.faulty.guest import Guest
from tallystick.sim.faulty.turncoat import Turncoat
from tallystick.sim.faulty.withholder import Trickler
from tallystick.sim.host import Host
from tallystick.sim.identity import draw_identity
from tallystick.sim.machine import Machine
from tallystick.sim.scenario import Scenario
from tallystick.sim.swarm import Configuration
from tallystick.sim.world import World
from tallystick.wire import address_file
from tallystick.wire.address_book import AddressBook
from tallystick.wire.endpoint import Endpoint
from tests.sim.worlds import LINE, calm, hashes, host, line, machine, posts, settles

NODES = 6
HAND = 9
LIMITS = replace(
    Limits(), native_inbound_peers=8, strangers=16, outbound_peers=4, addresses=64, addresses_per_source=12
)
"""Fewer places, and a smaller book, than one hand has machines and addresses."""


def ip_of(node: int) -> str:
    """A public address, each in another network."""
    return f"{20 + node}.1.0.1"


def surrounded(seed: int) -> Scenario:
    """Nodes that nobody configured: each knows two others from before. And one hand that has more machines, and dials
    all of them twice from each."""
    world = World(seed, limits=LIMITS, lines=everywhere(LINE))
    identities = [draw_identity(world.stream(f"key {node}"), is_stub=False) for node in range(NODES)]
    for node in range(NODES):
        profile = Profile(identities[node], listen_port=PORT, classic=False)
        resident = Host(CLASSIC, LIMITS, profile, world.stream(f"entropy {node}"))
        book = AddressBook(LIMITS, private_ok=True)
        for other in ((node + 1) % NODES, (node + 3) % NODES):
            endpoint = Endpoint.of(ip_of(other), PORT)
            book.succeeded(endpoint, identities[other].public.hex(), WALL_MS)
            book.keep_anchors([*book.anchors, endpoint])
        resident.addresses = address_file.encode(book)
        world.add(resident, ip=ip_of(node))
    hand = [Faulty(Name.ECLIPSER, dials=tuple(range(NODES)))] * HAND
    move_in(world, hand, CLASSIC, LIMITS, until_ms=0)
    return Scenario(Configuration(seed, CLASSIC, [()] * NODES, LIMITS, discover=True), world)


def chosen(node: Machine) -> list[Machine]:
    """Whom a node dialled on its own account."""
    return [end.other.machine for end in node.ends.values() if end.dialled is not None]


def coming(node: Machine) -> list[Machine]:
    """Who dialled it."""
    return [end.other.machine for end in node.ends.values() if end.dialled is None]


def test_a_node_that_knew_honest_ones_is_never_surrounded() -> None:
    """Catalogue row 68. Not after it was restarted, either, which is when books are put to the test."""
    scenario = surrounded(seed=1)
    scenario.world.start()
    for restart in range(2):
        scenario.world.run(70_000)
        for node in scenario.hosts:
            assert any(other.is_honest for other in chosen(node)), f"{node} in round {restart}"
            assert sum(not other.is_honest for other in chosen(node)) <= 2  # a network group each
            assert len(coming(node)) >= LIMITS.native_inbound_peers  # the hand has taken what there was
        for node in scenario.hosts:
            node.crash(kept=True)
            node.start()
    for number in range(NODES):
        posts(scenario, number, f"from {number}")
    scenario.world.run(30_000)
    settles(scenario)
    assert len(scenario.promises.acknowledged) >= NODES


def newcomer(faulty: Sequence[type[Guest | Turncoat]], *, size: int = 1, through: Line = LINE) -> Scenario:
    """A chain of sixty blocks, and a node that comes later and is dialled by these first."""
    scenario = calm(line(3), line=through)
    world = scenario.world
    machine(scenario, 2).stop()
    for number in range(60):
        posts(scenario, 0, f"post {number}".ljust(size))
    world.run(60_000)
    victim = [machine(scenario, 2).address]
    for number, kind in enumerate(faulty):
        chance, network = world.stream(f"faulty {number}"), scenario.configuration.network
        resident: Guest | Turncoat
        if issubclass(kind, Turncoat):
            resident = kind(network, Limits(), chance, dials=[machine(scenario, 0).address, *victim])
        else:
            resident = kind(network, chance, dials=victim)
        world.add(resident, is_honest=False).start()
    world.run(30_000)
    return scenario


@pytest.mark.parametrize("faulty", [[Staller] * 3, [Trickler] * 3, [Staller, Trickler]])
def test_a_sync_ends_though_others_lead_it(faulty: Sequence[type[Guest | Turncoat]]) -> None:
    """Catalogue rows 58 and 59: whoever holds it up is replaced by who does better."""
    scenario = newcomer(faulty)
    machine(scenario, 2).start()
    scenario.world.run(120_000)
    assert hashes(scenario)[2] == hashes(scenario)[0]
    assert len(host(scenario, 2).chain()) == 61


def test_a_sync_through_a_slow_line_ends_though_others_claim_more() -> None:
    """Whoever claims the most could always do better, as far as anybody knows: where our own line is slow, all who have
    something would be replaced for that before they are done."""
    slow = replace(LINE, bytes_per_second=20_000)
    scenario = newcomer([Staller] * 2, size=5_000, through=slow)
    scenario.blame.may_be_slow = True
    machine(scenario, 2).start()
    scenario.world.run(240_000)
    assert len(host(scenario, 2).chain()) == 61
