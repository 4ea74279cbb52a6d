"""Laws of the inbox: it does not matter how bytes are cut, and nothing but a Refusal ever comes out of bad ones."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from tallystick.model.limits import Limits
from tallystick.p2p.inbox import Inbox, Refusal

from .loopback import frame

LIMITS = replace(Limits(), message_bytes=500, large_message_bytes=200)


def inbox() -> Inbox:
    return Inbox(ServerProtocol(state=State.OPEN, max_size=LIMITS.message_bytes), LIMITS)


def heard(data: bytes, cuts: list[int]) -> tuple[list[bytes], int | None]:
    """The messages in `data`, cut at these places, and the close code if it was refused."""
    box = inbox()
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    code = None
    for start, end in pairwise(places):
        try:
            box.feed(data[start:end])
        except Refusal as refusal:
            code = refusal.code
            break
        assert 0 <= box.partial_bytes <= 2 * LIMITS.message_bytes + len(data)
    texts = []
    while box:
        texts.append(box.take())
    assert box.ready_bytes == 0
    assert not box.holds_large
    return texts, code


fragments = st.lists(st.text(max_size=60), min_size=1, max_size=3)
cuts = st.lists(st.integers(0, 10_000), max_size=20)


@given(st.lists(fragments, max_size=8), cuts)
def test_messages_do_not_depend_on_how_they_are_cut(messages: list[list[str]], cuts: list[int]) -> None:
    data = b""
    for parts in messages:
        for position, part in enumerate(parts):
            opcode = Opcode.TEXT if position == 0 else Opcode.CONT
            data += frame(opcode, part.encode(), fin=position == len(parts) - 1) + frame(Opcode.PING, b"!")
    whole = ["".join(parts).encode() for parts in messages]
    expected = [text for text in whole if len(text) <= LIMITS.message_bytes]
    texts, code = heard(data, cuts)
    if len(expected) == len(whole):
        assert (texts, code) == (whole, None)
    else:
        assert code == 1009


@given(
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
def test_hostile_bytes_are_refused_and_never_raise_anything_else(pieces: list[bytes], cuts: list[int]) -> None:
    """Catalogue row 23, as far as frames go."""
    texts, code = heard(b"".join(pieces), cuts)
    assert code in {None, 1002, 1003, 1007, 1009}
    for text in texts:
        assert len(text) <= LIMITS.message_bytes
        text.decode()
