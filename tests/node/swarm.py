"""A node that fetches a chain from a swarm: honest peers, forked ones, liars, slow ones; on one clock, from one seed.

Each peer answers after its own latency and at its own rate, in the order in which it was asked. The swarm knows who
is honest, and counts what nobody honest should ever suffer.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

import msgspec

from tallystick.model.block import Block
from tallystick.model.network import CLASSIC_GENESIS as GENESIS
from tallystick.node.effects import Dial, Effect, HangUp, Say
from tallystick.node.inputs import Input, PeerClosed, PeerProgressed, PeerSaid
from tallystick.wire.native import codec
from tallystick.wire.native.messages import GetAddrs, GetBlocks, GetHeaders, Headers, Message, Part, Ping, Point, Pong
from tests.node.player import Player
from tests.node.strangers import NativePeer, bodies_of, headers_of

PROGRESS_MS = 250
COMES_AGAIN_MS = 1_000


@dataclass(frozen=True)
class Manner:
    """How a peer behaves."""

    name: str
    is_honest: bool = True
    rate: int = 10_000_000
    """Bytes a second."""

    latency_ms: int = 20
    most: int = 10**6
    """Blocks in an answer."""

    claim: int = 0
    """So much more than it has."""

    lie: str = ""
    """What is wrong with its answers: `hash`, `plan`, `empty`, `order`, `refuses`, `silent`."""

    stays_ms: int | None = None
    """It hangs up after so long."""


HONEST = Manner("honest")
MANNERS = {
    manner.name: manner
    for manner in [
        HONEST,
        Manner("far away", latency_ms=900),
        Manner("boasting", is_honest=False, claim=10_000),
        Manner("boasting and silent", is_honest=False, claim=10_000, lie="silent"),
        Manner("wrong hashes", is_honest=False, lie="hash"),
        Manner("wrong order", is_honest=False, lie="order"),
        Manner("plans of nothing", is_honest=False, lie="plan", claim=500),
        Manner("nothing to show", is_honest=False, lie="empty", claim=500),
        Manner("has never what is asked", is_honest=False, lie="refuses", claim=500),
        Manner("silent", is_honest=False, lie="silent"),
        Manner("a trickle", is_honest=False, rate=500),
        Manner("a block at a time", is_honest=False, most=1, latency_ms=1_500),
        Manner("leaves at once", stays_ms=60),
        Manner("leaves soon", stays_ms=700),
    ]
}


@dataclass(eq=False)
class Member:
    """A peer of the swarm."""

    peer: NativePeer
    manner: Manner
    free_ms: int
    """When its line is free again."""

    gone: bool = False
    waiting: list[GetHeaders] = field(default_factory=list)
    """What it was asked and has not answered."""


class Swarm:
    """One node, its peers, and what is under way between them."""

    def __init__(self, node: Player, seed: int) -> None:
        self.node = node
        self.random = random.Random(seed)  # noqa: S311 - repeatable
        self.members: dict[int, Member] = {}
        self.blamed: list[tuple[Manner, str]] = []
        self.most_waiting_bytes = self.most_batches = 0
        self._order = count()
        self._comes_again: list[tuple[int, Member]] = []
        self._events: list[tuple[int, int, Input]] = []

    def joins(self, manner: Manner, chain: Sequence[Block]) -> Member:
        """A peer that has this chain comes in."""
        tip = chain[-1]
        claimed = tip.index + manner.claim
        name = f"{manner.name} {len(self.members)}"
        peer = NativePeer(self.node, name, chain, remote=f"127.0.0.1:{2_000 + len(self.members)}")
        hello = peer.hello
        if manner.claim:
            point = Point(claimed, bytes(32))
            peer.hello = msgspec.structs.replace(hello, tip=type(hello.tip)(point, claimed.to_bytes(32, "big")))
            peer.handshake._mine, peer.handshake._mine_frame = peer.hello, codec.encode(peer.hello)
        member = self.members[peer.number] = Member(peer, manner, self.node.mono_ms)
        peer.joins()
        asked, peer.inbox = peer.inbox, []
        for message in asked:
            self._hears(member, message)
        if manner.stays_ms is not None:
            self._at(self.node.mono_ms + manner.stays_ms, PeerClosed(peer.number, "left"))
        return member

    def run(self, ms: int) -> None:
        """Let time pass. Honest peers that were hung up on come again, as the node would dial them again."""
        end = self.node.mono_ms + ms
        while True:
            while self._comes_again and self._comes_again[0][0] <= self.node.mono_ms:
                _, member = self._comes_again.pop(0)
                self.joins(member.manner, member.peer.chain)
            wake = self.node.wake_at_ms()
            next_ms = min(self._events[0][0] if self._events else end + 1, end + 1 if wake is None else wake)
            if next_ms > end:
                break
            if self._events and self._events[0][0] <= next_ms:
                self.node.mono_ms = max(self.node.mono_ms, self._events[0][0])
                self._happens(heapq.heappop(self._events)[2])
            else:
                self._note(self.node.wait(max(0, next_ms - self.node.mono_ms)))
        self.node.mono_ms = end

    # --- between them --------------------------------------------------------------------------

    def _at(self, when_ms: int, event: Input) -> None:
        heapq.heappush(self._events, (when_ms, next(self._order), event))

    def _happens(self, event: Input) -> None:
        assert isinstance(event, PeerSaid | PeerClosed | PeerProgressed)
        member = self.members[event.peer]
        if member.gone:
            return
        if isinstance(event, PeerClosed):
            member.gone = True
        elif member.peer.closed is not None:
            return
        elif isinstance(event, PeerSaid):
            message = codec.decode(event.message)
            if isinstance(message, Headers) or (isinstance(message, Part) and message.last):
                member.waiting.pop(0)
        self._note(self.node.tell(event))

    def _note(self, effects: Sequence[Effect]) -> None:
        sync = self.node.node._native.fetching.sync
        unfinished = sum(session.unfinished_bytes for _, session in self.node.node._peers.native())
        self.most_waiting_bytes = max(self.most_waiting_bytes, sync._waiting_bytes + unfinished)
        self.most_batches = max(self.most_batches, sum(bool(batch.blocks) for batch in sync._batches))
        for effect in effects:
            match effect:
                case Say(peers, frame):
                    message = codec.decode(frame)
                    for peer in peers:
                        if peer in self.members and message is not None:
                            self._hears(self.members[peer], message)
                case HangUp(peer, _, reason):
                    member = self.members[peer]
                    member.peer.closed = effect
                    self.blamed.append((member.manner, str(reason)))
                    self._at(self.node.mono_ms, PeerClosed(peer, "hung up on"))
                    if member.manner.is_honest and member.manner.stays_ms is None:
                        self._comes_again.append((self.node.mono_ms + COMES_AGAIN_MS, member))
                case Dial():
                    raise AssertionError("nobody is known to be dialled")
                case _:
                    pass

    def _hears(self, member: Member, message: Message) -> None:
        match message:
            case GetHeaders():
                member.waiting.append(message)
                assert len(member.waiting) <= self.node.limits.requests_in_flight, "asked for too much at a time"
                if member.manner.lie != "silent":
                    self._answers(member, message)
            case Ping():
                self._delivers(member, Pong(message.nonce))
            case GetBlocks() | GetAddrs():
                pass
            case _:
                pass

    def _answers(self, member: Member, request: GetHeaders) -> None:
        chain, manner = member.peer.chain, member.manner
        limits = self.node.limits
        most, size = 0, 0
        start = headers_of(chain, request, 0, 0).parent.index
        while (
            most < min(request.most, manner.most) and size < limits.reply_soft_bytes and start + most + 1 < len(chain)
        ):
            size += len(chain[start + most + 1].data)
            most += 1
        reply = self._twisted(headers_of(chain, request, most, limits.plan_batches), manner.lie, request)
        reply = msgspec.structs.replace(reply, id=request.id)
        self._delivers(member, reply)

    def _twisted(self, reply: Headers, lie: str, request: GetHeaders) -> Headers:
        change = msgspec.structs.replace
        match lie:
            case "hash" if reply.blocks and reply.parent.index >= 20:
                at = self.random.randrange(len(reply.blocks))
                wrong = change(bodies_of(reply)[at], data="forged")
                return change(reply, blocks=(*reply.blocks[:at], wrong, *reply.blocks[at + 1 :]))
            case "order" if len(reply.blocks) > 1:
                return change(reply, blocks=reply.blocks[::-1])
            case "plan" if request.plan:
                return change(reply, plan=tuple(self.random.randbytes(32) for _ in range(4)))
            case "empty":
                return change(reply, blocks=(), plan=())
            case "refuses" if request.stop is not None:
                return change(reply, blocks=(), plan=(), parent=Point(0, bytes.fromhex(GENESIS.hash)))
        return reply

    def _delivers(self, member: Member, message: Message) -> None:
        """After the latency, and as fast as its line is; progress is told on the way."""
        frames = [codec.encode(message)]
        if isinstance(message, Headers):
            frames = list(codec.in_parts(message, self.node.limits.part_bytes))
        for frame in frames:
            begins = max(member.free_ms, self.node.mono_ms + member.manner.latency_ms)
            ends = begins + len(frame) * 1_000 // member.manner.rate
            for at in range(begins + PROGRESS_MS, min(ends, begins + 3_600_000), 1_000):
                part = len(frame) * (at - begins) // (ends - begins)
                self._at(at, PeerProgressed(member.peer.number, part))
            self._at(ends, PeerSaid(member.peer.number, frame))
            member.free_ms = ends
