"""Records on disk: stored once, held by somebody or gone, and gone for good when they were erased."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tallystick.chain.contracts import Placed
from tallystick.chain.writes import AddRecords, AddSide, Append, DropStaged, Erase, Write
from tallystick.errors import StoreCorruptError, StoreError, StoreVersionError
from tallystick.model.limits import LIMITS, MIB
from tallystick.model.log import grow
from tallystick.model.network import CLASSIC
from tallystick.model.record import without_data
from tallystick.model.sealed import SealedBlock, header_bytes_of
from tallystick.model.tiles import tops_of
from tallystick.storage.backup import backup
from tallystick.storage.opening import open_reader, open_store
from tallystick.storage.record_rows import stored
from tallystick.storage.sqlite import SqliteStore
from tallystick.storage.verify import verify
from tests.effort import examples
from tests.storage import record_script
from tests.storage.kit import WIDE, commit, switch
from tests.storage.record_script import batches, observed
from tests.storage.script import play
from tests.storage.sealed_blocks import GENESIS, NETWORK, branch, child, record, records, sealed_on_disk


def rows(store: SqliteStore, sql: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in store._database.all(sql)]


def stored_ids(store: SqliteStore) -> list[str]:
    return [str(id) for (id,) in rows(store, "SELECT id FROM records ORDER BY seq")]


@pytest.mark.parametrize("number", [1, 9, 10, 99, 100, 234])
def test_many_records_are_stored_as_each_of_them_would_be(tmp_path: Path, number: int) -> None:
    with sealed_on_disk(tmp_path) as (store, reader):
        some = [without_data(each) if at % 3 == 1 else each for at, each in enumerate(records("r", number))]
        block = child(GENESIS, some)
        commit(store, Append([block]))
        assert reader.block(1) == block
        assert rows(store, "SELECT seq, id, tag, entry, erased, salt, data FROM records ORDER BY seq") == [
            (at, each.id, int.from_bytes(each.leaf[:6], "big"), each.entry, None, each.salt, each.data)
            for at, each in enumerate(some, 1)
        ]


def test_of_many_rows_of_which_one_cannot_be_stored_none_is(tmp_path: Path) -> None:
    before, *others = (records(name, 250) for name in "abc")
    with sealed_on_disk(tmp_path) as (store, _):
        commit(store, AddRecords(before))
        store.begin()
        store.apply(AddRecords(others[0]))
        store._database.write("INSERT INTO records (seq, id, tag, entry) VALUES (633, 'x', 0, x'00')")
        with pytest.raises(StoreCorruptError, match="UNIQUE"):
            store.apply(AddRecords(others[1]))
        with pytest.raises(StoreCorruptError, match="UNIQUE"):
            store.commit()
        store.rollback()
    with sealed_on_disk(tmp_path) as (store, _):
        assert stored_ids(store) == [each.id for each in before]
        commit(store, AddRecords(others[1]))
    assert verify(tmp_path, NETWORK).records == 0


# --- spans -----------------------------------------------------------------------------------------


def test_sealing_what_is_pending_moves_no_record(tmp_path: Path) -> None:
    with sealed_on_disk(tmp_path) as (store, reader):
        some = records("r", 500)
        for start in range(0, 500, 100):
            commit(store, AddRecords(some[start : start + 100]))
        assert rows(store, "SELECT * FROM pool") == [(1, 500)]
        block = child(GENESIS, some[100:200])
        commit(store, Append([block]))
        assert rows(store, "SELECT * FROM pool") == [(1, 100), (201, 300)]
        assert rows(store, "SELECT * FROM logged") == [(101, 100, 1, 0)]
        assert reader.block(1) == block
        assert list(store.header_bytes(0, 9)) == [header_bytes_of(GENESIS), header_bytes_of(block)]
        assert list(store.header_bytes(1, 1)) == [header_bytes_of(block)]
        (size,) = store._database.one("SELECT length(data) FROM blocks WHERE idx = 1")
        assert size < 400, "a block has a span and no records"


def test_a_record_is_stored_once_whatever_holds_it(tmp_path: Path) -> None:
    with sealed_on_disk(tmp_path) as (store, _):
        some = records("r", 10)
        a, b, c = (child(GENESIS, some[i : i + 8], variant=i) for i in range(3))
        commit(
            store, AddRecords(some[:3]), AddSide([a, b]), AddSide([c], staged=True), Append([child(GENESIS, some[2:5])])
        )
        assert stored_ids(store) == [each.id for each in some]
        assert rows(store, "SELECT * FROM aside") == [(6, 3, 2, 1), (9, 1, 1, 1), (10, 1, 0, 1)]


def test_records_of_a_branch_given_up_are_removed_unless_somebody_else_holds_them(tmp_path: Path) -> None:
    with sealed_on_disk(tmp_path) as (store, _):
        some = records("r", 12)
        kept = [child(GENESIS, some[:2]), child(GENESIS, [some[5]], variant=1)]
        staged = branch(GENESIS, some[:4], some[4:9], some[9:], variant=2)
        commit(store, AddSide(kept), AddSide(staged, staged=True), AddRecords([some[7]]))
        assert len(stored_ids(store)) == 12
        commit(store, DropStaged())
        assert stored_ids(store) == ["r-0", "r-1", "r-5", "r-7"]
        commit(store, AddSide(staged, staged=True))
    assert verify(tmp_path, NETWORK).notes == ()
    with sealed_on_disk(tmp_path) as (store, reader):
        assert stored_ids(store) == ["r-0", "r-1", "r-5", "r-7"], "a start forgets it too"
        assert [shown.placed for shown in reader.records_of("r-7")] == [Placed.POOL]


def test_what_a_side_block_brings_counts_once_and_goes_with_its_last_holder(tmp_path: Path) -> None:
    limits = replace(WIDE, side_bytes=20_000, side_block_bytes=100)
    with sealed_on_disk(tmp_path, limits) as (store, _):
        large = [record(f"large-{i}", "x" * 6_000) for i in range(3)]
        first, again, second, third = (
            child(GENESIS, held, variant=i) for i, held in enumerate(([large[0]], [large[0]], [large[1]], [large[2]]))
        )
        for block in (first, again, second):
            commit(store, AddSide([block]))
        assert stored_ids(store) == ["large-0", "large-1"]
        commit(store, AddSide([third]))
        assert stored_ids(store) == ["large-0", "large-1", "large-2"], "within the limit"
        commit(store, AddSide([child(GENESIS, [record("more", "y" * 1_500)], variant=9)]))
        assert store.side(first.hash) is None
        assert store.side(again.hash) is None, "dropping the first freed nothing: the second held the same"
        assert stored_ids(store) == ["large-1", "large-2", "more"]
    assert verify(tmp_path, NETWORK).notes == ()


def test_a_branch_of_blocks_that_all_hold_the_same_is_not_kept_for_nothing(tmp_path: Path) -> None:
    """A block may cost a few bytes and refer to a megabyte: that is counted as long as anybody refers to it."""
    limits = replace(WIDE, side_bytes=10_000, side_block_bytes=100)
    with sealed_on_disk(tmp_path, limits) as (store, _):
        for turn in range(20):
            held = [record(f"turn-{turn}", "x" * 3_000)]
            commit(store, AddSide([child(GENESIS, held, variant=2 * turn)]))
            commit(store, AddSide([child(GENESIS, held, variant=2 * turn + 1)]))
            (size,) = store._database.one(
                "SELECT coalesce(sum(length(entry) + length(salt) + length(data)), 0) FROM records"
            )
            assert size <= limits.side_bytes


def test_a_copy_with_its_data_completes_one_without(tmp_path: Path) -> None:
    with sealed_on_disk(tmp_path) as (store, reader):
        some = records("r", 3)
        commit(store, AddRecords([without_data(each) for each in some]))
        before = store.pool_size()
        commit(store, AddSide([child(GENESIS, some[:1])]))
        assert store.pool_size() == (3, before[1] + some[0].size_bytes - len(some[0].entry))
        commit(store, Append([child(GENESIS, some[:2], variant=1)]))
        assert [shown.record for shown in reader.records(0, 9)] == some[:2]
        assert store.pool_size() == (1, len(some[2].entry) + WIDE.pool_record_bytes)


@pytest.mark.parametrize("twice", ["pool", "chain", "block"])
def test_a_record_is_never_put_in_two_places(tmp_path: Path, twice: str) -> None:
    """The core sees to it; if it ever does not, nothing is written."""
    with sealed_on_disk(tmp_path) as (store, _):
        some = records("r", 3)
        tip = child(GENESIS, some[1:2])
        commit(store, AddRecords(some[:1]), Append([tip]))
        wrong: dict[str, Write] = {
            "pool": AddRecords(some[:1]),
            "chain": Append([child(tip, some[1:2])]),
            "block": Append([child(tip, [some[2], some[2]])]),
        }
        store.begin()
        with pytest.raises(StoreError, match="Refused to put"):
            store.apply(wrong[twice])
        store.rollback()
        assert store.pool_size()[0] == 1
    assert verify(tmp_path, NETWORK).records == 1


# --- the log ---------------------------------------------------------------------------------------


def tops_in(blocks: Sequence[SealedBlock], parent: SealedBlock) -> list[bytes]:
    """What whoever checked these blocks has hashed of the log."""
    tops: list[bytes] = []
    for block in blocks:
        tops += tops_of(grow(parent.edge, parent.log_size, [each.leaf for each in block.records]))
        parent = block
    return tops


SIZES = (255, 1, 3, 700, 0, 66)


def test_a_log_is_the_same_whoever_hashed_it(tmp_path: Path) -> None:
    """The tops of tiles are a help, which any write may lack."""
    blocks = branch(GENESIS, *(records(f"r{at}", size) for at, size in enumerate(SIZES)))
    kept = []
    for name, helped in (("alone", []), ("helped", [0, 1, 2]), ("now and then", [1])):
        with sealed_on_disk(tmp_path / name) as (store, _):
            for number, (start, end) in enumerate(pairwise([0, 2, 4, 6])):
                run, before = blocks[start:end], blocks[start - 1] if start else GENESIS
                tops = tops_in(run, before)
                assert len(tops) == run[-1].log_size // 256 - before.log_size // 256
                commit(store, Append(run, None, tops if number in helped else None))
            kept.append(rows(store, "SELECT key, hashes FROM tiles ORDER BY key"))
        assert verify(tmp_path / name, NETWORK).records == sum(SIZES)
    assert kept[0] == kept[1] == kept[2]
    assert len(kept[0]) == 6


def test_hashes_that_do_not_lead_to_the_root_are_not_kept(tmp_path: Path) -> None:
    blocks = branch(GENESIS, *(records(f"r{at}", size) for at, size in enumerate(SIZES)))
    before, run = blocks[0], blocks[1:]
    tops = tops_in(run, before)
    moved = msgspec.structs.replace(run[-1], edge=(*run[-1].edge[:-1], bytes(32)))
    wrong = {
        "another": Append(run, None, [*tops[:-1], bytes(32)]),
        "fewer": Append(run, None, tops[:-1]),
        "more": Append(run, None, [*tops, bytes(32)]),
        "none": Append(run, None, []),
        "in another order": Append(run, None, tops[::-1]),
        "to another edge": Append([*run[:-1], moved], None, tops),
    }
    with sealed_on_disk(tmp_path) as (store, _):
        commit(store, Append([before]))
        for name, write in wrong.items():
            store.begin()
            with pytest.raises(StoreError, match="do not lead to its root"):
                store.apply(write)
            store.rollback()
            assert len(stored_ids(store)) == SIZES[0], name
        commit(store, Append(run, None, tops))
    assert verify(tmp_path, NETWORK).records == sum(SIZES)


# --- what is known already -------------------------------------------------------------------------


@settings(max_examples=examples(30))
@given(st.lists(st.lists(st.sampled_from("ABMNYZ"), unique=True, min_size=1), min_size=1, max_size=5), st.booleans())
def test_a_record_is_found_again_wherever_its_id_is_among_the_others(batches: list[list[str]], lacking: bool) -> None:  # noqa: FBT001 - drawn
    """Only ids up to the greatest that is stored are looked up."""
    with tempfile.TemporaryDirectory() as folder, sealed_on_disk(Path(folder)) as (store, _):
        places: dict[str, int] = {}
        for batch in batches:
            some = [record(name) for name in batch]
            found, without = stored(store._database, some)
            assert found == {each.entry: places[each.id] for each in some if each.id in places}
            assert without == (set(found) if lacking else set())
            fresh = [each for each in some if each.id not in places]
            places |= {each.id: at for at, each in enumerate(fresh, len(places) + 1)}
            if fresh:
                commit(store, AddRecords([without_data(each) for each in fresh] if lacking else fresh))


# --- reorgs ----------------------------------------------------------------------------------------


def test_a_deep_reorg_of_records_needs_no_memory(tmp_path: Path) -> None:
    store, reader = open_store(tmp_path, NETWORK, replace(LIMITS, index_batch=2_000))
    a = branch(GENESIS, *(records(f"a{i}", 20) for i in range(1_500)))
    b = branch(GENESIS, *(records(f"b{i}", 20) for i in range(1_510)), variant=1)
    for start in range(0, 1_510, 100):
        commit(store, Append(a[start : start + 100]), AddSide(b[start : start + 100], staged=True))
    tips = a[-1], b[-1]
    pending = a[-1].log_size
    del a, b
    tracemalloc.start()
    assert store.repeats(0, tips[1].hash, []) is None
    commit(store, switch(tips[0], GENESIS, tips[1]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5 * MIB, "60,000 records would be 20 MB"
    assert store.pool_size()[0] == pending
    assert len(reader.records(tips[1].log_size - 5, 9)) == 5
    reader.close()
    store.close()
    assert verify(tmp_path, NETWORK).notes == ()


# --- erasing ---------------------------------------------------------------------------------------

SECRET = "the text that nobody may find again "  # noqa: S105 - no password


def traces(folder: Path) -> list[str]:
    """The files of a folder that hold the secret, or the beginning of it."""
    return [file.name for file in folder.iterdir() if SECRET[:20].encode() in file.read_bytes()]


@pytest.mark.parametrize("length", [1, 100, 3_000], ids=lambda times: f"{times * len(SECRET)} characters")
@pytest.mark.parametrize("where", ["pool", "chain", "side", "staged", "reorganised"])
def test_what_is_erased_is_in_no_file_any_more(tmp_path: Path, where: str, length: int) -> None:
    secret = record("secret", SECRET * length)
    around = [record(f"around-{i}", "x" * 500) for i in range(6)]
    a, b = child(GENESIS, [*around[:3], secret, *around[3:]]), branch(GENESIS, [], [], variant=1)
    with sealed_on_disk(tmp_path, replace(WIDE, side_bytes=10**9)) as (store, reader):
        match where:
            case "pool":
                commit(store, AddRecords([*around, secret]))
            case "side" | "staged":
                commit(store, AddSide([a], staged=where == "staged"))
            case "chain":
                commit(store, AddRecords([secret]), Append([a]))
            case _:
                commit(store, Append([a]), AddSide(b), switch(a, GENESIS, b[-1]))
        assert traces(tmp_path)
        commit(store, Erase("secret"))
        assert traces(tmp_path) == []
        (known,) = store.named(["secret"])
        assert known.record == without_data(secret)
        commit(store, AddSide([child(GENESIS, [secret], variant=5)]))
        assert traces(tmp_path) == [], "it does not come back"
        assert [shown.record.data for shown in reader.records_of("secret")] == [None]
    assert traces(tmp_path) == []
    assert verify(tmp_path, NETWORK).notes == ()


def test_a_reader_delays_forgetting_and_does_not_prevent_it(tmp_path: Path) -> None:
    secret = record("secret", SECRET)
    with sealed_on_disk(tmp_path) as (store, _):
        commit(store, AddRecords([secret]))
        reader = open_reader(tmp_path, NETWORK)
        with reader._database.snapshot():
            reader.tip()
            commit(store, Erase("secret"))
            assert traces(tmp_path)
        reader.close()
        commit(store)
        assert traces(tmp_path) == []


def test_a_node_killed_after_erasing_leaves_no_text_once_it_is_started_again(tmp_path: Path) -> None:
    secret = record("secret", SECRET)
    live, killed = tmp_path / "live", tmp_path / "killed"
    with sealed_on_disk(live) as (store, _):
        commit(store, AddRecords([secret]))
        store.begin()
        store.apply(Erase("secret"))
        store._database.write("COMMIT")
        shutil.copytree(live, killed)
        assert traces(killed)
    with sealed_on_disk(killed):
        assert traces(killed) == []


def test_a_branch_that_was_given_up_leaves_no_text_to_be_found_later(tmp_path: Path) -> None:
    """What came, went and came again was in the file twice."""
    secret = record("secret", SECRET * 20)
    with sealed_on_disk(tmp_path) as (store, _):
        commit(store, AddSide([child(GENESIS, [record("one"), secret])], staged=True))
        commit(store, DropStaged())
        commit(store, AddRecords([record("two"), secret]))
        commit(store, Erase("secret"))
        assert traces(tmp_path) == []


def test_what_was_erased_stays_so_after_its_last_holder_went(tmp_path: Path) -> None:
    secret = record("secret", SECRET)
    with sealed_on_disk(tmp_path) as (store, _):
        commit(store, AddSide([child(GENESIS, [secret, record("other")])], staged=True), Erase("secret"))
        commit(store, DropStaged())
        assert list(store.named(["secret"])) == []
    with sealed_on_disk(tmp_path) as (store, reader):
        assert reader.records_of("secret") == []
        commit(store, Append([child(GENESIS, [secret])]))
        assert [shown.record for shown in reader.records_of("secret")] == [without_data(secret)]
    assert traces(tmp_path) == []
    assert verify(tmp_path, NETWORK).notes == ()


def test_erasing_what_is_not_there_changes_nothing(tmp_path: Path) -> None:
    with sealed_on_disk(tmp_path) as (store, reader):
        commit(store, AddRecords([record("one")]), Erase("on"), Erase("two"))
        assert [shown.record for shown in reader.records_of("one")] == [record("one")]
        commit(store, AddRecords([record("two")]))
        assert store.pool(0, 9, 10**6)[0] == [record("one"), record("two")]


# --- many records of one id --------------------------------------------------------------------------


def steps(store: SqliteStore, look: Callable[[], object]) -> int:
    """How many instructions SQLite executes."""
    counted = 0

    def count() -> int:
        nonlocal counted
        counted += 1
        return 0

    store._database._connection.set_progress_handler(count, 1)
    look()
    store._database._connection.set_progress_handler(None, 1)
    return counted


def test_no_look_up_costs_more_for_the_records_that_share_an_id(tmp_path: Path) -> None:
    """Ids are anybody's to choose: ten thousand records of one cost whoever asks for some of them no more than ten."""
    costs = []
    for number in (40, 4_000):
        with sealed_on_disk(tmp_path / str(number), LIMITS) as (store, reader):
            same = [record("same", f"text {i}") for i in range(number)]
            commit(store, AddRecords(same[: number // 2]))
            commit(store, Append([child(GENESIS, same[number // 2 :])]))
            names = [(each.id, each.leaf) for each in same[:20]]
            others = [record("same", f"another {i}") for i in range(20)]
            looks: list[Callable[[], object]] = [
                lambda store=store, names=names: store.known(names),  # type: ignore[misc]
                lambda store=store, names=names: store.placed(names),  # type: ignore[misc]
                lambda store=store: store.named(["same", "nobody"]),  # type: ignore[misc]
                lambda store=store, some=others: stored(store._database, some),  # type: ignore[misc]
                lambda store=store, some=same[:20]: stored(store._database, some),  # type: ignore[misc]
                lambda store=store, some=others: store.repeats(1, GENESIS.hash, some),  # type: ignore[misc]
            ]
            costs.append([steps(store, look) for look in looks])
            assert len(store.known(names)) == len(store.placed(names)) == 20
            assert len(store.named(["same", "nobody"])) == LIMITS.records_per_id
            assert len(reader.records_of("same")) == min(number, LIMITS.records_per_page)
    few, many = costs
    assert all(cost < 2 * before + 100 for before, cost in zip(few, many, strict=True)), costs


def test_of_many_records_that_share_an_id_each_is_stored_once_and_all_are_erased(tmp_path: Path) -> None:
    with sealed_on_disk(tmp_path, LIMITS) as (store, reader):
        same = [record("same", f"text {i}") for i in range(1_500)]
        commit(store, AddRecords(same[:900]))
        block = child(GENESIS, same[600:])
        commit(store, AddSide([block]), AddSide([child(GENESIS, same[1_000:], variant=1)]), Append([block]))
        assert len(stored_ids(store)) == 1_500
        assert reader.block(1) == block
        commit(store, Erase("same"))
        assert rows(store, "SELECT count(*) FROM records WHERE data IS NOT NULL OR erased IS NULL") == [(0,)]
    assert verify(tmp_path, NETWORK).notes == ()


# --- the file --------------------------------------------------------------------------------------


def test_people_read_the_log_with_any_sql_tool(tmp_path: Path) -> None:
    a = branch(GENESIS, records("a", 2), [], [record("b"), without_data(record("c"))])
    with sealed_on_disk(tmp_path) as (store, _):
        commit(store, AddRecords([record("z"), record("b")]), Append(a))
    connection = sqlite3.connect(tmp_path / "ledger.sqlite")
    log = connection.execute("SELECT * FROM log ORDER BY position").fetchall()
    chain = connection.execute('SELECT "index", previous_hash, timestamp, data, hash, log_root FROM chain').fetchall()
    connection.close()
    assert log == [
        (0, "a-0", 1, '"the text of a-0"'),
        (1, "a-1", 1, '"the text of a-1"'),
        (2, "b", 3, '"the text of b"'),
        (3, "c", 3, None),
    ]
    assert chain == [(b.index, b.previous_hash, b.timestamp, None, b.hash, b.log_root.hex()) for b in (GENESIS, *a)]


def test_a_sealed_ledger_is_no_classic_one(tmp_path: Path) -> None:
    with sealed_on_disk(tmp_path):
        pass
    for opening in (open_store, open_reader, verify):
        with pytest.raises(StoreVersionError, match="belongs to the network"):
            opening(tmp_path, CLASSIC)


def test_the_newest_sealed_blocks_are_recomputed(tmp_path: Path) -> None:
    with sealed_on_disk(tmp_path) as (store, _):
        commit(store, Append(branch(GENESIS, *(records(f"r{i}", 2) for i in range(5)))))
    connection = sqlite3.connect(tmp_path / "ledger.sqlite")
    connection.execute("UPDATE blocks SET timestamp = timestamp + 1 WHERE idx = 3")
    connection.commit()
    connection.close()
    with pytest.raises(StoreCorruptError, match=r"Block 3 in .* does not match its hash") as refused:
        open_store(tmp_path, NETWORK)
    assert refused.value.index == 3


def test_a_backup_of_records_is_a_ledger_for_an_empty_folder(tmp_path: Path) -> None:
    """Catalogue row 110: what is restored equals what was there, down to what is pending."""
    with sealed_on_disk(tmp_path / "data", record_script.LIMITS) as (store, reader):
        play(store, batches())
        expected = observed(store, reader)
        backup(tmp_path / "data", tmp_path / "copy.sqlite", NETWORK)
    restored = tmp_path / "restored"
    restored.mkdir()
    shutil.copy(tmp_path / "copy.sqlite", restored / "ledger.sqlite")
    assert verify(restored, NETWORK, thorough=True).notes == ()
    with sealed_on_disk(restored, record_script.LIMITS) as (store, reader):
        shown = observed(store, reader)
    with sealed_on_disk(tmp_path / "data", record_script.LIMITS) as (store, reader):
        assert shown == observed(store, reader)
        assert expected != shown, "what was staged is forgotten"


@pytest.mark.parametrize("id", ["", "ü", "\ud800", "a\0b", "a" * 129])
def test_an_id_that_no_record_can_have_is_not_found(tmp_path: Path, id: str) -> None:
    with sealed_on_disk(tmp_path) as (store, reader):
        commit(store, AddRecords(records("a", 2)))
        assert list(store.named([id, "a-1", id])) == [(record("a-1"), Placed.POOL)]
        assert reader.records_of(id) == []


def test_a_classic_ledger_knows_no_records(tmp_path: Path) -> None:
    store, reader = open_store(tmp_path, CLASSIC)
    assert list(store.named(["a"])) == []
    assert store.pool(0, 9, 9) == ([], 0)
    assert list(store.header_bytes(0, 9)) == []
    assert store.pool_size() == (0, 0)
    assert (list(reader.records_of("a")), list(reader.records(0, 9)), list(reader.hashes(0, []))) == ([], [], [])
    assert reader.header(0) == CLASSIC.genesis.header
    assert reader.header(1) is None
    store.begin()
    with pytest.raises(StoreError, match="blocks of this network hold none"):
        store.apply(AddRecords(records("a", 1)))
    store.apply(Erase("a"))
    store.rollback()
    reader.close()
    store.close()
