"""A longer branch that is still arriving: its blocks are on disk, and no part of the ledger yet.

A node that fetches a branch which leaves its own chain far below the tip has to put the blocks somewhere until
the branch has overtaken. Beside the chain (`side`) they would push out what is kept there, and show up as a fork
with every batch. So they wait in a table of their own, which no limit of `side` counts and no reader is shown. A
switch takes them from there (see `switch`); what it does not take is forgotten, at the latest when the store is
opened again: whoever sent it can send it again.

No block of the best chain is here. One that is beside it may be: the oldest side blocks are dropped, and anybody can
push out others' with his own, so a branch that is arriving stands on none of them. An ordinary side block may have a
parent that is only staged. When that is forgotten, it is a branch whose foundation is missing, as after an eviction:
its tip stays, and its fork is unknown.

Forgetting costs the same however much there is, or nearly: SQLite empties a whole table by giving back its pages
without looking at the rows (sqlite.org/lang_delete.html, "the truncate optimization"). Records that nobody else holds,
though, have to be looked for, and go page by page.
"""

from __future__ import annotations

from collections.abc import Sequence

from tallystick.model.sealed import AnyBlock
from tallystick.storage.database import Database
from tallystick.storage.holdings import Holdings
from tallystick.storage.rows import key_of


def stage(database: Database, holdings: Holdings, blocks: Sequence[AnyBlock]) -> None:
    """Keep those of `blocks` that are not staged yet, nor on the best chain. Cost is O(blocks)."""
    if holdings.hold_records:
        blocks = _unknown(database, blocks)  # else what they hold would be kept, and they not
    held = holdings.keep(blocks, staged=True)
    database.write_many(
        """INSERT OR IGNORE INTO staged (hash, idx, previous_hash, timestamp, data)
           SELECT ?1, ?2, ?3, ?4, ?5
           WHERE NOT EXISTS (SELECT 1 FROM blocks WHERE idx = ?2 AND hash = ?1)""",
        [
            (key_of(block.hash), block.index, key_of(block.previous_hash), block.timestamp, data)
            for block, data in zip(blocks, held, strict=True)
        ],
    )


def _unknown(database: Database, blocks: Sequence[AnyBlock]) -> list[AnyBlock]:
    """Those of `blocks` that are neither here nor on the best chain, each once."""
    unknown = {}
    for block in blocks:
        row = database.one(
            "SELECT 1 FROM staged WHERE hash = ?1 UNION ALL SELECT 1 FROM blocks WHERE idx = ?2 AND hash = ?1",
            (key_of(block.hash), block.index),
        )
        if row is None:
            unknown[block.hash] = block
    return list(unknown.values())


def unstage(database: Database, keys: Sequence[bytes]) -> None:
    """Remove the blocks of these hashes, as far as they are here: they are on the best chain from now on."""
    database.write_many("DELETE FROM staged WHERE hash = ?", [(key,) for key in keys])


def any_staged(database: Database) -> bool:
    """Is there a staged block?"""
    return database.one("SELECT 1 FROM staged LIMIT 1") is not None


def drop_staged(database: Database, holdings: Holdings) -> None:
    """Forget all staged blocks, as part of the running transaction."""
    holdings.drop_staged()
    database.write("DELETE FROM staged")


def drop_left_over(database: Database, holdings: Holdings) -> None:
    """Forget, in a transaction of its own, what a node that is no more had staged. Raises StoreError."""
    if any_staged(database):
        database.write("BEGIN IMMEDIATE")
        drop_staged(database, holdings)
        database.write("COMMIT")
