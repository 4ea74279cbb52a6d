"""Verify recomputes a ledger of records: it finds what is wrong and names the block, and nothing where nothing is."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from tallystick.chain.writes import AddRecords, AddSide, Append, Erase
from tallystick.errors import StoreCorruptError, StoreError
from tallystick.model.record import without_data
from tallystick.model.sealed import SealedBlock
from tallystick.storage import verify_chain, verify_records
from tallystick.storage.content import encode
from tallystick.storage.opening import open_reader, open_store
from tallystick.storage.verify import verify
from tests.storage.kit import WIDE, commit, switch
from tests.storage.sealed_blocks import GENESIS, NETWORK, branch, child, record, records, sealed_on_disk

CHAIN = branch(GENESIS, *(records(f"r{i}", 40) for i in range(20)), [], [record("x"), without_data(record("y"))])
OTHERS = branch(CHAIN[17], [record("s-0"), record("r18-1")], records("t", 2), variant=1)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound")
    with sealed_on_disk(path) as (store, _):
        commit(store, AddRecords([*records("r3", 40)[10:30], record("p-1"), record("x"), record("p-2")]))
        for block in CHAIN:
            commit(store, Append([block]))
        commit(store, AddSide(OTHERS), AddSide(branch(GENESIS, records("u", 2), variant=7)))
        commit(store, Erase("r5-5"))
    return path


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "copy"))


def edit(folder: Path, *statements: str, parameters: tuple[object, ...] = ()) -> None:
    connection = sqlite3.connect(folder / "ledger.sqlite")
    for statement in statements:
        connection.execute(statement, parameters)
    connection.commit()
    connection.close()


def test_a_sound_ledger_of_records_is_told_with_all_it_holds(folder: Path) -> None:
    for thorough in (False, True):
        found = verify(folder, NETWORK, thorough=thorough)
        assert (found.blocks, found.tip, found.side_blocks, found.notes) == (23, CHAIN[-1].hash, 3, ())
        assert (found.records, found.pending, found.lost_duties) == (802, 2, 0)


@pytest.mark.parametrize("page", [1, 3, 22])
def test_pages_of_any_size_come_to_the_same(folder: Path, page: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify_chain, "PAGE_BLOCKS", page)
    monkeypatch.setattr(verify_records, "LEAVES_AT_ONCE", 70)
    assert verify(folder, NETWORK).records == 802
    edit(folder, "UPDATE records SET data = '\"forged\"' WHERE id = 'r12-3'")
    with pytest.raises(StoreCorruptError) as found:
        verify(folder, NETWORK)
    assert found.value.index == 13


@pytest.mark.parametrize(
    ("statement", "index", "said"),
    [
        ("UPDATE records SET data = CAST('\"forged\"' AS BLOB) WHERE id = 'r4-7'", 5, "commitment-matches-data"),
        ("UPDATE records SET data = 'text' WHERE id = 'r4-7'", 5, "Block 5 is damaged on disk"),
        ("UPDATE records SET salt = NULL WHERE id = 'r4-7'", 5, "Block 5 is damaged on disk"),
        ("UPDATE records SET salt = randomblob(16) WHERE id = 'r4-7'", 5, "commitment-matches-data"),
        (
            "UPDATE records SET id = 'another' WHERE id = 'r4-7'",
            5,
            "Block 5 is not what its content gives: it has another records",
        ),
        ("UPDATE records SET entry = zeroblob(100) WHERE id = 'r4-7'", 5, "entry-is-well-formed"),
        (
            "UPDATE records SET entry = (SELECT entry FROM records WHERE id = 'r4-8') WHERE id = 'r4-7'",
            5,
            "commitment-matches-data",
        ),
        ("UPDATE records SET entry = (SELECT entry FROM records WHERE id = 'r5-5') WHERE id = 'y'", 22, "body-matches"),
        ("DELETE FROM records WHERE id = 'r4-7'", 5, "Block 5 is damaged on disk"),
        ("UPDATE blocks SET timestamp = timestamp + 1 WHERE idx = 8", 8, "Block 8"),
        ("UPDATE blocks SET hash = randomblob(32) WHERE idx = 8", 8, "Block 8 is not what its content gives"),
        ("UPDATE blocks SET hash = 'text' WHERE idx = 8", 8, "Block 8 is damaged on disk"),
        ("UPDATE blocks SET data = 'text' WHERE idx = 8", 8, "Block 8 is damaged on disk"),
        ("UPDATE blocks SET data = substr(data, 1, 150) WHERE idx = 8", 8, "Block 8 is damaged on disk"),
        ("UPDATE blocks SET data = (SELECT data FROM blocks WHERE idx = 7) WHERE idx = 8", 8, "Block 8"),
        ("DELETE FROM blocks WHERE idx = 8", 8, "Block 8 is missing; the next block there is 9"),
        ("UPDATE blocks SET data = (SELECT data FROM blocks WHERE idx = 7) WHERE idx = 0", 0, "Block 0"),
        ("UPDATE logged SET first = first + 1000 WHERE idx = 9", 9, "Block 9 is not in the log as it should be"),
        ("UPDATE logged SET count = count - 1 WHERE idx = 9", 9, "Block 9 is not in the log as it should be"),
        ("UPDATE logged SET idx = 10 WHERE idx = 9", 9, "Block 9 is not in the log as it should be"),
        ("UPDATE logged SET position = position + 1 WHERE idx = 9", 9, "Block 9 is not in the log as it should be"),
        ("DELETE FROM logged WHERE idx = 9", 9, "Block 9 is not in the log as it should be"),
        (
            "INSERT INTO logged SELECT 5000, 1, 9, position + 1 FROM logged WHERE idx = 9",
            9,
            "Block 9 is not in the log",
        ),
        ("UPDATE tiles SET hashes = zeroblob(length(hashes)) WHERE key = 1", 22, "not in tile 1 of level 0"),
        ("UPDATE tiles SET hashes = zeroblob(length(hashes)) WHERE key >> 48 = 1", 22, "not in tile 0 of level 1"),
        ("DELETE FROM tiles WHERE key = 0", 22, "not in tile 0 of level 0"),
    ],
)
def test_the_first_bad_block_is_named(folder: Path, statement: str, index: int, said: str) -> None:
    edit(folder, statement)
    with pytest.raises(StoreCorruptError, match=said) as found:
        verify(folder, NETWORK)
    assert found.value.index == index
    use(folder)


def test_a_block_kept_with_a_weight_of_its_own_is_named(folder: Path) -> None:
    heavy = msgspec.structs.replace(CHAIN[11], weight=10**9)
    (spans,) = (
        sqlite3.connect(folder / "ledger.sqlite").execute("SELECT first, count FROM logged WHERE idx = 12").fetchall()
    )
    edit(folder, "UPDATE blocks SET data = ? WHERE idx = 12", parameters=(encode(heavy, [spans]),))
    with pytest.raises(StoreCorruptError, match="it has another weight") as found:
        verify(folder, NETWORK)
    assert found.value.index == 12


def test_a_chain_that_puts_a_record_into_the_log_twice_is_damage(folder: Path) -> None:
    """Two blocks whose proofs hold, each with the same record: no store makes that, so it is made by hand."""
    edit(folder, "INSERT INTO records SELECT 9000, id, tag, entry, erased, salt, data FROM records WHERE id = 'r4-7'")
    with pytest.raises(StoreCorruptError, match="Record 'r4-7' is stored twice"):
        verify(folder, NETWORK)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE side SET data = (SELECT data FROM blocks WHERE idx = 3) WHERE seq = 1", "does not match its hash"),
        ("UPDATE records SET data = CAST('1' AS BLOB) WHERE id = 'u-1'", "does not match its hash"),
        ("DELETE FROM records WHERE id = 'u-1'", "does not match its hash"),
        ("UPDATE side SET bytes = 3", "size"),
        ("UPDATE pool SET count = count + 1", "is told to be in two places|is missing"),
        ("DELETE FROM pool", "number or the size of the pending records"),
        ("INSERT INTO pool VALUES (9000, 1)", "record is missing"),
        ("INSERT INTO pool SELECT first, 1 FROM logged LIMIT 1", "in two places"),
        ("UPDATE records SET data = CAST('1' AS BLOB) WHERE id = 'p-1'", "Record 'p-1', which is pending"),
        ("UPDATE records SET id = 'p-3' WHERE id = 'p-1'", "Record 'p-3', which is pending"),
        ("UPDATE meta SET value = value + 1 WHERE key = 'pool_records'", "number or the size of the pending records"),
        ("UPDATE meta SET value = value + 1 WHERE key = 'pool_bytes'", "number or the size of the pending records"),
        ("UPDATE meta SET value = value + 1 WHERE key = 'aside_bytes'", "size of the records beside the chain"),
        ("UPDATE aside SET side = side + 1", "held by other blocks"),
        ("UPDATE aside SET staged = 1", "held by other blocks"),
        ("UPDATE aside SET count = count - 1 WHERE count > 1", "size of the records beside the chain"),
        ("INSERT INTO tiles VALUES (99, zeroblob(32))", "tiles of the log"),
        ("UPDATE tiles SET hashes = CAST(hashes || zeroblob(32) AS BLOB) WHERE key = 3", "tiles of the log"),
        ("INSERT INTO logged VALUES (9000, 1, 22, 802)", "is missing"),
        ("UPDATE records SET erased = 1 WHERE id = 'r1-1'", "erased is still there"),
        ("UPDATE records SET tag = tag + 1 WHERE id = 'r4-7'", "Record 'r4-7' has a tag that is not its own"),
    ],
)
def test_what_is_held_beside_the_blocks_is_held_against_them(folder: Path, statement: str, said: str) -> None:
    edit(folder, statement)
    with pytest.raises(StoreCorruptError, match=said):
        verify(folder, NETWORK)
    use(folder)


def test_records_that_nobody_holds_are_a_note(folder: Path) -> None:
    leaf = sha256(b"\x00\x00").digest()
    lost = "INSERT INTO records VALUES (9000, 'lost', ?, x'00', NULL, NULL, NULL)"
    edit(folder, lost, parameters=(int.from_bytes(leaf[:6], "big"),))
    (note,) = verify(folder, NETWORK).notes
    assert note == "1 records are held by no block and not pending: they only take up room."


def test_bytes_flipped_anywhere_never_pass_for_another_chain_and_never_crash(sound: Path, tmp_path: Path) -> None:
    """Catalogue row 102: whatever is flipped, either every record reads as it was, or the damage is told."""
    chance = random.Random(5)  # noqa: S311 - the same damage every time
    whole = (sound / "ledger.sqlite").read_bytes()
    for number in range(100):
        content = bytearray(whole)
        for _ in range(chance.choice((1, 1, 3, 50))):
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        path = tmp_path / str(number)
        path.mkdir()
        (path / "ledger.sqlite").write_bytes(content)
        with suppress(StoreError):
            assert verify(path, NETWORK).tip == CHAIN[-1].hash
        use(path)


def use(path: Path) -> None:
    """Everything one does with a ledger; StoreErrors are what may come of it."""
    for look in (read, write):
        try:
            look(path)
        except StoreError as error:
            assert "\n" not in str(error)


def read(path: Path) -> None:
    reader = open_reader(path, NETWORK)
    try:
        reader.records(0, 500)
        for name in ("r4-7", "u-1", "p-1"):
            reader.records_of(name)
        reader.find(CHAIN[5].hash)
        reader.forks(9)
        reader.page(0, 99)
    finally:
        reader.close()


def write(path: Path) -> None:
    store, reader = open_store(path, NETWORK, WIDE)
    try:
        store.named(["r4-7", "u-1", "p-1"])
        store.repeats(0, OTHERS[-1].hash, records("r4", 9))
        store.pool(0, 99, 10**6)
        store.headers(0, 99)
        store.begin()
        store.apply(switch(CHAIN[-1], CHAIN[17], OTHERS[-1]))
        store.apply(Append([child(OTHERS[-1], records("z", 2))]))
        store.commit()
    finally:
        reader.close()
        store.close()


def test_a_reorg_between_two_pages_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside a running node: after every page the node switches branches, and verify goes back to what stands."""
    monkeypatch.setattr(verify_chain, "PAGE_BLOCKS", 3)
    with sealed_on_disk(tmp_path) as (store, _):
        commit(store, Append(CHAIN[:12]))
        known: dict[str, SealedBlock] = {block.hash: block for block in (GENESIS, *CHAIN)}
        tips = [CHAIN[11]]

        def turns() -> Iterator[None]:
            for turn, fork in enumerate((8, 1, 5, 0)):
                (at,) = store.headers(fork, 1)
                other = branch(known[at.hash], *(records(f"{turn}-{i}", 3) for i in range(14)), variant=turn + 2)
                known.update({block.hash: block for block in other})
                commit(store, AddSide(other), switch(tips[-1], known[at.hash], other[-1]))
                tips.append(other[-1])
                yield

        turning = turns()
        found = verify(tmp_path, NETWORK, progress=lambda _done, _of: next(turning, None))
        assert found.tip == tips[-1].hash
        assert len(tips) == 5
