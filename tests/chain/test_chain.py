"""Branches, forks and reorgs, as drawings."""

from __future__ import annotations

import tracemalloc

import msgspec
import pytest

from tallystick.chain.chain import Chain
from tallystick.chain.writes import AddSide, Append, Switch
from tallystick.errors import Rule, RuleViolation
from tallystick.model.block import Block, Header, header_of
from tallystick.model.limits import Limits
from tests.chain.drawing import ENGINE, NOW_MS, Drawing, unchecked
from tests.chain.naive import NaiveStore, classic


@pytest.fixture
def chain() -> Drawing:
    return Drawing()


def test_a_block_on_the_tip_extends_the_chain(chain: Drawing) -> None:
    chain.accepts("a1", on="genesis").extends_to("a1")
    chain.accepts("a2", "a3", on="a1").extends_to("a3")
    assert list(chain.change.writes) == [Append(chain.change.appended)]


def test_the_longer_branch_wins_and_what_we_mined_comes_back(chain: Drawing) -> None:
    #            /- b2 - b3
    # genesis - a1 - a2              a2 is ours
    chain.mines("a1").mines("a2", data="ours")
    chain.accepts("b2", on="a1").keeps_tip("a2")  # equal weight: first seen stays
    chain.accepts("b3", on="b2").switches_to("b3", detached=["a2"])
    chain.mines_again().expects_once("ours", "a1")


def test_first_seen_wins_a_tie_and_a_restart_does_not_flip_it(chain: Drawing) -> None:
    """Catalogue row 54."""
    chain.accepts("a1", on="genesis").accepts("b1", on="genesis").keeps_tip("a1")
    chain.restarts().accepts("b1").keeps_tip("a1")
    chain.accepts("c1", on="genesis").keeps_tip("a1")


def test_a_whole_chain_replaces_ours(chain: Drawing) -> None:
    # genesis - a1 - a2
    #        \- b1 - b2 - b3        as one message, genesis first
    chain.accepts("a1", "a2", on="genesis")
    chain.draws("b1", "b2", "b3", on="genesis")
    chain.accepts("genesis", "b1", "b2", "b3").switches_to("b3", detached=["a1", "a2"])


def test_a_whole_chain_that_shares_ours_only_adds_what_is_new(chain: Drawing) -> None:
    chain.accepts("a1", "a2", on="genesis")
    chain.draws("a3", "a4", on="a2")
    chain.accepts("genesis", "a1", "a2", "a3", "a4").extends_to("a4")
    assert [classic(block).data for block in chain.change.appended] == ["a3", "a4"]


def test_a_duplicate_changes_nothing(chain: Drawing) -> None:
    """Catalogue row 47: on the best chain, beside it, alone or in a row."""
    chain.accepts("a1", "a2", on="genesis").accepts("b1", on="genesis")
    for names in (["a1"], ["a2"], ["b1"], ["genesis"], ["genesis", "a1", "a2"]):
        chain.accepts(*names).keeps_tip("a2")
        assert chain.change.writes == ()


def test_a_block_without_a_parent_is_not_kept(chain: Drawing) -> None:
    chain.draws("a1", "a2", "a3", on="genesis")
    chain.refuses("a2", rule=Rule.PARENT_IS_KNOWN).refuses("a2", "a3", rule=Rule.PARENT_IS_KNOWN)


def test_blocks_beside_the_chain_can_be_built_upon_one_by_one(chain: Drawing) -> None:
    chain.accepts("a1", "a2", "a3", on="genesis")
    chain.accepts_one_by_one("b1", "b2", "b3", on="genesis").keeps_tip("a3")
    chain.accepts("b4", on="b3").switches_to("b4", detached=["a1", "a2", "a3"])


def test_a_branch_of_a_branch(chain: Drawing) -> None:
    #        /- b1 - b2 - b3
    # genesis - a1 - a2    \- c4 (on b3's sibling branch at b2)
    chain.accepts("a1", "a2", on="genesis").accepts("b1", "b2", "b3", on="genesis")
    chain.switches_to("b3", detached=["a1", "a2"])
    chain.accepts("c3", "c4", on="b2").switches_to("c4", detached=["b3"])


def test_two_branches_that_overtake_each_other(chain: Drawing) -> None:
    """Catalogue row 56: each switch needs strictly more weight than the last."""
    chain.accepts("a1", on="genesis")
    chain.accepts("b1", "b2", on="genesis").switches_to("b2", detached=["a1"])
    chain.accepts("a2", on="a1").keeps_tip("b2")
    chain.accepts("a3", on="a2").switches_to("a3", detached=["b1", "b2"])
    chain.accepts("b3", on="b2").keeps_tip("a3")
    chain.accepts("b4", on="b3").switches_to("b4", detached=["a1", "a2", "a3"])


def test_an_invalid_block_in_a_branch_leaves_everything_as_it_was(chain: Drawing) -> None:
    """Catalogue rows 42, 53 and 57: nothing of the branch is kept, not its good blocks, not its children."""
    chain.accepts("a1", on="genesis")
    chain.draws("b1", "b2", "b3", on="genesis")
    chain.named["b2"] = msgspec.structs.replace(chain.named["b2"], data="forged")
    chain.refuses("b1", "b2", "b3", rule=Rule.HASH_MATCHES_CONTENT)
    chain.refuses("genesis", "b1", "b2", "b3", rule=Rule.HASH_MATCHES_CONTENT)
    chain.refuses("b3", rule=Rule.PARENT_IS_KNOWN)


def test_a_row_with_a_gap_is_refused(chain: Drawing) -> None:
    """Catalogue row 42: an invalid link inside a batch."""
    chain.draws("a1", "a2", "a3", on="genesis")
    chain.refuses("a1", "a3", rule=Rule.INDEX_FOLLOWS_PARENT)
    chain.draws("b2", on="a1")
    chain.draws("b3", on="b2")
    chain.refuses("a1", "a2", "b3", rule=Rule.NAMES_ITS_PARENT)
    chain.refuses("a1", "a1", rule=Rule.INDEX_FOLLOWS_PARENT)


def test_a_reorg_deeper_than_the_operator_allows_is_kept_but_not_followed() -> None:
    """Catalogue row 55: the partition may be honest, so nobody is blamed."""
    chain = Drawing(max_reorg=1)
    chain.accepts("a1", "a2", on="genesis")
    chain.accepts("b1", "b2", "b3", on="genesis").keeps_tip("a2")
    assert chain.change.refused is not None
    assert chain.change.refused.rule is Rule.REORG_WITHIN_LIMIT
    chain.accepts("c2", "c3", on="a1").switches_to("c3", detached=["a2"])


def test_a_branch_that_leaves_too_deep_is_not_walked_to_its_end() -> None:
    """Each block that lengthens a refused branch would cost as many look-ups as the branch has blocks."""
    chain = Drawing(max_reorg=2)
    chain.accepts(*(f"a{n}" for n in range(50)), on="genesis")
    chain.accepts(*(f"b{n}" for n in range(51)), on="genesis").keeps_tip("a49")
    before = chain.chain.effort
    chain.accepts("b51", on="b50").keeps_tip("a49")
    assert chain.change.refused is not None
    assert chain.chain.effort - before < 10


def test_a_side_branch_that_lost_its_beginning_is_asked_for_again(chain: Drawing) -> None:
    chain.accepts("a1", "a2", on="genesis").accepts_one_by_one("b1", "b2", on="genesis")
    del chain.store.all[chain.named["b1"].hash]  # dropped, being old
    chain.draws("b3", on="b2")
    chain.refuses("b3", rule=Rule.PARENT_IS_KNOWN)
    chain.accepts("genesis", "b1", "b2", "b3").switches_to("b3", detached=["a1", "a2"])


def test_long_rows_are_written_in_pages() -> None:
    chain = Drawing(Limits(view_page=2))
    chain.accepts("a1", "a2", "a3", on="genesis").extends_to("a3")
    assert [len(write.blocks) for write in chain.change.writes if isinstance(write, Append)] == [2, 1]
    chain.accepts("b1", "b2", "b3", "b4", on="genesis").switches_to("b4", detached=["a1", "a2", "a3"])
    assert [type(write) for write in chain.change.writes] == [AddSide, AddSide, Switch]


def test_a_fork_deeper_than_memory_is_looked_up() -> None:
    chain = Drawing(Limits(recent_headers=3))
    ours = [f"a{n}" for n in range(1, 11)]
    theirs = [f"b{n}" for n in range(2, 13)]
    chain.accepts(*ours, on="genesis")
    chain.accepts(*theirs, on="a1").switches_to("b12", detached=ours[1:])
    chain.accepts("c12", "c13", on="b11").switches_to("c13", detached=["b12"])
    chain.accepts("a11", "a12", "a13", "a14", on="a10").switches_to("a14", detached=[*theirs[:-1], "c12", "c13"])


class LongView(NaiveStore):
    """A view on a best chain of any length that costs nothing: block n has hash `n` in 64 digits."""

    def headers(self, first: int, count: int) -> list[Header]:
        return [Header(n, f"{n:064x}", f"{n - 1:064x}", 1_700_000_000) for n in range(first, first + count)]

    def side(self, hash: str) -> None:
        return None


def test_memory_does_not_grow_with_the_depth_of_a_fork() -> None:
    """A fork a million blocks deep is described by four numbers."""
    tip = msgspec.structs.replace(chain_block(), index=1_000_000, hash=f"{1_000_000:064x}")
    chain = Chain(ENGINE, tip, Limits())
    branch = [ENGINE.seal(Header(3, f"{3:064x}", f"{2:064x}", 0), "x", NOW_MS)]
    tracemalloc.start()
    change = chain.accept([unchecked(branch[0])], LongView(), NOW_MS)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert change.writes == [AddSide(branch)]
    assert size < 100_000


def chain_block() -> Block:
    return ENGINE.seal(Header(0, "0" * 64, "0", 0), "x", NOW_MS)


# --- duties -----------------------------------------------------------------------------------------


def test_several_lost_posts_come_back_in_order(chain: Drawing) -> None:
    chain.mines("a1", "a2", "a3")
    chain.accepts("b1", "b2", "b3", "b4", on="genesis").switches_to("b4", detached=["a1", "a2", "a3"])
    chain.mines_again()
    assert [block.data for block in chain.store.chain()][-3:] == ["a1", "a2", "a3"]
    assert chain.store.lost(10) == []


def test_no_branch_ever_holds_two_carriers_of_a_duty(chain: Drawing) -> None:
    """Back and forth: what was mined again on one branch is not mined again where it always was."""
    chain.mines("a1")
    chain.accepts("b1", "b2", on="genesis").mines_again()  # genesis b1 b2 a1'
    carried = chain.store.tip
    assert carried.data == "a1"
    chain.accepts("a2", "a3", "a4", on="a1")  # back where a1 is itself
    assert chain.store.lost(10) == []
    chain.mines_again().expects_once("a1")
    chain.named["a1'"] = carried
    chain.accepts("b4", "b5", on="a1'").mines_again().expects_once("a1")  # and there again
    chain.accepts("c1", "c2", "c3", "c4", "c5", "c6", on="genesis").mines_again().expects_once("a1")


def test_the_same_text_posted_twice_is_two_duties(chain: Drawing) -> None:
    chain.mines("a1", "a2", data="same")
    chain.accepts("b1", "b2", "b3", on="genesis").mines_again()
    assert [block.data for block in chain.store.chain()].count("same") == 2


def test_what_others_mined_is_not_mined_again(chain: Drawing) -> None:
    chain.accepts("a1", on="genesis").mines("a2")
    chain.accepts("b1", "b2", "b3", on="genesis").mines_again().expects_once("a2")
    assert "a1" not in [block.data for block in chain.store.chain()]


def test_a_lost_post_survives_a_restart(chain: Drawing) -> None:
    chain.mines("a1").accepts("b1", "b2", on="genesis").restarts().mines_again().expects_once("a1")


def test_the_clock_is_ours_to_answer_for(chain: Drawing) -> None:
    with pytest.raises(RuleViolation) as caught:
        chain.chain.seal("x", 0)
    assert caught.value.rule is Rule.CLOCK_IS_SANE
    assert chain.chain.tip == header_of(chain.named["genesis"])
