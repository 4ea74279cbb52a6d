"""The book's node as one of many: it checks nothing it need not, asks for everything, and forgets all when it dies.

It behaves as the node of *Foundations of Blockchain*, chapter 4, with its weaknesses: a block that names its tip as the
parent is appended unseen, a received chain is sorted by index and replaces its own when it is longer and valid, a
question for the whole chain goes to every peer, and so does every latest block. It is dialled and dials nobody.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256
from itertools import pairwise
from typing import Any, Final

import msgspec

from tallystick.model.block import Block
from tallystick.model.network import CLASSIC_GENESIS
from tallystick.node.effects import Effect, Reply, Say
from tallystick.node.inputs import Input, Now, PeerClosed, PeerOpened, PeerSaid, Post
from tallystick.sim.resident import Resident
from tallystick.wire.dialect import Dialect

QUERY_LATEST, QUERY_ALL, RESPONSE = range(3)
KEYS: Final = ("data", "hash", "index", "previous_hash", "timestamp")
"""Of a block, in the order in which the book's node writes them."""

GENESIS: Final = {key: getattr(CLASSIC_GENESIS, key) for key in KEYS}

Row = dict[str, Any]
"""A block, as JSON has it."""


class Book(Resident):
    """A node of the book. What is posted there is promised to nobody."""

    dialects = frozenset({Dialect.CLASSIC})

    def __init__(self, *, timestamps_as_text: bool = False) -> None:
        """`timestamps_as_text` is what its predecessor pynaivechain does."""
        self._timestamps_as_text = timestamps_as_text
        self._peers: list[int] = []
        self._rows = [GENESIS]

    def start(self, now: Now) -> None:
        self._peers = []
        self._rows = [GENESIS]

    def step(self, event: Input, now: Now) -> Sequence[Effect]:
        match event:
            case PeerOpened(peer):
                self._peers.append(peer)
                return [Say([peer], _message(QUERY_LATEST))]
            case PeerClosed(peer) if peer in self._peers:
                self._peers.remove(peer)
            case PeerSaid(peer, text) if peer in self._peers:
                return self._hears(peer, json.loads(text))
            case Post(ticket, data):
                self._mine(data, now)
                return [*self._broadcast(self._latest()), Reply(ticket, self.chain()[-1])]
        return []

    def chain(self) -> list[Block]:
        """Its chain, read as ours."""
        return [msgspec.convert(row | {"timestamp": int(row["timestamp"])}, Block) for row in self._rows]

    def texts(self) -> list[str]:
        """What its blocks hold."""
        return [row["data"] for row in self._rows]

    def _mine(self, data: str, now: Now) -> None:
        tip, seconds = self._rows[-1], now.wall_ms // 1_000
        row = {
            "data": data,
            "hash": "",
            "index": tip["index"] + 1,
            "previous_hash": tip["hash"],
            "timestamp": str(seconds) if self._timestamps_as_text else seconds,
        }
        self._rows.append(row | {"hash": _hash_of(row)})

    def _hears(self, peer: int, message: Row) -> Sequence[Effect]:
        match message["type"]:
            case 0:
                return [Say([peer], self._latest())]
            case 1:
                return [Say([peer], _response(self._rows))]
            case 2:
                return self._takes(json.loads(message["data"]))
        return []

    def _takes(self, rows: list[Row]) -> Sequence[Effect]:
        rows.sort(key=lambda row: row["index"])
        theirs, ours = rows[-1], self._rows[-1]
        if theirs["index"] <= ours["index"]:
            return []
        if theirs["previous_hash"] == ours["hash"]:
            self._rows.append({key: theirs[key] for key in KEYS})
            return self._broadcast(self._latest())
        if len(rows) == 1:
            return self._broadcast(_message(QUERY_ALL))
        if len(rows) > len(self._rows) and _is_valid(rows):
            self._rows = [{key: row[key] for key in KEYS} for row in rows]
            return self._broadcast(self._latest())
        return []

    def _latest(self) -> bytes:
        return _response(self._rows[-1:])

    def _broadcast(self, message: bytes) -> list[Effect]:
        return [Say([peer], message) for peer in self._peers]


def _message(type: int) -> bytes:
    return json.dumps({"type": type}).encode()


def _response(rows: Sequence[Row]) -> bytes:
    return json.dumps({"type": RESPONSE, "data": json.dumps(rows)}).encode()


def _hash_of(row: Row) -> str:
    return sha256(f"{row['index']}{row['previous_hash']}{row['timestamp']}{row['data']}".encode()).hexdigest()


def _is_valid(rows: Sequence[Row]) -> bool:
    return _hash_of(rows[0]) == GENESIS["hash"] and all(
        row["index"] == before["index"] + 1 and row["previous_hash"] == before["hash"] and row["hash"] == _hash_of(row)
        for before, row in pairwise(rows)
    )
