from __future__ import annotations

from tallystick.chain.writes import AddSide, Append, Switch
from tallystick.consensus import engine_for
from tallystick.model.block import Block, header_of
from tallystick.model.network import CLASSIC, CLASSIC_GENESIS
from tallystick.sim.ledger import NEVER, Course, Ledger
from tallystick.sim.world import World
from tests.sim.ear import Ear


def block(text: str, parent: Block = CLASSIC_GENESIS) -> Block:
    made = engine_for(CLASSIC).seal(header_of(parent), text, 1_700_000_000_000)
    assert isinstance(made, Block)
    return made


def test_a_block_is_followed_from_its_maker_to_whoever_has_it() -> None:
    world, made = World(1), list[Course]()
    machines = [world.add(Ear()) for _ in range(3)]
    ledger = Ledger(world.schedule, 3, made.append)
    ledger.is_open = True
    a, b = block("a"), block("b")
    ledger.stepped(machines[1], (), [Append([a])])
    world.run(20)
    ledger.stepped(machines[0], (), [AddSide([a]), Append([b])])
    world.run(20)
    ledger.stepped(machines[0], (), [Append([a])])
    assert list(ledger.courses) == [a.hash, b.hash]
    assert made == list(ledger.courses.values())
    first = ledger.courses[a.hash]
    assert (first.maker, first.index, first.reached, list(first.arrived_us)) == (1, 1, 2, [20_000, 0, NEVER])
    assert list(ledger.courses[b.hash].arrived_us) == [0, NEVER, NEVER]


def test_what_was_there_before_is_no_new_block() -> None:
    world = World(1)
    machine = world.add(Ear())
    ledger = Ledger(world.schedule, 1, lambda _: None)
    ledger.stepped(machine, (), [Append([block("a")]), Switch(0, 3, "", 4)])
    ledger.is_open = True
    ledger.stepped(machine, (), [Append([block("a")])])
    assert not ledger.courses
    assert not ledger.reorgs


def test_switches_are_counted_by_how_much_was_taken_off() -> None:
    world = World(1)
    machine = world.add(Ear())
    ledger = Ledger(world.schedule, 1, lambda _: None)
    ledger.is_open = True
    ledger.stepped(machine, (), [Switch(5, 7, "", 9), Switch(5, 7, "", 9), Switch(1, 2, "", 3)])
    assert ledger.reorgs == {2: 2, 1: 1}
