"""The tree of RFC 6962 and RFC 9162 as the RFCs define it, without a thought of speed: the twin of `model.log`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import sha256

from tallystick.model.log import Node


def entry(number: int) -> bytes:
    return b"entry %d" % number


def mth(entries: Sequence[bytes]) -> bytes:
    """MTH(D[n]), RFC 9162, section 2.1.1."""
    return _mth(tuple(entries))


@cache
def _mth(entries: tuple[bytes, ...]) -> bytes:
    if not entries:
        return sha256(b"").digest()
    if len(entries) == 1:
        return sha256(b"\x00" + entries[0]).digest()
    k = split(len(entries))
    return sha256(b"\x01" + _mth(entries[:k]) + _mth(entries[k:])).digest()


def split(n: int) -> int:
    """k, the largest power of two smaller than n."""
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def path(m: int, entries: Sequence[bytes]) -> list[bytes]:
    """PATH(m, D[n]), RFC 9162, section 2.1.3.1."""
    if len(entries) == 1:
        return []
    k = split(len(entries))
    if m < k:
        return [*path(m, entries[:k]), mth(entries[k:])]
    return [*path(m - k, entries[k:]), mth(entries[:k])]


def proof(m: int, entries: Sequence[bytes]) -> list[bytes]:
    """PROOF(m, D[n]), RFC 9162, section 2.1.4.1."""
    return subproof(m, entries, whole=True)


def subproof(m: int, entries: Sequence[bytes], *, whole: bool) -> list[bytes]:
    """SUBPROOF(m, D[n], b), likewise."""
    if m == len(entries):
        return [] if whole else [mth(entries)]
    k = split(len(entries))
    if m <= k:
        return [*subproof(m, entries[:k], whole=whole), mth(entries[k:])]
    return [*subproof(m - k, entries[k:], whole=False), mth(entries[:k])]


class Reading:
    """`ReadHashes` of these entries, and of no other."""

    def __init__(self, entries: Sequence[bytes]) -> None:
        self.entries = entries
        self.asked: list[Sequence[Node]] = []

    def __call__(self, nodes: Sequence[Node]) -> list[bytes]:
        self.asked.append(nodes)
        ranges = [(node.index << node.level, (node.index + 1) << node.level) for node in nodes]
        assert all(0 <= first < end <= len(self.entries) for first, end in ranges)
        return [mth(self.entries[first:end]) for first, end in ranges]
