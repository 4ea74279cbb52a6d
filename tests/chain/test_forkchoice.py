"""Fork choice: only a strictly better branch, and only as deep as allowed."""

from __future__ import annotations

import pytest

from tallystick.chain.forkchoice import Reorg, plan
from tallystick.chain.tree import BlockTree
from tallystick.chain.writes import AddSide, Append
from tallystick.errors import Rule, RuleViolation
from tallystick.model.block import Header, header_of
from tests.chain.drawing import ENGINE, Drawing
from tests.chain.naive import NaiveStore

A1, A2, A3, B2, B3, B4 = (
    header_of(block)
    for drawing in [Drawing()]
    for block in [*drawing.draws("a1", "a2", "a3", on="genesis"), *drawing.draws("b2", "b3", "b4", on="a1")]
)


def planned(candidate: Header, parent: Header, max_depth: int | None = None) -> Reorg | None:
    """genesis - a1 - a2 - a3 is followed, and b2 - b3 - b4 on a1 is kept."""
    drawing = Drawing()
    store = NaiveStore()
    store.apply(Append(drawing.draws("a1", "a2", "a3", on="genesis")))
    store.apply(AddSide(drawing.draws("b2", "b3", "b4", on="a1")))
    tree = BlockTree(header_of(store.chain()[0]), 10)
    tree.extend(map(header_of, store.chain()[1:]))
    return plan(tree, ENGINE, store, candidate, parent, max_depth=max_depth)


def test_less_or_equal_weight_changes_nothing() -> None:
    assert planned(B2, A1) is None
    assert planned(B3, A1) is None


@pytest.mark.parametrize("parent", [A1, B2, B3])
def test_a_better_branch_is_a_switch_wherever_the_search_starts(parent: Header) -> None:
    reorg = planned(B4, parent)
    assert reorg == Reorg(fork=A1, old_tip=A3, new_tip=B4)
    assert (reorg.detach, reorg.attach) == (range(2, 4), range(2, 5))


@pytest.mark.parametrize("parent", [A1, B2, B3])
def test_depth_is_counted_in_blocks_taken_off(parent: Header) -> None:
    assert planned(B4, parent, max_depth=2) is not None
    for most in (0, 1):
        with pytest.raises(RuleViolation) as caught:
            planned(B4, parent, max_depth=most)
        assert caught.value.rule is Rule.REORG_WITHIN_LIMIT
