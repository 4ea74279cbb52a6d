"""A node of a work network to be attacked, and the honest chain that it shall keep.

A block of its network takes two hashes, so a test can afford what an attacker would pay for. Whoever is honest here, a
miner and a verifier, shares no code with the node.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
from websockets.exceptions import ConnectionClosed

from tests.system.fake_node import FakeNode, Fault
from tests.system.memory import MIB
from tests.system.native_client import GET_RECORDS, GET_SURVEY, INV, Conversation, dial, public
from tests.system.processes import eventually, nodes
from tests.system.sealed_client import Network, Record, SealedBlock, check_proof, child, grow, push
from tests.system.work_nodes import WorkNode

GROWTH_BYTES: Final = 48 * MIB
"""What an attack may cost a node in memory for good: some frames, and what the allocator keeps of them."""

DAY_MS: Final = 86_400_000
LENGTH: Final = 30
"""Blocks of the honest chain at first."""

Attack = Callable[[Conversation], object]


@dataclass
class Victim:
    """A node, and the chain that it shall keep."""

    node: WorkNode
    network: Network
    chain: list[SealedBlock]

    @property
    def tip(self) -> SealedBlock:
        return self.chain[-1]

    @contextmanager
    def dialled(self, own: SealedBlock | None = None) -> Iterator[Conversation]:
        genesis = self.network.genesis
        with dial(self.node.port, own or genesis, network=genesis.hash) as peer:
            yield peer

    def source(
        self,
        blocks: Iterable[SealedBlock],
        fault: Fault | None = None,
        *,
        pool: Iterable[Record] = (),
        weight: bytes | None = None,
    ) -> FakeNode:
        """A node that is dialled and serves another chain, which it may claim to weigh something else."""
        served = list(blocks)
        tip = served[-1] if served else self.network.genesis
        claim = [tip.point, weight or tip.weight]
        return FakeNode(served, fault, genesis=self.network.genesis, pool=pool, tip=claim)

    def dropped(self) -> list[dict[str, str]]:
        """Who was thrown out lately, newest first."""
        return list(self.node.get("/status")["dropped"])

    def refused_keys(self) -> list[str]:
        return [banned["subject"] for banned in self.node.get("/bans")]

    @contextmanager
    def unharmed(self) -> Iterator[None]:
        """What happens within changes nothing for others."""
        assert self.node.process is not None
        process = psutil.Process(self.node.process.pid)
        before = process.memory_info().rss
        yield
        assert self.node.tip() == (self.tip.index, self.tip.hash.hex())
        with self.dialled(self.tip) as honest:
            headers = honest.ask(GET_SURVEY, 1, [self.network.genesis.point], None, 2_000)[3]
            assert headers == [block.header for block in self.chain[1:]]
            last = honest.headers(2, self.chain[-2].point)
            assert last[3] == [self.tip.body]
            self.lives_on(honest)
        assert process.memory_info().rss - before < GROWTH_BYTES

    @contextmanager
    def unharmed_by_then(self) -> Iterator[None]:
        """Likewise, and what happens within leads to the tip that we have already."""
        yield
        with self.unharmed():
            pass

    def lives_on(self, honest: Conversation) -> None:
        """A record is posted, passed on to a miner, sealed by it, and proved."""
        id = self.node.post({"life": "goes on"})["id"]
        names = honest.hear_next(INV)[1]
        assert [name[0] for name in names] == [id]
        [[entry, salt, data]] = honest.ask(GET_RECORDS, 3, names)[2]
        block = child(self.network, self.tip, [Record(entry, salt, data)])
        honest.say(*push(block))
        assert honest.is_answered()
        self.chain.append(block)
        shown = self.node.record(id)
        assert (shown["status"], shown["block"]["hash"]) == ("included", block.hash.hex())
        check_proof(shown["proof"], block.hash.hex())

    def ends_with(self, attack: Attack, code: int, rule: str, *, refused: bool = True) -> None:
        """An admitted peer does this, and is thrown out for it; is its key remembered?"""
        with self.unharmed(), self.dialled() as peer:
            with suppress(ConnectionClosed, OSError):
                attack(peer)
            assert peer.close_code() == code
            eventually(lambda: any(each["address"] == peer.address for each in self.dropped()), "nobody is blamed")
            [why] = [each for each in self.dropped() if each["address"] == peer.address]
            assert why["rule"] == rule
            assert len(why["detail"]) <= 300
            assert (public(peer.key).hex() in self.refused_keys()) is refused


def raised(node: WorkNode, network: Network, length: int) -> Victim:
    """A running node, once it has fetched a chain from an honest miner."""
    victim = Victim(node, network, [network.genesis, *grow(network, network.genesis, length, "honest")])
    with victim.source(victim.chain[1:]) as source:
        source.dial(node.port)
        eventually(lambda: node.tip()[0] == length, "the node never caught up")
    return victim


@contextmanager
def everybodys_victim(folder: Path) -> Iterator[Victim]:
    """A node that does not mine, and has the honest chain of somebody who does. Its blocks are small."""
    network = Network.make(
        "victim", now_ms() - DAY_MS, max_block_records=50, max_block_bytes=20_000, max_data_bytes=10_000
    )
    node = WorkNode(folder / "node", network.write(folder / "network.toml"))
    with nodes(node):
        yield raised(node, network, LENGTH)


def now_ms() -> int:
    return int(time.time() * 1_000)
