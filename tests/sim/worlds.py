"""Small worlds in which nothing goes wrong by itself, for tests that want to see one thing."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tallystick.model.limits import Limits
from tallystick.model.network import CLASSIC, Network
from tallystick.sim.conditions import Line
from tallystick.sim.host import Host
from tallystick.sim.machine import Machine
from tallystick.sim.scenario import Scenario
from tallystick.sim.swarm import WORK, Configuration

MOST_LATENCY_MS = 200
LINE = Line(latency_us=(1_000, MOST_LATENCY_MS * 1_000))


def calm(
    dials: Sequence[Sequence[int]],
    *,
    seed: int = 1,
    network: Network = CLASSIC,
    limits: Limits | None = None,
    line: Line = LINE,
    classic_only: Collection[int] = (),
    books: Collection[int] = (),
    miners: Collection[int] = (0,),
    commit_us: int = 0,
) -> Scenario:
    """Nodes that dial each other so, running. Nobody posts but the test."""
    scenario = Scenario(
        Configuration(
            seed=seed,
            network=network,
            dials=dials,
            limits=limits or Limits(),
            books=frozenset(books),
            classic_only=frozenset(classic_only),
            miners=frozenset(miners),
            line=line,
            commit_us=[commit_us] * len(dials),
        )
    )
    scenario.world.start()
    return scenario


def work(dials: Sequence[Sequence[int]], **others: object) -> Scenario:
    """Likewise, with records and miners."""
    return calm(dials, network=WORK, **others)  # type: ignore[arg-type]  # as `calm` has them


def line(nodes: int) -> list[list[int]]:
    """Each dials the next one."""
    return [[node + 1] if node + 1 < nodes else [] for node in range(nodes)]


def host(scenario: Scenario, number: int) -> Host:
    """The node on a machine."""
    resident = scenario.world.machines[number].resident
    assert isinstance(resident, Host)
    return resident


def posts(scenario: Scenario, number: int, text: str) -> None:
    """Somebody posts a text at a machine."""
    scenario.promises.post(scenario.world.machines[number], text)


def settles(scenario: Scenario) -> int:
    """Heal everything, and check what must hold then; returns how many ms it took."""
    took_ms = scenario.heal()
    scenario.check()
    return took_ms


def hashes(scenario: Scenario) -> list[list[str]]:
    """The chain of each node."""
    return [[block.hash for block in host(scenario, machine.number).chain()] for machine in scenario.hosts]


def machine(scenario: Scenario, number: int) -> Machine:
    """A machine by its number."""
    return scenario.world.machines[number]
