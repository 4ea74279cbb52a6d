"""One engine for thousands of nodes: what one of them has checked is checked for all, and is one object.

All nodes of a world get the same block within seconds. Each of them would read and check it, and keep a copy. This
engine answers a question that it was asked lately as it did then: so a block is read, checked and put in its place
once, and ten thousand chains share it.

It takes for granted that the clocks of the world are right: whether a block is from the future is asked once. What is
wrong with a block is not remembered, and raised anew each time.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Final, TypeVar

from tallystick.chain.contracts import Draft, Engine, Past, Placing, Unchecked
from tallystick.model.block import Body, Header, WholeBlock
from tallystick.model.network import Network
from tallystick.model.record import Record
from tallystick.model.sealed import AnyBlock

REMEMBERED: Final = 256
"""Answers to each kind of question; the oldest are forgotten first."""

Answer = TypeVar("Answer")


class Memory:
    """The last answers to one kind of question."""

    def __init__(self) -> None:
        self._answers: dict[Hashable, object] = {}

    def recall(self, key: Hashable, find: Callable[[], Answer]) -> Answer:
        """The answer that this key got, or that it gets now."""
        known = self._answers.get(key)
        if known is None:
            known = self._answers[key] = find()
            if len(self._answers) > REMEMBERED:
                del self._answers[next(iter(self._answers))]
        return known  # type: ignore[return-value]  # a key has answers of one type


class SharedEngine:
    """`Engine` of a whole world. Questions about a block are told apart by its hash: the objects behind one hash are
    one, as long as it is remembered."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.takes_records: Final = engine.takes_records
        self.surveys: Final = engine.surveys
        self._read, self._checked, self._placed, self._whole = Memory(), Memory(), Memory(), Memory()

    @property
    def network(self) -> Network:
        return self._engine.network

    def read(self, whole: WholeBlock | bytes) -> Unchecked:
        return self._read.recall(whole, lambda: self._engine.read(whole))

    def check_alone(self, block: Unchecked) -> AnyBlock:
        found, checked = self._checked.recall(block.hash, lambda: (block, self._engine.check_alone(block)))
        return checked if found is block or found == block else self._engine.check_alone(block)

    def check_run(self, index: int, hash: str, bodies: Sequence[Body | bytes]) -> Sequence[AnyBlock]:
        return self._engine.check_run(index, hash, bodies)

    def check_in_place(self, block: AnyBlock, parent: Header) -> None:
        self._engine.check_in_place(block, parent)

    def place(self, run: Sequence[AnyBlock], parent: Header, past: Past, wall_ms: int) -> Placing[AnyBlock]:
        if len(run) != 1:
            return self._engine.place(run, parent, past, wall_ms)
        found, placed = self._placed.recall(
            run[0].hash, lambda: (run[0], self._engine.place(run, parent, past, wall_ms))
        )
        return placed if found is run[0] else self._engine.place(run, parent, past, wall_ms)

    def weight(self, tip: Header) -> int:
        return self._engine.weight(tip)

    def least_weight(self, tip: Header) -> int:
        return self._engine.least_weight(tip)

    def survey(self, headers: Sequence[bytes], parent: Header, past: Past, wall_ms: int) -> Sequence[Header]:
        return self._engine.survey(headers, parent, past, wall_ms)

    def records(self, block: AnyBlock) -> Sequence[Record]:
        return self._engine.records(block)

    def body(self, block: AnyBlock) -> Body | bytes:
        return self._engine.body(block)

    def whole(self, block: AnyBlock) -> WholeBlock | bytes:
        found, whole = self._whole.recall(block.hash, lambda: (block, self._engine.whole(block)))
        return whole if found is block or found == block else self._engine.whole(block)

    def as_sent(self, block: AnyBlock) -> AnyBlock:
        return self._engine.as_sent(block)

    def seal(self, parent: Header, data: str, wall_ms: int) -> AnyBlock:
        return self._engine.seal(parent, data, wall_ms)

    def draft(self, parent: Header, records: Sequence[Record], past: Past, wall_ms: int) -> Draft:
        return self._engine.draft(parent, records, past, wall_ms)

    def room(self) -> tuple[int, int]:
        return self._engine.room()
