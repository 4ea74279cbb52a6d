"""Networks of the work kind from a seed: miners who race, records posted anywhere, faults, and then peace.

The law: every record that a node acknowledged ends on the best chain exactly once, whatever forks and crashes happened
in between, and all nodes agree on that chain.
"""

import os
import random
from collections import Counter
from collections.abc import Callable

import pytest

from tallystick.errors import StoreError
from tallystick.model.limits import Limits
from tallystick.model.log import extend, root_of
from tallystick.model.network import EASIEST_BITS, Kind, SealedRules, sealed_network
from tallystick.model.record import SALT_BYTES, Record, make_record
from tallystick.model.sealed import SealedBlock
from tallystick.node.inputs import PostRecords
from tallystick.node.pool import Pool
from tallystick.storage import memory_records
from tallystick.wire.dialect import Dialect
from tallystick.wire.native.wanted import Wanted
from tests.node.network import SEARCH_MS, World
from tests.node.player import WALL_MS, Player
from tests.node.test_network import a_connected_graph, line

SEEDS = range(int(os.environ.get("SEEDS", "40")))
RULES = SealedRules(spacing_ms=10_000, half_life_ms=3_600_000, bits=EASIEST_BITS, max_block_records=5)
NETWORK = sealed_network(Kind.WORK, "simulated", RULES, WALL_MS - 10_000)

SMALL = Limits(
    view_page=3,
    recent_headers=4,
    page_bytes=400,
    batch_blocks=3,
    headers_per_reply=3,
    window_batches=3,
    announced_points=2,
    known_blocks=6,
    push_bytes=400,
    reply_soft_bytes=900,
    part_bytes=256,
    announced_records=2,
    records_per_request=2,
    known_records=4,
)
"""Everything in pages and parts, and forks deeper than memory."""


class Ledger:
    """A network whose nodes take records, and what was acknowledged of them. The first node mines, others may."""

    def __init__(self, seed: int, links: dict[int, list[int]], limits: Limits | None = None) -> None:
        self.random = random.Random(f"records {seed}")  # noqa: S311 - repeatable, not secret
        miners = [node for node in links if node == 0 or self.random.random() < 0.5]
        self.world = World(seed, links, limits, dialect=Dialect.NATIVE, network=NETWORK, miners=miners)
        self.acknowledged: list[Record] = []
        self._made = 0

    def records(self, number: int) -> list[Record]:
        made = []
        for _ in range(number):
            self._made += 1
            made.append(make_record(f"r{self._made}", f"data {self._made}", self.random.randbytes(SALT_BYTES)))
        return made

    def post(self, node: int, number: int) -> None:
        """Somebody posts records at a node that is up."""
        if node in self.world.down:
            return
        event = PostRecords(1, self.records(number))
        self.world._tell(node, event)
        self.acknowledged += event.records

    def crash(self, node: int, *, posting: int) -> None:
        """A node dies, perhaps in the middle of a post that nobody is told of."""
        player = self.world.nodes[node]
        assert isinstance(player, Player)
        if posting and node not in self.world.down:
            player.mono_ms = self.world.mono_ms + self.world.ahead_ms[node]
            player.dies_during(PostRecords(1, self.records(posting)), kept=self.random.random() < 0.5)
        self.world.crash(node)

    def settle(self) -> None:
        """Peace: everybody mines until nothing is pending anywhere, then nobody does until all heard of all."""
        world = self.world
        world.heal()
        for _ in range(12):
            world.mean_search_ms = SEARCH_MS
            world.run(300_000)
            world.mean_search_ms = None
            world.run(300_000)
            if len({chain[-1] for chain in world.chains()}) == 1 and not any(map(pending, world.players)):
                return


def pending(player: Player) -> int:
    return player.store.pool_size()[0]


def check_law(ledger: Ledger) -> None:
    world = ledger.world
    chains = world.chains()
    assert all(chain == chains[0] for chain in chains)
    for player in world.players:
        held = [record for block in sealed_chain(player) for record in block.records]
        counts = Counter(record.leaf for record in held)
        assert [record.id for record in ledger.acknowledged if counts[record.leaf] != 1] == []
        assert max(counts.values(), default=1) == 1
        assert pending(player) == 0
        tip = sealed_chain(player)[-1]
        assert tip.log_root == root_of(extend((), 0, [record.leaf for record in held]))
        assert tip.log_size == len(held)
        assert not player.node.status(player.now, player.store).dropped


def sealed_chain(player: Player) -> list[SealedBlock]:
    return [block for block in player.blocks() if isinstance(block, SealedBlock)]


def faults_then_peace(seed: int) -> Ledger:
    """Five minutes of a network in which everything goes wrong, and then nothing any more."""
    ledger = Ledger(seed, a_connected_graph(seed), SMALL if seed % 2 else None)
    world, chance = ledger.world, random.Random(seed)  # noqa: S311 - repeatable, not secret
    size = len(world.nodes)
    for _ in range(60):
        world.run(chance.randint(1, 10_000))
        node = chance.randrange(size)
        match chance.randrange(8):
            case 0:
                ledger.crash(node, posting=chance.randrange(3))
            case 1:
                world.restart(node)
            case 2:
                world.partition(node, chance.randrange(size))
            case 3 if chance.random() < 0.3:
                world.heal()
            case _:
                ledger.post(node, chance.randint(1, 6))
    ledger.settle()
    return ledger


@pytest.mark.parametrize("seed", SEEDS)
def test_faults_then_peace_then_every_record_once(seed: int) -> None:
    """Catalogue rows 54, 72, 74, 75, 82 and 83."""
    check_law(faults_then_peace(seed))


def test_a_record_posted_at_one_end_is_sealed_at_the_other() -> None:
    ledger = Ledger(1, line(5))
    world = ledger.world
    world.mean_search_ms = None
    world.gossip_lost = 0.0
    world.run(5_000)
    ledger.post(4, 3)
    world.run(4 * 3 * 200 + 200)  # announced, asked for and sent over each of the links
    assert [pending(player) for player in world.players] == [3] * 5
    ledger.settle()
    check_law(ledger)


def test_two_halves_that_mined_apart_become_one_chain_and_lose_nothing() -> None:
    ledger = Ledger(7, {0: [], 1: [0], 2: [1], 3: [2]})
    world = ledger.world
    assert any(player.profile.mines for player in world.players[2:])
    world.run(30_000)
    world.partition(1, 2)
    for _ in range(20):
        ledger.post(0, 2)
        ledger.post(3, 2)
        world.run(20_000)
    assert len({chain[-1] for chain in world.chains()}) > 1
    ledger.settle()
    check_law(ledger)


def test_a_new_node_fetches_a_long_chain() -> None:
    ledger = Ledger(3, {0: [], 1: [0]}, SMALL)
    world = ledger.world
    world.partition(0, 1)
    for _ in range(30):
        ledger.post(0, 3)
        world.run(10_000)
    ledger.post(1, 2)
    ledger.settle()
    check_law(ledger)


def test_a_seed_is_a_film_that_can_be_watched_again() -> None:
    assert faults_then_peace(8).world.chains() == faults_then_peace(8).world.chains()


def test_the_same_id_may_be_taken_by_two_nodes_at_once_and_both_records_are_kept() -> None:
    """That two records do not share an id is the courtesy of the node that takes them, not a rule."""
    ledger = Ledger(4, {0: [], 1: [0]})
    world = ledger.world
    world.partition(0, 1)
    for node in (0, 1):
        record = make_record("same", f"said by {node}", bytes([node]) * SALT_BYTES)
        world._tell(node, PostRecords(1, [record]))
        ledger.acknowledged.append(record)
    ledger.settle()
    check_law(ledger)
    player = world.players[0]
    assert len(player.reader.records_of("same")) == 2


# --- does it notice? --------------------------------------------------------------------------------

DEFECTS: dict[str, tuple[type, str, Callable[..., object]]] = {
    "nobody takes a peer's records": (Pool, "take_foreign", lambda *_: []),
    "nobody is asked for records": (Wanted, "asks", lambda *_: []),
    "records of a branch that left are forgotten": (memory_records.Records, "rewind", lambda *_: None),
}


@pytest.mark.parametrize(("owner", "name", "instead"), DEFECTS.values(), ids=DEFECTS.keys())
def test_a_defect_does_not_pass(
    monkeypatch: pytest.MonkeyPatch, owner: type, name: str, instead: Callable[..., object]
) -> None:
    monkeypatch.setattr(owner, name, instead)
    with pytest.raises((AssertionError, StoreError, KeyError, IndexError)):
        list(map(check_law, map(faults_then_peace, range(8))))
