"""One run, from its faults through its healing to the laws that must hold then.

In the first phase people post and things go wrong. Then everything is healed and nobody posts any more, and within
`AGREE_WITHIN_MS` all honest nodes follow the best chain. Where two branches are equally good each node keeps the one it
saw first, which is lawful; somebody posts, and within the same time they agree. In a network where blocks have to be
found, miners go on until nothing is pending, and then nobody finds any more until all have heard of all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tallystick.errors import Rule
from tallystick.sim.checkers import Blame, Course, Insides, LawBrokenError, check_promises, check_soundness, tips
from tallystick.sim.faults import Faults
from tallystick.sim.host import Host
from tallystick.sim.inside import Held
from tallystick.sim.machine import Machine
from tallystick.sim.promises import Promises
from tallystick.sim.swarm import Configuration, build
from tallystick.sim.workload import Workload
from tallystick.sim.world import HASHES_A_SECOND, World

AGREE_WITHIN_MS: Final = 300_000
"""After healing, and after each tie that was broken. A half-open connection takes 90 s to be noticed, a dial a minute
at most, a question for the latest block half a minute; the rest is for a sync that has to begin again."""

TIES: Final = 8
"""So many times in a row a tie is broken at most."""

TIE_STAYS_MS: Final = 90_000
"""Chains that are equally good for so long stay so: by then everybody has been asked for its latest block."""

DRAINED_WITHIN_MS: Final = 3_600_000
"""Miners have put everything into blocks by then."""

LOOK_EVERY_MS: Final = 5_000
QUIET_MS: Final = 40_000
"""Once they agree they are watched for so much longer."""


@dataclass(frozen=True)
class Outcome:
    """What a run came to."""

    trace: str
    """Two runs with the same one are the same run."""

    events: int
    calls: int
    virtual_ms: int
    healed_ms: int
    """From the end of the faults until all agreed, ties included."""

    blocks: int
    acknowledged: int
    posted: int
    sent_messages: int
    sent_bytes: int
    looks: int
    """How often a node was looked into."""

    excused: Mapping[Rule, int] = field(default_factory=dict)
    """Honest nodes that seemed slow, by rule."""

    deserved: Mapping[Rule, int] = field(default_factory=dict)
    """Faulty peers that were hung up on, by rule."""

    most: Mapping[str, Held] = field(default_factory=dict)
    """The most that any node held of anything."""


class Scenario:
    """A configuration, built and ready to be run. `run` once."""

    def __init__(self, configuration: Configuration, world: World | None = None) -> None:
        """`world`, if given, is one that `build` made, perhaps with others in it beside the honest nodes."""
        self.configuration = configuration
        self.world = world or build(configuration)
        self.promises = Promises(self.world)
        faulty_ips = {machine.ip for machine in self.world.machines if not machine.is_honest}
        self.blame = Blame(may_be_slow=configuration.may_be_slow, faulty_ips=faulty_ips)
        self.insides = Insides()
        self.world.watchers += [self.promises, self.blame, self.insides, Course()]
        honest = [machine for machine in self.world.machines if machine.is_honest]
        self.honest = honest
        self.hosts = [machine for machine in honest if isinstance(machine.resident, Host)]
        self.faults = Faults(self.world, configuration.faults)
        self.workload = Workload(
            self.promises, honest, configuration.demand, self.world.stream("workload"), records=configuration.is_sealed
        )

    def run(self) -> Outcome:
        """Both phases, and the laws. Raises LawBrokenError, which tells the seed and the last events."""
        try:
            self.go_wrong()
            healed_ms = self.heal()
            self.check()
        except Exception as broken:
            last = "\n".join(self.world.trace.last())
            raise LawBrokenError(f"{broken!r}\n{self.configuration}\nThe last events:\n{last}") from broken
        return self._outcome(healed_ms)

    def go_wrong(self) -> None:
        """The first phase."""
        self.world.start()
        self.workload.begin()
        self.faults.begin()
        self.world.run(self.configuration.during_ms)
        self.workload.stop()

    def heal(self) -> int:
        """The second phase. Returns how long it took until all agreed, in ms."""
        began_ms = self.world.now_ms
        self.faults.heal()
        for attempt in range(TIES):
            if self.configuration.is_sealed:
                self._mine_on(overtaking=attempt > 0)
            elif attempt > 0:
                self.workload.post_one(self.hosts[attempt % len(self.hosts)])
            if self._agree_in_time():
                took_ms = self.world.now_ms - began_ms
                self.world.run(QUIET_MS)
                if self._is_settled():
                    return took_ms
        raise LawBrokenError(f"no agreement after {TIES} ties: {tips(self.honest)}")

    def _mine_on(self, *, overtaking: bool) -> None:
        """Have miners go on until nothing is pending and, if they are `overtaking`, somebody has a better chain."""
        heaviest = max(map(weight, self.hosts))
        self.world.hashes_a_second = HASHES_A_SECOND
        for _ in range(DRAINED_WITHIN_MS // LOOK_EVERY_MS):
            self.world.run(LOOK_EVERY_MS)
            if not any(map(self.pending, self.hosts)) and (not overtaking or max(map(weight, self.hosts)) > heaviest):
                self.world.hashes_a_second = 0.0
                return
        raise LawBrokenError(f"records are pending still: {list(map(self.pending, self.hosts))}")

    def _agree_in_time(self) -> bool:
        """Did all come to the same chain? Not if two are equally good, and all chains are such, and stay."""
        since_ms, last = self.world.now_ms, tips(self.honest)
        for _ in range(AGREE_WITHIN_MS // LOOK_EVERY_MS):
            self.world.run(LOOK_EVERY_MS)
            if self._is_settled():
                return True
            now = tips(self.honest)
            is_tie = len(set(map(weight, self.hosts))) == 1 and not any(map(self.pending, self.hosts))
            if now != last or not is_tie:
                since_ms, last = self.world.now_ms, now
            elif self.world.now_ms - since_ms >= TIE_STAYS_MS:
                return False
        if len(set(map(weight, self.hosts))) > 1:
            raise LawBrokenError(f"no agreement within {AGREE_WITHIN_MS // 1_000} s of healing: {tips(self.honest)}")
        return False

    def _is_settled(self) -> bool:
        return len(tips(self.honest)) == 1 and not any(map(self.pending, self.hosts))

    def pending(self, machine: Machine) -> int:
        """What a node still owes: records in its pool, or posts to be mined again."""
        host = machine.resident
        if not isinstance(host, Host) or not machine.is_up:
            return 0
        records = host.store.committed.records
        owed = sum(records.stored[place].leaf not in self.promises.erased for place in records.pool)
        return owed + len(host.store.lost(1)) + (not machine.is_idle)

    def check(self) -> None:
        """What must hold in the end."""
        for machine in self.hosts:
            self.insides.look(machine)
        made = {key for machine in self.world.machines for key in machine.resident.made}
        check_soundness(self.honest)
        check_promises(self.promises, self.honest, made)

    def _outcome(self, healed_ms: int) -> Outcome:
        world = self.world
        return Outcome(
            trace=world.trace.digest(),
            events=world.trace.events,
            calls=world.schedule.calls,
            virtual_ms=world.now_ms,
            healed_ms=healed_ms,
            blocks=next(iter(tips(self.hosts)))[0],
            acknowledged=len(self.promises.acknowledged),
            posted=len(self.promises.posted),
            sent_messages=world.links.sent_messages,
            sent_bytes=world.links.sent_bytes,
            looks=self.insides.looks,
            excused=dict(self.blame.excused),
            deserved=dict(self.blame.deserved),
            most=self.insides.most,
        )


def run(configuration: Configuration) -> Outcome:
    """Run a configuration. Raises LawBrokenError."""
    return Scenario(configuration).run()


def weight(machine: Machine) -> int:
    """What the best chain of a node weighs."""
    assert isinstance(machine.resident, Host)  # noqa: S101 - only those are asked
    return machine.resident.weight()
