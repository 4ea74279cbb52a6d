"""Syncing from a swarm: whoever is in it, an honest peer with the best chain is enough, and no honest one is blamed."""

from __future__ import annotations

import os
import random
from dataclasses import replace

import pytest

from tallystick.errors import Rule
from tallystick.model.limits import MINUTE_MS, Limits
from tallystick.model.network import CLASSIC_GENESIS as GENESIS
from tallystick.node.inputs import Post
from tests.node.player import Player, grow
from tests.node.strangers import chain
from tests.node.swarm import HONEST, MANNERS, Manner, Swarm

LIMITS = Limits(
    batch_blocks=10,
    headers_per_reply=10,
    plan_batches=4,
    window_batches=4,
    reply_soft_bytes=3_000,
    part_bytes=1_000,
    window_bytes=20_000,
    recent_headers=20,
    view_page=10,
)


def check(swarm: Swarm) -> None:
    """Nobody honest broke a rule; what waited in memory was within the window (and one answer of each peer)."""
    assert [
        (manner.name, rule) for manner, rule in swarm.blamed if manner.is_honest and rule != Rule.SYNC_KEEPS_UP
    ] == []
    assert swarm.most_batches <= LIMITS.window_batches
    assert swarm.most_waiting_bytes <= LIMITS.window_bytes + LIMITS.reply_soft_bytes


SEEDS = [*range(int(os.environ.get("SEEDS", "80"))), 151, 251, 282, 391, 3523, 5016]
"""The last ones found something."""


@pytest.mark.parametrize("seed", SEEDS)
def test_a_sync_from_a_swarm_ends_with_the_best_chain(seed: int) -> None:
    """Catalogue rows 58-62 and 67, all at once: peers of any manner come and go while one honest peer stays."""
    chance = random.Random(seed)  # noqa: S311 - repeatable
    node = Player(LIMITS, seed=seed)
    swarm = Swarm(node, seed)
    shared = chain(chance.choice([0, 0, 5, 40]), "shared")
    for number in range(chance.choice([0, 0, 3, 25])):
        node.tell(Post(number, f"ours {number}"))
    best = chain(chance.randint(30, 200), "best", shared)
    other = chain(chance.randint(1, max(1, len(best) - len(shared) - 1)), "other", shared)
    comers = [
        (MANNERS[name], chance.choice([best, best, other]))
        for name in chance.choices(list(MANNERS), k=chance.randint(0, 7))
    ]
    comers = [(manner, which) for manner, which in comers if len(which) + manner.claim]
    comers.insert(chance.randint(0, len(comers)), (HONEST, best))
    for manner, which in comers:
        swarm.joins(manner, which)
        swarm.run(chance.choice([0, 0, 30, 400, 3_000]))
        if chance.random() < 0.2:
            node.tell(Post(0, f"post {node.mono_ms}"))
    for _ in range(30):
        swarm.run(MINUTE_MS)
        if node.chain()[-1].index >= best[-1].index:
            break
    # Posts that were mined again on the lesser branch may have made it the better one.
    assert node.chain()[: len(best)] == best or node.chain()[-1].index >= best[-1].index, [
        manner.name for manner, _ in comers
    ]
    swarm.run(2 * MINUTE_MS)
    assert not node.node.status(node.now, node.store).lost_duties
    check(swarm)


@pytest.mark.parametrize("name", [name for name, manner in MANNERS.items() if not manner.is_honest])
def test_one_of_each_kind_delays_a_sync_by_seconds_at_most(name: str) -> None:
    """Catalogue rows 58-61: it came first and leads, or came second and holds a batch."""
    for first in (True, False):
        best = chain(150)
        node = Player(LIMITS)
        swarm = Swarm(node, 1)
        for manner in [MANNERS[name], HONEST] if first else [HONEST, MANNERS[name]]:
            swarm.joins(manner, best)
            swarm.run(0)
        swarm.run(15_000)
        assert node.chain() == best, (name, first)
        check(swarm)
        assert not any(manner is HONEST for manner, _ in swarm.blamed)


def test_a_slow_peer_alone_is_waited_for() -> None:
    best = chain(60)
    node = Player(LIMITS)
    swarm = Swarm(node, 1)
    swarm.joins(MANNERS["a trickle"], best)
    swarm.run(10 * MINUTE_MS)
    assert node.chain() == best
    assert swarm.blamed == []


def test_long_blocks_from_many_peers_fill_no_more_than_the_window() -> None:
    """An answer is longer than it should be where a block is; then fewer are asked for at a time."""
    best = [GENESIS, *grow(GENESIS, *(f"{number:>9000}" for number in range(60)))]
    node = Player(replace(LIMITS, batch_blocks=2, headers_per_reply=2, plan_batches=20, window_batches=16))
    swarm = Swarm(node, 1)
    for _ in range(4):
        swarm.joins(Manner("far away", latency_ms=200, rate=1_000_000), best)
    swarm.run(MINUTE_MS)
    assert node.chain() == best
    assert swarm.blamed == []
    assert swarm.most_waiting_bytes <= LIMITS.window_bytes + 9_500


def test_many_peers_share_the_work() -> None:
    best = chain(400)
    node = Player(LIMITS)
    swarm = Swarm(node, 1)
    members = [swarm.joins(HONEST, best) for _ in range(4)]
    swarm.run(MINUTE_MS)
    assert node.chain() == best
    assert swarm.blamed == []
    assert all(member.peer.handshake.is_over for member in members)
