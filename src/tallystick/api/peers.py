"""Peers: who is connected, whom to dial from now on, whom to forget.

Whoever may add a peer chooses where this machine opens connections. So every address the name resolves to
is judged (`wire.addresses`), whatever spelling it has: `ws://2130706433` and `ws://[::ffff:7f00:1]` resolve
to loopback like `ws://localhost`, and are treated like it. The node judges again when it dials, for a name
may resolve to something else by then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final
from urllib.parse import unquote

from sanic import Request

from tallystick.api.access import listens_privately
from tallystick.api.answers import Answer, json_answer
from tallystick.api.bodies import PEER, text_of
from tallystick.api.desk import Desk
from tallystick.api.protocol import head_of
from tallystick.api.requests import READ, require_json
from tallystick.api.routes import Routes
from tallystick.errors import Rule, RuleViolation, shown
from tallystick.model.limits import SECOND_MS
from tallystick.wire.addresses import PeerAddress, host_port, judge, parse

_DONE: Final = {"status": True}
"""What the book answers when there is nothing to say."""


def peers(desk: Desk) -> Routes:
    """The routes of this noun."""
    blueprint = Routes("peers")

    async def connected(_: Request) -> Answer:
        return json_answer(list(desk.ledger.connected()))

    async def add(request: Request) -> Answer:
        ledger = desk.ledger
        require_json(request)
        address = parse(text_of(request.body, PEER, desk.limits))
        private_ok = listens_privately(desk.gate.access.host) or desk.gate.holds_token(head_of(request))
        await check_dialable(desk, address, private_ok=private_ok)
        await ledger.add_peer(address.text)
        return json_answer(_DONE)

    async def remove(_: Request, address: str) -> Answer:
        await desk.ledger.remove_peer(canonical(unquote(address)))
        return json_answer(_DONE)

    blueprint.add_route(connected, "/peers", methods=READ)
    blueprint.add_route(add, "/addPeer", methods=["POST"])
    blueprint.add_route(remove, "/peers/<address:path>", methods=["DELETE"])
    return blueprint


def canonical(text: str) -> str:
    """`ws://host:port` of a peer we dial or `host:port` of a connection, as the node writes them."""
    if "://" in text:
        return parse(text).text
    address = parse(f"ws://{text}")
    return host_port(address.host, address.port)


async def check_dialable(desk: Desk, address: PeerAddress, *, private_ok: bool) -> None:
    """Resolve an address and judge all it stands for. Raises RuleViolation."""
    for ip in await _resolved(desk, address):
        if desk.is_ours(ip, address.port):
            raise RuleViolation(
                Rule.ADDRESS_IS_NOT_OURS, f"{address.text} is where this node itself listens; name another node"
            )
        judge(ip, private_ok=private_ok)


async def _resolved(desk: Desk, address: PeerAddress) -> Sequence[str]:
    try:
        async with asyncio.timeout(desk.limits.handshake_ms / SECOND_MS):
            ips = await desk.resolve(address.host, address.port)
    except (OSError, UnicodeError, TimeoutError) as error:
        raise _unresolved(address, str(error)) from error
    if not ips:
        raise _unresolved(address, "it has no address")
    return [ip.partition("%")[0] for ip in ips]


def _unresolved(address: PeerAddress, why: str) -> RuleViolation:
    reason = why[:120] or "no answer in time"
    return RuleViolation(Rule.ADDRESS_RESOLVES, f"{shown(address.host)} does not resolve ({reason}); check the name")
