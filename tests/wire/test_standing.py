"""Who is not welcome, and what breaking a rule costs."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.errors import Rule, RuleViolation
from tallystick.model.limits import Limits
from tallystick.wire.reactions import REACTIONS, Close, Offence
from tallystick.wire.standing import Banned, Standing, parse_subject

LIMITS = Limits()
DAY_MS = LIMITS.discourage_ms
IP = "8.8.8.8"
KEY, OTHER_KEY = "ab" * 32, "cd" * 32
LOOPBACK = ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "0:0:0:0:0:0:0:1"]


def violated(ip: str = IP, key: str | None = KEY, limits: Limits = LIMITS) -> Standing:
    standing = Standing(limits)
    standing.remember(Offence.VIOLATION, ip, key, 0)
    return standing


def refusal(standing: Standing, ip: str, key: str | None = None, now_ms: int = 0) -> Rule | None:
    try:
        standing.check(ip, key, now_ms)
    except RuleViolation as broken:
        assert not standing.is_good(ip, key, now_ms)
        return broken.rule
    assert standing.is_good(ip, key, now_ms)
    return None


# --- for a while ------------------------------------------------------------------------------------


def test_a_violation_keeps_address_and_key_out_for_a_day() -> None:
    """Catalogue row 39: the port is not asked for, and a new address does not help the same key."""
    standing = violated()
    assert refusal(standing, IP) is Rule.PEER_IN_GOOD_STANDING
    assert refusal(standing, "::ffff:8.8.8.8") is Rule.PEER_IN_GOOD_STANDING
    assert refusal(standing, "8.8.4.4", KEY) is Rule.PEER_IN_GOOD_STANDING
    assert refusal(standing, IP, KEY, DAY_MS - 1) is Rule.PEER_IN_GOOD_STANDING
    assert refusal(standing, IP, KEY, DAY_MS) is None
    assert refusal(standing, "8.8.4.4", OTHER_KEY) is None


def test_too_much_is_refused_for_five_minutes_and_shortens_no_grudge() -> None:
    standing = Standing(LIMITS)
    standing.remember(Offence.RATE, IP, KEY, 0)
    assert refusal(standing, IP, None, 299_999) is Rule.PEER_IN_GOOD_STANDING
    assert refusal(standing, IP, KEY, 300_000) is None
    standing.remember(Offence.VIOLATION, IP, KEY, 0)
    standing.remember(Offence.RATE, IP, KEY, 0)
    assert refusal(standing, IP, None, DAY_MS - 1) is Rule.PEER_IN_GOOD_STANDING


@pytest.mark.parametrize("offence", [Offence.SLOW, Offence.BENIGN])
def test_the_slow_and_the_unlucky_may_come_back_at_once(offence: Offence) -> None:
    standing = Standing(LIMITS)
    standing.remember(offence, IP, KEY, 0)
    assert refusal(standing, IP, KEY) is None
    assert standing.banned(0) == []


@pytest.mark.parametrize("ip", LOOPBACK)
def test_loopback_is_never_kept_out(ip: str) -> None:
    """Catalogue row 40: it may be a proxy, or ourselves. The node behind it is known by its key."""
    standing = violated(ip)
    assert refusal(standing, ip) is None
    assert refusal(standing, ip, OTHER_KEY) is None
    assert refusal(standing, ip, KEY) is Rule.PEER_IN_GOOD_STANDING


def test_what_the_operator_configured_is_never_kept_out() -> None:
    """Catalogue row 40."""
    standing = Standing(LIMITS)
    standing.remember(Offence.VIOLATION, IP, KEY, 0, configured=True)
    assert refusal(standing, IP, KEY) is None


def test_a_key_that_was_not_proven_is_not_blamed() -> None:
    """Catalogue row 40: else anybody could have any node kept out."""
    assert refusal(violated(key=None), "8.8.4.4", KEY) is None


def test_the_memory_of_it_is_bounded() -> None:
    """Those whose time is up soonest are forgiven first; keys, which cost nothing, do not push out addresses."""
    standing = Standing(Limits(discouraged_addresses=2))
    for n in (1, 2, 3):
        standing.remember(Offence.VIOLATION, f"8.0.0.{n}", None, n)
    standing.remember(Offence.RATE, "8.0.0.4", None, 9)
    for n in range(100):
        standing.remember(Offence.VIOLATION, "127.0.0.1", f"{n:064x}", 9)
    assert [refusal(standing, f"8.0.0.{n}", now_ms=9) is None for n in (1, 2, 3, 4)] == [True, False, False, True]
    assert len(standing.banned(9)) == 4


# --- for ever ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("subject", "ip", "key"), [(IP, IP, OTHER_KEY), (KEY, "8.8.4.4", KEY), (KEY, "127.0.0.1", KEY)]
)
def test_a_ban_has_no_end_and_outlives_a_restart(subject: str, ip: str, key: str) -> None:
    standing = Standing(LIMITS)
    assert standing.ban(subject) == subject
    for each in (standing, Standing(LIMITS, [subject])):
        assert refusal(each, ip, key, 10**15) is Rule.PEER_IS_NOT_BANNED
        assert refusal(each, "9.9.9.9", "00" * 32) is None
        assert each.banned(0) == [Banned(subject, manual=True, remaining_ms=None)]


@pytest.mark.parametrize("ip", [*LOOPBACK, "[::1]"])
def test_an_operator_cannot_lock_out_everybody_behind_a_proxy(ip: str) -> None:
    """Catalogue row 40."""
    standing = Standing(LIMITS)
    with pytest.raises(RuleViolation, match="proxy") as caught:
        standing.ban(ip)
    assert caught.value.rule is Rule.BAN_IS_WELL_FORMED
    assert standing.banned(0) == []


def test_a_full_list_of_bans_forgets_nobody() -> None:
    standing = Standing(Limits(bans=2))
    standing.ban("8.0.0.1")
    standing.ban("8.0.0.2")
    standing.ban("8.0.0.2")
    with pytest.raises(RuleViolation, match="2 bans are kept") as caught:
        standing.ban("8.0.0.3")
    assert caught.value.rule is Rule.BAN_LIST_HAS_ROOM
    assert [banned.subject for banned in standing.banned(0)] == ["8.0.0.1", "8.0.0.2"]


def test_forgiveness_lifts_whatever_keeps_a_subject_out() -> None:
    standing = violated()
    standing.ban(IP)
    assert standing.forgive("::ffff:8.8.8.8", 5) == IP
    assert standing.forgive(KEY.upper(), 5) == KEY
    assert refusal(standing, IP, KEY, 5) is None


def test_only_who_is_kept_out_can_be_forgiven() -> None:
    standing = violated()
    for subject, now_ms in ((OTHER_KEY, 0), ("8.8.4.4", 0), (IP, DAY_MS)):
        with pytest.raises(RuleViolation, match="not kept out") as caught:
            standing.forgive(subject, now_ms)
        assert caught.value.rule is Rule.BAN_IS_KNOWN


def test_the_list_shows_bans_first_and_how_long_the_others_have_yet() -> None:
    standing = violated()
    standing.remember(Offence.RATE, "8.8.4.4", None, 0)
    standing.ban("9.9.9.9")
    assert standing.banned(1_000) == [
        Banned("9.9.9.9", manual=True, remaining_ms=None),
        Banned(IP, manual=False, remaining_ms=DAY_MS - 1_000),
        Banned("8.8.4.4", manual=False, remaining_ms=299_000),
        Banned(KEY, manual=False, remaining_ms=DAY_MS - 1_000),
    ]
    assert len(standing.banned(DAY_MS)) == 1


# --- subjects ---------------------------------------------------------------------------------------


@given(st.one_of(st.ip_addresses().map(str), st.binary(min_size=32, max_size=32).map(bytes.hex)))
def test_a_subject_has_one_spelling(text: str) -> None:
    subject = parse_subject(text)
    assert parse_subject(subject) == subject
    assert parse_subject(text.upper()) == subject


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("[2001:DB8::7]", "2001:db8::7"),
        ("2001:0db8:0:0:0:0:0:7", "2001:db8::7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("fe80::7%eth0", "fe80::7"),
    ],
)
def test_an_address_is_known_in_any_spelling(text: str, subject: str) -> None:
    assert parse_subject(text) == subject


@pytest.mark.parametrize(
    "text",
    ["", "localhost", "example.com", "8.8.8.8:3001", "[::1]:80", "8.8.8.0/24", "010.0.0.1", "ab" * 31, "z" * 10**6],
)
def test_anything_else_is_told_what_to_write(text: str) -> None:
    with pytest.raises(RuleViolation, match="64 hex digits") as caught:
        parse_subject(text)
    assert caught.value.rule is Rule.BAN_IS_WELL_FORMED
    assert len(caught.value.detail) < 400


# --- reactions --------------------------------------------------------------------------------------

REQUEST_RULES = {
    Rule.CLOCK_IS_SANE,
    Rule.RECORD_ID_IS_WELL_FORMED,
    Rule.RECORD_ID_IS_FREE,
    Rule.RECORD_IS_KNOWN,
    Rule.NETWORK_TAKES_RECORDS,
    Rule.ADDRESS_IS_WELL_FORMED,
    Rule.ADDRESS_RESOLVES,
    Rule.ADDRESS_IS_ALLOWED,
    Rule.ADDRESS_IS_NOT_OURS,
    Rule.ADDRESS_BOOK_HAS_ROOM,
    Rule.PEER_IS_KNOWN,
    Rule.BAN_IS_WELL_FORMED,
    Rule.BAN_IS_KNOWN,
    Rule.BAN_LIST_HAS_ROOM,
}


def test_every_rule_a_peer_can_break_has_exactly_one_reaction() -> None:
    assert set(REACTIONS) == set(Rule) - REQUEST_RULES


def test_offences_and_close_codes_agree() -> None:
    """PROTOCOL: the table of reactions. Only what is benign may be passed over in silence."""
    codes = {offence: Counter(r.close for r in REACTIONS.values() if r.offence is offence) for offence in Offence}
    assert set(codes[Offence.VIOLATION]) == {
        Close.PROTOCOL_ERROR,
        Close.UNSUPPORTED_DATA,
        Close.MESSAGE_TOO_BIG,
        Close.BAD_HELLO,
        Close.UNSOLICITED,
        Close.INVALID,
    }
    assert set(codes[Offence.RATE]) == {Close.TOO_MUCH}
    assert set(codes[Offence.SLOW]) == {Close.TOO_SLOW}
    assert set(codes[Offence.BENIGN]) == {
        None,
        Close.POLICY_VIOLATION,
        Close.OTHER_NETWORK,
        Close.OURSELVES,
        Close.DUPLICATE,
        Close.FULL,
        Close.DISCOURAGED,
    }
