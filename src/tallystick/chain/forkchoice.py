"""Fork choice: which branch a node follows, and what it costs to switch.

A node follows the branch with the greatest *weight* (`Engine.weight`: the number of blocks in classic
networks). Between equal weights the one that is followed already stays, so that nobody gains by
copying (Bitcoin Core, `CBlockIndexWorkComparator`). What is followed is on disk, so a tie stays as it
is after a restart too.

Switching is described before it is done. `plan` returns a `Reorg`: the range of blocks to take off
and the branch to put on. Whoever owns the store applies it in one transaction; whoever watches the
chain is told exactly that value.
"""

from __future__ import annotations

from dataclasses import dataclass

from tallystick.chain.contracts import Engine, View
from tallystick.chain.tree import BlockTree
from tallystick.errors import Rule, RuleViolation
from tallystick.model.block import Header


@dataclass(frozen=True, slots=True)
class Reorg:
    """A switch of branches, as a value."""

    fork: Header
    """The last block that both branches share."""

    old_tip: Header
    new_tip: Header

    @property
    def detach(self) -> range:
        """Indexes that leave the best chain."""
        return range(self.fork.index + 1, self.old_tip.index + 1)

    @property
    def attach(self) -> range:
        """Indexes that take their place."""
        return range(self.fork.index + 1, self.new_tip.index + 1)


def plan(
    tree: BlockTree, engine: Engine, view: View, candidate: Header, parent: Header, *, max_depth: int | None
) -> Reorg | None:
    """What to do about the side branch that ends in `candidate`: nothing, or the switch that makes it the tip.

    `parent` is the oldest block of that branch known to the caller, or a parent of it: the search for
    the fork starts there. Cost is O(depth of the fork below `parent`), never of the chain, and the search ends
    `max_depth` blocks below our tip.

    Raises RuleViolation(REORG_WITHIN_LIMIT) when more than `max_depth` blocks would leave, and
    RuleViolation(PARENT_IS_KNOWN) when an older part of the branch is no longer kept.
    """
    if engine.weight(candidate) <= engine.weight(tree.tip):
        return None
    lowest = 0 if max_depth is None else tree.tip.index - max_depth
    fork = tree.fork_below(parent, view, lowest)
    if fork is None or fork.index < lowest:
        raise RuleViolation(
            Rule.REORG_WITHIN_LIMIT,
            f"a longer branch ends in {candidate.index} and leaves ours below {lowest}: following it would take off "
            f"more than {max_depth} of {tree.tip.index} blocks (--max-reorg)",
        )
    return Reorg(fork, tree.tip, candidate)
