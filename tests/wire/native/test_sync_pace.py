"""Who leads by a claim has to deliver, however little is asked of it at a time."""

from __future__ import annotations

import pytest

from tallystick.errors import Rule
from tallystick.model.block import Block
from tallystick.model.limits import LIMITS
from tallystick.wire.native.batch import Ask, Blame
from tallystick.wire.native.messages import Point
from tallystick.wire.native.sync import CHECK_EVERY_MS, Sync

LIAR, HONEST = 1, 2
BYTES = 100
"""Of an answer with one block."""

GENESIS = Point(0, bytes(32))


def block(index: int) -> Block:
    return Block("x", f"{index:064x}", index, f"{index - 1:064x}", 1_700_000_000)


class Course:
    """A sync in which the liar leads and answers each question after `pause_ms` with `count` blocks."""

    def __init__(self, *, honest_weight: int, pause_ms: int, count: int) -> None:
        self.sync = Sync(LIMITS)
        self.sync.claims(LIAR, 2**40, 2**40)
        if honest_weight:
            self.sync.claims(HONEST, honest_weight, honest_weight)
        self.pause_ms, self.count = pause_ms, count
        self.index = self.now_ms = self.received_bytes = 0

    def received(self, peer: int) -> int:
        return self.received_bytes if peer == LIAR else 0

    def blamed_within(self, ms: int) -> Blame | None:
        asked: Ask | None = None
        for self.now_ms in range(0, ms, CHECK_EVERY_MS // 10):
            if asked is not None and self.now_ms - asked.batch.asked_ms >= self.pause_ms:
                self._answer(asked)
                asked = None
            for ask in self.sync.asks(self.index, self.now_ms, self.received):
                assert ask.peer == LIAR
                asked = ask
                ask.batch.at = ask.batch.at or GENESIS
            due = self.sync.next_ms()
            if due is not None and due <= self.now_ms and (blame := self.sync.overdue(self.now_ms, self.received)):
                return blame
        return None

    def _answer(self, ask: Ask) -> None:
        blocks = [block(self.index + number) for number in range(1, self.count + 1)]
        self.received_bytes += BYTES * self.count
        assert self.sync.received(ask.batch, blocks, [], self.now_ms) is None
        while run := self.sync.take():
            self.index = run[-1].index
            self.sync.connected(self.index, self.now_ms)


@pytest.mark.parametrize("pause_ms", [50, 3_900, 60_000])
def test_a_lead_that_drips_is_replaced_while_somebody_else_is_ahead_of_us(pause_ms: int) -> None:
    """Catalogue rows 58, 59 and 61: a claim that nobody else can match buys no time."""
    blame = Course(honest_weight=10**6, pause_ms=pause_ms, count=1).blamed_within(10_000)
    assert blame is not None
    assert (blame.peer, blame.broken.rule) == (LIAR, Rule.SYNC_KEEPS_UP)


@pytest.mark.parametrize("honest_weight", [0, 1])
def test_a_slow_lead_is_kept_while_nobody_else_has_anything_for_us(honest_weight: int) -> None:
    course = Course(honest_weight=honest_weight, pause_ms=1_000, count=1)
    course.index = honest_weight
    assert course.blamed_within(60_000) is None


def test_full_answers_are_not_called_slow_for_being_short() -> None:
    """A thousand tiny blocks are few bytes, and come one question at a time over a long line."""
    assert Course(honest_weight=10**6, pause_ms=1_500, count=LIMITS.batch_blocks).blamed_within(60_000) is None


def test_time_in_which_nothing_is_asked_does_not_count() -> None:
    course = Course(honest_weight=10**6, pause_ms=0, count=1)
    [ask] = course.sync.asks(0, 0, course.received)
    ask.batch.at = GENESIS
    course.now_ms = 500
    course._answer(ask)
    assert course.sync.overdue(600_000, course.received) is None
    [ask] = course.sync.asks(1, 600_000, course.received)
    blames = {ms: course.sync.overdue(ms, course.received) for ms in range(600_500, 604_500, CHECK_EVERY_MS)}
    assert next(ms for ms, blame in blames.items() if blame is not None) == 603_500  # half a second was over before
