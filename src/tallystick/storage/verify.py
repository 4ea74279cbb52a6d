"""Recomputing a ledger from its file: nothing is believed but the genesis block.

Every block of the best chain is hashed again and must link to the one before; then what is kept beside
it, the duties, and the hash index are held against what they are derived from. Works beside a running
node: the chain is read in pages, each one snapshot that begins with the last block of the page before. If
that block is another one by now, branches were switched in between, and the check goes back to a page
end that still stands; a reorg is no damage.

Blocks that are staged (see `staged`) are no part of the ledger yet, and are not looked at.

Everything is only read, with one exception. The hash index is derived, so when it is found wrong and no node
is running, it is removed: the next start builds it anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tallystick.errors import StoreCorruptError, StoreError
from tallystick.model.network import Network
from tallystick.storage.bodies import bodies_of
from tallystick.storage.database import Database
from tallystick.storage.folder import DataFolder
from tallystick.storage.hash_index import IndexFile
from tallystick.storage.rows import size_of
from tallystick.storage.schema import SCHEMA_VERSION, check_is_ours, read_count, read_meta, version_of
from tallystick.storage.side import DATA
from tallystick.storage.verify_ahead import checked_ahead
from tallystick.storage.verify_chain import Check, End, Progress, TextCheck, check_chain, inconsistent, tip_index
from tallystick.storage.verify_records import RecordCheck

SAMPLE_EVERY: Final = 16
"""Of the hash index one entry in so many is looked up. A damaged page holds hundreds and will not hide."""


AT_ONCE: Final = 500
"""Entries that are looked up by one statement."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What a ledger holds that was found sound."""

    blocks: int
    """Blocks of the best chain, genesis included."""

    tip: str
    """Hash of the last of them."""

    side_blocks: int
    lost_duties: int
    notes: Sequence[str]
    """Sentences about what was not as it should be, and does no harm."""

    records: int = 0
    """Records of the log."""

    pending: int = 0
    """Records of the pool."""


def verify(path: Path, network: Network, *, thorough: bool = False, progress: Progress | None = None) -> Verified:
    """Check the ledger in the data folder `path`. `thorough` adds SQLite's own page checks and the whole hash index.

    Raises StoreCorruptError that names the first bad block, or another StoreError when there is nothing to check.
    """
    folder = DataFolder(path)
    folder.require()
    ledger = Database.open_to_look(folder.ledger)
    try:
        check_is_ours(ledger, network)
        tell = progress or _silent
        ahead: list[End] = []
        if bodies_of(network).hold_records:
            kind: Check = RecordCheck(ledger, network)
        else:
            kind = TextCheck(ledger, network)
            ahead = checked_ahead(folder.ledger, network, tip_index(ledger), tell)
        last, tip = check_chain(ledger, kind, tell, ahead)  # first, for it can name the block
        if thorough:
            ledger.check_pages()
        with ledger.snapshot():
            side_blocks = _check_side(ledger, kind)
            lost = _check_duties(ledger)
            held = kind.check_holdings()
        problem = _check_index(folder, ledger, 1 if thorough else SAMPLE_EVERY, pages=thorough)
    finally:
        ledger.close()
    notes = [f"{problem} {_drop_index(folder)}"] if problem is not None else []
    if held.by_nobody:
        notes.append(f"{held.by_nobody} records are held by no block and not pending: they only take up room.")
    return Verified(last + 1, tip.hex(), side_blocks, lost, tuple(notes), held.logged, held.pending)


def _silent(_done: int, _all: int) -> None:
    """Progress that nobody watches."""


# --- beside it -------------------------------------------------------------------------------------


def _check_side(ledger: Database, kind: Check) -> int:
    """How many side blocks there are, once all are found sound and accounted for. Raises StoreCorruptError."""
    count = size = 0
    columns = f"s.idx, s.previous_hash, s.timestamp, {DATA}, s.hash, s.bytes, s.mark, s.run"
    with ledger.each(f"SELECT {columns} FROM side s ORDER BY s.seq") as rows:  # noqa: S608 - constants
        for index, parent, timestamp, data, key, cost, mark, run in rows:
            if not kind.is_sound((index, key, timestamp, data, parent)):
                raise StoreCorruptError(
                    f"A block beside the chain, at index {index}, does not match its hash. Restore a backup."
                )
            if not isinstance(cost, int) or cost < size_of(data):
                raise inconsistent("The size of a block beside the chain is wrong", index)
            if not isinstance(run, int):
                raise inconsistent("A block beside the chain is told to be of no branch", index)
            count += 1
            size += cost if mark is None else 0
    if size != read_count(ledger, "side_bytes"):
        raise inconsistent("The size of all blocks beside the chain is wrong")
    twice = ledger.one("SELECT s.idx FROM side s JOIN blocks b ON b.idx = s.idx AND b.hash = s.hash")
    if twice is not None:
        raise inconsistent("A block is on the chain and beside it", twice[0])
    childless = "SELECT seq FROM side s WHERE NOT EXISTS (SELECT 1 FROM side c WHERE c.previous_hash = s.hash)"
    if _differ(ledger, "SELECT seq FROM tips", childless):
        raise inconsistent("The tips of the branches are wrong")
    for wrong in (_TWICE_IN_A_RUN, _NOT_IN_ITS_PARENTS_RUN):
        if (block := ledger.one(wrong)) is not None:
            raise inconsistent("A block beside the chain is told to be of another branch than it is", block[0])
    return count


_TWICE_IN_A_RUN: Final = (
    "SELECT s.idx FROM side s JOIN side o ON o.run = s.run AND o.idx = s.idx AND o.seq > s.seq LIMIT 1"
)
_NOT_IN_ITS_PARENTS_RUN: Final = """
    SELECT s.idx FROM side s JOIN side p ON p.hash = s.previous_hash AND p.seq < s.seq AND p.run != s.run
    WHERE EXISTS (SELECT 1 FROM side l WHERE l.run = s.run AND l.idx < s.idx) LIMIT 1"""
"""A block that was not the first of its run when it came had joined its parent (see `side`); a parent that came
later, after it had been dropped once, began a run of its own."""


_CARRIED_ASIDE: Final = """
    SELECT CASE length(mark) WHEN 0 THEN hash ELSE mark END AS duty, idx, hash FROM side WHERE mark IS NOT NULL"""
_CARRIED_AGAIN: Final = "SELECT mark, idx, hash FROM blocks WHERE length(mark) > 0"
_ON_CHAIN: Final = "SELECT c.duty FROM carriers c JOIN blocks b ON b.idx = c.idx AND b.hash = c.hash"


def _check_duties(ledger: Database) -> int:
    """How many duties are lost, once they are found to be what the marks say. Raises StoreCorruptError."""
    for carried in (_CARRIED_ASIDE, _CARRIED_AGAIN):
        if ledger.one(f"SELECT 1 FROM ({carried} EXCEPT SELECT duty, idx, hash FROM carriers) LIMIT 1"):  # noqa: S608 - constants
            raise inconsistent("A block that carries a post of this node is not accounted for")
    owed = f"SELECT duty FROM ({_CARRIED_ASIDE}) EXCEPT {_ON_CHAIN}"  # noqa: S608 - constants
    if _differ(ledger, "SELECT hash FROM lost", owed):
        raise inconsistent("The list of posts to be mined again is wrong")
    (misplaced,) = ledger.one(
        "SELECT count(*) FROM lost l WHERE NOT EXISTS (SELECT 1 FROM side s WHERE s.hash = l.hash AND s.idx = l.idx)"
    )
    if misplaced:
        raise inconsistent("A post to be mined again is missing")
    return int(ledger.one("SELECT count(*) FROM lost")[0])


def _differ(ledger: Database, one: str, other: str) -> bool:
    """Do two queries give different sets?"""
    return any(
        ledger.one(f"SELECT 1 FROM (SELECT * FROM ({a}) EXCEPT SELECT * FROM ({b})) LIMIT 1") is not None  # noqa: S608 - constants
        for a, b in ((one, other), (other, one))
    )


# --- the hash index --------------------------------------------------------------------------------


def _check_index(folder: DataFolder, ledger: Database, step: int, *, pages: bool) -> str | None:
    """What is wrong with the hash index, or None. A missing one is not wrong: the next start builds it."""
    if not folder.hashes.exists() or version_of(ledger) != SCHEMA_VERSION:
        return None  # one of an older version is in another form; the next start replaces it
    try:
        file = IndexFile(folder.hashes, "ro")
        try:
            if file.pair() != read_meta(ledger, "pair"):
                return None  # of another life of this folder; the next start replaces it
            if pages:
                file.check_pages()
            missing = _first_missing(ledger, file, step)
        finally:
            file.close()
    except StoreError as error:
        return str(error)
    return None if missing is None else f"The hash index does not know block {missing}."


def _first_missing(ledger: Database, file: IndexFile, step: int) -> int | None:
    for first in range(0, read_count(ledger, "indexed_to") + 1, step * AT_ONCE):
        sample = _sample(ledger, first, step)
        hashes = dict(sample)
        for index in file.missing(sample) if sample else ():
            # Branches may have been switched since; then the index is not said to know this block any more.
            still = ledger.one("SELECT hash FROM blocks WHERE idx = ?", (index,)) == (hashes[index],)
            if still and index <= read_count(ledger, "indexed_to"):
                return index
    return None


def _sample(ledger: Database, first: int, step: int) -> list[tuple[int, bytes]]:
    """Index and hash of every `step`th block from `first` on, of so many as are looked up at once and are indexed."""
    end = min(first + step * AT_ONCE, read_count(ledger, "indexed_to") + 1)
    return ledger.all(
        """WITH RECURSIVE sample (idx) AS (VALUES (?1) UNION ALL SELECT idx + ?2 FROM sample WHERE idx + ?2 < ?3)
           SELECT b.idx, b.hash FROM sample CROSS JOIN blocks b ON b.idx = sample.idx WHERE b.idx < ?3""",
        (first, step, end),
    )


def _drop_index(folder: DataFolder) -> str:
    try:
        folder.claim()
    except StoreError:
        return "Stop the node and verify again: then the index is removed, and built anew at the next start."
    try:
        folder.drop_hashes()
    finally:
        folder.release()
    return "It was removed, and is built anew when a node starts."
