"""What a chain decides, its store can do: whoever sends what, and whatever is dropped in between, no switch meets a
hole. Only a disk may make a store raise.

The chain and what fetches for it are the real ones; of a sync there are only the runs that it hands over.
"""

from __future__ import annotations

import random
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, get_args

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tallystick.chain.chain import Chain
from tallystick.chain.contracts import Reader, Store
from tallystick.chain.writes import OWN, AddSide, Append, Write
from tallystick.consensus.classic import ClassicEngine
from tallystick.errors import RuleViolation
from tallystick.model.block import Block, header_of
from tallystick.model.network import CLASSIC
from tallystick.node.fetching import Fetching
from tallystick.node.inputs import Moment, Now
from tallystick.storage.memory import MemoryReader, MemoryStore
from tallystick.storage.opening import open_store
from tests.chain.drawing import NOW_MS, unchecked
from tests.effort import examples
from tests.storage.kit import GENESIS, IN_MEMORY, SMALL, child

LIMITS = replace(SMALL, recent_headers=3, side_bytes=500)
"""Five short blocks stay beside the chain."""

ENGINE = ClassicEngine(CLASSIC)

NEWEST = st.sampled_from([0, 0, 0, 1, 2, 3, 5, 8])
"""How far back from the newest: to see anything happen, branches have to meet."""


class Handed:
    """A sync that hands over what the test says."""

    lead: ClassVar[int | None] = None

    def __init__(self) -> None:
        self.run: list[Block] = []
        self.is_active = False

    def take(self) -> list[Block]:
        return self.run

    def connected(self, index: int, now_ms: int) -> None:
        """Nobody asks how far it came."""

    def avoid_lead(self, until_ms: int) -> None:
        self.is_active = False

    def stop(self) -> None:
        self.is_active = False


class Plans(RuleBasedStateMachine):
    """One node, and everybody else."""

    store: Store
    reader: Reader

    def open(self) -> None:
        raise NotImplementedError

    @initialize()
    def start(self) -> None:
        self.open()
        self.chain = Chain(ENGINE, GENESIS, LIMITS)
        self.fetching = Fetching(ENGINE, self.chain, LIMITS)
        self.handed = Handed()
        self.fetching.sync = self.handed  # type: ignore[assignment]
        self.blocks = {GENESIS.hash: GENESIS}
        self.drawn = [GENESIS]
        self.made = 0
        for number in range(6):  # else next to nothing would have to be staged
            self.we_mine(number % 2 == 0)
        self.wanted = self.draw(GENESIS, 9)[-1]
        """The tip of the branch that is fetched."""

    def draw(self, parent: Block, length: int) -> list[Block]:
        """A branch that somebody has."""
        branch: list[Block] = []
        for _ in range(length):
            self.made += 1
            branch.append(child(branch[-1] if branch else parent, str(self.made)))
        self.drawn += branch
        self.blocks.update((block.hash, block) for block in branch)
        return branch

    def path_to(self, block: Block) -> list[Block]:
        """From the genesis block up."""
        path = [block]
        while path[-1].index:
            path.append(self.blocks[path[-1].previous_hash])
        return path[::-1]

    def write(self, *writes: object) -> None:
        self.store.begin()
        for write in writes:
            if isinstance(write, get_args(Write)):
                self.store.apply(write)
        self.store.commit()

    # --- rules ---------------------------------------------------------------------------------

    @rule(back=NEWEST, length=st.integers(1, 6))
    def a_branch_is_mined(self, back: int, length: int) -> None:
        self.draw(self.drawn[-1 - back % len(self.drawn)], length)

    def we_mine(self, ours: bool) -> None:  # noqa: FBT001 - drawn
        tip = self.chain.tip_block
        assert isinstance(tip, Block)
        (block,) = self.draw(tip, 1)
        self.chain.take_post(block)
        self.write(Append([block], [OWN] if ours else None))

    @rule(ours=st.booleans(), coin=st.booleans())
    def we_post(self, ours: bool, coin: bool) -> None:  # noqa: FBT001 - drawn
        if coin:  # now and then
            self.we_mine(ours)

    @rule(first=st.integers(1, 12), number=st.sampled_from([1, 1, 1, 3]), deep=st.booleans())
    def somebody_sends_some_of_it(self, first: int, number: int, deep: bool) -> None:  # noqa: FBT001 - drawn
        self.comes(self.path_to(self.wanted)[first : first + number], deep)

    @rule(back=NEWEST, deep=st.booleans())
    def somebody_sends_another_block(self, back: int, deep: bool) -> None:  # noqa: FBT001 - drawn
        self.comes([self.drawn[-1 - back % len(self.drawn)]], deep)

    def comes(self, path: list[Block], deep: bool) -> None:  # noqa: FBT001 - drawn
        if not path:
            return
        try:
            change = self.chain.accept([unchecked(block) for block in path], self.store, NOW_MS, deep=deep)
        except RuleViolation:
            return
        self.write(*change.writes)

    @rule(back=NEWEST)
    def another_branch_is_wanted(self, back: int) -> None:
        self.wanted = self.drawn[-1 - back % len(self.drawn)]

    @rule(number=st.integers(1, 4))
    def a_run_is_fetched(self, number: int) -> None:
        """What comes next of the branch that is wanted, where fetching would go on with it."""
        path = self.path_to(self.wanted)
        names = [block.hash for block in path]
        reached = self.fetching.reached.hash
        at = names.index(reached) if reached in names else self.fork_of(path)
        self.handed.run, self.handed.is_active = path[at + 1 : at + 1 + number], True
        moment = Moment(Now(NOW_MS, self.made * 10**9), random.Random(1), self.store)  # noqa: S311 - nobody draws
        change, before, _ = self.fetching.connect(moment)
        self.write(*before, *change.writes)

    def fork_of(self, path: list[Block]) -> int:
        return max(at for at, block in enumerate(path) if self.chain.has(at, block.hash, self.store))

    @rule()
    def everything_else_is_pushed_out(self) -> None:
        self.made += 1
        self.write(AddSide([child(GENESIS, f"flood {self.made} {at}" + "x" * 60) for at in range(6)]))

    @rule()
    def the_sync_ends(self) -> None:
        self.handed.is_active = False
        self.write(*self.fetching.clear())

    # --- laws ----------------------------------------------------------------------------------

    @invariant()
    def the_store_follows_the_chain(self) -> None:
        assert self.reader.tip() == self.chain.tip
        assert [header_of(block) for block in self.path_to(self.blocks[self.chain.tip.hash])] == list(
            self.store.headers(0, 10**6)
        )


class MemoryPlans(Plans):
    def open(self) -> None:
        store = MemoryStore(CLASSIC, LIMITS)
        self.store, self.reader = store, MemoryReader(store, LIMITS)


class SqlitePlans(Plans):
    def open(self) -> None:
        self.path = Path(tempfile.mkdtemp(dir=IN_MEMORY))
        self.store, self.reader = open_store(self.path, CLASSIC, LIMITS)

    def teardown(self) -> None:
        self.reader.close()
        self.store.close()
        shutil.rmtree(self.path)


def check(laws: type[Plans], of_a_hundred: int) -> None:
    run_state_machine_as_test(
        laws,
        settings=settings(
            max_examples=examples(of_a_hundred),
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_whatever_comes_the_store_in_memory_can_do_what_the_chain_decides() -> None:
    """Catalogue rows 56 and 104."""
    check(MemoryPlans, 200)


def test_whatever_comes_the_store_on_disk_can_do_what_the_chain_decides() -> None:
    """Catalogue rows 56 and 104."""
    check(SqlitePlans, 40)


@pytest.mark.parametrize("laws", [MemoryPlans, SqlitePlans])
def test_a_branch_that_a_switch_took_and_gave_back_is_not_taken_for_whole(laws: type[Plans]) -> None:
    """Catalogue row 104: what was staged and followed for a while is kept like any side block afterwards, and may be
    dropped. Then the branch is fetched again, from where it leaves our chain."""
    #         /- a1 .. a6 ......... - a7 .. a10
    # genesis - b1 - b2 - b3 - b4 - b5 - b6 ... b12     b1 to b5 are staged
    #                     \- d4 .. d8
    node = laws()
    node.start()
    a, b = node.path_to(node.blocks[node.chain.tip.hash]), node.draw(GENESIS, 12)
    node.wanted = b[-1]
    node.a_run_is_fetched(5)
    node.comes(node.draw(b[2], 5), deep=True)
    assert node.chain.has(3, b[2].hash, node.store)
    node.comes(node.draw(a[-1], 4), deep=True)
    node.everything_else_is_pushed_out()
    assert [node.store.side(block.hash) is not None for block in b[:5]] == [False] * 3 + [True] * 2
    node.a_run_is_fetched(6)
    assert node.chain.tip.index == 10
    node.the_sync_ends()
    node.a_run_is_fetched(12)
    assert node.chain.tip == header_of(b[-1])
    node.the_store_follows_the_chain()
    node.teardown()
