"""A run as one number."""

from __future__ import annotations

import pytest

from tallystick.errors import Rule, RuleViolation
from tallystick.model.record import make_record
from tallystick.node.effects import HangUp, Log, Reply, Say
from tallystick.node.inputs import PeerSaid, Post, PostRecords, Tick
from tallystick.sim.trace import SHOWN, Trace, text_of


def digest(*notes: object) -> str:
    trace = Trace()
    for number, what in enumerate(notes):
        trace.note(number, 1, what)  # type: ignore[arg-type]  # whatever may be noted
    return trace.digest()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Tick(), Post(1, "a")),
        (Post(1, "a"), Post(1, "b")),
        (PeerSaid(1, b"a"), PeerSaid(2, b"a")),
        (PeerSaid(1, b"a"), PeerSaid(1, b"b")),
        (Say([1], b"a"), Say([2], b"a")),
        (Say([1], b"a"), Say([1], b"a", gossip=True)),
        (Reply(1, answer=True), Reply(1, RuleViolation(Rule.POOL_HAS_ROOM, "full"))),
        (HangUp(1, 2, "a"), HangUp(1, 2, "b")),
        ("starts", "stops"),
    ],
)
def test_what_differs_has_another_trace(one: object, other: object) -> None:
    assert digest(one) == digest(one)
    assert digest(one) != digest(other)
    assert digest(one, other) != digest(other, one)


def test_when_and_to_whom_it_happened_counts() -> None:
    traces = []
    for now_us, machine in ((1, 1), (2, 1), (1, 2)):
        trace = Trace()
        trace.note(now_us, machine, Tick())
        traces.append(trace.digest())
    assert len(set(traces)) == 3


def test_the_last_events_are_shown_in_one_line_each() -> None:
    trace = Trace()
    for number in range(SHOWN + 10):
        trace.note(number * 1_000_000, 3, PeerSaid(number, b"x" * 10_000))
    lines = list(trace.last())
    assert len(lines) == SHOWN
    assert lines[-1] == f"{SHOWN + 9:>7}.000000 s      3  PeerSaid {SHOWN + 9} 10000 bytes"
    assert trace.events == SHOWN + 10


def test_long_things_are_named_and_not_shown() -> None:
    record = make_record("r1", "x" * 1_000, bytes(16))
    assert text_of(PostRecords(1, [record])) == "PostRecords ['r1']"
    assert text_of(Log("warning", "peer dropped", {"rule": Rule.SEAL_HOLDS, "why": "it does not"})) == (
        "Log warning peer dropped: seal-holds it does not"
    )
