from __future__ import annotations

from collections.abc import Callable

import pytest

from tallystick.consensus import engine_for
from tallystick.errors import RuleViolation
from tallystick.model.block import WholeBlock, header_of
from tallystick.model.network import CLASSIC, CLASSIC_GENESIS
from tallystick.sim.sharing import REMEMBERED, Memory, SharedEngine

NOW_MS = 1_700_000_000_000


def wholes() -> tuple[WholeBlock, WholeBlock]:
    """The same block, as two peers sent it."""
    engine = engine_for(CLASSIC)
    block = engine.seal(header_of(CLASSIC_GENESIS), "a", NOW_MS)
    one, other = engine.whole(block), engine.whole(block)
    assert isinstance(one, WholeBlock)
    assert isinstance(other, WholeBlock)
    assert one is not other
    return one, other


def test_a_block_is_one_object_whoever_sent_it() -> None:
    engine, (one, other) = SharedEngine(engine_for(CLASSIC)), wholes()
    blocks = [engine.check_alone(engine.read(whole)) for whole in (one, other)]
    assert blocks[0] is blocks[1]
    parent = header_of(CLASSIC_GENESIS)
    placed = [engine.place([block], parent, lambda header, _: [header], NOW_MS) for block in blocks]
    assert placed[0] is placed[1]
    assert engine.whole(blocks[0]) is engine.whole(blocks[1])


def test_it_answers_as_the_engine_does() -> None:
    real, (one, _) = engine_for(CLASSIC), wholes()
    engine = SharedEngine(real)
    assert engine.check_alone(engine.read(one)) == real.check_alone(real.read(one))


def test_what_claims_to_be_a_block_that_was_checked_is_checked_itself() -> None:
    """Two objects with the same hash need not hold the same."""
    engine, (one, _) = SharedEngine(engine_for(CLASSIC)), wholes()
    engine.check_alone(engine.read(one))
    forged = WholeBlock(one.index, one.previous_hash, one.hash, one.timestamp, "another text")
    with pytest.raises(RuleViolation):
        engine.check_alone(engine.read(forged))


def test_what_is_wrong_is_wrong_every_time() -> None:
    engine, (one, _) = SharedEngine(engine_for(CLASSIC)), wholes()
    forged = WholeBlock(one.index, one.previous_hash, one.hash, one.timestamp, "another text")
    for _ in range(2):
        with pytest.raises(RuleViolation):
            engine.check_alone(engine.read(forged))


def test_old_answers_are_forgotten() -> None:
    memory = Memory()
    asked: list[int] = []

    def answer(key: int) -> Callable[[], int]:
        def find() -> int:
            asked.append(key)
            return key

        return find

    for key in [*range(REMEMBERED + 1), REMEMBERED, 0]:
        assert memory.recall(key, answer(key)) == key
    assert asked == [*range(REMEMBERED + 1), 0]
