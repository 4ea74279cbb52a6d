"""The chain a node follows: what happens to it when blocks are mined or arrive.

Every change comes out as a `Change`: the writes that make it durable, and what those who watch the
chain want to know. Nothing here is undone by a failing disk: the owner of the store stops the node then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from tallystick.chain.contracts import Draft, Duty, Engine, Past, Placing, Unchecked, View
from tallystick.chain.forkchoice import Reorg, plan
from tallystick.chain.tree import BlockTree
from tallystick.chain.writes import OWN, AddSide, Append, Mark, Switch, Write
from tallystick.errors import Rule, RuleViolation
from tallystick.model.block import Header, header_of
from tallystick.model.limits import Limits
from tallystick.model.record import Record
from tallystick.model.sealed import AnyBlock


@dataclass(frozen=True, slots=True)
class Change:
    """What became of some blocks."""

    writes: Sequence[Write] = ()
    appended: Sequence[AnyBlock] = ()
    """Blocks that extended the tip, in order."""

    reorg: Reorg | None = None
    """The switch, when another branch is followed now."""

    refused: RuleViolation | None = None
    """Why a better branch is kept, but not followed: REORG_WITHIN_LIMIT."""


NOTHING = Change()


class Chain:
    """Owner of the tip. Methods that take blocks of others raise RuleViolation and change nothing then."""

    def __init__(self, engine: Engine, tip: AnyBlock, limits: Limits, max_reorg: int | None = None) -> None:
        """Follow the branch that ends in `tip`, a block of the store."""
        self._engine = engine
        self._limits = limits
        self._max_reorg = max_reorg
        self._tree = BlockTree(header_of(tip), limits.recent_headers)
        self._moved = 0
        self._appended: Sequence[AnyBlock] = ()
        """What came onto the tip last, in networks whose blocks hold records: within the same step no view shows it."""

        self.switches = 0
        """How often another branch was followed."""

        self.tip_block = tip
        """The last block of the best chain, with its data."""

    @property
    def tip(self) -> Header:
        """The last block of the best chain."""
        return self._tree.tip

    @property
    def weight(self) -> int:
        """What fork choice maximises, of the best chain."""
        return self._engine.weight(self.tip)

    def at(self, index: int, view: View) -> Header | None:
        """The best chain's block at `index`, if it is that long."""
        return self._tree.at(index, view)

    def has(self, index: int, hash: str, view: View) -> bool:
        """Is this block part of the best chain?"""
        return self._tree.on_best_chain(index, hash, view)

    def find(self, index: int, hash: str, view: View) -> Header | None:
        """The block of that index and hash, on the best chain or beside it."""
        return self._tree.find(index, hash, view)

    def keeps(self, index: int, hash: str, view: View) -> bool:
        """Is this block on the best chain or beside it?"""
        return self._tree.find(index, hash, view) is not None

    def locator(self, view: View, most: int) -> list[Header]:
        """Where we stand, for somebody to find what we share (`BlockTree.locator`)."""
        return self._tree.locator(view, most)

    @property
    def effort(self) -> int:
        """Side blocks looked up and blocks moved so far. What a call adds is what it cost beyond its bytes."""
        return self._tree.steps + self._moved

    # --- our own blocks ------------------------------------------------------------------------

    def seal(self, data: str, wall_ms: int) -> AnyBlock:
        """A new block with `data` on the tip, not yet part of the chain."""
        return self._engine.seal(self._tree.tip, data, wall_ms)

    def take_post(self, block: AnyBlock) -> Change:
        """Put a block that `seal` just made for a caller on the chain; from now on it is a duty."""
        return self._append([block], [OWN])

    def mine_again(self, duties: Sequence[Duty], wall_ms: int) -> Change:
        """Carry lost duties again, in order, on top of the tip."""
        blocks: list[AnyBlock] = []
        parent = self.tip
        for duty in duties:
            block = self._engine.seal(parent, duty.data, wall_ms)
            blocks.append(block)
            parent = header_of(block)
        return self._append(blocks, [duty.first for duty in duties])

    def draft(self, records: Sequence[Record], view: View, wall_ms: int) -> Draft:
        """A block on the tip that lacks nothing but its seal, with as many of the first `records` as fit."""
        return self._engine.draft(self.tip, records, self.past(view), wall_ms)

    def take_sealed(self, block: AnyBlock, tops: Sequence[bytes] | None = None) -> Change:
        """Put a block on the chain that was made from a draft on the tip, which has these tops."""
        return self._append([block], None, tops)

    # --- blocks of others ----------------------------------------------------------------------

    def is_ahead(self, block: Unchecked) -> bool:
        """Does this block claim to be further than our tip?"""
        return block.index > self.tip.index

    def accept(self, blocks: Sequence[Unchecked], view: View, wall_ms: int, *, deep: bool = True) -> Change:
        """Check `blocks`, each the child of the one before, keep them, and follow their branch if it is better.

        Raises RuleViolation when one of them is wrong, or, with PARENT_IS_KNOWN, when they link to
        nothing we have. Blocks we have already are no change, unless they end a better branch. Unless `deep`, a better
        branch that leaves ours further back than our newest headers counts as nothing we have, and one that is much
        lighter than ours as nothing at all.
        """
        run = [self._engine.check_alone(block) for block in blocks]
        for parent, block in pairwise(run):
            self._engine.check_in_place(block, header_of(parent))
        known = self._count_known(run, view)
        if known == len(run):
            return NOTHING  # a duplicate changes nothing and is not passed on
        kept = view.side(run[0].hash) if len(run) == 1 else None
        if kept is not None and self._engine.weight(kept) <= self.weight:
            return NOTHING
        before = self._parent_of(run[known], view)
        self._engine.check_in_place(run[known], before)
        new = self._place(run[known:], before, view, wall_ms)
        if before.hash == self.tip.hash:
            return self._connect(new, view)
        if not deep:
            if self._engine.weight(header_of(new.blocks[-1])) < self._engine.least_weight(self.tip):
                return NOTHING
            self._check_is_shallow(new.blocks[-1], before, view)
        change = self._branch(new.blocks, before, view)
        if kept is not None and change.refused:
            return NOTHING  # why it is refused was said when it came first
        return change

    def extend(
        self, run: Sequence[AnyBlock], view: View, wall_ms: int, *, staged: bool, root: Header | None = None
    ) -> Change:
        """Take a run that `Engine.check_run` made, keep it, and follow its branch if it is better.

        `staged`: it is part of a branch that is still arriving (see `AddSide.staged`). `root` is an older block of that
        branch: looking for the fork from there saves walking down a long branch. All from there on must have been
        staged since, and no other branch followed meanwhile (`switches`): what a switch took and another one gave back
        is kept like any side block, and may be gone. Raises RuleViolation, with PARENT_IS_KNOWN when the run links to
        nothing we have.
        """
        known = self._count_known(run, view)
        if known == len(run):
            return NOTHING
        before = self._parent_of(run[known], view)
        new = self._place(run[known:], before, view, wall_ms)
        if before.hash == self.tip.hash:
            return self._connect(new, view)
        oldest = root if root is not None and not self.has(root.index, root.hash, view) else before
        return self._branch(new.blocks, before, view, staged=staged, oldest=oldest)

    def _place(self, run: Sequence[AnyBlock], parent: Header, view: View, wall_ms: int) -> Placing[AnyBlock]:
        return self._engine.place(run, parent, self.past(view), wall_ms)

    def past(self, view: View) -> Past:
        """How engines look at what is before a block."""
        return lambda header, count: self._tree.past(header, count, view)

    def _check_is_shallow(self, last: AnyBlock, parent: Header, view: View) -> None:
        """Does a branch that would be followed leave ours among our newest headers? Raises RuleViolation."""
        lowest = self.tip.index - self._limits.recent_headers
        is_better = self._engine.weight(header_of(last)) > self._engine.weight(self.tip)
        if is_better and self._tree.fork_below(parent, view, lowest) is None:
            raise RuleViolation(Rule.PARENT_IS_KNOWN, f"block {last.index} {last.hash} leaves ours below {lowest}")

    def is_deep(self, fork: Header) -> bool:
        """Is this further back than our newest headers?"""
        return fork.index < self.tip.index - self._limits.recent_headers

    def depth_allowed(self, fork: Header) -> bool:
        """May everything after `fork` leave the best chain (`--max-reorg`)?"""
        return self._max_reorg is None or self.tip.index - fork.index <= self._max_reorg

    def _count_known(self, run: Sequence[AnyBlock], view: View) -> int:
        """How many of the first blocks of a run are on the best chain. Both are linked, so halving finds it."""
        low, high = 0, len(run)
        while low < high:
            middle = (low + high) // 2
            if self._tree.on_best_chain(run[middle].index, run[middle].hash, view):
                low = middle + 1
            else:
                high = middle
        return low

    def _parent_of(self, block: AnyBlock, view: View) -> Header:
        parent = self._tree.find(block.index - 1, block.previous_hash, view)
        if parent is None:
            raise RuleViolation(Rule.PARENT_IS_KNOWN, f"block {block.index} {block.hash} links to no block we have")
        return parent

    # --- changes -------------------------------------------------------------------------------

    def _connect(self, new: Placing[AnyBlock], view: View) -> Change:
        """Put blocks of others on the tip, if their records are new."""
        blocks = new.blocks
        self._check_records_are_new(self.tip, self.tip, blocks, view)
        unseen = self._unseen(view)
        change = self._append(blocks, None, new.tops)
        if unseen:
            self._appended = [*unseen, *blocks]
        return change

    def _append(
        self, blocks: Sequence[AnyBlock], marks: Sequence[Mark] | None, tops: Sequence[bytes] | None = None
    ) -> Change:
        self._tree.extend(map(header_of, blocks))
        self._appended = blocks if self._engine.takes_records else ()
        self.tip_block = blocks[-1]
        size = self._limits.view_page
        if len(blocks) <= size:
            return Change((Append(blocks, marks, tops),), appended=blocks)
        writes = [
            Append(blocks[i : i + size], None if marks is None else marks[i : i + size])
            for i in range(0, len(blocks), size)
        ]
        return Change(writes, appended=blocks)

    def _branch(
        self,
        blocks: Sequence[AnyBlock],
        parent: Header,
        view: View,
        *,
        staged: bool = False,
        oldest: Header | None = None,
    ) -> Change:
        """Keep blocks that do not extend the tip, and switch to their branch if it is the better one.

        The fork is looked for from the block `oldest` of that branch, by default from the parent.
        """
        size = self._limits.view_page
        kept: list[Write] = [AddSide(blocks[i : i + size], staged) for i in range(0, len(blocks), size)]
        start = parent if oldest is None else oldest
        try:
            reorg = plan(self._tree, self._engine, view, header_of(blocks[-1]), start, max_depth=self._max_reorg)
        except RuleViolation as refused:
            if refused.rule is Rule.PARENT_IS_KNOWN:
                raise
            return Change(kept, refused=refused)
        if reorg is None:
            return Change(kept)
        self._check_records_are_new(reorg.fork, parent, blocks, view)
        self._tree.switch(reorg.fork, map(header_of, blocks[-self._limits.recent_headers :]), view)
        self.tip_block = blocks[-1]
        self._appended = ()
        self.switches += 1
        self._moved += len(reorg.detach) + len(reorg.attach)
        switch = Switch(reorg.fork.index, reorg.old_tip.index, reorg.new_tip.hash, reorg.new_tip.index)
        return Change([*kept, switch], reorg=reorg)

    def _check_records_are_new(self, fork: Header, parent: Header, blocks: Sequence[AnyBlock], view: View) -> None:
        """Is each record of a branch that is about to be followed new in it? The branch leaves ours after `fork`, goes
        on to `parent`, and then come `blocks`. Raises RuleViolation(RECORD_IS_NEW)."""
        if not self._engine.takes_records:
            return
        unseen = [block for block in self._unseen(view) if block.index <= fork.index]
        shown = unseen[0].index - 1 if unseen else fork.index
        records = [record for block in (*unseen, *blocks) for record in self._engine.records(block)]
        twice = view.repeats(shown, parent.hash, records)
        if twice is not None:
            raise RuleViolation(
                Rule.RECORD_IS_NEW,
                f"the branch to block {blocks[-1].index} {blocks[-1].hash} holds record {twice} twice",
            )

    def _unseen(self, view: View) -> Sequence[AnyBlock]:
        """The newest blocks of our chain, as far as they came in this very step, so that `view` does not show them."""
        if self._appended:
            last = self._appended[-1]
            if any(header.hash == last.hash for header in view.headers(last.index, 1)):
                self._appended = ()
        return self._appended
