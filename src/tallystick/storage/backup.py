"""A copy of the ledger, taken while its node runs.

SQLite's online backup copies the pages of one snapshot, however much is written meanwhile. The copy appears
under its name only when it is complete and on disk. It is an ordinary `ledger.sqlite`: put into an empty
data folder it is a ledger, whose hash index is built at the first start.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tallystick.model.limits import LIMITS, Limits
from tallystick.model.network import Network
from tallystick.storage.bodies import bodies_of
from tallystick.storage.database import Database
from tallystick.storage.folder import DataFolder, new_file
from tallystick.storage.opening import check_newest
from tallystick.storage.schema import NOTHING_INDEXED, check_is_ours, write_meta

PAGES_AT_ONCE: Final = 1_000
"""Pages copied in one step; between steps Ctrl-C is heard."""


def backup(path: Path, target: Path, network: Network, limits: Limits = LIMITS) -> int:
    """Copy the ledger in the data folder `path` to the new file `target`. Returns the index of its tip.

    Raises StoreError, and leaves nothing behind, when the target exists or cannot be written.
    """
    folder = DataFolder(path)
    folder.require()
    with new_file(target) as partial:
        return _copy(folder, partial, network, limits)


def _copy(folder: DataFolder, partial: Path, network: Network, limits: Limits) -> int:
    """Fill the file `partial`, and make it independent of the folder it came from."""
    source = Database.open_to_look(folder.ledger)
    try:
        copy = Database.open(partial)
        try:
            with source.snapshot():  # one snapshot, or a busy node would make the copy start again and again
                check_is_ours(source, network)
                source.copy_to(copy, PAGES_AT_ONCE)
            copy.all("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
            copy.write("BEGIN IMMEDIATE")
            write_meta(copy, "pair", "")
            write_meta(copy, "indexed_to", NOTHING_INDEXED)
            copy.write("COMMIT")
            check_newest(copy, bodies_of(network), limits.opening_blocks)
            return int(copy.one("SELECT max(idx) FROM blocks")[0])
        finally:
            copy.close()
    finally:
        source.close()
