"""New blocks among native nodes: everybody gets them, and no link carries one twice."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from hashlib import sha256

import pytest

from tallystick.consensus.work import SEAL_BYTES
from tallystick.model.block import Body, WholeBlock
from tallystick.model.sealed import FIXED_BYTES
from tallystick.sim.end import End
from tallystick.sim.scenario import Scenario
from tallystick.wire.native import codec
from tallystick.wire.native.messages import Blocks, Headers, Push
from tests.sim.worlds import MOST_LATENCY_MS, calm, hashes, host, line, posts

NODES = 10


class Crossings:
    """How often the body of a block crossed the link between two nodes, by the block's hash."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[frozenset[int], bytes]] = Counter()

    def tap(self, end: End, frame: bytes) -> None:
        ends = frozenset((end.machine.number, end.other.machine.number))
        match codec.decode(frame):
            case Push(block):
                self.counts[ends, name_of(block)] += 1
            case Blocks(_, blocks, _) | Headers(_, _, blocks, _):
                self.counts.update((ends, name_of(block)) for block in blocks)


def name_of(block: Body | WholeBlock | bytes) -> bytes:
    """The hash of a block as it crosses a link; a sealed one begins with its header."""
    return sha256(block[: FIXED_BYTES + SEAL_BYTES]).digest() if isinstance(block, bytes) else block.hash


def graph(seed: int) -> list[list[int]]:
    """Connected, with cycles: each node dials one to three earlier ones."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    return [[], *(sorted({chance.randrange(node) for _ in range(chance.randint(1, 3))}) for node in range(1, NODES))]


def quiet(seed: int, dials: Sequence[Sequence[int]]) -> tuple[Scenario, Counter[tuple[frozenset[int], bytes]]]:
    """Everybody has met; what crosses is counted from the beginning."""
    crossings = Crossings()
    scenario = calm(dials, seed=seed)
    scenario.world.links.taps.append(crossings.tap)
    scenario.world.run(10_000)
    return scenario, crossings.counts


@pytest.mark.parametrize("dials", [line(NODES), *map(graph, range(8))], ids=["line", *map("graph {}".format, range(8))])
@pytest.mark.parametrize("size", [10, 50_000], ids=["pushed", "announced"])
def test_a_block_reaches_everybody_and_crosses_each_link_once_at_most(dials: list[list[int]], size: int) -> None:
    scenario, crossings = quiet(1, dials)
    for number in range(20):
        posts(scenario, number * 7 % NODES, f"{number:>{size}}")
        scenario.world.run(6 * NODES * MOST_LATENCY_MS)
    assert [len(chain) for chain in hashes(scenario)] == [21] * NODES
    assert len({tuple(chain) for chain in hashes(scenario)}) == 1
    assert set(crossings.values()) == {1}


@pytest.mark.parametrize("seed", range(10))
def test_a_burst_from_one_node_crosses_each_link_once_at_most(seed: int) -> None:
    """Also while blocks overtake their predecessors on the way round a cycle."""
    scenario, crossings = quiet(seed, graph(seed))
    chance = scenario.world.stream("burst")
    for number in range(50):
        posts(scenario, 3, f"post {number}")
        scenario.world.run(chance.randint(0, 60))
    scenario.world.run(20_000)
    assert [len(chain) for chain in hashes(scenario)] == [51] * NODES
    assert max(crossings.values()) == 1


def test_the_right_to_push_moves_to_where_blocks_come_from() -> None:
    """The far end announces once and is asked; from then on it pushes, one message a block."""
    scenario, _ = quiet(1, [[1], []])  # 0 dialled, so the right is its own at first
    for number in range(3):
        posts(scenario, 1, f"post {number}")
        scenario.world.run(3 * MOST_LATENCY_MS)
    pushes = [session.may_push for node in (0, 1) for _, session in host(scenario, node).node._peers.native()]
    assert pushes == [False, True]
    assert host(scenario, 0).texts()[-1] == "post 2"
