"""Runs that were checked as a whole: how a chain takes them, and that it makes no difference to how it takes blocks."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.chain.chain import Change
from tallystick.chain.writes import AddSide, Append, Switch
from tallystick.errors import Rule, RuleViolation
from tallystick.model.block import Block, header_of
from tallystick.model.limits import Limits
from tests.chain.drawing import NOW_MS, Drawing, unchecked
from tests.chain.naive import classic

LIMITS = Limits(recent_headers=4, view_page=3)


def extends(drawing: Drawing, *names: str, staged: bool = False, root: str | None = None) -> Change:
    first = None if root is None else header_of(drawing.named[root])
    run = [drawing.named[name] for name in names]
    change = drawing.chain.extend(run, drawing.store, NOW_MS, staged=staged, root=first)
    drawing._apply(change)
    return change


@pytest.fixture
def us() -> Drawing:
    """genesis - a1 - a2 - a3, and a branch b2 .. b6 on a1 that we have not seen."""
    drawing = Drawing(LIMITS).mines("a1", "a2", "a3")
    drawing.draws("b2", "b3", "b4", "b5", "b6", on="a1")
    drawing.draws("c4", "c5", "c6", "c7", on="a3")
    return drawing


def test_what_follows_the_tip_is_appended(us: Drawing) -> None:
    change = extends(us, "c4", "c5", staged=True)
    assert [type(write) for write in change.writes] == [Append]
    us.extends_to("c5")


def test_a_long_run_is_written_in_pages(us: Drawing) -> None:
    change = extends(us, "c4", "c5", "c6", "c7")
    assert [len(write.blocks) for write in change.writes if isinstance(write, Append)] == [3, 1]
    us.extends_to("c7")


def test_blocks_that_are_known_already_are_skipped(us: Drawing) -> None:
    extends(us, "c4")
    change = extends(us, "a3", "c4", "c5")
    assert [classic(block).data for block in change.appended] == ["c5"]
    assert extends(us, "a2", "a3", "c4", "c5") == Change()
    assert extends(us, "c5") == Change()


def test_the_fork_is_found_from_the_root_of_a_branch_at_once(us: Drawing) -> None:
    """Catalogue row 56: a switch costs no walk down the branch, only what it moves."""
    extends(us, "b2", "b3", staged=True)
    extends(us, "b4", "b5", staged=True, root="b2")
    assert us.chain._tree.steps == 1
    us.switches_to("b5", detached=["a2", "a3"])


def test_a_root_that_is_ours_by_now_leads_to_no_false_fork(us: Drawing) -> None:
    extends(us, "b2", "b3", "b4", "b5")
    us.switches_to("b5", detached=["a2", "a3"])
    us.draws("d4", "d5", "d6", on="b3")
    extends(us, "d4", "d5", staged=True)
    reorg = extends(us, "d6", staged=True, root="b2").reorg
    assert reorg is not None
    assert reorg.fork == header_of(us.named["b3"])


def test_a_chain_counts_its_switches(us: Drawing) -> None:
    """What was staged before one is no root any more: see `Chain.extend`."""
    extends(us, "b2", "b3", staged=True)
    assert us.chain.switches == 0
    extends(us, "b4", "b5", staged=True, root="b2")
    extends(us, "b6", staged=True)
    assert us.chain.switches == 1


def test_a_branch_is_staged_until_it_is_the_better_one(us: Drawing) -> None:
    for names in (["b2"], ["b3"]):
        change = extends(us, *names, staged=True)
        assert [write.staged for write in change.writes if isinstance(write, AddSide)] == [True]
        us.keeps_tip("a3")
    change = extends(us, "b4", "b5", staged=True)
    assert [type(write) for write in change.writes] == [AddSide, Switch]
    us.switches_to("b5", detached=["a2", "a3"])
    extends(us, "b6", staged=True)
    us.extends_to("b6")


def test_a_branch_is_kept_as_any_other_if_it_is_not_staged(us: Drawing) -> None:
    change = extends(us, "b2", "b3")
    assert [write.staged for write in change.writes if isinstance(write, AddSide)] == [False]


def test_what_links_to_nothing_changes_nothing(us: Drawing) -> None:
    with pytest.raises(RuleViolation) as caught:
        extends(us, "b3", "b4")
    assert caught.value.rule is Rule.PARENT_IS_KNOWN
    assert us.chain.tip_block == us.named["a3"] == us.store.tip


def test_a_branch_that_leaves_too_far_down_is_kept_and_not_followed() -> None:
    drawing = Drawing(LIMITS, max_reorg=1).mines("a1", "a2", "a3")
    drawing.draws("b2", "b3", "b4", on="a1")
    change = extends(drawing, "b2", "b3", "b4", staged=True)
    assert change.refused is not None
    assert change.refused.rule is Rule.REORG_WITHIN_LIMIT
    drawing.keeps_tip("a3")
    at = {header.index: header for header in drawing.store.headers(0, 9)}
    assert [drawing.chain.depth_allowed(at[index]) for index in (1, 2, 3)] == [False, True, True]


def test_any_depth_is_allowed_unless_the_operator_said_otherwise(us: Drawing) -> None:
    assert us.chain.depth_allowed(us.store.headers(0, 1)[0])


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(1, 5)), min_size=1, max_size=8),
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 6)), max_size=12),
)
def test_a_run_does_what_its_blocks_do(branches: list[tuple[int, int]], runs: list[tuple[int, int]]) -> None:
    """Taken as a run that was checked before, or as blocks that were not: the same chain, and the same refusals."""
    ours, twin = Drawing(LIMITS), Drawing(LIMITS)
    blocks: list[Block] = [ours.store.tip]
    for number, (on, length) in enumerate(branches):
        ours.named["on"] = blocks[on % len(blocks)]
        drawn = ours.draws(*(f"{number}.{at}" for at in range(length)), on="on")
        blocks += [block for block in drawn if block not in blocks]
    by_hash = {block.hash: block for block in blocks}
    for pick, length in runs:
        run = [blocks[pick % len(blocks)]]
        while len(run) < length and run[0].index > 1:
            run.insert(0, by_hash[run[0].previous_hash])
        if run[0].index == 0:
            continue
        assert all(after.previous_hash == before.hash for before, after in pairwise(run))
        rules: list[Rule | None] = []
        for drawing, how in ((ours, "run"), (twin, "blocks")):
            try:
                if how == "run":
                    drawing._apply(drawing.chain.extend(run, drawing.store, NOW_MS, staged=False))
                else:
                    drawing._apply(drawing.chain.accept([unchecked(block) for block in run], drawing.store, NOW_MS))
                rules.append(None)
            except RuleViolation as broken:
                rules.append(broken.rule)
        assert rules[0] == rules[1]
        assert ours.store.best == twin.store.best
        assert set(ours.store.all) == set(twin.store.all)
