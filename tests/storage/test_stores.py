"""What every store owes, by example: each test runs on SQLite and in memory."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from tallystick.chain.contracts import Duty
from tallystick.chain.writes import OWN, AddSide, Append, ForgetBan, ForgetPeer, RememberBan, RememberPeer, Switch
from tallystick.errors import StoreCorruptError, StoreError
from tallystick.model.block import Block, header_of
from tallystick.model.network import CLASSIC
from tallystick.storage.verify import verify
from tests.storage.conftest import Opener, Pair
from tests.storage.kit import GENESIS, WIDE, branch, child, commit, on_disk, switch


def test_an_empty_store_holds_the_genesis_block(pair: Pair) -> None:
    store, reader = pair
    assert list(store.headers(0, 10)) == [header_of(GENESIS)]
    assert reader.tip() == header_of(GENESIS)
    assert reader.block(0) == GENESIS
    assert list(reader.page(0, 10)) == [GENESIS]
    assert reader.find(GENESIS.hash) == (GENESIS, False, None)
    assert (list(store.lost(10)), list(store.peers()), list(reader.forks(10))) == ([], [], [])


def test_what_is_appended_is_read_back_to_the_byte(pair: Pair) -> None:
    store, reader = pair
    blocks = branch(
        GENESIS, "", "with \0 inside", "é\U0001f600", "'; DROP TABLE blocks; --", "x" * 100_000, " \r\n\x7f"
    )
    commit(store, Append(blocks, [OWN, None] * 3))
    assert list(reader.page(0, 100)) == [GENESIS, *blocks]
    for block in blocks:
        assert reader.block(block.index) == block
        assert reader.find(block.hash) == (block, False, None)
    assert list(store.headers(2, 3)) == [header_of(block) for block in blocks[1:4]]


def test_readers_see_nothing_of_a_running_batch(pair: Pair) -> None:
    store, reader = pair
    (block,) = branch(GENESIS, "a")
    store.begin()
    store.apply(Append([block]))
    assert list(store.headers(1, 1)) == [header_of(block)]
    assert reader.tip() == header_of(GENESIS)
    assert reader.find(block.hash) is None
    store.commit()
    assert reader.tip() == header_of(block)


def test_a_batch_that_is_dropped_leaves_nothing(pair: Pair) -> None:
    store, reader = pair
    a, b = branch(GENESIS, "a1", "a2"), branch(GENESIS, "b1", "b2", "b3")
    commit(store, Append(a, [OWN, None]))
    store.begin()
    for write in (AddSide(b), switch(a[-1], GENESIS, b[-1]), RememberPeer("ws://a:1"), Append([child(b[-1])])):
        store.apply(write)
    assert store.lost(1)
    store.rollback()
    store.rollback()
    assert list(store.headers(0, 9)) == [header_of(block) for block in (GENESIS, *a)]
    assert (list(store.lost(9)), list(store.peers()), store.side(b[0].hash)) == ([], [], None)
    commit(store, Append([child(a[-1], "a3")]))
    assert reader.tip().index == 3


@pytest.mark.parametrize("wrong", ["gap", "link", "second"])
def test_only_a_block_that_continues_the_tip_is_appended(pair: Pair, wrong: str) -> None:
    store, reader = pair
    a = branch(GENESIS, "a1", "a2", "a3")
    other = branch(GENESIS, "b1", "b2")
    commit(store, Append(a[:1]))
    blocks = {"gap": a[2:], "link": other[1:], "second": [a[1], other[1]]}[wrong]
    store.begin()
    with pytest.raises(StoreError, match=f"Refused to append block {blocks[-1].index}"):
        store.apply(Append(blocks))
    store.rollback()
    assert reader.tip() == header_of(a[0])
    commit(store, Append(a[1:]))


def test_a_switch_puts_one_branch_aside_and_the_other_in_its_place(pair: Pair) -> None:
    #            /- b2 - b3 - b4
    # genesis - a1 - a2 - a3
    store, reader = pair
    a = branch(GENESIS, "a1", "a2", "a3")
    b = branch(a[0], "b2", "b3", "b4")
    commit(store, Append(a))
    commit(store, AddSide(b))
    assert [(fork.tip.hash, fork.fork) for fork in reader.forks(9)] == [(b[-1].hash, header_of(a[0]))]
    commit(store, switch(a[-1], a[0], b[-1]))
    assert list(reader.page(0, 9)) == [GENESIS, a[0], *b]
    assert store.side(a[1].hash) == header_of(a[1])
    assert store.side(b[0].hash) is None
    assert reader.find(a[2].hash) == (a[2], True, None)
    (fork,) = reader.forks(9)
    assert (fork.fork, fork.tip) == (header_of(a[0]), header_of(a[2]))
    assert [found.block for found in fork.blocks] == [a[2], a[1]]


def test_a_switch_may_end_in_the_middle_of_a_branch_and_branches_may_hang_on_branches(pair: Pair) -> None:
    #         /- b1 - b2 - b3 - b4      then we follow b2, and a1 goes aside
    # genesis - a1       \- c3
    store, reader = pair
    a, b = branch(GENESIS, "a1"), branch(GENESIS, "b1", "b2", "b3", "b4")
    c = branch(b[1], "c3")
    commit(store, Append(a), AddSide(b), AddSide(c))
    forks = reader.forks(9)
    assert [(fork.tip.hash, fork.fork) for fork in forks] == [
        (c[0].hash, header_of(GENESIS)),
        (b[3].hash, header_of(GENESIS)),
    ]
    commit(store, switch(a[0], GENESIS, b[1]))
    assert [(fork.tip.hash, fork.fork, len(fork.blocks)) for fork in reader.forks(9)] == [
        (a[0].hash, header_of(GENESIS), 1),
        (c[0].hash, header_of(b[1]), 1),
        (b[3].hash, header_of(b[1]), 2),
    ]


@pytest.mark.parametrize("case", ["tip", "hole", "fork"])
def test_a_switch_that_does_not_fit_is_refused(pair: Pair, case: str) -> None:
    """Catalogue row 104: a branch with missing blocks stops the store; the batch is dropped and nothing is marked."""
    store, reader = pair
    a, b = branch(GENESIS, "a1", "a2"), branch(GENESIS, "b1", "b2", "b3")
    commit(store, Append(a), AddSide(b if case != "hole" else [b[0], b[2]]))
    write = {
        "tip": Switch(0, 1, b[2].hash, 3),
        "hole": Switch(0, 2, b[2].hash, 3),
        "fork": Switch(1, 2, b[2].hash, 3),
    }[case]
    store.begin()
    with pytest.raises(StoreError) as refused:
        store.apply(write)
    assert isinstance(refused.value, StoreCorruptError) == (case != "tip")
    store.rollback()
    assert list(reader.page(0, 9)) == [GENESIS, *a]
    assert list(store.headers(0, 9)) == [header_of(block) for block in (GENESIS, *a)]


def test_what_we_acknowledged_is_lost_with_its_block_until_it_is_mined_again(pair: Pair) -> None:
    store, reader = pair
    a = branch(GENESIS, "first", "theirs", "second")
    b = branch(GENESIS, *"bcde")
    commit(store, Append(a, [OWN, None, OWN]))
    assert list(store.lost(9)) == []
    commit(store, AddSide(b), switch(a[-1], GENESIS, b[-1]))
    assert list(store.lost(9)) == [Duty(a[0].hash, "first"), Duty(a[2].hash, "second")]
    assert list(store.lost(1)) == [Duty(a[0].hash, "first")]
    again = branch(b[-1], "first", "second")
    commit(store, Append(again, [a[0].hash, a[2].hash]))
    assert list(store.lost(9)) == []
    assert reader.find(a[0].hash) == (a[0], True, again[0].hash)
    assert reader.find(a[1].hash) == (a[1], True, None)

    # Back to the first branch: what carried them there carries them again, and what was mined again is aside.
    more = branch(a[-1], "x", "y", "z", "w")
    commit(store, AddSide(more), switch(again[-1], GENESIS, more[-1]))
    assert list(store.lost(9)) == []
    assert reader.find(again[1].hash) == (again[1], True, a[2].hash)

    # And off to a branch that has neither.
    c = branch(GENESIS, *"123456789")
    commit(store, AddSide(c), switch(more[-1], GENESIS, c[-1]))
    assert [duty.first for duty in store.lost(9)] == [a[0].hash, a[2].hash]
    assert reader.find(again[1].hash) == (again[1], True, None)


def test_long_posts_that_short_branches_take_off_again_and_again_are_aside_once(tmp_path: Path) -> None:
    """Catalogue row 56: what is mined again is never dropped, so copies of it must not fill the disk."""
    ours = branch(GENESIS, *(letter * 10_000 for letter in "abc"))
    with on_disk(tmp_path) as (store, reader):
        commit(store, Append(ours, [OWN] * 3))
        tip, carried = ours[-1], [ours]
        for turn in range(1, 9):
            theirs = branch(GENESIS, *(f"{turn} {n}" for n in range(tip.index + 1)))
            commit(store, AddSide(theirs), switch(tip, GENESIS, theirs[-1]))
            again = branch(theirs[-1], *(block.data for block in ours))
            commit(store, Append(again, [block.hash for block in ours]))
            tip = again[-1]
            carried.append(again)
        for again in carried[:-1]:
            assert [reader.find(block.hash) for block in again] == [
                (block, True, now.hash) for block, now in zip(again, carried[-1], strict=True)
            ]

        # A branch with copies comes back, whole.
        more = branch(carried[3][-1], *map(str, range(100)))
        commit(store, AddSide(more), switch(tip, GENESIS, more[-1]))
        assert list(reader.page(carried[3][0].index, 3)) == carried[3]
        assert list(store.lost(9)) == []
    assert verify(tmp_path, CLASSIC).blocks == more[-1].index + 1
    connection = sqlite3.connect(tmp_path / "ledger.sqlite")
    (aside,) = connection.execute("SELECT sum(length(data)) FROM side").fetchone()
    connection.close()
    assert 30_000 < aside < 35_000


def test_lost_duties_come_oldest_first_and_only_as_many_as_fit(opener: Opener) -> None:
    with opener(replace(WIDE, page_bytes=250)) as (store, _):
        a = branch(GENESIS, *(str(i) * 100 for i in range(5)))
        b = branch(GENESIS, *"123456")
        commit(store, Append(a, [OWN] * 5), AddSide(b), switch(a[-1], GENESIS, b[-1]))
        assert [duty.first for duty in store.lost(9)] == [a[0].hash, a[1].hash]
        commit(store, Append(branch(b[-1], a[1].data), [a[1].hash]))
        assert [duty.first for duty in store.lost(9)] == [a[0].hash, a[2].hash]
    with opener(replace(WIDE, page_bytes=10)) as (store, _):
        assert len(store.lost(9)) in {0, 1}, "always at least one if there is one"


def test_the_oldest_side_blocks_of_others_make_room_and_ours_never(opener: Opener) -> None:
    limits = replace(WIDE, side_bytes=1_000, side_block_bytes=100)
    with opener(limits) as (store, reader):
        ours = branch(GENESIS, "o" * 3_000)
        b = branch(GENESIS, "b1", "b2")
        commit(store, Append(ours, [OWN]), AddSide(b), switch(ours[0], GENESIS, b[-1]))
        spam = [branch(GENESIS, f"{i:0100}")[0] for i in range(9)]
        commit(store, *(AddSide([block]) for block in spam))
        kept = [block.hash for block in (*ours, *spam) if store.side(block.hash)]
        assert kept == [ours[0].hash, *(block.hash for block in spam[-5:])]
        assert {fork.tip.hash for fork in reader.forks(99)} == set(kept)
        assert reader.find(spam[0].hash) is None


def test_empty_blocks_beside_the_chain_are_not_free(opener: Opener) -> None:
    with opener(replace(WIDE, side_bytes=1_000, side_block_bytes=100)) as (store, reader):
        commit(store, AddSide([child(GENESIS, "", 1_600_000_000 + i) for i in range(50)]))
        assert len(reader.forks(100)) == 10


def test_a_branch_whose_foundation_was_dropped_harms_nobody(opener: Opener) -> None:
    with opener(replace(WIDE, side_bytes=300, side_block_bytes=100)) as (store, reader):
        b = branch(GENESIS, *"123456")
        commit(store, AddSide(b))
        (fork,) = reader.forks(9)
        assert (fork.fork, fork.tip.hash) == (None, b[-1].hash)
        assert [found.block for found in fork.blocks] == [b[5], b[4]]
        commit(store, AddSide([b[3]]), AddSide(b[4:]))
        assert store.side(b[4].hash) is not None or store.side(b[5].hash) is not None


def test_nothing_is_dropped_before_the_batch_is_committed(opener: Opener) -> None:
    with opener(replace(WIDE, side_bytes=300, side_block_bytes=100)) as (store, reader):
        b = branch(GENESIS, *"123456")
        commit(store, AddSide(b), switch(GENESIS, GENESIS, b[-1]))
        assert list(reader.page(0, 9)) == [GENESIS, *b]


def test_when_a_tip_is_dropped_its_parent_is_the_tip_again(opener: Opener) -> None:
    with opener(replace(WIDE, side_bytes=250, side_block_bytes=100)) as (store, reader):
        (ours,) = branch(GENESIS, "ours")
        b = branch(GENESIS, "b1", "b2")
        commit(store, Append([ours], [OWN]), AddSide(b), switch(ours, GENESIS, b[-1]))
        (theirs,) = branch(ours, "theirs")
        commit(store, AddSide([theirs]))
        assert [fork.tip.hash for fork in reader.forks(9)] == [theirs.hash]
        spam = [branch(GENESIS, f"s{i}")[0] for i in range(2)]
        commit(store, AddSide(spam))
        assert [fork.tip.hash for fork in reader.forks(9)] == [spam[1].hash, spam[0].hash, ours.hash]


def test_branches_of_one_stem_know_their_own_forks(pair: Pair) -> None:
    # genesis - r1 - r2 - r3 - r4       r1 to r3 are followed: r4 hangs on r3, and c3 on r2
    #                 \- c3
    store, reader = pair
    r = branch(GENESIS, "r1", "r2", "r3", "r4")
    (c3,) = branch(r[1], "c3")
    commit(store, AddSide(r), AddSide([c3]), switch(GENESIS, GENESIS, r[2]))
    assert [(fork.tip.hash, fork.fork) for fork in reader.forks(9)] == [
        (c3.hash, header_of(r[1])),
        (r[3].hash, header_of(r[2])),
    ]


def test_a_block_that_carries_a_duty_again_brings_it_back_with_its_branch(pair: Pair) -> None:
    store, reader = pair
    (a1,) = branch(GENESIS, "post")
    b = branch(GENESIS, "b1", "b2")
    (again,) = branch(b[-1], "post")
    a = branch(a1, "a2", "a3", "a4")
    (b4,) = branch(again, "b4")
    commit(store, Append([a1], [OWN]), AddSide(b), switch(a1, GENESIS, b[-1]))
    commit(store, Append([again], [a1.hash]))
    commit(store, AddSide(a), switch(again, GENESIS, a[-1]))
    commit(store, AddSide([b4]), switch(a[-1], GENESIS, b4))
    assert list(store.lost(9)) == []
    assert reader.find(a1.hash) == (a1, True, again.hash)


def test_a_block_that_was_taken_off_may_be_put_on_again(pair: Pair) -> None:
    store, reader = pair
    a, b = branch(GENESIS, "a1", "a2"), branch(GENESIS, "b1")
    commit(store, Append(a, [None, OWN]), AddSide(b))
    commit(store, switch(a[1], GENESIS, b[0]))
    commit(store, switch(b[0], GENESIS, a[0]))
    assert [duty.first for duty in store.lost(9)] == [a[1].hash]
    commit(store, Append([a[1]]))
    assert reader.find(a[1].hash) == (a[1], False, None)
    assert list(store.lost(9)) == []
    assert [fork.tip.hash for fork in reader.forks(9)] == [b[0].hash]


def test_blocks_that_are_kept_already_are_left_as_they_are(pair: Pair) -> None:
    store, reader = pair
    a, b = branch(GENESIS, "a1", "a2"), branch(GENESIS, "b1", "b2")
    commit(store, Append(a), AddSide(b))
    before = reader.forks(9)
    commit(store, AddSide([*a, *b, *b]), AddSide(list(reversed(b))))
    assert reader.forks(9) == before
    assert store.side(a[0].hash) is None


def test_a_side_block_that_is_mined_here_moves_to_the_chain(pair: Pair) -> None:
    store, reader = pair
    (block,) = branch(GENESIS, "the same")
    commit(store, AddSide([block]))
    commit(store, Append([block], [OWN]))
    assert reader.find(block.hash) == (block, False, None)
    assert (store.side(block.hash), list(reader.forks(9))) == (None, [])
    b = branch(GENESIS, "1", "2")
    commit(store, AddSide(b), switch(block, GENESIS, b[-1]))
    assert [duty.first for duty in store.lost(9)] == [block.hash]


def test_a_page_ends_where_its_data_is_enough(opener: Opener) -> None:
    with opener(replace(WIDE, page_bytes=1_000)) as (store, reader):
        blocks = branch(GENESIS, "é" * 450, "b" * 500, "c" * 5_000, "d")
        commit(store, Append(blocks))
        assert list(reader.page(1, 9)) == [blocks[0]], "900 bytes, though 450 characters"
        assert list(reader.page(3, 9)) == [blocks[2]], "one at least"
        assert list(reader.page(4, 9)) == [blocks[3]]
        assert list(reader.page(5, 9)) == []


def test_the_view_reads_stretches_of_blocks_in_the_running_batch(pair: Pair) -> None:
    store, reader = pair
    a, b = branch(GENESIS, *"abc"), branch(GENESIS, *"defgh")
    commit(store, Append(a), AddSide(b))
    store.begin()
    store.apply(switch(a[-1], GENESIS, b[-1]))
    store.apply(Append(branch(b[-1], "i")))
    chain = [GENESIS, *b, *branch(b[-1], "i")]
    for first in range(8):
        for count in (0, 1, 2, 100, 10**30):
            assert list(store.blocks(first, count, 10**9)) == chain[first : first + count]
    assert list(store.blocks(-5, 2, 10**9)) == chain[:2]
    assert list(store.blocks(10**30, 2, 10**9)) == []
    assert list(store.blocks(1, -1, 10**9)) == []
    store.rollback()
    assert list(store.blocks(1, 9, 10**9)) == list(reader.page(1, 9)) == a


def test_a_stretch_ends_where_its_data_is_enough(pair: Pair) -> None:
    store, _ = pair
    blocks = branch(GENESIS, "é" * 450, "b" * 500, "c" * 5_000, "", "d")
    commit(store, Append(blocks))
    assert list(store.blocks(1, 9, 1_400)) == blocks[:2], "900 bytes, though 450 characters"
    assert list(store.blocks(1, 9, 1_399)) == blocks[:1]
    assert list(store.blocks(3, 9, 0)) == blocks[2:3], "one at least"
    assert list(store.blocks(4, 9, 0)) == blocks[3:4], "nothing more, once there is too much"
    assert list(store.blocks(4, 9, 1)) == blocks[3:]


def test_forks_are_as_many_as_asked_for_and_no_more_data_than_a_page(opener: Opener) -> None:
    with opener(replace(WIDE, page_bytes=250, fork_blocks=3)) as (store, reader):
        commit(store, *(AddSide(branch(GENESIS, f"{i}" * 100, *"wxyz")) for i in range(5)))
        assert len(reader.forks(2)) == 2
        forks = reader.forks(99)
        assert [len(fork.blocks) for fork in forks] == [3, 3, 3]
    with opener(replace(WIDE, page_bytes=250, fork_blocks=9)) as (_, reader):
        assert [len(fork.blocks) for fork in reader.forks(3)] in ([], [5, 5, 4])


@pytest.mark.parametrize(
    "hash", ["", "0", "z" * 64, "ab" * 31, "ab" * 33, " " + "ab" * 32, "AB" * 32, "٣" * 64, "ab" * 32 + "\n", "\0" * 64]
)
def test_a_hash_that_no_block_can_have_is_not_found(pair: Pair, hash: str) -> None:
    store, reader = pair
    assert reader.find(hash) is None
    assert store.side(hash) is None


def test_another_spelling_of_a_hash_is_another_hash(pair: Pair) -> None:
    store, reader = pair
    assert reader.find(GENESIS.hash.upper()) is None
    assert store.side(GENESIS.hash.upper()) is None


@pytest.mark.parametrize("index", [-1, 1, 2**53, 2**63, 10**30, -(10**30)])
def test_an_index_that_is_not_there_is_no_block(pair: Pair, index: int) -> None:
    store, reader = pair
    assert reader.block(index) is None
    if index > 0:
        assert list(reader.page(index, 10**30)) == []
        assert list(store.headers(index, 10**30)) == []


def test_peers_are_remembered_in_order_and_once(pair: Pair) -> None:
    store, _ = pair
    for address in ("ws://b:1", "ws://a:1", "ws://b:1", "ws://c:1"):
        commit(store, RememberPeer(address))
    commit(store, ForgetPeer("ws://a:1"), ForgetPeer("ws://never:1"))
    commit(store, RememberPeer("ws://a:1"))
    assert list(store.peers()) == ["ws://b:1", "ws://c:1", "ws://a:1"]


def test_bans_are_kept_in_order_and_once(opener: Opener) -> None:
    with opener() as (store, _):
        assert list(store.bans()) == []
        for subject in ("203.0.113.7", "ab" * 32, "203.0.113.7", "2001:db8::1"):
            commit(store, RememberBan(subject))
        commit(store, ForgetBan("ab" * 32), ForgetBan("never"))
        commit(store, RememberBan("ab" * 32))
        assert list(store.bans()) == ["203.0.113.7", "2001:db8::1", "ab" * 32]
        store.begin()
        store.apply(ForgetBan("203.0.113.7"))
        assert list(store.bans()) == ["2001:db8::1", "ab" * 32]
        store.rollback()
        assert list(store.bans()) == ["203.0.113.7", "2001:db8::1", "ab" * 32]


def test_closing_twice_is_fine(opener: Opener) -> None:
    with opener() as (store, reader):
        store.close()
        reader.close()


def test_a_long_history_of_switches_back_and_forth(pair: Pair) -> None:
    store, reader = pair
    tips: list[list[Block]] = [[], []]
    current: list[Block] = []
    for turn in range(12):
        mine = tips[turn % 2]
        grown = branch(mine[-1] if mine else GENESIS, *(f"{turn}.{i}" for i in range(3 if mine else turn + 1)))
        mine.extend(grown)
        commit(store, AddSide(grown), switch(current[-1] if current else GENESIS, GENESIS, mine[-1]))
        current = list(mine)
        assert list(reader.page(0, 99)) == [GENESIS, *mine]
        forks = reader.forks(9)
        assert [(fork.fork, len(fork.blocks)) for fork in forks] == (
            [(header_of(GENESIS), len(tips[(turn + 1) % 2]))] if turn else []
        )


def test_a_branch_with_a_branching_at_every_block_is_walked_so_far_and_no_further(tmp_path: Path) -> None:
    with on_disk(tmp_path, replace(WIDE, fork_runs=10)) as (store, reader):
        commit(store, Append(branch(GENESIS, *"abcdefghijklmnopqrstuvwxyz")))
        stem = GENESIS
        for depth in range(1, 20):
            leaf, parent = child(stem, "leaf"), child(stem, "stem")
            commit(store, AddSide([leaf]), AddSide([parent]))
            stem = parent
            latest, *_ = reader.forks(1)
            assert latest.tip.hash == stem.hash
            assert latest.fork == (header_of(GENESIS) if depth <= 10 else None)
