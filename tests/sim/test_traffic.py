from __future__ import annotations

import pytest

from tallystick.sim.traffic import CLASSIC, kind_of
from tallystick.wire import classic
from tallystick.wire.native import codec
from tallystick.wire.native.messages import Addrs, Announce, GetBlocks, Ping, Point, Ready

POINT = Point(3, bytes(32))


@pytest.mark.parametrize(
    "message", [Ready(), Ping(bytes(8)), GetBlocks(70_000, (POINT,)), Announce((POINT,), bytes(32)), Addrs(1, ())]
)
def test_the_kind_of_a_message_is_read_off_its_first_bytes(message: Ready) -> None:
    assert kind_of(codec.encode(message)) == type(message).__name__


def test_what_is_no_frame_of_ours_is_classic() -> None:
    assert kind_of(classic.QUERY_LATEST) == kind_of(b"") == kind_of(b"{") == CLASSIC
