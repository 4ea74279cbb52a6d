r"""The log: an append-only Merkle tree over entries (RFC 6962, section 2.1; RFC 9162, section 2.1).

Entries stand in a row, the eldest first. Each is hashed, and hashes are hashed in pairs, level by level, up to one
root that commits to all entries and to their order:

    leaf = SHA-256( 00 || entry )    node = SHA-256( 01 || left || right )    root of no entries = SHA-256( "" )

The first byte keeps leaf and node apart: no entry can pass for a node. A tree of n > 1 leaves has in its left half
the greatest power of two below n, and the rest in its right half. This one is of seven:

               root
             /      \
        (2,0)        \           Left halves are *perfect* subtrees: full, and never to change again, however long
       /     \        \          the log becomes. A `Node` names one by its level and its place on that level.
    (1,0)   (1,1)     /\
     / \     / \     /  \        The greatest perfect subtrees of a log are its *edge*; here (2,0), (1,2) and (0,6).
    0   1   2   3 (1,2)  6       An edge is all that is needed to append, and its hashes, combined from the right, are
                   / \           the root.
                  4   5

What a root commits to can be shown with few hashes; for a log of a million entries, with twenty:

* an *inclusion* path leads from an entry to the root: whatever stands beside the way up. For entry 5: 4, 6, (2,0);
* a *consistency* path gives two roots from the same hashes, that of the log as it once was and that of the log as it
  is. So no old entry was changed, moved or taken out. From 6 entries to 7: (1,2), 6, (2,0).

Each comes as a pair of functions. `prove_...` first finds out which perfect subtrees it needs, asks for all of them at
once, and combines those of an imperfect one. `check_...` needs nothing but the path, and believes nothing of it. Where
hashes come from is for a `ReadHashes` to say (`model.tiles`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from tallystick.errors import TallystickError

HASH_BYTES: Final = 32

EMPTY_ROOT: Final = sha256(b"").digest()
Edge = tuple[bytes, ...]
EMPTY_EDGE: Final[Edge] = ()


class ProofError(TallystickError):
    """A proof does not hold."""


class Node(NamedTuple):
    """The perfect subtree of 2**level leaves that starts at leaf index * 2**level."""

    level: int
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody misses


ReadHashes = Callable[[Sequence[Node]], Sequence[bytes]]
"""Hashes of perfect subtrees of a log, in the order they were asked for."""


# --- hashing ---------------------------------------------------------------------------------------


def leaf_hash(entry: bytes) -> bytes:
    """SHA-256(00 || entry)."""
    return sha256(b"\x00" + entry).digest()


def leaf_hashes(entries: Iterable[bytes]) -> list[bytes]:
    """`leaf_hash` of each, without a call for each."""
    return [sha256(b"\x00" + entry).digest() for entry in entries]


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(01 || left || right)."""
    return sha256(b"\x01" + left + right).digest()


def parents(hashes: Iterable[bytes]) -> list[bytes]:
    """The next level: `node_hash` of each pair of neighbours. A last hash without a neighbour has no parent yet."""
    nodes = iter(hashes)
    return [sha256(b"\x01" + left + right).digest() for left, right in zip(nodes, nodes, strict=False)]


class Growth(NamedTuple):
    """What becomes of a log when leaves are appended to it."""

    edge: Edge
    rows: Sequence[Sequence[bytes]]
    """The nodes that are new, level by level, from the leaves up; for whoever keeps the tree (`model.tiles`)."""


def grow(edge: Edge, size: int, leaves: Sequence[bytes]) -> Growth:
    """What becomes of a log of `size` entries with this edge when `leaves` are appended."""
    above = list(edge)
    below: list[bytes] = []
    rows: list[Sequence[bytes]] = []
    row: Sequence[bytes] = leaves
    while row:
        rows.append(row)
        if size & 1:  # the last old node of the level waited for a neighbour
            row = [above.pop(), *row]
        if len(row) & 1:
            below.append(row[-1])
        row = parents(row)
        size >>= 1
    return Growth((*above, *reversed(below)), rows)


def extend(edge: Edge, size: int, leaves: Sequence[bytes]) -> Edge:
    """The edge of a log of `size` entries after `leaves` were appended."""
    return grow(edge, size, leaves).edge


def root_of(edge: Sequence[bytes]) -> bytes:
    """The root of the tree with this edge."""
    if not edge:
        return EMPTY_ROOT
    hash = edge[-1]
    for left in edge[-2::-1]:
        hash = node_hash(left, hash)
    return hash


# --- inclusion -------------------------------------------------------------------------------------


def prove_inclusion(position: int, size: int, read: ReadHashes) -> list[bytes]:
    """What leads from the entry at `position` to the root of the first `size` entries (RFC 9162, section 2.1.3.1).

    Raises ValueError when there is no such entry.
    """
    if not 0 <= position < size:
        raise ValueError(f"no entry {position} in a log of {size}")
    beside = []
    first, end = 0, size
    while end - first > 1:
        middle = first + _left_half(end - first)
        if position < middle:
            beside.append((middle, end))
            end = middle
        else:
            beside.append((first, middle))
            first = middle
    return _hashes(beside[::-1], read)


def check_inclusion(leaf: bytes, position: int, size: int, root: bytes, path: Sequence[bytes]) -> None:
    """Does the path lead from this leaf hash, at `position`, to the root of `size` entries? Raises ProofError.

    RFC 9162, section 2.1.3.2; `node` and `last` are fn and sn there.
    """
    if not 0 <= position < size:
        raise ProofError(f"the log has {size} entries, so none stands at position {position}")
    node, last = position, size - 1
    hash = leaf
    for beside in path:
        _check_hash(beside)
        if last == 0:
            raise ProofError(f"the path is longer than a log of {size} entries is high")
        if node & 1 or node == last:
            hash = node_hash(beside, hash)
            node, last = _past_lone(node, last)
        else:
            hash = node_hash(hash, beside)
        node, last = node >> 1, last >> 1
    if last:
        raise ProofError(f"the path is too short: it does not reach the root of {size} entries")
    if hash != root:
        raise ProofError(f"the path leads to the root {hash.hex()}, not to {root.hex()}")


# --- consistency -----------------------------------------------------------------------------------


def prove_consistency(old: int, new: int, read: ReadHashes) -> list[bytes]:
    """What shows that the log of `old` entries is the beginning of the log of `new` (RFC 9162, section 2.1.4.1).

    Raises ValueError when it is not the shorter one.
    """
    if not 0 <= old <= new:
        raise ValueError(f"a log of {old} entries is no beginning of one of {new}")
    if old in {0, new}:
        return []
    parts = []
    first, end = 0, new
    while end != old:
        middle = first + _left_half(end - first)
        if old <= middle:
            parts.append((middle, end))
            end = middle
        else:
            parts.append((first, middle))
            first = middle
    if first:  # else the old log is this very subtree, and its root is known to whoever checks
        parts.append((first, end))
    return _hashes(parts[::-1], read)


def check_consistency(old_size: int, old_root: bytes, new_size: int, new_root: bytes, path: Sequence[bytes]) -> None:
    """Is the log of `old_size` entries the beginning of the log of `new_size`? Raises ProofError.

    RFC 9162, section 2.1.4.2; `node` and `last` are fn and sn there. The RFC has no path from the empty log, for it is
    the beginning of any: here it is empty, as is that from a log to itself.
    """
    if not 0 <= old_size <= new_size:
        raise ProofError(f"a log of {old_size} entries is no beginning of one of {new_size}")
    if old_size in {0, new_size}:
        _check_same(old_size, old_root, new_root if old_size == new_size else EMPTY_ROOT, path)
        return
    is_perfect = old_size & (old_size - 1) == 0
    rest = iter([old_root, *path] if is_perfect else path)
    node, last = _past_right(old_size - 1, new_size - 1)
    old = new = next(rest, b"")
    _check_hash(old)
    for beside in rest:
        _check_hash(beside)
        if last == 0:
            raise ProofError(f"the path is longer than a log of {new_size} entries is high")
        if node & 1 or node == last:
            old, new = node_hash(beside, old), node_hash(beside, new)
            node, last = _past_lone(node, last)
        else:
            new = node_hash(new, beside)
        node, last = node >> 1, last >> 1
    if last:
        raise ProofError(f"the path is too short: it does not reach the root of {new_size} entries")
    for size, found, expected in ((old_size, old, old_root), (new_size, new, new_root)):
        if found != expected:
            raise ProofError(f"the path leads to the root {found.hex()} of {size} entries, not to {expected.hex()}")


def _check_same(size: int, root: bytes, expected: bytes, path: Sequence[bytes]) -> None:
    if path:
        raise ProofError(f"from {size} entries a path of none is expected, not of {len(path)}")
    if root != expected:
        raise ProofError(f"the root of {size} entries is {expected.hex()}, not {root.hex()}")


# --- parts -----------------------------------------------------------------------------------------


def _left_half(size: int) -> int:
    """The greatest power of two below `size`, which is above 1: how many leaves are in the left half."""
    return 1 << (size - 1).bit_length() - 1


def _hashes(ranges: Sequence[tuple[int, int]], read: ReadHashes) -> list[bytes]:
    """The roots over ranges of leaves, each a subtree of the log."""
    edges = [_edge_nodes(first, end) for first, end in ranges]
    hashes = iter(read([node for edge in edges for node in edge]))
    return [root_of([next(hashes) for _ in edge]) for edge in edges]


def _edge_nodes(first: int, end: int) -> list[Node]:
    """The perfect subtrees that leaves `first .. end - 1` are made of, which are a subtree of some log."""
    nodes = []
    while first < end:
        level = (end - first).bit_length() - 1
        nodes.append(Node(level, first >> level))
        first += 1 << level
    return nodes


def _past_lone(node: int, last: int) -> tuple[int, int]:
    """Up from the last node of a level past the levels on which it has no neighbour, to where it is a right one."""
    while not node & 1 and node:
        node, last = node >> 1, last >> 1
    return node, last


def _past_right(node: int, last: int) -> tuple[int, int]:
    """Up to the subtree that ends with this node, as high as it is perfect."""
    while node & 1:
        node, last = node >> 1, last >> 1
    return node, last


def _check_hash(hash: bytes) -> None:
    if len(hash) != HASH_BYTES:
        raise ProofError(f"the path has {len(hash)} bytes where a hash of {HASH_BYTES} should be")
