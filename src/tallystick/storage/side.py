"""Blocks beside the best chain: keeping them, knowing their tips, and dropping the oldest of other people's.

Three things are maintained with every change, so that `forks` costs what its answer costs:

* `tips`: the side blocks that have no side child;
* `run`: side blocks fall into unbranched stretches. A block joins the run of its parent if that parent is
  the run's last block, else it opens a run of its own. Within a run each block is an ancestor of all that
  follow, whatever is removed, so the lowest block of a run is reached in one step of an index, and a fork
  is found in one step per run instead of one per block;
* `bytes` of unmarked blocks, summed up in `Running.side_bytes`, against `Limits.side_bytes`. Records of sealed blocks
  that only side blocks hold count beside that, each once (`Holdings.bytes_aside`).

No block is on the best chain and beside it at once. A branch that is still arriving is kept apart (see `staged`), even
where some of its blocks are here too.

A block that carries a post of ours again stands here without its data, which is that of the post's first carrier
(`DATA`). Else a peer whose short blocks take our long posts off again and again would fill the disk with copies
that are never dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tallystick.errors import StoreCorruptError
from tallystick.model.limits import Limits
from tallystick.model.sealed import AnyBlock
from tallystick.storage.database import Database
from tallystick.storage.holdings import Holdings
from tallystick.storage.rows import key_of, size_of
from tallystick.storage.schema import read_count
from tallystick.storage.staged import any_staged

DATA: Final = """
    CASE WHEN length(s.mark) > 0
      THEN coalesce((SELECT f.data FROM side f WHERE f.hash = s.mark),
                    (SELECT b.data FROM carriers c JOIN blocks b ON b.idx = c.idx AND b.hash = c.hash
                     WHERE c.duty = s.mark AND c.hash = s.mark))
      ELSE s.data END"""
"""SQL: the data of a row `s` of the table `side`. A first carrier that is not aside has been there, and so is known
by `carriers`."""


@dataclass(slots=True)
class Running:
    """What the writer keeps in memory of the running batch, in step with the file."""

    tip_index: int
    tip_hash: str
    side_bytes: int
    """Sum of `bytes` of all unmarked side blocks."""

    next_seq: int
    side_top: int
    """No side block has a greater index than this; -1 when there never was one."""

    staged: bool
    """There may be staged blocks. While there are none, nobody need look for them."""

    @classmethod
    def load(cls, database: Database) -> Running:
        """The state of the file. Raises StoreError."""
        index, key = database.one("SELECT idx, hash FROM blocks ORDER BY idx DESC LIMIT 1")
        (seq,) = database.one("SELECT coalesce(max(seq), 0) FROM side")
        (top,) = database.one("SELECT coalesce(max(s.idx), -1) FROM tips t JOIN side s ON s.seq = t.seq")
        if not (isinstance(key, bytes) and isinstance(seq, int) and isinstance(top, int)):
            raise StoreCorruptError(f"{database.path} is damaged. Run verify, then restore it from a backup.")
        return cls(index, key.hex(), read_count(database, "side_bytes"), seq + 1, top, staged=any_staged(database))


def keep(database: Database, running: Running, holdings: Holdings, limits: Limits, blocks: Sequence[AnyBlock]) -> None:
    """AddSide: keep those of `blocks` that are not beside the chain yet, nor on it. Cost is O(blocks)."""
    stretch: list[AnyBlock] = []
    seen: set[str] = set()
    for block in blocks:
        if block.hash in seen or _is_stored(database, block):
            continue
        seen.add(block.hash)
        if stretch and block.previous_hash != stretch[-1].hash:
            _keep_stretch(database, running, holdings, limits, stretch)
            stretch = []
        stretch.append(block)
    if stretch:
        _keep_stretch(database, running, holdings, limits, stretch)


def _is_stored(database: Database, block: AnyBlock) -> bool:
    row = database.one(
        "SELECT 1 FROM side WHERE hash = ?1 UNION ALL SELECT 1 FROM blocks WHERE idx = ?2 AND hash = ?1",
        (key_of(block.hash), block.index),
    )
    return row is not None


def _keep_stretch(
    database: Database, running: Running, holdings: Holdings, limits: Limits, blocks: Sequence[AnyBlock]
) -> None:
    """Keep blocks of which each is the child of the one before."""
    first, last, seq = blocks[0], blocks[-1], running.next_seq
    run = _run_ending_with(database, key_of(first.previous_hash)) or seq
    keys = [key_of(block.hash) for block in blocks]
    held = holdings.keep(blocks, staged=False)
    sizes = [size_of(data) + limits.side_block_bytes for data in held]
    database.write_many(
        """INSERT INTO side (seq, hash, idx, previous_hash, timestamp, run, bytes, mark, data)
           VALUES (?, ?, ?, ?, ?, ?, ?, NULL, ?)""",
        [
            (seq + i, keys[i], b.index, key_of(b.previous_hash), b.timestamp, run, sizes[i], held[i])
            for i, b in enumerate(blocks)
        ],
    )
    running.next_seq += len(blocks)
    running.side_bytes += sum(sizes)
    running.side_top = max(running.side_top, last.index)
    database.write("DELETE FROM tips WHERE seq = (SELECT seq FROM side WHERE hash = ?)", (key_of(first.previous_hash),))
    add_tip(database, keys[-1])


def _run_ending_with(database: Database, key: bytes) -> int | None:
    """The run whose last block is that of this hash, if it is the last of one."""
    row = database.one(
        """SELECT s.run FROM side s
           WHERE s.hash = ? AND s.idx = (SELECT max(r.idx) FROM side r WHERE r.run = s.run)""",
        (key,),
    )
    if row is not None and not isinstance(row[0], int):
        raise StoreCorruptError(f"The branches in {database.path} are damaged. Run verify.")
    return None if row is None else row[0]


def add_tip(database: Database, key: bytes) -> None:
    """If the block of this hash is a side block without a side child, it is a tip."""
    database.write(
        """INSERT OR IGNORE INTO tips (seq)
           SELECT s.seq FROM side s
           WHERE s.hash = ? AND NOT EXISTS (SELECT 1 FROM side c WHERE c.previous_hash = s.hash)""",
        (key,),
    )


def take(database: Database, running: Running, key: bytes) -> bytes | None:
    """Remove a side block that comes onto the tip of the best chain by itself; returns its mark."""
    row = database.one("SELECT seq, bytes, mark FROM side WHERE hash = ?", (key,))
    if row is None:
        return None
    seq, size, mark = row
    database.write("DELETE FROM tips WHERE seq = ?", (seq,))
    database.write("DELETE FROM side WHERE seq = ?", (seq,))
    if mark is None:
        running.side_bytes -= size
    return mark  # type: ignore[no-any-return]  # a column declared BLOB


def is_full(running: Running, holdings: Holdings, limits: Limits) -> bool:
    """Is there more beside the chain than may be?"""
    return running.side_bytes + holdings.bytes_aside > limits.side_bytes


def evict(database: Database, running: Running, holdings: Holdings, limits: Limits) -> None:
    """Drop the oldest unmarked side blocks until the rest is within `Limits.side_bytes`, page by page."""
    while is_full(running, holdings, limits):
        page = database.all(
            "SELECT seq, bytes, previous_hash FROM side WHERE mark IS NULL ORDER BY seq LIMIT ?", (limits.view_page,)
        )
        if not page:
            return
        victims = []
        parents = set()
        for seq, size, parent in page:
            if not is_full(running, holdings, limits):
                break
            holdings.release(seq)
            running.side_bytes -= size
            victims.append((seq,))
            parents.add(parent)
        database.write_many("DELETE FROM tips WHERE seq = ?", victims)
        database.write_many("DELETE FROM side WHERE seq = ?", victims)
        for parent in sorted(parents):
            add_tip(database, parent)
