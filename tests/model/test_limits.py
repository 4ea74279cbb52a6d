"""Limits that only work together: each relation is what a reason in `model.limits` promises."""

from __future__ import annotations

from dataclasses import fields

from tallystick.model.limits import LIMITS
from tallystick.wire import classic

WEBSOCKETS_DEFAULT_BYTES = 2**20
"""What the book's node takes, at most."""

LONGEST_ESCAPE = len("\\u0041")


MAY_BE_NOTHING = {"first_ping_ms"}
"""Waits, and no amounts."""


def test_every_limit_allows_something() -> None:
    assert all(getattr(LIMITS, field.name) > 0 for field in fields(LIMITS) if field.name not in MAY_BE_NOTHING)


def test_every_post_reaches_every_node_of_the_book() -> None:
    assert LIMITS.classic_post_bytes < WEBSOCKETS_DEFAULT_BYTES
    assert LIMITS.classic_post_bytes < LIMITS.message_bytes


def test_a_post_too_long_is_told_so_however_it_is_written() -> None:
    """Its body fits, even with every character escaped, so that it is judged as a post and not as a body."""
    assert LIMITS.classic_post_bytes * LONGEST_ESCAPE < LIMITS.request_body_bytes


def test_a_whole_message_fits_where_it_must() -> None:
    assert LIMITS.large_message_bytes < LIMITS.message_bytes < LIMITS.outbox_drop_bytes
    assert LIMITS.outbox_pause_bytes + LIMITS.message_bytes <= LIMITS.outbox_drop_bytes
    assert LIMITS.message_bytes <= LIMITS.chain_bytes_per_minute
    assert LIMITS.message_bytes <= LIMITS.received_bytes_per_minute
    assert LIMITS.message_bytes < LIMITS.import_line_bytes
    assert LIMITS.message_bytes < LIMITS.side_bytes


def test_two_nodes_with_full_outboxes_still_read() -> None:
    assert LIMITS.inbox_bytes >= 2 * LIMITS.outbox_pause_bytes


def test_a_deep_switch_fits_a_minute() -> None:
    """An honest peer that ends a long partition with one whole chain is not held back for it: both branches
    moved, of as many of the shortest blocks as fit a message."""
    shortest = len(classic.response([])) + 200
    blocks = LIMITS.message_bytes // shortest
    assert LIMITS.message_bytes + 2 * blocks * LIMITS.effort_bytes <= LIMITS.received_bytes_per_minute


def test_waits_double_upwards() -> None:
    assert LIMITS.redial_first_ms < LIMITS.redial_max_ms
    assert LIMITS.remine_jitter_ms < LIMITS.remine_jitter_max_ms < LIMITS.remine_calm_ms
    assert LIMITS.ping_every_ms < LIMITS.pong_within_ms
    assert LIMITS.stall_ms < LIMITS.ping_every_ms
