"""The vocabulary on the wire, byte for byte: what is written here is what other implementations rely on."""

from __future__ import annotations

import tracemalloc

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tallystick.errors import Rule, RuleViolation
from tallystick.model.block import Body
from tallystick.model.limits import KIB, LIMITS, MIB
from tallystick.model.record import RawRecord
from tallystick.wire.native import codec
from tallystick.wire.native.messages import (
    Addrs,
    Announce,
    GetBlocks,
    GetHeaders,
    GetRecords,
    GetSurvey,
    Headers,
    Inv,
    Message,
    Part,
    Ping,
    Point,
    Push,
    RecordName,
    Records,
    Survey,
)
from tallystick.wire.native.table import TABLE
from tests.effort import examples
from tests.wire.native.vocabulary import EXAMPLES, KINDS, NAME, STRATEGIES, WEIGHT, WHOLE, filled, messages

GOLDEN = {
    "hello": (
        "9d01920101c4201111111111111111111111111111111111111111111111111111111111111111c42022222222222222"
        "22222222222222222222222222222222222222222222222222c4083333333333333333c4204444444444444444444444"
        "44444444444444444444444444444444444444444400cd0bb9ac74616c6c79737469636b2f319292cd012cc420555555"
        "5555555555555555555555555555555555555555555555555555555555c4200000000000000000000000000000000000"
        "00000000000000000000000000012cc0ce0040000002"
    ),
    "hello in a network with final blocks": (
        "9d019201ccffc4201111111111111111111111111111111111111111111111111111111111111111c420222222222222"
        "2222222222222222222222222222222222222222222222222222c4083333333333333333c42044444444444444444444"
        "444444444444444444444444444444444444444444440100a09292cf001fffffffffffffc42055555555555555555555"
        "55555555555555555555555555555555555555555555c420ffffffffffffffffffffffffffffffffffffffffffffffff"
        "ffffffffffffffff929200c4206666666666666666666666666666666666666666666666666666666666666666c42000"
        "00000000000000000000000000000000000000000000000000000000000000cd1000ccff"
    ),
    "auth": (
        "9202c4407777777777777777777777777777777777777777777777777777777777777777777777777777777777777777"
        "7777777777777777777777777777777777777777"
    ),
    "ready": ("9103"),
    "ping": ("9204c4080101010101010101"),
    "pong": ("9205c4080101010101010101"),
    "part": ("940605c2c4020102"),
    "last part": ("9406ceffffffffc3c40100"),
    "get_headers": (
        "961001929202c42088888888888888888888888888888888888888888888888888888888888888889200c42099999999"
        "9999999999999999999999999999999999999999999999999999999992cd03eac4208888888888888888888888888888"
        "888888888888888888888888888888888888cd03e8c3"
    ),
    "get_headers from genesis": ("9610cc8090c001c2"),
    "headers": (
        "9511019202c42088888888888888888888888888888888888888888888888888888888888888889293c420aaaaaaaaaa"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaace6553f100a16193c420bbbbbbbbbbbbbbbbbbbbbb"
        "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbcf00000002540be3ffa091c420cccccccccccccccccccccccccccc"
        "cccccccccccccccccccccccccccccccccccc"
    ),
    "headers, none": ("9511019200c42099999999999999999999999999999999999999999999999999999999999999999090"),
    "get_blocks": ("9312ce000100009192ce00011170c420aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
    "blocks": (
        "941302919507c420aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac420bbbbbbbbbbbb"
        "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbce6553f100a66e61c3af766592017f"
    ),
    "headers in a sealed network": (
        "9511019200c420999999999999999999999999999999999999999999999999999999999999999991c489545342310000"
        "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
        "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
        "000000000000000000000000000000000000000000000000000000000000000000009090"
    ),
    "blocks in a sealed network": (
        "94130291c489545342310000000000000000000000000000000000000000000000000000000000000000000000000000"
        "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
        "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000009090"
    ),
    "get_survey": ("951404919200c4209999999999999999999999999999999999999999999999999999999999999999c0cd07d0"),
    "get_survey up to a block": ("951404909209c420888888888888888888888888888888888888888888888888888888888888888801"),
    "survey": (
        "9415049200c420999999999999999999999999999999999999999999999999999999999999999992c488545342310000"
        "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
        "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
        "00000000000000000000000000000000000000000000000000000000000000000000c400"
    ),
    "get_records": (
        "9316059292a76f726465722d37c420dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd92"
        "a7412e7a5f393a2dc420eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"
    ),
    "records": ("9417059293c405656e747279c41012121212121212121212121212121212c4013793c405656e747279c0c09200ccff"),
    "push": (
        "93209507c420aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac420bbbbbbbbbbbbbbbb"
        "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbce6553f100a66e61c3af7665c42000000000000000000000"
        "00000000000000000000000000000000000000000007"
    ),
    "push in a sealed network": (
        "9320c4895453423100000000000000000000000000000000000000000000000000000000000000000000000000000000"
        "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
        "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000090c420ff"
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
    ),
    "announce": (
        "9321929206c420aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa9207c420bbbbbbbbbb"
        "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbc42000000000000000000000000000000000000000"
        "00000000000000000000000007"
    ),
    "inv": ("92229192a76f726465722d37c420dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"),
    "get_addrs": ("923003"),
    "addrs": ("9331039292c404cb007107cd0bb992c41020010db800000000000000000000000701"),
}
"""A change here is a change of the protocol: it needs another version, or another tag."""


def malformed(frame: bytes) -> str:
    with pytest.raises(RuleViolation) as caught:
        codec.decode(frame)
    assert caught.value.rule is Rule.MESSAGE_IS_DECODABLE
    assert len(caught.value.detail) <= 200
    return caught.value.detail


# --- golden bytes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GOLDEN)
def test_every_message_has_these_bytes_and_no_others(name: str) -> None:
    assert codec.encode(EXAMPLES[name]).hex() == GOLDEN[name]
    assert codec.decode(bytes.fromhex(GOLDEN[name])) == EXAMPLES[name]


def test_no_message_is_without_its_bytes() -> None:
    assert {type(message) for message in EXAMPLES.values()} == set(TABLE) == set(KINDS) == set(STRATEGIES)
    assert set(GOLDEN) == set(EXAMPLES)


def test_tags_are_different_and_stay_what_they_are() -> None:
    tags = {kind.__name__: kind.__struct_config__.tag for kind in TABLE}
    assert tags == {
        "Hello": 1,
        "Auth": 2,
        "Ready": 3,
        "Ping": 4,
        "Pong": 5,
        "Part": 6,
        "GetHeaders": 16,
        "Headers": 17,
        "GetBlocks": 18,
        "Blocks": 19,
        "GetSurvey": 20,
        "Survey": 21,
        "GetRecords": 22,
        "Records": 23,
        "Push": 32,
        "Announce": 33,
        "Inv": 34,
        "GetAddrs": 48,
        "Addrs": 49,
    }


# --- what is refused --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frame",
    [
        b"\x91\x07",
        b"\x91\x7f",
        b"\x91\x00",
        b"\x91\xcc\x7f",
        b"\x91\xff",
        b"\x91\xcd\x01\x00",
        b"\x91\xcd\x00\x80",
        b"\x91\xce\xff\xff\xff\xff",
        b"\x91\xc0",
        b"\x91\xa4ping",
    ],
)
def test_an_unknown_message_of_which_nobody_says_that_it_is_optional_is_refused(frame: bytes) -> None:
    """Catalogue row 2."""
    malformed(frame)


@given(
    tag=st.integers(128, 255), rest=st.binary(max_size=40), head=st.sampled_from([b"\x91", b"\x9f", b"\xdc\x00\x10"])
)
def test_an_unknown_optional_message_is_ignored(tag: int, rest: bytes, head: bytes) -> None:
    """Catalogue row 2: whatever a later version puts into it."""
    assert codec.decode(head + b"\xcc" + bytes([tag]) + rest) is None


@pytest.mark.parametrize(
    "frame", [b"", b"\x90", b"\xcc\x80", b"\x80", b"\xc0", b"\x01", b"{}", b"\x91", b"\x91\xcc", b"\xdc"]
)
def test_what_is_no_tagged_array_is_refused(frame: bytes) -> None:
    malformed(frame)


HUGE = {
    "an array": b"\xdd\xff\xff\xff\xff\x10\x01",
    "a locator": b"\x96\x10\x01\xdd\xff\xff\xff\xff",
    "bodies": b"\x95\x11\x01\x92\x00\xc4\x20" + filled(1) + b"\xdd\xff\xff\xff\xff",
    "bodies, as many as are allowed": b"\x95\x11\x01\x92\x00\xc4\x20" + filled(1) + b"\xdc\x07\xd0",
    "a signature": b"\x92\x02\xc6\xff\xff\xff\xff",
    "a piece": b"\x94\x06\x01\xc2\xc6\x00\x10\x00\x00",
    "data": b"\x93\x20\x95\x01\xc4\x20"
    + filled(1)
    + b"\xc4\x20"
    + filled(2)
    + b"\xce\x65\x53\xf1\x00\xdb\xff\xff\xff\xff",
    "a sealed block": b"\x93\x20\xc6\x00\x40\x00\x00",
    "a sealed block longer than a frame": b"\x93\x20\xc6\xff\xff\xff\xff",
    "surveyed headers": b"\x94\x15\x01\x92\x00\xc4\x20" + filled(1) + b"\xdc\x07\xd0",
    "names": b"\x92\x22\xdd\xff\xff\xff\xff",
    "names, as many as are allowed": b"\x92\x22\xdc\x03\xe8",
    "records, as many as are allowed": b"\x94\x17\x01\xdc\x01\x00",
    "the data of a record": b"\x94\x17\x01\x91\x93\xc4\x01e\xc0\xc6\xff\xff\xff\xff",
    "a map": b"\xdf\xff\xff\xff\xff",
    "an extension": b"\xc9\xff\xff\xff\xff\x01",
    "a field too many": b"\x93\x04\xc4\x08" + bytes(8) + b"\xdd\xff\xff\xff\xff",
}


@pytest.mark.parametrize("frame", HUGE.values(), ids=HUGE.keys())
def test_a_length_that_is_not_there_costs_no_memory(frame: bytes) -> None:
    """Catalogue row 4: it is refused before anything is allocated for it."""
    tracemalloc.start()
    try:
        malformed(frame)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 64 * KIB


def test_a_list_longer_than_allowed_is_refused_before_it_is_read() -> None:
    """Catalogue row 4: the frame holds all of it, and none of it is made into anything."""
    body = codec.encode(Headers(1, Point(0, filled(1)), (Body(filled(2), 1_700_000_000, "x" * 200),) * 2_000, ()))
    at = body.index(b"\xdc\x07\xd0")
    one = body[at + 3 : at + 3 + (len(body) - at - 4) // 2_000]
    frame = body[:at] + b"\xdd" + (20_000).to_bytes(4, "big") + one * 20_000 + b"\x90"
    tracemalloc.start()
    try:
        assert "<= 2000" in malformed(frame)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(frame) > 4 * MIB
    assert peak < 64 * KIB


@pytest.mark.parametrize("depth", [1_000, 1_000_000])
@pytest.mark.parametrize("head", [b"", b"\x92\x03", b"\x93\x04\xc4\x08" + bytes(8), b"\x96\x10\x01"])
def test_deep_nesting_is_refused(head: bytes, depth: int) -> None:
    malformed(head + b"\x91" * depth)


@pytest.mark.parametrize("name", GOLDEN)
def test_bytes_after_a_message_are_refused(name: str) -> None:
    """Catalogue row 8: and so is one more field, which a decoder might take for that of a later version."""
    frame = bytes.fromhex(GOLDEN[name])
    malformed(frame + b"\x00")
    malformed(frame + frame)
    if frame[0] < 0x9F:
        malformed(bytes([frame[0] + 1]) + frame[1:] + b"\xc0")
    malformed(bytes([frame[0] - 1]) + frame[1:])
    malformed(frame[:-1])


PING = bytes.fromhex(GOLDEN["ping"])
PART = bytes.fromhex(GOLDEN["part"])
FROM_GENESIS = bytes.fromhex(GOLDEN["get_headers from genesis"])


@pytest.mark.parametrize(
    "frame",
    [
        b"\xdc\x00\x02" + PING[1:],
        b"\xdd\x00\x00\x00\x02" + PING[1:],
        b"\x92\xcc\x04" + PING[2:],
        b"\x92\xcd\x00\x04" + PING[2:],
        b"\x92\xd0\x04" + PING[2:],
        b"\x92\x04\xc5\x00\x08" + PING[4:],
        b"\x92\x04\xc6\x00\x00\x00\x08" + PING[4:],
        PING.replace(b"\xc4", b"\xd9"),
        PART[:3] + b"\x00" + PART[4:],
        PART[:3] + b"\x01" + PART[4:],
        PART[:3] + b"\xc0" + PART[4:],
        PART[:2] + b"\xcc\x05" + PART[3:],
        PART[:2] + b"\xca\x40\xa0\x00\x00" + PART[3:],
        PART[:2] + b"\xcb\x40\x14\x00\x00\x00\x00\x00\x00" + PART[3:],
        FROM_GENESIS[:4] + b"\xdc\x00\x00" + FROM_GENESIS[5:],
        FROM_GENESIS[:5] + b"\xc2" + FROM_GENESIS[6:],
        FROM_GENESIS[:5] + b"\x90" + FROM_GENESIS[6:],
        bytes.fromhex(GOLDEN["push"]).replace(b"\xa6na", b"\xd9\x06na"),
        bytes.fromhex(GOLDEN["push"]).replace(b"\xa6na\xc3\xaf", b"\xa6na\xc3\xc3"),
        bytes.fromhex(GOLDEN["push"]).replace(b"\xa6na\xc3\xafve", b"\xa6na\xed\xa0\x80e"),
        bytes.fromhex(GOLDEN["push in a sealed network"]).replace(b"\xc4\x89TSB1", b"\xc5\x00\x89TSB1"),
        bytes.fromhex(GOLDEN["push in a sealed network"]).replace(b"\xc4\x89TSB1", b"\xd9\x89TSB1"),
        bytes.fromhex(GOLDEN["inv"]).replace(b"\xa7order-7", b"\xd9\x07order-7"),
        bytes.fromhex(GOLDEN["inv"]).replace(b"\xa7order-7", b"\xc4\x07order-7"),
        bytes.fromhex(GOLDEN["records"]).replace(b"\xc4\x05entry", b"\xa5entry"),
        bytes.fromhex(GOLDEN["records"]).replace(b"\xc0\xc0", b"\xc0\xc2"),
    ],
)
def test_what_could_be_written_shorter_or_is_of_another_type_is_refused(frame: bytes) -> None:
    """Catalogue row 9: a message has one spelling; a bool is no number, and nothing is there or it is nil."""
    malformed(frame)


def test_the_same_message_in_its_one_spelling_is_taken() -> None:
    """Or the test above would show nothing."""
    assert codec.decode(PING) == Ping(filled(1, 8))
    assert codec.decode(PART) == Part(5, last=False, piece=b"\x01\x02")
    assert codec.decode(FROM_GENESIS) == GetHeaders(128, (), None, 1, plan=False)


TOO_MUCH: list[Message] = [
    GetHeaders(0, (), None, 1, plan=False),
    GetHeaders(2**32, (), None, 1, plan=False),
    GetHeaders(1, (Point(1, filled(1)),) * 65, None, 1, plan=False),
    GetHeaders(1, (), None, 0, plan=False),
    GetHeaders(1, (), None, 2_001, plan=False),
    GetHeaders(1, (), Point(2**53, filled(1)), 1, plan=False),
    GetHeaders(1, (), Point(-1, filled(1)), 1, plan=False),
    GetHeaders(1, (), Point(1, filled(1, 31)), 1, plan=False),
    Headers(1, Point(0, filled(1)), (Body(filled(1), 999_999_999, ""),), ()),
    Headers(1, Point(0, filled(1)), (Body(filled(1), 10_000_000_000, ""),), ()),
    Headers(1, Point(0, filled(1)), (), (filled(1),) * 33),
    GetBlocks(1, ()),
    GetBlocks(1, (Point(1, filled(1)),) * 129),
    GetSurvey(1, (Point(1, filled(1)),) * 65, None, 1),
    GetSurvey(1, (), None, 0),
    GetSurvey(1, (), None, 2_001),
    Survey(1, Point(0, filled(1)), (bytes(257),)),
    Survey(1, Point(0, filled(1)), (b"",) * 2_001),
    GetRecords(0, (NAME,)),
    GetRecords(1, ()),
    GetRecords(1, (NAME,) * 257),
    GetRecords(1, (RecordName("x" * 129, filled(1)),)),
    GetRecords(1, (RecordName("", filled(1)),)),
    Inv((RecordName("a b", filled(1)),)),
    Inv((RecordName("a\n", filled(1)),)),
    Inv((RecordName("\nna", filled(1)),)),
    Inv((RecordName("\u0661", filled(1)),)),
    Inv((RecordName("na\u00efve", filled(1)),)),
    GetRecords(1, (RecordName("x", filled(1, 31)),)),
    GetRecords(1, (RecordName("x", filled(1, 33)),)),
    Records(1, (RawRecord(b"", None, None),) * 257, ()),
    Records(1, (), (256,)),
    Records(1, (), (-1,)),
    Records(1, (), (0,) * 257),
    Inv(()),
    Inv((NAME,) * 1_001),
    Push(WHOLE, filled(1, 31)),
    Push(WHOLE, filled(1, 33)),
    Push(bytes(LIMITS.frame_bytes + 1), WEIGHT),
    Announce((), WEIGHT),
    Announce((Point(1, filled(1)),) * 9, WEIGHT),
    Announce((Point(1, filled(1)),), filled(1, 31)),
    Part(1, last=True, piece=b""),
    Part(1, last=True, piece=bytes(LIMITS.part_bytes + 1)),
    Ping(bytes(7)),
    Ping(bytes(9)),
    Addrs(1, (msgspec.structs.replace(EXAMPLES["addrs"].addresses[0], port=0),)),  # type: ignore[union-attr]
    Addrs(1, (msgspec.structs.replace(EXAMPLES["addrs"].addresses[0], ip=bytes(17)),)),  # type: ignore[union-attr]
    msgspec.structs.replace(EXAMPLES["hello"], agent="x" * 129),
    msgspec.structs.replace(EXAMPLES["hello"], frame_bytes=4_095),
    msgspec.structs.replace(EXAMPLES["hello"], requests=0),
    msgspec.structs.replace(EXAMPLES["hello"], key=filled(1, 33)),
    msgspec.structs.replace(EXAMPLES["hello"], versions=(1,)),
    Push(msgspec.structs.replace(WHOLE, index=0), WEIGHT),
]


@pytest.mark.parametrize("message", TOO_MUCH, ids=lambda message: f"{type(message).__name__} {message}"[:70])
def test_what_is_out_of_bounds_is_refused(message: Message) -> None:
    """Catalogue rows 20, 27 and 46: ids, indexes, times and lengths, agents and locators; one past what is allowed."""
    malformed(codec.encode(message))


# --- laws -------------------------------------------------------------------------------------------


@given(messages)
def test_what_is_written_is_read_again(message: Message) -> None:
    assert codec.decode(codec.encode(message)) == message


def check_reading(frame: bytes) -> None:
    """It is refused with a reason, ignored, or has exactly these bytes."""
    try:
        message = codec.decode(frame)
    except RuleViolation as broken:
        assert broken.rule is Rule.MESSAGE_IS_DECODABLE
        assert broken.detail.isprintable()
    else:
        assert message is None or codec.encode(message) == frame


@given(st.binary(max_size=300))
@example(b"\x91" * 300)
@example(b"\xdc\xff\xff")
def test_any_bytes_are_read_or_refused(frame: bytes) -> None:
    """Catalogue row 1."""
    check_reading(frame)


@settings(max_examples=examples(300))
@given(messages, st.data())
def test_a_changed_message_is_read_or_refused(message: Message, data: st.DataObject) -> None:
    """Catalogue row 1: bytes changed, left out and put in."""
    frame = bytearray(codec.encode(message))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(frame)))
        length = data.draw(st.integers(0, 3))
        frame[at : at + length] = data.draw(st.binary(max_size=3))
    check_reading(bytes(frame))


# --- parts ------------------------------------------------------------------------------------------


@given(STRATEGIES[Headers](), st.integers(1, 200))
def test_a_reply_in_parts_is_the_reply_when_they_are_joined(reply: Headers, part_bytes: int) -> None:
    frames = list(codec.in_parts(reply, part_bytes))
    if len(frames) == 1:
        assert frames == [codec.encode(reply)]
        return
    parts = [codec.decode(frame) for frame in frames]
    pieces = [part for part in parts if isinstance(part, Part)]
    assert len(pieces) == len(parts)
    assert {part.id for part in pieces} == {reply.id}
    assert [part.last for part in pieces] == [False] * (len(pieces) - 1) + [True]
    assert b"".join(part.piece for part in pieces) == codec.encode(reply)
    assert all(len(part.piece) == part_bytes for part in pieces[:-1])
