"""Recomputing the best chain page by page, whatever its blocks hold, and the check of the classic kind.

Works beside a running node: each page is one snapshot that begins with the last block of the page before. If that block
is another one by now, branches were switched in between, and the check goes back to a page end that still stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, NamedTuple, NoReturn, Protocol

from tallystick.errors import StoreCorruptError
from tallystick.model.block import TIMESTAMP_MAX, TIMESTAMP_MIN, Header, block_hash
from tallystick.model.network import Network
from tallystick.storage.database import Database, Row, translated

PAGE_BLOCKS: Final = 2_000
"""Blocks checked per snapshot; so long the log of a running node may not be cut."""

Progress = Callable[[int, int], None]
"""Told how many blocks are checked, and how many there are."""


class Held(NamedTuple):
    """Records, by who holds them."""

    logged: int = 0
    pending: int = 0
    by_nobody: int = 0


@dataclass(frozen=True, slots=True)
class End:
    """The last block of a page."""

    index: int
    key: bytes
    header: Header | None
    """Where the kind of network needs more of it than its hash."""


class Check(Protocol):
    """What is asked of the blocks of one kind of network."""

    def page(self, rows: Iterator[Row], end: End) -> End:
        """Check rows of `blocks` (index, hash, timestamp, data) that follow `end`. Raises StoreCorruptError that names
        the first bad one."""

    def is_sound(self, row: Row) -> bool:
        """Is a row of `side` (index, hash, timestamp, data, the parent's hash) a block that could be followed?"""

    def check_holdings(self) -> Held:
        """Check what is held beside the rows. Raises StoreCorruptError."""


def check_chain(ledger: Database, check: Check, progress: Progress, checked: Sequence[End] = ()) -> tuple[int, bytes]:
    """Index and hash of the tip, once every block up to it is found sound; those up to the last of `checked` were, and
    these are the ends of stretches of them. Raises StoreCorruptError."""
    ends = list(checked)
    while True:
        end = ends[-1] if ends else End(-1, b"", None)
        after = read_page(ledger, check, end, PAGE_BLOCKS)
        if after is None:
            ends.pop()
        elif after.index == end.index:
            return after.index, after.key
        else:
            ends.append(after)
            progress(after.index + 1, max(tip_index(ledger), after.index) + 1)


def tip_index(ledger: Database) -> int:
    """Index of the last block, as far as it can be told."""
    (index,) = ledger.one("SELECT max(idx) FROM blocks")
    return index if isinstance(index, int) else 0


def read_page(ledger: Database, check: Check, end: End, count: int) -> End | None:
    """The last of up to `count` blocks behind `end`, once they are found sound; None if `end` is not there any more.
    Raises StoreCorruptError."""
    is_first = end.index < 0
    with ledger.each(
        "SELECT idx, hash, timestamp, data FROM blocks WHERE idx >= ? ORDER BY idx LIMIT ?",
        (end.index, count if is_first else count + 1),
    ) as rows:
        if not is_first and not _still_stands(rows, end):
            return None
        return check.page(rows, end)


def _still_stands(rows: Iterator[Row], end: End) -> bool:
    row = next(rows, None)
    return row is not None and row[0] == end.index and row[1] == end.key


def unreadable(index: int, error: StoreCorruptError) -> StoreCorruptError:
    """The error of a block that cannot be read, with its index."""
    return error if error.index is not None else StoreCorruptError(f"Block {index} cannot be read: {error}", index)


def wrong(index: int, reason: str) -> StoreCorruptError:
    """The error of a block that is not what it should be."""
    return StoreCorruptError(f"Block {index} {reason}. Restore the ledger from a backup.", index)


def inconsistent(what: str, index: int | None = None) -> StoreCorruptError:
    """The error of something that contradicts the chain, which is sound."""
    where = "" if index is None else f" (index {index})"
    return StoreCorruptError(f"{what}{where}. The chain itself is sound: export it and import it into a new folder.")


class TextCheck:
    """`Check` of the classic kind: hashes, links and timestamps."""

    def __init__(self, ledger: Database, network: Network) -> None:
        self._ledger = ledger
        self._network = network

    def page(self, rows: Iterator[Row], end: End) -> End:
        index, key = end.index, end.key
        parent = key.hex() if key else self._network.genesis.previous_hash
        try:
            with translated(self._ledger.path):
                for row in rows:
                    at, key, timestamp, data = row
                    digest = sha256(f"{at}{parent}{timestamp}{data}".encode()).digest()
                    if (
                        digest != key
                        or at != index + 1
                        or data.__class__ is not str
                        or timestamp.__class__ is not int
                        or not TIMESTAMP_MIN <= timestamp <= TIMESTAMP_MAX
                        or (at == 0 and key != bytes.fromhex(self._network.id))
                    ):
                        _complain(index + 1, parent, row)
                    index = at
                    parent = digest.hex()
        except StoreCorruptError as error:
            raise unreadable(index + 1, error) from error
        return End(index, bytes.fromhex(parent) if index >= 0 else b"", None)

    def is_sound(self, row: Row) -> bool:
        index, key, timestamp, data, parent = row
        return (
            isinstance(index, int)
            and isinstance(parent, bytes)
            and isinstance(data, str)
            and isinstance(timestamp, int)
            and TIMESTAMP_MIN <= timestamp <= TIMESTAMP_MAX
            and sha256(f"{index}{parent.hex()}{timestamp}{data}".encode()).digest() == key
        )

    def check_holdings(self) -> Held:
        return Held()


def _complain(index: int, parent: str, row: Row) -> NoReturn:
    """Say what is wrong with the block that should stand at `index`."""
    at, key, timestamp, data = row
    if at != index:
        reason = f"is missing; the next block there is {at}"
    elif not isinstance(key, bytes) or not isinstance(data, str) or not isinstance(timestamp, int):
        reason = "holds values of the wrong kind"
    elif not TIMESTAMP_MIN <= timestamp <= TIMESTAMP_MAX:
        reason = f"has the timestamp {timestamp}, which has not ten digits"
    elif (computed := block_hash(index, parent, timestamp, data)) != key.hex():
        reason = f"has the hash {key.hex()[:64]}, but its content and its predecessor give {computed}"
    else:
        reason = f"is the genesis block of another network: {key.hex()}"
    raise wrong(index, reason)
