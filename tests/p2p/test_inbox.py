"""Laws of the inbox: it does not matter how bytes are cut, and nothing but a Refusal ever comes out of bad ones."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from tallystick.model.limits import Limits
from tallystick.p2p.frames import Backlog, Refusal
from tallystick.p2p.inbox import Inbox
from tallystick.wire.dialect import Dialect
from tallystick.wire.terms import terms_of

from .loopback import frame

LIMITS = replace(
    Limits(), message_bytes=500, frame_bytes=500, stranger_frame_bytes=100, large_message_bytes=200, idle_frames=40
)
KINDS = {Dialect.CLASSIC: Opcode.TEXT, Dialect.NATIVE: Opcode.BINARY}


def inbox(dialect: Dialect, *, admitted: bool = True) -> Inbox:
    box = Inbox(ServerProtocol(state=State.OPEN, max_size=None), terms_of(dialect, LIMITS), LIMITS.idle_frames)
    if admitted:
        box.admit()
    return box


def heard(box: Inbox, data: bytes, cuts: list[int]) -> tuple[list[bytes], int | None]:
    """The messages in `data`, cut at these places, and the close code if it was refused."""
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    raw, code = Backlog(), None
    for start, end in pairwise(places):
        raw.add(data[start:end])
        while raw and code is None:
            try:
                assert box.feed(raw) <= 1
            except Refusal as refusal:
                code = refusal.code
            assert 0 <= box.partial_bytes <= 2 * LIMITS.message_bytes + 14
    texts = []
    while box:
        texts.append(box.take())
    assert box.ready_bytes == 0
    assert not box.holds_large
    return texts, code


fragments = st.lists(st.text(max_size=60), min_size=1, max_size=3)
cuts = st.lists(st.integers(0, 10_000), max_size=20)


dialects = st.sampled_from(Dialect)


@given(dialects, st.lists(fragments, max_size=8), cuts)
def test_messages_do_not_depend_on_how_they_are_cut(
    dialect: Dialect, messages: list[list[str]], cuts: list[int]
) -> None:
    data = b""
    for parts in messages:
        for position, part in enumerate(parts):
            opcode = KINDS[dialect] if position == 0 else Opcode.CONT
            data += frame(opcode, part.encode(), fin=position == len(parts) - 1) + frame(Opcode.PING, b"!")
    whole = ["".join(parts).encode() for parts in messages]
    expected = [text for text in whole if len(text) <= LIMITS.message_bytes]
    texts, code = heard(inbox(dialect), data, cuts)
    if len(expected) == len(whole):
        assert (texts, code) == (whole, None)
    else:
        assert code == 1009


@given(
    dialects,
    st.booleans(),
    st.lists(
        st.builds(
            lambda opcode, data, fin: frame(opcode, data, fin=fin) if opcode < Opcode.CLOSE else b"",
            st.sampled_from([Opcode.CONT, Opcode.TEXT, Opcode.BINARY]),
            st.binary(max_size=40),
            st.booleans(),
        )
        | st.binary(max_size=20)
        | st.just(Frame(Opcode.CLOSE, b"\x03\xe8").serialize(mask=True)),
        max_size=12,
    ),
    cuts,
)
def test_hostile_bytes_are_refused_and_never_raise_anything_else(
    dialect: Dialect,
    admitted: bool,  # noqa: FBT001 - Hypothesis passes it so
    pieces: list[bytes],
    cuts: list[int],
) -> None:
    """Catalogue row 23, as far as frames go."""
    texts, code = heard(inbox(dialect, admitted=admitted), b"".join(pieces), cuts)
    assert code in {None, 1002, 1003, 1007, 1009}
    for text in texts:
        assert len(text) <= LIMITS.message_bytes
        if dialect is Dialect.CLASSIC:
            text.decode()


def test_what_follows_a_goodbye_is_nobodys_fault() -> None:
    box = inbox(Dialect.NATIVE)
    assert heard(box, Frame(Opcode.CLOSE, b"\x03\xe8").serialize(mask=True) + b"\xff" * 40, [8, 20]) == ([], None)


IDLE = {
    "pings": frame(Opcode.PING, b""),
    "pongs": frame(Opcode.PONG, b"x" * 125),
    "empty fragments": frame(Opcode.CONT, b"", fin=False),
    "short fragments": frame(Opcode.CONT, b"x", fin=False),
}


@pytest.mark.parametrize("kind", IDLE)
@pytest.mark.parametrize("dialect", Dialect)
def test_frames_that_bring_nothing_are_counted(dialect: Dialect, kind: str) -> None:
    """Catalogue rows 5 and 35: their number is bounded, for in bytes they cost next to nothing."""
    box, most = inbox(dialect), LIMITS.idle_frames
    begin = frame(KINDS[dialect], b"", fin=False) if "fragments" in kind else frame(Opcode.PING, b"")
    assert heard(box, begin + IDLE[kind] * (most - 1), [])[1] is None
    box.idle_frames = 0
    assert heard(box, IDLE[kind] * most, [])[1] is None
    assert heard(box, IDLE[kind], [])[1] == 4008


def test_fragments_of_some_length_and_whole_messages_are_not_counted() -> None:
    """Catalogue row 5."""
    limits = replace(LIMITS, frame_bytes=100_000)
    box = Inbox(ServerProtocol(state=State.OPEN, max_size=None), terms_of(Dialect.NATIVE, limits), limits.idle_frames)
    box.admit()
    raw = Backlog()
    raw.add(frame(Opcode.BINARY, b"x" * 1_024, fin=False) + frame(Opcode.CONT, b"x" * 1_024, fin=False) * 90)
    raw.add(frame(Opcode.CONT, b"") + frame(Opcode.BINARY, b"") * 90)
    while raw:
        box.feed(raw)
    assert [len(box.take()) for _ in range(91)] == [91 * 1_024] + 90 * [0]
    assert box.idle_frames == 0


@pytest.mark.parametrize(("admitted", "most"), [(False, 100), (True, 500)])
def test_a_stranger_is_short(admitted: bool, most: int) -> None:  # noqa: FBT001 - pytest passes it so
    """Catalogue row 3: the limit is small until the peer has proven who it is, also for fragments."""
    assert heard(inbox(Dialect.NATIVE, admitted=admitted), frame(Opcode.BINARY, b"x" * most), [7])[1] is None
    assert heard(inbox(Dialect.NATIVE, admitted=admitted), frame(Opcode.BINARY, b"x" * (most + 1)), [7])[1] == 1009
    half = frame(Opcode.BINARY, b"x" * most, fin=False)
    assert heard(inbox(Dialect.NATIVE, admitted=admitted), half + frame(Opcode.CONT, b""), [7])[1] is None
    assert heard(inbox(Dialect.NATIVE, admitted=admitted), half + frame(Opcode.CONT, b"x"), [7])[1] == 1009
