"""What stands in the rows of blocks, read: where the kinds of networks differ for those who look.

`blocks`, `side` and `staged` have the same columns in every network. In a classic one `data` is the text of a block; in
a sealed one it is its `content`, and the records stand in a table of their own. `Bodies` turns rows into values;
`Holdings` does what is to be done beside a row when blocks come and go. Both are chosen once, when a ledger is opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from hashlib import sha256
from typing import Any, Final, Protocol

from tallystick.errors import RuleViolation
from tallystick.model.block import Block, Header, block_hash
from tallystick.model.log import root_of
from tallystick.model.network import Network
from tallystick.model.sealed import AnyBlock, SealedBlock, SealedHeader, read_header
from tallystick.storage.content import decode, decode_head, header_of
from tallystick.storage.database import Database, Row
from tallystick.storage.record_rows import read_spans
from tallystick.storage.rows import damaged, size_of, to_block, to_blocks, to_header


class Bodies(Protocol):
    """How rows become blocks and headers."""

    @property
    def hold_records(self) -> bool:
        """Is there a log, and are there records?"""

    def head(self, row: str) -> str:
        """SQL: what `header` needs of a row beside index, hash, timestamp and the parent's hash."""

    def reading(self, database: Database) -> AbstractContextManager[None]:
        """One state for all that a block is read from. For connections that do not write."""

    def header(self, row: Row) -> Header:
        """A header from index, hash, timestamp, the parent's hash and `head`. Raises StoreCorruptError."""

    def header_bytes(self, index: int, data: Any) -> bytes:  # noqa: ANN401 - a disk may hold anything
        """The header as it is hashed, in sealed networks. Raises StoreCorruptError."""

    def block(self, database: Database, row: Row) -> AnyBlock:
        """A block from index, hash, timestamp, data and the parent's hash. Raises StoreCorruptError."""

    def run(
        self,
        database: Database,
        rows: Iterator[Row],
        first: int,
        parent: Any,  # noqa: ANN401 - a disk may hold anything
        size_bytes: int,
    ) -> list[AnyBlock]:
        """Blocks that follow one another from `first` on, from index, hash, timestamp and data of each and the hash of
        the one before: those that count `size_bytes` together, but at least one if there is one. Raises
        StoreCorruptError."""

    def size_of(self, block: AnyBlock) -> int:
        """What a block counts where answers are bounded."""

    def is_intact(self, row: Row) -> bool:
        """Does such a row match its hash? Not asked of the genesis block."""


class PlainBodies:
    """`Bodies` of the classic network: a block is its row."""

    hold_records: Final = False

    def head(self, row: str) -> str:  # noqa: ARG002 - a header needs nothing else
        return "NULL"

    def reading(self, database: Database) -> AbstractContextManager[None]:  # noqa: ARG002 - one statement is one state
        return nullcontext()

    def header(self, row: Row) -> Header:
        index, key, timestamp, parent, _ = row
        return to_header(index, key, timestamp, parent)

    def header_bytes(self, index: int, data: Any) -> bytes:  # noqa: ANN401, ARG002 - see Bodies
        raise AssertionError("classic blocks have no header of their own")

    def block(self, database: Database, row: Row) -> Block:  # noqa: ARG002 - a block is its row
        return to_block(*row)

    def run(
        self,
        database: Database,  # noqa: ARG002 - as above
        rows: Iterator[Row],
        first: int,
        parent: Any,  # noqa: ANN401 - see Bodies
        size_bytes: int,
    ) -> list[AnyBlock]:
        return [*to_blocks(rows, first, parent, size_bytes)]

    def size_of(self, block: AnyBlock) -> int:
        assert isinstance(block, Block)  # noqa: S101 - of this network
        return size_of(block.data)

    def is_intact(self, row: Row) -> bool:
        index, key, timestamp, data, parent = row
        return (
            isinstance(parent, bytes)
            and isinstance(data, str)
            and isinstance(key, bytes)
            and block_hash(index, parent.hex(), timestamp, data) == key.hex()
        )


class SealedBodies:
    """`Bodies` of sealed networks: a block is its content, and the records that its spans name."""

    hold_records: Final = True

    def __init__(self, genesis: SealedBlock) -> None:
        self._genesis = genesis

    def head(self, row: str) -> str:
        return f"{row}.data"

    def reading(self, database: Database) -> AbstractContextManager[None]:
        return database.snapshot()

    def header(self, row: Row) -> SealedHeader:
        index, key, timestamp, parent, head = row
        previous = self._links(index, key, timestamp, parent)
        try:
            found = decode_head(head)
        except (TypeError, ValueError):
            raise damaged(index) from None
        return SealedHeader(index, key.hex(), previous, timestamp, found.weight, found.log_size, found.edge)

    def header_bytes(self, index: int, data: Any) -> bytes:  # noqa: ANN401 - see Bodies
        try:
            return header_of(data)
        except (TypeError, ValueError):
            raise damaged(index) from None

    def block(self, database: Database, row: Row) -> SealedBlock:
        index, key, timestamp, data, parent = row
        previous = self._links(index, key, timestamp, parent)
        try:
            content = decode(data)
            fields = read_header(content.header, len(self._genesis.seal))
        except (TypeError, ValueError, RuleViolation):
            raise damaged(index) from None
        if (fields.index, fields.timestamp) != (index, timestamp) or fields.previous_hash.hex() != previous:
            raise damaged(index)
        records = tuple(read_spans(database, content.spans, index))
        return SealedBlock(
            index,
            previous,
            timestamp,
            records,
            fields.log_size,
            fields.log_root,
            fields.body_hash,
            fields.seal,
            key.hex(),
            content.head.weight,
            content.head.edge,
        )

    def run(
        self,
        database: Database,
        rows: Iterator[Row],
        first: int,
        parent: Any,  # noqa: ANN401 - see Bodies
        size_bytes: int,
    ) -> list[AnyBlock]:
        blocks: list[AnyBlock] = []
        for index, key, timestamp, data in rows:
            if index != first + len(blocks):
                raise damaged(index)
            block = self.block(database, (index, key, timestamp, data, parent))
            size_bytes -= block.size_bytes
            if blocks and size_bytes < 0:
                break
            blocks.append(block)
            parent = key
        return blocks

    def size_of(self, block: AnyBlock) -> int:
        return block.size_bytes

    def is_intact(self, row: Row) -> bool:
        index, key, timestamp, data, parent = row
        try:
            content = decode(data)
            fields = read_header(content.header, len(self._genesis.seal))
        except (TypeError, ValueError, RuleViolation):
            return False
        return (
            sha256(content.header).digest() == key
            and (fields.index, fields.previous_hash, fields.timestamp) == (index, parent, timestamp)
            and root_of(content.head.edge) == fields.log_root
        )

    def _links(self, index: Any, key: Any, timestamp: Any, parent: Any) -> str:  # noqa: ANN401 - a disk may hold anything
        """The parent's hash, once the columns are of the right kind."""
        if not index.__class__ is timestamp.__class__ is int or key.__class__ is not bytes:
            raise damaged(index)
        if parent.__class__ is bytes:
            return str(parent.hex())
        if parent is None and index == 0:
            return self._genesis.previous_hash
        raise damaged(index)


def bodies_of(network: Network) -> Bodies:
    """How blocks of this network are read."""
    return SealedBodies(network.genesis) if isinstance(network.genesis, SealedBlock) else PlainBodies()
