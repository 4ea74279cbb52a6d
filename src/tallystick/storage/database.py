"""One SQLite connection, and the one place where its errors become ours.

Everything this package asks of SQLite goes through a `Database`. Writes go through `write` and
`write_many` only: a test that overrides these two sees, fails or survives every write step of a node.

Numbers, texts and bytearrays go to SQLite as they are. For each `bytes` and each None Python's module looks for an
adapter first, which takes longer than to write it: where thousands of rows are written, hand over bytearrays, and leave
out what is NULL.

After a write failed, nothing is written again: a kernel that reported a failed fsync may have thrown the
pages away, and a second fsync that succeeds proves nothing. The process stops; reopening tells the truth.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from tallystick.errors import StoreCorruptError, StoreError, StoreFullError, StoreLockedError

BUSY_TIMEOUT_S: Final = 5.0
"""How long a lock of another program (an SQL shell, say) is waited for."""

CACHE_KIB: Final = 2_000
"""Pages a connection keeps in memory; SQLite's own default, named so that memory stays flat by intent."""

WAL_KEPT_BYTES: Final = 64 * 1024 * 1024
"""A log that a deep switch made larger is cut back to this once it is copied into the main file."""

REASON_CHARACTERS: Final = 200
"""Of a reason given by SQLite so much is passed on."""

Row = Sequence[Any]

_ERRORS: Final = (sqlite3.Error, UnicodeDecodeError)
"""The second is raised in place of the first when SQLite quotes damaged bytes in its message."""

PRIMARY_CODE: Final = 0xFF
"""SQLite keeps the kind of an error in the low byte and its details above it (sqlite.org/rescode.html)."""


class Database:
    """A connection in autocommit mode: a transaction is begun and ended by naming it."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self.failure: StoreError | None = None
        self._connection = connection

    @classmethod
    def open(cls, path: Path, *, mode: str = "rw") -> Database:
        """Open an existing file: `rw` to write, `look` beside a writer of this process, `ro` from another process.

        Raises StoreError.
        """
        uri = path.absolute().as_uri() + ("?mode=rw" if mode == "look" else f"?mode={mode}")
        with translated(path):
            # The owner calls from one thread at a time; which thread that is, is the owner's business.
            connection = sqlite3.connect(
                uri, uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_S, check_same_thread=False
            )
        database = cls(path, connection)
        try:
            database.all(f"PRAGMA cache_size = -{CACHE_KIB}")
            database.all("PRAGMA cell_size_check = ON")  # look closer at pages: damage is found where it is
            if mode == "rw":
                database.all("PRAGMA synchronous = FULL")
                database.all("PRAGMA fullfsync = ON")  # macOS: fsync alone leaves data in the drive's cache
                database.all(f"PRAGMA journal_size_limit = {WAL_KEPT_BYTES}")
            else:
                database.all("PRAGMA query_only = ON")
                database.all("PRAGMA schema_version")  # touch the file, so that what cannot be read fails here
        except BaseException:
            database.close()
            raise
        return database

    @classmethod
    def open_to_look(cls, path: Path) -> Database:
        """Open a file that another process may be writing, changing nothing. Raises StoreError.

        SQLite needs a `-shm` file even to read a database in WAL mode. Where it cannot make one (a folder of
        somebody else, a read-only mount) and no log is waiting, no one is writing, and it may read the bare file.
        """
        try:
            return cls.open(path, mode="ro")
        except StoreCorruptError:
            raise
        except StoreError:
            log = path.with_name(path.name + "-wal")
            if log.exists() and log.stat().st_size:
                raise
            return cls.open(path, mode="ro&immutable=1")

    def attach(self, path: Path, name: str) -> None:
        """Let the statements of this connection read another database as `name`. Raises StoreError."""
        self.all("ATTACH ? AS " + name, (f"{path.absolute().as_uri()}?mode=ro",))

    # --- writing -------------------------------------------------------------------------------

    def write(self, sql: str, parameters: Sequence[object] = ()) -> None:
        """Execute one statement that writes, or begins or ends a transaction."""
        if self.failure is not None:
            raise self.failure
        try:
            self._connection.execute(sql, parameters)
        except _ERRORS as error:
            self.failure = explain(error, self.path)
            raise self.failure from error

    def write_many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Execute one statement for each row."""
        if self.failure is not None:
            raise self.failure
        try:
            self._connection.executemany(sql, rows)
        except _ERRORS as error:
            self.failure = explain(error, self.path)
            raise self.failure from error

    def wipe(self) -> None:
        """From now on overwrite with zeros whatever is deleted."""
        self.all("PRAGMA secure_delete = ON")

    def empty_log(self) -> bool:
        """Copy the write-ahead log into the main file and cut it to nothing. Not within a transaction. False when a
        reader, or the disk, does not let us now: what was committed is as safe as before, so that is no error."""
        self.all("PRAGMA busy_timeout = 0")  # nobody waits for it
        try:
            busy, *_ = self.one("PRAGMA wal_checkpoint(TRUNCATE)")
        except StoreError:
            return False
        finally:
            self.all(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_S * 1000)}")
        return not busy

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def undo(self) -> None:
        """Roll back, if there is anything to roll back. Never raises: SQLite may have done it already."""
        with suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    # --- reading -------------------------------------------------------------------------------

    def one(self, sql: str, parameters: Sequence[object] = ()) -> Any:  # noqa: ANN401 - a row is what the SQL says
        """The first row, or None."""
        try:
            cursor = self._connection.execute(sql, parameters)
            row = cursor.fetchone()
            cursor.close()  # else the statement, and with it a read transaction, stays open
        except _ERRORS as error:
            raise explain(error, self.path) from error
        return row

    def all(self, sql: str, parameters: Sequence[object] = ()) -> list[Any]:
        """All rows; for results that are bounded by the query."""
        try:
            return self._connection.execute(sql, parameters).fetchall()
        except _ERRORS as error:
            raise explain(error, self.path) from error

    @contextmanager
    def each(self, sql: str, parameters: Sequence[object] = ()) -> Iterator[Iterator[Any]]:
        """Rows one by one. Until the context is left, they hold a read transaction."""
        with translated(self.path):
            cursor = self._connection.execute(sql, parameters)
            try:
                yield cursor
            finally:
                cursor.close()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let several reads see one state. For connections that do not write."""
        with translated(self.path):
            self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self.undo()

    def check_pages(self) -> None:
        """SQLite's own check of every page. Raises StoreCorruptError."""
        (verdict,) = self.one("PRAGMA quick_check(1)")
        if verdict != "ok":
            raise StoreCorruptError(f"{self.path} is damaged ({one_line(verdict)}). Restore it from a backup.")

    def copy_to(self, target: Database, pages: int) -> None:
        """SQLite's online backup of the state this connection sees, `pages` at a time."""
        with translated(target.path):
            self._connection.backup(target._connection, pages=pages)

    def close(self) -> None:
        """Idempotent."""
        with suppress(sqlite3.Error):
            self._connection.close()


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Tell errors of SQLite as ours, naming the file."""
    try:
        yield
    except _ERRORS as error:
        raise explain(error, path) from error


def explain(error: sqlite3.Error | UnicodeDecodeError, path: Path) -> StoreError:
    """What an error of SQLite means for the operator. Errors that only a bug can cause are raised as they are."""
    if isinstance(error, sqlite3.ProgrammingError | sqlite3.InterfaceError):
        raise error
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)  # none: text that is not UTF-8
    kind, what, advice = _MEANINGS.get(code & PRIMARY_CODE, _DAMAGED)
    return kind(f"{path} {what} ({one_line(error)}). {advice}")


def one_line(what: object) -> str:
    """A reason given by SQLite, fit for a message: it may quote what a damaged file holds."""
    text = " ".join(str(what).split())[:REASON_CHARACTERS]
    return "".join(character if character.isprintable() else "?" for character in text)


_Meaning = tuple[type[StoreError], str, str]

_DAMAGED: Final[_Meaning] = (StoreCorruptError, "is damaged", "Run verify, then restore it from a backup.")

_REFUSED: Final[_Meaning] = (
    StoreFullError,
    "cannot be read or written",
    "Check the disk, its quota, its mount and the file's mode, then start again.",
)

_HELD: Final[_Meaning] = (StoreLockedError, "is locked by another program", "Close it and start again.")

_MEANINGS: Final[dict[int, _Meaning]] = {
    sqlite3.SQLITE_FULL: (StoreFullError, "does not fit on its disk", "Free some space and start again."),
    sqlite3.SQLITE_IOERR: _REFUSED,
    sqlite3.SQLITE_NOLFS: _REFUSED,
    sqlite3.SQLITE_READONLY: _REFUSED,
    sqlite3.SQLITE_PERM: _REFUSED,
    sqlite3.SQLITE_AUTH: _REFUSED,
    sqlite3.SQLITE_CANTOPEN: (StoreError, "cannot be opened", "Check that it exists and that you may use it."),
    sqlite3.SQLITE_BUSY: _HELD,
    sqlite3.SQLITE_LOCKED: _HELD,
    sqlite3.SQLITE_NOTADB: (StoreCorruptError, "is not a database", "Restore it from a backup."),
}
