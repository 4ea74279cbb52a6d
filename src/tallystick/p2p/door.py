"""The way in: a request for a WebSocket becomes a peer.

Whoever serves HTTP on the port has read the head of the request and knows that it asks for a WebSocket;
where it comes from (Origin) it has judged already. Here the handshake of RFC 6455, section 4.2 is done
and the connection becomes a `PeerSocket`.

Whoever offers the subprotocol `tallystick.1` gets it, and with it the native dialect. A node of the book
offers none and must get in, so everybody else gets the classic dialect, whatever they offered, in an
answer that names none. Compression is not agreed to, although the book's library offers it: a few bytes
could ask for a lot of memory.
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
from websockets.typing import Subprotocol

from tallystick.errors import Rule, RuleViolation, shown
from tallystick.p2p.hub import Hub, dialect_of, host_of
from tallystick.p2p.socket import PeerSocket
from tallystick.wire.dialect import Dialect

_SWITCHING: Final = 101


class Door:
    """Lets peers in."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def knock(self, path: str, headers: Sequence[tuple[str, str]], transport: asyncio.Transport) -> PeerSocket:
        """Answer a handshake and return the socket that serves this transport from now on.

        Its owner passes on every later call of asyncio.Protocol. Raises RuleViolation, and has written
        nothing, when the handshake is none (MESSAGE_IS_WELL_FORMED) or the peer is not welcome
        (`Ledger.check_welcome`).
        """
        wire = ServerProtocol(
            extensions=None,
            select_subprotocol=_choose,
            state=State.OPEN,  # or its parser would wait for the request's head, which came elsewhere
            max_size=None,  # the inbox judges that
        )
        try:
            response = wire.accept(Request(path, _of_the_handshake(headers)))
        except InvalidHandshake as error:
            raise _no_handshake(error) from error
        if response.status_code != _SWITCHING:
            raise _no_handshake(wire.handshake_exc)
        self._hub.check_welcome(host_of(transport), dialect_of(wire))
        transport.write(response.serialize())
        return self._hub.adopt(wire, transport, dialled=None)


def _choose(_: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """The native dialect where it is offered. The library's own choice would refuse whoever offers only others."""
    native = Subprotocol(Dialect.NATIVE)
    return native if native in offered else None


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
