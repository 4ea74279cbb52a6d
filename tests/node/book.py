"""The imitation of the book's node as one of many nodes in one process, without sockets.

What it does is `tests.book_node`'s business; here its coroutines, which wait for nothing but sockets, are run
to their end, and what they send becomes effects. It is dialled and never dials, and forgets all when it dies.
"""

from __future__ import annotations

import json
from collections.abc import Coroutine
from typing import Any

import msgspec

from tallystick.model.block import Block
from tallystick.node.effects import Effect, Say
from tallystick.node.inputs import Input, PeerClosed, PeerOpened, PeerSaid, Post
from tests.book_node import QUERY_ALL, QUERY_LATEST, RESPONSE_BLOCKCHAIN, BookNode
from tests.node.player import WALL_MS


class Socket:
    """Where the book's node thinks it sends."""

    def __init__(self, peer: int, sent: list[Effect]) -> None:
        self.peer = peer
        self.sent = sent

    async def send(self, text: str) -> None:
        self.sent.append(Say([self.peer], text.encode()))


class BookPlayer:
    """A node of the book, told of events like a `Player`."""

    def __init__(self, *, timestamps_as_text: bool) -> None:
        self.timestamps_as_text = timestamps_as_text
        self.mono_ms = 0
        self.restart()

    def restart(self) -> None:
        self.book = BookNode([], timestamps_as_text=self.timestamps_as_text)
        self.book.clock = lambda: (WALL_MS + self.mono_ms) / 1000
        self.sockets: dict[int, Socket] = {}
        self.sent: list[Effect] = []

    def tell(self, event: Input) -> list[Effect]:
        self.sent.clear()
        match event:
            case PeerOpened(peer):
                self.sockets[peer] = Socket(peer, self.sent)
                self.book.sockets.append(self.sockets[peer])
                run(self.sockets[peer].send(json.dumps({"type": QUERY_LATEST})))
            case PeerClosed(peer) if peer in self.sockets:
                self.book.sockets.remove(self.sockets.pop(peer))
            case PeerSaid(peer, text) if peer in self.sockets:
                message = json.loads(text)
                answer = {
                    QUERY_LATEST: self.book.send_latest,
                    QUERY_ALL: self.book.send_chain,
                    RESPONSE_BLOCKCHAIN: self.book.receive,
                }[message["type"]]
                run(answer(self.sockets[peer], message))
            case Post(_, data):
                self.book.mine(data)
                run(self.book.broadcast(self.book.latest()))
            case _:
                pass
        return list(self.sent)

    def wake_at_ms(self) -> None:
        """It has no timers."""

    def chain(self) -> list[Block]:
        return [msgspec.convert(block | {"timestamp": int(block["timestamp"])}, Block) for block in self.book.chain]

    def data(self) -> list[str]:
        return [block.data for block in self.chain()]


def run(work: Coroutine[Any, Any, None]) -> None:
    """To its end, at once."""
    try:
        work.send(None)
    except StopIteration:
        return
    raise AssertionError("the book's node waits for something")
