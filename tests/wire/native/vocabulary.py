"""One example of every message of the native dialect, and how to draw others from the types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, get_args

from hypothesis import strategies as st

from tallystick.model.block import INDEX_MAX, TIMESTAMP_MAX, TIMESTAMP_MIN, Body, WholeBlock
from tallystick.model.limits import LIMITS
from tallystick.model.record import ID, RawRecord
from tallystick.wire.native.messages import (
    SURVEYED_BYTES,
    Address,
    Addrs,
    Announce,
    Auth,
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
    Part,
    Ping,
    Point,
    Pong,
    Push,
    Ready,
    RecordName,
    Records,
    Survey,
    Tip,
)

KINDS: Final[tuple[type, ...]] = get_args(Message)


def filled(byte: int, size: int = 32) -> bytes:
    return bytes([byte]) * size


WHOLE: Final = WholeBlock(7, filled(0xAA), filled(0xBB), 1_700_000_000, "na\u00efve")
SEALED: Final = b"TSB1" + filled(0x00, 132) + b"\x90"
WEIGHT: Final = (7).to_bytes(32, "big")
NAME: Final = RecordName("order-7", filled(0xDD))

EXAMPLES: Final[dict[str, Message]] = {
    "hello": Hello(
        versions=(1, 1),
        network=filled(0x11),
        key=filled(0x22),
        nonce=filled(0x33, 8),
        challenge=filled(0x44),
        role=0,
        listen_port=3001,
        agent="tallystick/1",
        tip=Tip(Point(300, filled(0x55)), (300).to_bytes(32, "big")),
        final=None,
        frame_bytes=4_194_304,
        requests=2,
    ),
    "hello in a network with final blocks": Hello(
        versions=(1, 255),
        network=filled(0x11),
        key=filled(0x22),
        nonce=filled(0x33, 8),
        challenge=filled(0x44),
        role=1,
        listen_port=0,
        agent="",
        tip=Tip(Point(INDEX_MAX, filled(0x55)), filled(0xFF)),
        final=Tip(Point(0, filled(0x66)), filled(0)),
        frame_bytes=4_096,
        requests=255,
    ),
    "auth": Auth(filled(0x77, 64)),
    "ready": Ready(),
    "ping": Ping(filled(0x01, 8)),
    "pong": Pong(filled(0x01, 8)),
    "part": Part(5, last=False, piece=b"\x01\x02"),
    "last part": Part(2**32 - 1, last=True, piece=b"\x00"),
    "get_headers": GetHeaders(
        1, (Point(2, filled(0x88)), Point(0, filled(0x99))), Point(1_002, filled(0x88)), 1_000, plan=True
    ),
    "get_headers from genesis": GetHeaders(128, (), None, 1, plan=False),
    "headers": Headers(
        1,
        Point(2, filled(0x88)),
        (Body(filled(0xAA), 1_700_000_000, "a"), Body(filled(0xBB), 9_999_999_999, "")),
        (filled(0xCC),),
    ),
    "headers, none": Headers(1, Point(0, filled(0x99)), (), ()),
    "get_blocks": GetBlocks(65_536, (Point(70_000, filled(0xAA)),)),
    "blocks": Blocks(2, (WHOLE,), (1, 127)),
    "headers in a sealed network": Headers(1, Point(0, filled(0x99)), (SEALED,), ()),
    "blocks in a sealed network": Blocks(2, (SEALED,), ()),
    "get_survey": GetSurvey(4, (Point(0, filled(0x99)),), None, 2_000),
    "get_survey up to a block": GetSurvey(4, (), Point(9, filled(0x88)), 1),
    "survey": Survey(4, Point(0, filled(0x99)), (SEALED[:136], b"")),
    "get_records": GetRecords(5, (NAME, RecordName("A.z_9:-", filled(0xEE)))),
    "records": Records(5, (RawRecord(b"entry", filled(0x12, 16), b"7"), RawRecord(b"entry", None, None)), (0, 255)),
    "push": Push(WHOLE, WEIGHT),
    "push in a sealed network": Push(SEALED, filled(0xFF)),
    "announce": Announce((Point(6, filled(0xAA)), Point(7, filled(0xBB))), WEIGHT),
    "inv": Inv((NAME,)),
    "get_addrs": GetAddrs(3),
    "addrs": Addrs(
        3, (Address(bytes([203, 0, 113, 7]), 3001), Address(bytes.fromhex("20010db8" + "00" * 11 + "07"), 1))
    ),
}


# --- drawn from the types -------------------------------------------------------------------------


def _exactly(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size)


def _tuples(of: st.SearchStrategy, most: int, *, least: int = 0) -> st.SearchStrategy[tuple]:  # type: ignore[type-arg]
    return st.lists(of, min_size=least, max_size=min(most, least + 4)).map(tuple)


_around: Final = [2**bits + change for bits in (0, 5, 7, 8, 16, 31, 32, 53) for change in (-2, -1, 0, 1)]


def integers(least: int, most: int) -> st.SearchStrategy[int]:
    """With a liking for those at which MessagePack changes its form."""
    edges = [value for value in {*_around, least, most} if least <= value <= most]
    return st.one_of(st.sampled_from(sorted(edges)), st.integers(least, most))


texts: Final = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    st.sampled_from(["x" * 31, "x" * 32, "x" * 255, "\u00e9" * 128]),
)
ids: Final = integers(1, 2**32 - 1)
hashes: Final = _exactly(32)
points: Final = st.builds(Point, integers(0, INDEX_MAX), hashes)
tips: Final = st.builds(Tip, points, hashes)
timestamps: Final = integers(TIMESTAMP_MIN, TIMESTAMP_MAX)
bodies: Final = st.builds(Body, hashes, timestamps, texts)
whole_blocks: Final = st.builds(WholeBlock, integers(1, INDEX_MAX), hashes, hashes, timestamps, texts)
sealed_blocks: Final = st.binary(max_size=300)
record_names: Final = st.builds(RecordName, st.from_regex(ID, fullmatch=True), hashes)
optional_bytes: Final = st.none() | st.binary(max_size=40)
raw_records: Final = st.builds(RawRecord, st.binary(max_size=300), optional_bytes, optional_bytes)
addresses: Final = st.builds(
    Address, st.one_of(_exactly(4), _exactly(16), st.binary(min_size=4, max_size=16)), integers(1, 65_535)
)

STRATEGIES: Final[dict[type, Callable[[], st.SearchStrategy[Message]]]] = {
    Hello: lambda: st.builds(
        Hello,
        versions=st.tuples(integers(0, 255), integers(0, 255)),
        network=hashes,
        key=hashes,
        nonce=_exactly(8),
        challenge=hashes,
        role=integers(0, 255),
        listen_port=integers(0, 65_535),
        agent=st.text(st.characters(exclude_categories=["Cs"]), max_size=LIMITS.agent_bytes),
        tip=tips,
        final=st.none() | tips,
        frame_bytes=integers(4_096, 2**31 - 1),
        requests=integers(1, 255),
    ),
    Auth: lambda: st.builds(Auth, _exactly(64)),
    Ready: lambda: st.builds(Ready),
    Ping: lambda: st.builds(Ping, _exactly(8)),
    Pong: lambda: st.builds(Pong, _exactly(8)),
    Part: lambda: st.builds(Part, ids, last=st.booleans(), piece=st.binary(min_size=1, max_size=300)),
    GetHeaders: lambda: st.builds(
        GetHeaders,
        ids,
        _tuples(points, LIMITS.locator_points),
        st.none() | points,
        integers(1, LIMITS.headers_per_reply),
        plan=st.booleans(),
    ),
    Headers: lambda: st.builds(
        Headers,
        ids,
        points,
        _tuples(bodies | sealed_blocks, LIMITS.headers_per_reply),
        _tuples(hashes, LIMITS.plan_batches),
    ),
    GetBlocks: lambda: st.builds(GetBlocks, ids, _tuples(points, LIMITS.blocks_per_request, least=1)),
    Blocks: lambda: st.builds(
        Blocks,
        ids,
        _tuples(whole_blocks | sealed_blocks, LIMITS.blocks_per_request),
        _tuples(integers(0, LIMITS.blocks_per_request - 1), LIMITS.blocks_per_request),
    ),
    GetSurvey: lambda: st.builds(
        GetSurvey,
        ids,
        _tuples(points, LIMITS.locator_points),
        st.none() | points,
        integers(1, LIMITS.headers_per_reply),
    ),
    Survey: lambda: st.builds(
        Survey, ids, points, _tuples(st.binary(max_size=SURVEYED_BYTES), LIMITS.headers_per_reply)
    ),
    GetRecords: lambda: st.builds(GetRecords, ids, _tuples(record_names, LIMITS.records_per_request, least=1)),
    Records: lambda: st.builds(
        Records,
        ids,
        _tuples(raw_records, LIMITS.records_per_request),
        _tuples(integers(0, LIMITS.records_per_request - 1), LIMITS.records_per_request),
    ),
    Push: lambda: st.builds(Push, whole_blocks | sealed_blocks, hashes),
    Announce: lambda: st.builds(Announce, _tuples(points, LIMITS.announced_points, least=1), hashes),
    Inv: lambda: st.builds(Inv, _tuples(record_names, LIMITS.announced_records, least=1)),
    GetAddrs: lambda: st.builds(GetAddrs, ids),
    Addrs: lambda: st.builds(Addrs, ids, _tuples(addresses, LIMITS.addresses_per_reply)),
}
"""How to draw each kind of message. Long lists are drawn short: their bounds have tests of their own."""

messages: Final = st.one_of([STRATEGIES[kind]() for kind in KINDS])
