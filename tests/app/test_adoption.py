"""A classic chain becomes records of a new network, once each, whatever happens in between."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import pytest

from tallystick.app.adoption import Adopted, AdoptionError, adopt, check_fits, record_data, record_id
from tallystick.chain.contracts import Placed
from tallystick.chain.writes import AddRecords, Append, Erase
from tallystick.consensus import engine_for
from tallystick.errors import StoreError
from tallystick.model.block import Block, header_of
from tallystick.model.limits import LIMITS
from tallystick.model.network import CLASSIC, Kind, SealedRules, sealed_network
from tallystick.model.record import Record, make_record
from tallystick.storage.opening import open_store
from tallystick.storage.reader import SqliteReader
from tallystick.storage.sqlite import SqliteStore

RULES: Final = SealedRules(spacing_ms=1_000, half_life_ms=600_000, bits=0x207FFFFF, max_data_bytes=1_000)
NEW: Final = sealed_network(Kind.WORK, "new", RULES, 1_700_000_000_000)
SMALL: Final = dataclasses.replace(LIMITS, view_page=3)
ENGINE: Final = engine_for(CLASSIC)


def chain(*data: str, on: Sequence[Block] = ()) -> list[Block]:
    """Blocks after genesis."""
    blocks = [*on]
    for each in data:
        parent = blocks[-1] if blocks else CLASSIC.genesis
        block = ENGINE.seal(header_of(parent), each, 1_700_000_000_000)
        assert isinstance(block, Block)
        blocks.append(block)
    return blocks


class Opened(NamedTuple):
    store: SqliteStore
    reader: SqliteReader

    @property
    def pool(self) -> Sequence[Record]:
        return self.store.pool(0, 1_000, 10**9)[0]

    def writes(self, *writes: AddRecords | Append | Erase) -> None:
        self.store.begin()
        for write in writes:
            self.store.apply(write)
        self.store.commit()


@contextmanager
def old(path: Path, blocks: Sequence[Block]) -> Iterator[SqliteReader]:
    """A folder that holds a classic chain."""
    store, reader = open_store(path / f"old-{random.randbytes(4).hex()}", CLASSIC, SMALL)  # noqa: S311 - a name
    if blocks:
        Opened(store, reader).writes(Append(blocks))
    yield reader
    reader.close()
    store.close()


@pytest.fixture
def new(tmp_path: Path) -> Iterator[Opened]:
    store, reader = open_store(tmp_path / "new", NEW, SMALL)
    yield Opened(store, reader)
    reader.close()
    store.close()


def adopted(path: Path, blocks: Sequence[Block], new: Opened) -> Adopted:
    with old(path, blocks) as reader:
        return adopt(reader, new.store, new.reader, random.Random(5), limits=SMALL)  # noqa: S311 - to be repeated


@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 7])
def test_every_block_after_genesis_becomes_a_record_in_order(tmp_path: Path, new: Opened, length: int) -> None:
    blocks = chain(*(f'"é木"\n{n}' for n in range(length)))
    assert adopted(tmp_path, blocks, new) == Adopted(length, length)
    assert [record.id for record in new.pool] == [f"classic:{b.index}:{b.hash[:16]}" for b in blocks]
    for block, record in zip(blocks, new.pool, strict=True):
        assert record.data is not None
        assert msgspec.json.decode(record.data) == {
            "adopted": {"network": CLASSIC.id, "index": block.index, "hash": block.hash, "timestamp": block.timestamp},
            "data": block.data,
        }
    assert len({record.salt for record in new.pool}) == length


def test_it_goes_on_where_it_ended(tmp_path: Path, new: Opened) -> None:
    blocks = chain(*"abcdefgh")
    assert adopted(tmp_path, blocks[:4], new) == Adopted(4, 4)
    before = new.pool
    assert adopted(tmp_path, blocks, new) == Adopted(8, 4)
    assert adopted(tmp_path, blocks, new) == Adopted(8, 0)
    assert new.pool[:4] == before
    assert [record.id for record in new.pool] == [record_id(block) for block in blocks]


def test_a_hole_is_filled(tmp_path: Path, new: Opened) -> None:
    blocks = chain(*"abcdefgh")
    new.writes(AddRecords([make_record(record_id(blocks[5]), msgspec.json.decode(record_data(blocks[5])), bytes(16))]))
    assert adopted(tmp_path, blocks, new) == Adopted(8, 7)


def test_whoever_took_an_id_before_keeps_no_block_out(tmp_path: Path, new: Opened) -> None:
    blocks = chain(*"abcdefgh")
    new.writes(AddRecords([make_record(record_id(blocks[5]), {"adopted": "something else"}, bytes(16))]))
    assert adopted(tmp_path, blocks, new) == Adopted(8, 8)


def test_what_was_erased_does_not_come_back(tmp_path: Path, new: Opened) -> None:
    blocks = chain("a", "b")
    adopted(tmp_path, blocks, new)
    first = new.pool[0]
    new.writes(Erase(first.id))
    assert adopted(tmp_path, blocks, new) == Adopted(2, 0)
    (known,) = new.store.named([first.id])
    assert (known.record.data, known.placed) == (None, Placed.POOL)


def test_another_chain_is_refused(tmp_path: Path, new: Opened) -> None:
    blocks = chain(*"abcdef")
    adopted(tmp_path, blocks, new)
    before = new.pool
    for other in (chain(*"abcx"), chain(*"abcxyzuvw"), chain(*"abc"), []):
        with pytest.raises(AdoptionError, match="of another classic chain"):
            adopted(tmp_path, other, new)
    assert new.pool == before


def test_a_ledger_with_other_things_in_it_is_refused(tmp_path: Path, new: Opened) -> None:
    new.writes(AddRecords([make_record("invoice-1", 5, bytes(16))]))
    with pytest.raises(AdoptionError, match="Adopt into an empty folder"):
        adopted(tmp_path, chain("a"), new)
    assert [record.id for record in new.pool] == ["invoice-1"]


def test_what_fits_no_record_is_named_before_anything_is_done(tmp_path: Path) -> None:
    room = RULES.max_data_bytes - len(record_data(chain("")[0]))
    with old(tmp_path, chain("x" * room)) as reader:
        check_fits(reader, RULES, SMALL)
    with old(tmp_path, chain("a", "b", "c", "d", "x" * (room + 1), "y" * 5_000)) as reader:
        with pytest.raises(AdoptionError, match=r"block 5 .* takes 1,001 bytes .* may hold 1,000") as caught:
            check_fits(reader, RULES, SMALL)
        assert "--max-data-bytes 1001" in str(caught.value)


def test_a_failing_disk_keeps_whole_pages_only(tmp_path: Path, new: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    commits = 0

    def commit() -> None:
        nonlocal commits
        commits += 1
        if commits == 2:
            raise StoreError("the disk is full")
        SqliteStore.commit(new.store)

    monkeypatch.setattr(new.store, "commit", commit)
    with pytest.raises(StoreError):
        adopted(tmp_path, chain(*"abcdefgh"), new)
    assert len(new.pool) == 3
    assert adopted(tmp_path, chain(*"abcdefgh"), new) == Adopted(8, 5)
    assert len(new.pool) == 8
