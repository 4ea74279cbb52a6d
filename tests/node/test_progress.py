"""A long sync is told of: in the log when it begins, now and then, and when it ends; in the status meanwhile."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tallystick.chain.chain import Chain
from tallystick.consensus import engine_for
from tallystick.model.limits import Limits
from tallystick.model.network import CLASSIC, CLASSIC_GENESIS
from tallystick.model.sealed import AnyBlock
from tallystick.node.effects import Log
from tallystick.node.fetching import Fetching
from tallystick.node.inputs import Moment, Now
from tallystick.node.progress import REPORT_EVERY_MS, Progress
from tallystick.storage.memory import MemoryStore
from tallystick.wire.native.messages import Point
from tests.node.player import WALL_MS, grow

LIMITS = Limits(batch_blocks=10)
LEAD = 1


class Course:
    """A sync of `target` blocks whose blocks come when the test says so."""

    def __init__(self, target: int) -> None:
        self.blocks = grow(CLASSIC_GENESIS, *(f"block {number}" for number in range(target)))
        self.store = MemoryStore(CLASSIC, LIMITS)
        engine = engine_for(CLASSIC)
        self.fetching = Fetching(engine, Chain(engine, CLASSIC_GENESIS, LIMITS), LIMITS)
        self.progress = Progress(self.fetching, LIMITS)
        self.fetching.sync.claims(LEAD, target, target)

    def gets(self, count: int, now_ms: int) -> Sequence[AnyBlock]:
        """The next blocks arrive and are connected."""
        sync = self.fetching.sync
        for ask in sync.asks(0, now_ms, lambda _: 0):
            parent = self.fetching.reached
            ask.batch.at = Point(parent.index, bytes.fromhex(parent.hash))
            run = self.blocks[parent.index : parent.index + count]
            sync.received(ask.batch, run, (), now_ms)
        moment = Moment(Now(WALL_MS + now_ms, now_ms), random.Random(0), self.store)  # noqa: S311 - nobody draws
        change, _, blame = self.fetching.connect(moment)
        assert blame is None
        self.store.begin()
        for write in change.writes:
            self.store.apply(write)
        self.store.commit()
        self.fetching.settle(now_ms)
        return change.appended


def events(lines: Sequence[Log]) -> list[str]:
    return [line.event for line in lines]


def test_a_few_blocks_are_nothing_to_tell() -> None:
    course = Course(10)
    list(course.fetching.sync.asks(0, 0, lambda _: 0))
    assert course.progress.now() is not None
    assert course.progress.report(0) == []


def test_the_beginning_the_middle_and_the_end_of_a_long_sync() -> None:
    course = Course(30)
    assert course.progress.now() is None
    course.gets(10, 0)
    [begins] = course.progress.report(0)
    assert (begins.event, begins.fields) == ("fetching the chain of peers", {"from": 10, "to": 30})
    course.gets(10, 1_000)
    assert course.progress.report(1_000) == []
    status = course.progress.now()
    assert status is not None
    assert (status.index, status.target, status.blocks_per_second, status.remaining_ms) == (20, 30, 10, 1_000)
    [middle] = course.progress.report(REPORT_EVERY_MS)
    assert middle.fields == {"index": 20, "to": 30, "blocks_per_s": 10, "peers": 0, "remaining_s": 1}
    assert course.progress.report(REPORT_EVERY_MS + 1) == []
    course.gets(10, 12_000)
    [ends] = course.progress.report(12_000)
    assert (ends.event, ends.fields) == ("fetching ended", {"index": 30, "blocks": 20, "seconds": 12.0})
    assert course.progress.report(13_000) == []
    assert course.progress.now() is None
