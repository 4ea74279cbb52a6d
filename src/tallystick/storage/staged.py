"""A longer branch that is still arriving: its blocks are on disk, and no part of the ledger yet.

A node that fetches a branch which leaves its own chain far below the tip has to put the blocks somewhere until
the branch has overtaken. Beside the chain (`side`) they would push out what is kept there, and show up as a fork
with every batch. So they wait in a table of their own, which no limit of `side` counts and no reader is shown. A
switch takes them from there (see `switch`); what it does not take is forgotten, at the latest when the store is
opened again: whoever sent it can send it again.

A block is in one place only: on the best chain, beside it, or here. One that is beside the chain already is not
staged, and one that is staged leaves this table when it comes again as an ordinary side block or onto the tip.
An ordinary side block may have a staged parent. When that is forgotten, it is a branch whose foundation is
missing, as after an eviction: its tip stays, and its fork is unknown.

Forgetting costs the same however much there is, or nearly: SQLite empties a whole table by giving back its pages
without looking at the rows (sqlite.org/lang_delete.html, "the truncate optimization").
"""

from __future__ import annotations

from collections.abc import Sequence

from tallystick.model.block import Block
from tallystick.storage.database import Database
from tallystick.storage.rows import key_of


def stage(database: Database, blocks: Sequence[Block]) -> None:
    """Keep those of `blocks` that are not stored yet, here or elsewhere. Cost is O(blocks)."""
    database.write_many(
        """INSERT OR IGNORE INTO staged (hash, idx, previous_hash, timestamp, data)
           SELECT ?1, ?2, ?3, ?4, ?5
           WHERE NOT EXISTS (SELECT 1 FROM side WHERE hash = ?1)
             AND NOT EXISTS (SELECT 1 FROM blocks WHERE idx = ?2 AND hash = ?1)""",
        [(key_of(b.hash), b.index, key_of(b.previous_hash), b.timestamp, b.data) for b in blocks],
    )


def unstage(database: Database, keys: Sequence[bytes]) -> None:
    """Remove the blocks of these hashes, as far as they are here: they are kept elsewhere from now on."""
    database.write_many("DELETE FROM staged WHERE hash = ?", [(key,) for key in keys])


def any_staged(database: Database) -> bool:
    """Is there a staged block?"""
    return database.one("SELECT 1 FROM staged LIMIT 1") is not None


def drop_staged(database: Database) -> None:
    """Forget all staged blocks, as part of the running transaction."""
    database.write("DELETE FROM staged")


def drop_left_over(database: Database) -> None:
    """Forget, in a transaction of its own, what a node that is no more had staged. Raises StoreError."""
    if any_staged(database):
        database.write("BEGIN IMMEDIATE")
        drop_staged(database)
        database.write("COMMIT")
