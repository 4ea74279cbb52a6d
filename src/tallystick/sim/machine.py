"""A machine: its clocks, who lives on it, and a process that can die at any moment.

It does what `app.runner` does for a real node, on virtual time: events that arrive while a batch is on its way to the
disk wait and become the next batch; writes are applied as they come; replies and messages leave only after the commit.
So there are moments between any two things that are done, and the process may die in each: before a write, with the
batch lost; during the commit, with the batch lost or kept; or between two messages, of which one was sent and the other
never is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, get_args

from tallystick.chain.writes import Write
from tallystick.errors import StoreFullError
from tallystick.node.effects import Effect, SaveAddresses
from tallystick.node.inputs import Input, Now, PeerSaid, Tick
from tallystick.sim.clock import Clock
from tallystick.sim.resident import Resident
from tallystick.sim.schedule import Schedule, TimeStandsStillError
from tallystick.sim.trace import Trace

if TYPE_CHECKING:
    from tallystick.sim.end import End

WRITES: Final = get_args(Write)

TICKS_IN_A_MS: Final = 1_000
"""So many ticks without a millisecond passing, and a node makes work for itself."""

BATCH: Final = 1_000
"""Events stepped together at most."""


class Rim(Protocol):
    """What a machine needs of the world around it."""

    def perform(self, machine: Machine, effect: Effect) -> None:
        """Do what concerns others."""

    def stepped(self, machine: Machine, batch: Sequence[Input], writes: Sequence[Write]) -> None:
        """These were stepped, what they wrote is durable, and all else is done: each peer's next message may come."""

    def went_down(self, machine: Machine, *, said_goodbye: bool) -> None:
        """The process ended."""


class DiedError(Exception):
    """The process dies here."""


@dataclass(slots=True)
class Doom:
    """How a process is going to die."""

    after: int
    """It does so many things more: writes, commits, and what is done after them."""

    kept: bool
    """If it dies during a commit: is the batch durable?"""


class Machine:
    """One machine of the world."""

    __slots__ = (
        "_batch",
        "_frozen_until_us",
        "_is_committing",
        "_is_working",
        "_outcome",
        "_queue",
        "_rim",
        "_schedule",
        "_ticks",
        "_ticks_ms",
        "_trace",
        "_wake_us",
        "_writes",
        "clock",
        "commit_us",
        "doom",
        "ends",
        "failure",
        "incarnation",
        "ip",
        "is_honest",
        "is_powered",
        "is_up",
        "next_peer",
        "number",
        "port",
        "resident",
        "sent_bytes",
        "upstream_free_us",
    )

    def __init__(
        self,
        number: int,
        ip: str,
        resident: Resident,
        clock: Clock,
        *,
        rim: Rim,
        schedule: Schedule,
        trace: Trace,
        commit_us: int = 0,
        port: int = 3001,
        is_honest: bool = True,
    ) -> None:
        """A machine on which nothing runs yet (`start`). A commit takes `commit_us`."""
        self.number = number
        self.ip = ip
        self.port = port
        self.resident = resident
        self.clock = clock
        self.commit_us = commit_us
        self.is_honest = is_honest
        self.is_up = False
        self.is_powered = True
        """A machine without power does not even say that nobody is there."""

        self.incarnation = 0
        self.ends: dict[int, End] = {}
        """Its open connections, by the number of the peer."""

        self.next_peer = 1
        self.sent_bytes = 0
        """Of messages that left it."""

        self.upstream_free_us = 0
        """When everything that was sent on lines that take turns has gone up."""

        self.doom: Doom | None = None
        self.failure: StoreFullError | None = None
        """Why the process stopped by itself."""

        self._rim = rim
        self._schedule = schedule
        self._trace = trace
        self._queue: list[Input] = []
        self._batch: Sequence[Input] = ()
        self._writes: list[Write] = []
        self._outcome: list[Effect] = []
        self._is_working = self._is_committing = False
        self._frozen_until_us = 0
        self._wake_us: int | None = None
        self._ticks_ms = self._ticks = 0

    def __repr__(self) -> str:
        return f"machine {self.number}"

    @property
    def address(self) -> str:
        """Where it is dialled."""
        return f"ws://{self.ip}:{self.port}"

    @property
    def now(self) -> Now:
        """What its clocks show."""
        return self.clock.read(self._schedule.now_us)

    @property
    def is_idle(self) -> bool:
        """Is everything that happened to it stepped and durable?"""
        return not (self._queue or self._is_working or self._is_committing)

    # --- the process ---------------------------------------------------------------------------

    def start(self) -> None:
        """The process starts, unless it runs."""
        if self.is_up:
            return
        self.is_up = self.is_powered = True
        self.incarnation += 1
        self.failure = None
        self._trace.note(self._schedule.now_us, self.number, "starts")
        self.resident.start(self.now)
        self._rearm()

    def stop(self) -> None:
        """The process is told to end: it finishes what it has begun, says goodbye, and is gone."""
        if not self.is_up:
            return
        self.thaw()
        while self._is_committing:
            self._committed(self.incarnation)
        self._say_goodbye()

    def _say_goodbye(self) -> None:
        if self.is_up:  # nothing of what was to be finished has killed it
            for effect in self.resident.stop(self.now):
                self._perform(effect)
            self._ends("stops", said_goodbye=True)

    def crash(self, *, kept: bool, power: bool = True) -> None:
        """The process dies. A batch on its way to the disk is durable if `kept`; without `power` nobody hears of it."""
        if not self.is_up:
            return
        if self._is_committing and kept:
            self.resident.commit()
        else:
            self.resident.rollback()
        self.is_powered = power
        self._ends("dies" if power else "loses power", said_goodbye=False)

    def _ends(self, how: str, *, said_goodbye: bool) -> None:
        self._trace.note(self._schedule.now_us, self.number, how)
        self.is_up = self._is_committing = False
        self.doom = None
        self._queue.clear()
        self._writes, self._outcome = [], []
        self._wake_us = None
        self._frozen_until_us = 0
        self._rim.went_down(self, said_goodbye=said_goodbye)

    def freeze(self, for_us: int) -> None:
        """Nothing runs for so long, and nothing is lost (SIGSTOP, a suspended laptop)."""
        if self.is_up:
            self._frozen_until_us = max(self._frozen_until_us, self._schedule.now_us + for_us)
            self._schedule.at(self._frozen_until_us, self._thaw, self.incarnation)

    def thaw(self) -> None:
        """It goes on, if it stood still."""
        self._frozen_until_us = 0
        self._go_on()

    def _thaw(self, incarnation: int) -> None:
        if incarnation == self.incarnation and self.is_up and self._schedule.now_us >= self._frozen_until_us:
            self.thaw()

    # --- batches -------------------------------------------------------------------------------

    def submit(self, event: Input) -> None:
        """This happens to whoever lives here, as soon as there is time for it."""
        if self.is_up:
            self._queue.append(event)
            self._go_on()

    def _go_on(self) -> None:
        while self._queue and not (self._is_working or self._is_committing or self._frozen_until_us):
            self._flush()

    def _flush(self) -> None:
        """Step what waits, and begin to commit it."""
        self._is_working = True
        incarnation = self.incarnation
        self._batch = batch = self._next()
        try:
            begun = self._step(batch)
            if not begun:
                self._let_out()
            elif self.commit_us:
                self._is_committing = True
                self._schedule.after(self.commit_us, self._committed, incarnation)
            else:
                self._commit()
                self._let_out()
        except DiedError:
            self._die()
        except StoreFullError as failure:
            self._fail(failure)
        finally:
            self._is_working = False

    def _next(self) -> list[Input]:
        """The next batch: what peers say comes last in it (`app.runner`)."""
        if len(self._queue) == 1:
            batch, self._queue = self._queue, []
            return batch
        said = [event for event in self._queue if type(event) is PeerSaid]
        queue = [*(event for event in self._queue if type(event) is not PeerSaid), *said]
        self._queue = queue[BATCH:]
        return queue[:BATCH]

    def _step(self, batch: Sequence[Input]) -> bool:
        """Step these and apply their writes; were there any?"""
        now = self.now
        writes: list[Write] = []
        outcome: list[Effect] = []
        self._writes, self._outcome = writes, outcome
        for event in batch:
            self._trace.note(self._schedule.now_us, self.number, event)
            for effect in self.resident.step(event, now):
                if isinstance(effect, WRITES):
                    if not writes:
                        self.resident.begin()
                    self._lives()
                    self._trace.note(self._schedule.now_us, self.number, effect)
                    self.resident.apply(effect)
                    writes.append(effect)
                else:
                    outcome.append(effect)
        return bool(writes)

    def _commit(self) -> None:
        if self.doom is not None and self.doom.after == 0 and self.doom.kept:
            self.resident.commit()
        self._lives()
        self.resident.commit()

    def _committed(self, incarnation: int) -> None:
        """The disk is done with the batch."""
        if incarnation != self.incarnation or not self._is_committing:
            return
        if self._frozen_until_us:
            self._schedule.at(self._frozen_until_us, self._committed, incarnation)
            return
        self._is_committing, self._is_working = False, True
        try:
            self._commit()
            self._let_out()
        except DiedError:
            self._die()
        except StoreFullError as failure:
            self._fail(failure)
        finally:
            self._is_working = False
        self._go_on()

    def _let_out(self) -> None:
        """Do everything that had to wait for the commit."""
        outcome, batch, writes = self._outcome, self._batch, self._writes
        self._outcome, self._batch, self._writes = [], (), []
        for effect in outcome:
            self._lives()
            self._perform(effect)
        self._rim.stepped(self, batch, writes)
        self._rearm()

    def _perform(self, effect: Effect) -> None:
        self._trace.note(self._schedule.now_us, self.number, effect)
        if type(effect) is SaveAddresses:
            self.resident.save(effect.content)
        else:
            self._rim.perform(self, effect)

    def _lives(self) -> None:
        """Something is about to be done. Raises DiedError if it never is."""
        if self.doom is not None:
            if self.doom.after == 0:
                raise DiedError
            self.doom.after -= 1

    def _die(self) -> None:
        self.resident.rollback()
        self._ends("dies", said_goodbye=False)

    def _fail(self, failure: StoreFullError) -> None:
        """The disk is full: stop, as the runner does. Nothing of the batch was promised to anybody. Whatever else a
        store refuses is a fault of the node, and ends the run."""
        self.resident.rollback()
        self.failure = failure
        self._ends(f"stops: {failure}", said_goodbye=True)

    # --- the timer -----------------------------------------------------------------------------

    def _rearm(self) -> None:
        """Have the bell rung when the next tick is due. One that rings too early is hung up again, which is cheaper
        than moving it each time."""
        wake_ms = self.resident.wake_at_ms()
        if wake_ms is None:
            return
        wake_us = max(self.clock.when_us(wake_ms), self._schedule.now_us)
        if self._wake_us is None or wake_us < self._wake_us:
            self._wake_us = wake_us
            self._schedule.at(wake_us, self._ring, wake_us, self.incarnation)

    def _ring(self, wake_us: int, incarnation: int) -> None:
        if incarnation != self.incarnation or wake_us != self._wake_us:
            return
        self._wake_us = None
        wake_ms, now_ms = self.resident.wake_at_ms(), self.now.mono_ms
        if wake_ms is None or wake_ms > now_ms:
            self._rearm()
            return
        self._ticks = self._ticks + 1 if now_ms == self._ticks_ms else 0
        self._ticks_ms = now_ms
        if self._ticks > TICKS_IN_A_MS:
            raise TimeStandsStillError(f"{self} wakes up for nothing")
        self.submit(Tick())
