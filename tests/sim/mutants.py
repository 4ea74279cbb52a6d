"""Mutants: the core with one thing broken in it on purpose, to see that the simulator notices.

Each is a patch of one function, with the words of the law that notices. `KILLS` says in which seed it does;
`test_mutants.py` runs exactly these. To find the seeds anew, after the draws or the laws have changed:

    python -m tests.sim.mutants [NAME]
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, Final, NamedTuple

import pytest

from tallystick.chain import chain as chain_module
from tallystick.chain import forkchoice
from tallystick.chain.chain import Chain
from tallystick.chain.duties import Remining
from tallystick.chain.tree import BlockTree
from tallystick.chain.writes import AddRecords
from tallystick.consensus import work
from tallystick.consensus.classic import ClassicEngine
from tallystick.consensus.work import WorkEngine
from tallystick.errors import Rule
from tallystick.model.block import Block, UncheckedBlock
from tallystick.model.network import Kind
from tallystick.node.effects import Reply, Say
from tallystick.node.posting import Posting
from tallystick.node.relay import Relay
from tallystick.sim.checkers import LawBrokenError
from tallystick.sim.faulty.cast import Name
from tallystick.sim.machine import Machine
from tallystick.sim.scenario import run
from tallystick.sim.swarm import draw_configuration
from tallystick.storage.memory_records import NOBODY, Records
from tallystick.wire import reactions
from tallystick.wire.address_book import AddressBook, Entry
from tallystick.wire.native import session
from tallystick.wire.native.sync import Sync
from tallystick.wire.native.wanted import Wanted
from tallystick.wire.reactions import Close, Offence, Reaction
from tallystick.wire.redial import Redial

SEEDS: Final = 100
"""So many are tried of each kind."""

Patch = Callable[[pytest.MonkeyPatch], None]


class Mutant(NamedTuple):
    """What is broken, and how it shows."""

    patch: Patch
    kind: Kind
    law: str
    """In the words of the law that breaks."""

    among: Name | None
    """Only where one of these lives it shows."""


MUTANTS: dict[str, Mutant] = {}
"""By name, in the order in which they stand here."""


def mutant(kind: Kind, law: str, *, among: Name | None = None) -> Callable[[Patch], Patch]:
    """This is one; its name is that of the function."""

    def note(patch: Patch) -> Patch:
        MUTANTS[patch.__name__.replace("_", " ")] = Mutant(patch, kind, law, among)
        return patch

    return note


# --- what is checked ----------------------------------------------------------------------------------


@mutant(Kind.CLASSIC, "is not what it", among=Name.FORGER)
def blocks_are_appended_unchecked(patch: pytest.MonkeyPatch) -> None:
    def check_alone(self: ClassicEngine, block: UncheckedBlock) -> Block:
        return Block(block.data, block.hash, block.index, block.previous_hash, int(block.timestamp))

    patch.setattr(ClassicEngine, "check_alone", check_alone)


@mutant(Kind.WORK, "does not hold", among=Name.FORGER)
def seals_are_not_checked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(WorkEngine, "_check_seal", lambda self, fields, hash: None)


@mutant(Kind.WORK, "ms ahead of it", among=Name.FORGER)
def blocks_may_be_of_the_future(patch: pytest.MonkeyPatch) -> None:
    check_time = work._check_time
    patch.setattr(work, "_check_time", lambda block, times, latest_ms: check_time(block, times, 2**60))


@mutant(Kind.WORK, "the schedule asks for", among=Name.FORGER)
def any_difficulty_will_do(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(WorkEngine, "_check_schedule", lambda self, index, bits, parent: None)


@mutant(Kind.WORK, "it holds a record twice, or one that is on the chain", among=Name.FORGER)
def a_branch_may_hold_a_record_twice(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Chain, "_check_records_are_new", lambda self, fork, parent, blocks, view: None)


# --- which chain is followed ----------------------------------------------------------------------------


@mutant(Kind.CLASSIC, "left a chain of weight")
def a_tie_goes_to_the_last_seen(patch: pytest.MonkeyPatch) -> None:
    plan = forkchoice.plan

    def flattered(tree: Any, engine: Any, view: Any, candidate: Any, parent: Any, **others: Any) -> Any:
        flattering: Any = SimpleNamespace(weight=lambda header: 2 * engine.weight(header) + (header is candidate))
        return plan(tree, flattering, view, candidate, parent, **others)

    patch.setattr(chain_module, "plan", flattered)


@mutant(Kind.CLASSIC, "memory has the tip")
def memory_is_not_rewound_on_a_reorg(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(BlockTree, "switch", lambda self, fork, headers, view: self._recent.extend(headers))


# --- what was promised ----------------------------------------------------------------------------------


@mutant(Kind.CLASSIC, "no agreement after")
def lost_posts_are_not_mined_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Remining, "expect_losses", lambda self, now_ms, entropy: None)


@mutant(Kind.CLASSIC, "posts twice")
def a_lost_post_is_mined_twice(patch: pytest.MonkeyPatch) -> None:
    mine_again = Chain.mine_again
    patch.setattr(Chain, "mine_again", lambda self, duties, wall_ms: mine_again(self, [*duties, *duties], wall_ms))


@mutant(Kind.WORK, "it says that the log has")
def the_log_is_not_rewound_on_a_reorg(patch: pytest.MonkeyPatch) -> None:
    def rewind(self: Records, fork: int) -> None:
        size = self.ends[fork]
        for place in self.log[size:]:
            del self.positions[place]
            self._enter_pool(place)
        del self.ends[fork + 1 :]

    patch.setattr(Records, "rewind", rewind)


@mutant(Kind.WORK, "of what was acknowledged")
def records_of_a_branch_that_left_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    def rewind(self: Records, fork: int) -> None:
        size = self.ends[fork]
        for place in self.log[size:]:
            del self.positions[place]
            self.aside[place] = NOBODY
        del self.log[size:], self.ends[fork + 1 :]

    patch.setattr(Records, "rewind", rewind)


@mutant(Kind.WORK, "of what was acknowledged")
def a_record_is_acknowledged_and_not_kept(patch: pytest.MonkeyPatch) -> None:
    post = Posting.post

    def careless(self: Posting, event: Any, moment: Any) -> Any:
        effects, new = post(self, event, moment)
        is_many = len(new) > 2
        return [each for each in effects if not (is_many and isinstance(each, AddRecords))], new

    patch.setattr(Posting, "post", careless)


@mutant(Kind.CLASSIC, "of what was acknowledged")
def replies_go_out_before_the_commit(patch: pytest.MonkeyPatch) -> None:
    _hurried(patch, Reply)


@mutant(Kind.WORK, "which is not durable")
def messages_go_out_before_the_commit(patch: pytest.MonkeyPatch) -> None:
    _hurried(patch, Say)


def _hurried(patch: pytest.MonkeyPatch, kind: type) -> None:
    step = Machine._step

    def hurried(self: Machine, batch: Sequence[Any]) -> bool:
        begun = step(self, batch)
        self._outcome, at_once = [each for each in self._outcome if type(each) is not kind], self._outcome
        for effect in at_once:
            if type(effect) is kind:
                self._perform(effect)
        return begun

    patch.setattr(Machine, "_step", hurried)


# --- how much is held -----------------------------------------------------------------------------------


@mutant(Kind.WORK, "records wanted; at most", among=Name.WITHHOLDER)
def what_peers_announce_is_wanted_without_limit(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Wanted, "_make_room", lambda self, holder, wanted: wanted)


@mutant(Kind.CLASSIC, "blocks a peer is known to have; at most")
def what_peers_know_is_remembered_for_ever(patch: pytest.MonkeyPatch) -> None:
    def remember(known: Any, name: bytes, most: int) -> None:
        known[name] = None

    patch.setattr(session, "_remember", remember)


@mutant(Kind.CLASSIC, "addresses of one source; at most", among=Name.POISONER)
def one_source_may_fill_the_book(patch: pytest.MonkeyPatch) -> None:
    make_room = AddressBook._make_room

    def generous(self: AddressBook, entry: Entry) -> bool:
        return len(self) < self._limits.addresses or make_room(self, entry)

    patch.setattr(AddressBook, "_make_room", generous)


# --- peers ----------------------------------------------------------------------------------------------


@mutant(Kind.CLASSIC, "no agreement within")
def only_the_first_peer_is_dialled(patch: pytest.MonkeyPatch) -> None:
    def due(self: Redial, now_ms: int, connected: Any = frozenset()) -> list[str]:
        return [address for address in real(self, now_ms, connected) if address == next(iter(self)).address]

    real = Redial.due
    patch.setattr(Redial, "due", due)


@mutant(Kind.CLASSIC, "no agreement within")
def a_peer_that_is_lost_is_not_dialled_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Redial, "ended", lambda self, address, peer, now_ms, entropy, reason: None)


@mutant(Kind.CLASSIC, "blames an honest peer: parent-is-known")
def whoever_lags_behind_is_held_to_be_bad(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(reactions.REACTIONS, Rule.PARENT_IS_KNOWN, Reaction(Offence.VIOLATION, Close.INVALID))


@mutant(Kind.CLASSIC, "no agreement within", among=Name.STALLER)
def whoever_claims_to_have_more_is_believed_for_ever(patch: pytest.MonkeyPatch) -> None:
    overdue = Sync.overdue

    def patient(self: Sync, now_ms: int, received: Any) -> None:
        overdue(self, now_ms, received)

    patch.setattr(Sync, "overdue", patient)


@mutant(Kind.WORK, "records are pending still")
def records_that_are_announced_are_not_asked_for(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Relay, "ask", lambda self, now_ms: [])


# --- where they are caught ------------------------------------------------------------------------------

KILLS: Final[Mapping[str, int]] = {
    "blocks are appended unchecked": 85,
    "seals are not checked": 21,
    "blocks may be of the future": 43,
    "any difficulty will do": 21,
    "a branch may hold a record twice": 16,
    "a tie goes to the last seen": 1,
    "memory is not rewound on a reorg": 5,
    "lost posts are not mined again": 1,
    "a lost post is mined twice": 1,
    "the log is not rewound on a reorg": 2,
    "records of a branch that left are forgotten": 3,
    "a record is acknowledged and not kept": 3,
    "replies go out before the commit": 3,
    "messages go out before the commit": 0,
    "what peers announce is wanted without limit": 10,
    "what peers know is remembered for ever": 2,
    "one source may fill the book": 5,
    "only the first peer is dialled": 4,
    "a peer that is lost is not dialled again": 0,
    "whoever lags behind is held to be bad": 1,
    "whoever claims to have more is believed for ever": 11,
    "records that are announced are not asked for": 1,
}
"""Of each mutant the seed in which a law breaks."""


def broken_law(kind: Kind, seed: int) -> str:
    """What the law says that breaks in this seed; nothing if all hold."""
    try:
        run(draw_configuration(seed, kind))
    except LawBrokenError as broken:
        return str(broken).partition("\n")[0]
    return ""


def killing_seed(mutant: Mutant) -> int | None:
    """The first seed that catches a mutant, by the law that is meant."""
    with pytest.MonkeyPatch.context() as context:
        mutant.patch(context)
        for seed in range(SEEDS):
            names = {each.name for each in draw_configuration(seed, mutant.kind).faulty}
            if (mutant.among is None or mutant.among in names) and mutant.law in broken_law(mutant.kind, seed):
                return seed
    return None


def main(names: Sequence[str]) -> None:
    """Find the killing seeds, and print them as they stand above and as the documentation has them."""
    found = {name: killing_seed(mutant) for name, mutant in MUTANTS.items() if not names or name in names}
    for name, seed in found.items():
        print(f'    "{name}": {seed},')
    for name, seed in found.items():
        print(f"| {name} | {MUTANTS[name].kind} | {seed} | {MUTANTS[name].law} |")


if __name__ == "__main__":
    main(sys.argv[1:])
