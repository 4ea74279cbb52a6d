"""The table of messages is checked when it is imported: none of these mistakes would ever run."""

from __future__ import annotations

from typing import get_args

import pytest
from msgspec.structs import replace

from tallystick.model.block import WholeBlock
from tallystick.model.limits import LIMITS, MAX_ENTRY_BYTES
from tallystick.model.record import RawRecord
from tallystick.wire.native import codec
from tallystick.wire.native.messages import (
    SURVEYED_BYTES,
    Address,
    Addrs,
    Announce,
    Blocks,
    GetAddrs,
    GetBlocks,
    GetHeaders,
    GetRecords,
    GetSurvey,
    Headers,
    Hello,
    Inv,
    Message,
    Ping,
    Point,
    Push,
    RecordName,
    Records,
    Reply,
    Request,
    Survey,
    Tip,
)
from tallystick.wire.native.table import TABLE, Traffic, check
from tests.wire.native.vocabulary import filled


def test_the_table_is_right() -> None:
    check(TABLE)


MISTAKES: dict[str, dict[type[Message], Traffic | None]] = {
    "a message without a row": {Ping: None},
    "a request without a row": {GetAddrs: None},
    "a request without a reply": {GetAddrs: replace(TABLE[GetAddrs], answered_by=None)},
    "a reply for what is no request": {Ping: replace(TABLE[Ping], answered_by=Addrs)},
    "two requests with one reply": {GetBlocks: replace(TABLE[GetBlocks], answered_by=Headers)},
    "a reply that is no reply": {GetAddrs: replace(TABLE[GetAddrs], answered_by=Ping)},
    "a reply that answers nothing and a request with none": {
        GetAddrs: replace(TABLE[GetAddrs], answered_by=None),
        Ping: replace(TABLE[Ping], answered_by=Addrs),
    },
}


@pytest.mark.parametrize("changes", MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_in_the_table_is_found(changes: dict[type[Message], Traffic | None]) -> None:
    table = {**TABLE, **changes}
    with pytest.raises(TypeError):
        check({kind: traffic for kind, traffic in table.items() if traffic is not None})


def test_a_row_for_what_is_no_message_is_found() -> None:
    with pytest.raises(TypeError, match="Point"):
        check({**TABLE, Point: Traffic(1)})  # type: ignore[dict-item]


def test_what_comes_unasked_has_a_rate_and_replies_have_none() -> None:
    """A reply comes once for each request, a hello once at all."""
    for kind, traffic in TABLE.items():
        is_unasked = kind in get_args(Request) or kind.__name__ in {"Ping", "Pong", "Push", "Announce", "Inv"}
        assert (traffic.per_minute is not None) == is_unasked, kind
        assert traffic.size_bytes <= LIMITS.reply_bytes or kind not in get_args(Reply)


POINT = Point(2**53 - 1, filled(0xFF))
NAME = RecordName("z" * 128, filled(3))
RECORD = RawRecord(bytes(MAX_ENTRY_BYTES), filled(4, 16), bytes(64 * 1024))
WHOLE = WholeBlock(2**53 - 1, filled(1), filled(2), 9_999_999_999, "x" * LIMITS.push_bytes)
LONGEST: list[Message] = [
    Hello(
        versions=(255, 255),
        network=filled(1),
        key=filled(1),
        nonce=filled(1, 8),
        challenge=filled(1),
        role=255,
        listen_port=65_535,
        agent="\U0010ffff" * LIMITS.agent_bytes,
        tip=Tip(POINT, filled(1)),
        final=Tip(POINT, filled(1)),
        frame_bytes=2**31 - 1,
        requests=255,
    ),
    GetHeaders(2**32 - 1, (POINT,) * LIMITS.locator_points, POINT, LIMITS.headers_per_reply, plan=True),
    GetBlocks(2**32 - 1, (POINT,) * LIMITS.blocks_per_request),
    GetSurvey(2**32 - 1, (POINT,) * LIMITS.locator_points, POINT, LIMITS.headers_per_reply),
    Survey(2**32 - 1, POINT, (bytes(SURVEYED_BYTES),) * LIMITS.headers_per_reply),
    GetRecords(2**32 - 1, (NAME,) * LIMITS.records_per_request),
    Records(2**32 - 1, (RECORD,) * (LIMITS.reply_soft_bytes // len(RECORD.data or b"")), tuple(range(256))),
    Push(WHOLE, filled(1)),
    Push(bytes(LIMITS.push_bytes), filled(1)),
    Announce((POINT,) * LIMITS.announced_points, filled(1)),
    Inv((NAME,) * LIMITS.announced_records),
    Addrs(2**32 - 1, (Address(filled(1, 16), 65_535),) * LIMITS.addresses_per_reply),
    Blocks(1, (WholeBlock(1, filled(1), filled(2), 9_999_999_999, "x" * LIMITS.message_bytes),), tuple(range(1, 128))),
]


@pytest.mark.parametrize("message", LONGEST, ids=lambda message: type(message).__name__)
def test_the_longest_lawful_message_is_within_its_size(message: Message) -> None:
    """An honest node never breaks the rule by having much to say."""
    frame = codec.encode(message)
    assert codec.decode(frame) == message
    assert len(frame) <= TABLE[type(message)].size_bytes
