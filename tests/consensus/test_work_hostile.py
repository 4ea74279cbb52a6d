"""Bytes that nobody honest sends: a block changed anywhere, or made up, breaks a rule, and costs little."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Final

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tallystick.consensus.work import SEAL_BYTES, WorkEngine
from tallystick.errors import Rule, RuleViolation
from tallystick.model.block import header_of
from tallystick.model.record import with_data, without_data
from tallystick.model.sealed import FIXED_BYTES
from tests.chain.sealed_drawing import SPACING_MS, network
from tests.consensus.forging import (
    ENGINE,
    LATER_MS,
    PARENT,
    PAST,
    forged,
    grown,
    rules_with,
    through_all_stages,
    whole,
)
from tests.storage.sealed_blocks import record

HEADER_BYTES: Final = FIXED_BYTES + SEAL_BYTES
SENT = whole(forged())

HARD = WorkEngine(network(rules_with(bits=0x1F00FFFF, half_life_ms=1 << 50)))
"""So hard that no change of a block happens to seal another one."""

HARD_CHAIN = grown(
    HARD,
    ([record("h0"), record("h1", "\x7f\u1234 text")], SPACING_MS),
    ([without_data(record("h2")), record("h3")], SPACING_MS),
)
HARD_BLOCKS = {block.hash: block for block in HARD_CHAIN}
HARD_SENT = HARD.whole(HARD_CHAIN[-1])


def refused(sent: bytes) -> bool:
    """Or the same block. Raises whatever else is raised."""
    try:
        assert through_all_stages(sent, HARD_CHAIN[-2], HARD, HARD_BLOCKS) == HARD_CHAIN[-1]
    except RuleViolation:
        return True
    return False


def test_no_byte_of_a_block_can_be_changed() -> None:
    assert not refused(HARD_SENT)
    for at, byte in enumerate(HARD_SENT):
        for changed in {byte ^ 1, byte ^ 0x20, byte ^ 0x80, byte ^ 0xFF, 0xC0, 0xC1}:
            if changed != byte:
                assert refused(HARD_SENT[:at] + bytes([changed]) + HARD_SENT[at + 1 :]), (at, changed)


@given(st.integers(0, len(HARD_SENT)), st.integers(0, 12), st.binary(max_size=12))
def test_no_part_of_a_block_can_be_replaced(at: int, removed: int, added: bytes) -> None:
    changed = HARD_SENT[:at] + added + HARD_SENT[at + removed :]
    assert refused(changed) is (changed != HARD_SENT)


BODIES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=20,
).map(msgspec.msgpack.encode)
MADE_UP = (
    st.binary(max_size=400)
    | (st.binary(max_size=200) | BODIES).map(lambda body: SENT[:HEADER_BYTES] + body)
    | (st.binary(min_size=HEADER_BYTES - 4, max_size=300) | BODIES).map(lambda rest: b"TSB1" + rest)
)


@given(MADE_UP)
@example(SENT[:HEADER_BYTES] + b"\x91" * 100_000)
@example(SENT[:HEADER_BYTES] + b"\xdf\xff\xff\xff\xff")
@example(SENT[:HEADER_BYTES] + b"\x91\x93\xc6\xff\xff\xff\xff")
@example(whole(forged(records=[with_data("deep", b"[" * 150 + b"]" * 150, bytes(16))])))
@example(whole(forged(records=[with_data("text", b'"\xed\xa0\x80"', bytes(16))])))
@example(whole(forged(records=[with_data("digits", b"9" * 300, bytes(16))])))
@example(whole(forged(records=[with_data("exponent", b"1e400", bytes(16))])))
def test_whatever_bytes_come_a_rule_is_broken_or_none(made_up: bytes) -> None:
    """Catalogue row 43: never another exception."""
    outcomes = [
        broken_by(lambda: ENGINE.check_alone(ENGINE.read(made_up))),
        broken_by(lambda: ENGINE.check_run(PARENT.index, PARENT.hash, [made_up])),
        broken_by(lambda: ENGINE.survey([made_up], header_of(PARENT), PAST, LATER_MS)),
    ]
    assert outcomes[2] is not None or len(made_up) == HEADER_BYTES


def broken_by(check: Callable[[], object]) -> Rule | None:
    try:
        check()
    except RuleViolation as broken:
        assert len(broken.detail) < 500
        return broken.rule
    return None


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        (b"\xdd\x00\x0c\x35\x00" + b"\x93\xc4\x00\xc0\xc0" * 800_000, Rule.BLOCK_WITHIN_SIZE),
        (b"\x96" + b"\x93\xc4\x00\xc0\xc0" * 800_000, Rule.MESSAGE_IS_DECODABLE),
        (b"\x91" * 4_000_000, Rule.MESSAGE_IS_DECODABLE),
    ],
    ids=["empty records", "more than announced", "nesting"],
)
def test_a_body_takes_no_more_memory_than_it_came_in(body: bytes, rule: Rule) -> None:
    """A record of five bytes would take ten times as much once it is read."""
    sent = SENT[:HEADER_BYTES] + body
    tracemalloc.start()
    assert broken_by(lambda: ENGINE.read(sent)) is rule
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * len(sent)
