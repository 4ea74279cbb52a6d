"""The tree: the newest headers in memory, everything else looked up, and no difference to be seen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.chain.tree import BlockTree
from tallystick.chain.writes import AddSide, Append, Switch
from tallystick.errors import Rule, RuleViolation
from tallystick.model.block import Block, Header, header_of
from tests.chain.drawing import Drawing
from tests.chain.naive import NaiveStore

CAPACITY = 3


class Looked(NaiveStore):
    """A view that counts what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def headers(self, first: int, count: int) -> list[Header]:
        self.asked += 1
        return list(super().headers(first, count))


@pytest.fixture
def view() -> Looked:
    """genesis - a1 .. a6, and beside it b3 - b4 - b5 on a2."""
    view = Looked()
    view.apply(Append(ours()))
    view.apply(AddSide(theirs()))
    return view


def ours() -> list[Block]:
    return Drawing().draws("a1", "a2", "a3", "a4", "a5", "a6", on="genesis")


def theirs() -> list[Block]:
    drawing = Drawing()
    drawing.draws("a1", "a2", on="genesis")
    return drawing.draws("b3", "b4", "b5", on="a2")


def tree(view: NaiveStore) -> BlockTree:
    tree = BlockTree(header_of(view.chain()[0]), CAPACITY)
    tree.extend(map(header_of, view.chain()[1:]))
    return tree


def test_a_header_is_found_in_memory_or_looked_up(view: Looked) -> None:
    known = tree(view)
    assert [known.at(index, view) for index in range(7)] == [header_of(block) for block in view.chain()]
    assert view.asked == 7 - CAPACITY
    assert [known.at(index, view) for index in (-1, 7, 2**60)] == [None, None, None]


def test_a_block_is_found_by_index_and_hash_together(view: Looked) -> None:
    known = tree(view)
    for block in [*view.chain(), *theirs()]:
        assert known.find(block.index, block.hash, view) == header_of(block)
        assert known.find(block.index + 1, block.hash, view) is None
        assert known.on_best_chain(block.index, block.hash, view) == (block in view.chain())


def test_the_fork_is_the_newest_block_shared(view: Looked) -> None:
    known, branch = tree(view), theirs()
    assert known.fork_below(header_of(branch[-1]), view) == header_of(view.chain()[2])
    assert known.steps == 3
    assert known.fork_below(known.tip, view) == known.tip
    assert known.steps == 3


def test_a_branch_that_lost_its_beginning_has_no_fork(view: Looked) -> None:
    branch = theirs()
    del view.all[branch[0].hash]
    known = tree(view)
    with pytest.raises(RuleViolation) as caught:
        known.fork_below(header_of(branch[-1]), view)
    assert caught.value.rule is Rule.PARENT_IS_KNOWN
    assert known.steps == 1


@pytest.mark.parametrize("count", [1, 2, 3, 4, 11])
def test_the_past_of_a_block_is_of_its_own_branch(view: Looked, count: int) -> None:
    """The newest in memory, the others looked up, on the chain and beside it; fewer where genesis is."""
    known, branch = tree(view), theirs()
    ours, beside = view.chain(), [*view.chain()[:3], *branch]
    for blocks in (ours, beside):
        for number, block in enumerate(blocks, start=1):
            expected = [header_of(each) for each in blocks[max(0, number - count) : number]]
            assert known.past(header_of(block), count, view) == expected
    del view.all[branch[0].hash]
    with pytest.raises(RuleViolation) as caught:
        known.past(header_of(branch[-1]), 11, view)
    assert caught.value.rule is Rule.PARENT_IS_KNOWN
    assert known.past(header_of(branch[-1]), 2, view) == [header_of(each) for each in branch[1:]]


@pytest.mark.parametrize("kept", [1, 2, 3])
def test_a_switch_keeps_what_both_branches_share(view: Looked, kept: int) -> None:
    """However many of the new branch's headers are handed over, every look-up afterwards is right, also those that
    are made before the switch is written."""
    known, branch = tree(view), theirs()
    known.switch(header_of(view.chain()[2]), map(header_of, branch[-kept:]), view)
    assert known.tip == header_of(branch[-1])
    assert [known.at(index, view) for index in range(3, 6)] == list(map(header_of, branch))
    view.apply(Switch(2, 6, branch[-1].hash, 5))
    assert [known.at(index, view) for index in range(6)] == [header_of(block) for block in view.chain()]
    assert known.at(6, view) is None


# --- locators ---------------------------------------------------------------------------------------


class Line(NaiveStore):
    """A view of a chain so long that nobody would make it; a header's hash is its index."""

    def headers(self, first: int, count: int) -> list[Header]:
        return [Header(index, str(index), str(index - 1), 0) for index in range(first, first + count)]


def locator(tip: int, most: int = 64) -> list[int]:
    known = BlockTree(Header(tip, str(tip), str(tip - 1), 0), CAPACITY)
    return [header.index for header in known.locator(Line(), most)]


@given(st.integers(0, 2**53 - 1), st.integers(1, 64))
def test_a_locator_goes_from_the_tip_to_genesis(tip: int, most: int) -> None:
    found = locator(tip, most)
    assert len(found) <= most
    assert found == sorted(set(found), reverse=True)
    assert found[-1] == 0
    assert most == 1 or found[0] == tip
    assert most < 12 or found[:11] == list(range(tip, max(-1, tip - 11), -1))


@given(st.integers(1, 2**53 - 1), st.data())
def test_a_locator_names_a_block_at_most_twice_as_far_back_as_the_fork(tip: int, data: st.DataObject) -> None:
    """Sixty-four points reach down the longest chain there can be."""
    fork = data.draw(st.integers(0, tip))
    shared = next(index for index in locator(tip) if index <= fork)
    assert tip - shared <= max(11, 2 * (tip - fork) + 11)


def test_a_locator_of_a_short_chain_names_all_of_it(view: Looked) -> None:
    assert [header.index for header in tree(view).locator(view, 64)] == [6, 5, 4, 3, 2, 1, 0]
    assert locator(0) == [0]
    assert locator(1) == [1, 0]
