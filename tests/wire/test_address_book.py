"""The book of addresses: bounded, fair to modest sources, and predictable to nobody but its owner."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.model.limits import HOUR_MS, MINUTE_MS, Limits
from tallystick.wire.address_book import (
    FAILING_MS,
    FAILURES_MAX,
    OLD_MS,
    OWN_ENDPOINTS,
    RETRY_FIRST_MS,
    RETRY_MAX_MS,
    AddressBook,
)
from tallystick.wire.endpoint import Endpoint
from tallystick.wire.netgroups import source_of
from tests.wire.places import KEY, WALL_MS, book_of, entropy, public, source

SMALL = Limits(addresses=12, addresses_per_source=4)
DAY_MS = 24 * HOUR_MS


def hearsay(book: AddressBook) -> Counter[str]:
    return Counter(entry.source for entry in book if not entry.proven)


def check_counts(book: AddressBook, limits: Limits) -> None:
    """Bounds, and that what the book counts is what it holds."""
    told = Counter(entry.source for entry in book)
    assert len(book) == told.total() <= limits.addresses
    assert max(told.values(), default=0) <= limits.addresses_per_source
    assert book._told == told
    for name, endpoints in book._hearsay.items():
        assert list(endpoints) == [e.endpoint for e in book if e.source == name and not e.proven]
    assert {name: len(endpoints) for name, endpoints in book._hearsay.items()} == hearsay(book)
    assert all(book.get(anchor) is not None for anchor in book.anchors)


# --- laws -------------------------------------------------------------------------------------------

ENDPOINTS = st.integers(0, 39).map(lambda n: public(n // 2, host=n))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("hear"), ENDPOINTS, st.integers(0, 5).map(source)),
        st.tuples(st.just("hear"), ENDPOINTS, st.integers(0, 5).map(source)),
        st.tuples(st.just("succeed"), ENDPOINTS, st.just("")),
        st.tuples(st.just("fail"), ENDPOINTS, st.just("")),
        st.tuples(st.just("forget"), ENDPOINTS, st.just("")),
        st.tuples(st.just("anchor"), ENDPOINTS, st.just("")),
        st.tuples(st.just("wait"), ENDPOINTS, st.just("")),
    ),
    max_size=80,
)


def play(steps: list[tuple[str, Endpoint, str]]) -> tuple[AddressBook, int]:
    """A book after these steps, every one of them checked, and what time it is then."""
    book, now = AddressBook(SMALL, private_ok=False), WALL_MS
    for verb, endpoint, teller in steps:
        before = {entry.endpoint: entry for entry in book}
        match verb:
            case "hear":
                taken = book.add(endpoint, teller, now)
                assert taken is (book.get(endpoint) is not None)
                gone = [entry for known, entry in before.items() if book.get(known) is None]
                assert len(gone) <= 1
                assert all(not entry.proven for entry in gone)
                for entry in gone:
                    shares = hearsay(book)
                    assert entry.source == teller or shares[entry.source] >= shares[teller]
            case "succeed":
                book.succeeded(endpoint, KEY, now)
            case "fail":
                book.failed(endpoint, now, online=True)
            case "forget":
                book.forget(endpoint)
            case "anchor":
                book.keep_anchors([endpoint])
            case _:
                now += OLD_MS
        check_counts(book, SMALL)
    return book, now


@given(STEPS)
def test_the_quotas_hold_and_nobody_gains_from_a_poorer_source(steps: list[tuple[str, Endpoint, str]]) -> None:
    """Catalogue row 69: a flood stays within its quota, and displaces what is proven never."""
    play(steps)


@given(STEPS, st.integers(0, 2**32), st.sets(st.integers(0, 19)))
def test_a_pick_is_never_an_excluded_one_and_always_the_same(
    steps: list[tuple[str, Endpoint, str]], seed: int, excluded: set[int]
) -> None:
    book, now = play(steps)
    groups = {f"20.{n}.0.0/16" for n in excluded}
    now += RETRY_MAX_MS
    picked = book.pick(now, entropy(seed), groups=groups, avoid=lambda entry: entry.failures > 1)
    assert picked == book.pick(now, entropy(seed), groups=groups, avoid=lambda entry: entry.failures > 1)
    free = [entry for entry in book if entry.group not in groups and entry.failures <= 1]
    assert picked in free if free else picked is None


# --- hearing ----------------------------------------------------------------------------------------


def test_a_flood_from_one_source_is_not_believed_beyond_its_quota() -> None:
    """Catalogue row 69."""
    book = book_of(public(0))
    flood = [book.add(public(1 + n % 9_000, host=n), source(9), WALL_MS + n) for n in range(40_960)]
    assert sum(flood) == Limits().addresses_per_source
    assert len(book) == Limits().addresses_per_source + 1
    assert book.get(public(0)) is not None


def test_what_a_source_told_long_ago_gives_way_to_what_it_tells_now() -> None:
    book = AddressBook(SMALL, private_ok=False)
    for n in range(4):
        book.add(public(n), source(0), WALL_MS + n)
    assert not book.add(public(4), source(0), WALL_MS + OLD_MS - 1)
    assert book.add(public(4), source(0), WALL_MS + OLD_MS)
    assert book.get(public(0)) is None
    assert book.get(public(1)) is not None


def test_who_tells_of_honest_nodes_first_cannot_take_them_away_again() -> None:
    """Catalogue row 68: the attacker's room is taken by what it told, as long as others tell it too."""
    book = AddressBook(SMALL, private_ok=False)
    honest = [public(n) for n in range(4)]
    for day in range(10):
        for endpoint in honest:
            book.add(endpoint, source(1 if day else 0), WALL_MS + day * DAY_MS)
        for n in range(100):
            book.add(public(100 + n), source(0), WALL_MS + day * DAY_MS + 1)
    assert all(book.get(endpoint) is not None for endpoint in honest)


def test_a_full_book_gives_to_the_poor_only() -> None:
    book = AddressBook(SMALL, private_ok=False)
    for n in range(12):
        book.add(public(n), source(n // 4), WALL_MS)
    assert book.add(public(20), source(7), WALL_MS)
    assert book.add(public(21), source(7), WALL_MS)
    assert book.add(public(22), source(7), WALL_MS)
    assert not book.add(public(23), source(7), WALL_MS), "all have three now"
    assert set(hearsay(book).values()) == {3}


@pytest.mark.parametrize("ip", ["169.254.169.254", "224.0.0.1", "0.0.0.0", "255.255.255.255", "::", "ff02::1"])  # noqa: S104
def test_what_nobody_may_dial_is_never_taken(ip: str) -> None:
    """Catalogue row 69."""
    assert not AddressBook(SMALL, private_ok=True).add(Endpoint.of(ip, 80), source(0), WALL_MS)


@pytest.mark.parametrize("ip", ["127.0.0.1", "10.0.0.1", "192.168.0.1", "::1", "fd00::1", "::ffff:10.0.0.1"])
def test_private_addresses_are_for_nodes_on_private_networks(ip: str) -> None:
    """Catalogue row 69: else a stranger would have us dial into the operator's network."""
    assert not AddressBook(SMALL, private_ok=False).add(Endpoint.of(ip, 80), source(0), WALL_MS)
    assert AddressBook(SMALL, private_ok=True).add(Endpoint.of(ip, 80), source(0), WALL_MS)


# --- trying -----------------------------------------------------------------------------------------


def test_back_off_doubles_from_a_minute_to_an_hour() -> None:
    book, now, waits = book_of(public(0)), WALL_MS, []
    for _ in range(FAILURES_MAX - 1):
        book.failed(public(0), now, online=True)
        tried = now
        while book.pick(now, entropy()) is None:
            now += MINUTE_MS
        waits.append((now - tried) // MINUTE_MS)
    assert waits == [2, 4, 8, 16, 32, 60, 60, 60, 60]


def test_hearsay_that_leads_nowhere_is_forgotten() -> None:
    book = book_of(public(0))
    for _ in range(FAILURES_MAX):
        book.failed(public(0), WALL_MS, online=True)
    assert len(book) == 0


def test_an_old_acquaintance_is_given_a_week() -> None:
    book = book_of(public(0))
    book.succeeded(public(0), KEY, WALL_MS)
    for _ in range(3 * FAILURES_MAX):
        book.failed(public(0), WALL_MS + FAILING_MS - 1, online=True)
    assert len(book) == 1
    book.failed(public(0), WALL_MS + FAILING_MS, online=True)
    assert len(book) == 0


def test_while_our_own_line_is_down_nobody_is_to_blame() -> None:
    book = book_of(public(0))
    book.succeeded(public(0), KEY, WALL_MS)
    book.keep_anchors([public(0)])
    for n in range(100):
        book.failed(public(0), WALL_MS + n * FAILING_MS, online=False)
    assert list(book.anchors) == [public(0)]
    assert book.pick(WALL_MS + 99 * FAILING_MS + RETRY_FIRST_MS, entropy()) is not None


def test_a_clock_that_was_set_back_makes_nobody_wait() -> None:
    book = book_of(public(0))
    book.failed(public(0), WALL_MS + 1_000 * DAY_MS, online=True)
    assert book.pick(WALL_MS, entropy()) is not None


def test_a_success_clears_the_failures_and_keeps_the_key() -> None:
    book = book_of(public(0))
    book.failed(public(0), WALL_MS, online=True)
    book.succeeded(public(0), KEY, WALL_MS + 5)
    entry = book.get(public(0))
    assert entry is not None
    assert (entry.key, entry.success_ms, entry.failures, entry.source) == (KEY, WALL_MS + 5, 0, source(0))


def test_whom_the_operator_had_us_dial_tells_of_itself_by_answering() -> None:
    book = book_of()
    book.succeeded(public(0), KEY, WALL_MS)
    entry = book.get(public(0))
    assert entry is not None
    assert entry.source == source_of(public(0).ip)


def test_a_success_finds_room_among_the_hearsay_of_its_own_source() -> None:
    book = AddressBook(SMALL, private_ok=False)
    own = [public(0, host=n) for n in range(5)]
    for endpoint in own[:4]:
        book.add(endpoint, source_of(endpoint.ip), WALL_MS)
    book.succeeded(own[4], KEY, WALL_MS)
    assert [entry.endpoint for entry in book] == own[1:]


def test_what_was_not_heard_of_for_a_month_is_forgotten() -> None:
    limits = Limits()
    book = book_of(public(0), public(1))
    book.add(public(1), source(5), WALL_MS + 1)
    book.forget_stale(WALL_MS + limits.address_horizon_ms)
    assert len(book) == 2
    book.forget_stale(WALL_MS + limits.address_horizon_ms + 1)
    assert [entry.endpoint for entry in book] == [public(1)]


def test_a_dial_that_led_back_to_us_is_not_repeated() -> None:
    book = book_of(public(0))
    book.is_ourselves(public(0))
    assert not book.add(public(0), source(3), WALL_MS)
    for n in range(1, OWN_ENDPOINTS):
        book.is_ourselves(public(n))
    assert not book.add(public(0), source(3), WALL_MS)
    book.is_ourselves(public(OWN_ENDPOINTS))
    assert book.add(public(0), source(3), WALL_MS), "bounded"


# --- picking ----------------------------------------------------------------------------------------


def test_old_acquaintances_and_hearsay_have_half_each() -> None:
    book = book_of(*(public(n) for n in range(100)))
    book.succeeded(public(0), KEY, WALL_MS)
    dice = entropy()
    picks = [book.pick(WALL_MS + RETRY_FIRST_MS, dice) for _ in range(2_000)]
    assert 900 < sum(1 for entry in picks if entry is not None and entry.proven) < 1_100


def test_a_thousand_addresses_in_one_group_are_one_ticket() -> None:
    """Catalogue row 68."""
    book = book_of(*(public(n) for n in range(9)))
    for n in range(400):
        book.add(public(50, host=n), source(99), WALL_MS)
    dice = entropy()
    picks = [book.pick(WALL_MS, dice) for _ in range(2_000)]
    assert 150 < sum(1 for entry in picks if entry is not None and entry.group == "20.50.0.0/16") < 250


def test_private_nodes_are_each_their_own_group() -> None:
    here = [Endpoint.of("127.0.0.1", 3_000 + n) for n in range(3)]
    book = book_of(*here)
    picked = book.pick(WALL_MS, entropy(), groups={here[0].text, here[1].text})
    assert picked is not None
    assert picked.endpoint == here[2]


# --- anchors ----------------------------------------------------------------------------------------


def test_anchors_are_dialled_first_and_once() -> None:
    """Catalogue row 68: whoever fills the book gains nothing by a restart."""
    book = book_of(*(public(n) for n in range(50)))
    for n in (7, 8):
        book.succeeded(public(n), KEY, WALL_MS)
    book.restore_anchors([public(8), public(7)])
    first = book.pick(WALL_MS, entropy())
    assert first is not None
    assert first.endpoint in book.anchors
    book.failed(first.endpoint, WALL_MS, online=False)
    second = book.pick(WALL_MS, entropy())
    assert second is not None
    assert {first.endpoint, second.endpoint} == {public(7), public(8)}
    book.succeeded(second.endpoint, KEY, WALL_MS)
    third = book.pick(WALL_MS, entropy())
    assert third is not None
    assert not third.proven


def test_anchors_are_the_last_two_good_ones() -> None:
    book = book_of(*(public(n) for n in range(4)))
    book.keep_anchors([public(0)])
    book.keep_anchors([public(1)])
    assert list(book.anchors) == [public(1), public(0)]
    book.keep_anchors([public(2), public(3), public(1)])
    assert list(book.anchors) == [public(2), public(3)]
    book.forget(public(2))
    assert list(book.anchors) == [public(3)]
    book.failed(public(3), WALL_MS, online=True)
    assert list(book.anchors) == []


def test_it_says_when_there_is_something_to_save() -> None:
    book = book_of(public(0))
    book.changed = False
    book.pick(WALL_MS, entropy())
    book.forget_stale(WALL_MS)
    book.forget(public(1))
    book.keep_anchors([])
    assert not book.changed
    book.keep_anchors([public(0)])
    assert book.changed
