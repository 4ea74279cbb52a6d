"""What was posted where, and what was promised about it.

A node promises with a `Reply`, which leaves after the commit, and with nothing else. Whoever got none, because the
process died before, or the disk was full, knows nothing: what he posted may be there, or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tallystick.chain.writes import Write
from tallystick.errors import RuleViolation
from tallystick.model.record import Record
from tallystick.node.effects import Effect, Reply
from tallystick.node.inputs import EraseRecord, Input, Post, PostAndWait, PostRecords
from tallystick.sim.book import Book
from tallystick.sim.machine import Machine
from tallystick.sim.world import World

Key = str | bytes
"""Of a post in a classic network its text, of a record its leaf."""


@dataclass(slots=True)
class Promises:
    """A watcher of replies, through whom everything is posted."""

    world: World
    posted: dict[Key, None] = field(default_factory=dict)
    """Everything that anybody ever posted."""

    acknowledged: dict[Key, int] = field(default_factory=dict)
    """What was promised, and the number of the machine that did."""

    refused: int = 0
    erased: dict[Key, None] = field(default_factory=dict)
    """Records whose data some node was told to forget. One that is still pending then may stay so: a pool takes none
    without its data, and the way to whoever finds blocks may lead through that node."""

    _open: dict[tuple[int, int], Sequence[Key]] = field(default_factory=dict)
    _tickets: int = 0

    def post(self, machine: Machine, text: str) -> None:
        """Post a text, unless nobody is there to take it."""
        self._tell(machine, Post(self._ticket(), text), [text])

    def post_records(self, machine: Machine, records: Sequence[Record]) -> None:
        """Post records, all or none."""
        self._tell(machine, PostRecords(self._ticket(), records), [record.leaf for record in records])

    def post_and_wait(self, machine: Machine, record: Record, wait_ms: int) -> None:
        """Post a record and wait for its block."""
        self._tell(machine, PostAndWait(self._ticket(), record, wait_ms), [record.leaf])

    def erase(self, machine: Machine, record: Record) -> None:
        """Have a node forget what a record holds."""
        if machine.is_up:
            self.erased[record.leaf] = None
            self.world.tell(machine.number, EraseRecord(self._ticket(), record.id))

    def _ticket(self) -> int:
        self._tickets += 1
        return self._tickets

    def _tell(self, machine: Machine, event: Post | PostRecords | PostAndWait, keys: Sequence[Key]) -> None:
        if machine.is_up:
            self.posted.update(dict.fromkeys(keys))
            self._open[machine.number, event.ticket] = keys
            self.world.tell(machine.number, event)

    def done(self, machine: Machine, effect: Effect) -> None:
        """Is somebody answered? The book's node promises nothing, whatever it answers."""
        if type(effect) is not Reply:
            return
        keys = self._open.pop((machine.number, effect.ticket), ())
        if isinstance(effect.answer, RuleViolation):
            self.refused += len(keys)
        elif not isinstance(machine.resident, Book):
            self.acknowledged.update(dict.fromkeys(keys, machine.number))

    def stepped(self, machine: Machine, batch: Sequence[Input], writes: Sequence[Write]) -> None:
        """Nothing is promised by this."""
