"""Tiles: the hashes of the log's tree, kept 256 at a time.

A tree over n leaves has about n more nodes, of which a proof needs a few on each of twenty levels. To keep each in its
own row would double the rows; to keep the leaves alone would make a proof hash them all. A tile is between: it holds
256 neighbours of one level, and only every eighth level is kept, for the seven between are computed from one tile.

    level 1   [ hash of 0 .. 255 | hash of 256 .. 511 ]                  `Node(level, index)` is found in a tile of
                      ^                  ^                               level // 8; a full tile is one hash of the
    level 0   [ leaves 0 .. 255 ] [ leaves 256 .. 511 ] [ 512 .. 700 ]   level above

So a proof in a log of 16 million entries reads three tiles. They grow to the right only: all tiles of a level but its
last are full and never change (until blocks leave the chain, and take their entries with them).

A hash is put into a tile once the subtree under it is full. How tiles are kept is for the store to say; these are pure
functions over their contents, which are the hashes, concatenated.

Whoever checks the root of a block has hashed the tree already, and so the one hash above each tile of leaves that the
block filled: its *tops*. They need not be computed again, nor believed: they lead to the edge in a few hashes (`lead`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import sha256
from struct import iter_unpack
from typing import Final, NamedTuple

from tallystick.errors import StoreCorruptError
from tallystick.model.log import HASH_BYTES, Edge, Growth, Node, ReadHashes, extend, parents

TILE_LEVELS: Final = 8
"""Levels of the tree from one tile to the next."""

TILE_HASHES: Final = 1 << TILE_LEVELS
"""Hashes of a full tile."""

TILE_BYTES: Final = TILE_HASHES * HASH_BYTES

REMEMBERED: Final = 1_024
"""Nodes that are not computed again while they are asked for: two megabytes of tiles at most."""

_PAIR: Final = f"{2 * HASH_BYTES}s"


class Tile(NamedTuple):
    """The hashes of Node(8 * level, 256 * index) and its neighbours to the right, at most 256."""

    level: int
    index: int  # type: ignore[assignment]  # hides tuple.index, as in `Node`


ReadTiles = Callable[[list[Tile]], Sequence[bytes]]
"""The contents of tiles, in the order they were asked for."""


def tops_of(growth: Growth) -> Sequence[bytes]:
    """The hashes above the tiles of leaves that became full, in their order."""
    return growth.rows[TILE_LEVELS] if len(growth.rows) > TILE_LEVELS else ()


def lead(tops: Sequence[bytes], size: int, edge: Edge, grown_size: int, grown_edge: Edge) -> bool:
    """Are these the tops of the tiles that a log of `size` entries with this edge filled until it had `grown_size` of
    them, and `grown_edge`? No others pass than those that its root commits to."""
    old, new = size >> TILE_LEVELS, grown_size >> TILE_LEVELS
    return (
        len(tops) == new - old
        and all(len(top) == HASH_BYTES for top in tops)
        and (len(edge), len(grown_edge)) == (size.bit_count(), grown_size.bit_count())
        and extend(edge[: old.bit_count()], old, tops) == grown_edge[: new.bit_count()]
    )


def append(
    size: int, leaves: Sequence[bytes], read: ReadTiles, tops: Sequence[bytes] | None = None
) -> dict[Tile, bytes]:
    """The tiles that change when a log of `size` entries grows by these leaf hashes, with their new contents.

    Only tiles that are there and not full are read, all at once. `tops` are those of the tiles of leaves that become
    full, if the caller has them and knows that they are right. Raises StoreCorruptError when a tile is too short.
    """
    begun = _begun(size, len(leaves))
    contents = iter(read(begun) if begun else ())
    changed: dict[Tile, bytes] = {}
    level, hashes = 0, leaves
    while hashes:
        index, held = divmod(size, TILE_HASHES)
        row = b"".join(hashes)
        if held:
            row = _cut(next(contents), Tile(level, index), 0, held) + row
        for start in range(0, len(row), TILE_BYTES):
            changed[Tile(level, index + start // TILE_BYTES)] = row[start : start + TILE_BYTES]
        full = len(row) // TILE_BYTES
        if level == 0 and tops is not None:
            hashes = tops
        else:
            hashes = _above(row[: full * TILE_BYTES], TILE_LEVELS) if full else ()
        level, size = level + 1, index
    return changed


def _begun(size: int, count: int) -> list[Tile]:
    """The tiles of a log of `size` entries that are not full and change when `count` more come."""
    tiles = []
    level = 0
    while count:
        index, held = divmod(size, TILE_HASHES)
        if held:
            tiles.append(Tile(level, index))
        level, size, count = level + 1, index, (held + count) // TILE_HASHES
    return tiles


def reader(size: int, read: ReadTiles) -> ReadHashes:
    """Hashes of perfect subtrees of the log's first `size` entries.

    A tile may hold more than these have, for the log went on since. Each is read once a call, all at once. Calls raise
    ValueError for a node that is not within the first `size` entries, StoreCorruptError for a tile that is too short.
    """

    def hashes(nodes: Sequence[Node]) -> list[bytes]:
        places = [_place(node, size) for node in nodes]
        wanted = list(dict.fromkeys(tile for tile, _, _ in places))
        contents = dict(zip(wanted, read(wanted), strict=True))
        return [
            _top(_cut(contents[tile], tile, first, first + (1 << levels)), levels) for tile, first, levels in places
        ]

    return hashes


def _place(node: Node, size: int) -> tuple[Tile, int, int]:
    """A tile, which of its hashes a node begins with, and how many levels it stands above them. Raises ValueError."""
    if node.level < 0 or not 0 <= node.index < size >> node.level:
        raise ValueError(f"{node} is not within the first {size} entries of the log")
    level, levels = divmod(node.level, TILE_LEVELS)
    index, first = divmod(node.index << levels, TILE_HASHES)
    return Tile(level, index), first, levels


def _cut(content: bytes, tile: Tile, first: int, end: int) -> bytes:
    """The hashes `first .. end - 1` of a tile. Raises StoreCorruptError."""
    if len(content) < end * HASH_BYTES:
        raise StoreCorruptError(
            f"{tile} of the log has {len(content)} bytes; {end * HASH_BYTES} are needed. Restore it from a backup."
        )
    return content[first * HASH_BYTES : end * HASH_BYTES]


@lru_cache(maxsize=REMEMBERED)
def _top(row: bytes, levels: int) -> bytes:
    """The node so many levels above all of these. Remembered, for every proof needs some of the same nodes again: those
    of the few tiles above the leaves', and those at the end of the log."""
    return _above(row, levels)[0]


def _above(row: bytes, levels: int) -> Sequence[bytes]:
    """The nodes so many levels above these, which are whole subtrees."""
    if levels == 0:
        return [row]
    hashes = [
        sha256(b"\x01" + pair).digest() for (pair,) in iter_unpack(_PAIR, row)
    ]  # `parents`, without cutting first
    for _ in range(levels - 1):
        hashes = parents(hashes)
    return hashes
