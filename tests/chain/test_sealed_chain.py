"""Branches that hold records, and whose work decides."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from tallystick.chain.chain import Change
from tallystick.chain.writes import AddSide, Append, Switch
from tallystick.consensus.work import NEAR_TIP_BLOCKS
from tallystick.errors import Rule, RuleViolation
from tallystick.model.limits import Limits
from tallystick.model.log import parents
from tallystick.model.sealed import UncheckedSealed
from tests.chain.sealed_drawing import RULES, SPACING_MS, SealedDrawing, found
from tests.storage.sealed_blocks import record


@pytest.fixture
def chain() -> SealedDrawing:
    return SealedDrawing()


# --- which branch wins ------------------------------------------------------------------------------


def test_a_block_on_the_tip_extends_the_chain(chain: SealedDrawing) -> None:
    chain.accepts("a1 r1", on="genesis").extends_to("a1").accepts("a2", "a3 r2 r3", on="a1").extends_to("a3")
    assert list(chain.change.writes) == [Append(chain.change.appended, tops=[])]
    chain.expects_logged("r1", "r2", "r3")


def test_the_store_is_told_what_was_hashed_of_the_log_already(chain: SealedDrawing) -> None:
    """Of the tiles that became full: the first ends in a2, and a3 fills two."""
    some = [" ".join(f"r{at}" for at in range(start, end)) for start, end in ((0, 250), (250, 260), (260, 800))]
    chain.accepts(f"a1 {some[0]}", on="genesis").extends_to("a1")
    assert chain.change.writes[0].tops == []  # type: ignore[union-attr]
    chain.accepts(f"a2 {some[1]}", f"a3 {some[2]}", on="a1").extends_to("a3")
    row = [each.leaf for name in ("a1", "a2", "a3") for each in chain.named[name].records]
    for _ in range(8):
        row = parents(row)
    (write,) = chain.change.writes
    assert isinstance(write, Append)
    assert write.tops == row
    assert len(row) == 3


def test_of_a_block_of_our_own_the_draft_has_hashed_it(chain: SealedDrawing) -> None:
    draft = chain.chain.draft([record(f"r{at}") for at in range(600)], chain.view, chain.now_ms)
    block = found(draft)
    (write,) = chain.chain.take_sealed(block, draft.tops).writes
    assert isinstance(write, Append)
    row = [each.leaf for each in block.records]
    for _ in range(8):
        row = parents(row)
    assert write.tops == row
    assert len(row) == 2


def test_most_work_wins_over_more_blocks() -> None:
    """Blocks that come far ahead of their schedule are hard to find: two of them outweigh nine slow ones."""
    chain = SealedDrawing(rules=RULES)
    slow = [f"a{n}" for n in range(1, 10)]
    chain.accepts(*slow, on="genesis").extends_to("a9")
    chain.draws("b1", "b2", on="genesis", after_ms=1)
    chain.accepts("b1").keeps_tip("a9")
    assert chain.named["b2"].weight > chain.named["a9"].weight
    chain.accepts("b2").switches_to("b2", detached=slow)
    assert chain.chain.weight == chain.named["b2"].weight


def test_more_blocks_of_less_work_do_not_win() -> None:
    chain = SealedDrawing(rules=RULES)
    chain.draws("a1", "a2", on="genesis", after_ms=1)
    chain.accepts("a1", "a2").extends_to("a2")
    chain.accepts(*(f"b{n}" for n in range(1, 10)), on="genesis").keeps_tip("a2")
    assert list(map(type, chain.change.writes)) == [AddSide]


def test_first_seen_stays_on_equal_work_and_after_a_restart(chain: SealedDrawing) -> None:
    """Catalogue row 54."""
    chain.accepts("a1 r1", on="genesis").accepts("b1 r2", on="genesis").keeps_tip("a1")
    chain.restarts().accepts("b1").keeps_tip("a1")
    chain.accepts("c1", on="genesis").keeps_tip("a1")


def test_a_duplicate_changes_nothing(chain: SealedDrawing) -> None:
    """Catalogue row 47."""
    chain.accepts("a1 r1", "a2", on="genesis").accepts("b1", on="genesis")
    for names in (["a1"], ["a2"], ["b1"], ["genesis"], ["genesis", "a1", "a2"]):
        chain.accepts(*names).keeps_tip("a2")
        assert chain.change.writes == ()


def test_nothing_is_no_change(chain: SealedDrawing) -> None:
    chain.accepts().keeps_tip("genesis")
    assert chain.change.writes == ()


def test_a_reorg_deeper_than_the_operator_allows_is_kept_but_not_followed() -> None:
    """Catalogue row 55."""
    chain = SealedDrawing(max_reorg=1).posts("r1").mines("a1").accepts("a2", on="a1")
    chain.accepts("b1", "b2", "b3", on="genesis").keeps_tip("a2")
    assert chain.change.refused is not None
    assert chain.change.refused.rule is Rule.REORG_WITHIN_LIMIT
    chain.expects_logged("r1").expects_pending()
    chain.accepts("c2", "c3", on="a1").switches_to("c3", detached=["a2"])


def test_branches_deeper_than_memory_are_looked_up() -> None:
    """Medians and weights too."""
    chain = SealedDrawing(Limits(recent_headers=3), rules=RULES)
    ours = [f"a{n}" for n in range(1, 15)]
    theirs = [f"b{n}" for n in range(2, 16)]
    chain.accepts(*ours, on="genesis")
    chain.accepts_one_by_one(*theirs, on="a1").switches_to("b15", detached=ours[1:])
    chain.accepts("c15", "c16", on="b14").switches_to("c16", detached=["b15"])


# --- records that come and go -----------------------------------------------------------------------


def test_records_of_a_branch_that_lost_are_pending_again_in_their_old_order(chain: SealedDrawing) -> None:
    """Catalogue row 82. Those that the branch that won holds too are not."""
    chain.posts("r1", "r2", "r3", "r4").accepts("a1 r3 r1", on="genesis").accepts("a2 r4", on="a1").posts("r5")
    chain.expects_pending("r2", "r5")
    chain.accepts("b1 r1", "b2 r9", "b3", on="genesis").switches_to("b3", detached=["a1", "a2"])
    chain.expects_logged("r1", "r9").expects_pending("r2", "r3", "r4", "r5")
    chain.mines("b4").expects_logged("r1", "r9", "r2", "r3", "r4", "r5").expects_pending()


def test_records_of_others_come_back_too(chain: SealedDrawing) -> None:
    """Whoever has them sees to it that they are not lost, not only who took them from a caller."""
    chain.accepts("a1 r1 r2", on="genesis")
    chain.accepts("b1 r2", "b2", on="genesis").switches_to("b2", detached=["a1"])
    chain.restarts().expects_pending("r1").mines("b3").expects_logged("r2", "r1")


def test_back_and_forth_each_record_stands_once(chain: SealedDrawing) -> None:
    chain.posts("r1", "r2", "r3").accepts("a1 r1", "a2 r2", on="genesis").mines("a3")
    chain.expects_logged("r1", "r2", "r3")
    chain.accepts("b1 r2", "b2", "b3", "b4", on="genesis").switches_to("b4", detached=["a1", "a2", "a3"])
    chain.mines("b5").expects_logged("r2", "r1", "r3").expects_pending()
    chain.accepts("a4", "a5", "a6", on="a3").switches_to("a6", detached=["b1", "b2", "b3", "b4", "b5"])
    chain.expects_logged("r1", "r2", "r3").expects_pending()


def test_a_sealed_block_is_what_was_drafted_for_the_pool(chain: SealedDrawing) -> None:
    chain.posts("r1", "r2").mines("a1").extends_to("a1").expects_logged("r1", "r2").expects_pending()
    chain.mines("a2").extends_to("a2")  # an empty one


# --- a record stands in a branch once ---------------------------------------------------------------


def test_a_record_that_is_on_the_chain_is_refused_on_top_of_it(chain: SealedDrawing) -> None:
    """Catalogue row 77."""
    chain.posts("r1", "r2").mines("a1")
    chain.draws("a2", "a3 r3 r1", on="a1")
    chain.accepts("a2").refuses("a3", rule=Rule.RECORD_IS_NEW)
    chain.expects_logged("r1", "r2")


def test_a_record_twice_in_blocks_that_come_together_is_refused(chain: SealedDrawing) -> None:
    chain.posts("r9")
    chain.draws("a1 r1", "a2", "a3 r2 r1", on="genesis")
    chain.refuses("a1", "a2", "a3", rule=Rule.RECORD_IS_NEW)
    chain.accepts("a1", "a2").extends_to("a2").refuses("a3", rule=Rule.RECORD_IS_NEW)


def test_a_record_twice_in_a_branch_is_refused_when_it_would_be_followed(chain: SealedDrawing) -> None:
    """Catalogue rows 53 and 57: once in what is kept, once in what comes, once below the fork. The chain, the pool and
    what is beside it stay as they were, and so for whatever is built upon it."""
    chain.posts("r1", "r2", "r3").accepts("a1 r1", on="genesis").accepts("a2 r2", on="a1")
    chain.draws("b2 r5", "b3 r5", "b4", on="a1")
    chain.draws("c2 r1", "c3", "c4", on="a1")
    chain.draws("d2", "d3 r6", "d4 r7", "d5 r6", on="a1")
    chain.accepts("b2").keeps_tip("a2").refuses("b3", rule=Rule.RECORD_IS_NEW)
    chain.refuses("b3", "b4", rule=Rule.RECORD_IS_NEW)
    chain.accepts("c2").keeps_tip("a2").refuses("c3", rule=Rule.RECORD_IS_NEW).refuses(
        "c3", "c4", rule=Rule.RECORD_IS_NEW
    )
    chain.refuses("d2", "d3", "d4", "d5", rule=Rule.RECORD_IS_NEW)
    chain.accepts("d2", "d3").switches_to("d3", detached=["a2"])
    chain.expects_logged("r1", "r6").expects_pending("r2", "r3")
    chain.accepts("d4").refuses("d5", rule=Rule.RECORD_IS_NEW)


def test_what_only_the_branch_that_leaves_holds_may_come(chain: SealedDrawing) -> None:
    chain.accepts("a1 r1", "a2 r2 r3", on="genesis")
    chain.accepts("b2 r3 r2", "b3", on="a1").switches_to("b3", detached=["a2"])
    chain.expects_logged("r1", "r3", "r2").expects_pending()


def test_a_staged_branch_that_holds_a_record_twice_is_not_followed(chain: SealedDrawing) -> None:
    chain.accepts("a1 r1", "a2", "a3", on="genesis")
    first, *rest = chain.draws("b1 r2", "b2", "b3 r3", "b4 r2", on="genesis")
    chain._apply(chain.chain.extend([first], chain.view, chain.now_ms, staged=True))
    before, tip = chain._everything(), chain.chain.tip
    with pytest.raises(RuleViolation) as caught:
        chain.chain.extend(rest, chain.view, chain.now_ms, staged=True, root=first.header)
    assert caught.value.rule is Rule.RECORD_IS_NEW
    assert (chain._everything(), chain.chain.tip) == (before, tip)
    change = chain.chain.extend(rest[:2], chain.view, chain.now_ms, staged=True, root=first.header)
    chain._apply(change)
    chain.keeps_tip("a3")


# --- blocks that are wrong --------------------------------------------------------------------------


def forged(block: UncheckedSealed, **changes: object) -> UncheckedSealed:
    return msgspec.structs.replace(block, **changes)


def test_a_block_from_the_future_is_not_kept_and_welcome_later(chain: SealedDrawing) -> None:
    """Catalogue row 49."""
    chain.draws("a1 r1", on="genesis", after_ms=SPACING_MS)
    chain.now_ms = chain.named["a1"].timestamp - Limits().future_ms - 1
    chain.refuses("a1", rule=Rule.TIME_NOT_FROM_FUTURE)
    chain.now_ms += 1
    chain.accepts("a1").extends_to("a1")


def test_a_wrong_body_leaves_room_for_the_true_one(chain: SealedDrawing) -> None:
    """Catalogue row 52: nothing of it is remembered, neither on the tip nor beside the chain."""
    chain.accepts("a1", on="genesis")
    chain.draws("a2 r1 r2", on="a1")
    chain.draws("b2 r3", on="a1")
    chain.draws("b3 r4", on="b2")
    for name in ("a2", "b2", "b3"):
        claimed = chain._claimed(chain.named[name])
        assert isinstance(claimed, UncheckedSealed)
        before = chain._everything()
        for records in ((), claimed.records[::-1] + claimed.records, claimed.records[:-1]):
            with pytest.raises(RuleViolation) as caught:
                chain.chain.accept([forged(claimed, records=records)], chain.view, chain.now_ms)
            assert caught.value.rule is Rule.BODY_MATCHES_HEADER
        assert chain._everything() == before
        chain.accepts(name)
    chain.switches_to("b3", detached=["a2"])


def test_a_block_that_breaks_a_rule_in_the_middle_leaves_everything_as_it_was(chain: SealedDrawing) -> None:
    """Catalogue rows 42, 51, 53 and 57."""
    chain.accepts("a1 r1", on="genesis")
    chain.draws("b1", "b2 r2", "b3", on="genesis")
    chain.draws("c2", on="a1")
    chain.refuses("b1", "b3", rule=Rule.INDEX_FOLLOWS_PARENT)
    chain.refuses("b1", "c2", rule=Rule.NAMES_ITS_PARENT)
    chain.refuses("b3", rule=Rule.PARENT_IS_KNOWN)
    other = SealedDrawing(rules=replace(RULES, half_life_ms=2_000))
    other.named["genesis"] = chain.named["genesis"]  # other rules, the same blocks
    other.by_hash = chain.by_hash
    other.draws("e1", "e2", "e3", on="genesis", after_ms=1)
    chain.named |= other.named
    chain.refuses("e1", "e2", "e3", rule=Rule.DIFFICULTY_FOLLOWS_SCHEDULE)


# --- low work ---------------------------------------------------------------------------------------


def test_a_lone_block_far_below_our_work_is_not_kept(chain: SealedDrawing) -> None:
    """Catalogue rows 44 and 48: beside the newest blocks there is room for others, further down there is none."""
    ours = [f"a{n}" for n in range(NEAR_TIP_BLOCKS + 20)]
    chain.accepts(*ours, on="genesis")
    chain.draws("near", on=ours[19])
    chain.draws("far", on=ours[17])
    assert chain.named["near"].weight == chain.chain.weight - 2 * (NEAR_TIP_BLOCKS - 1)
    chain.accepts("near", deep=False).keeps_tip(ours[-1])
    assert len(chain.change.writes) == 1
    before = chain._everything()
    chain.accepts("far", deep=False).keeps_tip(ours[-1])
    assert chain.change.writes == ()
    for number in range(100):  # each on the genesis block, each another one
        chain.accepts(f"flood{number} r{number}", on="genesis", deep=False).keeps_tip(ours[-1])
    chain.draws(*(f"deep{number}" for number in range(20)), on="genesis")
    chain.accepts("deep0", deep=False).refuses("deep1", rule=Rule.PARENT_IS_KNOWN, deep=False)
    assert chain._everything() == before


def test_how_light_is_too_light_follows_difficulty_as_it_is_now() -> None:
    """So many blocks as difficult as the next one: where that is harder, fewer of them outweigh a branch."""
    chain = SealedDrawing(rules=RULES)
    ours = [f"a{n}" for n in range(NEAR_TIP_BLOCKS + 20)]
    chain.accepts(*ours, on="genesis")
    chain.draws("far r1", on=ours[5])
    chain.accepts("far", deep=False).keeps_tip(ours[-1])
    assert chain.change.writes == ()
    chain.draws("b1", "b2", on=ours[-1], after_ms=1)
    chain.accepts("b1", "b2").accepts("far", deep=False).keeps_tip("b2")
    assert list(map(type, chain.change.writes)) == [AddSide]


def test_a_better_branch_from_far_below_is_not_taken_from_a_lone_block() -> None:
    chain = SealedDrawing(Limits(recent_headers=3))
    chain.accepts(*(f"a{n}" for n in range(1, 9)), on="genesis")
    chain.accepts(*(f"b{n}" for n in range(1, 9)), on="genesis").keeps_tip("a8")
    chain.draws("b9", on="b8")
    chain.refuses("b9", rule=Rule.PARENT_IS_KNOWN, deep=False)
    chain.accepts("b9").switches_to("b9", detached=[f"a{n}" for n in range(1, 9)])
    assert isinstance(chain.change.writes[-1], Switch)


# --- within one step --------------------------------------------------------------------------------


def in_one_step(chain: SealedDrawing, *names: str) -> list[Change]:
    """Blocks come one by one, and what they lead to is written at the end: no view shows it before."""
    changes = [
        chain.chain.accept([chain._claimed(chain.named[name])], chain.view, chain.now_ms, deep=False) for name in names
    ]
    for change in changes:
        chain._write(change.writes)
    return changes


def test_blocks_of_one_step_follow_each_other_before_a_view_shows_the_first(chain: SealedDrawing) -> None:
    chain.draws("a1 r1", "a2 r2 r3", "a3", "a4 r4", on="genesis")
    in_one_step(chain, "a1", "a2", "a3")
    chain.expects_logged("r1", "r2", "r3")
    in_one_step(chain, "a4")
    chain.expects_logged("r1", "r2", "r3", "r4")


@pytest.mark.parametrize("names", [["a1 r1", "a2 r1"], ["a1 r1", "a2 r2", "a3 r1"], ["a1 r1", "a2", "a3 r3 r1"]])
def test_a_record_is_not_new_if_a_block_of_the_same_step_held_it(chain: SealedDrawing, names: list[str]) -> None:
    """Catalogue row 82: else the store would be told to put it into the log twice, and stop the node."""
    *before, last = [block.split()[0] for block in names]
    chain.draws(*names, on="genesis")
    for name in before:
        chain.chain.accept([chain._claimed(chain.named[name])], chain.view, chain.now_ms, deep=False)
    with pytest.raises(RuleViolation) as broken:
        chain.chain.accept([chain._claimed(chain.named[last])], chain.view, chain.now_ms, deep=False)
    assert broken.value.rule is Rule.RECORD_IS_NEW
    assert chain.chain.tip == chain.named[before[-1]].header


def test_a_branch_from_a_block_of_the_same_step_may_not_repeat_its_records(chain: SealedDrawing) -> None:
    chain.draws("a1 r1", "a2", on="genesis")
    chain.draws("b2 r2", "b3 r1", on="a1")
    for name in ("a1", "a2"):
        chain.chain.accept([chain._claimed(chain.named[name])], chain.view, chain.now_ms, deep=False)
    run = [chain.named["b2"], chain.named["b3"]]
    with pytest.raises(RuleViolation) as broken:
        chain.chain.extend(run, chain.view, chain.now_ms, staged=True)
    assert broken.value.rule is Rule.RECORD_IS_NEW
    assert chain.chain.tip == chain.named["a2"].header
