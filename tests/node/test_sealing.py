"""What a node that mines looks for, and when."""

from __future__ import annotations

from hashlib import sha256
from itertools import count

import pytest

from tallystick.model.limits import MINUTE_MS, SECOND_MS
from tallystick.node.effects import Effect, Log, Mine
from tallystick.node.inputs import Mined, PostRecords, Tick
from tests.node.player import Player
from tests.storage.sealed_blocks import NETWORK, records

LATER_MS = 10_000_000
DAY_MS = 24 * 60 * MINUTE_MS


@pytest.fixture
def node() -> Player:
    return Player(network=NETWORK, mines=True, mono_ms=LATER_MS)


def job(effects: list[Effect]) -> Mine:
    """The newest thing to look for."""
    return [effect for effect in effects if isinstance(effect, Mine)][-1]


def found(what: Mine) -> Mined:
    nonce = next(n for n in count() if sha256(what.head + n.to_bytes(8, "big")).digest() <= what.target)
    return Mined(what.number, nonce)


def test_blocks_without_records_are_looked_for_too(node: Player) -> None:
    """Or the schedule that difficulty follows would decay."""
    for index in range(1, 4):
        node.tell(found(job(node.wait(0))))
        assert node.reader.tip().index == index


def test_what_is_posted_is_looked_for_at_once_when_there_was_nothing_before(node: Player) -> None:
    first = job(node.wait(0))
    node.tell(PostRecords(1, records("r", 3)))
    second = job(node.wait(0))
    assert second.number > first.number
    node.tell(found(first))
    assert node.reader.tip().index == 0  # it was for a draft of old
    node.tell(found(second))
    assert [record.id for record in records("r", 3)] == [each.record.id for each in node.reader.records(0, 10)]
    assert node.store.pool_size()[0] == 0


def test_more_records_join_after_a_while(node: Player) -> None:
    node.tell(PostRecords(1, records("a", 1)))
    node.wait(0)
    node.tell(PostRecords(1, records("b", 1)))
    assert not any(isinstance(effect, Mine) for effect in node.wait(node.limits.template_ms - 1))
    node.tell(found(job(node.wait(1))))
    assert len(node.reader.records(0, 10)) == 2


def test_a_miner_whose_chain_is_dated_ahead_of_its_clock_says_so_and_waits(node: Player) -> None:
    """Its clock ran ahead, and was set right: blocks after those of the median would be taken by nobody."""
    node.mono_ms += DAY_MS
    for _ in range(12):
        node.tell(found(job(node.wait(0))))
    tip = node.reader.tip()
    node.mono_ms -= DAY_MS  # both clocks of a player go together; the wall clock is what matters here
    node.restart()
    effects = node.tell(Tick())
    assert not any(isinstance(effect, Mine) for effect in effects)
    assert node.logged("no block can be made; is a clock wrong?")
    assert not any(isinstance(effect, Log) for effect in node.wait(MINUTE_MS - SECOND_MS))
    assert node.logged("no block can be made; is a clock wrong?") is False
    node.wait(DAY_MS)
    node.tell(found(job(node.wait(MINUTE_MS) or node.effects)))
    assert node.reader.tip().index == tip.index + 1
