"""Ledgers that were changed by something other than a node: a sound folder, what may happen to its files, and all uses.

Damage is drawn from bytes. Values in cells are replaced by others of any kind, rows are taken out or put in twice, the
layout is changed, and bytes are, where they stand in the file: a disk may do the last, a person with an SQL shell all.
"""

from __future__ import annotations

import io
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final

from tallystick.app.transfer import write_lines
from tallystick.chain.contracts import Reader
from tallystick.chain.writes import Write
from tallystick.errors import StoreError
from tallystick.model.limits import Limits
from tallystick.model.network import Network
from tallystick.model.record import Record
from tallystick.model.sealed import AnyBlock
from tallystick.storage.backup import backup
from tallystick.storage.opening import open_reader, open_store
from tallystick.storage.sqlite import SqliteStore
from tallystick.storage.verify import verify
from tests.fuzz.draw import Draw
from tests.storage.kit import IN_MEMORY
from tests.storage.sealed_kit import perfect

FILES: Final = ("ledger.sqlite", "ledger.sqlite", "ledger.sqlite", "hashes.sqlite")
CHANGES_MOST: Final = 6
EVERYTHING: Final = 10**6
PAGE_BYTES: Final = 4_096

Build = Callable[[Path], None]
"""Makes a sound ledger in a folder."""


class Sound:
    """A sound folder, made once; and what it holds."""

    def __init__(self, build: Build) -> None:
        with tempfile.TemporaryDirectory(dir=IN_MEMORY) as name:
            folder = Path(name)
            build(folder)
            for file in ("ledger.sqlite", "hashes.sqlite"):  # what was drawn by chance, so that bytes are the same
                with closing(sqlite3.connect(folder / file)) as database:
                    database.execute("UPDATE meta SET value = ? WHERE key = 'pair'", ("ab" * 16,))
                    database.commit()
            self.files = {file.name: file.read_bytes() for file in folder.iterdir() if file.suffix == ".sqlite"}
            with closing(sqlite3.connect(folder / "ledger.sqlite")) as ledger:
                self.tables = [
                    (table, [column for _, column, *_ in ledger.execute(f"PRAGMA table_info({table})")])
                    for (table,) in ledger.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
                ]
                self.rows = {
                    table: sorted(ledger.execute(f"SELECT * FROM {table}"), key=repr)  # noqa: S608 - our own tables
                    for table, _ in self.tables
                }
                self.filled = [(table, columns) for table, columns in self.tables if self.rows[table]]

    def put_down(self, folder: Path) -> None:
        """The folder, as it was."""
        for name, content in self.files.items():
            (folder / name).write_bytes(content)


def damaged(sound: Sound, folder: Path, draw: Draw) -> None:
    """The folder, and then some changes of its files."""
    sound.put_down(folder)
    for _ in range(CHANGES_MOST):
        if not draw:
            return
        match draw.upto(3):
            case 0:
                _change_bytes(folder / draw.pick(FILES), draw)
            case 1:
                with (
                    suppress(sqlite3.Error, UnicodeDecodeError),
                    closing(sqlite3.connect(folder / "ledger.sqlite")) as ledger,
                ):
                    _change_rows(sound, ledger, draw)
                    ledger.commit()
            case _:
                with (
                    suppress(sqlite3.Error, UnicodeDecodeError),
                    closing(sqlite3.connect(folder / "ledger.sqlite")) as ledger,
                ):
                    _change_cell(sound, ledger, draw)
                    ledger.commit()


def _change_bytes(file: Path, draw: Draw) -> None:
    content = bytearray(file.read_bytes())
    if not content:
        return
    at = draw.upto(len(content) - 1)
    match draw.upto(5):
        case 0:
            del content[at:]
        case 1:
            content[at] ^= 1 << draw.upto(7)
        case 2:
            page, other = at // PAGE_BYTES * PAGE_BYTES, draw.upto(len(content) // PAGE_BYTES) * PAGE_BYTES
            content[page : page + PAGE_BYTES] = content[other : other + PAGE_BYTES]
        case 3:
            content[at : at + 64] = bytes(len(content[at : at + 64]))
        case _:
            new = draw.take(draw.upto(7) + 1)
            content[at : at + len(new)] = new
    file.write_bytes(content)


def _change_rows(sound: Sound, ledger: sqlite3.Connection, draw: Draw) -> None:
    table, columns = draw.pick(sound.filled)
    row = draw.pick(sound.rows[table])
    match draw.upto(4):
        case 0:
            ledger.execute(f"DELETE FROM {table} WHERE {columns[0]} IS ?", (row[0],))  # noqa: S608 - our own tables
        case 1:
            values = [_value(value, sound, draw) if draw.chance(3) else value for value in row]
            marks = ", ".join("?" * len(columns))
            ledger.execute(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", values)  # noqa: S608 - likewise
        case 2:
            ledger.execute(f"PRAGMA {draw.pick(('user_version', 'application_id'))} = {draw.upto(5)}")
        case 3:
            ledger.execute("PRAGMA writable_schema = ON")
            ledger.execute(
                "UPDATE sqlite_master SET sql = replace(sql, ?, ?) WHERE name = ?", (*draw.pick(LAYOUTS), table)
            )
        case _:
            ledger.execute(f"DROP TABLE {draw.pick(sound.tables)[0]}")


LAYOUTS: Final = (
    (" NOT NULL", ""),
    ("INTEGER", "TEXT"),
    ("PRIMARY KEY", ""),
    ("BLOB", "INT"),
    (" UNIQUE", ""),
    ("idx", "ids"),
)


def _change_cell(sound: Sound, ledger: sqlite3.Connection, draw: Draw) -> None:
    table, columns = draw.pick(sound.filled)
    row, at = draw.pick(sound.rows[table]), draw.upto(len(columns) - 1)
    if draw.chance():  # what forbids odd values is taken away first
        ledger.execute("PRAGMA writable_schema = ON")
        ledger.execute("UPDATE sqlite_master SET sql = replace(sql, ' NOT NULL', '') WHERE name = ?", (table,))
        ledger.commit()
        ledger.execute("PRAGMA writable_schema = RESET")
    ledger.execute(
        f"UPDATE OR REPLACE {table} SET {columns[at]} = ? WHERE {columns[0]} IS ?",  # noqa: S608 - our own tables
        (_value(row[at], sound, draw), row[0]),
    )


def _value(value: Any, sound: Sound, draw: Draw) -> Any:  # noqa: ANN401 - whatever stands in a cell
    """Another one for a cell."""
    match draw.upto(9):
        case 0:
            return None
        case 1:
            return draw.integer() % 2**64 - 2**63
        case 2:
            return draw.upto(70)
        case 3:
            return 1.5
        case 4:
            return draw.pick(("", "0", "text", "\0", "a" * 64))
        case 5:
            return draw.blob(70)
        case 6:  # of another row, of some column
            table, columns = draw.pick(sound.filled)
            return draw.pick(sound.rows[table])[draw.upto(len(columns) - 1)]
    if isinstance(value, bytes | str) and value:
        changed = bytearray(value.encode() if isinstance(value, str) else value)
        changed[draw.upto(len(changed) - 1)] = draw.byte()
        return bytes(changed).decode(errors="replace") if isinstance(value, str) else bytes(changed)
    return value + draw.pick((1, -1, 256)) if isinstance(value, int) else None


# --- all that is done with a ledger --------------------------------------------------------------------


class Uses:
    """What everybody does with a folder. Damage may be told, as a StoreError, and in no other way."""

    def __init__(
        self,
        network: Network,
        limits: Limits,
        *,
        blocks: Sequence[AnyBlock],
        best: Sequence[AnyBlock],
        records: Sequence[Record],
        batches: Sequence[Sequence[Write]],
    ) -> None:
        """`blocks` and `records` are looked up, `best` is the best chain, `batches` are written one after the other."""
        self.network = network
        self.limits = limits
        self.blocks = blocks
        self.best = best
        self.records = records
        self.batches = batches

    def all(self, folder: Path) -> None:
        """Verify, look, run, and copy."""
        is_verified = self._told(lambda: self.verifies(folder))
        is_read = self._told(lambda: self.looks(folder))
        assert is_read or not is_verified, "what was found sound cannot be read"
        self._told(lambda: self.exports(folder))
        with tempfile.TemporaryDirectory(dir=IN_MEMORY) as name:
            self._told(lambda: backup(folder, Path(name) / "copy", self.network, self.limits))
        self._told(lambda: self.runs(folder))

    def _told(self, use: Callable[[], object]) -> bool:
        try:
            use()
        except StoreError as error:
            assert str(error)
            assert "\n" not in str(error)
            assert len(str(error)) < 1_000
            return False
        return True

    def verifies(self, folder: Path) -> None:
        """What is found sound is the chain that was there, or its beginning."""
        found = verify(folder, self.network, thorough=True)
        assert found.tip == self.best[found.blocks - 1].hash

    def looks(self, folder: Path) -> None:
        """Every look-up of a reader."""
        with closing(open_reader(folder, self.network, self.limits)) as reader:
            self._look_up(reader)

    def _look_up(self, reader: Reader) -> None:
        tip = reader.tip().index
        for index in (-1, 0, 1, tip - 1, tip, tip + 1, 2**53):
            reader.header(index)
            reader.header_bytes(index)
            reader.block(index)
            reader.page(index, 3)
        first = 0
        while page := reader.page(first, 5):
            assert page[0].index == first
            first = page[-1].index + 1
        for block in self.blocks:
            reader.find(block.hash)
        reader.forks(10)
        for record in self.records[::2]:
            reader.records_of(record.id)
        for after in (0, 1, 5, len(self.records)):
            reader.records(after, 4)
        size = min(getattr(reader.tip(), "log_size", 0), len(self.records))
        reader.hashes(size, perfect(size))

    def exports(self, folder: Path) -> None:
        """The whole chain, as lines."""
        with closing(open_reader(folder, self.network, self.limits)) as reader:
            write_lines(reader, io.BytesIO(), self.limits)

    def runs(self, folder: Path) -> None:
        """A node: every look-up of its view, and writes of every kind, some of which are dropped."""
        store, reader = open_store(folder, self.network, self.limits)
        try:
            self._view(store)
            for number, batch in enumerate(self.batches):
                store.begin()
                for write in batch:
                    store.apply(write)
                if number % 3 == 2:
                    store.rollback()
                else:
                    store.commit()
            self._view(store)
            reader.page(0, EVERYTHING)
        finally:
            reader.close()
            store.close()

    def _view(self, store: SqliteStore) -> None:
        store.headers(0, EVERYTHING)
        store.blocks(0, EVERYTHING, 10**9)
        store.header_bytes(0, EVERYTHING)
        store.lost(EVERYTHING)
        store.peers()
        store.bans()
        store.pool_size()
        for block in self.blocks:
            store.side(block.hash)
        names = [(record.id, record.leaf) for record in self.records]
        store.named([id for id, _ in names])
        store.known(names)
        store.placed(names)
        store.pool(0, EVERYTHING, 10**9)
        store.pool(2, 2, 100)
        for fork, block in ((0, self.blocks[-1]), (3, self.blocks[-3])):
            store.repeats(fork, block.hash, self.records[:2])


def used(sound: Sound, uses: Uses, draw: Draw) -> None:
    """One input: the folder, damaged as drawn, and used."""
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as name:
        folder = Path(name) / "data"
        folder.mkdir()
        damaged(sound, folder, draw)
        uses.all(folder)
        shutil.rmtree(folder)
