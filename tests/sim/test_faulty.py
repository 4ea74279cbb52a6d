"""Faulty peers, one by one: each does what its name says, and a network that it lives in keeps the laws.

The honest nodes stand in a line, so they are connected through honest paths; the faulty one knows all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import msgspec
import pytest

from tallystick.consensus import engine_for
from tallystick.errors import Rule, RuleViolation
from tallystick.model.limits import Limits
from tallystick.model.network import Kind
from tallystick.node.effects import Effect, HangUp
from tallystick.node.inputs import Now
from tallystick.sim.end import End
from tallystick.sim.faulty.boaster import CLAIM
from tallystick.sim.faulty.cast import HAND, SEALED_ONLY, Faulty, Name, hemmed_in
from tallystick.sim.faulty.flooder import Flooder
from tallystick.sim.faulty.guest import Talk
from tallystick.sim.faulty.makers import Flaw, Forger, Maker
from tallystick.sim.host import Host
from tallystick.sim.machine import Machine
from tallystick.sim.scenario import Outcome, Scenario
from tallystick.sim.swarm import Configuration, draw_configuration, network_of
from tallystick.sim.workload import Demand
from tallystick.wire.native import codec
from tallystick.wire.native.messages import (
    Announce,
    Blocks,
    GetBlocks,
    GetRecords,
    Hello,
    Message,
    Part,
    Push,
    Records,
)
from tests.sim.worlds import LINE, calm, host, line, posts, settles

NODES = 4
ALL = tuple(range(NODES))
CASES = [(name, kind) for name in Name for kind in Kind if kind is Kind.WORK or name not in SEALED_ONLY]


@dataclass
class Seen:
    """A run, and what went between the faulty and the honest in it."""

    scenario: Scenario
    outcome: Outcome
    said: list[Message]
    """By the faulty."""

    heard: list[Message]
    """By the faulty."""

    hung_up: list[str]
    """On the faulty: why."""


class Reasons:
    """A watcher of how connections with faulty peers end."""

    def __init__(self) -> None:
        self.hung_up: list[str] = []

    def done(self, machine: Machine, effect: Effect) -> None:
        if isinstance(effect, HangUp) and machine.is_honest:
            end = machine.ends.get(effect.peer)
            if end is not None and not end.other.machine.is_honest:
                self.hung_up.append(effect.reason)

    def stepped(self, machine: Machine, batch: object, writes: object) -> None:
        pass


def world_with(name: Name, kind: Kind, **changes: object) -> Configuration:
    """Four honest nodes in a line, and somebody who dials all of them; one has named it, too."""
    known_by = () if name is Name.ECLIPSER else (1,)
    faulty = [Faulty(name, dials=ALL, dialled_by=known_by)] * (HAND if name is Name.ECLIPSER else 1)
    during_ms = 150_000 if kind is Kind.WORK else 60_000
    drawn = Configuration(
        seed=1,
        network=network_of(kind),
        dials=line(NODES),
        limits=hemmed_in(Limits(), faulty),
        miners=frozenset({0, 2}),
        line=LINE,
        discover=True,
        demand=Demand(every_ms=during_ms // 20),
        faulty=faulty,
        during_ms=during_ms,
    )
    return replace(drawn, **changes)  # type: ignore[arg-type]  # as `Configuration` has them


def runs(configuration: Configuration) -> Seen:
    scenario = Scenario(configuration)
    said: list[Message] = []
    heard: list[Message] = []

    def tap(end: End, frame: bytes) -> None:
        if end.machine.is_honest is end.other.machine.is_honest:
            return
        try:
            message = codec.decode(frame)
        except Exception:  # noqa: BLE001 - a mutator's
            return
        if message is not None:
            (heard if end.machine.is_honest else said).append(message)

    scenario.world.links.taps.append(tap)
    reasons = Reasons()
    scenario.world.watchers.append(reasons)
    return Seen(scenario, scenario.run(), said, heard, reasons.hung_up)


@cache
def seen(name: Name, kind: Kind) -> Seen:
    return runs(world_with(name, kind))


@pytest.mark.parametrize(("name", "kind"), CASES, ids=[f"{name}-{kind}" for name, kind in CASES])
def test_a_network_with_it_keeps_the_laws(name: Name, kind: Kind) -> None:
    """Catalogue rows 1, 25, 29, 36, 42-44, 49-52, 58-61, 69 and 80."""
    outcome = seen(name, kind).outcome
    assert outcome.acknowledged == outcome.posted > 0
    assert not outcome.excused


ENDS: dict[Name, set[Rule]] = {
    Name.BOASTER: {Rule.CLAIM_IS_PROVEN},
    Name.STALLER: {Rule.SYNC_KEEPS_UP},
    Name.FLOODER: {Rule.CLAIM_IS_PROVEN},
    Name.TRICKLER: {Rule.CLAIM_IS_PROVEN},
    Name.MUTATOR: {Rule.MESSAGE_IS_DECODABLE},
    Name.FORGER: {Rule.HASH_MATCHES_CONTENT, Rule.BODY_MATCHES_HEADER},
    Name.REPLAYER: {Rule.PEER_IS_WHO_IT_CLAIMS},
    Name.POISONER: {Rule.REPLY_WAS_ASKED_FOR},
}
"""The rules that end those who come to a bad end."""


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("name", ENDS)
def test_it_is_hung_up_on_for_what_it_does(name: Name, kind: Kind) -> None:
    assert ENDS[name] & set(seen(name, kind).outcome.deserved), seen(name, kind).outcome.deserved


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("name", [Name.BOASTER, Name.STALLER, Name.FLOODER])
def test_whoever_claims_the_most_is_asked_for_it(name: Name, kind: Kind) -> None:
    found = seen(name, kind)
    claims = [each.weight for each in found.said if isinstance(each, Announce | Push)]
    assert CLAIM in {int.from_bytes(weight, "big") for weight in claims}
    assert {type(each).__name__ for each in found.heard} & {"GetHeaders", "GetSurvey"}


@pytest.mark.parametrize("kind", Kind)
def test_a_withholder_is_asked_and_gives_nothing(kind: Kind) -> None:
    found = seen(Name.WITHHOLDER, kind)
    asked = GetBlocks if kind is Kind.CLASSIC else GetRecords
    assert any(isinstance(each, asked) for each in found.heard)
    assert not any(isinstance(each, Blocks | Records | Push | Part) for each in found.said)


def test_whoever_leaves_out_data_does_not_keep_it_from_anybody() -> None:
    found = seen(Name.BARE, Kind.WORK)
    bare = [each for each in found.said if isinstance(each, Push | Blocks | Records)]
    assert bare
    for machine in found.scenario.hosts:
        assert isinstance(machine.resident, Host)
        stored = machine.resident.store.committed.records.stored
        assert stored
        assert all(record.data is not None for record in stored.values())


@pytest.mark.parametrize("kind", Kind)
def test_a_trickler_answers_in_many_small_pieces(kind: Kind) -> None:
    pieces = [each for each in seen(Name.TRICKLER, kind).said if isinstance(each, Part)]
    assert len(pieces) > 10
    assert max(len(each.piece) for each in pieces) <= 8


@pytest.mark.parametrize("kind", Kind)
def test_an_equivocator_has_both_of_its_blocks_taken_by_somebody(kind: Kind) -> None:
    found = seen(Name.EQUIVOCATOR, kind)
    [made] = [m.resident.made for m in found.scenario.world.machines if isinstance(m.resident, Maker)]
    assert len(made) >= 2
    beside = [block for m in found.scenario.hosts if isinstance(m.resident, Host) for block in _beside(m.resident)]
    assert beside


def _beside(host: Host) -> list[object]:
    return list(host.store.committed.side.values())


FLAWED: dict[tuple[Kind, Flaw], Rule] = {
    (Kind.CLASSIC, Flaw.HASH): Rule.HASH_MATCHES_CONTENT,
    (Kind.CLASSIC, Flaw.INDEX): Rule.PARENT_IS_KNOWN,
    (Kind.CLASSIC, Flaw.DATE): Rule.TIMESTAMP_HAS_TEN_DIGITS,
    (Kind.WORK, Flaw.HASH): Rule.SEAL_HOLDS,
    (Kind.WORK, Flaw.INDEX): Rule.PARENT_IS_KNOWN,
    (Kind.WORK, Flaw.DATE): Rule.TIME_NOT_FROM_FUTURE,
    (Kind.WORK, Flaw.SCHEDULE): Rule.DIFFICULTY_FOLLOWS_SCHEDULE,
    (Kind.WORK, Flaw.TWICE): Rule.RECORD_IS_NEW,
    (Kind.WORK, Flaw.LOG): Rule.LOG_MATCHES_RECORDS,
    (Kind.WORK, Flaw.BODY): Rule.BODY_MATCHES_HEADER,
}
"""What a block with each flaw breaks."""


@pytest.mark.parametrize(("kind", "flaw"), FLAWED, ids=[f"{kind}-{flaw}" for kind, flaw in FLAWED])
def test_a_forged_block_breaks_one_rule(kind: Kind, flaw: Flaw) -> None:
    scenario = calm(line(2), network=network_of(kind))
    world = scenario.world
    dials = [world.machines[0].address]
    forger = Forger(network_of(kind), Limits(), world.stream("forger"), dials=dials, until_ms=0)
    machine = world.add(forger, is_honest=False)
    machine.start()
    if kind is Kind.WORK:
        scenario.promises.post_records(world.machines[0], [forger.record("posted")])
    world.run(60_000)
    victim = host(scenario, 0)
    assert forger.chain()[-1] == victim.chain()[-1]
    forge = forger.forged if kind is Kind.WORK else forger.forged_text
    engine = engine_for(network_of(kind))
    block = engine.read(engine.whole(forge(flaw, machine.now)))
    with pytest.raises(RuleViolation) as broken:
        victim.node._chain.accept([block], victim.store, machine.now.wall_ms, deep=False)
    assert broken.value.rule is FLAWED[kind, flaw]


@pytest.mark.parametrize("kind", Kind)
def test_a_replayer_that_gives_itself_out_for_another_harms_nobody_else(kind: Kind) -> None:
    """Catalogue row 29: a greeting is worth nothing on another connection, and the key in it is blamed for nothing."""
    found = seen(Name.REPLAYER, kind)
    honest = {m.resident.profile.identity.public for m in found.scenario.hosts if isinstance(m.resident, Host)}
    assert any(isinstance(each, Hello) and each.key in honest for each in found.said)


@pytest.mark.parametrize("kind", Kind)
def test_a_poisoner_gets_no_more_of_a_book_than_its_share(kind: Kind) -> None:
    """Catalogue row 69."""
    held = seen(Name.POISONER, kind).outcome.most["addresses of one source"]
    assert held.amount == held.most


@pytest.mark.parametrize("kind", Kind)
def test_machines_of_one_hand_get_no_place_that_somebody_else_wants(kind: Kind) -> None:
    """Catalogue row 32: they take whatever is free, and all honest nodes are in."""
    found = seen(Name.ECLIPSER, kind)
    limits = found.scenario.configuration.limits
    assert found.outcome.most["native peers that dialled"].amount >= limits.native_inbound_peers
    for machine in found.scenario.hosts:
        assert any(end.other.machine.is_honest for end in machine.ends.values())


def test_whoever_floods_is_left_unread() -> None:
    """Catalogue rows 35 and 44: what nobody asked for is charged to whoever sends it, and soon it is not read."""
    slim = replace(Limits(), received_bytes_per_minute=20_000, effort_bytes=64)
    scenario = calm(line(2), limits=slim)
    for number in range(20):
        posts(scenario, 0, f"post {number}")
    world = scenario.world
    world.run(5_000)
    flooder = Insistent(scenario.configuration.network, world.stream("flooder"), dials=[world.machines[0].address])
    machine = world.add(flooder, is_honest=False)
    machine.start()
    before = host(scenario, 0).node._chain.effort
    world.run(60_000)
    assert scenario.blame.held_ms > 30_000
    assert machine.sent_bytes > 2 * slim.received_bytes_per_minute
    assert host(scenario, 0).node._chain.effort - before < 10_000
    assert settles(scenario) < 10_000


class Insistent(Flooder):
    """A flooder that claims nothing, so nobody asks: it only pushes."""

    acts_every_ms = 200

    def acts(self, talk: Talk, now: Now) -> Sequence[Message]:
        return [msgspec.structs.replace(push, weight=bytes(32)) for push in super().acts(talk, now)]


def test_faulty_peers_are_drawn_of_every_name() -> None:
    drawn = [draw_configuration(seed, kind).faulty for seed in range(60) for kind in Kind]
    assert {each.name for faulty in drawn for each in faulty} == set(Name)
    assert () in drawn
