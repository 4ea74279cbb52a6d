"""The story is what happened, whenever somebody listens: no event is missing, none is told twice."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from tallystick.api.feed import KINDS, Cursor, Feed, now, since
from tallystick.chain.contracts import Placed
from tallystick.chain.writes import AddRecords, AddSide, Append
from tallystick.model.limits import LIMITS
from tallystick.model.record import Record
from tallystick.model.sealed import SealedBlock
from tallystick.storage.memory import MemoryReader, MemoryStore
from tests.effort import examples
from tests.storage.kit import commit, switch
from tests.storage.sealed_blocks import GENESIS, NETWORK, branch, child, record

FEW = replace(LIMITS, events_at_once=3, fork_blocks=4)


class Listener:
    """Believes what it is told, and nothing that cannot be."""

    def __init__(self, reader: MemoryReader, cursor: Cursor, kinds: frozenset[str] = KINDS) -> None:
        self.reader = reader
        self.kinds = kinds
        self.cursor = cursor
        self.chain: list[str] = []
        self.stands: dict[str, str] = {}
        self.resets = 0

    def hears(self) -> bool:
        """Some more, after it was away and came back. Returns whether that was all."""
        cursor = Cursor.read(str(self.cursor))
        assert cursor == self.cursor
        feed = Feed(self.reader, FEW, cursor, self.kinds)
        events = feed.some()
        assert len(events) <= FEW.events_at_once
        for event in events:
            self.cursor = event.cursor
            self.learns(event.kind, json.loads(event.data))
        self.cursor = feed.cursor
        return feed.is_over

    def learns(self, kind: str, told: dict[str, Any]) -> None:
        match kind:
            case "block":
                assert told["index"] == len(self.chain)
                assert not self.chain or told["previous_hash"] == self.chain[-1]
                self.chain.append(told["hash"])
            case "reorg":
                removed = [each["hash"] for each in told["removed"]]
                assert removed == self.chain[: told["fork"]["index"] : -1]
                self.chain = self.chain[: told["fork"]["index"] + 1]
                assert self.chain[-1] == told["fork"]["hash"]
            case "record" if told["status"] == "included":
                assert told["block"]["hash"] == self.chain[-1]
                assert self.stands.get(told["leaf"]) != "included"
                self.stands[told["leaf"]] = "included"
            case "record":
                assert told["status"] == "pending"
                assert self.stands.get(told["leaf"]) != "pending"
                self.stands[told["leaf"]] = "pending"
            case "reset":
                self.resets += 1
                self.chain = [self.reader.block(index).hash for index in range(told["index"] + 1)]  # type: ignore[union-attr]
                self.stands = standing(self.reader)
            case _:
                raise AssertionError(kind)

    def hears_all(self) -> None:
        while not self.hears():
            pass


def standing(reader: MemoryReader) -> dict[str, str]:
    """Every record that is pending or included, by its leaf."""
    log = {shown.record.leaf.hex(): "included" for shown in reader.records(0, 10_000)}
    arrived = reader.arrivals(0, 10_000)
    return log | {each.leaf.hex(): "pending" for each in arrived if each.placed is Placed.POOL}


class Told(RuleBasedStateMachine):
    """A ledger to which things happen, and somebody who listens now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryStore(NETWORK, LIMITS)
        self.reader = MemoryReader(self.store, LIMITS)
        self.listener = Listener(self.reader, Cursor(0, "0" * 64))
        self.best: list[SealedBlock] = [GENESIS]
        self.made = self.branches = 0

    def new(self, number: int) -> list[Record]:
        self.made += number
        return [record(f"r{at}") for at in range(self.made - number, self.made)]

    def pooled(self) -> Sequence[Record]:
        return self.store.pool(0, 10_000, 10_000_000)[0]

    @rule(number=st.integers(1, 5))
    def post(self, number: int) -> None:
        commit(self.store, AddRecords(self.new(number)))

    @rule(number=st.integers(0, 5), strange=st.integers(0, 4))
    def seal(self, number: int, strange: int) -> None:
        """A block of what is pending, and of what nobody here had heard of."""
        block = child(self.best[-1], [*self.pooled()[:number], *self.new(strange)])
        commit(self.store, Append([block]))
        self.best.append(block)

    @precondition(lambda self: len(self.best) > 1)
    @rule(data=st.data(), depth=st.integers(1, 6), longer=st.integers(1, 2))
    def overtake(self, data: st.DataObject, depth: int, longer: int) -> None:
        """Another branch, of some of the same records and some new ones."""
        fork = max(0, len(self.best) - 1 - depth)
        held = [each for block in self.best[fork + 1 :] for each in block.records]
        bodies: list[list[Record]] = []
        for _ in range(len(self.best) - 1 - fork + longer):
            again = data.draw(st.integers(0, min(3, len(held))))
            bodies.append([*held[:again], *self.new(data.draw(st.integers(0, 2)))])
            held = held[again:]
        self.branches += 1
        blocks = branch(self.best[fork], *bodies, variant=self.branches)
        commit(self.store, AddSide(blocks), switch(self.best[-1], self.best[fork], blocks[-1]))
        self.best = [*self.best[: fork + 1], *blocks]

    @rule()
    def listen(self) -> None:
        self.listener.hears()

    def teardown(self) -> None:
        self.listener.hears_all()
        assert self.listener.chain == [block.hash for block in self.best]
        assert self.listener.stands == standing(self.reader)


TestTold = Told.TestCase
TestTold.settings = settings(max_examples=examples(50), stateful_step_count=30, deadline=None)


def served(*writes: object) -> tuple[MemoryStore, MemoryReader]:
    store = MemoryStore(NETWORK, LIMITS)
    commit(store, *writes)  # type: ignore[arg-type]  # any of them
    return store, MemoryReader(store, LIMITS)


def test_now_is_after_everything_that_happened() -> None:
    store, reader = served(AddRecords([record("a"), record("b")]), Append(branch(GENESIS, [record("a")])))
    feed = Feed(reader, LIMITS, now(reader), KINDS)
    assert feed.some() == []
    assert feed.is_over
    commit(store, AddRecords([record("c")]))
    [event] = feed.some()
    assert json.loads(event.data) == {
        "id": "c", "leaf": record("c").leaf.hex(), "status": "pending", "block": None, "position": None
    }  # fmt: skip


def test_records_come_before_their_block_and_are_included_after_it() -> None:
    blocks = branch(GENESIS, [record("a"), record("b")])
    _, reader = served(Append(blocks))
    cursor = since(reader, 1)
    assert cursor is not None
    events = Feed(reader, LIMITS, cursor, KINDS).some()
    assert [event.kind for event in events] == ["record", "record", "block", "record", "record"]
    *_, block, _, last = (json.loads(event.data) for event in events)
    header = {"index": 1, "hash": blocks[0].hash, "timestamp": blocks[0].timestamp}
    assert block == {**header, "previous_hash": GENESIS.hash, "records": 2}
    assert last == {
        "id": "b", "leaf": record("b").leaf.hex(), "status": "included", "block": header, "position": 1
    }  # fmt: skip


def test_what_is_not_asked_for_is_passed_over() -> None:
    _, reader = served(AddRecords([record("x")]), Append(branch(GENESIS, *[[record(f"r{at}")] for at in range(9)])))
    feed = Feed(reader, FEW, Cursor(0, "0" * 64), frozenset({"block"}))
    told = []
    while not feed.is_over:
        told += [json.loads(event.data)["index"] for event in feed.some()]
    assert told == list(range(10))
    feed = Feed(reader, FEW, Cursor(0, "0" * 64), frozenset({"reorg"}))
    while not feed.is_over:
        assert feed.some() == []


def test_where_the_way_back_is_too_long_or_lost_everything_begins_anew() -> None:
    """There is nobody to blame for it, and nothing may be told that is not so."""
    blocks = branch(GENESIS, *[[record(f"r{at}")] for at in range(6)])
    store, reader = served(Append(blocks))
    listener = Listener(reader, Cursor(0, "0" * 64))
    listener.hears_all()
    others = branch(GENESIS, *[[] for _ in range(7)], variant=3)
    commit(store, AddSide(others), switch(blocks[-1], GENESIS, others[-1]))
    listener.hears_all()
    assert listener.resets == 1  # six blocks left, and four are told of
    assert listener.chain == [GENESIS.hash, *(block.hash for block in others)]
    assert set(listener.stands.values()) == {"pending"}
    stranger = Listener(reader, Cursor(8, "ab" * 32))
    stranger.hears_all()
    assert stranger.resets == 1


@given(
    st.text(max_size=120) | st.from_regex(r"[0-9]{1,20}-[0-9a-f]{64}-(all|[0-9]{1,11})-(on|[0-9]{1,17})-[0-9]{1,20}")
)
def test_any_text_is_a_cursor_or_none(text: str) -> None:
    cursor = Cursor.read(text)
    if cursor is not None:
        assert Cursor.read(str(cursor)) == cursor
        reader = MemoryReader(MemoryStore(NETWORK, LIMITS), LIMITS)
        feed = Feed(reader, FEW, cursor, KINDS)
        for _ in range(5):
            feed.some()
        assert feed.is_over


def test_a_chain_that_is_too_short_has_no_such_place() -> None:
    _, reader = served()
    assert since(reader, 1) == Cursor(1, GENESIS.hash)
    assert since(reader, 2) is None


@pytest.mark.parametrize("kinds", [KINDS, KINDS - {"record"}])
def test_whoever_heard_part_of_a_block_that_left_hears_that_this_part_is_pending(kinds: frozenset[str]) -> None:
    blocks = branch(GENESIS, [record(f"r{at}") for at in range(5)])
    store, reader = served(Append(blocks))
    listener = Listener(reader, Cursor(0, "0" * 64), kinds)
    listener.hears()
    listener.hears()
    others = branch(GENESIS, [record("r4")], [], variant=3)
    commit(store, AddSide(others), switch(blocks[-1], GENESIS, others[-1]))
    listener.hears_all()
    assert listener.chain == [GENESIS.hash, *(block.hash for block in others)]
    if "record" in kinds:
        assert listener.stands == standing(reader)
        assert reader.records_of("r4")[0].placed is Placed.CHAIN
