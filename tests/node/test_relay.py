"""New blocks among native nodes: everybody gets them, and no link carries one twice."""

from __future__ import annotations

import random

import pytest

from tallystick.model.limits import Limits
from tallystick.wire.dialect import Dialect
from tests.node.network import LATENCY_MS, World

NODES = 10


def line() -> dict[int, list[int]]:
    return {node: [node + 1] if node + 1 < NODES else [] for node in range(NODES)}


def graph(seed: int) -> dict[int, list[int]]:
    """Connected, with cycles: each node dials one to three earlier ones."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    links: dict[int, list[int]] = {0: []}
    for node in range(1, NODES):
        links[node] = sorted({chance.randrange(node) for _ in range(chance.randint(1, 3))})
    return links


def quiet(seed: int, links: dict[int, list[int]], limits: Limits | None = None) -> World:
    """Nothing is lost, and everybody has met."""
    world = World(seed, links, limits, dialect=Dialect.NATIVE)
    world.gossip_lost = 0
    world.run(10_000)
    return world


@pytest.mark.parametrize("links", [line(), *map(graph, range(8))], ids=["line", *map("graph {}".format, range(8))])
@pytest.mark.parametrize("size", [10, 50_000], ids=["pushed", "announced"])
def test_a_block_reaches_everybody_and_crosses_each_link_once_at_most(links: dict[int, list[int]], size: int) -> None:
    world = quiet(1, links)
    for number in range(20):
        world.post(number * 7 % NODES, f"{number:>{size}}")
        world.run(6 * NODES * LATENCY_MS[1])
    assert [len(chain) for chain in world.chains()] == [21] * NODES
    assert len({tuple(chain) for chain in world.chains()}) == 1
    assert set(world.crossings.values()) == {1}


@pytest.mark.parametrize("seed", range(10))
def test_a_burst_from_one_node_crosses_each_link_once_at_most(seed: int) -> None:
    """Also while blocks overtake their predecessors on the way round a cycle."""
    world = quiet(seed, graph(seed))
    for number in range(50):
        world.post(3, f"post {number}")
        world.run(world.random.randint(0, 60))
    world.run(20_000)
    assert [len(chain) for chain in world.chains()] == [51] * NODES
    assert max(world.crossings.values()) == 1


def test_the_right_to_push_moves_to_where_blocks_come_from() -> None:
    """The far end announces once and is asked; from then on it pushes, one message a block."""
    world = quiet(1, {0: [1], 1: []})  # 0 dialled, so the right is its own at first
    for number in range(3):
        world.post(1, f"post {number}")
        world.run(3 * LATENCY_MS[1])
    pushes = [session.may_push for node in world.players for _, session in node.node._peers.native()]
    assert pushes == [False, True]
    assert world.nodes[0].data()[-1] == "post 2"
