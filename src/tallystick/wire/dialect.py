"""The languages spoken with peers. Which one is agreed in the WebSocket handshake, and holds for the connection.

A peer that asks for the subprotocol `tallystick.1` gets the native dialect, in binary frames. One that asks for
none, as the book's node does, gets the classic one, in text frames (RFC 6455, section 1.9).
"""

from __future__ import annotations

import enum


class Dialect(enum.StrEnum):
    """A language; the value of the native one is the name of its subprotocol."""

    CLASSIC = "classic"
    NATIVE = "tallystick.1"
