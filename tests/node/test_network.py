"""Networks of the classic kind: whoever is cut off catches up, and promises are kept. (Many more: `tests/sim`.)"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from tallystick.chain.chain import Chain
from tallystick.chain.duties import Remining
from tallystick.chain.tree import BlockTree
from tallystick.model.network import Kind
from tallystick.node.gossip import Gossip
from tallystick.sim.checkers import LawBrokenError
from tallystick.sim.scenario import run
from tallystick.sim.swarm import draw_configuration, draw_dials
from tallystick.wire.classic_session import ClassicSession
from tallystick.wire.dialect import Dialect
from tallystick.wire.redial import Redial
from tests.sim.worlds import MOST_LATENCY_MS, calm, hashes, host, line, machine, posts, settles


def test_a_block_reaches_the_end_of_a_line_within_the_latency() -> None:
    scenario = calm(line(5))
    scenario.world.run(5_000)
    posts(scenario, 0, "hello")
    scenario.world.run(4 * MOST_LATENCY_MS + 100)
    assert all(host(scenario, number).texts()[-1] == "hello" for number in range(5))


def test_a_new_node_fetches_the_chain_and_its_posts_survive_that() -> None:
    """It was acknowledged before the node had met anybody."""
    scenario = calm([[], [0]])
    scenario.world.between.sever(machine(scenario, 0), machine(scenario, 1))
    for number in range(20):
        posts(scenario, 0, f"old {number}")
    posts(scenario, 1, "lonely")
    settles(scenario)
    assert host(scenario, 0).texts()[-1] == "lonely"
    assert len(scenario.promises.acknowledged) == 21


@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize("seed", range(20))
def test_links_that_stop_one_by_one_and_come_back_in_another_order(seed: int, dialect: Dialect) -> None:
    """Catalogue row 73: swizzle-clogging, with posts to everybody in every state between."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    dials = draw_dials(chance, chance.randint(3, 7))
    nodes = range(len(dials))
    scenario = calm(dials, seed=seed, classic_only=nodes if dialect is Dialect.CLASSIC else ())
    scenario.blame.may_be_slow = True  # a link may be silent for longer than a ping is waited for
    between = scenario.world.between
    pairs = [(machine(scenario, node), machine(scenario, other)) for node in nodes for other in dials[node]]
    number = 0
    for what in (chance.choice([between.sever, between.silence]), between.mend):
        chance.shuffle(pairs)
        for one, other in pairs:
            what(one, other)
            for node in nodes:
                posts(scenario, node, f"post {number}")
                number += 1
            scenario.world.run(chance.randint(1, 20_000))
    settles(scenario)
    assert len(scenario.promises.acknowledged) >= number  # and what broke a tie


def test_nobody_is_blamed_for_a_race() -> None:
    """Two nodes mining at once disagree for a while; that is nobody's fault."""
    scenario = calm([[], [0], [0, 1]])
    scenario.world.run(5_000)
    for number in range(30):
        posts(scenario, number % 3, f"post {number}")
        scenario.world.run(20)
    settles(scenario)
    assert not scenario.blame.excused
    assert len(set(map(tuple, hashes(scenario)))) == 1


# --- does it notice? --------------------------------------------------------------------------------

DEFECTS = {
    "posts are no duties": (Chain, "take_post", lambda self, block: self._append([block], None)),
    "losses are not looked for": (Remining, "expect_losses", lambda *_: None),
    "a connection that ended is the last": (Redial, "ended", lambda *_: None),
    "a dial that failed is the last": (Redial, "failed", lambda *_: None),
    "nobody is asked for the whole chain": (ClassicSession, "may_ask_all", lambda *_: False),
    "nobody is asked for the latest": (ClassicSession, "latest_is_due", lambda *_: False),
    "what was posted last is not told": (Gossip, "announce", lambda *_: []),
    "blocks we share are not recognised": (Chain, "_count_known", lambda *_: 0),
    "a parent is taken for the fork": (BlockTree, "fork_below", lambda _self, header, *_: header),
    "what memory holds of an old branch stays": (
        BlockTree,
        "switch",
        lambda self, _, headers, *__: self.extend(headers),
    ),
}


@pytest.mark.parametrize(("owner", "name", "instead"), DEFECTS.values(), ids=DEFECTS.keys())
def test_a_defect_does_not_pass(
    monkeypatch: pytest.MonkeyPatch, owner: type, name: str, instead: Callable[..., object]
) -> None:
    """Each of these breaks a promise, and a few seeds are enough to see it."""
    monkeypatch.setattr(owner, name, instead)
    configurations = [draw_configuration(seed, Kind.CLASSIC) for seed in range(100)]
    with pytest.raises(LawBrokenError):
        list(map(run, configurations))
