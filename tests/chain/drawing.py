"""Tests that read like the drawing of a fork: blocks have names, branches grow where one says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, Self, TypeVar

import msgspec
import pytest

from tallystick.chain.chain import Chain, Change
from tallystick.chain.contracts import Engine, Unchecked, View
from tallystick.chain.writes import Write
from tallystick.consensus.classic import ClassicEngine
from tallystick.errors import Rule, RuleViolation
from tallystick.model.block import Block, UncheckedBlock, header_of
from tallystick.model.limits import Limits
from tallystick.model.network import CLASSIC, CLASSIC_GENESIS
from tallystick.model.sealed import AnyBlock
from tests.chain.naive import NaiveStore, classic

NOW_MS = 1_700_000_000_000
ENGINE = ClassicEngine(CLASSIC)


def unchecked(block: Block) -> UncheckedBlock:
    return UncheckedBlock(**msgspec.structs.asdict(block))


B = TypeVar("B", bound=AnyBlock)


class Forks(Generic[B]):
    """A chain told in names; what its blocks are, its kinds say."""

    now_ms = NOW_MS

    def __init__(self, engine: Engine, genesis: B, limits: Limits | None, max_reorg: int | None) -> None:
        self.engine = engine
        self.limits = limits or Limits()
        self.max_reorg = max_reorg
        self.named: dict[str, B] = {"genesis": genesis}
        self.change = Change()
        self.chain = Chain(engine, genesis, self.limits, max_reorg)

    # --- what the kinds say --------------------------------------------------------------------

    @property
    def view(self) -> View:
        raise NotImplementedError

    def draws(self, *names: str, on: str) -> list[B]:
        """Make blocks of somebody else, each on the one before, the first `on` a named one."""
        raise NotImplementedError

    def _claimed(self, block: B) -> Unchecked:
        """A block as it comes from somebody else."""
        raise NotImplementedError

    def _best(self) -> Sequence[AnyBlock]:
        """The best chain, as it is stored."""
        raise NotImplementedError

    def _everything(self) -> object:
        """All that is stored."""
        raise NotImplementedError

    def _write(self, writes: Sequence[Write]) -> None:
        raise NotImplementedError

    # --- what happens --------------------------------------------------------------------------

    def restarts(self) -> Self:
        """Forget everything that is not in the store."""
        self.chain = Chain(self.engine, self._best()[-1], self.limits, self.max_reorg)
        return self

    def accepts(self, *names: str, on: str | None = None, deep: bool = True) -> Self:
        """Receive blocks in one message; they are drawn `on` a named one unless they exist."""
        blocks = [self.named[name] for name in names] if on is None else self.draws(*names, on=on)
        claimed = [self._claimed(block) for block in blocks]
        self._apply(self.chain.accept(claimed, self.view, self.now_ms, deep=deep))
        return self

    def accepts_one_by_one(self, *names: str, on: str) -> Self:
        for name in names:
            self.accepts(name, on=on)
            on = name
        return self

    def refuses(self, *names: str, rule: Rule, deep: bool = True) -> Self:
        """Receive blocks in one message and break `rule`; nothing changes."""
        before, tip, tip_block = self._everything(), self.chain.tip, self.chain.tip_block
        with pytest.raises(RuleViolation) as caught:
            self.accepts(*names, deep=deep)
        assert caught.value.rule is rule
        assert self._everything() == before
        assert (self.chain.tip, self.chain.tip_block) == (tip, tip_block)
        return self

    # --- what came of it -----------------------------------------------------------------------

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
        assert not {self.named[each].hash for each in detached} & {block.hash for block in self._best()}
        return self._has_tip(name)

    def _has_tip(self, name: str) -> Self:
        assert self.chain.tip == header_of(self.named[name]), f"the tip is not {name}"
        return self

    def _apply(self, change: Change) -> None:
        self._write(change.writes)
        self.change = change
        assert self.chain.tip_block == self._best()[-1]
        assert self.chain.tip == header_of(self._best()[-1])


class Drawing(Forks[Block]):
    """A classic chain over a naive store. Every block's data is its name unless said otherwise."""

    def __init__(self, limits: Limits | None = None, max_reorg: int | None = None) -> None:
        super().__init__(ENGINE, CLASSIC_GENESIS, limits, max_reorg)
        self.store = NaiveStore()

    @property
    def view(self) -> View:
        return self.store

    def draws(self, *names: str, on: str) -> list[Block]:
        drawn = []
        for name in names:
            self.named[name] = ENGINE.seal(header_of(self.named[on]), name, NOW_MS)
            drawn.append(self.named[name])
            on = name
        return drawn

    def mines(self, *names: str, data: str | None = None) -> Self:
        """Post on the tip."""
        for name in names:
            block = classic(self.chain.seal(data or name, NOW_MS))
            self.named[name] = block
            self._apply(self.chain.take_post(block))
        return self

    def mines_again(self) -> Self:
        duties = self.store.lost(self.limits.view_page)
        if duties:
            self._apply(self.chain.mine_again(duties, NOW_MS))
        return self

    def switches_to(self, name: str, *, detached: list[str]) -> Self:
        assert not set(detached) & {block.data for block in self.store.chain()}
        return super().switches_to(name, detached=detached)

    def expects_once(self, *data: str) -> Self:
        """Each of these is on the best chain, once."""
        held = [block.data for block in self.store.chain()]
        assert [held.count(each) for each in data] == [1] * len(data)
        return self

    def _claimed(self, block: Block) -> Unchecked:
        return unchecked(block)

    def _best(self) -> Sequence[Block]:
        return self.store.chain()

    def _everything(self) -> object:
        return dict(self.store.all), list(self.store.best)

    def _write(self, writes: Sequence[Write]) -> None:
        for write in writes:
            self.store.apply(write)
