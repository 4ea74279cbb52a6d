"""The blocks a node knows: one best chain, and branches beside it.

The tree lives in the store. In memory stand only the newest headers of the best chain, so memory does
not grow with the chain; what is older, and every side branch, is looked up. A block names its index,
so finding it on the best chain takes no index over hashes: either the block at that place has that
hash, or it is not there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from tallystick.chain.contracts import View
from tallystick.errors import Rule, RuleViolation
from tallystick.model.block import Header

_SINGLE_STEPS: Final = 10


class BlockTree:
    """The best chain's newest headers, and look-ups of everything else through a view."""

    def __init__(self, tip: Header, capacity: int) -> None:
        """Start at `tip`, keeping at most `capacity` headers in memory."""
        self._recent: deque[Header] = deque([tip], maxlen=capacity)
        self.steps = 0
        """Side blocks looked up so far by `fork_below`."""

    @property
    def tip(self) -> Header:
        """The last block of the best chain."""
        return self._recent[-1]

    def at(self, index: int, view: View) -> Header | None:
        """The best chain's block at `index`, if it is that long."""
        behind = self.tip.index - index
        if 0 <= behind < len(self._recent):
            return self._recent[-1 - behind]
        if behind < 0 or index < 0:
            return None
        found = view.headers(index, 1)
        return found[0] if found else None

    def on_best_chain(self, index: int, hash: str, view: View) -> bool:
        """Is this block part of the best chain?"""
        header = self.at(index, view)
        return header is not None and header.hash == hash

    def find(self, index: int, hash: str, view: View) -> Header | None:
        """The block of that index and hash, on the best chain or beside it."""
        header = self.at(index, view)
        if header is not None and header.hash == hash:
            return header
        side = view.side(hash)
        return side if side is not None and side.index == index else None

    def past(self, header: Header, count: int, view: View) -> list[Header]:
        """The last `count` headers of the branch that ends in `header`, that one included, oldest first; fewer where
        genesis is. Raises RuleViolation(PARENT_IS_KNOWN) where the branch has lost its older blocks."""
        found = [header]
        while len(found) < count and found[-1].index > 0:
            child = found[-1]
            parent = self.find(child.index - 1, child.previous_hash, view)
            if parent is None:
                raise _no_longer_kept(child)
            found.append(parent)
        return found[::-1]

    def locator(self, view: View, most: int) -> list[Header]:
        """The tip, the ten blocks before it, then ever larger steps down to genesis: at most `most` blocks.

        Whoever shares any of our past finds a block of it here that is at most twice as far back as the last
        one shared (Bitcoin Core, `LocatorEntries`).
        """
        found: list[Header] = []
        index, step = self.tip.index, 1
        while len(found) < most - 1 and index > 0:
            header = self.at(index, view)
            if header is not None:
                found.append(header)
            if len(found) > _SINGLE_STEPS:
                step *= 2
            index -= step
        genesis = self.at(0, view)
        return found if genesis is None else [*found, genesis]

    def fork_below(self, header: Header, view: View, lowest: int = 0) -> Header | None:
        """The newest ancestor of `header`, or itself, that is on the best chain; None when it is below `lowest`.

        Raises RuleViolation(PARENT_IS_KNOWN) where the branch has lost its older blocks.
        """
        while not self.on_best_chain(header.index, header.hash, view):
            parent = self.find(header.index - 1, header.previous_hash, view)
            if parent is None:
                raise _no_longer_kept(header)
            if parent.index < lowest:
                return None
            header = parent
            self.steps += 1
        return header

    def extend(self, headers: Iterable[Header]) -> None:
        """Note headers that were put on the best chain; the first follows the tip."""
        self._recent.extend(headers)

    def switch(self, fork: Header, headers: Iterable[Header], view: View) -> None:
        """Note a switch: everything above `fork` left, and a branch came that ends in `headers`.

        `headers` are the newest of that branch, in order, at least one. Those before them are taken from `view`, where
        they are still beside the chain: whoever asks before the switch is written would else be told of the branch
        that left.
        """
        capacity = self._recent.maxlen
        newest = deque(headers, capacity)
        while newest[0].index > fork.index + 1 and len(newest) != capacity:
            parent = view.side(newest[0].previous_hash)
            if parent is None:
                break
            newest.appendleft(parent)
        if newest[0].index == fork.index + 1:
            while self._recent and self._recent[-1].index > fork.index:
                self._recent.pop()
        else:
            self._recent.clear()
        self._recent.extend(newest)


def _no_longer_kept(header: Header) -> RuleViolation:
    return RuleViolation(
        Rule.PARENT_IS_KNOWN, f"the parent of side block {header.index} {header.hash} is no longer kept"
    )
