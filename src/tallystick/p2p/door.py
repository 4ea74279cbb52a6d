"""The way in: a request for a WebSocket becomes a peer.

Whoever serves HTTP on the port has read the head of the request and knows that it asks for a WebSocket;
where it comes from (Origin) it has judged already. Here the handshake of RFC 6455, section 4.2 is done
and the connection becomes a `PeerSocket`.

A node of the book offers no subprotocol and must get in, so the answer never names one: it means the
classic dialect, whatever else was offered. Compression is not agreed to either, although the book's
library offers it: a few bytes could ask for a lot of memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from websockets.datastructures import Headers
from websockets.exceptions import InvalidHandshake
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from tallystick.errors import Rule, RuleViolation, shown
from tallystick.p2p.hub import Hub, host_of
from tallystick.p2p.socket import PeerSocket

_SWITCHING: Final = 101


class Door:
    """Lets peers in."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def knock(self, path: str, headers: Sequence[tuple[str, str]], transport: asyncio.Transport) -> PeerSocket:
        """Answer a handshake and return the socket that serves this transport from now on.

        Its owner passes on every later call of asyncio.Protocol. Raises RuleViolation, and has written
        nothing, when the peer is not welcome (PEERS_WITHIN_LIMIT, PEER_IN_GOOD_STANDING) or the
        handshake is none (MESSAGE_IS_WELL_FORMED).
        """
        self._hub.check_welcome(host_of(transport))
        wire = ServerProtocol(
            extensions=None,
            state=State.OPEN,  # or its parser would wait for the request's head, which came elsewhere
            max_size=self._hub.limits.message_bytes,
        )
        try:
            response = wire.accept(Request(path, _of_the_handshake(headers)))
        except InvalidHandshake as error:
            raise _no_handshake(error) from error
        if response.status_code != _SWITCHING:
            raise _no_handshake(wire.handshake_exc)
        transport.write(response.serialize())
        return self._hub.adopt(wire, transport, dialled=None)


def _of_the_handshake(headers: Sequence[tuple[str, str]]) -> Headers:
    """The headers that the handshake is made of. Raises InvalidHandshake when one can't be a header."""
    return Headers(
        [
            (name, value)
            for name, value in headers
            if name.lower() in {"connection", "upgrade"} or name.lower().startswith("sec-websocket-")
        ]
    )


def _no_handshake(error: Exception | None) -> RuleViolation:
    return RuleViolation(Rule.MESSAGE_IS_WELL_FORMED, f"not a WebSocket handshake: {shown(str(error), 200)}")
