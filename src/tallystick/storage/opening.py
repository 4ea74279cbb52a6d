"""Opening a data folder: to run a node in it, or only to look.

Opening to write claims the folder, creates what is missing, refuses what is not ours or newer than we
are, brings an older one up to date, and recomputes the last few hashes; the hash index completes itself from
the blocks, and what was staged is forgotten. A crash at any moment, of this or of what came before, leaves a folder
that opens.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from tallystick.errors import StoreCorruptError
from tallystick.model.limits import LIMITS, Limits
from tallystick.model.network import Network
from tallystick.storage.bodies import Bodies, bodies_of
from tallystick.storage.database import Database
from tallystick.storage.folder import DataFolder
from tallystick.storage.hash_index import HashIndex, NoIndex
from tallystick.storage.holdings import Holdings, PlainHoldings
from tallystick.storage.reader import SqliteReader
from tallystick.storage.record_holdings import RecordHoldings
from tallystick.storage.schema import check_is_ours, create, is_blank, upgrade, use_log
from tallystick.storage.sqlite import SqliteStore
from tallystick.storage.staged import drop_left_over


def open_store(
    path: Path, network: Network, limits: Limits = LIMITS, database: type[Database] = Database
) -> tuple[SqliteStore, SqliteReader]:
    """The store of the data folder `path`, created if it is not there, and a reader beside it. Close both.

    `database` is the class of the writing connection; a test hands in one whose steps fail. Raises StoreError:
    StoreLockedError when another process has the folder, StoreVersionError, StoreCorruptError, StoreFullError.
    """
    folder = DataFolder(path)
    folder.claim()
    opened: list[Database | HashIndex] = []
    try:
        folder.prepare()
        ledger = database.open(folder.ledger)
        opened.append(ledger)
        folder.watch_ledger()
        if is_blank(ledger):
            create(ledger, network)
        check_is_ours(ledger, network)
        use_log(ledger)
        upgrade(ledger)
        bodies = bodies_of(network)
        check_newest(ledger, bodies, limits.opening_blocks)
        holdings = _holdings(ledger, bodies, limits)
        drop_left_over(ledger, holdings)
        index = HashIndex(folder, ledger, limits)
        opened.append(index)
        store = SqliteStore(folder, ledger, index, bodies=bodies, holdings=holdings, limits=limits)
        reader = SqliteReader(Database.open(folder.ledger, mode="look"), index, bodies, limits)
        index.committed(store.tip_index)
    except BaseException:
        for each in opened:
            each.close()
        folder.release()
        raise
    return store, reader


def open_reader(path: Path, network: Network, limits: Limits = LIMITS) -> SqliteReader:
    """A reader of the data folder `path`, whether or not a node is running in it. Changes nothing.

    Raises StoreError when there is no ledger, or one that is not ours to read.
    """
    folder = DataFolder(path)
    folder.require()
    ledger = Database.open_to_look(folder.ledger)
    try:
        check_is_ours(ledger, network)
    except BaseException:
        ledger.close()
        raise
    return SqliteReader(ledger, NoIndex(ledger), bodies_of(network), limits)


def _holdings(ledger: Database, bodies: Bodies, limits: Limits) -> Holdings:
    """What writes records, where there are any. Their text is not to outlive them, so what is deleted is overwritten;
    and what a node that died had erased may still stand in its log."""
    if not bodies.hold_records:
        return PlainHoldings()
    ledger.wipe()
    ledger.empty_log()
    return RecordHoldings(ledger, limits)


def check_newest(ledger: Database, bodies: Bodies, count: int) -> None:
    """Recompute the hashes of the last `count` blocks. Raises StoreCorruptError with the first bad index."""
    rows = ledger.all("SELECT idx, hash, timestamp, data FROM blocks ORDER BY idx DESC LIMIT ?", (count + 1,))
    rows.reverse()
    for (above, parent, *_), row in pairwise(rows):
        if row[0] != above + 1 or not bodies.is_intact((*row, parent)):
            raise StoreCorruptError(
                f"Block {row[0]} in {ledger.path} does not match its hash. Run verify, then restore a backup.", row[0]
            )
