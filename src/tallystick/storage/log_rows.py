"""The log on disk: which record stands where (`logged`), and the hashes of the Merkle tree over them (`tiles`).

A span of `logged` belongs to one block of the best chain. Its records follow each other in the log, from `position` on.
Tiles hold 256 hashes of one level each (`model.tiles`), so a proof reads a few rows, whatever the size of the log. The
last tile of each level is not full; it is written anew whenever the log grows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tallystick.errors import StoreCorruptError
from tallystick.model import tiles
from tallystick.model.log import HASH_BYTES, ReadHashes
from tallystick.model.tiles import TILE_HASHES, Tile
from tallystick.storage.database import Database
from tallystick.storage.spans import Span, checked, merged

LEVEL_SHIFT: Final = 48
"""A tile's key in the table is its level above its index."""


def tile_key(level: int, number: int) -> int:
    """Where a tile stands in the table."""
    return level << LEVEL_SHIFT | number


def size(database: Database) -> int:
    """Entries of the log."""
    row = database.one("SELECT first, count, position FROM logged ORDER BY position DESC LIMIT 1")
    if row is None:
        return 0
    ((_, count, position),) = checked(database, [row])
    return int(position + count)


def leave(database: Database, first: int, end: int) -> list[Span]:
    """Take the spans at positions `first .. end - 1` out of the log. Returns them merged."""
    rows = database.all("SELECT first, count FROM logged WHERE position >= ? AND position < ?", (first, end))
    spans = merged(checked(database, rows))
    database.write("DELETE FROM logged WHERE position >= ? AND position < ?", (first, end))
    return spans


def append_leaves(database: Database, size: int, leaves: Sequence[bytes], tops: Sequence[bytes] | None = None) -> None:
    """The log of `size` entries grows by these leaves; `tops` as `tiles.append` has them."""
    if leaves:
        changed = tiles.append(size, leaves, lambda wanted: read_tiles(database, wanted), tops)
        database.write_many(
            "INSERT OR REPLACE INTO tiles (key, hashes) VALUES (?, ?)",
            [(tile_key(tile.level, tile.index), hashes) for tile, hashes in changed.items()],
        )


def rewind_tiles(database: Database, size: int, left: int) -> None:
    """Of the log of `size` entries only the first `left` are left."""
    level = 0
    while size:
        tile, width = divmod(left, TILE_HASHES)
        first = tile_key(level, tile + 1 if width else tile)
        database.write("DELETE FROM tiles WHERE key >= ? AND key < ?", (first, tile_key(level + 1, 0)))
        if width:
            database.write(
                "UPDATE tiles SET hashes = substr(hashes, 1, ?) WHERE key = ?",
                (width * HASH_BYTES, tile_key(level, tile)),
            )
        level, size, left = level + 1, size // TILE_HASHES, left // TILE_HASHES


def read_tiles(database: Database, wanted: Sequence[Tile]) -> list[bytes]:
    """The contents of tiles. Raises StoreCorruptError when one is missing."""
    contents = []
    for tile in wanted:
        row = database.one("SELECT hashes FROM tiles WHERE key = ?", (tile_key(tile.level, tile.index),))
        if row is None or not isinstance(row[0], bytes):
            raise StoreCorruptError(f"A tile of the log is missing from {database.path}. Restore it from a backup.")
        contents.append(row[0])
    return contents


def hash_reader(database: Database, size: int) -> ReadHashes:
    """Hashes of the log's first `size` entries."""
    return tiles.reader(size, lambda wanted: read_tiles(database, wanted))
