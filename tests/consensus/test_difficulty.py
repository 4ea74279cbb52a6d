"""Difficulty: published vectors first, then the laws that the vectors are samples of."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tallystick.consensus.difficulty import MEDIAN_SPAN, asert, compact, expand, hash_fits, median, work

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "asert-bchn.json").read_text(encoding="utf-8"))
SPACING: int = VECTORS["spacing_s"]
HALF_LIFE: int = VECTORS["half_life_s"]
LIMIT: int = VECTORS["limit_bits"]

EASIEST_TARGET = (1 << 256) - 1
targets = st.integers(0, 255).flatmap(lambda length: st.integers(1 << length, (2 << length) - 1))
canonical_bits = targets.map(compact)


class Row(NamedTuple):
    anchor_bits: int
    time_delta: int
    height_delta: int
    expected_bits: int

    def bits(self, time_delta: int | None = None, half_life: int = HALF_LIFE, limit_bits: int = LIMIT) -> int:
        return asert(
            self.anchor_bits,
            time_delta=self.time_delta if time_delta is None else time_delta,
            height_delta=self.height_delta,
            spacing=SPACING,
            half_life=half_life,
            limit_bits=limit_bits,
        )


def rows() -> Iterator[Row]:
    for run in VECTORS["runs"]:
        for height, time_s, expected in run["rows"]:
            delta_s, blocks = time_s - run["anchor_parent_time"], height - run["anchor_height"]
            yield Row(run["anchor_bits"], delta_s, blocks, expected)


def bits_after(time_delta: int, anchor_bits: int = LIMIT, limit_bits: int = LIMIT) -> int:
    """Bits so long after the schedule."""
    return Row(anchor_bits, 0, 0, 0).bits(time_delta + SPACING, limit_bits=limit_bits)


# --- the compact form -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bits", "target"),
    [
        (0x1D00FFFF, 0xFFFF << 208),
        (0x1B0404CB, 0x0404CB << 192),
        (0x05009234, 0x92340000),
        (0x04123456, 0x12345600),
        (0x03123456, 0x123456),
        (0x02123400, 0x1234),
        (0x01120000, 0x12),
        (0x02008000, 0x80),
        (0x207FFFFF, 0x7FFFFF << 232),
        (0x2100FFFF, 0xFFFF << 240),
    ],
)
def test_bits_and_targets_are_bitcoin_s(bits: int, target: int) -> None:
    assert expand(bits) == target
    assert compact(target) == bits


@pytest.mark.parametrize(
    ("bits", "why"),
    [
        (0, "no size and positive"),
        (0x04000000, "no size and positive"),
        (0x04923456, "no size and positive"),
        (0x01FEDCBA, "no size and positive"),
        (-1, "no size and positive"),
        (1 << 32, "no size and positive"),
        (0x1D00FFFF | 1 << 32, "no size and positive"),
        (0xFF123456, "more than 256 bits"),
        (0x217FFFFF, "more than 256 bits"),
        (0x22000100, "more than 256 bits"),
        (0x01003456, "shortest"),
        (0x01123456, "shortest"),
        (0x02123456, "shortest"),
        (0x1E0000FF, "shortest"),
        (0x22000001, "shortest"),
        (0x04001234, "shortest"),
    ],
)
def test_bits_that_stand_for_no_target_or_not_for_it_alone_are_refused(bits: int, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        expand(bits)
    with pytest.raises(ValueError, match=why):
        work(bits)


@pytest.mark.parametrize("target", [0, -1, 1 << 256])
def test_what_is_no_target_has_no_bits(target: int) -> None:
    with pytest.raises(ValueError, match="a number from 1"):
        compact(target)


@given(st.integers(0, (1 << 32) - 1) | canonical_bits)
def test_a_target_has_one_encoding(bits: int) -> None:
    try:
        target = expand(bits)
    except ValueError:
        return
    assert compact(target) == bits


@given(targets)
def test_the_compact_form_rounds_down_within_one_part_in_32768(target: int) -> None:
    rounded = expand(compact(target))
    assert rounded <= target
    assert (target - rounded) << 15 < target


@given(targets, targets)
def test_bits_are_ordered_as_targets_are(one: int, other: int) -> None:
    assert (compact(one) <= compact(other)) or one > other


# --- work -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bits", "hashes"), [(0x1D00FFFF, 4_295_032_833), (0x207FFFFF, 2), (0x2100FFFF, 1), (0x01010000, 1 << 255)]
)
def test_work_is_the_published_one(bits: int, hashes: int) -> None:
    assert work(bits) == hashes


@given(canonical_bits, st.integers(-1, 1))
def test_a_hash_fits_up_to_the_target_itself(bits: int, beside: int) -> None:
    number = expand(bits) + beside
    assume(number <= EASIEST_TARGET)
    assert hash_fits(number.to_bytes(32, "big"), bits) is (beside <= 0)


# --- the schedule -----------------------------------------------------------------------------------


def test_all_published_vectors_hold() -> None:
    wrong = [row for row in rows() if row.bits() != row.expected_bits]
    assert (len(list(rows())), wrong) == (912, [])


def test_the_vectors_hold_in_milliseconds_too() -> None:
    for row in rows():
        assert row.expected_bits == asert(
            row.anchor_bits,
            time_delta=row.time_delta * 1000,
            height_delta=row.height_delta,
            spacing=SPACING * 1000,
            half_life=HALF_LIFE * 1000,
            limit_bits=LIMIT,
        )


def naive(row: Row, *, truncates: bool) -> int:
    """The specification, transcribed from its Python pseudocode, with either way to divide."""
    numerator = (row.time_delta - SPACING * (row.height_delta + 1)) * 65536
    exponent = numerator // HALF_LIFE
    if truncates and numerator < 0 and numerator % HALF_LIFE:
        exponent += 1
    shifts = exponent >> 16
    exponent -= shifts * 65536
    factor = ((195766423245049 * exponent + 971821376 * exponent**2 + 5127 * exponent**3 + 2**47) >> 48) + 65536
    target = expand(row.anchor_bits) * factor
    target = target >> -shifts if shifts < 0 else target << shifts
    return compact(min(max(target >> 16, 1), expand(LIMIT)))


def test_the_vectors_tell_truncation_from_rounding_down() -> None:
    """Python's `//` rounds down, C++ rounds towards zero: where a chain is ahead of its schedule they differ."""
    assert [row for row in rows() if naive(row, truncates=True) != row.expected_bits] == []
    assert [row for row in rows() if naive(row, truncates=False) != row.expected_bits] != []


@given(canonical_bits, st.integers(-(2**40), 2**40), st.integers(0, 2**20))
def test_the_schedule_is_its_naive_twin(anchor_bits: int, time_delta: int, height_delta: int) -> None:
    time_delta = max(-200 * HALF_LIFE, min(200 * HALF_LIFE, time_delta)) + height_delta * SPACING
    row = Row(anchor_bits, time_delta, height_delta, 0)
    assert row.bits() == naive(row, truncates=True)


def test_on_schedule_the_bits_stay_those_of_the_anchor() -> None:
    assert {Row(0x1B0404CB, SPACING * (n + 1), n, 0).bits() for n in range(1000)} == {0x1B0404CB}


deltas = st.integers(-60 * HALF_LIFE, 60 * HALF_LIFE)


@given(canonical_bits, deltas, st.integers(0, 2 * HALF_LIFE))
def test_a_later_block_is_never_followed_by_a_harder_one(anchor_bits: int, delta: int, more: int) -> None:
    easier = bits_after(delta + more, anchor_bits, 0x2100FFFF)
    assert expand(bits_after(delta, anchor_bits, 0x2100FFFF)) <= expand(easier)


def test_no_step_of_the_approximation_goes_back() -> None:
    half_life = 1 << 16
    row = Row(compact(1 << 200), 0, 0, 0)
    series = [expand(row.bits(SPACING + step, half_life)) for step in range(-half_life, half_life + 1)]
    assert series == sorted(series)
    assert [series[0], series[half_life], series[-1]] == [1 << 199, 1 << 200, 1 << 201]


@given(st.integers(60, 190).map(lambda exponent: compact(3 << exponent)), deltas.map(lambda delta: delta // 2))
def test_a_half_life_doubles_the_target(anchor_bits: int, delta: int) -> None:
    """As far as the compact form can tell."""
    target = expand(bits_after(delta, anchor_bits, 0x2100FFFF))
    doubled = expand(bits_after(delta + HALF_LIFE, anchor_bits, 0x2100FFFF))
    assert abs(doubled - 2 * target) << 14 <= 2 * target


@given(
    canonical_bits, canonical_bits, st.integers(-(1 << 64), 1 << 64), st.integers(0, 1 << 64), st.integers(1, 1 << 40)
)
def test_whatever_clocks_claim_the_target_is_within_its_limits(
    anchor_bits: int, limit_bits: int, time_delta: int, height_delta: int, half_life: int
) -> None:
    bits = asert(
        anchor_bits,
        time_delta=time_delta,
        height_delta=height_delta,
        spacing=SPACING,
        half_life=half_life,
        limit_bits=limit_bits,
    )
    assert 1 <= expand(bits) <= expand(limit_bits)


def test_huge_exponents_cost_nothing() -> None:
    """A shift by what these ask for would take more memory than there is."""
    for limit in (LIMIT, 0x2100FFFF):
        assert bits_after(1 << 200, 0x01010000, limit) == limit
        assert bits_after(-(1 << 200), limit, limit) == compact(1)


# --- the median -------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 1 << 63), min_size=1, max_size=40))
def test_the_median_is_of_the_last_eleven(timestamps: list[int]) -> None:
    assert MEDIAN_SPAN == 11
    assert median(timestamps) == statistics.median_high(timestamps[-11:])
    assert median(tuple(timestamps)) == median(timestamps[-11:])


def test_there_is_no_median_of_nothing() -> None:
    with pytest.raises(ValueError, match="no timestamps"):
        median([])
