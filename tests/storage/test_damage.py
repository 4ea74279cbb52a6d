"""Bytes that change by themselves: found, named by index where that can be known, and never a traceback."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tallystick.chain.writes import OWN, AddSide, Append
from tallystick.errors import StoreCorruptError, StoreError
from tallystick.model.network import CLASSIC
from tallystick.storage.opening import open_reader, open_store
from tallystick.storage.verify import verify
from tests.storage.kit import GENESIS, WIDE, branch, classic, commit, on_disk, switch

TEXTS = [f"This is the text of block {i}, long enough to be found in the file. " * 4 for i in range(1, 61)]
BLOCKS = branch(GENESIS, *TEXTS)
OTHERS = branch(BLOCKS[9], *(f"other {i} " * 30 for i in range(60)))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound")
    with on_disk(path) as (store, _):
        commit(store, Append(BLOCKS, [OWN, None] * 30))
        commit(store, AddSide(OTHERS[:55]), switch(BLOCKS[-1], BLOCKS[9], OTHERS[54]))
        commit(store, AddSide(branch(OTHERS[20], "aside", "and more")))
    return path


def damaged(sound: Path, target: Path, change: Callable[[bytearray], None]) -> Path:
    shutil.copytree(sound, target)
    content = bytearray((target / "ledger.sqlite").read_bytes())
    change(content)
    (target / "ledger.sqlite").write_bytes(bytes(content))
    return target


def use(path: Path) -> None:
    """Everything one does with a ledger; StoreErrors are what may come of it."""
    for look in (lambda: verify(path, CLASSIC, thorough=True), lambda: read(path), lambda: run(path)):
        try:
            look()
        except StoreError as error:
            assert str(error)
            assert "\n" not in str(error)


def read(path: Path) -> None:
    reader = open_reader(path, CLASSIC)
    try:
        first = 0
        while page := reader.page(first, 20):
            first = page[-1].index + 1
        reader.find(BLOCKS[30].hash)
        reader.find(OTHERS[3].hash)
        reader.forks(10)
    finally:
        reader.close()


def run(path: Path) -> None:
    store, reader = open_store(path, CLASSIC, WIDE)
    try:
        store.headers(0, 1000)
        store.blocks(0, 1000, 10**6)
        store.lost(1000)
        store.side(BLOCKS[20].hash)
        tip = reader.tip()
        store.begin()
        last = classic(reader.block(tip.index) or GENESIS)
        store.apply(Append(branch(last, "next")))
        store.commit()
        store.begin()
        store.apply(switch(branch(last, "next")[0], BLOCKS[9], BLOCKS[-1]))
        store.rollback()
    finally:
        reader.close()
        store.close()


def test_a_changed_byte_of_a_block_is_found_at_its_index(sound: Path, tmp_path: Path) -> None:
    """Catalogue row 102: a bit flip is detected by hash, with the exact position."""
    for number, index in enumerate((3, 7, 10)):
        text = f"text of block {index}, ".encode()

        def flip(content: bytearray, text: bytes = text) -> None:
            at = content.index(text)
            content[at] ^= 1

        path = damaged(sound, tmp_path / str(number), flip)
        with pytest.raises(StoreCorruptError) as found:
            verify(path, CLASSIC)
        assert found.value.index == index
        use(path)


def test_bytes_flipped_anywhere_never_pass_for_another_chain_and_never_crash(sound: Path, tmp_path: Path) -> None:
    """Catalogue row 102: whatever is flipped, either every block reads as it was, or the damage is told."""
    chance = random.Random(5)  # noqa: S311 - the same damage every time
    size = (sound / "ledger.sqlite").stat().st_size
    for number in range(150):
        places = [chance.randrange(size) for _ in range(chance.choice((1, 1, 3, 50)))]

        def flip(content: bytearray, places: list[int] = places) -> None:
            for place in places:
                content[place] ^= 1 << chance.randrange(8)

        path = damaged(sound, tmp_path / str(number), flip)
        try:
            tip = verify(path, CLASSIC).tip
        except StoreError:
            pass
        else:
            assert tip == OTHERS[54].hash
        use(path)


def test_a_block_that_is_missing_is_told_by_whoever_reads_past_it(sound: Path, tmp_path: Path) -> None:
    path = damaged(sound, tmp_path / "hole", lambda _: None)
    connection = sqlite3.connect(path / "ledger.sqlite")
    connection.execute("DELETE FROM blocks WHERE idx = 20")
    connection.commit()
    connection.close()
    with on_disk(path) as (store, _):
        assert len(store.blocks(10, 10, 10**6)) == 10
        for first in (10, 20, 21):
            with pytest.raises(StoreCorruptError, match="Block 21 is damaged") as found:
                store.blocks(first, 100, 10**6)
            assert found.value.index == 21
        assert store.blocks(22, 1, 10**6)[0].index == 22


@pytest.mark.parametrize("page", range(1, 12))
def test_a_zeroed_page_is_told(sound: Path, tmp_path: Path, page: int) -> None:
    """Catalogue row 102: a page of zeros."""

    def zero(content: bytearray) -> None:
        content[page * 4096 : (page + 1) * 4096] = bytes(4096)

    path = damaged(sound, tmp_path / "zeroed", zero)
    with pytest.raises(StoreError):
        verify(path, CLASSIC, thorough=True)
    use(path)


@pytest.mark.parametrize("pages", [0.3, 1, 2, 5, 9.5])
def test_a_file_cut_short_is_told(sound: Path, tmp_path: Path, pages: float) -> None:
    """Catalogue row 102: a short write."""

    def cut(content: bytearray) -> None:
        del content[int(pages * 4096) :]

    path = damaged(sound, tmp_path / "cut", cut)
    with pytest.raises(StoreError):
        verify(path, CLASSIC)
    use(path)


def test_damage_that_sqlite_quotes_in_its_message_is_told(sound: Path, tmp_path: Path) -> None:
    """Python raises UnicodeDecodeError in place of SQLite's own error when the message is not UTF-8."""

    def spoil(content: bytearray) -> None:
        for was, now in ((b"tabletipstips", b"tablet\xc5pstips"), (b"CREATE TABLE tips", b"CREATE TABEL tips")):
            at = content.index(was)
            content[at : at + len(was)] = now

    path = damaged(sound, tmp_path / "spoilt", spoil)
    for opening in (verify, open_reader, open_store):
        with pytest.raises(StoreCorruptError, match="is damaged"):
            opening(path, CLASSIC)


def test_the_sound_ledger_is_sound(sound: Path, tmp_path: Path) -> None:
    path = damaged(sound, tmp_path / "same", lambda _: None)
    assert verify(path, CLASSIC, thorough=True).tip == OTHERS[54].hash
    read(path)
    run(path)
