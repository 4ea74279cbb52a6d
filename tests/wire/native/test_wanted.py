"""Records that peers announced: each holder gets its turn, one at a time, and nobody crowds out the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tallystick.model.limits import Limits
from tallystick.wire.native.messages import RecordName
from tallystick.wire.native.wanted import Wanted
from tests.effort import examples
from tests.wire.native.vocabulary import filled

PATIENCE_MS = 5_000
LIMITS = Limits(records_per_request=4, record_patience_ms=PATIENCE_MS)


def name(number: int) -> RecordName:
    return RecordName(f"record-{number}", number.to_bytes(32, "big"))


def names(*numbers: int) -> list[RecordName]:
    return [name(number) for number in numbers]


class Asking:
    """A tracker whose questions go out as soon as there are some."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.wanted = Wanted(limits)
        self.numbers: dict[int, int] = {}
        """Of the request under way to each peer."""

        self.under_way: dict[int, list[RecordName]] = {}
        self._last = 0

    def ask(self, now_ms: int = 0) -> dict[int, list[RecordName]]:
        questions = self.wanted.asks(now_ms)
        for peer, asked in questions:
            self._last += 1
            self.numbers[peer], self.under_way[peer] = self._last, asked
            self.wanted.asked(peer, self._last, asked, now_ms)
        assert len(dict(questions)) == len(questions)
        return dict(questions)

    def answers(self, peer: int, arrived: Sequence[RecordName] = (), missing: Sequence[RecordName] = ()) -> None:
        assert list(self.wanted.answered(peer, self.numbers.pop(peer))) == self.under_way.pop(peer)
        self.wanted.missing(peer, missing)
        self.wanted.arrived(arrived)

    def late(self, now_ms: int) -> list[int]:
        """The peers that kept us waiting."""
        late = self.wanted.overdue(now_ms)
        for peer, number in late:
            assert self.numbers.pop(peer) == number
            del self.under_way[peer]
        return [peer for peer, _ in late]

    def gone(self, peer: int) -> None:
        self.wanted.gone(peer)
        self.numbers.pop(peer, None)
        self.under_way.pop(peer, None)

    @property
    def is_empty(self) -> bool:
        wanted = self.wanted
        tables = (wanted._turns, wanted._asked, wanted._requests)
        return not any(tables) and not any(each.announced or each.ready for each in wanted._holders.values())


@pytest.fixture
def asking() -> Asking:
    return Asking()


# --- whom to ask ------------------------------------------------------------------------------------


def test_what_is_announced_is_asked_for_in_its_order_so_much_at_a_time(asking: Asking) -> None:
    asking.wanted.announced(1, names(9, 3, 5, 3, 1, 7), 0)
    assert asking.ask() == {1: names(9, 3, 5, 1)}
    assert asking.ask() == {}
    asking.answers(1, arrived=names(9, 3, 5, 1))
    assert asking.ask() == {1: names(7)}
    asking.answers(1, arrived=names(7))
    assert asking.ask() == {}
    assert asking.is_empty


def test_a_record_is_asked_of_who_announced_first_and_of_nobody_else_meanwhile(asking: Asking) -> None:
    asking.wanted.announced(2, names(1, 2), 10)
    asking.wanted.announced(1, names(1, 2, 3), 20)
    assert asking.ask(20) == {2: names(1, 2), 1: names(3)}
    asking.wanted.announced(3, names(1, 2, 3), 30)
    assert asking.ask(30) == {}


def test_who_is_busy_leaves_what_it_announced_to_others(asking: Asking) -> None:
    asking.wanted.announced(1, names(*range(10)), 0)
    asking.ask()
    asking.wanted.announced(2, names(*range(10)), 0)
    assert asking.ask() == {2: names(4, 5, 6, 7)}
    asking.wanted.announced(3, names(*range(10)), 0)
    assert asking.ask() == {3: names(8, 9)}


def test_who_is_late_loses_its_turn_to_the_next(asking: Asking) -> None:
    """Catalogue row 80: announce, never deliver."""
    for peer in (1, 2, 3):
        asking.wanted.announced(peer, names(1, 2), peer)
    assert asking.ask(3) == {1: names(1, 2)}
    assert asking.wanted.next_ms() == 3 + PATIENCE_MS
    assert asking.late(2 + PATIENCE_MS) == []
    assert asking.late(3 + PATIENCE_MS) == [1]
    assert asking.ask(3 + PATIENCE_MS) == {2: names(1, 2)}
    assert asking.late(3 + 2 * PATIENCE_MS) == [2]
    assert asking.ask(3 + 2 * PATIENCE_MS) == {3: names(1, 2)}
    asking.answers(3, arrived=names(1, 2))
    assert asking.is_empty
    assert asking.wanted.next_ms() is None


def test_announcing_again_gains_no_other_turn(asking: Asking) -> None:
    """Catalogue row 80: or two who do it by turns would keep a record from us for ever."""
    for peer in (1, 2, 3):
        asking.wanted.announced(peer, names(1), 0)
    asking.ask(0)
    asking.late(5_000)
    asking.wanted.announced(1, names(1), 5_000)
    assert asking.ask(5_000) == {2: names(1)}
    asking.answers(2, missing=names(1))
    asking.wanted.announced(2, names(1), 10_000)
    assert asking.ask(20_000) == {3: names(1)}


def test_what_a_peer_has_not_is_asked_of_the_next_at_once(asking: Asking) -> None:
    asking.wanted.announced(1, names(1, 2), 0)
    asking.wanted.announced(2, names(1), 0)
    asking.ask()
    asking.answers(1, missing=names(1, 2))
    assert asking.ask() == {2: names(1)}
    asking.answers(2, missing=names(1))
    assert asking.is_empty
    asking.wanted.announced(1, names(1), 0)
    assert asking.ask() == {1: names(1)}, "nobody had it; whoever has it now may say so"


def test_what_was_left_out_of_an_answer_is_asked_for_again(asking: Asking) -> None:
    """An answer ends early when it is long enough."""
    asking.wanted.announced(1, names(1, 2, 3, 4), 0)
    asking.ask()
    asking.answers(1, arrived=names(1, 2))
    assert asking.ask() == {1: names(3, 4)}
    asking.wanted.announced(2, names(4, 3), 0)
    asking.answers(1, arrived=names(3))
    assert asking.ask() == {2: names(4)}, "the other holder has its turn"


def test_who_goes_owes_nothing(asking: Asking) -> None:
    asking.wanted.announced(1, names(1, 2), 0)
    asking.wanted.announced(2, names(2, 3), 0)
    assert asking.ask() == {1: names(1, 2), 2: names(3)}
    asking.answers(2, arrived=names(3))
    asking.gone(1)
    assert asking.ask() == {2: names(2)}
    asking.gone(2)
    asking.gone(7)
    assert asking.is_empty


def test_what_came_by_another_way_is_not_asked_for(asking: Asking) -> None:
    asking.wanted.announced(1, names(1, 2, 3, 4, 5), 0)
    asking.ask()
    asking.wanted.arrived(names(1, 5))
    asking.wanted.announced(2, names(1), 0)
    assert asking.ask() == {}, "the request that is under way is waited for"
    asking.answers(1, arrived=names(2, 3, 4), missing=names(1))
    assert asking.ask() == {2: names(1)}


def test_an_answer_to_something_else_ends_no_request(asking: Asking) -> None:
    asking.wanted.announced(1, names(1), 0)
    asking.ask()
    assert list(asking.wanted.answered(1, 99)) == []
    assert list(asking.wanted.answered(2, 1)) == []
    assert asking.late(PATIENCE_MS) == [1]
    assert list(asking.wanted.answered(1, 1)) == []


def test_names_that_share_a_leaf_or_an_id_are_different(asking: Asking) -> None:
    """A true leaf under a false id: whoever asks an honest node for it is told that it is missing."""
    true, false_id, false_leaf = name(1), RecordName("false", name(1).leaf), RecordName(name(1).id, filled(9))
    asking.wanted.announced(1, [false_id, false_leaf], 0)
    asking.wanted.announced(2, [true], 0)
    assert asking.ask() == {1: [false_id, false_leaf], 2: [true]}


# --- pace -------------------------------------------------------------------------------------------


def test_a_slow_line_gets_its_records_through_at_last() -> None:
    """The only holder needs three seconds a record. It is asked for less and less, until that comes in time."""
    asking = Asking(Limits(records_per_request=256, record_patience_ms=PATIENCE_MS))
    asking.wanted.announced(1, names(*range(40)), 0)
    now_ms, arrived = 0, set[RecordName]()
    while not asking.is_empty:
        question = asking.ask(now_ms).get(1, [])
        if question and len(question) * 3_000 < PATIENCE_MS:
            arrived.update(question)
            asking.answers(1, arrived=question)
        next_ms = asking.wanted.next_ms()
        now_ms = now_ms if next_ms is None else max(now_ms, next_ms)
        asking.late(now_ms)
    assert len(arrived) >= 39, "one may be given up, while it is found out how much is too much"


def test_who_never_answers_is_asked_for_less_after_a_rest_and_at_last_not_at_all(asking: Asking) -> None:
    """Catalogue row 80."""
    asking.wanted.announced(1, names(*range(4)), 0)
    now_ms, sizes = 0, []
    while not asking.is_empty:
        question = asking.ask(now_ms).get(1)
        if question is None:
            assert asking.wanted.next_ms() == now_ms + PATIENCE_MS, "it rests"
        else:
            sizes.append(len(question))
        now_ms = asking.wanted.next_ms() or now_ms
        asking.late(now_ms)
    assert sizes == [4, 2, 1, 1, 1, 1]


def test_who_left_out_most_is_asked_for_twice_what_it_sent_until_it_sends_all() -> None:
    asking = Asking(Limits(records_per_request=64, record_patience_ms=PATIENCE_MS))
    asking.wanted.announced(1, names(*range(1_000)), 0)
    sizes = []
    for sent in (64, 5, 10, 1, 2, 4, 0, 1, 2):
        [question] = asking.ask().values()
        sizes.append(len(question))
        asking.answers(1, arrived=question[:sent])
    assert sizes == [64, 64, 10, 20, 2, 4, 8, 1, 2]


def test_missing_records_are_as_good_as_sent(asking: Asking) -> None:
    asking.wanted.announced(1, names(*range(9)), 0)
    asking.wanted.announced(2, [], 0)
    asking.ask()
    asking.wanted.announced(2, names(0, 1, 2), 0)
    asking.answers(1, arrived=names(3), missing=names(0, 1, 2))
    assert {peer: len(each) for peer, each in asking.ask().items()} == {1: 4, 2: 3}


def test_who_was_late_is_asked_after_those_who_never_were(asking: Asking) -> None:
    asking.wanted.announced(1, names(1), 0)
    asking.ask(0)
    asking.late(PATIENCE_MS)
    asking.wanted.announced(1, names(2, 3), PATIENCE_MS)
    asking.wanted.announced(2, names(2), 2 * PATIENCE_MS)
    assert asking.ask(2 * PATIENCE_MS) == {2: names(2), 1: names(3)}


# --- fair shares ------------------------------------------------------------------------------------


def test_a_flood_leaves_the_others_their_share() -> None:
    """Catalogue row 79: whoever comes later finds room, and what it announced stays."""
    asking = Asking(Limits(records_per_request=4, record_patience_ms=PATIENCE_MS, wanted_records=90))
    for start in range(0, 5_000, 1_000):
        asking.wanted.announced(1, names(*range(start, start + 1_000)), 0)
    assert asking.wanted._count == 90
    first, second = names(*range(10_000, 10_030)), names(*range(20_000, 20_030))
    asking.wanted.announced(2, first, 0)
    asking.wanted.announced(3, second, 0)
    for start in range(5_000, 9_000, 1_000):
        asking.wanted.announced(1, names(*range(start, start + 1_000)), 0)
    holders = asking.wanted._holders
    assert [*holders[2].announced] == first
    assert [*holders[3].announced] == second
    assert [*holders[1].announced] == names(*range(30)), "of the flood its oldest"


@given(
    st.integers(1, 60),
    st.lists(st.tuples(st.integers(0, 5), st.lists(st.integers(0, 200), max_size=40)), max_size=30),
)
def test_nobody_loses_what_is_within_an_equal_share(most: int, steps: list[tuple[int, list[int]]]) -> None:
    """Catalogue row 79: however many announce how much, and in which order."""
    wanted = Wanted(Limits(wanted_records=most))
    said: dict[int, dict[RecordName, None]] = {}
    for peer, numbers in steps:
        before = {each: len(holder.announced) for each, holder in wanted._holders.items()}
        wanted.announced(peer, names(*numbers), 0)
        now = {each: len(holder.announced) for each, holder in wanted._holders.items()}
        assert all(now[each] >= now[peer] for each, count in before.items() if now[each] < count and each != peer)
        said.setdefault(peer, {}).update(dict.fromkeys(names(*numbers)))
        share = most // len(said)
        for each, known in said.items():
            kept = wanted._holders[each].announced
            assert len(kept) >= min(len(known), share)
            assert set(kept) <= set(known)
        assert sum(len(holder.announced) for holder in wanted._holders.values()) == wanted._count <= most


OPERATIONS = st.tuples(
    st.sampled_from(["announced", "ask", "arrived", "missing", "left out", "wait", "gone"]),
    st.integers(0, 4),
    st.lists(st.integers(0, 12), max_size=8),
)


@given(st.integers(1, 20), st.lists(OPERATIONS, max_size=60))
def test_what_is_remembered_is_bounded_whatever_happens(
    most: int, operations: list[tuple[str, int, list[int]]]
) -> None:
    """Catalogue row 79: also while requests are under way, and when what is forgotten is asked for just now."""
    asking, now_ms = Asking(Limits(records_per_request=3, record_patience_ms=PATIENCE_MS, wanted_records=most)), 0
    for operation, peer, numbers in operations:
        match operation:
            case "announced":
                asking.wanted.announced(peer, names(*numbers), now_ms)
            case "ask":
                asking.ask(now_ms)
            case "wait":
                now_ms += PATIENCE_MS
                asking.late(now_ms)
            case "gone":
                asking.gone(peer)
            case fate if peer in asking.under_way:
                asked = asking.under_way[peer]
                asking.answers(peer, asked if fate == "arrived" else [], asked if fate == "missing" else [])
        check_is_consistent(asking.wanted, asking)
        assert asking.wanted._count <= most
    for peer in range(5):
        asking.gone(peer)
    assert asking.is_empty
    assert asking.wanted._count == 0


def check_is_consistent(wanted: Wanted, asking: Asking) -> None:
    """Whatever is ready may be asked for, and whatever may be is ready."""
    every = [each for question in asking.under_way.values() for each in question]
    assert len(set(every)) == len(every), "one record asked of two"
    assert wanted._asked == set(every)
    assert wanted._count == sum(map(len, wanted._turns.values()))
    for peer, holder in wanted._holders.items():
        assert set(holder.announced) == {each for each, turns in wanted._turns.items() if peer in turns}
        assert set(holder.ready) <= set(holder.announced) - set(every)
    ready = {each for holder in wanted._holders.values() for each in holder.ready}
    assert ready == set(wanted._turns) - set(every), "nobody will ever be asked"


# --- a naive twin -----------------------------------------------------------------------------------

PEERS = st.integers(1, 4)
NUMBERS = st.lists(st.integers(0, 9), max_size=8)


@dataclass
class Naive:
    """Looks at everything each time. Turns of holders: 'ahead', 'over' or 'lacks'."""

    turns: dict[RecordName, dict[int, str]] = field(default_factory=dict)
    requests: dict[int, tuple[list[RecordName], int]] = field(default_factory=dict)
    rests: dict[int, int] = field(default_factory=dict)

    @property
    def asked(self) -> list[RecordName]:
        return [each for asked, _ in self.requests.values() for each in asked]

    def settle(self) -> None:
        for each, turns in list(self.turns.items()):
            if each not in self.asked and "ahead" not in turns.values():
                again = {peer: "ahead" if turn == "over" else turn for peer, turn in turns.items()}
                if "ahead" in again.values():
                    self.turns[each] = again
                else:
                    del self.turns[each]

    def turn(self, peer: int, of: Iterable[RecordName], becomes: str) -> None:
        for each in of:
            if peer in self.turns.get(each, {}):
                self.turns[each][peer] = becomes
        self.settle()

    def may_be_asked(self, peer: int) -> set[RecordName]:
        return {each for each, turns in self.turns.items() if turns.get(peer) == "ahead" and each not in self.asked}

    def free(self, now_ms: int) -> list[int]:
        return [
            peer
            for peer in range(1, 5)
            if peer not in self.requests and self.rests.get(peer, 0) <= now_ms and self.may_be_asked(peer)
        ]


class Twins(RuleBasedStateMachine):
    """What the tracker says and what a naive one would."""

    def __init__(self) -> None:
        super().__init__()
        self.asking = Asking()
        self.naive = Naive()
        self.now_ms = 0

    @rule(peer=PEERS, numbers=NUMBERS)
    def announce(self, peer: int, numbers: list[int]) -> None:
        self.asking.wanted.announced(peer, names(*numbers), self.now_ms)
        for each in names(*numbers):
            self.naive.turns.setdefault(each, {}).setdefault(peer, "ahead")
        self.naive.settle()

    @rule()
    def ask(self) -> None:
        free, allowed = self.naive.free(self.now_ms), {peer: self.naive.may_be_asked(peer) for peer in range(1, 5)}
        questions = self.asking.ask(self.now_ms)
        asked = [each for question in questions.values() for each in question]
        assert len(set(asked)) == len(asked), "one record asked of two"
        assert not set(asked) & set(self.naive.asked), "somebody is asked already"
        for peer, question in questions.items():
            assert peer in free
            assert 0 < len(question) <= LIMITS.records_per_request
            assert set(question) <= allowed[peer]
            self.naive.requests[peer] = (question, self.now_ms)
        for peer in set(free) - set(questions):
            assert allowed[peer] <= set(asked), "somebody could be asked"
        assert self.asking.wanted.asks(self.now_ms) == []

    @rule(peer=PEERS, data=st.data())
    def answer(self, peer: int, data: st.DataObject) -> None:
        if peer not in self.asking.under_way:
            return
        asked, _ = self.naive.requests.pop(peer)
        fates = [(each, data.draw(st.sampled_from(["arrived", "missing", "left out"]))) for each in asked]
        arrived, missing = ([each for each, fate in fates if fate == which] for which in ("arrived", "missing"))
        self.asking.answers(peer, arrived, missing)
        self.naive.turn(peer, asked, "over")
        self.naive.turn(peer, missing, "lacks")
        self._arrived(arrived)

    @rule(numbers=NUMBERS)
    def arrive(self, numbers: list[int]) -> None:
        self.asking.wanted.arrived(names(*numbers))
        self._arrived(names(*numbers))

    def _arrived(self, arrived: Iterable[RecordName]) -> None:
        for each in arrived:
            self.naive.turns.pop(each, None)

    @rule(later_ms=st.sampled_from([1, 2_500, 5_000]))
    def wait(self, later_ms: int) -> None:
        self.now_ms += later_ms
        late = [peer for peer, (_, asked_ms) in self.naive.requests.items() if self.now_ms - asked_ms >= PATIENCE_MS]
        assert self.asking.late(self.now_ms) == late
        for peer in late:
            asked, _ = self.naive.requests.pop(peer)
            self.naive.rests[peer] = self.now_ms + PATIENCE_MS
            self.naive.turn(peer, asked, "over" if len(asked) > 1 else "lacks")

    @rule(peer=PEERS)
    def go(self, peer: int) -> None:
        self.asking.gone(peer)
        self.naive.requests.pop(peer, None)
        self.naive.rests.pop(peer, None)
        for turns in self.naive.turns.values():
            turns.pop(peer, None)
        self.naive.turns = {each: turns for each, turns in self.naive.turns.items() if turns}
        self.naive.settle()

    @invariant()
    def is_the_same(self) -> None:
        wanted = self.asking.wanted
        assert {each: {p: t.value for p, t in turns.items()} for each, turns in wanted._turns.items()} == (
            self.naive.turns
        )
        for peer, holder in wanted._holders.items():
            assert set(holder.ready) == self.naive.may_be_asked(peer)
            assert set(holder.announced) == {each for each, turns in wanted._turns.items() if peer in turns}
        assert wanted._count == sum(map(len, wanted._turns.values()))
        assert wanted._asked == set(self.naive.asked)

    @invariant()
    def knows_when_something_is_due(self) -> None:
        due = [asked_ms + PATIENCE_MS for _, asked_ms in self.naive.requests.values()]
        due += [
            until_ms
            for peer, until_ms in self.naive.rests.items()
            if peer not in self.naive.requests and self.naive.may_be_asked(peer)
        ]
        assert self.asking.wanted.next_ms() == min(due, default=None)


TestTwins: Any = Twins.TestCase
TestTwins.settings = settings(max_examples=examples(300), stateful_step_count=50, deadline=None)


# --- honest peers among liars -----------------------------------------------------------------------

Answer = Callable[[list[RecordName]], tuple[int, list[RecordName], list[RecordName]]]
"""What a peer makes of a question: (after so many ms, what it sends, what it says it lacks)."""

HONEST: Answer = lambda asked: (50, asked[:3], [])  # noqa: E731 - beside those of the liars
LIARS: dict[str, Answer] = {
    "never answers": lambda _: (10**9, [], []),
    "lacks it, at the last moment": lambda asked: (PATIENCE_MS - 1, [], asked),
    "sends one, at the last moment": lambda asked: (PATIENCE_MS - 1, asked[:1], []),
    "lacks one after the other": lambda asked: (100, [], asked[:1]),
}


def simulate(peers: dict[int, tuple[Answer, list[RecordName]]], limits: Limits, end_ms: int) -> set[RecordName]:
    """All announce what they have, again and again, the liars first; what was asked of those who are honest."""
    asking, due, now_ms = Asking(limits), dict[int, tuple[int, list[RecordName], list[RecordName]]](), 0
    served = set[RecordName]()
    while now_ms < end_ms:
        for peer, (_, has) in peers.items():
            asking.wanted.announced(peer, [each for each in has if each not in served], now_ms)
        for peer in asking.late(now_ms):
            del due[peer]
        for peer, (at_ms, sent, lacking) in list(due.items()):
            if at_ms <= now_ms:
                del due[peer]
                asking.answers(peer, sent, lacking)
        for peer, question in asking.ask(now_ms).items():
            answer, _ = peers[peer]
            after_ms, sent, lacking = answer(question)
            due[peer] = (now_ms + after_ms, sent, lacking)
            if answer is HONEST:
                served.update(sent)
        every = [each for question in asking.under_way.values() for each in question]
        assert len(set(every)) == len(every), "one record asked of two"
        assert asking.wanted._count <= limits.wanted_records
        times = [at_ms for at_ms, _, _ in due.values()] + [asking.wanted.next_ms() or end_ms]
        now_ms = max(now_ms + 1, min(times))
    return served


@pytest.mark.parametrize("lie", LIARS.values(), ids=LIARS.keys())
def test_what_an_honest_peer_has_is_asked_of_it_in_the_end(lie: Answer) -> None:
    """Catalogue rows 79 and 80: whatever others do who announced it before, and announce much more of their own.

    Time enough for each liar to have each record once, and no more than that.
    """
    true, false = names(*range(12)), names(*range(1_000, 1_500))
    peers = {liar: (lie, [*true, *false]) for liar in (1, 2, 3)}
    limits = Limits(records_per_request=4, record_patience_ms=PATIENCE_MS, wanted_records=80)
    assert simulate(peers | {9: (HONEST, true)}, limits, 12 * 4 * PATIENCE_MS) >= set(true)
