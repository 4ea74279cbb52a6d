"""Exchange of addresses: the same answer for everybody, and a measured trust in theirs."""

from __future__ import annotations

from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from tallystick.model.limits import MINUTE_MS, Limits
from tallystick.wire.address_book import AddressBook
from tallystick.wire.endpoint import Endpoint, Packed
from tallystick.wire.exchange import HEARD_LATELY_MS, SHARE, SMALL_BOOK, Answers, Intake
from tests.wire.places import KEY, WALL_MS, book_of, entropy, public, source

LIMITS = Limits()
DAY_MS = LIMITS.address_cache_ms
STRANGER = "8.8.8.8"


def told(
    answers: Answers, book: AddressBook, now_ms: int = 0, asker: str = STRANGER, wall_ms: int = WALL_MS
) -> set[Packed]:
    answer = answers.answer(book, asker, now_ms, wall_ms, entropy(now_ms))
    assert len(set(answer)) == len(answer) <= LIMITS.addresses_per_reply
    return set(answer)


def packed(*endpoints: Endpoint) -> set[Packed]:
    return {endpoint.packed for endpoint in endpoints}


# --- answering --------------------------------------------------------------------------------------


def test_all_who_ask_within_a_day_get_the_same_part_of_the_book() -> None:
    """Catalogue row 70: asking again, or from elsewhere, shows nothing new."""
    book, answers = book_of(*(public(n) for n in range(1_000))), Answers(LIMITS)
    first = told(answers, book)
    assert len(first) == 1_000 // SHARE
    for n in range(1_000, 2_000):
        book.add(public(n), source(n), WALL_MS)
    assert all(told(answers, book, now) == first for now in range(0, DAY_MS, DAY_MS // 50))
    later = told(answers, book, DAY_MS)
    assert len(later) == 2_000 // SHARE
    assert later != first


def test_an_answer_is_bounded() -> None:
    book = book_of(*(public(n) for n in range(4_096)))
    assert len(told(Answers(LIMITS), book)) == LIMITS.addresses_per_reply


def test_a_small_book_is_told_whole_and_as_it_stands() -> None:
    """A newcomer to a network of a few nodes must find them all, not those of yesterday."""
    book, answers = book_of(), Answers(LIMITS)
    assert told(answers, book) == set()
    for n in range(SMALL_BOOK):
        book.add(public(n), source(n), WALL_MS)
        assert told(answers, book) == packed(*(public(k) for k in range(n + 1)))
    book.add(public(SMALL_BOOK), source(SMALL_BOOK), WALL_MS)
    assert len(told(answers, book)) == SMALL_BOOK, "no fewer than a smaller book would tell"


def test_old_hearsay_is_not_passed_on() -> None:
    book = book_of(public(0), public(1))
    book.succeeded(public(0), KEY, WALL_MS)
    assert told(Answers(LIMITS), book, wall_ms=WALL_MS + HEARD_LATELY_MS) == packed(public(0), public(1))
    assert told(Answers(LIMITS), book, wall_ms=WALL_MS + HEARD_LATELY_MS + 1) == packed(public(0))


def test_what_is_behind_our_wall_is_told_behind_it_only() -> None:
    inside = Endpoint.of("10.0.0.1", 3001)
    book, answers = book_of(public(0), inside), Answers(LIMITS)
    assert told(answers, book) == packed(public(0))
    assert told(answers, book, asker="10.0.0.9") == packed(public(0), inside)
    assert told(answers, book, asker="127.0.0.1") == packed(public(0), inside)


# --- taking -----------------------------------------------------------------------------------------


def some(count: int) -> list[Packed]:
    return [public(n % 9_000, host=1 + n // 9_000).packed for n in range(count)]


def test_a_reply_is_taken_once_and_then_a_few_a_minute() -> None:
    """Catalogue row 69: a flood costs its sender, not our book."""
    intake = Intake(LIMITS, 0)
    intake.asked()
    allowed = LIMITS.addresses_per_reply + LIMITS.addresses_per_minute
    assert len(intake.take(some(40_000), 0)) == allowed
    assert intake.take(some(1_000), 0) == []
    assert len(intake.take(some(1_000), MINUTE_MS)) == LIMITS.addresses_per_minute
    assert len(intake.take(some(1_000), 100 * MINUTE_MS)) == LIMITS.addresses_per_minute


def test_whom_we_did_not_ask_tells_us_a_few() -> None:
    assert len(Intake(LIMITS, 0).take(some(1_000), 0)) == LIMITS.addresses_per_minute


def test_a_long_reply_is_still_welcome_an_hour_later() -> None:
    intake = Intake(LIMITS, 0)
    intake.asked()
    assert len(intake.take(some(1_000), 60 * MINUTE_MS)) == 1_000


@given(st.lists(st.tuples(st.integers(0, 3 * MINUTE_MS), st.integers(0, 20)), max_size=40))
def test_nobody_tells_more_than_the_rate(steps: list[tuple[int, int]]) -> None:
    """Law: at most the rate, a minute's worth saved up."""
    intake, now, total = Intake(LIMITS, 0), 0, 0
    for pause, count in steps:
        now += pause
        total += len(intake.take(some(count), now))
        assert total <= LIMITS.addresses_per_minute * (1 + now / MINUTE_MS)


@given(st.lists(st.tuples(st.binary(max_size=20), st.integers(0, 2**70)), max_size=6))
def test_what_is_no_address_costs_its_token_and_nothing_else(addresses: list[Packed]) -> None:
    """Catalogue row 69: ports of nonsense, addresses of any length."""
    intake = Intake(LIMITS, 0)
    for endpoint in intake.take(addresses, 0):
        assert ip_address(endpoint.ip).packed
        assert 0 < endpoint.port < 65_536
    assert len(intake.take(some(10), 0)) == LIMITS.addresses_per_minute - len(addresses)
