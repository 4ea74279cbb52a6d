"""An imitation of the book's node, for tests: `PORT=3001 PEERS=ws://HOST:PORT,... python tests/book_node.py`.

It behaves as the node of *Foundations of Blockchain*, chapter 4, is described to behave, with its
weaknesses, and shares no code with the package it tests:

* a block that names our tip as its parent is appended without a look at its hash;
* a received chain is sorted by index, whatever is in it, and replaces ours when longer and valid;
* a message of an unknown type, or no JSON at all, escapes as an exception and leaves the socket in the list;
* a broadcast sends to one socket after the other and stops at the first dead one;
* of the configured peers only the first is ever dialled, because talking to it never ends;
* a message over 1 MiB, the WebSocket library's default, ends the connection;
* QUERY_ALL goes to every peer.

It prints `listening on PORT` when it is ready; PORT=0 takes any free one. `BOOK_TIMESTAMPS=text` makes
it write timestamps as strings, as its predecessor pynaivechain does.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket as sockets
import time
from collections.abc import Mapping
from hashlib import sha256
from itertools import pairwise
from typing import Any

import websockets
from sanic import HTTPResponse, Request, Sanic, Websocket
from sanic import json as json_response
from sanic.exceptions import WebsocketClosed

QUERY_LATEST, QUERY_ALL, RESPONSE_BLOCKCHAIN = range(3)

Block = dict[str, Any]

GENESIS: Block = {
    "data": "my genesis block!!",
    "hash": "816534932c2b7154836da6afc367695e6337db8a921823784c14378abed4f7d7",
    "index": 0,
    "previous_hash": "0",
    "timestamp": 1465154705,
}


def hash_of(block: Mapping[str, Any]) -> str:
    preimage = str(block["index"]) + block["previous_hash"] + str(block["timestamp"]) + block["data"]
    return sha256(preimage.encode()).hexdigest()


def follows(block: Mapping[str, Any], previous: Mapping[str, Any]) -> bool:
    return bool(
        block["index"] == previous["index"] + 1
        and block["previous_hash"] == previous["hash"]
        and block["hash"] == hash_of(block)
    )


class BookNode:
    def __init__(self, peers: list[str], *, timestamps_as_text: bool) -> None:
        self.chain = [GENESIS]
        self.sockets: list[Any] = []
        self.peers = peers
        self.timestamps_as_text = timestamps_as_text
        self.clock = time.time

    # --- the chain ---

    def mine(self, data: str) -> Block:
        tip = self.chain[-1]
        now = int(self.clock())
        block: Block = {
            "data": data,
            "hash": "",
            "index": tip["index"] + 1,
            "previous_hash": tip["hash"],
            "timestamp": str(now) if self.timestamps_as_text else now,
        }
        block["hash"] = hash_of(block)
        self.chain.append(block)
        return block

    def is_valid(self, chain: list[Block]) -> bool:
        if hash_of(chain[0]) != GENESIS["hash"]:
            return False
        return all(follows(block, previous) for previous, block in pairwise(chain))

    # --- talking to peers ---

    def latest(self) -> str:
        return self.response(self.chain[-1:])

    def response(self, blocks: list[Block]) -> str:
        return json.dumps({"type": RESPONSE_BLOCKCHAIN, "data": json.dumps(blocks)})

    async def broadcast(self, text: str) -> None:
        for socket in self.sockets:
            await socket.send(text)

    async def converse(self, socket: Any) -> None:  # noqa: ANN401 - of Sanic when they dialled, of websockets when we did
        self.sockets.append(socket)
        await socket.send(json.dumps({"type": QUERY_LATEST}))
        while True:
            message = json.loads(await socket.recv())
            await {
                QUERY_LATEST: self.send_latest,
                QUERY_ALL: self.send_chain,
                RESPONSE_BLOCKCHAIN: self.receive,
            }[message["type"]](socket, message)

    async def send_latest(self, socket: Any, _message: Block) -> None:  # noqa: ANN401 - as above
        await socket.send(self.latest())

    async def send_chain(self, socket: Any, _message: Block) -> None:  # noqa: ANN401 - as above
        await socket.send(self.response(self.chain))

    async def receive(self, _socket: Any, message: Block) -> None:  # noqa: ANN401 - as above
        blocks = sorted(json.loads(message["data"]), key=lambda block: block["index"])
        theirs, ours = blocks[-1], self.chain[-1]
        if theirs["index"] <= ours["index"]:
            return
        if theirs["previous_hash"] == ours["hash"]:
            self.chain.append({key: theirs[key] for key in GENESIS})
            await self.broadcast(self.latest())
        elif len(blocks) == 1:
            await self.broadcast(json.dumps({"type": QUERY_ALL}))
        elif self.is_valid(blocks) and len(blocks) > len(self.chain):
            self.chain = [{key: block[key] for key in GENESIS} for block in blocks]
            await self.broadcast(self.latest())

    async def dial(self, peers: list[str]) -> None:
        for peer in peers:
            try:
                await self.converse(await websockets.connect(peer, proxy=None))
            except Exception as error:  # noqa: BLE001 - the book's node carries on after anything
                print(f"{peer}: {error!r}", flush=True)  # noqa: T201 - a program, not a test

    # --- the REST interface, and the peers' door on the same port ---

    async def blocks(self, _request: Request) -> HTTPResponse:
        return json_response(self.chain)

    async def mine_block(self, request: Request) -> HTTPResponse:
        try:
            block = self.mine(request.json["data"])
        except KeyError:
            return json_response({"status": False, "message": "pass value in data key"})
        await self.broadcast(self.latest())
        return json_response(block)

    async def list_peers(self, _request: Request) -> HTTPResponse:
        return json_response([self.address_of(socket) for socket in self.sockets])

    async def add_peer(self, request: Request) -> HTTPResponse:
        request.app.add_task(self.dial([request.json["peer"]]))
        return json_response({"status": True})

    async def accept(self, _request: Request, socket: Websocket) -> None:
        try:
            await self.converse(socket)
        except (websockets.ConnectionClosed, WebsocketClosed, asyncio.CancelledError):  # today's Sanic says all three
            self.sockets.remove(socket)

    @staticmethod
    def address_of(socket: Any) -> str:  # noqa: ANN401 - as above
        transport = socket.io_proto.transport if hasattr(socket, "io_proto") else socket.transport
        host, port = transport.get_extra_info("peername")[:2]
        return f"{host}:{port}"


def serve(port: int, peers: list[str], *, timestamps_as_text: bool) -> None:
    node = BookNode(peers, timestamps_as_text=timestamps_as_text)
    app = Sanic("book", configure_logging=False)
    app.config.MOTD = False
    app.add_route(node.blocks, "/blocks", methods=["GET"])
    app.add_route(node.mine_block, "/mineBlock", methods=["POST"])
    app.add_route(node.list_peers, "/peers", methods=["GET"])
    app.add_route(node.add_peer, "/addPeer", methods=["POST"])
    app.add_websocket_route(node.accept, "/")
    app.add_task(node.dial(peers))
    listening = sockets.create_server(("127.0.0.1", port))

    @app.after_server_start
    async def ready(_app: Sanic[Any, Any]) -> None:
        print(f"listening on {listening.getsockname()[1]}", flush=True)  # noqa: T201 - whoever started us waits for it

    app.run(sock=listening, single_process=True, access_log=False)


if __name__ == "__main__":
    serve(
        int(os.environ.get("PORT", "3001")),
        [peer for peer in os.environ.get("PEERS", "").split(",") if peer],
        timestamps_as_text=os.environ.get("BOOK_TIMESTAMPS") == "text",
    )
