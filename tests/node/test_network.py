"""Networks of classic nodes from a seed: faults first, then peace, then everybody must agree."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from tallystick.node.effects import Log
from tests.node.network import World

SEEDS = range(60)


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


def check_agreement(world: World) -> None:
    """All nodes hold the same chain, and everything acknowledged is on it exactly once."""
    chains = world.chains()
    assert all(chain == chains[0] for chain in chains)
    held = Counter(world.nodes[0].data())
    for _, data in world.acknowledged:
        assert held[data] == 1, data
    for node in world.nodes:
        assert not node.node.status(node.now, node.store).lost_duties
        assert not node.node.status(node.now, node.store).dropped


def settle(world: World) -> None:
    """Wait until all agree. Redials take up to a minute, questions half a minute.

    Branches of equal length stay until somebody mines (first seen wins a tie), so somebody does.
    """
    for attempt in range(5):
        world.run(300_000)
        if len({tuple(chain) for chain in world.chains()}) == 1:
            return
        world.post(attempt % len(world.nodes), f"tie-breaker {attempt}")


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


@pytest.mark.parametrize("seed", SEEDS)
def test_faults_then_peace_then_agreement(seed: int) -> None:
    """Catalogue rows 54, 56, 72 and 74, classic: after the network heals all nodes agree, and nothing
    that any of them acknowledged is missing or there twice."""
    world = World(seed, a_connected_graph(seed))
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    size, number = len(world.nodes), 0
    for _ in range(60):
        world.run(chance.randint(1, 1_500))
        node = chance.randrange(size)
        match chance.randrange(8):
            case 0:
                world.crash(node)
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
    check_agreement(world)


def test_a_seed_is_a_film_that_can_be_watched_again() -> None:
    def film(seed: int) -> list[list[str]]:
        world = World(seed, a_connected_graph(seed))
        for number in range(10):
            world.run(700)
            world.post(number % len(world.nodes), f"post {number}")
        world.run(60_000)
        return world.chains()

    assert film(7) == film(7)
    assert film(7) != film(8)


def test_nobody_is_blamed_for_a_race() -> None:
    """Two nodes mining at once disagree for a while; that is nobody's fault."""
    world = World(3, {0: [], 1: [0], 2: [0, 1]})
    world.run(5_000)
    for number in range(30):
        world.post(number % 3, f"post {number}")
        world.run(20)
    settle(world)
    check_agreement(world)
    assert not any(isinstance(e, Log) and e.level == "error" for node in world.nodes for e in node.effects)
