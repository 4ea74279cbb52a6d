"""How connections come about: dialling, and being there.

A dial takes the way there and back. Nobody answers where nothing gets through or the machine is dead, and the dialler
gives up after `Limits.handshake_ms`; where a machine lives and no process does, it is told at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tallystick.errors import Rule, RuleViolation
from tallystick.model.limits import Limits
from tallystick.node.inputs import DialFailed, PeerOpened
from tallystick.sim.between import Between
from tallystick.sim.chance import Chance
from tallystick.sim.end import End
from tallystick.sim.links import Links
from tallystick.sim.machine import Machine
from tallystick.sim.schedule import Schedule
from tallystick.wire.dialect import Dialect
from tallystick.wire.terms import terms_of

EPHEMERAL: Final = 32_768
"""Where the ports begin from which machines dial."""

_NO_ROUTE_US: Final = 1_000


class Dialling:
    """Makes connections between machines."""

    def __init__(
        self,
        schedule: Schedule,
        links: Links,
        between: Between,
        machines: Mapping[str, Machine],
        *,
        limits: Limits,
        chance: Chance,
    ) -> None:
        """`machines` are found by the address at which they are dialled."""
        self._schedule = schedule
        self._links = links
        self._between = between
        self._machines = machines
        self._limits = limits
        self._terms = {dialect: terms_of(dialect, limits) for dialect in Dialect}
        self._chance = chance

    def dial(self, machine: Machine, address: str) -> None:
        """Dial: `PeerOpened` or `DialFailed` follows."""
        other, incarnation = self._machines.get(address), machine.incarnation
        if other is None or other is machine:
            rule = None if other is None else Rule.ADDRESS_IS_NOT_OURS
            self._schedule.after(_NO_ROUTE_US, self._not_reached, machine, incarnation, address, "no route", rule)
            return
        delay_us = self._between.line(machine, other).delay_us(self._chance)
        if delay_us is None or not self._between.gets_through(machine, other) or not other.is_powered:
            self._no_answer(machine, incarnation, address)
        else:
            self._schedule.after(delay_us, self._knock, machine, incarnation, other, address)

    def _knock(self, machine: Machine, incarnation: int, other: Machine, address: str) -> None:
        """A dial has arrived."""
        delay_us = self._between.line(other, machine).delay_us(self._chance)
        if delay_us is None or not self._between.gets_through(other, machine) or not other.is_powered:
            self._no_answer(machine, incarnation, address)
            return
        dialect = _dialect_of(machine, other)
        refused = self._refusal(machine, other, dialect)
        if refused is not None:
            self._schedule.after(delay_us, self._not_reached, machine, incarnation, address, refused, None)
            return
        far = self._lay(machine, other, address, dialect)
        far.clear_us = self._schedule.now_us + delay_us
        self._schedule.after(delay_us, self._open, far.other, incarnation, dialect)
        other.submit(PeerOpened(far.peer, _remote_of(far.other), None, dialect))

    def join(self, machine: Machine, other: Machine) -> None:
        """Have one connected to the other as if it had just dialled it."""
        dialect = _dialect_of(machine, other)
        far = self._lay(machine, other, other.address, dialect)
        other.submit(PeerOpened(far.peer, _remote_of(far.other), None, dialect))
        self._open(far.other, machine.incarnation, dialect)

    def _lay(self, machine: Machine, other: Machine, address: str, dialect: Dialect) -> End:
        """Lay a connection; returns its end at `other`, which is open. The one at `machine` opens later."""
        terms = self._terms[dialect]
        near = End(machine, self._between.line(machine, other), terms, address)
        far = End(other, self._between.line(other, machine), terms, None)
        near.other, far.other = far, near
        near.is_silent = not self._between.gets_through(machine, other)
        far.is_silent = not self._between.gets_through(other, machine)
        other.ends[far.peer] = far
        return far

    def _open(self, end: End, incarnation: int, dialect: Dialect) -> None:
        """The answer to a dial is here."""
        machine = end.machine
        if machine.incarnation != incarnation or not machine.is_up or not end.other.is_open:
            end.is_open = False
            self._links.reset(end)
            if machine.incarnation == incarnation:
                assert end.dialled is not None  # noqa: S101 - it dialled
                machine.submit(DialFailed(end.dialled, "the connection ended at once"))
            return
        machine.ends[end.peer] = end
        machine.submit(PeerOpened(end.peer, f"{end.other.machine.ip}:{end.other.machine.port}", end.dialled, dialect))

    def _refusal(self, machine: Machine, other: Machine, dialect: Dialect) -> str | None:
        if not other.is_up or self._between.is_severed(machine, other):
            return "connection refused"
        try:
            other.resident.check_welcome(machine.ip, dialect, other.now)
        except RuleViolation as refused:
            return refused.detail
        return None

    def _no_answer(self, machine: Machine, incarnation: int, address: str) -> None:
        after_us = self._limits.handshake_ms * 1_000
        self._schedule.after(after_us, self._not_reached, machine, incarnation, address, "no answer", None)

    @staticmethod
    def _not_reached(machine: Machine, incarnation: int, address: str, reason: str, rule: Rule | None) -> None:
        if machine.incarnation == incarnation:
            machine.submit(DialFailed(address, reason, rule))


def _dialect_of(machine: Machine, other: Machine) -> Dialect:
    """What two machines speak."""
    native = Dialect.NATIVE in machine.resident.dialects & other.resident.dialects
    return Dialect.NATIVE if native else Dialect.CLASSIC


def _remote_of(end: End) -> str:
    """What the other end sees of the one that dialled."""
    return f"{end.machine.ip}:{EPHEMERAL + end.peer % EPHEMERAL}"
