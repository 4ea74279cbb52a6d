"""The promise to everybody who posts: *every acknowledged record ends on the best chain exactly once, whatever forks
and crashes happen in between*.

A chain with its engine and its store, among rival miners, posts, erasures, switches and crashes, is held against a twin
that remembers nothing but what happened, and works out from that, after each step and from scratch, what must be so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tallystick.chain.chain import Chain, Change
from tallystick.chain.writes import AddRecords, DropStaged, Erase, Write
from tallystick.consensus.work import WorkEngine
from tallystick.errors import Rule, RuleViolation
from tallystick.model.block import header_of
from tallystick.model.limits import Limits
from tallystick.model.record import Record, without_data
from tallystick.model.sealed import SealedBlock
from tallystick.storage.memory import MemoryStore
from tests.chain.drawing import NOW_MS
from tests.chain.sealed_drawing import ALL, SPACING_MS, STEADY, found, network, past_among, sealed
from tests.effort import examples
from tests.model.merkle import mth
from tests.storage.sealed_blocks import record

NETWORK = network(replace(STEADY, half_life_ms=2_000, max_block_records=3))
"""Blocks that come early are a little harder, so that the longest branch is not always the best one."""

ENGINE = WorkEngine(NETWORK)
GENESIS = sealed(NETWORK.genesis)
LIMITS = Limits(recent_headers=4, view_page=3)
LATER_MS = NOW_MS + 10**9

BACK = st.integers(0, 5)
"""How far back from the newest: to see anything happen, rivals have to meet."""

CHOSEN = st.lists(st.integers(0, 12), max_size=5)
AFTER_MS = st.sampled_from([SPACING_MS, SPACING_MS, 1, 3 * SPACING_MS])
HOW = st.sampled_from(["accept", "extend", "stage"])
RARELY = st.sampled_from([False, False, False, False, True])


@dataclass(frozen=True)
class Posted:
    records: Sequence[Record]


@dataclass(frozen=True)
class Came:
    """Blocks came, each the child of the one before."""

    run: Sequence[SealedBlock]
    staged: bool = False


@dataclass(frozen=True)
class Erased:
    leaf: bytes


@dataclass(frozen=True)
class Restarted:
    pass


Event = Posted | Came | Erased | Restarted


@dataclass
class Twin:
    """What follows from all that was committed, by definition."""

    blocks: dict[str, SealedBlock]
    """All that anybody ever made."""

    tip: SealedBlock = GENESIS
    kept: set[str] = field(default_factory=lambda: {GENESIS.hash})
    staged: set[str] = field(default_factory=set)
    order: dict[bytes, Record] = field(default_factory=dict)
    """Every record that is stored, in the order in which they came, with its data if that came."""

    entrusted: set[bytes] = field(default_factory=set)
    """What was ever in the pool or on the best chain: from then on it is in one of the two."""

    erased: set[bytes] = field(default_factory=set)

    @classmethod
    def of(cls, events: Sequence[Event], blocks: dict[str, SealedBlock]) -> Twin:
        twin = cls(blocks)
        for event in events:
            twin._happens(event)
        return twin

    def _happens(self, event: Event) -> None:
        match event:
            case Posted(records):
                self._store(records)
                self.entrusted |= {each.leaf for each in records}
            case Came(run, staged):
                names = {block.hash for block in run}
                self.staged = self.staged | names - self.kept if staged else self.staged - names
                self.kept |= set() if staged else names
                for block in run:
                    self._store(block.records)
                if run[-1].weight > self.tip.weight:
                    self._follow(run[-1])
            case Erased(leaf):
                self.erased.add(leaf)
            case Restarted():
                self.staged = set()
                held = {each.leaf for hash in self.kept for each in self.blocks[hash].records}
                for leaf in self.order.keys() - held - self.entrusted - self.erased:
                    del self.order[leaf]

    def _follow(self, tip: SealedBlock) -> None:
        self.tip = tip
        names = {block.hash for block in self.branch(tip)}
        self.kept |= names
        self.staged -= names
        self.entrusted |= {each.leaf for each in self.logged(tip)}

    def _store(self, records: Sequence[Record]) -> None:
        for each in records:
            known = self.order.setdefault(each.leaf, each)
            if known.data is None and each.leaf not in self.erased:
                self.order[each.leaf] = each

    # --- what has to be so ---------------------------------------------------------------------

    def branch(self, tip: SealedBlock) -> list[SealedBlock]:
        """From the genesis block up."""
        branch = [tip]
        while branch[-1].index:
            branch.append(self.blocks[branch[-1].previous_hash])
        return branch[::-1]

    def logged(self, tip: SealedBlock) -> list[Record]:
        return [each for block in self.branch(tip) for each in block.records]

    def pool(self) -> list[bytes]:
        return [leaf for leaf in self.order if leaf in self.entrusted and leaf not in leaves(self.logged(self.tip))]

    def expects(self, run: Sequence[SealedBlock]) -> Rule | None:
        """What is wrong with a run that comes, if it brings anything."""
        if run[0].previous_hash not in self.kept | self.staged:
            return Rule.PARENT_IS_KNOWN
        if run[-1].weight > self.tip.weight and max(Counter(leaves(self.logged(run[-1]))).values(), default=1) > 1:
            return Rule.RECORD_IS_NEW
        return None


def leaves(records: Sequence[Record]) -> list[bytes]:
    return [each.leaf for each in records]


class RecordsLaw(RuleBasedStateMachine):
    """Us, and everything that others may do to us."""

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryStore(NETWORK, LIMITS)
        self.chain = Chain(ENGINE, GENESIS, LIMITS)
        self.blocks = {GENESIS.hash: GENESIS}
        self.events: list[Event] = []
        self.acknowledged: list[bytes] = []
        self.records: list[Record] = []
        """All that anybody ever made."""

        self._judged: tuple[int, Twin] | None = None
        """The twin, and after how many events it was worked out."""

    @property
    def twin(self) -> Twin:
        if self._judged is None or self._judged[0] != len(self.events):
            self._judged = len(self.events), Twin.of(self.events, self.blocks)
        return self._judged[1]

    def commits(self, writes: Sequence[Write], event: Event, *, dies: bool) -> bool:
        """One batch: all of it; or it dies before the commit, nothing of it is there, and it starts again."""
        self.store.begin()
        for write in writes:
            self.store.apply(write)
        if dies:
            self.store.rollback()
            self.restart()
            return False
        self.store.commit()
        self.events.append(event)
        return True

    def tip_of_store(self) -> SealedBlock:
        return sealed(self.store.blocks(self.twin.tip.index, 1, ALL)[0])

    def makes(self, parent: SealedBlock, records: Sequence[Record], after_ms: int) -> SealedBlock:
        header = header_of(parent)
        draft = ENGINE.draft(header, records, past_among(self.blocks), header.timestamp + after_ms)
        block = found(draft, len(self.blocks) << 32)
        self.blocks[block.hash] = block
        return block

    def invents(self) -> Record:
        self.records.append(record(f"r{len(self.records)}"))
        return self.records[-1]

    # --- we ------------------------------------------------------------------------------------

    @rule(count=st.integers(1, 4), dies=RARELY)
    def somebody_posts(self, *, count: int, dies: bool) -> None:
        self.post([self.invents() for _ in range(count)], dies=dies)

    @precondition(lambda self: self.records)
    @rule(back=BACK, dies=RARELY)
    def somebody_posts_what_a_rival_has(self, *, back: int, dies: bool) -> None:
        chosen = self.records[-1 - back % len(self.records)]
        if chosen.leaf not in self.twin.entrusted:
            self.post([chosen], dies=dies)

    def post(self, records: Sequence[Record], *, dies: bool) -> None:
        if self.commits([AddRecords(records)], Posted(records), dies=dies):
            self.acknowledged += leaves(records)

    @rule(after_ms=AFTER_MS, dies=RARELY)
    def we_seal(self, *, after_ms: int, dies: bool) -> None:
        pending, _ = self.store.pool(0, *ENGINE.room())
        draft = self.chain.draft(pending, self.store, self.chain.tip.timestamp + after_ms)
        block = found(draft, len(self.blocks) << 32)
        assert leaves(block.records) == self.twin.pool()[:3]
        self.blocks[block.hash] = block
        self.commits(self.chain.take_sealed(block).writes, Came([block]), dies=dies)

    @precondition(lambda self: self.records)
    @rule(back=BACK, dies=RARELY)
    def data_is_erased(self, *, back: int, dies: bool) -> None:
        """Of what we have; the entry stays, and so does the promise."""
        chosen = self.records[-1 - back % len(self.records)]
        if chosen.leaf in self.twin.order:
            self.commits([Erase(chosen.id)], Erased(chosen.leaf), dies=dies)

    @rule()
    def restart(self) -> None:
        self.store.begin()
        self.store.apply(DropStaged())
        self.store.commit()
        self.events.append(Restarted())
        self.chain = Chain(ENGINE, self.tip_of_store(), LIMITS)

    # --- rivals --------------------------------------------------------------------------------

    @rule(back=BACK, length=st.integers(1, 4), chosen=CHOSEN, after_ms=AFTER_MS, careless=RARELY)
    def a_rival_mines(self, *, back: int, length: int, chosen: list[int], after_ms: int, careless: bool) -> None:
        """On any block there is."""
        self.branches_off(self.newest(back), length, chosen, after_ms=after_ms, careless=careless)

    @rule(back=BACK, ahead=st.integers(0, 1), chosen=CHOSEN, careless=RARELY, how=HOW, dies=RARELY)
    def a_rival_overtakes(
        self, *, back: int, ahead: int, chosen: list[int], careless: bool, how: str, dies: bool
    ) -> None:
        """Or nearly: his branch leaves ours a few blocks ago, and comes in two runs."""
        ours = self.twin.branch(self.twin.tip)
        tip = self.branches_off(
            ours[-min(back + 1, len(ours))], back + ahead, chosen, after_ms=SPACING_MS, careless=careless
        )
        branch = self.twin.branch(tip)
        self.receive(branch[-back - ahead : -ahead - 1], how, dies=False)
        self.receive(branch[-back - ahead :], how, dies=dies)

    def branches_off(
        self, tip: SealedBlock, length: int, chosen: list[int], *, after_ms: int, careless: bool
    ) -> SealedBlock:
        """Blocks with the rival's own records, and ours; a careless one does not look which are there already."""
        for number in range(length):
            held = set() if careless else set(leaves(self.twin.logged(tip)))
            drawn = {}
            for each in chosen[number::length]:
                some = self.records[-1 - each % len(self.records)] if self.records and each else self.invents()
                drawn[some.leaf] = some
            tip = self.makes(tip, [each for leaf, each in drawn.items() if leaf not in held], after_ms)
        return tip

    def newest(self, back: int) -> SealedBlock:
        """Of all blocks there are, the one that was made so many before the last."""
        return list(self.blocks.values())[-1 - back % len(self.blocks)]

    @rule(back=BACK, length=st.integers(1, 5), how=HOW, bare=RARELY, dies=RARELY)
    def blocks_come(self, *, back: int, length: int, how: str, bare: bool, dies: bool) -> None:
        """Some that end in any block there is: on the tip, beside it, better, known, or linked to nothing. Who sends
        them may have none of their data."""
        run = self.twin.branch(self.newest(back))[1:][-length:]
        if bare:
            run = [msgspec.structs.replace(block, records=tuple(map(without_data, block.records))) for block in run]
        self.receive(run, how, dies=dies)

    def receive(self, run: Sequence[SealedBlock], how: str, *, dies: bool) -> None:
        if not run:
            return
        twin = self.twin
        expected = twin.expects(self.unknown(run, twin) or run)
        before, tip = self.store._running.copied(), self.chain.tip
        try:
            change = self.takes(run, how)
        except RuleViolation as broken:
            assert broken.rule is expected
            assert (self.store._running, self.chain.tip) == (before, tip)
            return
        if change.writes:
            assert expected is None
            self.commits(change.writes, Came(run, staged=how == "stage" and change.reorg is None), dies=dies)

    def unknown(self, run: Sequence[SealedBlock], twin: Twin) -> list[SealedBlock]:
        """What of a run is not on the best chain."""
        best = {block.hash for block in twin.branch(twin.tip)}
        return [block for block in run if block.hash not in best]

    def takes(self, run: Sequence[SealedBlock], how: str) -> Change:
        if how == "accept":
            claimed = [ENGINE.read(ENGINE.whole(block)) for block in run]
            return self.chain.accept(claimed, self.store, LATER_MS)
        checked = ENGINE.check_run(run[0].index - 1, run[0].previous_hash, [ENGINE.body(block) for block in run])
        return self.chain.extend(checked, self.store, LATER_MS, staged=how == "stage")

    # --- laws ----------------------------------------------------------------------------------

    @invariant()
    def chain_and_pool_are_what_follows_from_all_that_happened(self) -> None:
        twin = self.twin
        chain = [sealed(block) for block in self.store.blocks(0, ALL, ALL)]
        assert [block.hash for block in chain] == [block.hash for block in twin.branch(twin.tip)]
        assert self.chain.tip == header_of(twin.tip)
        pending = list(self.store.pool(0, ALL, ALL)[0])
        assert leaves(pending) == twin.pool()
        logged = [each for block in chain for each in block.records]
        assert leaves(logged) == leaves(twin.logged(twin.tip))
        for each in [*logged, *pending]:
            known = twin.order[each.leaf]
            assert each == (without_data(known) if each.leaf in twin.erased else known)

    @invariant()
    def what_was_acknowledged_stands_once(self) -> None:
        chain = [each.leaf for block in self.store.blocks(0, ALL, ALL) for each in sealed(block).records]
        counts = Counter(chain + leaves(self.store.pool(0, ALL, ALL)[0]))
        assert [leaf for leaf in self.acknowledged if counts[leaf] != 1] == []
        assert max(counts.values(), default=1) == 1

    def teardown(self) -> None:
        """Peace: we seal until nothing is pending."""
        for _ in range(len(self.records) + 1):
            if self.store.pool_size() == (0, 0):
                break
            self.we_seal(after_ms=SPACING_MS, dies=False)
        assert self.store.pool_size() == (0, 0)
        chain = [sealed(block) for block in self.store.blocks(0, ALL, ALL)]
        for parent, block in pairwise(chain):
            ENGINE.check_in_place(block, header_of(parent))
        entries = [each.entry for block in chain for each in block.records]
        counts = Counter(each.leaf for block in chain for each in block.records)
        assert [leaf for leaf in self.acknowledged if counts[leaf] != 1] == []
        assert len(entries) == len(set(entries)) == chain[-1].log_size
        assert mth(entries) == chain[-1].log_root
        self.chain_and_pool_are_what_follows_from_all_that_happened()


TestRecordsLaw = RecordsLaw.TestCase
TestRecordsLaw.settings = settings(max_examples=examples(120), stateful_step_count=40, deadline=None)
