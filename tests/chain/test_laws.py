"""Laws of the chain, over random trees of blocks that arrive in random order, among posts and restarts."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tallystick.chain.chain import Change
from tallystick.errors import Rule, RuleViolation
from tallystick.model.block import Block, header_of
from tallystick.model.limits import Limits
from tests.chain.drawing import ENGINE, NOW_MS, Drawing, unchecked
from tests.chain.naive import classic
from tests.effort import examples

MARKERS = st.integers(0, 10**9)


class ChainLaws(RuleBasedStateMachine):
    """A chain, and all blocks that anybody ever made, known to us or not."""

    def __init__(self) -> None:
        super().__init__()
        self.us = Drawing(Limits(recent_headers=4, view_page=3))
        self.all: list[Block] = [self.us.store.tip]
        self.seen: list[str] = [self.us.store.tip.hash]
        self.posts: list[str] = []

    @rule(parent=MARKERS, length=st.integers(1, 4), salt=st.integers(0, 3))
    def somebody_mines(self, parent: int, length: int, salt: int) -> None:
        block = self.all[parent % len(self.all)]
        for _ in range(length):
            block = ENGINE.seal(header_of(block), f"theirs {salt}", NOW_MS)
            if block not in self.all:
                self.all.append(block)

    @rule(pick=MARKERS)
    def one_arrives(self, pick: int) -> None:
        self.receive([self.all[pick % len(self.all)]])

    @rule(pick=MARKERS)
    def a_whole_chain_arrives(self, pick: int) -> None:
        by_hash = {block.hash: block for block in self.all}
        chain = [self.all[pick % len(self.all)]]
        while chain[-1].index:
            chain.append(by_hash[chain[-1].previous_hash])
        self.receive(chain[::-1])

    def receive(self, blocks: list[Block]) -> None:
        before = self.us.chain.tip
        try:
            self.apply(self.us.chain.accept([unchecked(block) for block in blocks], self.us.store, NOW_MS))
        except RuleViolation as broken:
            assert broken.rule is Rule.PARENT_IS_KNOWN
            return
        after = self.us.chain.tip
        assert after == before or after.index > before.index, "only strictly more weight moves the tip"
        assert after.index >= blocks[-1].index, "the best known branch is followed"

    @rule(text=st.sampled_from(["x", "y"]))
    def we_mine(self, text: str) -> None:
        block = classic(self.us.chain.seal(text, NOW_MS))
        self.apply(self.us.chain.take_post(block))
        self.posts.append(text)

    @rule()
    def we_mine_again(self) -> None:
        duties = self.us.store.lost(2)
        if duties:
            self.apply(self.us.chain.mine_again(duties, NOW_MS))

    @rule()
    def we_restart(self) -> None:
        self.us.restarts()

    def apply(self, change: Change) -> None:
        for write in change.writes:
            self.us.store.apply(write)
        self.all.extend(block for block in self.us.store.all.values() if block not in self.all)

    @invariant()
    def the_best_chain_is_linked_and_is_what_memory_says(self) -> None:
        chain = self.us.store.chain()
        for parent, block in pairwise(chain):
            ENGINE.check_in_place(ENGINE.check_alone(unchecked(block)), header_of(parent))
        assert self.us.chain.tip_block == chain[-1]
        assert self.us.chain.tip.index == max(block.index for block in self.us.store.all.values())

    @invariant()
    def every_post_is_there_once_or_known_to_be_lost(self) -> None:
        """What we acknowledged is on the best chain exactly once, or waits to be mined again."""
        store, best = self.us.store, set(self.us.store.best)
        duties = {mark or hash for hash, mark in store.marks.items() if mark is not None}
        assert len(duties) == len(self.posts)
        held = [len(store.carriers(duty) & best) for duty in duties]
        assert max(held, default=0) <= 1
        assert held.count(0) == len(store.lost(1000))

    def teardown(self) -> None:
        for _ in self.posts:
            self.we_mine_again()
        assert self.us.store.lost(1) == []
        self.every_post_is_there_once_or_known_to_be_lost()


TestChainLaws = ChainLaws.TestCase
TestChainLaws.settings = settings(max_examples=examples(60), stateful_step_count=30, deadline=None)
