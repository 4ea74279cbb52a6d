"""Many nodes in one process: links that delay, drop gossip, repeat, break and heal, from one seed.

Everything random comes from `random.Random(seed)`, so a seed is a film that can be watched again. Links
keep order, as TCP does; a broken link loses what was under way, and both ends learn that it is gone. What
arrives may arrive again, at once or much later, as from a classic peer that repeats itself (a native one would
be hung up on). Each node has clocks of its own. Some nodes may be the book's, which check nothing and ask for
everything.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from hashlib import sha256
from itertools import count

from tallystick.consensus.work import SEAL_BYTES
from tallystick.model.block import Body, WholeBlock
from tallystick.model.limits import Limits
from tallystick.model.network import CLASSIC, Network
from tallystick.model.sealed import FIXED_BYTES
from tallystick.node.effects import Dial, Effect, HangUp, Hold, Mine, Ping, Say, SayChain
from tallystick.node.inputs import (
    ChainSaid,
    DialFailed,
    Input,
    Mined,
    PeerClosed,
    PeerDrained,
    PeerOpened,
    PeerPonged,
    PeerSaid,
    Post,
    Tick,
)
from tallystick.wire import classic
from tallystick.wire.dialect import Dialect
from tallystick.wire.native import codec
from tallystick.wire.native.messages import Blocks, Headers, Push
from tests.node.book import BookPlayer
from tests.node.player import Player

GOSSIP_LOST = 0.05
REPEATED = 0.03
REPEATED_AFTER_MS = 20_000
LATENCY_MS = (1, 200)
SPINNING = 10_000
CLOCKS_APART_MS = 86_400_000
SEALED_CLOCKS_APART_MS = 60_000
"""Where blocks may be dated two minutes ahead, clocks that are further apart keep nodes apart."""

SEARCH_MS = 20_000.0


@dataclass(eq=False, slots=True)
class Link:
    """A connection between two nodes; each end has a number of its own at its node."""

    ends: tuple[tuple[int, int], tuple[int, int]]
    """(node, peer number) of the dialler and of the dialled."""

    clear_ms: list[int]
    """When the last message under way arrives, for each direction: none overtakes another."""

    open: bool = True
    dialect: Dialect = Dialect.CLASSIC

    def far(self, node: int, peer: int) -> tuple[int, tuple[int, int]]:
        direction = 0 if self.ends[0] == (node, peer) else 1
        return direction, self.ends[1 - direction]


class World:
    """Nodes `ws://0:1`, `ws://1:1`, ... and what happens between them."""

    def __init__(
        self,
        seed: int,
        links: dict[int, list[int]],
        limits: Limits | None = None,
        books: Collection[int] = (),
        dialect: Dialect = Dialect.CLASSIC,
        *,
        network: Network = CLASSIC,
        miners: Collection[int] = (),
    ) -> None:
        """Make as many nodes as `links` has keys; each dials the nodes it is mapped to. Those in `books` are
        the book's, and dial nobody; with them everybody speaks the classic dialect, with others `dialect`. Those of
        `miners` look for blocks in a `network` where they have to be found, and find one when luck has it."""
        self._dialect = dialect
        self.random = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self.mono_ms = 0
        self.nodes: list[Player | BookPlayer] = []
        self.ahead_ms: list[int] = []
        """How much each node's clocks are ahead of the world's."""
        for node in sorted(links):
            apart_ms = CLOCKS_APART_MS if network.rules is None else SEALED_CLOCKS_APART_MS
            self.ahead_ms.append(self.random.randrange(apart_ms))
            if node in books:
                self.nodes.append(BookPlayer(timestamps_as_text=self.random.random() < 0.5))
            else:
                dial = [f"ws://{other}:1" for other in links[node]]
                self.nodes.append(
                    Player(
                        limits,
                        dial=dial,
                        seed=seed * 1000 + node,
                        mono_ms=self.ahead_ms[node],
                        network=network,
                        mines=node in miners,
                    )
                )
        self.mean_search_ms: float | None = SEARCH_MS
        """How long a miner looks for a block on average; None: nobody finds any."""

        self.down: set[int] = set()
        self.cut: set[frozenset[int]] = set()
        self.acknowledged: list[str] = []
        self.gossip_lost = GOSSIP_LOST
        self.crossings: Counter[tuple[frozenset[int], bytes]] = Counter()
        """How often the body of a block crossed the link between two nodes, by the block's hash; native links."""

        self._links: dict[tuple[int, int], Link] = {}
        self._numbers = count(1)
        self._order = count()
        self._events: list[tuple[int, int, int, Input]] = []
        self._wakes: dict[int, int] = {}
        for node in range(len(self.nodes)):
            self._rearm(node)

    # --- what a test does ----------------------------------------------------------------------

    def run(self, ms: int) -> None:
        """Let time pass."""
        end, in_this_ms = self.mono_ms + ms, 0
        while self._events and self._events[0][0] <= end:
            in_this_ms = in_this_ms + 1 if self._events[0][0] == self.mono_ms else 0
            assert in_this_ms < SPINNING, "time stands still: somebody wakes up for nothing"
            self.mono_ms, _, node, event = heapq.heappop(self._events)
            if node in self.down or (isinstance(event, Tick) and self._wakes.get(node) != self.mono_ms):
                continue
            self._tell(node, event)
        self.mono_ms = end

    def post(self, node: int, data: str) -> None:
        """Post, and note it as acknowledged. (The book's node promises nothing.)"""
        if node not in self.down:
            self._tell(node, Post(0, data))
            if isinstance(self.nodes[node], Player):
                self.acknowledged.append(data)

    def crash(self, node: int, posting: str | None = None) -> None:
        """The process dies, perhaps in the middle of a post; its links break."""
        player = self.nodes[node]
        if posting is not None and node not in self.down and isinstance(player, Player):
            player.mono_ms = self.mono_ms + self.ahead_ms[node]
            player.dies_during(Post(0, posting), kept=self.random.random() < 0.5)
        self.down.add(node)
        for (owner, _), link in list(self._links.items()):
            if owner == node:
                self._break(link)

    def restart(self, node: int) -> None:
        """Come back with what was committed."""
        if node in self.down:
            self.down.discard(node)
            self.nodes[node].mono_ms = self.mono_ms + self.ahead_ms[node]
            self.nodes[node].restart()
            self._rearm(node)

    def partition(self, one: int, other: int) -> None:
        """Nothing gets through between two nodes."""
        self.cut.add(frozenset((one, other)))
        for link in list(self._links.values()):
            if {end[0] for end in link.ends} == {one, other}:
                self._break(link)

    def reunite(self, one: int, other: int) -> None:
        """What is sent between two nodes gets through again."""
        self.cut.discard(frozenset((one, other)))

    def heal(self) -> None:
        self.cut.clear()
        for node in list(self.down):
            self.restart(node)

    def chains(self) -> list[list[str]]:
        held = [node.blocks() if isinstance(node, Player) else node.chain() for node in self.nodes]
        return [[block.hash for block in chain] for chain in held]

    @property
    def players(self) -> list[Player]:
        """The nodes that are not the book's."""
        return [node for node in self.nodes if isinstance(node, Player)]

    # --- what happens then ---------------------------------------------------------------------

    def _tell(self, node: int, event: Input) -> None:
        player = self.nodes[node]
        player.mono_ms = self.mono_ms + self.ahead_ms[node]
        for effect in player.tell(event):
            self._perform(node, effect)
        self._rearm(node)

    def _rearm(self, node: int) -> None:
        wake = self.nodes[node].wake_at_ms()
        if wake is not None:
            wake = max(wake - self.ahead_ms[node], self.mono_ms)
            if self._wakes.get(node) != wake or self.mono_ms == wake:
                self._wakes[node] = wake
                self._at(wake, node, Tick())

    def _at(self, when_ms: int, node: int, event: Input) -> None:
        heapq.heappush(self._events, (when_ms, next(self._order), node, event))

    def _perform(self, node: int, effect: Effect) -> None:
        match effect:
            case Say(peers, text, gossip):
                for peer in peers:
                    if gossip and self.random.random() < self.gossip_lost:
                        self._at(self.mono_ms + 50, node, PeerDrained(peer))
                    else:
                        self._send(node, peer, text)
            case SayChain(peer):
                text = classic.response(self.nodes[node].chain())
                self._send(node, peer, text)
                self._at(self.mono_ms, node, ChainSaid(peer, len(text)))
            case Ping(peer):
                self._at(self.mono_ms, node, PeerPonged(peer))
            case HangUp(peer):
                if (node, peer) in self._links:
                    self._break(self._links[node, peer])
            case Dial(address):
                self._dial(node, address)
            case Mine():
                self._search(node, effect)
            case Hold():
                raise AssertionError("an honest peer was held back")
            case _:
                pass

    def _search(self, node: int, job: Mine) -> None:
        """Find what is looked for, after a while that has no memory (a Poisson process, as searching is)."""
        if self.mean_search_ms is None:
            return
        nonce = next(n for n in count() if sha256(job.head + n.to_bytes(8, "big")).digest() <= job.target)
        delay_ms = int(self.random.expovariate(1 / self.mean_search_ms))
        self._at(self.mono_ms + delay_ms, node, Mined(job.number, nonce))

    def _dial(self, node: int, address: str) -> None:
        other = int(address.removeprefix("ws://").removesuffix(":1"))
        latency = self.random.randint(*LATENCY_MS)
        if other in self.down or frozenset((node, other)) in self.cut:
            self._at(self.mono_ms + latency, node, DialFailed(address, "no route"))
            return
        near, far = (node, next(self._numbers)), (other, next(self._numbers))
        link = Link((near, far), [self.mono_ms, self.mono_ms])
        self._links[near] = self._links[far] = link
        both = isinstance(self.nodes[node], Player) and isinstance(self.nodes[other], Player)
        dialect = self._dialect if both else Dialect.CLASSIC
        link.dialect = dialect
        self._at(self.mono_ms, node, PeerOpened(near[1], f"10.0.0.{other}:1", address, dialect))
        far_remote = f"10.0.0.{node}:{near[1] + 1024}"
        self._at(self.mono_ms, other, PeerOpened(far[1], far_remote, None, dialect))

    def _send(self, node: int, peer: int, text: bytes) -> None:
        link = self._links.get((node, peer))
        if link is None or not link.open:
            return
        direction, (other, number) = link.far(node, peer)
        arrives = max(link.clear_ms[direction], self.mono_ms + self.random.randint(*LATENCY_MS))
        link.clear_ms[direction] = arrives
        self._at(arrives, other, PeerSaid(number, text))
        if link.dialect is Dialect.NATIVE:
            self._count_bodies(frozenset((node, other)), text)
        if link.dialect is Dialect.CLASSIC and self.random.random() < REPEATED:
            self._at(arrives, other, PeerSaid(number, text))
            self._at(arrives + self.random.randrange(REPEATED_AFTER_MS), other, PeerSaid(number, text))

    def _count_bodies(self, ends: frozenset[int], frame: bytes) -> None:
        match codec.decode(frame):
            case Push(block):
                self.crossings[ends, _name_of(block)] += 1
            case Blocks(_, blocks, _) | Headers(_, _, blocks, _):
                self.crossings.update((ends, _name_of(block)) for block in blocks)

    def _break(self, link: Link) -> None:
        if link.open:
            link.open = False
            for node, peer in link.ends:
                self._links.pop((node, peer), None)
                self._at(self.mono_ms, node, PeerClosed(peer, "the link broke"))


def _name_of(block: Body | WholeBlock | bytes) -> bytes:
    """The hash of a block as it crosses a link; a sealed one begins with its header."""
    return sha256(block[: FIXED_BYTES + SEAL_BYTES]).digest() if isinstance(block, bytes) else block.hash
