"""Fetching a chain from several peers: what is asked of whom, and who is held to be slow or lying."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from tallystick.errors import Rule
from tallystick.model.block import Block
from tallystick.model.limits import Limits
from tallystick.model.sealed import AnyBlock
from tallystick.wire.native.batch import Ask, Batch, Blame
from tallystick.wire.native.messages import Point
from tallystick.wire.native.sync import FRESH_STARTS, Sync

LIMITS = Limits(batch_blocks=10, headers_per_reply=10, plan_batches=4, window_batches=4, reply_soft_bytes=1_000)
"""A batch of ten blocks of 100 bytes is as long as an answer may be."""

SECOND = 1_000
FAST = 10**9


def chain(name: str, length: int, fork: int = 0, size: int = 100) -> list[Block]:
    """Blocks 1, 2, ... of a chain, those up to the fork being those of chain `a`. Nobody here looks at their hashes."""
    blocks: list[Block] = []
    previous = "00" * 32
    for index in range(1, length + 1):
        owner = ("a" if index <= fork else name).encode().hex()
        hash = (owner + f"{index:x}".rjust(8, "0")).rjust(64, "0")
        blocks.append(Block("x" * size, hash, index, previous, 1_700_000_000))
        previous = hash
    return blocks


def point(block: AnyBlock) -> Point:
    return Point(block.index, bytes.fromhex(block.hash))


class Desk:
    """A sync on a clock that the test moves, and a chain that grows by what it gives."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.limits = limits
        self.sync = Sync(limits)
        self.now_ms = 0
        self.number = 0
        self.bytes = Counter[int]()
        self.got: list[AnyBlock] = []
        self.out: list[Ask] = []
        self.blamed: list[Blame] = []
        self.finished: list[tuple[int, int]] = []

    def claims(self, **indexes: int) -> None:
        """`p1=30`: peer 1 says that its chain has 30 blocks."""
        for name, index in indexes.items():
            self.sync.claims(int(name[1:]), index, index)

    def asks(self) -> list[Ask]:
        """What is asked now; it counts as under way."""
        new = []
        for ask in self.sync.asks(len(self.got), self.now_ms, self.received):
            self.number += 1
            ask.batch.number = self.number
            new.append(Ask(ask.peer, ask.batch))
        self.out += new
        return new

    def received(self, peer: int) -> int:
        return self.bytes[peer]

    def asked_of(self, peer: int) -> list[Batch]:
        return [ask.batch for ask in self.out if ask.peer == peer and ask.batch.peer == peer]

    def answers(
        self, batch: Batch, theirs: Sequence[Block], most: int = 10, plan: Sequence[bytes] | None = None
    ) -> None:
        """Whoever was asked for this batch has the chain `theirs`, and gives up to `most` blocks of it."""
        if batch.at is None:
            batch.at = Point(0, bytes(32)) if not self.got else point(self.got[-1])
        first, stop = batch.at.index, batch.stop
        run = theirs[first : min(first + most, stop.index if stop is not None else first + most)]
        if stop is not None and (len(theirs) < stop.index or point(theirs[stop.index - 1]) != stop):
            run = ()
        if plan is None:
            step = self.limits.batch_blocks
            ends = theirs[first + len(run) + step - 1 :: step][: self.limits.plan_batches]
            plan = [point(end).hash for end in ends] if stop is None and run else ()
        assert batch.peer is not None
        self.bytes[batch.peer] += sum(len(block.data) for block in run)
        blame = self.sync.received(batch, run, plan, self.now_ms)
        self.blamed += [] if blame is None else [blame]

    def connects(self) -> tuple[int, int] | None:
        """Connect what is here; what `finish` says."""
        while run := self.sync.take():
            assert len(run) <= self.limits.headers_per_reply
            for block in run:
                assert block.index == len(self.got) + 1
                assert not self.got or block.previous_hash == self.got[-1].hash
                self.got.append(block)
            self.sync.connected(len(self.got), self.now_ms)
        finished = self.sync.finish(len(self.got))
        self.finished += [] if finished is None else [finished]
        return finished

    def leaves(self, peer: int) -> None:
        self.sync.gone(peer)
        self.out = [ask for ask in self.out if ask.peer != peer]

    def serves(self, chains: Mapping[int, Sequence[Block]], but: Sequence[int] = (), most: int = 10) -> None:
        """Everybody who was asked answers, except these, until nothing happens any more."""
        while True:
            self.asks()
            ready = [ask for ask in self.out if ask.batch.peer == ask.peer and ask.peer not in but]
            self.out = [ask for ask in self.out if ask.batch.peer == ask.peer and ask.peer in but]
            for ask in ready:
                if ask.batch.peer == ask.peer:
                    self.answers(ask.batch, chains[ask.peer], most)
            self.connects()
            if not ready:
                return

    def waits(self, ms: int, rates: dict[int, int] | None = None) -> list[Blame]:
        """Time passes; peers deliver so many bytes a second. Whoever is blamed is gone."""
        blames = []
        for _ in range(ms // 100):
            self.now_ms += 100
            for peer, rate in (rates or {}).items():
                self.bytes[peer] += rate // 10
            due = self.sync.next_ms()
            if due is not None and due <= self.now_ms:
                blame = self.sync.overdue(self.now_ms, self.received)
                if blame is not None:
                    blames.append(blame)
                    self.sync.gone(blame.peer)
        return blames


def begun(limits: Limits = LIMITS, /, **claims: int) -> tuple[Desk, list[Block]]:
    """The lead has given the first batch and the plan; everything that may be asked is asked."""
    return begun_with({int(name[1:]): index for name, index in claims.items()}, limits)


def begun_with(claims: Mapping[int, int], limits: Limits = LIMITS) -> tuple[Desk, list[Block]]:
    desk = Desk(limits)
    theirs = chain("a", max(claims.values()))
    for peer, index in claims.items():
        desk.sync.claims(peer, index, index)
    [first] = desk.asks()
    desk.answers(first.batch, theirs)
    desk.out.clear()
    desk.connects()
    desk.asks()
    return desk, theirs


# --- the way it goes --------------------------------------------------------------------------------


def test_nothing_is_asked_while_nobody_has_more() -> None:
    desk = Desk()
    desk.claims(p1=0)
    assert desk.asks() == []
    assert not desk.sync.is_active
    assert desk.sync.next_ms() is None


def test_a_chain_is_fetched_from_everybody_who_has_it() -> None:
    desk, theirs = begun(p1=100, p2=100, p3=40)
    assert desk.sync.lead == 1
    assert (
        Counter(ask.peer for ask in desk.out) == {1: 1, 2: 1, 3: 2}
        or sum(Counter(ask.peer for ask in desk.out).values()) == 4
    )
    desk.serves({1: theirs, 2: theirs, 3: theirs[:40]})
    assert desk.got == theirs
    assert not desk.sync.is_active
    assert desk.blamed == []


@pytest.mark.parametrize("length", [1, 9, 10, 11, 49, 50, 51, 99, 100, 101, 437])
@pytest.mark.parametrize("most", [1, 3, 10])
def test_chains_of_any_length_are_fetched_to_the_last_block(length: int, most: int) -> None:
    theirs = chain("a", length)
    desk = Desk()
    desk.claims(p1=length, p2=length)
    desk.serves({1: theirs, 2: theirs}, most=most)
    assert desk.got == theirs
    assert not desk.sync.is_active
    assert desk.blamed == []


def test_what_was_connected_is_not_asked_for_again() -> None:
    desk, theirs = begun(p1=30, p2=30)
    desk.serves({1: theirs, 2: theirs})
    longer = chain("a", 35)
    desk.claims(p2=35)
    desk.serves({1: theirs, 2: longer})
    assert desk.got == longer


def test_nobody_is_asked_for_more_than_a_few_batches_at_a_time() -> None:
    desk, _ = begun(p1=1_000)
    assert len(desk.asked_of(1)) == LIMITS.requests_in_flight
    assert desk.asks() == []


def test_only_batches_in_the_window_are_asked_for() -> None:
    desk, _ = begun_with(dict.fromkeys(range(1, 9), 1_000))
    asked = sorted(ask.batch.at.index for ask in desk.out if ask.batch.at is not None)
    assert asked == [10, 20, 30, 40]


def test_the_head_is_asked_for_though_the_window_is_full_of_bytes() -> None:
    """Or nothing would ever make room."""
    desk, theirs = begun(replace(LIMITS, window_bytes=2_500), p1=1_000, p2=1_000)
    assert [ask.batch.at.index for ask in desk.out if ask.batch.at is not None] == [10, 20]
    head, second = (ask.batch for ask in desk.out)
    desk.answers(second, theirs)
    assert desk.asks() == []
    desk.answers(head, theirs)
    desk.connects()
    assert desk.asks() != []


def test_an_answer_cut_short_is_asked_on_where_it_ended() -> None:
    desk, theirs = begun(p1=100, p2=100)
    head = desk.out[0].batch
    desk.answers(head, theirs, most=4)
    assert (head.at, head.complete) == (point(theirs[13]), False)
    [again] = desk.asks()
    assert again.batch is head


# --- stalls -----------------------------------------------------------------------------------------


def stalled(peers: int) -> Desk:
    """Everybody has delivered; the head alone is missing, and owed by the lead."""
    desk, theirs = begun_with(dict.fromkeys(range(1, peers + 1), 1_000))
    head = desk.out[0]
    for ask in desk.out[1:]:
        desk.answers(ask.batch, theirs)
    desk.out = [head]
    desk.serves(dict.fromkeys(range(1, peers + 1), theirs), but=[head.peer])
    return desk


def test_a_peer_that_holds_up_all_others_has_two_seconds() -> None:
    """Catalogue row 58."""
    desk = stalled(3)
    [blame] = desk.waits(3 * SECOND, {2: FAST, 3: FAST})
    assert (blame.peer, blame.broken.rule) == (desk.out[0].peer, Rule.SYNC_KEEPS_UP)
    assert 2 * SECOND <= desk.now_ms <= 3 * SECOND


def test_a_peer_that_holds_up_all_others_and_is_at_it_has_ten_seconds() -> None:
    """Catalogue row 58: a long block takes its time. When one was replaced, the others have twice as long as before, up
    to 64 seconds."""
    desk, theirs = begun_with(dict.fromkeys(range(1, 10), 1_000))
    patience = []
    for _ in range(7):
        everybody = dict.fromkeys(range(1, 10), theirs)
        head = next(ask for ask in desk.out if ask.batch is desk.sync._batches[0])
        desk.serves(everybody, but=[head.peer])
        began = desk.now_ms
        blames: list[Blame] = []
        while not blames:
            blames = desk.waits(100, dict.fromkeys(range(1, 10), FAST))
        [blame] = blames
        assert (blame.peer, blame.broken.rule) == (head.peer, Rule.SYNC_KEEPS_UP)
        patience.append((desk.now_ms - began) / SECOND)
        desk.out.clear()
        desk.asks()
    expected = [10, 10, 10, 16, 32, 64, 64]
    assert all(want <= got <= want + 1 for got, want in zip(patience, expected, strict=True)), patience


def test_patience_shrinks_again_as_blocks_connect() -> None:
    """Catalogue row 58."""
    desk = Desk()
    desk.sync._stall_ms = 64_000
    for _ in range(30):
        desk.sync.connected(1, 0)
    assert desk.sync._stall_ms == LIMITS.stall_first_ms


def test_a_peer_holds_up_nobody_while_others_are_busy_too() -> None:
    """Catalogue row 58: then the line is slow, not the peer."""
    desk, _ = begun(p1=1_000, p2=1_000, p3=1_000)
    assert desk.waits(10 * SECOND, {1: FAST, 2: FAST, 3: FAST}) == []


def test_a_peer_that_nobody_could_replace_is_waited_for() -> None:
    """Catalogue row 58."""
    desk, theirs = begun(p1=1_000)
    second = desk.out[1]
    desk.answers(second.batch, theirs)
    assert desk.waits(60 * SECOND, {1: 10}) == []
    [blame] = desk.waits(240 * SECOND)
    assert blame.broken.rule is Rule.SYNC_KEEPS_UP


def test_what_we_did_not_read_is_nobodys_delay() -> None:
    """Our own step took ten seconds; what the peers sent meanwhile waits to be read."""
    desk = stalled(3)
    desk.now_ms += 10 * SECOND
    assert desk.sync.overdue(desk.now_ms, desk.received) is None
    assert len(desk.waits(4 * SECOND)) == 1


# --- trickles ---------------------------------------------------------------------------------------


def test_a_trickle_is_replaced_by_whoever_can() -> None:
    """Catalogue row 59: it sends just enough never to be silent."""
    desk, _ = begun(p1=1_000, p2=1_000)
    [blame] = desk.waits(6 * SECOND, {1: 1_000, 2: FAST})
    assert (blame.peer, blame.broken.rule) == (1, Rule.SYNC_KEEPS_UP)
    assert desk.sync.lead == 2


@pytest.mark.parametrize(("rate", "is_blamed"), [(127_000, True), (130_000, False)])
def test_the_rate_that_is_enough(rate: int, *, is_blamed: bool) -> None:
    """Catalogue row 59: 128 KB a second."""
    desk, _ = begun(p1=1_000, p2=1_000)
    blames = desk.waits(30 * SECOND, {1: FAST, 2: rate})
    assert [blame.peer for blame in blames] == ([2] if is_blamed else [])


def test_a_trickle_after_a_fast_start_is_found() -> None:
    """Catalogue row 59: a good first minute saves up little."""
    desk, _ = begun(p1=1_000, p2=1_000)
    assert desk.waits(60 * SECOND, {1: FAST, 2: 1_000_000}) == []
    [blame] = desk.waits(60 * SECOND, {1: FAST, 2: 10})
    assert blame.peer == 2


def test_when_all_are_slow_one_stays() -> None:
    """Catalogue row 59: it is our own line, perhaps; dropping everybody helps nobody."""
    desk, _ = begun(p1=1_000, p2=1_000, p3=1_000)
    assert len(desk.waits(60 * SECOND, {1: 1_000, 2: 1_000, 3: 1_000})) == 2
    assert desk.sync.is_active


def test_a_block_at_a_time_is_a_trickle() -> None:
    """Catalogue row 59: each answer is prompt, and as short as it can be."""
    desk, theirs = begun(p1=1_000, p2=1_000)
    blames: list[Blame] = []
    for _ in range(10):
        blames += desk.waits(SECOND, {2: FAST})
        for batch in desk.asked_of(1):
            desk.answers(batch, theirs, most=1)
        desk.connects()
        desk.out = [ask for ask in desk.out if ask.batch.peer == ask.peer]
        desk.asks()
        if blames:
            break
    assert [blame.peer for blame in blames] == [1]


def test_a_lead_that_plans_nothing_and_gives_a_block_at_a_time_is_a_trickle() -> None:
    """Catalogue row 59."""
    desk, theirs = Desk(), chain("a", 1_000)
    desk.claims(p1=1_000, p2=900)
    blames: list[Blame] = []
    for _ in range(10):
        for ask in desk.asks():
            assert ask.peer == 1
        blames += desk.waits(SECOND)
        if blames:
            break
        for batch in desk.asked_of(1):
            desk.answers(batch, theirs, most=1, plan=())
        desk.connects()
    assert [blame.peer for blame in blames] == [1]


# --- lies -------------------------------------------------------------------------------------------


def test_a_claim_without_blocks_is_found_when_it_is_asked_for() -> None:
    """Catalogue row 61."""
    desk, theirs = Desk(), chain("a", 30)
    desk.claims(p1=10_000, p2=30)
    [ask] = desk.asks()
    assert ask.peer == 1
    desk.answers(ask.batch, theirs[:0])
    assert desk.connects() == (1, 10_000)


def test_a_claim_of_more_than_there_is_costs_the_claimant_alone() -> None:
    """Catalogue row 61: it delivers an honest chain, and says that there is more."""
    desk, theirs = Desk(), chain("a", 35)
    desk.claims(p1=10_000, p2=35)
    while True:
        for ask in desk.asks():
            desk.answers(ask.batch, theirs)
        if (finished := desk.connects()) is not None:
            break
    assert finished == (1, 10_000 - 35)
    assert desk.got == theirs


def test_what_a_lead_claimed_that_is_gone_is_not_held_against_the_next() -> None:
    """Catalogue row 61: the liar has answered the open end, and hangs up before all is connected."""
    desk, theirs = Desk(), chain("a", 35)
    desk.claims(p1=10_000, p2=35)
    [first] = desk.asks()
    desk.answers(first.batch, theirs)
    for _ in range(10):
        desk.connects()
        for ask in desk.asks():
            if ask.batch.stop is None:
                desk.answers(ask.batch, theirs)
        if not any(batch.stop is None and not batch.complete for batch in desk.sync._batches):
            break
    desk.leaves(1)
    desk.serves({2: theirs})
    assert desk.got == theirs
    assert desk.finished == [(2, 0)]


def test_a_silent_claimant_is_dropped_for_whoever_claims_less() -> None:
    """Catalogue row 61: else a hello with the greatest weight there is would hold up a sync for as long as it likes."""
    desk, theirs = Desk(), chain("a", 30)
    desk.claims(p1=2**50, p2=30)
    [ask] = desk.asks()
    assert ask.peer == 1
    [blame] = desk.waits(6 * SECOND, {1: 100})
    assert (blame.peer, blame.broken.rule) == (1, Rule.SYNC_KEEPS_UP)
    desk.serves({2: theirs})
    assert desk.got == theirs


def test_a_plan_of_nothing_leads_to_nothing_and_is_not_made_for_ever() -> None:
    """Catalogue row 61: after a few plans of blocks that are not there, their maker is to blame."""
    desk, theirs = Desk(), chain("a", 30)
    desk.claims(p1=10_000, p2=30)
    for attempt in range(FRESH_STARTS):
        assert desk.blamed == []
        [first] = desk.asks()
        assert first.peer == 1
        first.batch.at = Point(0, bytes(32))
        desk.sync.received(first.batch, theirs[:1], [bytes([attempt]) * 32], desk.now_ms)
        asked = desk.asks()
        for ask in asked:
            if ask.batch.stop is not None:
                desk.answers(ask.batch, theirs)
        assert [desk.sync.batch_of(1, ask.batch.number) for ask in asked] == [None, None]
    [blame] = desk.blamed
    assert (blame.peer, blame.broken.rule) == (1, Rule.CLAIM_IS_PROVEN)


def test_plans_that_came_to_nothing_are_not_held_against_whoever_leads_next() -> None:
    """It was found by the simulator, in a network where every line was slow (work networks, seed 359)."""
    desk, theirs = Desk(), chain("a", 30)
    desk.claims(p1=100, p2=100)
    for attempt in range(FRESH_STARTS):
        [first] = desk.asks()
        first.batch.at = Point(0, bytes(32))
        desk.sync.received(first.batch, theirs[:1], [bytes([attempt]) * 32], desk.now_ms)
        if attempt == FRESH_STARTS - 1:
            desk.leaves(1)
        for ask in desk.asks():
            if ask.batch.stop is not None:
                desk.answers(ask.batch, theirs)
            else:
                desk.sync.batch_of(1, ask.batch.number)
    assert desk.sync.lead == 2
    assert desk.blamed == []


@pytest.mark.parametrize(("changes", "rule"), [(True, Rule.SYNC_KEEPS_UP), (False, Rule.CLAIM_IS_PROVEN)])
def test_whose_chain_changes_faster_than_it_comes_is_slow_and_no_liar(changes: bool, rule: Rule) -> None:  # noqa: FBT001 - drawn
    """Every time it shows other headers (the simulator: work networks, seed 1232). Whoever shows the same ones again
    and never has their blocks is a liar all the same (catalogue row 45)."""
    desk, theirs = Desk(), chain("a", 30)
    desk.claims(p1=100)
    for attempt in range(FRESH_STARTS):
        [first] = desk.asks()
        end = Point(10, bytes([attempt * changes]) * 32)
        desk.sync.surveyed(first.batch, Point(0, bytes(32)), [end], (100, 0), desk.now_ms)
        for ask in desk.asks():
            if ask.batch.stop is not None:
                desk.answers(ask.batch, theirs)
            else:
                desk.sync.batch_of(1, ask.batch.number)
    assert [(blame.peer, blame.broken.rule) for blame in desk.blamed] == [(1, rule)]


def test_what_waited_for_what_is_before_it_is_connected_an_answer_at_a_time() -> None:
    """Else a batch that is here before its turn is put on the chain in one go, and callers wait for all of it."""
    desk, theirs = Desk(), chain("a", 40, size=200)
    desk.claims(p1=40)
    [first] = desk.asks()
    desk.answers(first.batch, theirs, most=5)
    second, third = desk.asks()
    for batch in (third.batch, third.batch, second.batch, second.batch):
        batch.peer = 1
        desk.answers(batch, theirs, most=5)
    runs = []
    while run := desk.sync.take():
        runs.append([block.index for block in run])
    assert [len(run) for run in runs] == [5] * len(runs)
    assert [index for run in runs for index in run] == list(range(1, 5 * len(runs) + 1))
    assert len(runs) == 5


def test_a_block_that_is_longer_than_an_answer_is_connected_by_itself() -> None:
    desk, theirs = Desk(), chain("a", 3, size=5_000)
    desk.claims(p1=3)
    [first] = desk.asks()
    desk.answers(first.batch, theirs, most=3)
    assert [[block.index for block in desk.sync.take()] for _ in range(4)] == [[1], [2], [3], []]


def test_going_over_the_same_blocks_again_is_no_progress() -> None:
    """Catalogue row 61: a lead that begins ever again where it began is found out, though it delivers."""
    desk, theirs = Desk(), chain("a", 30)
    desk.claims(p1=10_000, p2=30)
    for attempt in range(FRESH_STARTS + 1):
        assert desk.blamed == []
        asked = desk.asks()
        asked[0].batch.at = Point(0, bytes(32))
        desk.sync.received(asked[0].batch, theirs[:10], [bytes([attempt]) * 32], desk.now_ms)
        assert len(desk.sync.take()) == 10
        desk.sync.connected(10, desk.now_ms)
        for ask in desk.asks():
            if ask.batch.stop is not None:
                desk.answers(ask.batch, theirs)
            desk.sync.batch_of(1, ask.batch.number)
        if desk.blamed:
            break
    [blame] = desk.blamed
    assert (blame.peer, blame.broken.rule) == (1, Rule.CLAIM_IS_PROVEN)


def test_a_plan_that_only_its_maker_could_fulfil_does_not_hold_up_the_others() -> None:
    """Catalogue row 61: it made the plan up, and keeps silent about it."""
    desk, theirs = Desk(), chain("a", 300)
    desk.claims(p1=10_000, p2=300, p3=300)
    [first] = desk.asks()
    desk.answers(first.batch, theirs, plan=[bytes([n]) * 32 for n in range(4)])
    desk.connects()
    blames: list[Blame] = []
    for _ in range(20):
        desk.serves({2: theirs, 3: theirs}, but=[1])
        blames += desk.waits(SECOND, {1: 100})
    assert [blame.peer for blame in blames] == [1]
    assert desk.got == theirs


def test_a_lead_whose_plan_goes_further_than_its_claim_is_asked_for_it() -> None:
    """Its chain has grown, and nobody has told us yet."""
    desk, theirs = Desk(), chain("a", 100)
    desk.claims(p1=12)
    desk.serves({1: theirs})
    assert desk.got == theirs


def test_whoever_has_shown_blocks_leads_before_whoever_only_claims() -> None:
    """Catalogue row 61: a newcomer with a great claim costs nothing while somebody we know has more than we have."""
    desk, theirs = begun(p1=30)
    desk.serves({1: theirs})
    longer = chain("a", 40)
    desk.claims(p1=40, p2=10_000)
    [ask] = desk.asks()
    assert ask.peer == 1
    desk.answers(ask.batch, longer)
    desk.connects()
    assert desk.got == longer


# --- wrong answers ----------------------------------------------------------------------------------


def test_a_batch_that_failed_is_asked_of_somebody_else() -> None:
    """Catalogue row 60: what came was wrong, and its sender is gone."""
    desk, theirs = begun(p1=1_000, p2=1_000)
    ask = desk.out[0]
    desk.sync.failed(ask.batch)
    desk.sync.gone(ask.peer)
    assert all(other.peer != ask.peer for other in desk.asks())
    desk.serves({1: theirs, 2: theirs})
    assert desk.got == theirs


def test_a_batch_that_somebody_has_not_got_is_not_asked_of_it_again() -> None:
    """Catalogue row 60: a missing range is no offence; its chain may be another one."""
    desk, theirs = begun(p1=100, p2=100)
    other = chain("b", 100)
    desk.serves({1: theirs, 2: other})
    assert desk.got == theirs
    assert desk.blamed == []


def test_a_lead_whose_chain_changed_is_asked_for_a_new_plan() -> None:
    """Catalogue row 60: that is no offence either."""
    desk, theirs = begun(p1=100)
    changed = chain("b", 110, fork=10)
    desk.claims(p1=110)
    desk.serves({1: changed})
    assert desk.got == changed
    assert desk.blamed == []
    assert theirs[50] not in desk.got


# --- coming and going -------------------------------------------------------------------------------


def test_what_a_peer_owed_that_is_gone_is_asked_of_others() -> None:
    """Catalogue row 62."""
    desk, theirs = begun(p1=200, p2=200, p3=200)
    assert desk.asked_of(2) != []
    desk.leaves(2)
    desk.serves({1: theirs, 3: theirs})
    assert desk.got == theirs


def test_another_leads_on_when_the_lead_is_gone() -> None:
    """Catalogue row 62: what is here already is kept."""
    desk, theirs = begun(p1=200, p2=200)
    desk.answers(desk.out[1].batch, theirs)
    asked = desk.out[1].batch
    desk.leaves(1)
    assert desk.sync.lead == 2
    assert asked.complete
    desk.serves({2: theirs})
    assert desk.got == theirs


def test_all_peers_go_and_come_back() -> None:
    """Catalogue row 62: the sync goes on where it was, without a gap."""
    desk, theirs = begun(p1=200, p2=200)
    desk.answers(desk.out[1].batch, theirs)
    desk.sync.gone(1)
    desk.sync.gone(2)
    assert not desk.sync.is_active
    assert desk.asks() == []
    assert desk.sync.next_ms() is None
    desk.claims(p3=200)
    desk.serves({3: theirs})
    assert desk.got == theirs


def test_a_peer_that_has_not_got_the_plan_does_not_take_the_lead() -> None:
    """Catalogue row 62: it said so before; a plan that nobody fulfils would stand for ever."""
    desk, _ = begun(p1=100, p2=100)
    other = chain("b", 100, fork=10)
    desk.serves({1: [], 2: other}, but=[1])
    desk.leaves(1)
    desk.serves({2: other})
    assert desk.got == other
    assert desk.blamed == []


def test_a_late_answer_is_for_nobody() -> None:
    desk, _ = begun(p1=100)
    batch = desk.out[0].batch
    assert desk.sync.batch_of(1, batch.number) is batch
    assert desk.sync.batch_of(1, batch.number + 99) is None
    assert desk.sync.batch_of(2, batch.number) is None
    desk.sync.stop()
    assert desk.sync.batch_of(1, batch.number) is None


def test_a_chain_that_may_not_be_followed_is_left_alone_for_a_while() -> None:
    desk, _ = begun(p1=100)
    desk.sync.avoid(1, desk.now_ms + 5_000)
    assert not desk.sync.is_active
    assert desk.asks() == []
    desk.now_ms += 5_000
    assert desk.asks() == []  # two answers are under way still
    assert [desk.sync.batch_of(1, ask.batch.number) for ask in desk.out] == [None, None]
    assert desk.asks() != []


def test_what_is_not_wanted_any_more_counts_until_it_is_answered() -> None:
    """Starting over twice is no reason to ask one peer for six batches at a time."""
    desk, theirs = begun(p1=100)
    desk.sync.stop()
    assert desk.asks() == []
    for ask in desk.out:
        assert desk.sync.batch_of(1, ask.batch.number) is None
    desk.out.clear()
    desk.serves({1: theirs})
    assert desk.got == theirs


def test_a_lead_that_owes_what_is_not_wanted_any_more_is_replaced_too() -> None:
    """Catalogue row 58: or it would be waited for without being asked."""
    desk, theirs = begun(p1=1_000, p2=900)
    desk.sync.stop()
    desk.leaves(2)
    desk.claims(p2=900)
    assert desk.asks() == []
    assert desk.sync.lead == 1
    assert [blame.peer for blame in desk.waits(6 * SECOND)] == [1]
    desk.out.clear()
    desk.serves({2: theirs[:900]})
    assert desk.got == theirs[:900]


def test_progress_is_told() -> None:
    desk, theirs = begun(p1=200, p2=200)
    desk.waits(SECOND, {1: FAST, 2: FAST})
    for ask in desk.out:
        desk.answers(ask.batch, theirs)
    assert desk.sync.target() == 200
    desk.connects()
    assert desk.sync.rate() == 40
    desk.asks()
    assert desk.sync.busy() == 1
