"""Who may put how much into the pool: callers all of it, peers a part, each address a smaller part."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tallystick.chain.writes import AddRecords, Append
from tallystick.errors import Rule, RuleViolation
from tallystick.model.limits import Limits
from tallystick.model.record import Record
from tallystick.model.sealed import SealedBlock
from tallystick.node.pool import Pool
from tallystick.storage.memory import MemoryStore
from tests.effort import examples
from tests.storage.sealed_blocks import GENESIS, NETWORK, child, record, records

COST = 1_000
"""What a record of these tests counts, whatever it holds: so much that its own bytes do not matter."""

LIMITS = Limits(
    pool_bytes=10 * COST, pool_foreign_bytes=7 * COST, pool_peer_bytes=4 * COST, pool_record_bytes=COST - 200
)
IPS = ["10.0.0.1", "10.0.0.2", "2001:db8::1"]


def padded(name: str, cost: int = COST, limits: Limits = LIMITS) -> Record:
    """A record of that id which counts exactly so much."""
    empty = record(name, "-").size_bytes - 1
    made = record(name, "x" * (cost - limits.pool_record_bytes - empty))
    assert Pool(limits).cost(made) == cost
    return made


def several(prefix: str, number: int) -> list[Record]:
    return [padded(f"{prefix}-{each:02}") for each in range(number)]


class Filling:
    """A pool, and the store in which what it lets in is kept."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.limits = limits
        self.store = MemoryStore(NETWORK, limits)
        self.pool = Pool(limits)
        self.tip: SealedBlock = GENESIS

    def write(self, write: AddRecords | Append) -> None:
        self.store.begin()
        self.store.apply(write)
        self.store.commit()

    def posts(self, *offered: Record) -> bool:
        """A caller brings these; are they let in?"""
        try:
            self.pool.check_room(offered, self.store)
        except RuleViolation as refused:
            assert refused.rule is Rule.POOL_HAS_ROOM
            return False
        self.write(AddRecords(offered))
        return True

    def sends(self, ip: str, offered: Sequence[Record]) -> list[Record]:
        """A peer brings these; which are let in?"""
        taken = self.pool.take_foreign(offered, ip, self.store)
        self.write(AddRecords(taken))
        return taken

    def pending(self) -> list[Record]:
        return list(self.store.pool(0, 10_000, 10**9)[0])

    def seal(self, held: Sequence[Record], *, told: bool = True) -> None:
        """These come into a block; of one that came by a reorg the pool is not told."""
        self.tip = child(self.tip, held)
        self.write(Append([self.tip]))
        if told:
            self.pool.sealed(held)


# --- the law ----------------------------------------------------------------------------------------


class Pooling(RuleBasedStateMachine):
    """Against an account that is worked out anew each time: whatever is pending, and who brought it."""

    def __init__(self) -> None:
        super().__init__()
        self.filling = Filling()
        self.brought: dict[bytes, str] = {}
        """Of each record that a peer brought: who."""

        self._made = 0

    def made(self, costs: Sequence[int]) -> list[Record]:
        self._made += len(costs)
        return [padded(f"{self._made - number:05}", cost) for number, cost in enumerate(costs)]

    costs = st.lists(st.sampled_from([COST - 50, COST, COST, COST + 1, 2 * COST, 5 * COST]), max_size=6)

    @rule(costs=costs)
    def a_caller_posts(self, costs: Sequence[int]) -> None:
        offered = self.made(costs)
        fits = self.size(self.filling.pending()) + sum(costs) <= LIMITS.pool_bytes
        assert self.filling.posts(*offered) == fits

    @rule(ip=st.sampled_from(IPS), costs=costs)
    def a_peer_sends(self, ip: str, costs: Sequence[int]) -> None:
        offered, expected = self.made(costs), list[Record]()
        pending = self.filling.pending()
        for each in offered:
            pending_now = [*pending, *expected, each]
            foreign = [one for one in pending_now if one.leaf in self.brought or one in [*expected, each]]
            share = [one for one in foreign if self.brought.get(one.leaf, ip) == ip]
            if (
                self.size(pending_now) <= LIMITS.pool_bytes
                and self.size(foreign) <= LIMITS.pool_foreign_bytes
                and self.size(share) <= LIMITS.pool_peer_bytes
            ):
                expected.append(each)
        assert self.filling.sends(ip, offered) == expected
        self.brought.update((each.leaf, ip) for each in expected)

    @rule(first=st.integers(0, 9), count=st.integers(0, 5), told=st.booleans())
    def a_block_holds_some(self, first: int, count: int, *, told: bool) -> None:
        self.filling.seal(self.filling.pending()[first : first + count], told=told)

    def size(self, counted: Sequence[Record]) -> int:
        return sum(map(self.filling.pool.cost, counted))

    @invariant()
    def nothing_exceeds_its_bound(self) -> None:
        pending = self.filling.pending()
        assert self.size(pending) == self.filling.store.pool_size()[1] <= LIMITS.pool_bytes
        assert self.size([each for each in pending if each.leaf in self.brought]) <= LIMITS.pool_foreign_bytes
        for ip in IPS:
            share = [each for each in pending if self.brought.get(each.leaf) == ip]
            assert self.size(share) <= LIMITS.pool_peer_bytes


TestPooling = Pooling.TestCase
TestPooling.settings = settings(max_examples=examples(60), stateful_step_count=30, deadline=None)
TestPooling.__doc__ = "Catalogue row 79: each has its share, and what came into blocks counts no more."


# --- examples ---------------------------------------------------------------------------------------


def test_one_address_that_floods_keeps_nobody_out() -> None:
    """Catalogue row 79: neither other peers nor our own callers."""
    filling = Filling()
    assert filling.sends(IPS[0], several("flood", 20)) == several("flood", 20)[:4]
    assert filling.sends(IPS[0], several("again", 1)) == []
    assert len(filling.sends(IPS[1], several("other", 20))) == 3
    assert filling.sends(IPS[2], several("third", 20)) == []
    assert filling.posts(*several("caller", 3))
    assert not filling.posts(padded("one too many"))


def test_a_batch_of_a_caller_is_taken_as_a_whole_or_not_at_all() -> None:
    filling = Filling()
    assert not filling.posts(*several("eleven", 11))
    assert filling.pending() == []
    assert filling.posts(*several("ten", 10))


def test_a_caller_who_is_refused_learns_how_much_waits() -> None:
    filling = Filling()
    filling.posts(*several("ten", 10))
    with pytest.raises(RuleViolation, match=r"10 records wait.* these 2 do not fit.* try again later"):
        filling.pool.check_room(several("two", 2), filling.store)


def test_callers_leave_peers_what_is_left() -> None:
    filling = Filling()
    assert filling.posts(*several("caller", 8))
    assert len(filling.sends(IPS[0], several("peer", 4))) == 2


def test_a_record_that_does_not_fit_is_left_out_and_the_next_is_taken() -> None:
    filling = Filling()
    first, large, last = padded("a", 3 * COST), padded("b", 2 * COST), padded("c")
    assert filling.sends(IPS[0], [first, large, last]) == [first, last]


def test_tiny_records_are_not_free() -> None:
    filling = Filling(Limits(pool_bytes=10**6, pool_foreign_bytes=10**6, pool_peer_bytes=3_000))
    tiny = [record(f"{each}", "1") for each in range(100)]
    taken = filling.sends(IPS[0], tiny)
    assert len(taken) == 3_000 // filling.pool.cost(tiny[0])
    assert filling.pool.cost(tiny[0]) == tiny[0].size_bytes + Limits().pool_record_bytes


def test_what_came_into_a_block_makes_room() -> None:
    filling = Filling()
    taken = filling.sends(IPS[0], several("a", 9))
    filling.seal(taken[:3])
    assert len(filling.sends(IPS[0], several("b", 9))) == 3


def test_what_nobody_sent_makes_no_room_by_being_sealed() -> None:
    filling = Filling()
    ours = several("ours", 2)
    filling.posts(*ours)
    filling.sends(IPS[0], several("a", 4))
    filling.seal(ours)
    assert filling.sends(IPS[0], several("b", 1)) == []
    assert len(filling.sends(IPS[1], several("c", 9))) == 3


@pytest.mark.parametrize("page", [1, 2, 3, 100])
def test_what_a_reorg_brought_into_blocks_makes_room_a_page_at_a_time(page: int) -> None:
    """The pool is not told which; however few it looks at in one go, all are found in the end."""
    filling = Filling(
        Limits(
            pool_bytes=10 * COST,
            pool_foreign_bytes=8 * COST,
            pool_peer_bytes=8 * COST,
            pool_record_bytes=LIMITS.pool_record_bytes,
            view_page=page,
        )
    )
    taken = filling.sends(IPS[0], several("a", 8))
    filling.seal(taken[1::2], told=False)
    calls, let_in = 0, list[Record]()
    while len(let_in) < 4:
        calls += 1
        assert calls <= 8 // page + 1
        let_in += filling.sends(IPS[0], [padded(f"b-{calls:02}-{each}") for each in range(4 - len(let_in))])
    assert filling.sends(IPS[0], several("c", 4)) == []
    assert len(filling.pending()) == 8


def test_nothing_is_remembered_of_what_is_over() -> None:
    filling = Filling()
    for number in range(50):
        ip = f"10.0.{number}.1"
        filling.seal(filling.sends(ip, several(f"{number}", 3)))
    pool = filling.pool
    assert (pool._from, dict(pool._shares), pool._foreign_bytes) == ({}, {}, 0)
    pool.sealed(records("unknown", 2))
    assert pool._foreign_bytes == 0
