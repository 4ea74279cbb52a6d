"""A network: a genesis block and the rules it commits to.

The kind of a network is a property of the network, not of a node. `classic` is built in; others are
described by a `network.toml`. This version knows the classic kind only; a file naming another is
refused with the reason, never half obeyed.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from tallystick.model.block import Block


class Kind(enum.StrEnum):
    """Who may add a block to a network."""

    CLASSIC = "classic"
    """Anyone, at once; the longest chain wins. The network of the book."""


@dataclass(frozen=True, slots=True)
class Network:
    """The parameters of a network."""

    kind: Kind
    name: str
    genesis: Block

    members: frozenset[str] = frozenset()
    """Node keys (64 lower-case hex digits) that are let in, in the native dialect only; empty: everybody is."""

    @property
    def id(self) -> str:
        """The network's identity: the hash of its genesis block."""
        return self.genesis.hash


CLASSIC_GENESIS: Final = Block(
    index=0,
    previous_hash="0",
    timestamp=1465154705,
    data="my genesis block!!",
    hash="816534932c2b7154836da6afc367695e6337db8a921823784c14378abed4f7d7",
)
"""The genesis block of the book's network, field by field (chapter 4, `get_genesis_block`)."""

CLASSIC: Final = Network(Kind.CLASSIC, "classic", CLASSIC_GENESIS)
"""The network every node of the book is in."""
