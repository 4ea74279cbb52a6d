"""`GET /events` on a served node: the right bytes at the right time, for everybody who follows."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest

from tallystick.api.feed import now
from tallystick.chain.writes import AddSide
from tallystick.errors import StoreError
from tallystick.model.limits import LIMITS
from tallystick.model.sealed import SealedBlock
from tallystick.node.ports import PeerStatus
from tests.api.fake_ledger import block_on
from tests.api.sealed_node import SealedNode, sealed_node
from tests.api.serving import run, serving, until
from tests.storage.kit import switch
from tests.storage.sealed_blocks import branch

QUICK = replace(LIMITS, events_every_ms=1)
TYPES = ["application/json", "text/event-stream"]


@dataclass
class Told:
    kind: str
    id: str
    data: dict[str, Any]


class Following:
    """A client that reads events."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self._lines = answer.aiter_lines()
        self.beats = 0
        self.begins = ""

    async def event(self) -> Told:
        fields: dict[str, str] = {}
        async for line in self._lines:
            name, _, value = line.partition(": ")
            if line == ":":
                self.beats += 1
            elif line:
                fields[name] = value
            elif "data" in fields:
                return Told(fields["event"], fields.get("id", ""), json.loads(fields["data"]))
            else:
                self.begins = fields.pop("id", self.begins)
        raise EOFError

    async def some(self, number: int) -> Sequence[Told]:
        return [await self.event() for _ in range(number)]


@contextlib.asynccontextmanager
async def following(client: httpx.AsyncClient, query: str = "", last: str = "") -> AsyncIterator[Following]:
    headers = {"Last-Event-ID": last} if last else {}
    async with client.stream("GET", f"/events{query}", headers=headers) as answer:
        assert answer.status_code == 200, await answer.aread()
        yield Following(answer)


async def posts(node: SealedNode, *ids: str) -> None:
    answer = await node.post(json.dumps([{"data": 1, "id": id} for id in ids]))
    assert answer.status_code == 202


def said(events: Sequence[Told]) -> list[tuple[str, ...]]:
    """What matters of them."""
    return [
        (event.kind, event.data["id"], event.data["status"]) if event.kind == "record" else (event.kind,)
        for event in events
    ]


def test_a_record_is_followed_from_its_post_into_its_block() -> None:
    async def story() -> None:
        async with sealed_node(QUICK) as node, following(node.client) as follower:
            assert follower.answer.headers["content-type"] == "text/event-stream"
            assert follower.answer.headers["cache-control"] == "no-store"
            await posts(node, "a", "b")
            assert said(await follower.some(2)) == [("record", "a", "pending"), ("record", "b", "pending")]
            await node.seal()
            block, a, b = await follower.some(3)
            assert said([block, a, b]) == [("block",), ("record", "a", "included"), ("record", "b", "included")]
            assert block.data["records"] == 2
            assert a.data["block"]["hash"] == block.data["hash"] == node.reader.tip().hash
            assert (a.data["position"], b.data["position"]) == (0, 1)

    run(story())


def test_whoever_comes_back_goes_on_where_it_was() -> None:
    async def story() -> None:
        async with sealed_node(QUICK) as node:
            async with following(node.client, "?from=0") as follower:
                assert said(await follower.some(1)) == [("block",)]
                await posts(node, "a", "b")
                last = (await follower.some(1))[0].id
            await node.seal()
            await posts(node, "c")
            seen = []
            for _ in range(5):  # a new connection for each event
                async with following(node.client, last=last) as follower:
                    event = await follower.event()
                    seen.append(event)
                    last = event.id
            assert said(seen) == [
                ("record", "b", "pending"),
                ("record", "c", "pending"),
                ("block",),
                ("record", "a", "included"),
                ("record", "b", "included"),
            ]
            assert last == str(now(node.reader))

    run(story())


def test_a_reorg_is_told_backwards_and_forwards() -> None:
    async def story() -> None:
        async with sealed_node(QUICK) as node, following(node.client) as follower:
            genesis = node.reader.block(0)
            assert isinstance(genesis, SealedBlock)
            await posts(node, "a")
            await node.seal()
            left = node.reader.block(1)
            assert left is not None
            await follower.some(3)
            others = branch(genesis, [], [], variant=7)
            node.store.begin()
            node.store.apply(AddSide(others))
            node.store.apply(switch(left, genesis, others[-1]))
            node.store.commit()
            await posts(node, "b")  # so that something happens
            reorg, *rest = await follower.some(5)
            assert reorg.kind == "reorg"
            assert reorg.data["fork"]["hash"] == genesis.hash
            assert [each["hash"] for each in reorg.data["removed"]] == [left.hash]
            assert said(rest) == [("record", "a", "pending"), ("record", "b", "pending"), ("block",), ("block",)]

    run(story())


def test_only_what_is_asked_for_is_told() -> None:
    async def story() -> None:
        async with sealed_node(QUICK) as node, following(node.client, "?types=block") as follower:
            await posts(node, "a")
            await node.seal()
            await posts(node, "b")
            await node.seal()
            assert [(event.kind, event.data["index"]) for event in await follower.some(2)] == [
                ("block", 1),
                ("block", 2),
            ]

    run(story())


def test_peers_that_are_there_come_first_and_then_whoever_comes_and_goes() -> None:
    def peer(number: int) -> PeerStatus:
        return PeerStatus(f"10.0.0.{number}:3001", None, "connected", 0, None, None, None, "tallystick.1", peer=number)

    async def story() -> None:
        async with serving(QUICK) as node:
            ledger = node.ledger

            def connected(*numbers: int) -> None:
                ledger.open_connections = [f"10.0.0.{number}:3001" for number in numbers]
                ledger.peer_statuses = [peer(number) for number in numbers]
                ledger.batches += 1

            connected(1)
            async with following(node.client, "?types=peer") as follower:
                first = await follower.event()
                assert first.id == ""
                assert first.data == {
                    "address": "10.0.0.1:3001", "dialled": None, "dialect": "tallystick.1", "state": "connected"
                }  # fmt: skip
                connected(1, 2)
                assert (await follower.event()).data["address"] == "10.0.0.2:3001"
                connected(2)
                gone = await follower.event()
                assert (gone.data["address"], gone.data["state"]) == ("10.0.0.1:3001", "gone")

    run(story())


def test_texts_of_the_classic_dialect_are_told_as_blocks() -> None:
    async def story() -> None:
        async with serving(QUICK) as node, following(node.client) as follower:
            chain = node.ledger.reader.chain
            chain.append(block_on(chain[-1], "text"))
            node.ledger.batches += 1
            event = await follower.event()
            assert (event.kind, event.data["index"], event.data["records"]) == ("block", 1, None)

    run(story())


def test_who_leaves_before_the_first_event_misses_nothing() -> None:
    async def story() -> None:
        async with sealed_node(QUICK) as node:
            async with following(node.client) as follower:
                await posts(node, "a")
                await follower.some(1)
            async with following(node.client, last=follower.begins) as again:
                assert said(await again.some(1)) == [("record", "a", "pending")]

    run(story())


def test_where_nothing_happens_a_beat_goes_out() -> None:
    async def story() -> None:
        async with serving(replace(QUICK, event_beat_ms=20)) as node, following(node.client) as follower:
            reading = asyncio.ensure_future(follower.event())
            await until(lambda: follower.beats >= 2)
            node.ledger.reader.chain.append(block_on(node.ledger.reader.chain[-1], "text"))
            node.ledger.batches += 1
            assert (await reading).kind == "block"

    run(story())


@pytest.mark.parametrize(
    ("query", "last", "says"),
    [
        ("?types=block,blocks", "", "'blocks' is no type of event; known are: block, peer, record, reorg, reset"),
        ("?types=", "", "'' is no type of event"),
        ("?from=2", "", "from is 2; the last block is 0, so give 1 at most"),
        ("?from=-1", "", "give a number from 0"),
        ("?since=1", "", "'since' is unknown; known are: from, types"),
        ("", "12", "Last-Event-ID is '12'; send the id of an event, or none"),
    ],
)
def test_what_cannot_be_followed_is_refused(query: str, last: str, says: str) -> None:
    async def story() -> None:
        async with serving(QUICK) as node:
            answer = await node.client.get(f"/events{query}", headers={"Last-Event-ID": last} if last else {})
            assert answer.status_code == 400
            assert says in answer.json()["detail"]

    run(story())


def test_an_empty_id_is_none() -> None:
    async def story() -> None:
        async with serving(QUICK) as node:
            empty = {"Last-Event-ID": ""}
            assert (await node.client.head("/events?from=1", headers=empty)).status_code == 200
            assert (await node.client.head("/events?from=2", headers=empty)).status_code == 400

    run(story())


def test_so_many_follow_and_no_more() -> None:
    async def story() -> None:
        async with serving(replace(QUICK, event_streams=2)) as node:
            async with following(node.client), following(node.client):
                answer = await node.client.get("/events")
                assert answer.status_code == 503
                assert "retry-after" in answer.headers
            async with following(node.client) as follower:
                assert follower.answer.status_code == 200

    run(story())


def test_head_has_the_head_alone() -> None:
    async def story() -> None:
        async with serving(QUICK) as node:
            raw = await node.raw(b"HEAD /events HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            head, _, body = raw.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            assert b"text/event-stream" in head
            assert body == b""

    run(story())


def test_a_client_that_does_not_read_costs_nothing_but_its_connection() -> None:
    """Nothing is made for it while it does not read, and others are served."""

    async def story() -> None:
        async with serving(replace(QUICK, events_at_once=50)) as node:
            chain = node.ledger.reader.chain
            for number in range(20_000):
                chain.append(block_on(chain[-1], str(number)))
            reader, writer = await node.connect()
            writer.transport.pause_reading()  # type: ignore[attr-defined]  # asyncio's own
            writer.write(b"GET /events?from=0 HTTP/1.1\r\nhost: localhost\r\n\r\n")
            async with following(node.client, "?from=0&types=block") as follower:
                await follower.some(20_000)
            assert node.server.unread_bytes < 2**20
            writer.transport.resume_reading()  # type: ignore[attr-defined]
            heard = b""
            while b'"index":20000' not in heard[-400:]:
                heard += await reader.read(2**20)
            assert heard.count(b"event: block") == 20_001
            writer.close()

    run(story())


def test_a_node_that_stops_ends_the_stream() -> None:
    async def story() -> None:
        async with serving(QUICK) as node, following(node.client) as follower:
            await node.server.stop(1)
            with pytest.raises(EOFError):
                await follower.event()

    run(story())


def test_a_store_that_fails_ends_the_stream() -> None:
    async def story() -> None:
        async with serving(QUICK) as node, following(node.client) as follower:
            node.ledger.reader.fails_with = StoreError("the disk is gone")
            node.ledger.batches += 1
            with pytest.raises(EOFError):
                await follower.event()

    run(story())
