"""Where blocks have come to, and when: what a study writes down about its nodes.

A node *has* a block once the commit that holds it is durable: only then does it pass it on.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tallystick.chain.writes import AddSide, Append, Switch, Write
from tallystick.model.sealed import AnyBlock
from tallystick.node.effects import Effect
from tallystick.node.inputs import Input
from tallystick.sim.machine import Machine
from tallystick.sim.schedule import Schedule

NEVER: Final = -1


@dataclass(slots=True)
class Course:
    """What became of one block."""

    index: int
    hash: str
    previous_hash: str
    size_bytes: int
    maker: int
    """The node that had it first."""

    made_us: int
    arrived_us: array[int]
    """Of each node: how long after that it had the block, too; NEVER if it did not."""

    reached: int = 0
    """Nodes that have it."""


class Ledger:
    """A watcher, and owner of what was seen. Nothing is written down before `is_open`."""

    def __init__(self, schedule: Schedule, nodes: int, on_made: Callable[[Course], None]) -> None:
        """`on_made` is told of each block that is written down."""
        self._schedule = schedule
        self._on_made = on_made
        self._nobody = array("q", [NEVER]) * nodes
        self.is_open = False
        self.courses: dict[str, Course] = {}
        """By hash, in the order in which blocks were made."""

        self.reorgs: Counter[int] = Counter()
        """How often a node took off so many blocks."""

        self._older: set[str] = set()
        """Blocks that were made before."""

    def done(self, machine: Machine, effect: Effect) -> None:
        """Only what is durable counts."""

    def stepped(self, machine: Machine, batch: Sequence[Input], writes: Sequence[Write]) -> None:
        """A node's chain may have changed."""
        for write in writes:
            if isinstance(write, Append | AddSide):
                self.has(machine.number, write.blocks)
            elif isinstance(write, Switch):
                self.switched(write.old_tip - write.fork)

    def has(self, node: int, blocks: Sequence[AnyBlock]) -> None:
        """A node has these now."""
        if not self.is_open:
            self._older.update(block.hash for block in blocks)
            return
        now_us = self._schedule.now_us
        for block in blocks:
            if block.hash in self._older:
                continue
            course = self.courses.get(block.hash)
            if course is None:
                course = self._made(block, node, now_us)
            if course.arrived_us[node] == NEVER:
                course.arrived_us[node] = now_us - course.made_us
                course.reached += 1

    def _made(self, block: AnyBlock, node: int, now_us: int) -> Course:
        arrived_us = array("q", self._nobody)
        course = Course(block.index, block.hash, block.previous_hash, block.size_bytes, node, now_us, arrived_us)
        self.courses[block.hash] = course
        self._on_made(course)
        return course

    def switched(self, depth: int) -> None:
        """A node took off so many blocks and followed another branch."""
        if self.is_open:
            self.reorgs[depth] += 1
