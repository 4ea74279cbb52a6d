"""Following another branch: rows move between `blocks` and `side`, and duties are lost or found again.

A switch may be as deep as the chain is long, so nothing here grows with its depth: rows move inside
SQLite, a page at a time, and the way from the new tip back to the fork is written down in the table
`path` rather than in memory. All of it is part of the running transaction.

The way may lead through `side` and `staged` in any order: a branch that was begun beside the chain may have gone on
arriving staged, and the other way round. A block that is in both leaves both; its row in `side` is the one that may
carry a mark.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tallystick.chain.writes import Switch
from tallystick.errors import StoreCorruptError, StoreError
from tallystick.model.limits import Limits
from tallystick.storage.database import Database
from tallystick.storage.holdings import Holdings
from tallystick.storage.rows import key_of
from tallystick.storage.side import DATA, Running, add_tip
from tallystick.storage.staged import any_staged

_DUTY: Final = "CASE length({0}.mark) WHEN 0 THEN {0}.hash ELSE {0}.mark END"
"""SQL: the duty that a marked block carries, named by the hash of its first carrier."""


def switch(database: Database, running: Running, holdings: Holdings, limits: Limits, write: Switch) -> None:
    """Apply a Switch. Raises StoreError when it does not start at the tip, StoreCorruptError when blocks lack."""
    if write.old_tip != running.tip_index or not 0 <= write.fork <= write.old_tip:
        raise StoreError(
            f"Refused a switch from block {write.old_tip} at fork {write.fork}: the tip is block {running.tip_index}."
        )
    base = running.next_seq
    _find_path(database, write)
    holdings.rewind(write.fork)
    _detach(database, running, limits, write)
    _attach(database, running, holdings, limits, write)
    _move_duties(database, limits, write, base)
    database.write("DELETE FROM path")
    add_tip(database, key_of(running.tip_hash))
    running.tip_index, running.tip_hash = write.new_tip_index, write.new_tip


def pages(first: int, last: int, limits: Limits) -> Iterator[tuple[int, int]]:
    """The range `first .. last` in pages, each as its first and last number."""
    for start in range(first, last + 1, limits.view_page):
        yield start, min(start + limits.view_page - 1, last)


def _find_path(database: Database, write: Switch) -> None:
    """Write down which blocks lead from the child of the fork to the new tip, and check that none is missing."""
    database.write(
        """INSERT INTO path (idx, staged, seq)
           WITH RECURSIVE back (idx, staged, seq, previous_hash) AS (
             SELECT idx, 0, seq, previous_hash FROM side WHERE hash = ?1
             UNION ALL
             SELECT idx, 1, seq, previous_hash FROM staged
             WHERE hash = ?1 AND NOT EXISTS (SELECT 1 FROM side WHERE hash = ?1)
             UNION ALL
             SELECT coalesce(s.idx, t.idx), s.seq IS NULL, coalesce(s.seq, t.seq),
                    coalesce(s.previous_hash, t.previous_hash)
             FROM back LEFT JOIN side s ON s.hash = back.previous_hash LEFT JOIN staged t ON t.hash = back.previous_hash
             WHERE back.idx > ?2 + 1 AND coalesce(s.seq, t.seq) IS NOT NULL)
           SELECT idx, staged, seq FROM back""",
        (key_of(write.new_tip), write.fork),
    )
    count, first, last = database.one("SELECT count(*), min(idx), max(idx) FROM path")
    linked = database.one(
        """SELECT 1 FROM path
             LEFT JOIN side s ON s.seq = path.seq AND NOT path.staged
             LEFT JOIN staged t ON t.seq = path.seq AND path.staged
             JOIN blocks f ON f.hash = coalesce(s.previous_hash, t.previous_hash)
           WHERE path.idx = ?1 + 1 AND f.idx = ?1""",
        (write.fork,),
    )
    if (count, first, last) != (write.new_tip_index - write.fork, write.fork + 1, write.new_tip_index) or not linked:
        raise StoreCorruptError(
            f"Blocks of the branch to {write.new_tip} are missing from {database.path}: between block {write.fork} "
            f"and block {write.new_tip_index} there are {count}. Run verify, then restore a backup.",
            write.fork + 1,
        )


def _detach(database: Database, running: Running, limits: Limits, write: Switch) -> None:
    """Put the blocks after the fork aside, as one run, marks and all, but without copies of data (`side.DATA`)."""
    base = running.next_seq
    for first, last in pages(write.fork + 1, write.old_tip, limits):
        database.write(
            """INSERT INTO side (seq, hash, idx, previous_hash, timestamp, run, bytes, mark, data)
               SELECT ?1 + b.idx - ?2 - 1, b.hash, b.idx, p.hash, b.timestamp, ?1,
                      length(CAST(b.data AS BLOB)) + ?3, b.mark, CASE WHEN length(b.mark) > 0 THEN '' ELSE b.data END
               FROM blocks b JOIN blocks p ON p.idx = b.idx - 1
               WHERE b.idx BETWEEN ?4 AND ?5 ORDER BY b.idx""",
            (base, write.fork, limits.side_block_bytes, first, last),
        )
    for first, last in reversed(list(pages(write.fork + 1, write.old_tip, limits))):
        database.write("DELETE FROM blocks WHERE idx BETWEEN ? AND ?", (first, last))
    running.next_seq += write.old_tip - write.fork
    (size,) = database.one("SELECT coalesce(sum(bytes), 0) FROM side WHERE seq >= ? AND mark IS NULL", (base,))
    running.side_bytes += size
    running.side_top = max(running.side_top, write.old_tip)


def _attach(database: Database, running: Running, holdings: Holdings, limits: Limits, write: Switch) -> None:
    """Put the blocks of `path` on the best chain."""
    for page in pages(write.fork + 1, write.new_tip_index, limits):
        database.write(
            f"""INSERT INTO blocks (idx, hash, timestamp, mark, data)
                SELECT s.idx, s.hash, s.timestamp, s.mark, {DATA} FROM path JOIN side s ON s.seq = path.seq
                WHERE path.idx BETWEEN ? AND ? AND NOT path.staged ORDER BY path.idx""",  # noqa: S608 - our own constant
            page,
        )
        (size,) = database.one(
            """SELECT coalesce(sum(s.bytes), 0) FROM path JOIN side s ON s.seq = path.seq
               WHERE path.idx BETWEEN ? AND ? AND NOT path.staged AND s.mark IS NULL""",
            page,
        )
        running.side_bytes -= size
        for table in ("tips", "side"):
            database.write(
                f"""DELETE FROM {table}
                    WHERE seq IN (SELECT seq FROM path WHERE idx BETWEEN ? AND ? AND NOT staged)""",  # noqa: S608 - likewise
                page,
            )
        if running.staged:
            _attach_staged(database, page)
        holdings.follow(*page)
    running.staged = running.staged and any_staged(database)


def _attach_staged(database: Database, page: tuple[int, int]) -> None:
    """The part of a page of `path` that was only staged: no marks, no tips, and it counted nowhere. What is staged of
    the page leaves."""
    database.write(
        """INSERT INTO blocks (idx, hash, timestamp, mark, data)
           SELECT t.idx, t.hash, t.timestamp, NULL, t.data FROM path JOIN staged t ON t.seq = path.seq
           WHERE path.idx BETWEEN ? AND ? AND path.staged ORDER BY path.idx""",
        page,
    )
    database.write("DELETE FROM staged WHERE hash IN (SELECT hash FROM blocks WHERE idx BETWEEN ? AND ?)", page)


def _move_duties(database: Database, limits: Limits, write: Switch, base: int) -> None:
    """Duties of the blocks that left are lost, unless one of the blocks that came carries them."""
    duty = _DUTY.format("s")
    for page in pages(base, base + write.old_tip - write.fork - 1, limits):
        database.write(
            f"""INSERT OR IGNORE INTO carriers (duty, idx, hash)
                SELECT {duty}, s.idx, s.hash FROM side s WHERE s.seq BETWEEN ? AND ? AND s.mark IS NOT NULL""",  # noqa: S608 - our own constant
            page,
        )
        database.write(
            f"""INSERT OR IGNORE INTO lost (idx, hash)
                SELECT f.idx, f.hash FROM side s JOIN side f ON f.hash = {duty}
                WHERE s.seq BETWEEN ? AND ? AND s.mark IS NOT NULL""",  # noqa: S608 - our own constant
            page,
        )
    for page in pages(write.fork + 1, write.new_tip_index, limits):
        database.write(
            """DELETE FROM lost WHERE (idx, hash) IN (
                 SELECT b.idx, b.hash FROM blocks b WHERE b.idx BETWEEN ?1 AND ?2 AND length(b.mark) = 0
                 UNION ALL
                 SELECT f.idx, f.hash FROM blocks b JOIN side f ON f.hash = b.mark
                 WHERE b.idx BETWEEN ?1 AND ?2 AND length(b.mark) > 0)""",
            page,
        )
