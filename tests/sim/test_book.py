"""The simulator's imitation of the book's node does what the one does that shares no code with this project."""

from __future__ import annotations

import json
import random
from collections.abc import Coroutine
from typing import Any

import pytest

from tallystick.consensus.classic import ClassicEngine
from tallystick.model.block import Block, header_of
from tallystick.model.network import CLASSIC
from tallystick.model.network import CLASSIC_GENESIS as GENESIS
from tallystick.node.effects import Say
from tallystick.node.inputs import Now, PeerClosed, PeerOpened, PeerSaid, Post
from tallystick.sim.book import Book
from tallystick.sim.clock import WALL_MS
from tallystick.wire import classic
from tests.book_node import QUERY_ALL, QUERY_LATEST, RESPONSE_BLOCKCHAIN, BookNode

ENGINE = ClassicEngine(CLASSIC)


class Socket:
    """Where the other one thinks it sends."""

    def __init__(self, peer: int, sent: list[tuple[int, str]]) -> None:
        self.peer = peer
        self.sent = sent

    async def send(self, text: str) -> None:
        self.sent.append((self.peer, text))


class Twins:
    """Both, told the same."""

    def __init__(self, *, timestamps_as_text: bool) -> None:
        self.now = Now(WALL_MS, 0)
        self.book = Book(timestamps_as_text=timestamps_as_text)
        self.book.start(self.now)
        self.other = BookNode([], timestamps_as_text=timestamps_as_text)
        self.other.clock = lambda: self.now.wall_ms / 1000
        self.sent: list[tuple[int, str]] = []
        self.sockets: dict[int, Socket] = {}

    def happens(self, event: PeerOpened | PeerClosed | PeerSaid | Post) -> None:
        said = [
            (peer, say.message.decode())
            for say in self.book.step(event, self.now)
            if isinstance(say, Say)
            for peer in say.peers
        ]
        self.sent.clear()
        match event:
            case PeerOpened(peer):
                self.sockets[peer] = Socket(peer, self.sent)
                self.other.sockets.append(self.sockets[peer])
                run(self.sockets[peer].send(json.dumps({"type": QUERY_LATEST})))
            case PeerClosed(peer):
                self.other.sockets.remove(self.sockets.pop(peer))
            case PeerSaid(peer, text):
                message = json.loads(text)
                answer = {
                    QUERY_LATEST: self.other.send_latest,
                    QUERY_ALL: self.other.send_chain,
                    RESPONSE_BLOCKCHAIN: self.other.receive,
                }[message["type"]]
                run(answer(self.sockets[peer], message))
            case Post(_, data):
                self.other.mine(data)
                run(self.other.broadcast(self.other.latest()))
        assert said == self.sent
        assert [block.hash for block in self.book.chain()] == [block["hash"] for block in self.other.chain]


def run(work: Coroutine[Any, Any, None]) -> None:
    """To its end, at once: it waits for nothing but sockets."""
    with pytest.raises(StopIteration):
        work.send(None)


def a_message(chance: random.Random, chain: list[Block]) -> bytes:
    """Something that a peer may say, whose chain this is; it may grow."""
    for _ in range(chance.randrange(3)):
        chain.append(ENGINE.seal(header_of(chain[-1]), f"theirs {chance.random()}", WALL_MS))
    shuffled = chance.sample(chain, len(chain))
    return chance.choice(
        [classic.QUERY_LATEST, classic.QUERY_ALL, classic.response(chain[-1:]), classic.response(shuffled)]
    )


@pytest.mark.parametrize("seed", range(20))
def test_both_say_the_same_to_everybody_whatever_happens(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - repeatable
    twins = Twins(timestamps_as_text=seed % 2 == 1)
    chains = {peer: [GENESIS] for peer in (1, 2, 3)}
    for number in range(60):
        peer = chance.choice(list(chains))
        if peer not in twins.sockets:
            twins.happens(PeerOpened(peer, "10.0.0.1:1", None))
        elif chance.random() < 0.1:
            twins.happens(PeerClosed(peer, "gone"))
        elif chance.random() < 0.2:
            twins.happens(Post(number, f"ours {number}"))
        else:
            twins.happens(PeerSaid(peer, a_message(chance, chains[peer])))
        twins.now = Now(twins.now.wall_ms + chance.randrange(2_000), 0)


def test_it_forgets_everything_when_it_dies() -> None:
    book = Book()
    book.step(Post(1, "a"), Now(WALL_MS, 0))
    assert book.texts() == [GENESIS.data, "a"]
    book.start(Now(WALL_MS, 0))
    assert book.texts() == [GENESIS.data]
