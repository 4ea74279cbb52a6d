"""What a node says of itself: its front page, its state, and whether it lives and is ready."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sanic import Request

from tallystick.api.answers import Answer, json_answer
from tallystick.api.desk import Desk
from tallystick.api.explorer import front_page
from tallystick.api.requests import READ, names_html
from tallystick.api.routes import Routes
from tallystick.api.views import header_view
from tallystick.model.limits import SECOND_MS
from tallystick.node.ports import MiningStatus, PeerStatus, SyncProgress

ENDPOINTS: Final[Mapping[str, str]] = {
    "GET /blocks": "the whole chain",
    "GET /blocks?from=&limit=": "a page of it",
    "GET /blocks/{index|hash|latest}": "one block",
    "GET /blocks/{index|hash|latest}/consistency?from=": "the proof that its log begins with that of an earlier block",
    "POST /mineBlock": 'mine a block: {"data": "..."}; where blocks have to be found, ?wait= so many seconds for it',
    "POST /records": 'record {"data": ..., "id": "..."}, or an array of such',
    "GET /records?after=&limit=": "records in the order of the log",
    "GET /records/{id}?block=": "a record, and the proof that it is in the log as of a block",
    "DELETE /records/{id}": "forget the data of a record here; its entry stays",
    "GET /search?text=&before=&limit=": "what holds a text, newest first; it goes on below what `before` says",
    "GET /events?types=&from=": "what happens, as it happens (server-sent events)",
    "GET /peers": "open connections",
    "POST /addPeer": 'dial a node, now and always: {"peer": "ws://HOST:PORT"}',
    "DELETE /peers/{address}": "forget a peer and hang up",
    "GET /bans": "who is kept out",
    "POST /bans": 'keep a node key or a numeric address out, now and always: {"subject": "..."}',
    "DELETE /bans/{subject}": "let it in again",
    "GET /forks?limit=": "branches that were left",
    "GET /status": "what this node is doing",
    "GET /metrics": "the same and more, for Prometheus",
    "GET /openapi.json": "all of this, for programs (OpenAPI 3.1)",
    "GET /health": "the process lives",
    "GET /ready": "the node serves requests",
    "GET / with Accept: text/html": "the explorer, for people",
    "GET /explorer/{name}": "a file of it",
    "GET /docs": "the way to its page on this interface",
    "GET / with Upgrade: websocket": "the peers' door",
}
"""Everything this node serves, in a line each."""


def state(desk: Desk) -> Routes:
    """The routes of this noun."""
    blueprint = Routes("state")

    async def front(request: Request) -> Answer:
        if names_html(request):
            return front_page(request)
        listed = {"tallystick": desk.version, "about": "a node of a peer-to-peer ledger", "endpoints": ENDPOINTS}
        return json_answer(listed, {"vary": "accept"})

    async def health(_: Request) -> Answer:
        return json_answer({"status": "alive"})

    async def ready(_request: Request) -> Answer:
        _ = desk.ledger
        return json_answer({"status": "ready"})

    async def status(_: Request) -> Answer:
        return json_answer(status_of(desk))

    blueprint.add_route(front, "/", methods=READ)
    blueprint.add_route(health, "/health", methods=READ)
    blueprint.add_route(ready, "/ready", methods=READ)
    blueprint.add_route(status, "/status", methods=READ)
    return blueprint


def status_of(desk: Desk) -> dict[str, object]:
    """The body of `GET /status`. Durations are in milliseconds, sizes in bytes; what is not known is null."""
    ledger = desk.ledger
    network, now = ledger.network, ledger.status()
    return {
        "version": desk.version,
        "network": {"kind": network.kind, "name": network.name, "id": network.id, "members": len(network.members)},
        "key": now.key or None,
        "tip": header_view(now.tip),
        "sync": None if now.sync is None else _sync(now.sync),
        "uptime_ms": int((desk.monotonic() - desk.started_s) * SECOND_MS),
        "peers": [_peer(peer) for peer in now.peers],
        "addresses": now.addresses,
        "dropped": [dict(one) for one in now.dropped],
        "connections": desk.connections(),
        "lost_duties": now.lost_duties,
        "pool": now.pool,
        "mining": None if now.mining is None else _mining(now.mining),
        "data_bytes": desk.data_size(),
    }


def _sync(sync: SyncProgress) -> dict[str, object]:
    return {
        "index": sync.index,
        "target": sync.target,
        "blocks_per_second": round(sync.blocks_per_second, 1),
        "remaining_ms": sync.remaining_ms,
        "peers": sync.peers,
    }


def _mining(mining: MiningStatus) -> dict[str, object]:
    return {
        "bits": f"{mining.bits:08x}",
        "difficulty": mining.difficulty,
        "expected_hashes": mining.expected_hashes,
        "is_mining": mining.is_mining,
        "hashes_per_second": mining.hashes_per_second,
        "expected_ms": mining.expected_ms,
    }


def _peer(peer: PeerStatus) -> dict[str, object]:
    return {
        "address": peer.address,
        "direction": "inbound" if peer.dialled is None else "outbound",
        "dialled": peer.dialled,
        "origin": peer.origin,
        "state": peer.state,
        "dialect": peer.dialect,
        "agent": peer.agent,
        "key": peer.key,
        "connected_ms": peer.since_ms,
        "next_dial_ms": peer.next_dial_ms,
        "tip": None if peer.tip is None else {"index": peer.tip[0], "hash": peer.tip[1]},
        "latency_ms": peer.latency_ms,
        "received_bytes": peer.received_bytes,
        "sent_bytes": peer.sent_bytes,
        "last_error": peer.last_error,
    }
