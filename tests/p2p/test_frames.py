"""Laws of the cutter: nothing is lost, no piece reaches over the end of a frame, and a head is enough to refuse."""

from __future__ import annotations

from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from tallystick.errors import Rule
from tallystick.p2p.frames import Backlog, Cutter, Refusal, close_reason

sizes = st.integers(0, 130) | st.sampled_from([125, 126, 127, 65_535, 65_536])
frames = st.lists(
    st.builds(lambda size, mask: Frame(Opcode.BINARY, b"x" * size).serialize(mask=mask), sizes, st.booleans()),
    min_size=1,
    max_size=6,
)
cuts = st.lists(st.integers(0, 2**20), max_size=12)


@given(frames, cuts, st.sampled_from([1, 7, 4_096, 2**62]))
def test_pieces_add_up_and_stop_where_frames_end(frames: list[bytes], cuts: list[int], slice_bytes: int) -> None:
    """Catalogue row 3: what judges the next message sees it before anything of it was parsed."""
    data = b"".join(frames)
    slice_bytes = slice_bytes if len(data) < 2_000 else max(slice_bytes, 1_000)
    cutter, raw, pieces = Cutter(slice_bytes), Backlog(), []
    for start, end in pairwise(sorted({0, len(data), *(cut % len(data) for cut in cuts)})):
        raw.add(data[start:end])
        while raw:
            pieces.append(bytes(cutter.cut(raw, 2**20)))
    assert b"".join(pieces) == data
    assert all(0 < len(piece) <= max(slice_bytes, 13) for piece in pieces)
    assert set(accumulate(map(len, frames))) <= set(accumulate(map(len, pieces)))


@given(st.integers(0, 2**63), st.booleans(), st.integers(0, 2**20))
def test_a_length_over_the_room_is_refused_by_its_head_alone(length: int, masked: bool, room: int) -> None:  # noqa: FBT001 - Hypothesis passes it so
    """Catalogue row 4."""
    head = b"\x82" + bytes([masked << 7 | 127]) + length.to_bytes(8) + b"mask" * masked
    raw = Backlog()
    raw.add(head[:10])
    if length > room:
        with pytest.raises(Refusal) as caught:
            Cutter(2**62).cut(raw, room)
        assert (caught.value.code, caught.value.rule) == (1009, Rule.MESSAGE_WITHIN_SIZE)
    else:
        assert bytes(Cutter(2**62).cut(raw, room)) == head[:10]


def test_a_control_frame_between_fragments_needs_no_room_of_the_message() -> None:
    raw = Backlog()
    raw.add(Frame(Opcode.PING, b"x" * 125).serialize(mask=True))
    assert len(Cutter(2**62).cut(raw, 0)) == 131
    raw.add(b"\x89\xfe\x00\x7e")
    with pytest.raises(Refusal, match="control frame") as caught:
        Cutter(2**62).cut(raw, 2**20)
    assert caught.value.code == 1002


def test_what_waits_keeps_its_order() -> None:
    raw = Backlog()
    assert not raw
    raw.add(b"abc")
    assert bytes(raw.take(1)) == b"a"
    raw.add(b"def")
    assert (raw.first(3), len(raw)) == (b"bcd", 5)
    assert bytes(raw.take(9)) == b"bcdef"
    raw.add(b"x")
    raw.clear()
    assert len(raw) == 0


def test_a_reason_fits_a_close_frame_and_stays_text() -> None:
    assert close_reason("x" * 200) == "x" * 123
    assert close_reason("é" * 100) == "é" * 61
