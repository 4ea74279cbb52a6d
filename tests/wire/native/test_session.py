"""One conversation: what was asked, what may be answered, what the other end has, and who may push."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.errors import Rule, RuleViolation
from tallystick.model.block import Body, WholeBlock
from tallystick.model.limits import MINUTE_MS, Limits
from tallystick.wire.native import codec
from tallystick.wire.native.handshake import Side
from tallystick.wire.native.messages import (
    Addrs,
    Announce,
    Blocks,
    GetAddrs,
    GetBlocks,
    GetHeaders,
    GetRecords,
    GetSurvey,
    Headers,
    Message,
    Part,
    Ping,
    Point,
    Pong,
    Push,
    Records,
    Reply,
    Request,
    Survey,
)
from tallystick.wire.native.session import NativeSession
from tallystick.wire.native.table import TABLE
from tests.wire.native.people import party
from tests.wire.native.vocabulary import NAME, WEIGHT, WHOLE, filled

LIMITS = Limits(reply_bytes=5_000, expired_requests=3, known_blocks=4, known_records=3)
GENESIS = Point(0, filled(9))


def session(dialled: str | None = "ws://10.0.0.1:1", limits: Limits = LIMITS) -> NativeSession:
    side = Side.ACCEPTOR if dialled is None else Side.DIALLER
    return NativeSession("10.0.0.1:1", dialled, limits, 0, handshake=party(side, 1))


def get_headers(number: int) -> GetHeaders:
    return GetHeaders(number, (), None, 10, plan=False)


def headers(number: int, data: str = "x") -> Headers:
    return Headers(number, GENESIS, (Body(filled(1), 1_700_000_000, data),), ())


def asks(talk: NativeSession, make: type[Request] = GetHeaders) -> int:
    """We ask; the number of the request."""
    request: Request = (
        get_headers(1) if make is GetHeaders else GetBlocks(1, (GENESIS,)) if make is GetBlocks else GetAddrs(1)
    )
    return talk.asks(request).id


def hears(talk: NativeSession, message: Message, now_ms: int = 0) -> Message | None:
    return talk.receive(codec.encode(message), now_ms)


def refuses(talk: NativeSession, message: Message, rule: Rule, now_ms: int = 0) -> None:
    with pytest.raises(RuleViolation) as caught:
        hears(talk, message, now_ms)
    assert caught.value.rule is rule


def made_up(talk: NativeSession, reply: Reply, rule: Rule = Rule.REPLY_WAS_ASKED_FOR) -> None:
    with pytest.raises(RuleViolation) as caught:
        talk.answered(reply)
    assert caught.value.rule is rule


# --- numbers ----------------------------------------------------------------------------------------


def test_requests_are_numbered_and_answered_in_any_order() -> None:
    talk = session()
    numbers = [asks(talk) for _ in range(3)]
    assert numbers == [1, 2, 3]
    assert [asked.request.id for asked in talk.under_way()] == [1, 2, 3]
    for number in (2, 3, 1):
        assert talk.answered(headers(number)) == get_headers(number)
    assert talk.under_way() == []


@pytest.mark.parametrize(
    "reply", [headers(1), Blocks(1, (), (0,)), Survey(1, GENESIS, ()), Records(1, (), (0,)), Addrs(1, ())]
)
def test_a_reply_to_nothing_is_made_up(reply: Reply) -> None:
    """Catalogue row 36."""
    made_up(session(), reply)


def test_a_reply_comes_once() -> None:
    """Catalogue row 36: the second one is made up."""
    talk = session()
    number = asks(talk)
    talk.answered(headers(number))
    made_up(talk, headers(number))


def test_a_reply_of_another_kind_does_not_fit() -> None:
    talk = session()
    for kind, reply in ((GetHeaders, Addrs), (GetBlocks, headers), (GetAddrs, headers)):
        number = asks(talk, kind)
        made_up(talk, Addrs(number, ()) if reply is Addrs else headers(number), Rule.REPLY_FITS_REQUEST)
        assert talk.under_way() == []


def test_a_late_reply_is_ignored_once() -> None:
    """Catalogue row 37."""
    talk = session()
    number = asks(talk)
    talk.give_up(number)
    assert talk.under_way() == []
    assert talk.answered(headers(number)) is None
    made_up(talk, headers(number))


def test_giving_up_what_was_answered_leaves_nothing_to_be_answered() -> None:
    talk = session()
    number = asks(talk)
    talk.answered(headers(number))
    talk.give_up(number)
    made_up(talk, headers(number))


def test_so_many_late_replies_are_recognised_and_no_more() -> None:
    talk = session()
    numbers = [asks(talk) for _ in range(5)]
    for number in numbers:
        talk.give_up(number)
    for number in numbers[2:]:
        assert talk.answered(headers(number)) is None
    for number in numbers[:2]:
        made_up(talk, headers(number))


# --- parts ------------------------------------------------------------------------------------------


def parts(reply: Reply, part_bytes: int = 40) -> Iterator[Part]:
    for frame in codec.in_parts(reply, part_bytes):
        message = codec.decode(frame)
        assert isinstance(message, Part)
        yield message


@given(st.integers(1, 400), st.text(st.characters(exclude_categories=["Cs"]), min_size=400, max_size=500))
def test_parts_are_joined(part_bytes: int, data: str) -> None:
    talk = session()
    number = asks(talk)
    *first, last = parts(headers(number, data), part_bytes)
    for part in first:
        assert hears(talk, part) is None
    assert talk.unfinished_bytes == sum(len(part.piece) for part in first)
    reply = hears(talk, last)
    assert reply == headers(number, data)
    assert talk.unfinished_bytes == 0
    assert isinstance(reply, Headers)
    assert talk.answered(reply) is not None


def test_parts_of_several_replies_may_come_by_turns() -> None:
    talk = session()
    one, other = asks(talk), asks(talk)
    got = [
        hears(talk, part)
        for pair in zip(parts(headers(one, "a" * 300)), parts(headers(other, "b" * 300)), strict=True)
        for part in pair
    ]
    assert [message for message in got if message is not None] == [headers(one, "a" * 300), headers(other, "b" * 300)]


def test_other_messages_get_between_parts() -> None:
    talk = session()
    for part in parts(headers(asks(talk), "a" * 300)):
        hears(talk, part)
        assert hears(talk, Ping(filled(1, 8))) == Ping(filled(1, 8))


def test_parts_are_no_longer_than_a_reply_may_be() -> None:
    """Catalogue row 5: however many of them there are."""
    talk = session()
    number = asks(talk)
    for _ in range(5):
        hears(talk, Part(number, last=False, piece=bytes(1_000)))
    refuses(talk, Part(number, last=False, piece=b"\0"), Rule.MESSAGE_WITHIN_SIZE)
    assert talk.unfinished_bytes <= 5_001


def test_parts_of_what_nobody_asked_for_are_made_up() -> None:
    """Catalogue row 36."""
    for last in (False, True):
        refuses(session(), Part(7, last=last, piece=b"\0"), Rule.REPLY_WAS_ASKED_FOR)


def test_parts_of_a_reply_that_nobody_waits_for_any_more_are_ignored_to_the_last() -> None:
    """Catalogue row 37: and what came before takes no room any more."""
    talk = session()
    number = asks(talk)
    first, *middle, last = parts(headers(number, "a" * 300))
    hears(talk, first)
    talk.give_up(number)
    assert talk.unfinished_bytes == 0
    assert [hears(talk, part) for part in (*middle, last)] == [None] * (len(middle) + 1)
    assert talk.unfinished_bytes == 0
    refuses(talk, last, Rule.REPLY_WAS_ASKED_FOR)


@pytest.mark.parametrize(
    "whole",
    [
        codec.encode(Ping(filled(1, 8))),
        codec.encode(Push(WHOLE, WEIGHT)),
        codec.encode(get_headers(1)),
        codec.encode(Part(1, last=True, piece=b"\0")),
        b"\x91\xcc\x80",
        b"",
        b"\x91\x07",
    ],
)
def test_what_comes_in_parts_is_a_reply(whole: bytes) -> None:
    talk = session()
    refuses(talk, Part(asks(talk), last=True, piece=whole or b"\0"), Rule.MESSAGE_IS_DECODABLE)


def test_parts_with_one_number_are_no_reply_with_another() -> None:
    talk = session()
    one, other = asks(talk), asks(talk)
    refuses(talk, Part(one, last=True, piece=codec.encode(headers(other))), Rule.MESSAGE_IS_DECODABLE)


# --- rates ------------------------------------------------------------------------------------------

UNASKED: list[Message] = [
    Ping(filled(1, 8)),
    Pong(filled(1, 8)),
    get_headers(1),
    GetBlocks(1, (GENESIS,)),
    GetSurvey(1, (GENESIS,), None, 2_000),
    GetRecords(1, (NAME,)),
    GetAddrs(1),
]


@pytest.mark.parametrize("message", UNASKED, ids=lambda message: type(message).__name__)
def test_a_flood_is_over_the_rate(message: Message) -> None:
    """Catalogue row 35: a minute's worth at once, and then as many as the minute brings."""
    talk, most = session(), TABLE[type(message)].per_minute
    assert most is not None
    for _ in range(most):
        hears(talk, message)
    refuses(talk, message, Rule.REQUESTS_WITHIN_RATE)
    talk = session()
    for minute in range(3):
        for _ in range(most):
            hears(talk, message, minute * MINUTE_MS)


def test_kinds_are_counted_apart() -> None:
    """Catalogue row 35."""
    talk = session()
    for _ in range(60):
        hears(talk, Ping(filled(1, 8)))
        hears(talk, Pong(filled(1, 8)))
    hears(talk, Announce((GENESIS,), WEIGHT))
    refuses(talk, Ping(filled(1, 8)), Rule.REQUESTS_WITHIN_RATE)


def test_a_push_longer_than_pushes_are_is_refused() -> None:
    """Catalogue row 48: a long block is announced; nobody may send it unasked."""
    long = WholeBlock(1, filled(1), filled(2), 1_700_000_000, "x" * 22_000)
    for block in (long, bytes(22_000)):
        refuses(session(), Push(block, WEIGHT), Rule.MESSAGE_WITHIN_SIZE)


# --- signs of life ----------------------------------------------------------------------------------


def test_the_handshake_has_its_time() -> None:
    talk = session()
    assert talk.next_ms() == LIMITS.handshake_ms
    assert not talk.handshake_is_late(LIMITS.handshake_ms - 1)
    assert talk.handshake_is_late(LIMITS.handshake_ms)
    talk.excuse(500)
    assert not talk.handshake_is_late(LIMITS.handshake_ms)
    talk.admit(700)
    assert not talk.handshake_is_late(10**9)
    assert talk.next_ms() == 700
    assert talk.ping_is_due(700)
    assert talk.next_ms() == 700 + LIMITS.ping_every_ms


def test_a_pong_to_another_ping_counts_for_nothing() -> None:
    """Catalogue row 38: and who never answers is silent after a minute."""
    talk = session()
    talk.admit(0)
    assert talk.ping_is_due(30_000)
    talk.pinged(filled(1, 8), 30_000)
    talk.pong(filled(2, 8), 30_100)
    assert talk.latency_ms is None
    assert not talk.is_silent(89_999)
    assert talk.is_silent(90_000)


def test_a_pong_answers_the_last_ping_once() -> None:
    """Catalogue row 38."""
    talk = session()
    talk.admit(0)
    talk.ping_is_due(30_000)
    talk.pinged(filled(1, 8), 30_000)
    talk.ping_is_due(60_000)
    talk.pinged(filled(2, 8), 60_000)
    talk.pong(filled(1, 8), 60_100)
    assert talk.is_silent(90_000)
    talk.pong(filled(2, 8), 60_120)
    assert talk.latency_ms == 120
    assert not talk.is_silent(90_000)
    talk.pong(filled(2, 8), 99_999)
    assert talk.latency_ms == 120


# --- what the other end has -------------------------------------------------------------------------


@given(st.lists(st.integers(0, 9), max_size=40))
def test_what_is_known_is_the_last_few(learnt: list[int]) -> None:
    talk = session()
    for each in learnt:
        talk.learns(filled(each))
    lately = list(dict.fromkeys(reversed(learnt)))
    assert [each for each in range(10) if talk.knows(filled(each))] == sorted(lately[:4])
    assert len(talk._known) <= LIMITS.known_blocks


@given(st.lists(st.integers(0, 9), max_size=40))
def test_records_that_are_known_are_the_last_few_and_others_than_blocks(learnt: list[int]) -> None:
    talk = session()
    talk.learns(filled(99))
    for each in learnt:
        talk.learns_record(filled(each))
    lately = list(dict.fromkeys(reversed(learnt)))
    assert [each for each in range(10) if talk.knows_record(filled(each))] == sorted(lately[:3])
    assert len(talk._known_records) <= LIMITS.known_records
    assert talk.knows(filled(99))
    assert not talk.knows_record(filled(99))


def test_the_dialler_pushes_first() -> None:
    assert [session(dialled).may_push for dialled in ("ws://10.0.0.1:1", None)] == [True, False]


@given(st.lists(st.tuples(st.integers(0, 2_000), st.booleans())))
def test_received_bytes_only_grow_while_a_message_arrives(steps: list[tuple[int, bool]]) -> None:
    """A part of a message counts while it arrives, and once."""
    talk, whole, last = session(), 0, 0
    for size, complete in steps:
        if complete:
            talk.arrived(max(size, last))
            whole, last = whole + max(size, last), 0
        else:
            last = max(size, last)
            talk.arriving(last)
        assert talk.received_bytes == whole + last
