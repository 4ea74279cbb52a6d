"""`GET /events`: what happens, as it happens (server-sent events, HTML standard section 9.2).

    id: 1072-0a4f...e1-all-on-20411
    event: block
    data: {"index":1071,"hash":"0a4f...e1","previous_hash":"...","timestamp":1764150000000,"records":500}

Each event names a place in the story (`feed`), and browsers send the last one they saw as `Last-Event-ID` when they
connect again. The place where a stream begins is told at once, with no event: who loses the connection before the first
one misses nothing either. Peers come and go and leave no trace in the ledger, so their events have no place in it: a
stream begins with those that are connected.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Final

import structlog
from sanic import Request
from sanic.response import HTTPResponse

from tallystick.api.answers import Answer, encode
from tallystick.api.desk import Desk
from tallystick.api.feed import KINDS, Cursor, Event, Feed, now, since
from tallystick.api.problems import Fault, Refusal
from tallystick.api.requests import READ, parameters, whole_number
from tallystick.api.routes import Routes
from tallystick.errors import StoreError, shown
from tallystick.model.block import INDEX_MAX
from tallystick.model.limits import SECOND_MS
from tallystick.node.ports import Ledger

EVENT_STREAM: Final = b"text/event-stream"
PEER: Final = "peer"
TOLD: Final = KINDS | {PEER}

_LAST_ID: Final = "last-event-id"
_BEAT: Final = b":\n\n"
_BEGINNING: Final = b"retry: 1000\nid: %b\n\n"
"""A browser that lost the connection waits so many milliseconds before it connects again, and goes on from there."""

_log: Final = structlog.get_logger("tallystick.api")


def events(desk: Desk) -> Routes:
    """The route of this noun."""
    blueprint = Routes("events")
    streams: set[Stream] = set()
    turn = asyncio.Lock()

    async def follow(request: Request) -> None:
        ledger = desk.ledger
        kinds, cursor = _asked(request, ledger)
        if len(streams) >= desk.limits.event_streams:
            raise Refusal(Fault.BUSY, "as many clients follow its events as it lets; ask for /blocks now and then")
        stream = Stream(desk, ledger, Feed(ledger.reader, desk.limits, cursor, kinds), kinds, turn)
        streams.add(stream)
        try:
            answer = await request.respond(Answer(None, kind=EVENT_STREAM))
            if request.method == "HEAD":
                await answer.send(b"", end_stream=False)  # the head of a streamed answer, without a length
            else:
                await stream.run(answer)
        finally:
            streams.discard(stream)

    blueprint.add_route(follow, "/events", methods=READ)
    return blueprint


def _asked(request: Request, ledger: Ledger) -> tuple[frozenset[str], Cursor]:
    """Which kinds of events, and from where on. Raises Refusal."""
    given = parameters(request.query_string, {"types", "from"})
    kinds = frozenset(given["types"].split(",")) if "types" in given else TOLD
    for kind in kinds - TOLD:
        raise Refusal(Fault.BAD_PARAMETER, f"{shown(kind)} is no type of event; known are: {', '.join(sorted(TOLD))}")
    last = request.headers.getone(_LAST_ID, "")
    if last:
        cursor = Cursor.read(last)
        if cursor is None:
            raise Refusal(Fault.BAD_PARAMETER, f"Last-Event-ID is {shown(last)}; send the id of an event, or none")
        return kinds, cursor
    if "from" not in given:
        return kinds, now(ledger.reader)
    first = whole_number(given["from"], "from", 0, INDEX_MAX)
    begun = since(ledger.reader, first)
    if begun is None:
        tip = ledger.reader.tip().index
        raise Refusal(Fault.BAD_PARAMETER, f"from is {first}; the last block is {tip}, so give {tip + 1} at most")
    return kinds, begun


class Stream:
    """One client that follows what happens, as fast as it reads."""

    def __init__(self, desk: Desk, ledger: Ledger, feed: Feed, kinds: frozenset[str], turn: asyncio.Lock) -> None:
        """`turn` is for all streams: one makes events at a time, and whatever else the node does comes in between."""
        self._desk = desk
        self._ledger = ledger
        self._feed = feed
        self._turn = turn
        self._tells_peers = PEER in kinds
        self._peers: dict[int | None, dict[str, object]] = {}
        self._connected: Sequence[str] = ()

    async def run(self, answer: HTTPResponse) -> None:
        """Tell everything until the client goes or the node stops."""
        limits = self._desk.limits
        await answer.send(_BEGINNING % str(self._feed.cursor).encode())
        try:
            while not self._desk.stopping:
                batches = self._ledger.batches
                async with self._turn:
                    text = b"".join([*self._told_of_peers(), *map(_written, self._feed.some())])
                    await asyncio.sleep(0)
                if text:
                    await answer.send(text)  # waits as long as the client does not read
                if not self._feed.is_over:
                    continue
                if not await self._something_happens(batches):
                    await answer.send(_BEAT)
                else:
                    await asyncio.sleep(limits.events_every_ms / SECOND_MS)  # what happens now is told together
        except StoreError as error:
            _log.error("a stream of events was broken off", why=str(error))
        await answer.send(b"", end_stream=True)

    async def _something_happens(self, batches: int) -> bool:
        """Wait for it. False when nothing did for a while, or the node is about to stop."""
        wait = asyncio.ensure_future(self._ledger.happened(batches))
        self._desk.waits.add(wait)
        try:
            done, _ = await asyncio.wait({wait}, timeout=self._desk.limits.event_beat_ms / SECOND_MS)
            return bool(done) and not wait.cancelled()
        finally:
            self._desk.waits.discard(wait)
            wait.cancel()

    def _told_of_peers(self) -> Iterator[bytes]:
        """Who came and who went since this was asked last."""
        connected = self._ledger.connected() if self._tells_peers else ()
        if connected == self._connected:
            return
        self._connected = connected
        before = self._peers
        peers: dict[int | None, dict[str, object]] = {}
        for peer in self._ledger.status().peers:
            if peer.state == "connected":
                peers[peer.peer] = {"address": peer.address, "dialled": peer.dialled, "dialect": peer.dialect}
        self._peers = peers
        for number, members in peers.items():
            if number not in before:
                yield _line(PEER, encode({**members, "state": "connected"}))
        for number, members in before.items():
            if number not in peers:
                yield _line(PEER, encode({**members, "state": "gone"}))


def _written(event: Event) -> bytes:
    return b"id: %b\n%b" % (str(event.cursor).encode(), _line(event.kind, event.data))


def _line(kind: str, data: bytes) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)
