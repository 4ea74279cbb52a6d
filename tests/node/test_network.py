"""Networks of nodes from a seed: faults first, then peace, then everybody must agree."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable

import pytest

from tallystick.chain.chain import Chain
from tallystick.chain.duties import Remining
from tallystick.chain.tree import BlockTree
from tallystick.errors import StoreError
from tallystick.model.limits import Limits
from tallystick.node.effects import Log
from tallystick.node.gossip import Gossip
from tallystick.wire.classic_session import ClassicSession
from tallystick.wire.dialect import Dialect
from tallystick.wire.redial import Redial
from tests.node.network import World

SEEDS = range(int(os.environ.get("SEEDS", "120")))
SMALL = Limits(
    view_page=3,
    recent_headers=4,
    page_bytes=200,
    side_bytes=3_000,
    batch_blocks=3,
    headers_per_reply=3,
    plan_batches=3,
    window_batches=3,
    announced_points=2,
    known_blocks=6,
    push_bytes=7,
    reply_soft_bytes=150,
    part_bytes=64,
)
"""Everything in pages and parts, forks deeper than memory, and old side branches dropped all the time."""


def line(size: int) -> dict[int, list[int]]:
    return {node: [node + 1] if node + 1 < size else [] for node in range(size)}


def a_connected_graph(seed: int) -> dict[int, list[int]]:
    """Three to seven nodes; each dials an earlier one, and some dial more."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    size = chance.randint(3, 7)
    links: dict[int, list[int]] = {0: []}
    for node in range(1, size):
        links[node] = sorted({chance.randrange(node) for _ in range(chance.randint(1, 2))})
    return links


def check_agreement(world: World) -> bool:
    """All nodes hold the same chain, and everything acknowledged is on it exactly once."""
    chains = world.chains()
    assert all(chain == chains[0] for chain in chains)
    held = Counter(world.nodes[0].data())
    assert [data for data in world.acknowledged if held[data] != 1] == []
    for node in world.players:
        assert not node.node.status(node.now, node.store).lost_duties
        assert not node.node.status(node.now, node.store).dropped
    return True


def settle(world: World) -> None:
    """Wait until all agree. Redials take up to a minute, questions half a minute.

    Branches of equal length stay until somebody mines (first seen wins a tie), so somebody does.
    """
    for attempt in range(5):
        world.run(300_000)
        if len({tuple(chain) for chain in world.chains()}) == 1:
            return
        world.post(attempt % len(world.nodes), f"tie-breaker {attempt}")


def faults_then_peace(seed: int, dialect: Dialect = Dialect.CLASSIC) -> World:
    """A minute of a network in which everything goes wrong, and then nothing any more.

    Of three seeds one has a node of the book in it, and one has small limits.
    """
    limits, books = SMALL if seed % 3 == 1 else None, [0] if seed % 3 == 2 else []
    world = World(seed, a_connected_graph(seed), limits, books, dialect)
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    size, number = len(world.nodes), 0
    for _ in range(60):
        world.run(chance.randint(1, 1_500))
        node = chance.randrange(size)
        match chance.randrange(8):
            case 0:
                world.crash(node, posting=f"not acknowledged {number}" if chance.random() < 0.5 else None)
            case 1:
                world.restart(node)
            case 2:
                world.partition(node, chance.randrange(size))
            case 3 if chance.random() < 0.3:
                world.heal()
            case _:
                for _ in range(chance.randint(1, 4)):
                    world.post(node, f"post {number}")
                    number += 1
    world.heal()
    settle(world)
    return world


def test_a_block_reaches_the_end_of_a_line_within_the_latency() -> None:
    world = World(1, line(5))
    world.run(5_000)
    world.post(0, "hello")
    world.run(4 * 200 + 100)
    assert all(node.data()[-1] == "hello" for node in world.nodes)


def test_a_new_node_fetches_the_chain_and_its_posts_survive_that() -> None:
    """It was acknowledged before the node had met anybody."""
    world = World(2, {0: [], 1: [0]})
    world.partition(0, 1)
    for number in range(20):
        world.post(0, f"old {number}")
    world.post(1, "lonely")
    world.heal()
    world.run(120_000)
    check_agreement(world)
    assert world.nodes[0].data()[-1] == "lonely"


@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize("seed", SEEDS)
def test_faults_then_peace_then_agreement(seed: int, dialect: Dialect) -> None:
    """Catalogue rows 54, 56, 72, 74 and 75: after the network heals all nodes agree, and nothing
    that any of them acknowledged is missing or there twice."""
    check_agreement(faults_then_peace(seed, dialect))


@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize("seed", range(20))
def test_links_that_stop_one_by_one_and_come_back_in_another_order(seed: int, dialect: Dialect) -> None:
    """Catalogue row 73: swizzle-clogging, with posts to everybody in every state between."""
    links = a_connected_graph(seed)
    world = World(seed, links, dialect=dialect)
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    pairs = [(node, other) for node, others in links.items() for other in others]
    number = 0
    for what in (world.partition, world.reunite):
        chance.shuffle(pairs)
        for one, other in pairs:
            what(one, other)
            for node in range(len(links)):
                world.post(node, f"post {number}")
                number += 1
            world.run(chance.randint(1, 20_000))
    settle(world)
    check_agreement(world)


def test_a_seed_is_a_film_that_can_be_watched_again() -> None:
    assert faults_then_peace(8).chains() == faults_then_peace(8).chains()
    assert faults_then_peace(8).chains() != faults_then_peace(11).chains()


def test_nobody_is_blamed_for_a_race() -> None:
    """Two nodes mining at once disagree for a while; that is nobody's fault."""
    world = World(3, {0: [], 1: [0], 2: [0, 1]})
    world.run(5_000)
    for number in range(30):
        world.post(number % 3, f"post {number}")
        world.run(20)
    settle(world)
    check_agreement(world)
    assert not any(isinstance(e, Log) and e.level == "error" for node in world.players for e in node.effects)


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
    with pytest.raises((AssertionError, StoreError)):
        all(map(check_agreement, map(faults_then_peace, range(12))))
