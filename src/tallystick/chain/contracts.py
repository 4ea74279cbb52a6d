"""What the chain needs of the layers around it: rules from an engine, look-ups from a view, a store's duties.

The protocols stand here, with their consumer, and not with any implementation of them. The core sees a
`View` only; whoever owns a `Store` applies the core's writes to it; the API and the command line read
committed state through a `Reader`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from tallystick.chain.writes import Write
from tallystick.model.block import Block, Body, Header, UncheckedBlock
from tallystick.model.network import Network


class Engine(Protocol):
    """The consensus of one kind of network. Code above this protocol never asks which kind it is."""

    @property
    def network(self) -> Network: ...

    def check_alone(self, block: UncheckedBlock) -> Block:
        """Everything that can be said of a block by itself: structure, hash, seal. Raises RuleViolation."""

    def check_run(self, index: int, hash: str, bodies: Sequence[Body]) -> list[Block]:
        """Check blocks by themselves and their links to each other, of which the first is the child of the block
        with this index and hash. Raises RuleViolation."""

    def check_in_place(self, block: Block, parent: Header) -> None:
        """Everything that needs its parent: link, time, difficulty. Raises RuleViolation."""

    def weight(self, tip: Header) -> int:
        """What fork choice maximises, summed over the branch that ends in `tip`."""

    def seal(self, parent: Header, data: str, wall_ms: int) -> Block:
        """A new block on `parent`. Raises RuleViolation(CLOCK_IS_SANE) when the clock can't date one."""


class Duty(NamedTuple):
    """A post this node acknowledged, and which no block of the best chain carries now."""

    first: str
    """Hash of the block that carried it first; names the duty."""

    data: str


class View(Protocol):
    """Bounded, synchronous look-ups on the last committed state plus the writes of the running batch."""

    def headers(self, first: int, count: int) -> Sequence[Header]:
        """Headers of the best chain at `first` and after, in order; fewer than `count` where it ends."""

    def blocks(self, first: int, count: int, size_bytes: int) -> Sequence[Block]:
        """Blocks of the best chain at `first` and after, in order: at most `count`, and no more than
        `size_bytes` of data (UTF-8), but at least one if there is one. Made for peers that fetch the whole chain."""

    def side(self, hash: str) -> Header | None:
        """The block of that hash, if it is kept beside the best chain, staged or not."""

    def lost(self, count: int) -> Sequence[Duty]:
        """Up to `count` duties that no block of the best chain carries, oldest first (by the index of the
        block that carried them first, then its hash), and no more than `Limits.page_bytes` of data but
        always at least one if there is one."""


class Store(View, Protocol):
    """Durable state: the best chain, what is kept beside it, duties, remembered peers and bans. One writer.

    An implementation promises:

    * *atomic*: between `begin` and `commit` all or nothing survives a crash at any moment;
    * *durable*: what `commit` returned from survives loss of power;
    * *exact*: the view shows every write as soon as `apply` returns;
    * *flat*: no call allocates in proportion to the chain or to the depth of a switch;
    * *honest*: a failing disk raises StoreError, and then nothing of the batch is kept.

    An empty store is given the genesis block of its network when it is opened. Staged blocks of an earlier run are
    forgotten then.
    """

    def begin(self) -> None:
        """Start a batch."""

    def apply(self, write: Write) -> None:
        """Apply one write to the running batch."""

    def commit(self) -> None:
        """Make the batch durable."""

    def rollback(self) -> None:
        """Drop the running batch, if there is one."""

    def peers(self) -> Sequence[str]:
        """Remembered addresses, in the order they were remembered."""

    def bans(self) -> Sequence[str]:
        """Banned node keys and numeric addresses, in the order they were banned."""

    def close(self) -> None:
        """Release everything. Idempotent."""


class Found(NamedTuple):
    """A block looked up by hash."""

    block: Block
    orphaned: bool
    """True when it is kept beside the best chain."""

    mined_again_as: str | None
    """Of an orphaned block that this node owes: hash of the best chain's block that carries its post now."""


class Fork(NamedTuple):
    """A branch that was left: what a reorg removed, or what never was on the best chain."""

    fork: Header | None
    """The last block it shares with the best chain; None when that is not known, for older blocks were dropped,
    or the way there is too ragged (`Limits.fork_runs`)."""

    tip: Header
    blocks: Sequence[Found]
    """Its blocks, from the tip downwards, at most `Limits.fork_blocks`."""


class Reader(Protocol):
    """Committed state, for those who only look. Never sees a running batch, nor blocks that are staged."""

    def tip(self) -> Header:
        """The last block of the best chain."""

    def block(self, index: int) -> Block | None:
        """The best chain's block at `index`."""

    def page(self, first: int, count: int) -> Sequence[Block]:
        """Blocks of the best chain at `first` and after: at most `count`, and no more than
        `Limits.page_bytes` of data, but at least one if there is one."""

    def find(self, hash: str) -> Found | None:
        """The block of that hash, on the best chain or beside it."""

    def forks(self, count: int) -> Sequence[Fork]:
        """Up to `count` branches beside the best chain (at most `Limits.fork_blocks`), the latest change first;
        all their blocks together hold no more than `Limits.page_bytes` of data, so late ones may show none."""

    def close(self) -> None:
        """Release everything. Idempotent."""
