"""Many records of one id: anybody may make them, and nobody pays for them but who does.

What is asked for by its full name is found among any number; to see whether an id is free, a few are looked at.
"""

from __future__ import annotations

import pytest

from tallystick.chain.contracts import Known, Placed
from tallystick.errors import Rule, RuleViolation
from tallystick.model.limits import Limits
from tallystick.model.record import Record, raw_of, with_data
from tallystick.node.effects import Reply
from tallystick.node.inputs import EraseRecord, PostRecords
from tallystick.wire.native.messages import GetRecords, Records
from tests.node.player import Player
from tests.node.test_record_relay import announces, delivers, gives, joined, names, pending, pushes
from tests.storage.sealed_blocks import GENESIS, NETWORK, child, record

MOST = 3
SAME = [record("same", f"number {number}") for number in range(MOST + 3)]


@pytest.fixture
def node() -> Player:
    return Player(Limits(records_per_id=MOST), network=NETWORK)


def answer(node: Player, posted: Record) -> Known | Rule:
    """What a caller hears who posts that."""
    (reply,) = [effect for effect in node.tell(PostRecords(1, [posted])) if isinstance(effect, Reply)]
    if isinstance(reply.answer, RuleViolation):
        return reply.answer.rule
    (known,) = reply.answer  # type: ignore[misc]
    assert isinstance(known, Known)
    return known


def test_each_is_told_asked_for_and_given_by_its_full_name(node: Player) -> None:
    peer, other = joined(node, "a"), joined(node, "b")
    gives(peer, *SAME[:-1])
    assert pending(node) == SAME[:-1]
    other.inbox.clear()
    announces(other, *SAME)
    assert other.takes(GetRecords).names == names(SAME[-1:])
    other.says(GetRecords(7, names(SAME)))
    reply = other.takes(Records)
    assert (reply.records, reply.missing) == (tuple(map(raw_of, SAME[:-1])), (len(SAME) - 1,))


def test_what_comes_twice_is_kept_once_however_many_share_its_id(node: Player) -> None:
    peer, other = joined(node, "a"), joined(node, "b")
    announces(peer, *SAME)
    announces(other, *SAME[2:], record("more"))
    delivers(peer, SAME)
    delivers(other, [*SAME[2:], record("more")])
    assert pending(node) == [*SAME, record("more")]


def test_an_id_that_many_share_is_not_free(node: Player) -> None:
    gives(joined(node), *SAME)
    assert answer(node, record("same", "mine")) is Rule.RECORD_ID_IS_FREE
    assert answer(node, record("other")) == Known(record("other"), Placed.POOL)
    found = node.store.named(["same"])
    assert len(found) == MOST
    for known in found:
        assert known.record.data is not None
        again = with_data("same", known.record.data, b"another salt. 16")
        assert answer(node, again) == known, "the same data is answered with what is there"


def test_an_id_is_not_free_where_those_that_were_not_looked_at_may_have_taken_it(node: Player) -> None:
    """A branch that lost holds so many that a caller's own record is not among those that are looked at: it would be
    taken again each time the caller tried."""
    taken = [record("taken", f"number {number}") for number in range(MOST)]
    pushes(joined(node), child(GENESIS), child(GENESIS, [*SAME[: MOST - 1], *taken], variant=1))
    assert [known.placed for known in node.store.named(["taken", "same"])] == [Placed.ASIDE] * (2 * MOST - 1)
    assert answer(node, record("same", "mine")) == Known(record("same", "mine"), Placed.POOL)
    assert answer(node, with_data("same", b'"mine"', b"another salt. 16")) == Known(record("same", "mine"), Placed.POOL)
    assert answer(node, record("taken", "mine")) is Rule.RECORD_ID_IS_FREE


def test_all_of_an_id_are_erased(node: Player) -> None:
    gives(joined(node), *SAME, record("other"))
    node.tell(EraseRecord(1, "same"))
    assert [each.data for each in pending(node)] == [None] * len(SAME) + [record("other").data]
