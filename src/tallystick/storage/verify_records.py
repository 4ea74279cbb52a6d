"""Recomputing a ledger of records: every block goes through the stages of consensus again, as if a peer had sent it.

Then what is held beside the rows is held against what it is derived from: the spans and positions of the log and its
tiles against the blocks, page by page; and who holds which record against the blocks beside the chain.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any, Final

import msgspec

from tallystick.consensus import engine_for
from tallystick.errors import RuleViolation, StoreCorruptError
from tallystick.model.block import Header
from tallystick.model.log import EMPTY_EDGE, HASH_BYTES, extend, leaf_hash
from tallystick.model.network import Network
from tallystick.model.record import Record, check_record, raw_of
from tallystick.model.sealed import TIME_MAX_MS, AnyBlock, SealedBlock, SealedHeader, header_bytes_of
from tallystick.model.tiles import TILE_HASHES
from tallystick.storage import log_rows
from tallystick.storage.bodies import SealedBodies
from tallystick.storage.content import decode, spans_of
from tallystick.storage.database import Database, Row, translated
from tallystick.storage.log_rows import LEVEL_SHIFT, tile_key
from tallystick.storage.record_rows import COLUMNS, measured, tag_of, to_record
from tallystick.storage.schema import read_count
from tallystick.storage.spans import Span, checked
from tallystick.storage.verify_chain import End, Held, inconsistent, unreadable, wrong

LEAVES_AT_ONCE: Final = 10_000
"""Leaf hashes that are held against tiles in one go."""


class RecordCheck:
    """`Check` of sealed networks."""

    def __init__(self, ledger: Database, network: Network) -> None:
        assert isinstance(network.genesis, SealedBlock)  # noqa: S101 - every sealed network has such a one
        assert network.rules is not None  # noqa: S101 - and rules
        self._ledger = ledger
        self._genesis = network.genesis
        self._rules = network.rules
        self._engine = engine_for(network)
        self._bodies = SealedBodies(network.genesis)

    # --- the best chain ------------------------------------------------------------------------

    def page(self, rows: Iterator[Row], end: End) -> End:
        index, parent = end.index, end.header
        leaves: list[bytes] = []
        from_size = 0 if parent is None else _log_size(parent)
        try:
            with translated(self._ledger.path):
                for row in rows:
                    block = self._checked(row, index + 1, parent)
                    self._check_logged(row, block)
                    leaves += [record.leaf for record in block.records]
                    if len(leaves) >= LEAVES_AT_ONCE:
                        self._check_tiles(from_size, leaves, block.index)
                        from_size, leaves = block.log_size, []
                    index, parent = block.index, block.header
            self._check_tiles(from_size, leaves, index)
        except StoreCorruptError as error:
            raise unreadable(index + 1, error) from error
        return End(index, b"" if parent is None else bytes.fromhex(parent.hash), parent)

    def _checked(self, row: Row, index: int, parent: Header | None) -> SealedBlock:
        """The block of a row, once it went through all stages of checking. Raises StoreCorruptError."""
        if row[0] != index:
            raise wrong(index, f"is missing; the next block there is {row[0]}")
        block = self._bodies.block(self._ledger, (*row, None if parent is None else bytes.fromhex(parent.hash)))
        if parent is None:
            if block != self._genesis:
                raise wrong(index, f"is the genesis block of another network: {block.hash}")
            return block
        try:
            run = self._engine.check_run(parent.index, parent.hash, [self._engine.body(block)])
            (placed,) = self._engine.place(run, parent, self._past, TIME_MAX_MS).blocks
        except RuleViolation as broken:
            raise wrong(index, f"breaks a rule ({broken.rule}): {broken.detail}") from broken
        if decode(row[3]).header != header_bytes_of(block):
            raise wrong(index, "is kept with a header that is not its own")
        if placed != block:
            raise wrong(index, f"is not what its content gives: it has {_other(placed, block)}")
        return block

    def _past(self, header: Header, count: int) -> Sequence[Header]:
        """The last headers of the best chain up to one of it, which were checked before."""
        rows = self._ledger.all(
            """SELECT b.idx, b.hash, b.timestamp, p.hash, b.data FROM blocks b LEFT JOIN blocks p ON p.idx = b.idx - 1
               WHERE b.idx > ? AND b.idx <= ? ORDER BY b.idx""",
            (header.index - count, header.index),
        )
        return [self._bodies.header(row) for row in rows]

    def _check_logged(self, row: Row, block: SealedBlock) -> None:
        """Do the log's spans say of this block what it says itself? Raises StoreCorruptError."""
        before = block.log_size - len(block.records)
        spans = spans_of(row[3])
        positions = accumulate((count for _, count in spans), initial=before)
        expected = [(*span, block.index, position) for span, position in zip(spans, positions, strict=False)]
        found = self._ledger.all(
            "SELECT first, count, idx, position FROM logged WHERE position >= ? AND position < ? ORDER BY position",
            (before, block.log_size),
        )
        if found != expected:
            raise wrong(block.index, "is not in the log as it should be")

    def _check_tiles(self, size: int, hashes: list[bytes], index: int) -> None:
        """Do the tiles hold these leaves after the first `size`, and what follows of them? Raises StoreCorruptError."""
        level = 0
        while hashes:
            full = []
            done = 0
            while done < len(hashes):
                number, offset = divmod(size + done, TILE_HASHES)
                part = hashes[done : done + TILE_HASHES - offset]
                row = self._ledger.one("SELECT hashes FROM tiles WHERE key = ?", (tile_key(level, number),))
                end = (offset + len(part)) * HASH_BYTES
                if row is None or not isinstance(row[0], bytes) or row[0][offset * HASH_BYTES : end] != b"".join(part):
                    raise wrong(index, f"or one before it is not in tile {number} of level {level} of the log")
                if offset + len(part) == TILE_HASHES:
                    full.append(_top_of(row[0]))
                done += len(part)
            level, size, hashes = level + 1, size // TILE_HASHES, full

    # --- beside it -----------------------------------------------------------------------------

    def is_sound(self, row: Row) -> bool:
        index, key, *_, parent_key = row
        try:
            block = self._bodies.block(self._ledger, row)
            checked: AnyBlock = self._engine.check_alone(self._engine.read(self._engine.whole(block)))
            parent = self._header(parent_key, index - 1)
            if parent is None:
                checked = msgspec.structs.replace(checked, weight=block.weight, edge=block.edge)  # nobody can say
            else:
                (checked,) = self._engine.place([checked], parent, self._walk, TIME_MAX_MS).blocks
        except (RuleViolation, StoreCorruptError):
            return False
        return checked == block and bytes.fromhex(checked.hash) == key

    def _header(self, key: bytes, index: int) -> SealedHeader | None:
        """The header of that hash, beside the chain or on it."""
        row = self._ledger.one(
            """SELECT idx, hash, timestamp, previous_hash, data FROM side WHERE hash = ?1
               UNION ALL
               SELECT idx, hash, timestamp, previous_hash, data FROM staged WHERE hash = ?1
               UNION ALL
               SELECT b.idx, b.hash, b.timestamp, p.hash, b.data FROM blocks b LEFT JOIN blocks p ON p.idx = b.idx - 1
               WHERE b.idx = ?2 AND b.hash = ?1""",
            (key, index),
        )
        return None if row is None else self._bodies.header(row)

    def _walk(self, header: Header, count: int) -> Sequence[Header]:
        """The last headers of any branch, as far as they are known."""
        found = [header]
        while len(found) < count:
            before = self._header(bytes.fromhex(found[-1].previous_hash), found[-1].index - 1)
            if before is None:
                break
            found.append(before)
        return found[::-1]

    # --- who holds what ------------------------------------------------------------------------

    def check_holdings(self) -> Held:
        logged, pending, covered = self._check_spans()
        self._check_pool(pending)
        self._check_aside()
        self._check_log_ends(logged)
        self._check_tags()
        twice = self._ledger.one(
            """SELECT a.id FROM records a CROSS JOIN records b ON b.id = a.id AND b.tag = a.tag AND b.seq > a.seq
               WHERE b.entry = a.entry LIMIT 1"""
        )
        if twice is not None:
            raise inconsistent(f"Record {twice[0]!r} is stored twice")
        kept = "SELECT 1 FROM records WHERE erased IS NOT NULL AND (salt IS NOT NULL OR data IS NOT NULL)"
        if self._ledger.one(kept) is not None:
            raise inconsistent("A record that was erased is still there")
        return Held(logged, pending, int(self._ledger.one("SELECT count(*) FROM records")[0]) - covered)

    def _check_spans(self) -> tuple[int, int, int]:
        """How many records are in the log, pending, and held at all, once each is found to be held in one way only."""
        counts = [0, 0, 0]
        end = 0
        with self._ledger.each(
            """SELECT first, count, 0 FROM logged UNION ALL SELECT first, count, 1 FROM pool
               UNION ALL SELECT first, count, 2 FROM aside ORDER BY 1"""
        ) as rows:
            for first, count, holder in rows:
                if checked(self._ledger, [(first, count)]) and first < end:
                    raise inconsistent(f"Record number {first} is told to be in two places")
                end = first + count
                (there,) = self._ledger.one("SELECT count(*) FROM records WHERE seq >= ? AND seq < ?", (first, end))
                if there != count:
                    raise inconsistent(f"A record is missing: of the {count} from number {first} on there are {there}")
                counts[holder] += count
        return counts[0], counts[1], sum(counts)

    def _check_tags(self) -> None:
        """Is every record found where it is looked for? Raises StoreCorruptError."""
        with self._ledger.each("SELECT id, tag, entry FROM records") as rows:
            for id, tag, entry in rows:
                if not isinstance(entry, bytes) or tag_of(leaf_hash(entry)) != tag:
                    raise inconsistent(f"Record {str(id)[:128]!r} has a tag that is not its own")

    def _check_pool(self, pending: int) -> None:
        """Is what is pending sound, and rightly counted? Raises StoreCorruptError."""
        size = 0
        with self._ledger.each(
            f"""SELECT {COLUMNS} FROM pool p CROSS JOIN records r
                WHERE r.seq >= p.first AND r.seq < p.first + p.count"""  # noqa: S608 - a constant
        ) as rows:
            for row in rows:
                record = to_record(row)
                size += record.size_bytes
                if not self._is_sound_record(record):
                    raise inconsistent(f"Record {record.id!r}, which is pending, is not what it was")
        if (pending, size) != (read_count(self._ledger, "pool_records"), read_count(self._ledger, "pool_bytes")):
            raise inconsistent("The number or the size of the pending records is wrong")

    def _is_sound_record(self, record: Record) -> bool:
        try:
            return check_record(raw_of(record), self._rules.max_data_bytes) == record
        except RuleViolation:
            return False

    def _check_log_ends(self, logged: int) -> None:
        """Does the log end with the chain? Raises StoreCorruptError."""
        (content,) = self._ledger.one("SELECT data FROM blocks ORDER BY idx DESC LIMIT 1")
        tip = self._bodies.header((0, bytes(32), 0, bytes(32), content))
        if not _log_size(tip) == logged == log_rows.size(self._ledger):
            raise inconsistent("The log is longer or shorter than the chain says")
        expected: list[tuple[int, int]] = []
        level = 0
        while logged:
            last = (logged - 1) // TILE_HASHES
            expected += [(tile_key(level, last), (logged - last * TILE_HASHES) * HASH_BYTES)]
            level, logged = level + 1, logged // TILE_HASHES
        found = self._ledger.all(
            "SELECT max(key), length(hashes) FROM tiles GROUP BY key >> ? ORDER BY 1", (LEVEL_SHIFT,)
        )
        if found != expected:
            raise inconsistent("The tiles of the log are more or fewer than it has")

    def _check_aside(self) -> None:
        """Is `aside` what the blocks beside the chain say, and rightly counted? Raises StoreCorruptError."""
        size = 0
        holders = _Holders(self._ledger)
        with self._ledger.each("SELECT first, count, side, staged FROM aside ORDER BY first") as rows:
            for first, count, side, staged in rows:
                if holders.of((first, count)) != {(side, staged)}:
                    raise inconsistent(f"Records from number {first} on are held by other blocks than is told")
                size += measured(self._ledger, [(first, count)]) if side else 0
        if size != read_count(self._ledger, "aside_bytes"):
            raise inconsistent("The size of the records beside the chain is wrong")


class _Holders:
    """How many side and staged blocks hold each record, as steps: from a place on, so many."""

    def __init__(self, ledger: Database) -> None:
        changes: dict[int, list[int]] = {}
        for number, table in enumerate(("side", "staged")):
            with ledger.each(f"SELECT data FROM {table}") as rows:  # noqa: S608 - one of two
                for (content,) in rows:
                    for first, count in _spans(content, table):
                        changes.setdefault(first, [0, 0])[number] += 1
                        changes.setdefault(first + count, [0, 0])[number] -= 1
        self._places = sorted(changes)
        self._steps: list[tuple[int, int]] = []
        side = staged = 0
        for place in self._places:
            side, staged = side + changes[place][0], staged + changes[place][1]
            self._steps.append((side, staged))

    def of(self, span: Span) -> set[tuple[int, int]]:
        """What holds the records of a span; one answer if it is the same for all."""
        at = bisect_right(self._places, span[0])
        found = {self._steps[at - 1] if at else (0, 0)}
        while at < len(self._places) and self._places[at] < sum(span):
            found.add(self._steps[at])
            at += 1
        return found


def _spans(content: Any, table: str) -> Sequence[Span]:  # noqa: ANN401 - a disk may hold anything
    try:
        return spans_of(content)
    except (TypeError, ValueError):
        raise inconsistent(f"A {table} block is damaged") from None


def _log_size(header: Header) -> int:
    assert isinstance(header, SealedHeader)  # noqa: S101 - of this network
    return header.log_size


def _top_of(hashes: bytes) -> bytes:
    """The hash above a full tile."""
    parts = [hashes[at : at + HASH_BYTES] for at in range(0, TILE_HASHES * HASH_BYTES, HASH_BYTES)]
    (top,) = extend(EMPTY_EDGE, 0, parts)
    return top


def _other(placed: AnyBlock, block: SealedBlock) -> str:
    """Which fields of two blocks differ."""
    names = (name for name in block.__struct_fields__ if getattr(placed, name) != getattr(block, name))
    return ", ".join(f"another {name}" for name in names)
