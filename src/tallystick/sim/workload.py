"""Who posts what where: people at any machine, at any time, with texts that nobody else posts.

(Two nodes that take the same text in the same second may repeat it once, which is lawful. So no text comes twice.) The
same *record* may be posted at two machines: whoever got no answer from one tries another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tallystick.model.record import SALT_BYTES, Record, make_record
from tallystick.sim.chance import Chance
from tallystick.sim.machine import Machine
from tallystick.sim.promises import Promises


@dataclass(frozen=True, slots=True)
class Demand:
    """How much is posted, and of what."""

    every_ms: int = 1_000
    """Between two callers on average, over all machines together."""

    most: int = 4
    """Posts of one caller, or records in one post."""

    data_bytes: tuple[int, int] = (1, 40)
    """Least and most of one post."""

    waits: float = 0.1
    """Of callers so many wait for their block."""

    again: float = 0.05
    """Of callers so many post at another machine what was posted at one before."""

    erases: float = 0.0
    """Of callers so many have a record erased instead."""


class Workload:
    """People who post, until `stop`."""

    def __init__(
        self, promises: Promises, machines: Sequence[Machine], demand: Demand, chance: Chance, *, records: bool
    ) -> None:
        """They post at these machines: `records`, or texts."""
        self._promises = promises
        self._machines = machines
        self._demand = demand
        self._chance = chance
        self._post = self._post_records if records else self._post_texts
        self._made: list[Record] = []
        self._number = 0
        self._is_over = False

    def begin(self) -> None:
        """The first of them is on the way."""
        self._later()

    def stop(self) -> None:
        """Nobody comes any more."""
        self._is_over = True

    def post_one(self, machine: Machine) -> None:
        """Somebody posts one thing here, now."""
        self._post(machine, 1)

    def _later(self) -> None:
        delay_us = int(self._chance.expovariate(1 / (self._demand.every_ms * 1_000)))
        self._promises.world.schedule.after(delay_us, self._come)

    def _come(self) -> None:
        if not self._is_over:
            self._post(self._chance.choice(self._machines), self._chance.randint(1, self._demand.most))
            self._later()

    def _text(self) -> str:
        self._number += 1
        return f"{self._number} ".ljust(self._chance.randint(*self._demand.data_bytes), "x")

    def _post_texts(self, machine: Machine, number: int) -> None:
        for _ in range(number):
            self._promises.post(machine, self._text())

    def _post_records(self, machine: Machine, number: int) -> None:
        turn = self._chance.random()
        if self._made and turn < self._demand.erases:
            self._promises.erase(machine, self._chance.choice(self._made))
        elif self._made and turn < self._demand.erases + self._demand.again:
            self._promises.post_records(machine, [self._chance.choice(self._made)])
        elif turn > 1 - self._demand.waits:
            self._promises.post_and_wait(machine, self._record(), self._chance.randint(1, 60_000))
        else:
            self._promises.post_records(machine, [self._record() for _ in range(number)])

    def _record(self) -> Record:
        text = self._text()
        record = make_record(f"r{self._number}", text, self._chance.randbytes(SALT_BYTES))
        self._made.append(record)
        return record
