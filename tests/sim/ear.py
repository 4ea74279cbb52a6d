"""Somebody who listens, and says what the test wants said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from tallystick.errors import RuleViolation
from tallystick.model.limits import Limits
from tallystick.node.effects import Effect, Say
from tallystick.node.inputs import Input, Now, PeerClosed, PeerOpened, PeerSaid
from tallystick.sim.conditions import Line, everywhere
from tallystick.sim.machine import Machine
from tallystick.sim.resident import Resident
from tallystick.sim.world import World
from tallystick.wire.dialect import Dialect

E = TypeVar("E")

LINE = Line(latency_us=(10_000, 10_000))


class Ear(Resident):
    """A resident that notes what happens to it."""

    def __init__(self, dialects: frozenset[Dialect] = frozenset(Dialect)) -> None:
        self.dialects = dialects
        self.heard: list[tuple[int, Input]] = []
        """When, in ms of its own clock, and what."""

        self.starts = 0
        self.wakes_ms: int | None = None
        self.refusal: RuleViolation | None = None
        self.answer: list[Effect] = []
        """What it does about everything."""

    def start(self, now: Now) -> None:
        self.starts += 1

    def step(self, event: Input, now: Now) -> Sequence[Effect]:
        self.heard.append((now.mono_ms, event))
        return self.answer

    def wake_at_ms(self) -> int | None:
        return self.wakes_ms

    def check_welcome(self, ip: str, dialect: Dialect, now: Now) -> None:
        if self.refusal is not None:
            raise self.refusal

    def all(self, kind: type[E]) -> list[E]:
        return [event for _, event in self.heard if isinstance(event, kind)]

    @property
    def messages(self) -> list[bytes]:
        return [event.message for event in self.all(PeerSaid)]

    @property
    def closed(self) -> list[str]:
        return [event.reason for event in self.all(PeerClosed)]


class Pair:
    """Two machines with a connection between them; the first dialled. Each calls the other peer 1."""

    def __init__(
        self,
        line: Line = LINE,
        limits: Limits | None = None,
        dialect: Dialect = Dialect.NATIVE,
        *,
        admitted: bool = True,
        connected: bool = True,
    ) -> None:
        self.ears = [Ear(frozenset({dialect, Dialect.CLASSIC})) for _ in range(2)]
        self.world = World(1, limits=limits or Limits(), lines=everywhere(line))
        self.near, self.far = [self.world.add(ear) for ear in self.ears]
        self.world.start()
        if connected:
            self.world.connect([(0, 1)])
            assert [len(ear.all(PeerOpened)) for ear in self.ears] == [1, 1]
            for machine in (self.near, self.far):
                machine.ends[1].is_admitted |= admitted

    def says(self, *messages: bytes, by: Machine | None = None, gossip: bool = False) -> None:
        for message in messages:
            self.world.perform(by or self.near, Say([1], message, gossip))
