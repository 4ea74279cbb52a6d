"""What every store of a sealed network owes, by example: each test runs on SQLite and in memory."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import product
from pathlib import Path

import msgspec
import pytest

from tallystick.chain.contracts import Known, Placed, Shown
from tallystick.chain.writes import AddRecords, AddSide, Append, DropStaged, Erase, Write
from tallystick.errors import StoreError
from tallystick.model.limits import Limits
from tallystick.model.log import EMPTY_ROOT
from tallystick.model.network import CLASSIC
from tallystick.model.record import Record, without_data
from tallystick.model.sealed import SealedBlock, header_bytes_of
from tallystick.storage.memory import MemoryReader, MemoryStore
from tests.storage.conftest import Opener, Pair
from tests.storage.kit import WIDE, commit, switch
from tests.storage.sealed_blocks import GENESIS, branch, child, record, records, sealed_on_disk
from tests.storage.sealed_kit import log, pending, perfect, placed, root, sealed_in_memory, sealed_lean_in_memory


@pytest.fixture(params=["sqlite", "memory", "lean"])
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    def open_one(limits: Limits = WIDE) -> AbstractContextManager[Pair]:
        if request.param == "sqlite":
            return sealed_on_disk(tmp_path, limits)
        return sealed_in_memory(limits) if request.param == "memory" else sealed_lean_in_memory(limits)

    return open_one


# --- blocks and the log ----------------------------------------------------------------------------


def test_an_empty_store_holds_the_genesis_block_and_an_empty_log(pair: Pair) -> None:
    store, reader = pair
    assert list(store.headers(0, 9)) == [GENESIS.header]
    assert list(store.header_bytes(0, 9)) == [header_bytes_of(GENESIS)]
    assert [reader.header(index) for index in (-1, 0, 1)] == [None, GENESIS.header, None]
    assert [reader.header_bytes(index) for index in (-1, 0, 1)] == [None, header_bytes_of(GENESIS), None]
    assert reader.tip() == GENESIS.header
    assert (reader.block(0), list(reader.page(0, 9))) == (GENESIS, [GENESIS])
    assert (list(store.pool(0, 9, 9)[0]), store.pool_size(), list(store.named(["a"]))) == ([], (0, 0), [])
    assert (list(reader.records(0, 9)), list(reader.records_of("a")), list(reader.hashes(0, []))) == ([], [], [])
    assert GENESIS.log_root == EMPTY_ROOT


def test_blocks_and_their_records_are_read_back_to_the_byte(pair: Pair) -> None:
    store, reader = pair
    a = branch(GENESIS, records("a", 3), [], [record("é is data", "é\0\U0001f600"), without_data(record("b"))])
    commit(store, Append(a))
    assert list(reader.page(0, 9)) == [GENESIS, *a]
    assert list(store.blocks(1, 2, 10**6)) == a[:2]
    assert [reader.find(block.hash) for block in a] == [(block, False, None) for block in a]
    assert [reader.header(block.index) for block in a] == [block.header for block in a]
    assert list(store.header_bytes(1, 9)) == [header_bytes_of(block) for block in a]
    assert list(store.header_bytes(2, 1)) == [header_bytes_of(a[1])]
    assert [reader.header_bytes(block.index) for block in a] == [header_bytes_of(block) for block in a]


def test_a_record_is_shown_with_its_block_and_its_position_in_the_log(pair: Pair) -> None:
    store, reader = pair
    a = branch(GENESIS, [], records("a", 2), [], [record("b")])
    commit(store, AddRecords([record("b"), record("c")]), Append(a))
    assert list(reader.records(0, 9)) == [
        Shown(record("a-0"), 3, a[1].header, 0, Placed.CHAIN),
        Shown(record("a-1"), 4, a[1].header, 1, Placed.CHAIN),
        Shown(record("b"), 1, a[3].header, 2, Placed.CHAIN),
    ]
    assert list(reader.records_of("b")) == list(reader.records(2, 9))
    assert list(reader.records_of("c")) == [Shown(record("c"), 2, None, None, Placed.POOL)]


@pytest.mark.parametrize(("page_bytes", "positions"), [(10**6, [2, 3, 4, 5, 6]), (200, [2, 3]), (199, [2]), (1, [2])])
def test_the_log_is_read_in_pages(opener: Opener, page_bytes: int, positions: list[int]) -> None:
    some = records("r", 7)
    limits = replace(WIDE, page_bytes=page_bytes * some[0].size_bytes // 100)
    with opener(limits) as (store, reader):
        commit(store, Append(branch(GENESIS, some[:3], some[3:])))
        assert [shown.position for shown in reader.records(2, 9)] == positions
        assert [shown.position for shown in reader.records(2, 1)] == [2]
        assert (list(reader.records(7, 9)), list(reader.records(0, 0))) == ([], [])


def test_blocks_are_read_in_pages_of_their_records(pair: Pair) -> None:
    store, _ = pair
    a = branch(GENESIS, *([each] for each in records("r", 5)))
    commit(store, Append(a))
    one = a[0].size_bytes
    assert list(store.blocks(1, 9, 3 * one)) == a[:3]
    assert list(store.blocks(1, 9, 3 * one - 1)) == a[:2]
    assert list(store.blocks(1, 9, 0)) == a[:1]


@pytest.mark.parametrize("size", [*range(9), 300])
def test_hashes_of_the_log_are_those_of_its_definition(pair: Pair, size: int) -> None:
    store, reader = pair
    some = records("r", size + 3)
    a = branch(GENESIS, some[: size // 2], some[size // 2 : size], some[size:])
    commit(store, Append(a))
    leaves = [each.leaf for each in some[:size]]
    nodes = perfect(size)
    expected = [root(leaves[node.index << node.level : (node.index + 1) << node.level]) for node in nodes]
    assert list(reader.hashes(size, nodes)) == expected
    assert a[1].log_root == root(leaves)
    commit(store, AddSide(branch(a[1], [], [], variant=1)), switch(a[-1], a[1], branch(a[1], [], [], variant=1)[-1]))
    assert list(reader.hashes(size, nodes)) == expected, "the log was rewound to this size"


@pytest.mark.parametrize("wrong", ["twice in the pool", "pending", "on the chain", "in the block twice", "log size"])
def test_a_record_is_never_put_in_two_places(pair: Pair, wrong: str) -> None:
    """The core sees to it; if it ever does not, nothing is written."""
    store, reader = pair
    some = records("r", 4)
    tip = child(GENESIS, some[:1])
    commit(store, Append([tip]), AddRecords(some[1:2]))
    refused: dict[str, list[Write]] = {
        "twice in the pool": [AddRecords([some[2], some[2]])],
        "pending": [AddRecords([some[2], some[1]])],
        "on the chain": [Append([child(tip, some[:1])])],
        "in the block twice": [Append([child(tip, [some[2], some[2]])])],
        "log size": [Append([msgspec.structs.replace(child(tip, some[2:]), log_size=9)])],
    }
    store.begin()
    for write in refused[wrong]:
        with pytest.raises(StoreError, match="Refused to"):
            store.apply(write)
    store.rollback()
    assert (pending(store), log(reader)) == (some[1:2], some[:1])
    commit(store, AddRecords(some[2:]))
    assert pending(store) == some[1:]


# --- the pool --------------------------------------------------------------------------------------


def test_the_pool_is_read_in_order_of_arrival_and_in_pages(pair: Pair) -> None:
    store, _ = pair
    some = records("r", 6)
    commit(store, AddRecords(some[:4]))
    commit(store, AddRecords(some[4:]))
    one = some[0].size_bytes
    first, place = store.pool(0, 2, 10**6)
    assert list(first) == some[:2]
    second, place = store.pool(place, 9, 3 * one)
    assert list(second) == some[2:5]
    third, place = store.pool(place, 9, 0)
    assert list(third) == some[5:], "one at least"
    assert store.pool(place, 9, 10**6) == ([], place)
    assert store.pool(place + 10**6, 9, 10**6) == ([], place + 10**6)


def test_the_pool_counts_the_parts_of_its_records_and_something_for_each(pair: Pair) -> None:
    store, _ = pair
    some = [*records("r", 2), without_data(record("bare"))]
    commit(store, AddRecords(some))
    each = WIDE.pool_record_bytes
    assert store.pool_size() == (3, sum(one.size_bytes for one in some) + 3 * each)
    commit(store, Append([child(GENESIS, some[:1])]))
    assert store.pool_size() == (2, sum(one.size_bytes for one in some[1:]) + 2 * each)
    commit(store, Erase("r-1"))
    assert store.pool_size() == (2, len(some[1].entry) + len(some[2].entry) + 2 * each)


def test_a_sealed_record_leaves_the_pool_and_is_the_pools_own_copy(pair: Pair) -> None:
    store, reader = pair
    some = records("r", 4)
    commit(store, AddRecords(some))
    block = child(GENESIS, [without_data(some[2]), some[0]])
    commit(store, Append([block]))
    assert pending(store) == [some[1], some[3]]
    assert log(reader) == [some[2], some[0]]
    assert reader.block(1) == msgspec.structs.replace(block, records=(some[2], some[0]))


def test_a_record_that_was_only_beside_the_chain_is_pending_at_its_old_place(pair: Pair) -> None:
    store, reader = pair
    some = records("r", 4)
    commit(store, AddRecords(some[:1]), AddSide([child(GENESIS, some[1:2])]), AddRecords(some[2:3]))
    assert placed(reader, "r-0", "r-1", "r-2") == [Placed.POOL, Placed.ASIDE, Placed.POOL]
    (before,) = reader.records_of("r-1")
    commit(store, AddRecords([some[3], some[1]]))
    assert pending(store) == some
    (after,) = reader.records_of("r-1")
    assert (before.place, before.placed, after.placed) == (after.place, Placed.ASIDE, Placed.POOL)


def test_readers_see_nothing_of_a_running_batch(pair: Pair) -> None:
    store, reader = pair
    some = records("r", 3)
    commit(store, AddRecords(some[:1]))
    store.begin()
    store.apply(AddRecords(some[1:2]))
    store.apply(Append([child(GENESIS, [some[0], some[2]])]))
    store.apply(Erase("r-1"))
    assert pending(store) == [without_data(some[1])]
    assert placed(reader, "r-0", "r-1", "r-2") == [Placed.POOL]
    assert log(reader) == []
    store.commit()
    assert placed(reader, "r-0", "r-1", "r-2") == [Placed.CHAIN, Placed.POOL, Placed.CHAIN]
    assert log(reader) == [some[0], some[2]]


def test_a_batch_that_is_dropped_leaves_nothing(pair: Pair) -> None:
    store, reader = pair
    some = records("r", 6)
    a = branch(GENESIS, some[:2])
    b = branch(GENESIS, some[1:4], [], variant=1)
    commit(store, AddRecords([some[0], some[4]]), Append(a))
    before = store.pool_size()
    store.begin()
    for write in (AddSide(b), switch(a[-1], GENESIS, b[-1]), AddRecords(some[5:]), Erase("r-0")):
        store.apply(write)
    assert pending(store) == [without_data(some[0]), some[4], some[5]]
    store.rollback()
    assert (store.pool_size(), pending(store), log(reader)) == (before, some[4:5], some[:2])
    assert {known.record.id for known in store.named([each.id for each in some])} == {"r-0", "r-1", "r-4"}
    commit(store, AddSide(b), switch(a[-1], GENESIS, b[-1]))
    assert pending(store) == [some[0], some[4]]


def test_what_is_pending_survives_a_restart(tmp_path: Path) -> None:
    """Catalogue row 83: order, sizes, and what a reorg put back."""
    some = records("r", 5)
    a, b = branch(GENESIS, some[2:4]), branch(GENESIS, some[3:4], [], variant=1)
    with sealed_on_disk(tmp_path) as (store, _):
        commit(store, AddRecords(some), Append(a), AddSide(b))
        commit(store, switch(a[-1], GENESIS, b[-1]), Erase("r-4"))
        expected = [*some[:3], without_data(some[4])]
        assert pending(store) == expected
        size = store.pool_size()
    with sealed_on_disk(tmp_path) as (store, reader):
        assert pending(store) == expected
        assert store.pool_size() == size
        assert log(reader) == some[3:4]
        commit(store, AddRecords(records("later", 1)))
        assert pending(store) == [*expected, *records("later", 1)]


# --- reorgs ----------------------------------------------------------------------------------------


def test_records_of_blocks_that_went_are_pending_again_at_their_old_places(pair: Pair) -> None:
    """Catalogue row 82: none is lost, and none that both branches hold is there twice."""
    #         /- b1 [r3 r1] - b2 [r6]
    # genesis - a1 [r3 r0] - a2 [r1 r5]        r0 .. r4 were posted here, r5 and r6 came with blocks
    store, reader = pair
    some = records("r", 7)
    a = branch(GENESIS, [some[3], some[0]], [some[1], some[5]])
    b = branch(GENESIS, [some[3], some[1]], [some[6]], variant=1)
    commit(store, AddRecords(some[:5]), Append(a), AddSide(b))
    assert pending(store) == [some[2], some[4]]
    commit(store, switch(a[-1], GENESIS, b[-1]))
    assert pending(store) == [some[0], some[2], some[4], some[5]]
    assert log(reader) == [some[3], some[1], some[6]]
    assert reader.find(a[1].hash) == (a[1], True, None)
    commit(store, Append(branch(b[-1], [some[5], some[0]])))
    assert pending(store) == [some[2], some[4]]
    assert log(reader) == [some[3], some[1], some[6], some[5], some[0]]


# --- beside the chain ------------------------------------------------------------------------------


def test_records_of_staged_blocks_are_known_to_the_view_and_to_nobody_else(pair: Pair) -> None:
    store, reader = pair
    some = records("r", 3)
    commit(store, AddSide([child(GENESIS, some)], staged=True), AddSide([child(GENESIS, some[:1], variant=1)]))
    assert list(store.named(["r-1"])) == [(some[1], Placed.ASIDE)]
    assert placed(reader, "r-0", "r-1", "r-2") == [Placed.ASIDE]
    commit(store, AddSide([child(GENESIS, some)]))
    assert placed(reader, "r-0", "r-1", "r-2") == [Placed.ASIDE] * 3


def test_what_only_staged_blocks_held_is_forgotten_with_them(pair: Pair) -> None:
    store, reader = pair
    some = records("r", 8)
    staged = branch(GENESIS, some[:4], some[4:])
    commit(store, AddSide(staged, staged=True), AddSide(staged, staged=True))
    commit(store, AddSide([child(GENESIS, some[1:2], variant=1)]))
    commit(store, AddRecords(some[2:3]), Append([child(GENESIS, some[3:4], variant=2)]), AddSide(staged[1:]))
    commit(store, DropStaged())
    names = [each.id for each in some]
    assert sorted(known.record.id for known in store.named(names)) == names[1:]
    assert placed(reader, *names) == [Placed.ASIDE, Placed.POOL, Placed.CHAIN, *[Placed.ASIDE] * 4]
    assert pending(store) == some[2:3]


def test_a_record_that_comes_again_after_it_was_forgotten_comes_last(pair: Pair) -> None:
    store, _ = pair
    some = records("r", 3)
    commit(store, AddSide([child(GENESIS, some[:1])], staged=True), AddRecords(some[1:2]))
    commit(store, DropStaged())
    commit(store, AddRecords([some[2], some[0]]))
    assert pending(store) == [some[1], some[2], some[0]]


def test_the_oldest_go_when_records_beside_the_chain_are_too_many(opener: Opener) -> None:
    large = [record(f"large-{i}", "x" * 40_000) for i in range(4)]
    with opener(replace(WIDE, side_bytes=100_000, side_block_bytes=100)) as (store, reader):
        blocks = [
            child(GENESIS, [each, record("all hold this"), large[2]], variant=i) for i, each in enumerate(large[:2])
        ]
        commit(store, AddRecords([large[2]]), AddSide(blocks, staged=True), AddSide(blocks), DropStaged())
        assert [store.side(block.hash) is None for block in blocks] == [False, False]
        blocks.append(child(GENESIS, [large[3], record("all hold this")], variant=2))
        commit(store, AddSide(blocks[2:]))
        assert [store.side(block.hash) is None for block in blocks] == [True, False, False]
        names = [*(each.id for each in large), "all hold this"]
        assert {known.record.id for known in store.named(names)} == set(names) - {"large-0"}
        assert list(reader.records_of("large-0")) == []
        assert pending(store) == [large[2]], "what somebody else holds is not forgotten"
        commit(store, AddSide([child(GENESIS, [large[0]], variant=3)], staged=True))
        assert [store.side(block.hash) is None for block in blocks] == [True, False, False], "nor is it counted"


def test_only_data_that_is_there_and_that_nobody_else_holds_counts(opener: Opener) -> None:
    with opener(replace(WIDE, side_bytes=100_000, side_block_bytes=100)) as (store, _):
        large = [record(f"large-{i}", "x" * 40_000) for i in range(6)]
        beside = [
            child(GENESIS, large[:4], 1),
            child(GENESIS, large[4:5], 2),
            child(GENESIS, [without_data(large[5])], 3),
        ]
        commit(store, AddRecords(large[:1]), Append([child(GENESIS, large[1:2])]), AddSide(beside[:1]))
        commit(store, Erase("large-2"), AddSide(beside[1:]))
        assert [store.side(block.hash) for block in beside] == [block.header for block in beside]
        commit(store, AddSide([child(GENESIS, large[5:], 4)]))
        assert [store.side(block.hash) is None for block in beside] == [True, False, False], "now there is its data"


def test_a_branch_is_followed_wherever_its_blocks_are(pair: Pair) -> None:
    store, reader = pair
    some = records("r", 6)
    a, b = branch(GENESIS, some[:1]), branch(GENESIS, *([each] for each in some[1:5]), variant=1)
    commit(store, Append(a), AddSide(b[:1]), AddSide(b[1:3], staged=True), AddSide(b[3:]), AddRecords([some[2]]))
    commit(store, switch(a[-1], GENESIS, b[-1]))
    assert (log(reader), pending(store)) == (some[1:5], some[:1])
    assert list(reader.page(1, 9)) == b


# --- data that is withheld or erased ---------------------------------------------------------------


WHERE = ("pool", "chain", "side", "staged")


def held_by(where: str, held: Record, variant: int) -> Write:
    """What brings a record there."""
    block = child(GENESIS, [held], variant)
    match where:
        case "pool":
            return AddRecords([held])
        case "chain":
            return Append([block])
        case _:
            return AddSide([block], where == "staged")


@pytest.mark.parametrize(
    ("at", "by"),
    [*product(("side", "staged"), WHERE), ("pool", "chain"), *product(("pool", "chain"), ("side", "staged"))],
)
def test_what_was_withheld_is_filled_in_by_a_copy_that_has_it(pair: Pair, at: str, by: str) -> None:
    store, reader = pair
    one, bare = record("one"), without_data(record("one"))
    commit(store, AddRecords([record("first")]), held_by(at, bare, 0), AddSide([child(GENESIS, [bare], variant=1)]))
    assert [known.record for known in store.named(["one"])] == [bare]
    commit(store, held_by(by, one, 2), AddRecords([record("last")]))
    assert [shown.record for shown in reader.records_of("one")] == [one]
    assert set(log(reader)) <= {one}
    assert [each for each in pending(store) if each != one] == [record("first"), record("last")]
    assert store.pool_size()[1] == sum(each.size_bytes + WIDE.pool_record_bytes for each in pending(store))


@pytest.mark.parametrize("where", ["pool", "chain", "side", "staged", "reorganised"])
def test_what_is_erased_stays_so_whatever_comes(pair: Pair, where: str) -> None:
    store, reader = pair
    secret, other = record("secret"), record("other")
    a, b = child(GENESIS, [other, secret]), branch(GENESIS, [], [], variant=1)
    match where:
        case "pool":
            commit(store, AddRecords([secret, other]))
        case "side" | "staged":
            commit(store, AddSide([a], staged=where == "staged"))
        case "chain":
            commit(store, Append([a]))
        case _:
            commit(store, Append([a]), AddSide(b), switch(a, GENESIS, b[-1]))
    (before,) = store.named(["secret"])
    commit(store, Erase("secret"))
    bare = without_data(secret)
    assert list(store.named(["secret"])) == [Known(bare, before.placed)]
    commit(store, AddSide([child(GENESIS, [secret], variant=2)]), AddSide([a]))
    assert [shown.record for shown in reader.records_of("secret")] == [bare]
    if where in {"side", "staged"}:
        commit(store, AddRecords([secret]))
        assert pending(store) == [bare]
    if where != "chain":
        tip = b[-1] if where == "reorganised" else GENESIS
        commit(store, Append([child(tip, [secret, other], variant=4)]))
    shown = next(each for each in reader.records(0, 9) if each.record.id == "secret")
    assert shown.record == bare
    found = reader.find(a.hash)
    assert found is not None
    assert found.block == msgspec.structs.replace(a, records=(other, bare))


def test_what_was_erased_stays_so_after_its_last_holder_went(pair: Pair) -> None:
    store, reader = pair
    secret = record("secret")
    commit(store, AddSide([child(GENESIS, [secret])], staged=True), Erase("secret"), DropStaged())
    assert (list(store.named(["secret"])), list(reader.records_of("secret"))) == ([], [])
    commit(store, AddRecords([secret]))
    assert pending(store) == [without_data(secret)]


def test_all_records_of_that_id_are_erased(pair: Pair) -> None:
    store, _ = pair
    one, namesake, two = record("one"), record("one", "another text"), record("two")
    commit(store, AddRecords([one, two, namesake]))
    commit(store, Erase("nobody"))
    assert pending(store) == [one, two, namesake]
    commit(store, Erase("one"))
    assert pending(store) == [without_data(one), two, without_data(namesake)]


# --- look-ups --------------------------------------------------------------------------------------


def test_all_records_that_share_an_id_are_found(pair: Pair) -> None:
    store, reader = pair
    same = [record("same", text) for text in ("first", "second", "third", "fourth")]
    commit(
        store,
        AddRecords(same[:1]),
        Append([child(GENESIS, same[1:2])]),
        AddSide([child(GENESIS, same[2:3], variant=1)]),
        AddSide([child(GENESIS, same[3:], variant=2)], staged=True),
    )
    expected = list(zip(same, [Placed.POOL, Placed.CHAIN, Placed.ASIDE, Placed.ASIDE], strict=True))
    found = store.named(["same", "nobody", "same"])
    assert sorted(found, key=lambda known: same.index(known.record)) == [Known(*each) for each in expected]
    assert [(shown.record, shown.placed) for shown in reader.records_of("same")] == expected[:3]


def test_a_branch_that_repeats_a_record_is_recognised(pair: Pair) -> None:
    #                    /- b2 [r2] - b3 [r3] - c4 [r2]       c4 staged
    # genesis - a1 [r0 r1] - a2 [r4 r5]                       r6 pending, r7 aside
    store, _ = pair
    some = records("r", 8)
    a = branch(GENESIS, some[:2], some[4:6])
    b = branch(a[0], some[2:3], some[3:4], variant=1)
    c = child(b[1], some[2:3])
    commit(store, Append(a), AddSide(b), AddSide([c], staged=True), AddRecords(some[6:7]))
    commit(store, AddSide([child(GENESIS, some[7:], variant=3)]))

    def repeats(parent: SealedBlock, fork: SealedBlock, *held: Record) -> str | None:
        return store.repeats(fork.index, parent.hash, held)

    assert repeats(a[1], a[1], *some[2:4], *some[6:]) is None
    assert repeats(a[1], a[1], some[2], some[0]) == "r-0"
    assert repeats(a[1], a[1], some[2], some[4]) == "r-4"
    assert repeats(a[0], a[0], *some[2:]) is None, "what stands above the fork is left behind"
    assert repeats(a[0], a[0], some[1]) == "r-1"
    assert repeats(GENESIS, GENESIS, *some) is None
    assert repeats(GENESIS, GENESIS, some[6], record("new"), some[6]) == "r-6"
    assert repeats(GENESIS, GENESIS, record("new"), record("new")) == "new"
    assert repeats(b[1], a[0], *some[4:]) is None
    assert repeats(b[1], a[0], record("new"), some[2]) == "r-2"
    assert repeats(b[1], a[0], some[0]) == "r-0"
    assert repeats(c, a[0]) == "r-2", "within the branch itself"
    assert repeats(b[1], a[0]) is None


def test_another_record_of_the_same_id_is_no_repetition(pair: Pair) -> None:
    store, _ = pair
    a = child(GENESIS, [record("same", "first")])
    b = child(a, [record("same", "second")], variant=1)
    commit(store, Append([a]), AddSide([b]))
    assert store.repeats(1, a.hash, [record("same", "third")]) is None
    assert store.repeats(1, b.hash, [record("same", "third")]) is None
    assert store.repeats(1, b.hash, [record("same", "first")]) == "same"


# --- other networks --------------------------------------------------------------------------------


def test_a_classic_network_knows_no_records() -> None:
    store = MemoryStore(CLASSIC)
    reader = MemoryReader(store)
    assert (list(store.named(["a"])), store.pool(0, 9, 9), store.pool_size()) == ([], ([], 0), (0, 0))
    assert list(store.header_bytes(0, 9)) == []
    assert store.repeats(0, CLASSIC.genesis.hash, []) is None
    assert (list(reader.records_of("a")), list(reader.records(0, 9)), list(reader.hashes(0, []))) == ([], [], [])
    assert (reader.header(0), reader.header(1)) == (CLASSIC.genesis.header, None)
    assert reader.header_bytes(0) is None
    store.begin()
    with pytest.raises(StoreError, match="blocks of this network hold none"):
        store.apply(AddRecords(records("a", 1)))
    store.apply(Erase("a"))
    store.rollback()
