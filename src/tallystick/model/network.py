"""A network: a genesis block and the rules it commits to.

The kind of a network is a property of the network, not of a node. `classic` is built in; others are described by a
`network.toml`. The genesis block of a sealed network names, in the place of its parent, the SHA-256 of the RFC 8785
form of all consensus parameters, so two sets of rules never share an id.
"""

from __future__ import annotations

import enum
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Final

from tallystick.model.block import Block
from tallystick.model.canonical import canonical
from tallystick.model.limits import KIB, MIB
from tallystick.model.log import EMPTY_ROOT
from tallystick.model.sealed import AnyBlock, HeaderFields, body_hash_of, header_bytes, sealed_block


class Kind(enum.StrEnum):
    """Who may add a block to a network."""

    CLASSIC = "classic"
    """Anyone, at once; the longest chain wins. The network of the book."""

    WORK = "work"
    """Whoever finds a nonce; the chain with the most work wins."""


EASIEST_BITS: Final = 0x207F_FFFF
"""The easiest difficulty there can be: every second hash fits (Bitcoin Core, regtest `powLimit`)."""


@dataclass(frozen=True, slots=True)
class SealedRules:
    """The consensus parameters of a sealed network beside its kind and its name."""

    spacing_ms: int
    """Time between two blocks that difficulty aims at."""

    half_life_ms: int
    """A chain that is so much behind its schedule is half as difficult (ASERT)."""

    bits: int
    """Difficulty of the first block after genesis, as a compact target."""

    limit_bits: int = EASIEST_BITS
    """It never gets easier than this."""

    max_block_bytes: int = 1 * MIB
    """Entries of one block. Whoever makes one counts their data too, so it fits a frame of the nodes' protocol."""

    max_block_records: int = 10_000
    max_data_bytes: int = 64 * KIB
    """Canonical data of one record."""


@dataclass(frozen=True, slots=True)
class Network:
    """The parameters of a network."""

    kind: Kind
    name: str
    genesis: AnyBlock

    members: frozenset[str] = frozenset()
    """Node keys (64 lower-case hex digits) that are let in, in the native dialect only; empty: everybody is."""

    rules: SealedRules | None = None
    """Of a sealed network; those of a classic one are fixed."""

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


def parameters(kind: Kind, name: str, rules: SealedRules, members: frozenset[str]) -> bytes:
    """The RFC 8785 form of everything that nodes of a sealed network have to agree on."""
    return canonical({"kind": str(kind), "name": name, "members": sorted(members), **asdict(rules)})


def sealed_network(
    kind: Kind, name: str, rules: SealedRules, genesis_ms: int, members: frozenset[str] = frozenset()
) -> Network:
    """The network of these rules whose genesis block is dated `genesis_ms`, in milliseconds since 1970."""
    bound = sha256(parameters(kind, name, rules, members)).digest()
    seal = rules.bits.to_bytes(4, "big") + bytes(8)
    fields = HeaderFields(0, bound, genesis_ms, 0, EMPTY_ROOT, body_hash_of(()), seal)
    return Network(kind, name, sealed_block(header_bytes(fields), fields, ()), members, rules)
