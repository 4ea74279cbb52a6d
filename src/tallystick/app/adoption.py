"""A classic chain carried into a sealed network: each of its blocks becomes a record that says where it was.

    id    classic:<index>:<first 16 digits of the hash>
    data  {"adopted": {"hash": ..., "index": ..., "network": ..., "timestamp": ...}, "data": "<what the block held>"}

The records wait in the pool of the new network's first node, in the order of the old chain, until they are sealed into
blocks. What they say can be held against the old chain for as long as anybody has it: a block's hash follows from its
index, timestamp and data, and the hash of the block before. The genesis block is left out, for everybody knows it.

Adopting again goes on where the last time ended: what is there already is left as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from tallystick.chain.contracts import Reader, Store
from tallystick.chain.writes import AddRecords
from tallystick.errors import StoreCorruptError, TallystickError
from tallystick.model.block import Block
from tallystick.model.canonical import canonical
from tallystick.model.limits import Limits
from tallystick.model.network import CLASSIC, SealedRules
from tallystick.model.record import SALT_BYTES, Record, with_data

HASH_DIGITS: Final = 16
"""So much of a hash tells a block from all others of its index."""

_ID: Final = re.compile(r"classic:([0-9]{1,16}):([0-9a-f]{16})")

Tell = Callable[[int, int], None]
"""Told how many blocks are done, and of how many."""


class AdoptionError(TallystickError):
    """The chain cannot be carried into that network, or not into that folder."""


@dataclass(frozen=True, slots=True)
class Adopted:
    """What was done."""

    blocks: int
    """Blocks of the old chain after its genesis block."""

    added: int
    """Of these, how many came into the pool; the others were there already."""


def check_fits(old: Reader, rules: SealedRules, limits: Limits, tell: Tell = lambda _done, _total: None) -> None:
    """Does every block of the old chain fit a record of the new network? Raises AdoptionError with the first that does
    not."""
    for block in _blocks(old, limits, tell):
        size = len(record_data(block))
        if size > rules.max_data_bytes:
            raise AdoptionError(
                f"block {block.index} of the old chain takes {size:,} bytes as a record, and a record of this network "
                f"may hold {rules.max_data_bytes:,}.\nMake the network with --max-data-bytes {size} or more, and "
                "--max-block-bytes above that. Nothing was adopted."
            )


def adopt(
    old: Reader,
    store: Store,
    new: Reader,
    entropy: Random,
    *,
    limits: Limits,
    tell: Tell = lambda _done, _total: None,
) -> Adopted:
    """Put the blocks of the chain that `old` reads into the pool of `store`, which `new` reads, a page at a time.

    Nobody may change either meanwhile. Raises AdoptionError, and changes nothing, when `store` holds anything but an
    earlier part of the same chain.
    """
    check_continues(old, store, new, limits)
    blocks = added = 0
    page: list[Block] = []
    for block in _blocks(old, limits, tell):
        page.append(block)
        blocks += 1
        if len(page) == limits.view_page:
            added += _add(page, store, entropy)
            page.clear()
    return Adopted(blocks, added + _add(page, store, entropy))


def _blocks(old: Reader, limits: Limits, tell: Tell) -> Iterator[Block]:
    """The old chain, without its genesis block."""
    end = old.tip().index
    first = 1
    while first <= end:
        page = old.page(first, min(limits.view_page, end + 1 - first))
        if not page:
            raise StoreCorruptError(f"Block {first} of the old chain cannot be read. Run verify there.", first)
        for block in page:
            assert isinstance(block, Block)  # noqa: S101 - of a classic network
            yield block
        first += len(page)
        tell(first - 1, end)


def record_id(block: Block) -> str:
    """The id of the record that a block becomes."""
    return f"classic:{block.index}:{block.hash[:HASH_DIGITS]}"


def record_data(block: Block) -> bytes:
    """What that record holds."""
    origin = {"network": CLASSIC.id, "index": block.index, "hash": block.hash, "timestamp": block.timestamp}
    return canonical({"adopted": origin, "data": block.data})


def _add(page: Sequence[Block], store: Store, entropy: Random) -> int:
    """Put those of a page into the pool that are not there yet; returns how many."""
    there = {(known.record.id, known.record.data) for known in store.named([record_id(block) for block in page])}
    records = [
        with_data(id, data, entropy.randbytes(SALT_BYTES))
        for id, data in ((record_id(block), record_data(block)) for block in page)
        if not there & {(id, data), (id, None)}  # somebody may have taken the id, and what was erased stays so
    ]
    if not records:
        return 0
    store.begin()
    try:
        store.apply(AddRecords(records))
        store.commit()
    except BaseException:
        store.rollback()
        raise
    return len(records)


# --- continuing -------------------------------------------------------------------------------------


def check_continues(old: Reader, store: Store, new: Reader, limits: Limits) -> None:
    """Is the new ledger empty, or does all that it has of a classic chain belong to this one? Raises AdoptionError."""
    if new.tip().index == 0 and store.pool_size()[0] == 0:
        return
    adopted = 0
    for record in _held(store, new, limits):
        if (parts := _ID.fullmatch(record.id)) is None:
            continue
        adopted += 1
        header = old.header(int(parts[1]))
        if header is None or header.hash[:HASH_DIGITS] != parts[2]:
            raise AdoptionError(
                f"the new folder holds block {parts[1]} of another classic chain ({record.id}), and the old one has "
                "not.\nAdopt into an empty folder. Nothing was changed."
            )
    if not adopted:
        raise AdoptionError(
            "the new folder holds a ledger already, and nothing of the old chain.\n"
            "Adopt into an empty folder, before a node runs there. Nothing was changed."
        )


def _held(store: Store, new: Reader, limits: Limits) -> Iterator[Record]:
    """All records of the new ledger: those in blocks, then those in the pool."""
    position = 0
    while shown := new.records(position, limits.view_page):
        yield from (each.record for each in shown)
        position += len(shown)
    place = 0
    while True:
        pending, place = store.pool(place, limits.view_page, limits.page_bytes)
        if not pending:
            return
        yield from pending
