"""Redial, sessions, buckets and allowances: time is an argument, so nothing sleeps."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.errors import Rule, RuleViolation
from tallystick.model.limits import MIB, MINUTE_MS, Limits
from tallystick.wire.allowance import Allowances
from tallystick.wire.bucket import Bucket
from tallystick.wire.classic_session import ClassicSession
from tallystick.wire.redial import Redial, State

LIMITS = Limits()
NO_JITTER = random.Random()  # noqa: S311 - not a secret
NO_JITTER.random = lambda: 1.0  # type: ignore[method-assign] # always the longest wait


def waits(redial: Redial, address: str, lasted_ms: int | None, times: int) -> list[int]:
    """The waits after `times` connections that lasted so long, or dials that failed (None)."""
    found, now = [], 0
    for _ in range(times):
        assert redial.due(now) == [address]
        if lasted_ms is not None:
            assert redial.opened(address, 1, now)
            now += lasted_ms
            redial.ended(address, 1, now, NO_JITTER, "gone")
        else:
            redial.failed(address, now, NO_JITTER, "refused")
        due = redial.next_ms()
        assert due is not None
        found.append(due - now)
        now = due
    return found


def test_back_off_doubles_from_a_second_to_a_minute() -> None:
    redial = Redial(LIMITS, ["ws://a:1"], 0)
    assert waits(redial, "ws://a:1", None, 8) == [1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000]


def test_a_short_connection_does_not_reset_the_back_off() -> None:
    """PROTOCOL: a book's node that hangs up on every long chain is dialled ever less."""
    redial = Redial(LIMITS, ["ws://a:1"], 0)
    assert waits(redial, "ws://a:1", 500, 4) == [1000, 2000, 4000, 8000]


def test_a_useful_connection_resets_the_back_off() -> None:
    redial = Redial(LIMITS, ["ws://a:1"], 0)
    assert waits(redial, "ws://a:1", 60_000, 3) == [1000, 1000, 1000]


def test_jitter_is_at_most_half_the_wait() -> None:
    entropy = random.Random(1)  # noqa: S311 - not a secret
    for _ in range(100):
        redial = Redial(LIMITS, ["ws://a:1"], 0)
        redial.due(0)
        redial.failed("ws://a:1", 0, entropy, "refused")
        due = redial.next_ms()
        assert due is not None
        assert 500 <= due <= 1000


def test_every_address_is_dialled_not_only_the_first() -> None:
    """A defect of the book's node: its loop over peers never came to the second."""
    redial = Redial(LIMITS, ["ws://a:1", "ws://b:1", "ws://c:1"], 0)
    assert redial.due(0) == ["ws://a:1", "ws://b:1", "ws://c:1"]
    assert redial.due(0) == []


def test_adding_again_dials_at_once() -> None:
    redial = Redial(LIMITS, ["ws://a:1"], 0)
    redial.due(0)
    redial.failed("ws://a:1", 0, NO_JITTER, "refused")
    redial.add("ws://a:1", 10)
    assert redial.due(10) == ["ws://a:1"]


def test_the_book_of_addresses_is_bounded() -> None:
    redial = Redial(Limits(peer_addresses=2), [], 0)
    redial.add("ws://a:1", 0)
    redial.add("ws://b:1", 0)
    redial.add("ws://a:1", 0)
    with pytest.raises(RuleViolation) as caught:
        redial.add("ws://c:1", 0)
    assert caught.value.rule is Rule.ADDRESS_BOOK_HAS_ROOM


def test_a_connection_to_a_removed_address_is_not_ours() -> None:
    redial = Redial(LIMITS, ["ws://a:1"], 0)
    redial.due(0)
    redial.remove("ws://a:1")
    assert not redial.opened("ws://a:1", 1, 1)
    redial.ended("ws://a:1", 1, 2, NO_JITTER, "gone")
    assert [entry.state for entry in redial] == []


def test_an_open_connection_is_not_dialled_again() -> None:
    redial = Redial(LIMITS, ["ws://a:1"], 0)
    redial.due(0)
    redial.opened("ws://a:1", 1, 0)
    redial.add("ws://a:1", 5)
    assert redial.due(10**9) == []
    assert [entry.state for entry in redial] == [State.CONNECTED]


KEY = "ab" * 32


def connected_the_other_way(redial: Redial) -> None:
    """Our dial led to a node that had dialled us, and was closed as the duplicate."""
    redial.due(0)
    redial.opened("ws://a:1", 1, 0)
    redial.learn("ws://a:1", KEY)
    redial.ended("ws://a:1", 1, 10, NO_JITTER, "duplicate")


def test_a_node_that_dialled_us_is_not_dialled_too() -> None:
    """Catalogue row 30: of two connections between the same nodes one stays, and the other is not tried for ever."""
    redial = Redial(LIMITS, ["ws://a:1", "ws://b:1"], 0)
    connected_the_other_way(redial)
    redial.failed("ws://b:1", 10, NO_JITTER, "refused")
    assert redial.next_ms({KEY}) == 10 + LIMITS.redial_first_ms, "the other's"
    assert all(redial.due(now, {KEY}) == [] for now in range(10, 1_000, 10))
    assert redial.due(10**6, {KEY}) == ["ws://b:1"]
    assert redial.next_ms({KEY}) is None


def test_when_its_connection_ends_it_is_dialled_at_once() -> None:
    redial = Redial(LIMITS, ["ws://a:1"], 0)
    connected_the_other_way(redial)
    assert redial.due(20, {KEY}) == []
    assert redial.next_ms() == 20
    assert redial.due(20) == ["ws://a:1"]


def test_a_key_is_learnt_for_an_address_we_dial_only() -> None:
    redial = Redial(LIMITS, ["ws://a:1"], 0)
    redial.learn("ws://b:1", KEY)
    redial.remove("ws://a:1")
    redial.learn("ws://a:1", KEY)
    assert list(redial) == []


# --- buckets ----------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 3 * MINUTE_MS), st.integers(0, 2000)), max_size=30))
def test_a_bucket_never_gives_more_than_a_minute_and_the_rate(steps: list[tuple[int, int]]) -> None:
    """Law: whoever waits as told gets at most `rate` a minute, plus one minute saved up and one withdrawal."""
    bucket, now, taken, last = Bucket(1000, 0), 0, 0, 0
    for pause, size in steps:
        now += pause
        wait = bucket.take(size, now)
        taken, last = taken + size, size
        assert taken <= 1000 + now * 1000 / MINUTE_MS + last + 1
        now += wait


def test_an_overdrawn_bucket_says_how_long() -> None:
    bucket = Bucket(60_000, 0)
    assert bucket.take(60_000, 0) == 0
    assert bucket.take(1_000, 0) == pytest.approx(1_000, abs=1)
    assert bucket.take(0, 1_001) == 0


# --- allowances ---

ADDRESS = "8.8.8.8"


def test_who_dials_again_goes_on_with_what_was_left() -> None:
    allowances = Allowances(LIMITS)
    first, second = allowances.begin(ADDRESS, 0), allowances.begin(ADDRESS, 0)
    first.received.take(64 * MIB, 0)
    second.chains.take(64 * MIB, 0)
    allowances.end(ADDRESS, first, 0)
    allowances.end(ADDRESS, second, 0)
    again = [allowances.begin(ADDRESS, 30_000) for _ in range(3)]
    assert sorted(one.received.take(64 * MIB, 30_000) for one in again) == [0, 0, 30_001]
    assert sorted(one.chains.take(64 * MIB, 30_000) for one in again) == [0, 0, 30_001]


def test_after_a_minute_there_is_nothing_to_remember() -> None:
    allowances = Allowances(LIMITS)
    used = allowances.begin(ADDRESS, 0)
    used.received.take(64 * MIB, 0)
    assert not used.is_full(59_999)
    assert used.is_full(60_000)
    allowances.end(ADDRESS, used, 60_000)
    assert allowances.begin(ADDRESS, 60_000) is not used


def test_the_list_of_allowances_is_bounded() -> None:
    allowances = Allowances(Limits(remembered_allowances=2))
    used = {}
    for ip in ("8.0.0.1", "8.0.0.2", "8.0.0.3"):
        used[ip] = allowances.begin(ip, 0)
        used[ip].received.take(MIB, 0)
        allowances.end(ip, used[ip], 0)
    assert [allowances.begin(ip, 0) is used[ip] for ip in used] == [False, True, True]


def test_a_chain_that_was_broken_off_is_not_free() -> None:
    """Whoever reads most of it and hangs up would have it for nothing."""
    allowance = None
    answers = 0
    for _ in range(100):
        session = ClassicSession("10.0.0.1:1", None, LIMITS, 0, allowance)
        session.owe_chain()
        answers += session.chain_to_say(0)
        session.ended(0)
        allowance = session.allowance
    assert answers <= 5


# --- sessions ---------------------------------------------------------------------------------------


def test_a_peer_is_not_asked_for_its_chain_again_and_again() -> None:
    """A chain over the limit is answered with the latest block; asking again at once would never end."""
    session = ClassicSession("10.0.0.1:1", None, LIMITS, 0)
    assert session.may_ask_all(0)
    assert not session.may_ask_all(1)
    assert not session.may_ask_all(LIMITS.query_all_patience_ms - 1)
    assert session.may_ask_all(LIMITS.query_all_patience_ms)
    session.got_chain()
    assert session.may_ask_all(LIMITS.query_all_patience_ms + 1)


def test_several_queries_get_one_answer() -> None:
    session = ClassicSession("10.0.0.1:1", None, LIMITS, 0)
    session.owe_chain()
    session.owe_chain()
    assert session.chain_to_say(0)
    session.owe_chain()
    assert not session.chain_to_say(0)
    session.chain_said(100, 0)
    assert session.chain_to_say(0)
    session.chain_said(100, 0)
    assert not session.chain_to_say(0)


def test_chains_over_the_budget_wait() -> None:
    """PROTOCOL: 64 MiB a minute per peer; what is over it waits."""
    session = ClassicSession("10.0.0.1:1", None, LIMITS, 0)
    for _ in range(5):
        session.owe_chain()
        assert session.chain_to_say(0)
        session.chain_said(16 * MIB, 0)
    session.owe_chain()
    assert not session.chain_to_say(0)
    assert session.next_ms() <= 15_001
    assert session.chain_to_say(15_001)


def test_a_chain_too_long_to_say_is_not_free_to_ask_for() -> None:
    session = ClassicSession("10.0.0.1:1", None, LIMITS, 0)
    answers = 0
    for _ in range(100):
        session.owe_chain()
        if session.chain_to_say(0):
            answers += 1
            session.chain_said(0, 0)
    assert answers <= 5


def test_silence_is_measured_from_the_first_unanswered_ping() -> None:
    """Catalogue row 38: no pong within 60 s."""
    session = ClassicSession("10.0.0.1:1", None, LIMITS, 0)
    assert session.ping_is_due(30_000)
    assert session.ping_is_due(60_000)
    assert not session.is_silent(89_999)
    assert session.is_silent(90_000)
    session.ponged()
    assert not session.is_silent(90_000)


def test_our_own_stall_is_no_silence() -> None:
    """Catalogue row 108."""
    session = ClassicSession("10.0.0.1:1", None, LIMITS, 0)
    session.ping_is_due(30_000)
    session.excuse(600_000)
    assert not session.is_silent(689_999)
    assert session.is_silent(690_000)


def test_claims_are_bounded() -> None:
    session = ClassicSession("10.0.0.1:1", None, LIMITS, 0)
    session.claims(10**30, "a" * 64)
    session.claims(5, "a" * 1_000_000)
    session.claims(-1, "a" * 64)
    assert session.tip is None
    session.claims(5, "a" * 64)
    session.claims(4, "b" * 64)
    assert session.tip == (5, "a" * 64)
