"""What a node is told about itself when it starts."""

from __future__ import annotations

from dataclasses import dataclass

from tallystick.wire.identity import Identity


@dataclass(frozen=True, slots=True)
class Profile:
    """Who a node is to its peers, and how it looks for them."""

    identity: Identity
    """Its key."""

    agent: str = "tallystick"
    """Name and version of this program; printable ASCII, at most `Limits.agent_bytes`."""

    listen_port: int = 0
    """Where peers can dial it; 0: nowhere."""

    dial: tuple[str, ...] = ()
    """Canonical addresses of peers that the operator named: dialled for ever, and never held to be bad."""

    classic: bool = True
    """Speak the classic dialect too? Not where peers have to show a key, or readers a token, nor where blocks are
    sealed, for which the book's messages have no words."""

    inbound: bool = True
    """Let peers dial this node? Not where readers have to show a token, and no members are known by their keys:
    whoever is let in can read everything."""

    discover: bool = True
    """Dial also whom others tell of."""

    private_ok: bool = True
    """May addresses that others tell of be loopback or private ones? So on a node that listens on one itself."""

    max_reorg: int | None = None
    """Most blocks that a switch of branches may take off; None for any number."""

    mines: bool = False
    """Look for blocks, in a network where they have to be found."""
