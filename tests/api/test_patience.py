"""Deadlines on a virtual clock."""

from __future__ import annotations

from tallystick.api.patience import Doing, Patience, Verdict
from tallystick.model.limits import Limits

LIMITS = Limits(
    handshake_ms=10_000, request_ms=30_000, keep_alive_ms=60_000, outbox_stall_ms=20_000, answer_stall_bytes=1_000
)


def looks(*steps: tuple[float, Doing, int, int]) -> list[Verdict]:
    patience = Patience(LIMITS, 0.0)
    return [patience.look(doing, request, waiting, now_s) for now_s, doing, request, waiting in steps]


def test_a_connection_that_says_nothing_is_ended() -> None:
    """Catalogue row 31: TCP open, no HTTP."""
    seen = looks((1, Doing.SENDING_HEAD, 0, 0), (9.9, Doing.SENDING_HEAD, 0, 0), (10, Doing.SENDING_HEAD, 0, 0))
    assert seen == [Verdict.FINE, Verdict.FINE, Verdict.TELL]


def test_a_second_request_has_the_same_time_for_its_head() -> None:
    head, rest = Doing.SENDING_HEAD, Doing.RESTING
    steps = [(1, rest, 1, 0), (50, rest, 1, 0), (51, head, 1, 0), (60.9, head, 1, 0), (61, head, 1, 0)]
    assert looks(*steps)[-2:] == [Verdict.FINE, Verdict.TELL]


def test_the_time_for_a_body_counts_from_the_head() -> None:
    """Catalogue row 118: slow body."""
    head, body = Doing.SENDING_HEAD, Doing.SENDING_BODY
    steps = [(9, head, 0, 0), (9.5, body, 0, 0), (29, body, 0, 0), (30, body, 0, 0)]
    assert looks(*steps)[-2:] == [Verdict.FINE, Verdict.TELL]


def test_many_requests_seen_in_the_same_place_are_not_one_slow_one() -> None:
    assert set(looks(*[(n, Doing.SENDING_HEAD, n, 0) for n in range(100)])) == {Verdict.FINE}


def test_a_resting_connection_is_closed_in_the_end() -> None:
    rest = Doing.RESTING
    assert looks((5, rest, 1, 0), (64.9, rest, 1, 0), (65, rest, 1, 0))[1:] == [Verdict.FINE, Verdict.CLOSE]


def test_nobody_is_hurried_while_we_work() -> None:
    assert set(looks(*[(n, Doing.WAITING, 0, 0) for n in range(500)])) == {Verdict.FINE}


def test_a_client_that_does_not_read_is_cut_off() -> None:
    taking = Doing.TAKING_ANSWER
    steps = [(0, taking, 0, 9_000), (10, taking, 0, 9_000), (19.9, taking, 0, 8_500), (20, taking, 0, 8_500)]
    assert looks(*steps) == [Verdict.FINE, Verdict.FINE, Verdict.FINE, Verdict.ABORT]


def test_a_client_that_reads_slowly_but_surely_is_served() -> None:
    taking = Doing.TAKING_ANSWER
    assert set(looks(*[(n * 10, taking, 0, 100_000 - n * 500) for n in range(100)])) == {Verdict.FINE}


def test_a_refilled_outbox_counts_as_taken() -> None:
    taking = Doing.TAKING_ANSWER
    assert set(looks(*[(n * 15, taking, 0, 4_000 + n) for n in range(20)])) == {Verdict.FINE}
