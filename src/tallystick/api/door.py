"""The peers' door, as the HTTP server sees it.

`GET /` with `Upgrade: websocket` is how a peer gets in. The server reads the request's head, checks where it
comes from, and hands the connection over: from then on it moves bytes between the socket and a `Visitor`
and understands none of them. Who stands behind the door is decided where the node is put together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

Headers = Sequence[tuple[str, str]]
"""A request's headers in the order they came: lower-case name, value."""


class Visitor(Protocol):
    """One upgraded connection. The calls are those of an `asyncio.Protocol`, without `connection_made`."""

    def data_received(self, data: bytes) -> None: ...

    def eof_received(self) -> bool | None: ...

    def connection_lost(self, exc: Exception | None) -> None: ...

    def pause_writing(self) -> None: ...

    def resume_writing(self) -> None: ...


class Door(Protocol):
    """Whoever takes peers in."""

    def knock(self, path: str, headers: Headers, transport: asyncio.Transport) -> Visitor:
        """Take a connection over: write the 101 to `transport` and return who is served there from now on.

        Raises RuleViolation (and has written nothing) when the handshake is wrong or the peer not welcome;
        the caller gets it as a problem document.
        """
