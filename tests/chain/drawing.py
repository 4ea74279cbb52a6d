"""Tests that read like the drawing of a fork: blocks have names, branches grow where one says."""

from __future__ import annotations

from typing import Self

import msgspec
import pytest

from tallystick.chain.chain import Chain, Change
from tallystick.consensus import engine_for
from tallystick.errors import Rule, RuleViolation
from tallystick.model.block import Block, UncheckedBlock, header_of
from tallystick.model.limits import Limits
from tallystick.model.network import CLASSIC, CLASSIC_GENESIS
from tests.chain.naive import NaiveStore

NOW_MS = 1_700_000_000_000
ENGINE = engine_for(CLASSIC)


def unchecked(block: Block) -> UncheckedBlock:
    return UncheckedBlock(**msgspec.structs.asdict(block))


class Drawing:
    """A chain over a naive store, told in names. Every block's data is its name unless said otherwise."""

    def __init__(self, limits: Limits | None = None, max_reorg: int | None = None) -> None:
        self.limits = limits or Limits()
        self.max_reorg = max_reorg
        self.store = NaiveStore()
        self.chain = Chain(ENGINE, CLASSIC_GENESIS, self.limits, max_reorg)
        self.named: dict[str, Block] = {"genesis": CLASSIC_GENESIS}
        self.change = Change()

    def restarts(self) -> Self:
        """Forget everything that is not in the store."""
        self.chain = Chain(ENGINE, self.store.tip, self.limits, self.max_reorg)
        return self

    def mines(self, *names: str, data: str | None = None) -> Self:
        """Post on the tip."""
        for name in names:
            block = self.chain.seal(data or name, NOW_MS)
            self.named[name] = block
            self._apply(self.chain.take_post(block))
        return self

    def mines_again(self) -> Self:
        duties = self.store.lost(self.limits.view_page)
        if duties:
            self._apply(self.chain.mine_again(duties, NOW_MS))
        return self

    def draws(self, *names: str, on: str) -> list[Block]:
        """Make blocks of somebody else, each on the one before, the first `on` a named one."""
        drawn = []
        for name in names:
            self.named[name] = ENGINE.seal(header_of(self.named[on]), name, NOW_MS)
            drawn.append(self.named[name])
            on = name
        return drawn

    def accepts(self, *names: str, on: str | None = None) -> Self:
        """Receive blocks in one message; they are drawn `on` a named one unless they exist."""
        if on is not None:
            self.draws(*names, on=on)
        self._apply(self.chain.accept([unchecked(self.named[name]) for name in names], self.store))
        return self

    def accepts_one_by_one(self, *names: str, on: str) -> Self:
        for name in names:
            self.accepts(name, on=on)
            on = name
        return self

    def refuses(self, *names: str, rule: Rule) -> Self:
        """Receive blocks in one message and break `rule`; nothing changes."""
        before, tip = (dict(self.store.all), list(self.store.best)), self.chain.tip
        with pytest.raises(RuleViolation) as caught:
            self.accepts(*names)
        assert caught.value.rule is rule
        assert (self.store.all, self.store.best) == before
        assert self.chain.tip == tip
        return self

    def extends_to(self, name: str) -> Self:
        assert self.change.reorg is None
        assert self.change.appended
        return self._has_tip(name)

    def keeps_tip(self, name: str) -> Self:
        assert self.change.reorg is None
        assert not self.change.appended
        return self._has_tip(name)

    def switches_to(self, name: str, *, detached: list[str]) -> Self:
        reorg = self.change.reorg
        assert reorg is not None
        assert [self.named[each].index for each in detached] == list(reorg.detach)
        assert reorg.new_tip == header_of(self.named[name])
        assert not set(detached) & {block.data for block in self.store.chain()}
        return self._has_tip(name)

    def expects_once(self, *data: str) -> Self:
        """Each of these is on the best chain, once."""
        held = [block.data for block in self.store.chain()]
        assert [held.count(each) for each in data] == [1] * len(data)
        return self

    def _has_tip(self, name: str) -> Self:
        assert self.chain.tip == header_of(self.named[name]), f"the tip is not {name}"
        return self

    def _apply(self, change: Change) -> None:
        for write in change.writes:
            self.store.apply(write)
        self.change = change
        assert self.chain.tip_block == self.store.tip
        assert self.chain.tip == header_of(self.store.tip)
