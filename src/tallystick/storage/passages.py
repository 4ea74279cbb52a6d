"""What can be searched, read from the newest down: the texts of blocks, or the records of the log.

Nothing is kept for it: no index, no column, not a byte more in a write. A stretch is walked backwards by keys that are
there anyway, a row after the other, and whoever asks says how far. What is sought is compared in Python
(`model.needle`): SQL's LIKE knows no case but that of ASCII, takes `%` and `_` for more than they are, and patterns of
strangers make it slow.
"""

from __future__ import annotations

from typing import Any, Final

from tallystick.chain.contracts import Passage
from tallystick.model.block import INDEX_MAX
from tallystick.storage.database import Database
from tallystick.storage.record_rows import damaged_record
from tallystick.storage.rows import damaged

CHAIN: Final = "SELECT idx, hash, timestamp, data FROM blocks WHERE idx < ?1 ORDER BY idx DESC LIMIT ?2"

LOG: Final = """SELECT l.idx, b.hash, b.timestamp, l.position + r.seq - l.first, r.id, r.data
                FROM logged l CROSS JOIN records r LEFT JOIN blocks b ON b.idx = l.idx
                WHERE l.position < ?1 AND r.seq >= l.first AND r.seq < l.first + min(l.count, ?1 - l.position)
                ORDER BY l.position DESC, r.seq DESC LIMIT ?2"""


def of_chain(database: Database, before: int, count: int, characters: int) -> list[Passage]:
    """As `Reader.passages` has it, in a classic network. Raises StoreCorruptError."""
    found: list[Passage] = []
    with database.each(CHAIN, _bounded(before, count)) as rows:
        for index, key, timestamp, data in rows:
            if characters <= 0:
                break
            if found and index != found[-1].index - 1:
                raise damaged(found[-1].index - 1)
            if data.__class__ is not str:
                raise damaged(index)
            found.append(Passage(index, _hash(index, key, timestamp), timestamp, None, None, data))
            characters -= len(data)
    return found


def of_log(database: Database, before: int, count: int, characters: int) -> list[Passage]:
    """Likewise in a sealed network."""
    found: list[Passage] = []
    last: int | None = None
    with database.each(LOG, _bounded(before, count)) as rows:
        for index, key, timestamp, position, id, data in rows:
            if characters <= 0:
                break
            if position.__class__ is not int or (last is not None and position != last - 1):
                raise damaged_record(id)
            if id.__class__ is not str or not (data is None or data.__class__ is bytes):
                raise damaged_record(id)
            text = None if data is None else data.decode()
            found.append(Passage(index, _hash(index, key, timestamp), timestamp, id, position, text))
            characters -= len(text or "")
            last = position
    return found


def _bounded(before: int, count: int) -> tuple[int, int]:
    return min(max(before, 0), INDEX_MAX + 1), min(max(count, 0), INDEX_MAX)


def _hash(index: Any, key: Any, timestamp: Any) -> str:  # noqa: ANN401 - a disk may hold anything
    """Of a block, whose row can be one. Raises StoreCorruptError."""
    if not index.__class__ is timestamp.__class__ is int or key.__class__ is not bytes:
        raise damaged(index)
    found: str = key.hex()
    return found
