"""Our sockets and those of a node of the book, as it was written: `tests/book_node.py` in a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from tallystick.model.limits import MIB
from tallystick.model.network import CLASSIC_GENESIS
from tallystick.node.effects import Say, SayChain
from tallystick.node.inputs import ChainSaid, PeerClosed, PeerOpened, PeerSaid
from tallystick.wire import classic

from .loopback import ListReader, Scene, blocks_after, node, patience

BOOK_NODE = Path(__file__).parents[1] / "book_node.py"


@asynccontextmanager
async def book_node(peers: str = "") -> AsyncIterator[int]:
    """Runs one; yields its port."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        BOOK_NODE,
        env={**os.environ, "PORT": "0", "PEERS": peers},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        while not (line := await patience(process.stdout.readline())).startswith(b"listening on "):
            assert line, "the book's node did not start"
        yield int(line.split()[-1])
    finally:
        process.kill()
        await process.communicate()


async def mine(port: int, data: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(f"http://127.0.0.1:{port}/mineBlock", json={"data": data})
        assert answer.status_code == 200


def test_we_dial_a_node_of_the_book(run: Scene) -> None:
    async def scene() -> None:
        async with book_node() as port, node() as here:
            peer = (await here.dials(f"ws://127.0.0.1:{port}")).peer
            await here.ledger.until(PeerSaid)
            here.hub.perform(Say([peer], classic.QUERY_LATEST))
            await here.ledger.until(PeerSaid, 2)
            await mine(port, "from the book")
            await here.ledger.until(PeerSaid, 3)
            asked, genesis, mined = here.ledger.said()
            assert asked == classic.QUERY_LATEST
            assert genesis == classic.response([CLASSIC_GENESIS])
            assert json.loads(json.loads(mined)["data"])[0]["data"] == "from the book"

    run(scene)


def test_a_node_of_the_book_dials_us_and_takes_our_chain(run: Scene) -> None:
    """Two thousand blocks go out in many fragments; to the book's node that is one message."""
    reader = ListReader([CLASSIC_GENESIS, *blocks_after(CLASSIC_GENESIS, 2_000)])

    async def scene() -> None:
        async with node(reader=reader) as here, book_node(here.address):
            [opened] = await here.ledger.until(PeerOpened)
            here.hub.perform(Say([opened.peer], classic.response(reader.blocks[-1:])))
            await here.ledger.until(PeerSaid, where=lambda said: said.message == classic.QUERY_ALL)
            here.hub.perform(SayChain(opened.peer))
            took = classic.response(reader.blocks[-1:])
            await here.ledger.until(PeerSaid, where=lambda said: said.message == took)

    run(scene)


def test_a_node_of_the_book_hangs_up_on_a_chain_over_its_limit(run: Scene) -> None:
    """Its limit is 1 MiB. That costs the connection, and nothing on our side breaks."""
    reader = ListReader([CLASSIC_GENESIS, *blocks_after(CLASSIC_GENESIS, 6_000)])
    assert len(classic.response(reader.blocks)) > MIB

    async def scene() -> None:
        async with node(reader=reader) as here, book_node(here.address) as port:
            [opened] = await here.ledger.until(PeerOpened)
            here.hub.perform(SayChain(opened.peer))
            closed = await here.closed()
            assert "1009" in closed.reason
            assert closed.rule is None
            assert len([event for event in here.ledger.inputs if isinstance(event, ChainSaid)]) <= 1
            again = await here.dials(f"ws://127.0.0.1:{port}")
            here.hub.perform(Say([opened.peer, again.peer], classic.QUERY_LATEST))
            await here.ledger.until(PeerSaid, where=lambda said: said.peer == again.peer)
            assert len([event for event in here.ledger.inputs if isinstance(event, PeerClosed)]) == 1

    run(scene)
