"""What goes wrong, and when: a list of faults, drawn from a seed before anything happens.

A fault is a value, so a list of them can be printed, cut down and told again. Each lasts a while and is over by itself,
or when everything is healed.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tallystick.sim.chance import Chance, happens
from tallystick.sim.host import Host
from tallystick.sim.machine import Doom, Machine
from tallystick.sim.world import World


class What(enum.StrEnum):
    """The faults there are."""

    CRASH = "crash"
    """A process dies, its machine lives: peers hear of it at once."""

    DOOM = "doom"
    """A process dies `amount` effects later, between any two things it does."""

    POWER = "power"
    """A machine dies: peers hear nothing."""

    CHURN = "churn"
    """A node is stopped properly."""

    SEVER = "sever"
    """Two machines can't reach each other, and are told so."""

    SILENCE = "silence"
    """What one machine says does not reach the other, and nobody is told."""

    SPLIT = "split"
    """The machines fall into two halves, silently, at `amount`."""

    CUT = "cut"
    """The connections between two machines break; they may dial again."""

    FREEZE = "freeze"
    """A process stands still."""

    CLOCK = "clock"
    """The wall clock of a machine is set by `amount` ms."""

    DISK = "disk"
    """The disk of a machine is full `amount` writes later."""

    SLOW = "slow"
    """What one machine says to the other goes at `amount` bytes a second."""


QUIET: Final = frozenset({What.POWER, What.SILENCE, What.SPLIT, What.FREEZE, What.SLOW})
"""Faults by which an honest node may take another for too slow, and hang up."""

LONGEST_MS: Final = 90_000
"""A fault is over after so long: enough for every patience of a node to run out."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong."""

    at_ms: int
    what: What
    machine: int
    other: int
    """Another machine, where it takes two."""

    for_ms: int
    amount: int = 0
    kept: bool = False
    """Whether a batch on its way to the disk is durable."""


def draw(
    chance: Chance, kinds: Collection[What], machines: int, *, during_ms: int, every_ms: int, wrong_clock_ms: int
) -> list[Fault]:
    """Faults of these kinds among so many machines, one in `every_ms` on average, in order."""
    ordered, faults, at_ms = sorted(kinds), list[Fault](), 0
    while ordered and (at_ms := at_ms + int(chance.expovariate(1 / every_ms))) < during_ms:
        what = chance.choice(ordered)
        machine = chance.randrange(machines)
        other = (machine + chance.randrange(1, machines)) % machines if machines > 1 else machine
        fault = Fault(at_ms, what, machine, other, int(LONGEST_MS * chance.random() ** 2), kept=happens(chance, 0.5))
        match what:
            case What.DOOM:
                fault = replace(fault, amount=chance.randint(0, 12))
            case What.SPLIT:
                fault = replace(fault, amount=chance.randint(1, max(1, machines - 1)))
            case What.CLOCK:
                fault = replace(fault, amount=chance.randint(-wrong_clock_ms, wrong_clock_ms))
            case What.DISK:
                fault = replace(fault, amount=chance.randint(0, 5))
            case What.SLOW:
                fault = replace(fault, amount=chance.choice([300, 3_000, 30_000]))
        faults.append(fault)
    return faults


class Faults:
    """Lets faults happen in a world, and heals it."""

    def __init__(self, world: World, faults: Sequence[Fault]) -> None:
        self._world = world
        self._faults = faults
        self._healed = False
        self._right_ms: dict[int, int] = {}
        """How wrong each clock was before it was set."""

        self._begin: dict[What, Callable[[Fault], None]] = {
            What.CRASH: lambda fault: self._of(fault).crash(kept=fault.kept),
            What.DOOM: self._doom,
            What.POWER: lambda fault: self._of(fault).crash(kept=fault.kept, power=False),
            What.CHURN: lambda fault: self._of(fault).stop(),
            What.SEVER: lambda fault: world.between.sever(self._of(fault), world.machines[fault.other]),
            What.SILENCE: lambda fault: world.between.silence(self._of(fault), world.machines[fault.other]),
            What.SPLIT: lambda fault: world.between.split(fault.amount),
            What.CUT: self._cut,
            What.FREEZE: lambda fault: self._of(fault).freeze(fault.for_ms * 1_000),
            What.CLOCK: self._set_clock,
            What.DISK: self._fill,
            What.SLOW: lambda fault: world.between.slow(self._of(fault), world.machines[fault.other], fault.amount),
        }

    def begin(self) -> None:
        """They are on the way."""
        for fault in self._faults:
            self._world.schedule.after(fault.at_ms * 1_000, self._happen, fault)

    def heal(self) -> None:
        """Nothing goes wrong any more: lines are mended, clocks are right, there is room on disks, and all run."""
        self._healed = True
        world = self._world
        world.between.mend_all()
        for machine in world.machines:
            self._repair(machine)
            machine.start()

    def _repair(self, machine: Machine) -> None:
        machine.clock.wrong_ms = self._right_ms.pop(machine.number, machine.clock.wrong_ms)
        machine.doom = None
        machine.thaw()
        if isinstance(machine.resident, Host):
            machine.resident.store.room = None

    def _of(self, fault: Fault) -> Machine:
        return self._world.machines[fault.machine]

    def _happen(self, fault: Fault) -> None:
        if not self._healed:
            self._world.trace.note(self._world.schedule.now_us, fault.machine, f"{fault}")
            self._begin[fault.what](fault)
            self._world.schedule.after(fault.for_ms * 1_000, self._pass, fault)

    def _pass(self, fault: Fault) -> None:
        """It is over."""
        if self._healed:
            return
        machine, other, between = self._of(fault), self._world.machines[fault.other], self._world.between
        match fault.what:
            case What.SEVER | What.SILENCE | What.SLOW:
                between.mend(machine, other)
            case What.SPLIT:
                between.rejoin(fault.amount)
            case What.CLOCK:
                machine.clock.wrong_ms = self._right_ms.pop(fault.machine, machine.clock.wrong_ms)
            case What.DISK | What.CRASH | What.DOOM | What.POWER | What.CHURN:
                if isinstance(machine.resident, Host):
                    machine.resident.store.room = None
                machine.start()

    def _doom(self, fault: Fault) -> None:
        self._of(fault).doom = Doom(fault.amount, fault.kept)

    def _fill(self, fault: Fault) -> None:
        resident = self._of(fault).resident
        if isinstance(resident, Host):
            resident.store.room = fault.amount

    def _set_clock(self, fault: Fault) -> None:
        clock = self._of(fault).clock
        self._right_ms.setdefault(fault.machine, clock.wrong_ms)
        clock.wrong_ms += fault.amount

    def _cut(self, fault: Fault) -> None:
        machine, other = self._of(fault), self._world.machines[fault.other]
        for end in [end for end in machine.ends.values() if end.other.machine is other]:
            self._world.links.cut(end, "the connection broke")
