"""Choices made by bytes: how a target reads its input whose world is no text.

Every choice takes few bytes, from the front, and an input that ends early goes on with zeros. So any bytes are
choices, a byte changed is one choice changed, and a byte taken out shifts the choices behind it: what a fuzzer does
to bytes, it does to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

T = TypeVar("T")

EDGES: Final = tuple(
    sorted({sign * (1 << bits) + change for bits in (0, 5, 7, 8, 16, 31, 32, 53, 63, 64) for sign in (1, -1)
            for change in (-1, 0, 1)})
)  # fmt: skip
"""Numbers at which something changes: how many bytes they take, what a reader can hold."""


class Draw:
    """Reads choices off some bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        """Is anything left?"""
        return self._at < len(self._data)

    def take(self, count: int) -> bytes:
        """So many bytes; fewer where the input ends."""
        taken = self._data[self._at : self._at + count]
        self._at += len(taken)
        return taken

    def byte(self) -> int:
        """0 to 255."""
        return int.from_bytes(self.take(1))

    def upto(self, most: int) -> int:
        """0 to `most`."""
        size = (most.bit_length() + 7) // 8
        return int.from_bytes(self.take(size)) % (most + 1)

    def chance(self, one_in: int = 2) -> bool:
        """True once in so many."""
        return self.upto(one_in - 1) == one_in - 1

    def pick(self, among: Sequence[T]) -> T:
        """One of these, of which there is one at least."""
        return among[self.upto(len(among) - 1)]

    def integer(self) -> int:
        """A small number, as a rule; one of `EDGES`, or any of eight bytes."""
        first = self.byte()
        if first < 128:
            return first
        if first < 250:
            return EDGES[first % len(EDGES)]
        return int.from_bytes(self.take(8), signed=bool(first & 1))

    def blob(self, most: int = 255) -> bytes:
        """Some bytes, which say themselves how many they are."""
        return self.take(self.upto(most))

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(len(self._data))
