"""A world: machines, the connections between them, and one clock for all.

Whatever a resident wants done is done here: said, dialled, hung up, searched for. Whoever wants to know of it watches
(`Watcher`). Nothing happens but on the schedule, so a world stands still until somebody runs it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from itertools import count
from typing import Final, Protocol

from tallystick.chain.writes import Write
from tallystick.model.limits import LIMITS, Limits
from tallystick.node.effects import Admit, Dial, Effect, HangUp, Hold, Mine, Ping, Say, SayChain
from tallystick.node.inputs import Input, Mined, PeerSaid
from tallystick.sim.between import Between
from tallystick.sim.chance import Chance, stream
from tallystick.sim.clock import Clock
from tallystick.sim.conditions import GOOD, Lines, everywhere
from tallystick.sim.dialling import Dialling
from tallystick.sim.links import Links
from tallystick.sim.machine import Machine
from tallystick.sim.resident import Resident
from tallystick.sim.schedule import Schedule
from tallystick.sim.trace import Trace

HASHES_A_SECOND: Final = 0.1
"""Of one miner: with the easiest difficulty it finds a block in twenty seconds."""


class Watcher(Protocol):
    """Somebody who is told what machines do."""

    def done(self, machine: Machine, effect: Effect) -> None:
        """A machine does this; what led to it is durable."""

    def stepped(self, machine: Machine, batch: Sequence[Input], writes: Sequence[Write]) -> None:
        """A machine took these, what they wrote is durable, and everything else they led to is done."""


class World:
    """Everything there is in one run."""

    def __init__(
        self, seed: int, *, limits: Limits = LIMITS, lines: Lines | None = None, trace: Trace | None = None
    ) -> None:
        """An empty world. `limits` are those of the sockets; `lines` say what is between two machines."""
        self.seed = seed
        self.schedule = Schedule()
        self.trace = trace or Trace()
        self.machines: list[Machine] = []
        self.watchers: list[Watcher] = []
        self._addresses: dict[str, Machine] = {}
        self.links = Links(self.schedule, limits, stream(seed, "links"))
        self.between = Between(self.links, lines or everywhere(GOOD), self._addresses)
        self.dialling = Dialling(
            self.schedule, self.links, self.between, self._addresses, limits=limits, chance=stream(seed, "dialling")
        )
        self.hashes_a_second = HASHES_A_SECOND
        """Of one miner; 0: nobody finds anything."""

        self.is_mining = True
        """If not, what is found is thrown away."""

        self._mining = stream(seed, "mining")
        self._searches: dict[int, Mine] = {}
        """What each miner looks for now."""

        self._perform: dict[type, Callable[[Machine, Effect], None]] = {
            Say: self._say,
            SayChain: self._say_chain,
            Admit: self._admit,
            Ping: self._ping,
            Hold: self._hold,
            HangUp: self._hang_up,
            Dial: self._dial,
            Mine: self._mine,
        }

    def stream(self, component: str) -> Chance:
        """The stream of a component in this world."""
        return stream(self.seed, component)

    # --- who is there --------------------------------------------------------------------------

    def add(
        self,
        resident: Resident,
        *,
        clock: Clock | None = None,
        commit_us: int = 0,
        is_honest: bool = True,
        ip: str | None = None,
    ) -> Machine:
        """A machine for somebody to live on, at this numeric address, by default at `address_of` its number; `start` it
        when the time has come."""
        number = len(self.machines)
        machine = Machine(
            number,
            ip or ip_of(number),
            resident,
            clock or Clock(),
            rim=self,
            schedule=self.schedule,
            trace=self.trace,
            commit_us=commit_us,
            is_honest=is_honest,
        )
        self.machines.append(machine)
        self._addresses[machine.address] = machine
        return machine

    def start(self) -> None:
        """Start whoever does not run."""
        for machine in self.machines:
            machine.start()

    def connect(self, pairs: Sequence[tuple[int, int]]) -> None:
        """Connect machines as if one of each pair had just dialled the other: nobody waits for a dial."""
        for one, other in pairs:
            self.dialling.join(self.machines[one], self.machines[other])

    # --- time ----------------------------------------------------------------------------------

    @property
    def now_ms(self) -> int:
        """Since the beginning."""
        return self.schedule.now_us // 1_000

    def run(self, ms: int) -> None:
        """Let time pass. Raises TimeStandsStillError, and whatever a watcher raises."""
        self.schedule.run_until(self.schedule.now_us + ms * 1_000)

    def tell(self, machine: int, event: Input) -> None:
        """Something happens to a machine from outside: a post, an operator's command. Nothing, when it is down."""
        self.machines[machine].submit(event)

    # --- what machines do (`machine.Rim`) ------------------------------------------------------

    def perform(self, machine: Machine, effect: Effect) -> None:
        for watcher in self.watchers:  # before anything comes of it: afterwards a connection may be gone
            watcher.done(machine, effect)
        perform = self._perform.get(type(effect))
        if perform is not None:
            perform(machine, effect)

    def stepped(self, machine: Machine, batch: Sequence[Input], writes: Sequence[Write]) -> None:
        for event in batch:
            if type(event) is PeerSaid and (end := machine.ends.get(event.peer)) is not None:
                self.links.handled(end)
        for watcher in self.watchers:
            watcher.stepped(machine, batch, writes)

    def went_down(self, machine: Machine, *, said_goodbye: bool) -> None:
        self.links.went_down(machine, said_goodbye=said_goodbye)

    def _say(self, machine: Machine, effect: Effect) -> None:
        assert isinstance(effect, Say)  # noqa: S101 - as `_perform` has it, here and below
        for peer in effect.peers:
            end = machine.ends.get(peer)
            if end is not None and end.is_open:
                self.links.say(end, effect.message, gossip=effect.gossip)

    def _say_chain(self, machine: Machine, effect: Effect) -> None:
        assert isinstance(effect, SayChain)  # noqa: S101
        end = machine.ends.get(effect.peer)
        if end is not None and end.is_open:
            self.links.say_chain(end, machine.resident.whole_chain())

    @staticmethod
    def _admit(machine: Machine, effect: Effect) -> None:
        assert isinstance(effect, Admit)  # noqa: S101
        end = machine.ends.get(effect.peer)
        if end is not None:
            end.is_admitted = True

    def _ping(self, machine: Machine, effect: Effect) -> None:
        assert isinstance(effect, Ping)  # noqa: S101
        end = machine.ends.get(effect.peer)
        if end is not None and end.is_open:
            self.links.ping(end)

    def _hold(self, machine: Machine, effect: Effect) -> None:
        assert isinstance(effect, Hold)  # noqa: S101
        end = machine.ends.get(effect.peer)
        if end is not None and end.is_open:
            self.links.hold(end, effect.for_ms)

    def _hang_up(self, machine: Machine, effect: Effect) -> None:
        assert isinstance(effect, HangUp)  # noqa: S101
        end = machine.ends.get(effect.peer)
        if end is not None:
            self.links.hang_up(end, effect.code, effect.reason)

    def _dial(self, machine: Machine, effect: Effect) -> None:
        assert isinstance(effect, Dial)  # noqa: S101
        self.dialling.dial(machine, effect.address)

    def _mine(self, machine: Machine, effect: Effect) -> None:
        """Find what is looked for, after a while that has no memory (searching is a Poisson process)."""
        assert isinstance(effect, Mine)  # noqa: S101
        if self.hashes_a_second:
            delay_s = self._mining.expovariate(self.hashes_a_second / effect.expected_hashes)
            self._searches[machine.number] = effect
            self.schedule.after(int(delay_s * 1e6), self._found, machine, machine.incarnation, effect)

    def _found(self, machine: Machine, incarnation: int, job: Mine) -> None:
        if self.is_mining and machine.incarnation == incarnation and self._searches[machine.number] is job:
            nonce = next(n for n in count() if sha256(job.head + n.to_bytes(8, "big")).digest() <= job.target)
            machine.submit(Mined(job.number, nonce))


def ip_of(number: int) -> str:
    """The numeric address of a machine: private, so each is its own network group."""
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def address_of(number: int) -> str:
    """Where a machine is dialled."""
    return f"ws://{ip_of(number)}:3001"
