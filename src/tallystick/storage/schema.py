"""The layout of `ledger.sqlite`, and the guards that keep other files out.

The best chain is one table without any secondary index: a post costs one row at the end of one tree.
`previous_hash` is not stored there, for it is the hash of the row before. Everything else is written only
when branches differ. Hashes are 32-byte blobs; the view `chain` shows the book's form to people:

    sqlite3 ledger.sqlite 'SELECT * FROM chain ORDER BY "index" DESC LIMIT 5'

All kinds of networks have the same tables. In a sealed one the column `data` of a block holds its `content` instead
of a text, and its records stand by themselves; the view `log` shows them, in the order of the log:

    sqlite3 ledger.sqlite 'SELECT * FROM log ORDER BY position DESC LIMIT 5'

Columns that are looked at often stand before `data`, which may be long and spill to pages of its own.
"""

from __future__ import annotations

from typing import Final

from tallystick.errors import StoreCorruptError, StoreError, StoreVersionError
from tallystick.model.block import INDEX_MAX
from tallystick.model.network import Network
from tallystick.model.sealed import AnyBlock, SealedBlock
from tallystick.storage.content import encode
from tallystick.storage.database import Database

APPLICATION_ID: Final = 0x5453_4C31
"""In the file's header at byte 68: "TSL1"."""

SCHEMA_VERSION: Final = 3
"""Goes up with every change an older program would misread; an older program refuses a newer file, and a newer one
changes an older file in place (`upgrade`)."""

NOTHING_INDEXED: Final = -1

# A longer branch that is still arriving (see staged.py). seq: order of arrival.
_STAGED: Final = """CREATE TABLE staged (
         seq INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, idx INTEGER NOT NULL, previous_hash BLOB NOT NULL,
         timestamp INTEGER NOT NULL, data TEXT NOT NULL)"""

# Scratch of a running switch; empty otherwise. seq is that of `staged` or of `side`.
_PATH: Final = "CREATE TABLE path (idx INTEGER PRIMARY KEY, staged INTEGER NOT NULL, seq INTEGER NOT NULL)"

# Records of sealed networks (see record_rows.py). seq: order of arrival. tag: the first 48 bits of the leaf hash.
# erased: NULL, or 1 when that was done here.
_RECORDS: Final = """CREATE TABLE records (
         seq INTEGER PRIMARY KEY, id TEXT NOT NULL, tag INTEGER NOT NULL, entry BLOB NOT NULL, erased INTEGER,
         salt BLOB, data BLOB)"""
_RECORD_IDS: Final = "CREATE INDEX record_ids ON records (id, tag)"

# Who holds them, as disjoint spans of seq (see spans.py and record_holdings.py).
_POOL: Final = "CREATE TABLE pool (first INTEGER PRIMARY KEY, count INTEGER NOT NULL)"
_LOGGED: Final = """CREATE TABLE logged (
         first INTEGER PRIMARY KEY, count INTEGER NOT NULL, idx INTEGER NOT NULL, position INTEGER NOT NULL UNIQUE)"""
_ASIDE: Final = """CREATE TABLE aside (
         first INTEGER PRIMARY KEY, count INTEGER NOT NULL, side INTEGER NOT NULL, staged INTEGER NOT NULL)"""

# Hashes of the Merkle tree over the log (see log_rows.py).
_TILES: Final = "CREATE TABLE tiles (key INTEGER PRIMARY KEY, hashes BLOB NOT NULL)"

_CHAIN: Final = """CREATE VIEW chain AS
         SELECT b.idx AS "index",
                CASE WHEN p.hash IS NOT NULL THEN lower(hex(p.hash))
                     WHEN typeof(b.data) = 'blob' THEN lower(hex(substr(b.data, 15, 32))) ELSE '0' END AS previous_hash,
                b.timestamp, CASE typeof(b.data) WHEN 'text' THEN b.data END AS data, lower(hex(b.hash)) AS hash,
                CASE typeof(b.data) WHEN 'blob' THEN lower(hex(substr(b.data, 63, 32))) END AS log_root
         FROM blocks b LEFT JOIN blocks p ON p.idx = b.idx - 1"""
_LOG: Final = """CREATE VIEW log AS
         SELECT l.position + r.seq - l.first AS position, r.id, l.idx AS "index", CAST(r.data AS TEXT) AS data
         FROM logged l JOIN records r ON r.seq >= l.first AND r.seq < l.first + l.count"""

# What RecordHoldings counts.
_NOTHING_COUNTED: Final = """INSERT INTO meta (key, value)
         VALUES ('aside_bytes', 0), ('pool_records', 0), ('pool_bytes', 0)"""

_BANS: Final = "CREATE TABLE bans (seq INTEGER PRIMARY KEY, subject TEXT NOT NULL UNIQUE)"

TABLES: Final = (
    # The best chain. mark: NULL, or X'' (carries a duty first), or the 32-byte hash of the duty's first carrier.
    """CREATE TABLE blocks (
         idx INTEGER PRIMARY KEY, hash BLOB NOT NULL, timestamp INTEGER NOT NULL, mark BLOB, data TEXT NOT NULL)""",
    # What is kept beside it. seq: order of arrival. run: seq of the first block of an unbranched stretch
    # (see side.py). bytes: what the block counts against Limits.side_bytes.
    """CREATE TABLE side (
         seq INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, idx INTEGER NOT NULL, previous_hash BLOB NOT NULL,
         timestamp INTEGER NOT NULL, run INTEGER NOT NULL, bytes INTEGER NOT NULL, mark BLOB, data TEXT NOT NULL)""",
    "CREATE INDEX side_children ON side (previous_hash)",
    "CREATE INDEX side_runs ON side (run, idx)",
    "CREATE INDEX side_foreign ON side (seq, bytes) WHERE mark IS NULL",
    # Side blocks without a child beside the best chain.
    "CREATE TABLE tips (seq INTEGER PRIMARY KEY)",
    # Duties that no block of the best chain carries, by the block that carried them first.
    "CREATE TABLE lost (idx INTEGER, hash BLOB, PRIMARY KEY (idx, hash)) WITHOUT ROWID",
    # Which blocks carry a duty; written when a carrier goes aside and when a duty is mined again.
    "CREATE TABLE carriers (duty BLOB, idx INTEGER, hash BLOB, PRIMARY KEY (duty, idx, hash)) WITHOUT ROWID",
    _STAGED,
    _PATH,
    "CREATE TABLE peers (seq INTEGER PRIMARY KEY, address TEXT NOT NULL UNIQUE)",
    _BANS,
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID",
    _RECORDS,
    _RECORD_IDS,
    _POOL,
    _LOGGED,
    _ASIDE,
    _TILES,
    # For people.
    _CHAIN,
    _LOG,
)

_UPGRADES: Final = {
    # Staged blocks and bans. The hash index keeps prefixes as blobs now: no index is this ledger's, so one is built.
    1: (
        _STAGED,
        "DROP TABLE path",
        _PATH,
        _BANS,
        "UPDATE meta SET value = '' WHERE key = 'pair'",
        f"UPDATE meta SET value = {NOTHING_INDEXED} WHERE key = 'indexed_to'",  # noqa: S608 - our own constant
    ),
    # Records.
    2: (
        _RECORDS,
        _RECORD_IDS,
        _POOL,
        _LOGGED,
        _ASIDE,
        _TILES,
        _NOTHING_COUNTED,
        "DROP VIEW chain",
        _CHAIN,
        _LOG,
    ),
}
"""By schema version: what makes of a file of that version one of the next. Old entries stay as they are."""


def is_blank(database: Database) -> bool:
    """Was nothing ever written here? True of an empty file, and of one whose maker died at once."""
    (objects,) = database.one("SELECT count(*) FROM sqlite_master")
    return objects == 0 and _pragma(database, "application_id") == 0 and _pragma(database, "user_version") == 0


def create(database: Database, network: Network) -> None:
    """Lay out a blank file and give it the genesis block, all or nothing. Raises StoreError."""
    database.write("BEGIN IMMEDIATE")
    for statement in TABLES:
        database.write(statement)
    genesis = network.genesis
    database.write(
        "INSERT INTO blocks (idx, hash, timestamp, mark, data) VALUES (?, ?, ?, NULL, ?)",
        (genesis.index, bytes.fromhex(genesis.hash), genesis.timestamp, _genesis_data(genesis)),
    )
    meta = {"network": network.id, "side_bytes": 0, "indexed_to": NOTHING_INDEXED, "pair": ""}
    database.write_many("INSERT INTO meta (key, value) VALUES (?, ?)", list(meta.items()))
    database.write(_NOTHING_COUNTED)
    database.write(f"PRAGMA application_id = {APPLICATION_ID}")
    database.write(f"PRAGMA user_version = {SCHEMA_VERSION}")
    database.write("COMMIT")


def _genesis_data(genesis: AnyBlock) -> str | bytes:
    """What stands in the row of the genesis block, which holds no records."""
    return encode(genesis, ()) if isinstance(genesis, SealedBlock) else genesis.data


def upgrade(database: Database) -> None:
    """Bring a file that is ours to this program's schema version, all or nothing. Raises StoreError."""
    version = version_of(database)
    if version == SCHEMA_VERSION:
        return
    database.write("BEGIN IMMEDIATE")
    for number in range(version, SCHEMA_VERSION):
        for statement in _UPGRADES[number]:
            database.write(statement)
    database.write(f"PRAGMA user_version = {SCHEMA_VERSION}")
    database.write("COMMIT")


def version_of(database: Database) -> int:
    """The schema version of a ledger."""
    return _pragma(database, "user_version")


def use_log(database: Database) -> None:
    """Switch to write-ahead logging, with which readers and the writer never wait for each other. Raises StoreError."""
    (mode,) = database.one("PRAGMA journal_mode = WAL")
    if mode != "wal":
        raise StoreError(
            f"The file system of {database.path} cannot share memory between programs. "
            "Choose a data folder on a local disk."
        )


def check_is_ours(database: Database, network: Network) -> None:
    """Refuse a file that is no ledger, that a newer version wrote, or that belongs to another network.

    Older versions pass: what only looks reads them as they are. Raises StoreCorruptError or StoreVersionError.
    """
    if _pragma(database, "application_id") != APPLICATION_ID:
        raise StoreCorruptError(f"{database.path} is a database, but no ledger. Choose another data folder.")
    version = version_of(database)
    if version > SCHEMA_VERSION:
        raise StoreVersionError(
            f"{database.path} has schema version {version}; this program knows versions up to {SCHEMA_VERSION}. "
            "Start the newer program again, or restore a backup made by this one."
        )
    if version < min(_UPGRADES):
        raise StoreCorruptError(
            f"{database.path} has schema version {version}, which there never was. Restore it from a backup."
        )
    stored = read_meta(database, "network")
    if stored != network.id:
        raise StoreVersionError(
            f"{database.path} belongs to the network {str(stored)[:64]!r}, not to {network.name!r} ({network.id}). "
            "Choose another data folder, or name the network that it was made for with --network FILE."
        )
    genesis = database.one("SELECT hash FROM blocks WHERE idx = 0")
    if genesis is None or genesis[0] != bytes.fromhex(network.id):
        raise StoreCorruptError(f"{database.path} does not hold the genesis block. Restore it from a backup.", 0)


def read_meta(database: Database, key: str) -> str | int:
    """A value of the table `meta`. Raises StoreCorruptError when it is missing or of no known type."""
    row = database.one("SELECT value FROM meta WHERE key = ?", (key,))
    if row is None or not isinstance(row[0], str | int):
        raise StoreCorruptError(f"{database.path} lacks its setting {key!r}. Restore it from a backup.")
    value: str | int = row[0]
    return value


def read_count(database: Database, key: str) -> int:
    """A number of the table `meta`: of blocks, records or bytes, or `NOTHING_INDEXED`. Raises StoreCorruptError."""
    value = read_meta(database, key)
    if not isinstance(value, int) or not NOTHING_INDEXED <= value <= INDEX_MAX:
        raise StoreCorruptError(f"{database.path} has a setting {key!r} that cannot be. Restore it from a backup.")
    return value


def write_meta(database: Database, key: str, value: str | int) -> None:
    """Change a value of the table `meta`, as part of the running transaction. Raises StoreError, StoreCorruptError when
    it is a count that no ledger comes to: then what was counted is damaged."""
    if isinstance(value, int) and abs(value) > INDEX_MAX:
        raise StoreCorruptError(f"{database.path} is damaged where it counts ({key}). Restore it from a backup.")
    database.write("UPDATE meta SET value = ? WHERE key = ?", (value, key))


def _pragma(database: Database, name: str) -> int:
    return int(database.one(f"PRAGMA {name}")[0])
