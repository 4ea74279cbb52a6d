"""Scripted native peers of a `Player`: each has a key of its own, and lies only when it is told to."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import count
from typing import TypeVar

import msgspec

from tallystick.consensus.classic import ClassicEngine
from tallystick.errors import Rule
from tallystick.model.block import Block, Body
from tallystick.model.limits import Limits
from tallystick.model.network import CLASSIC
from tallystick.model.network import CLASSIC_GENESIS as GENESIS
from tallystick.node.effects import Effect, HangUp, Say
from tallystick.node.inputs import PeerClosed, PeerOpened, PeerSaid, Post
from tallystick.wire.dialect import Dialect
from tallystick.wire.identity import KEY_BYTES, Ed25519Identity, Identity
from tallystick.wire.native import codec
from tallystick.wire.native.handshake import Handshake, Side
from tallystick.wire.native.messages import (
    WEIGHT_BYTES,
    Announce,
    Blocks,
    GetBlocks,
    GetHeaders,
    Headers,
    Hello,
    Message,
    Ping,
    Point,
    Pong,
    Push,
    Tip,
)
from tallystick.wire.reactions import Close
from tests.node.player import Player, grow

M = TypeVar("M", bound=Message)

body_of, whole_of = ClassicEngine(CLASSIC).body, ClassicEngine(CLASSIC).whole
"""A block as part of a run, and as one that stands alone."""

_numbers = count(1_000)

NOWHERE = bytes(32)
"""The hash of no block."""

ADDRESS = "ws://10.0.0.9:1"
"""Of a peer that we dial."""


def point(block: Block) -> Point:
    return Point(block.index, bytes.fromhex(block.hash))


def weight_of(block: Block) -> bytes:
    """What the branch that ends in a block weighs, as peers say it."""
    return block.index.to_bytes(WEIGHT_BYTES, "big")


def bodies_of(reply: Headers) -> list[Body]:
    """The blocks of an answer, all of which are classic ones."""
    bodies = [body for body in reply.blocks if isinstance(body, Body)]
    assert len(bodies) == len(reply.blocks)
    return bodies


def identity_of(name: str) -> Ed25519Identity:
    return Ed25519Identity(random.Random(name).randbytes(KEY_BYTES))  # noqa: S311 - repeatable


def hello_of(identity: Identity, tip: Block, number: int) -> Hello:
    """What a node with this key and this chain says first; nonce and challenge follow from the number."""
    chance = random.Random(number)  # noqa: S311 - repeatable
    return Hello(
        versions=(1, 1),
        network=bytes.fromhex(GENESIS.hash),
        key=identity.public,
        nonce=chance.randbytes(8),
        challenge=chance.randbytes(32),
        role=0,
        listen_port=0,
        agent="peer/1",
        tip=Tip(point(tip), weight_of(tip)),
        final=None,
        frame_bytes=4_194_304,
        requests=2,
    )


def headers_of(chain: Sequence[Block], request: GetHeaders, most: int, plan_batches: int) -> Headers:
    """What an honest node that has this chain answers, with `most` blocks at most."""
    shared = (at for at in request.locator if at.index < len(chain) and point(chain[at.index]) == at)
    start = next(shared, point(chain[0]))
    stop = request.stop
    if stop is not None and not (stop.index < len(chain) and point(chain[stop.index]) == stop):
        return Headers(request.id, start, (), ())
    end = start.index + 1 + min(request.most, most)
    run = chain[start.index + 1 : end if stop is None else min(end, stop.index + 1)]
    last = start.index + len(run)
    ends = chain[last + request.most :: request.most][:plan_batches]
    plan = tuple(bytes.fromhex(block.hash) for block in ends) if request.plan and run else ()
    return Headers(request.id, start, tuple(map(body_of, run)), plan)


class NativePeer:
    """One connection to a player, and the chain of whoever is at its other end."""

    def __init__(
        self,
        node: Player,
        name: str = "peer",
        chain: Sequence[Block] = (GENESIS,),
        *,
        remote: str | None = None,
        dialled: str | None = None,
        **hello: object,
    ) -> None:
        """Open a connection: they dial us, unless `dialled`. `hello` changes what the peer says first."""
        self.node = node
        self.number = next(_numbers)
        self.identity = identity_of(name)
        self.chain = list(chain)
        self.remote = remote or f"10.0.0.{self.number % 250}:{self.number}"
        self.inbox: list[Message] = []
        self.frames: list[bytes] = []
        self.closed: HangUp | None = None
        self.hello = self.says_first(**hello)
        side = Side.DIALLER if dialled is None else Side.ACCEPTOR
        self.handshake = Handshake(self.identity, side, self.hello, lambda _: None)
        self.reads(node.tell(PeerOpened(self.number, self.remote, dialled, Dialect.NATIVE)))

    @property
    def key(self) -> str:
        return self.identity.public.hex()

    def says_first(self, **changes: object) -> Hello:
        return msgspec.structs.replace(hello_of(self.identity, self.chain[-1], self.number), **changes)

    # --- moving frames -------------------------------------------------------------------------

    def reads(self, effects: Sequence[Effect]) -> None:
        """Note what the node said to us."""
        for effect in effects:
            if isinstance(effect, Say) and self.number in effect.peers:
                self.frames.append(effect.message)
                message = codec.decode(effect.message)
                assert message is not None
                self.inbox.append(message)
            elif isinstance(effect, HangUp) and effect.peer == self.number:
                assert self.closed is None, "it hung up twice"
                self.closed = effect

    def sends(self, *frames: bytes) -> None:
        for frame in frames:
            self.reads(self.node.tell(PeerSaid(self.number, frame)))

    def says(self, *messages: Message) -> None:
        self.sends(*map(codec.encode, messages))

    def waits(self, ms: int) -> None:
        self.reads(self.node.wait(ms))

    def hangs_up(self, reason: str = "gone") -> list[Effect]:
        return self.node.tell(PeerClosed(self.number, reason))

    def joins(self) -> NativePeer:
        """Do the whole handshake, as far as the node goes along."""
        self.sends(*self.handshake.begin())
        while self.frames and self.closed is None and not self.handshake.is_over:
            frame = self.frames.pop(0)
            self.inbox.pop(0)
            self.sends(*self.handshake.receive(codec.decode(frame), frame))
        self.frames.clear()
        return self

    # --- in short ------------------------------------------------------------------------------

    def takes(self, kind: type[M]) -> M:
        """The only message of this kind that came."""
        [message] = self.all(kind)
        self.inbox.remove(message)
        return message

    def all(self, kind: type[M]) -> list[M]:
        return [message for message in self.inbox if isinstance(message, kind)]

    def forgets(self) -> None:
        """What came until now is of no interest."""
        self.inbox.clear()

    def pushes(self, *blocks: Block) -> None:
        self.says(*(Push(whole_of(block), weight_of(block)) for block in blocks))

    def announces(self, *blocks: Block) -> None:
        self.says(Announce(tuple(map(point, blocks)), weight_of(blocks[-1])))

    # --- an honest node ------------------------------------------------------------------------

    def answer(self, request: Message, most: int | None = None) -> Message | None:
        """What an honest node that has our chain answers."""
        match request:
            case GetHeaders():
                return self.headers(request, most)
            case GetBlocks():
                found = [at.index < len(self.chain) and point(self.chain[at.index]) == at for at in request.points]
                blocks = [whole_of(self.chain[at.index]) for at, has in zip(request.points, found, strict=True) if has]
                return Blocks(request.id, tuple(blocks), tuple(n for n, has in enumerate(found) if not has))
            case Ping():
                return Pong(request.nonce)
        return None

    def headers(self, request: GetHeaders, most: int | None = None) -> Headers:
        return headers_of(self.chain, request, most or request.most, self.node.limits.plan_batches)

    def serves(self, most: int | None = None) -> None:
        """Answer every question honestly until there are no more."""
        while self.inbox and self.closed is None:
            answer = self.answer(self.inbox.pop(0), most)
            if answer is not None:
                self.says(answer)
            if not self.inbox:
                self.waits(0)


def serve(*peers: NativePeer) -> None:
    """All of these answer honestly, by turns, until nobody is asked any more."""
    while any(peer.inbox for peer in peers):
        for peer in peers:
            if peer.inbox and peer.closed is None:
                answer = peer.answer(peer.inbox.pop(0))
                if answer is not None:
                    told(peers, peer.node.tell(PeerSaid(peer.number, codec.encode(answer))))
            elif peer.closed is not None:
                peer.forgets()
        told(peers, peers[0].node.wait(0))


def told(peers: Sequence[NativePeer], effects: Sequence[Effect]) -> None:
    """Each of several peers reads what was said to it."""
    for peer in peers:
        peer.reads(effects)


# --- what tests ask of them --------------------------------------------------------------------------


def chain(length: int, name: str = "a", fork: Sequence[Block] = (GENESIS,)) -> list[Block]:
    """A chain of somebody else: genesis, or whatever it grows on, and so many blocks."""
    return [*fork, *grow(fork[-1], *(f"{name}{number}" for number in range(length)))]


def forged(block: Block) -> Block:
    """The same with other data: its hash does not fit."""
    return msgspec.structs.replace(block, data=block.data + "!")


def is_dropped(peer: NativePeer, rule: Rule, code: Close) -> bool:
    """It was hung up on, for this."""
    assert peer.closed is not None, "it is still connected"
    dropped = peer.node.node.status(peer.node.now, peer.node.store).dropped
    return (peer.closed.code, dropped[0]["rule"]) == (code, rule)


def is_remembered(peer: NativePeer) -> bool:
    """Neither its address nor its key may come back."""
    subjects = {each.subject for each in peer.node.node.banned(peer.node.now)}
    ip = peer.remote.rpartition(":")[0]
    assert peer.node.welcomes(ip, Dialect.NATIVE) == (ip not in subjects)
    return {ip, peer.key} <= subjects


def is_forgiven(peer: NativePeer) -> bool:
    return not peer.node.node.banned(peer.node.now)


def with_blocks(count: int, limits: Limits | None = None) -> tuple[Player, list[Block]]:
    """A node with so many posts of its own, and its chain."""
    node = Player(limits)
    node.tell(*(Post(number, f"ours {number}") for number in range(count)))
    return node, node.chain()
