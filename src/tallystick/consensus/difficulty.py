"""Difficulty: how hard a block of a work network must be to find, and what finding it proves.

A *target* is a number below 2^256. A hash fits when, read as a big-endian number, it does not exceed the target, so
the chance of one hash is (target + 1) / 2^256. A header holds the target in the 32 *bits* of Bitcoin's compact form,
`arith_uint256::SetCompact`: a size in bytes, then the three leading bytes of the target. Many encodings could mean one
target there; here each target has one, the one that `compact` writes.

The target follows ASERT, the aserti3-2d of Bitcoin Cash (specification 2020-11-15-asert): it depends on nothing but how
far the chain is ahead of or behind an absolute schedule that begins at an anchor block. With each `half_life` behind it
the target doubles, with each one ahead of it the target halves:

    target = anchor_target * 2 ** ((time_delta - spacing * (height_delta + 1)) / half_life)

All of it is integer arithmetic, since two nodes that round differently follow different chains. 2 ** x is a cubic
approximation for the fractional part of x (off by less than 0.013 %) and a shift for the whole part. Times may be
seconds or milliseconds, as long as all of them are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

MEDIAN_SPAN: Final = 11
"""How many blocks vote on what time it is (Bitcoin Core, `nMedianTimeSpan`)."""

HASH_BITS: Final = 256

_MANTISSA_BYTES: Final = 3
_SIGN: Final = 0x800000
"""The compact form could express negative numbers. A mantissa that would set this bit is written a byte longer."""

_ONE: Final = 1 << 16
"""1.0 as a fixed-point number of aserti3-2d, whose exponents and factors have 16 fractional bits."""

_SHIFT_MAX: Final = HASH_BITS
"""A factor is at least `_ONE`, so that any target shifted left by so much is above all limits."""

_SHIFT_MIN: Final = -(HASH_BITS + 17)
"""A factor has at most 17 bits, so that any target shifted right by so much is zero."""


def expand(bits: int) -> int:
    """The target that `bits` stands for. Raises ValueError for what `compact` would never write."""
    size, mantissa = bits >> 24, bits & 0xFFFFFF
    if not 0 <= bits < 1 << 32 or mantissa & _SIGN or not mantissa:
        raise ValueError(f"bits {bits:08x} are no size and positive mantissa in 32 bits")
    if size + (mantissa.bit_length() + 7) // 8 - _MANTISSA_BYTES > HASH_BITS // 8:
        raise ValueError(f"bits {bits:08x} stand for more than {HASH_BITS} bits")
    target = _shifted(mantissa, 8 * (size - _MANTISSA_BYTES))
    if target == 0 or compact(target) != bits:
        raise ValueError(f"bits {bits:08x} are not the shortest way to write {target:x}")
    return target


def compact(target: int) -> int:
    """The bits for `target`, which keep its leading 16 to 23 binary digits and round the others down.

    Raises ValueError when the target is not within 1 to 2^256 - 1.
    """
    if not 0 < target < 1 << HASH_BITS:
        raise ValueError("a target is a number from 1 to 2^256 - 1")
    size = (target.bit_length() + 7) // 8
    mantissa = _shifted(target, -8 * (size - _MANTISSA_BYTES))
    if mantissa & _SIGN:
        size, mantissa = size + 1, mantissa >> 8
    return size << 24 | mantissa


def work(bits: int) -> int:
    """How many hashes it takes on average to find a block of these bits (Bitcoin Core, `GetBlockProof`)."""
    return (1 << HASH_BITS) // (expand(bits) + 1)


def hash_fits(hash: bytes, bits: int) -> bool:
    """Is this hash of 32 bytes, as a big-endian number, within the target?"""
    return int.from_bytes(hash, "big") <= expand(bits)


def asert(
    anchor_bits: int, *, time_delta: int, height_delta: int, spacing: int, half_life: int, limit_bits: int
) -> int:
    """The bits of the block after the one that is `height_delta` blocks and `time_delta` from the anchor.

    `time_delta` counts from the time of the anchor's parent, which is why the schedule has one `spacing` more than
    there are blocks. The result is within target 1 and the target of `limit_bits`, whatever a clock claims.
    Raises ValueError for bits that stand for no target.
    """
    late = (time_delta - spacing * (height_delta + 1)) * _ONE
    exponent = late // half_life if late >= 0 else -(-late // half_life)  # towards zero, as C++ does
    whole, fraction = exponent >> 16, exponent & 0xFFFF  # downwards, so that the fraction is never negative
    shift = min(max(whole - 16, _SHIFT_MIN), _SHIFT_MAX)  # bounded before it is used: it may come from a liar's clock
    target = _shifted(expand(anchor_bits) * _power_of_two(fraction), shift)
    return compact(min(max(target, 1), expand(limit_bits)))


def _power_of_two(fraction: int) -> int:
    """2 ** (fraction / 65536), times 65536: the polynomial that aserti3-2d is named after."""
    cubic = 195_766_423_245_049 * fraction + 971_821_376 * fraction**2 + 5_127 * fraction**3
    return _ONE + ((cubic + (1 << 47)) >> 48)


def _shifted(number: int, left: int) -> int:
    """Shifted to the left, or to the right by minus as much."""
    return number << left if left >= 0 else number >> -left


def median(timestamps: Sequence[int]) -> int:
    """The middle one of the last `MEDIAN_SPAN` timestamps, which a block's own has to exceed.

    Given an even number of them, as near genesis, the later of the two in the middle (Bitcoin Core,
    `GetMedianTimePast`). Raises ValueError when there is none.
    """
    if not timestamps:
        raise ValueError("there is no median of no timestamps")
    latest = sorted(timestamps[-MEDIAN_SPAN:])
    return latest[len(latest) // 2]
