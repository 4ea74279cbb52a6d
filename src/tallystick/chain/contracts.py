"""What the chain needs of the layers around it: rules from an engine, look-ups from a view, a store's duties.

The protocols stand here, with their consumer, and not with any implementation of them. The core sees a
`View` only; whoever owns a `Store` applies the core's writes to it; the API and the command line read
committed state through a `Reader`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

import msgspec

from tallystick.chain.writes import Write
from tallystick.model.block import Body, Header, UncheckedBlock, WholeBlock
from tallystick.model.log import Node
from tallystick.model.network import Network
from tallystick.model.record import Record
from tallystick.model.sealed import AnyBlock, UncheckedSealed

Unchecked = UncheckedBlock | UncheckedSealed
"""What claims to be a block: `index` and `hash` can be read off it, and nothing is known."""


Past = Callable[[Header, int], Sequence[Header]]
"""The last so many headers of the branch that ends in a header, that one included, oldest first."""


Block_co = TypeVar("Block_co", bound=AnyBlock, covariant=True)


class Placing(NamedTuple, Generic[Block_co]):
    """Blocks in their place."""

    blocks: Sequence[Block_co]
    """With their weight."""

    tops: Sequence[bytes] | None = None
    """What was hashed of the log on the way, as `Append.tops` has it."""


class Engine(Protocol):
    """The consensus of one kind of network. Code above this protocol never asks which kind it is."""

    @property
    def network(self) -> Network: ...

    # --- stages of checking --------------------------------------------------------------------

    def read(self, whole: WholeBlock | bytes) -> Unchecked:
        """What a peer sent as a block. Raises RuleViolation when it cannot be one."""

    def check_alone(self, block: Unchecked) -> AnyBlock:
        """Everything that can be said of a block by itself: structure, hash, seal, body. Raises RuleViolation."""

    def check_run(self, index: int, hash: str, bodies: Sequence[Body | bytes]) -> Sequence[AnyBlock]:
        """Check blocks by themselves and their links to each other, of which the first is the child of the block
        with this index and hash. Raises RuleViolation."""

    def check_in_place(self, block: AnyBlock, parent: Header) -> None:
        """Does a block name its parent and count one further? Raises RuleViolation."""

    def place(self, run: Sequence[AnyBlock], parent: Header, past: Past, wall_ms: int) -> Placing[AnyBlock]:
        """Check in place blocks of which the first is the child of `parent` and each other of the one before, all
        linked already: time, difficulty, and what they say of the log. Returns them with their weight. Raises
        RuleViolation: TIME_NOT_FROM_FUTURE is not the block's fault for ever, all others are."""

    # --- fork choice ---------------------------------------------------------------------------

    def weight(self, tip: Header) -> int:
        """What fork choice maximises, summed over the branch that ends in `tip`, which is placed."""

    def least_weight(self, tip: Header) -> int:
        """A lone block of a branch that weighs less is not kept beside the chain that ends in `tip`: it cost its maker
        too little to take up room."""

    @property
    def surveys(self) -> bool:
        """Do headers show what a branch weighs, before any body is seen?"""

    def survey(self, headers: Sequence[bytes], parent: Header, past: Past, wall_ms: int) -> Sequence[Header]:
        """Check the bare headers of blocks of which the first is the child of `parent`: everything but their bodies.
        Returns them with what they weigh; of a run that goes on into the future, only those before that. Raises
        RuleViolation. Only for engines that say they can (`surveys`)."""

    def records(self, block: AnyBlock) -> Sequence[Record]:
        """The records that a block puts into the log; none in networks that keep no log."""

    # --- for peers -----------------------------------------------------------------------------

    def body(self, block: AnyBlock) -> Body | bytes:
        """A block as part of a run."""

    def whole(self, block: AnyBlock) -> WholeBlock | bytes:
        """A block that stands alone."""

    def as_sent(self, block: AnyBlock) -> AnyBlock:
        """What may be sent of a block: all of it, unless more data of its records came together here than a block may
        bring along. Then some is left out, which is lawful."""

    # --- making blocks -------------------------------------------------------------------------

    @property
    def takes_records(self) -> bool:
        """Do blocks hold records, gathered in a pool? Else each block holds one text, sealed at once."""

    def seal(self, parent: Header, data: str, wall_ms: int) -> AnyBlock:
        """A new block on `parent` that holds `data`, in networks where anybody may make one at once. Raises
        RuleViolation(CLOCK_IS_SANE) when the clock can't date one."""

    def draft(self, parent: Header, records: Sequence[Record], past: Past, wall_ms: int) -> Draft:
        """A block on `parent` that lacks nothing but its seal, in networks where one has to be found."""

    def room(self) -> tuple[int, int]:
        """Records and their bytes that fit a block."""


class Draft(Protocol):
    """A block that is being sealed."""

    @property
    def head(self) -> bytes:
        """The bytes before the nonce."""

    @property
    def target(self) -> bytes:
        """The greatest hash that seals it, 32 bytes."""

    @property
    def expected_hashes(self) -> int:
        """How many hashes it takes to find one, on average."""

    @property
    def difficulty(self) -> float:
        """The same, as a multiple of what the first block took."""

    @property
    def records(self) -> Sequence[Record]: ...

    @property
    def timestamp(self) -> int:
        """In milliseconds."""

    @property
    def bits(self) -> int:
        """The compact target."""

    @property
    def tops(self) -> Sequence[bytes]:
        """As `Append.tops` has them."""

    def sealed(self, nonce: int) -> AnyBlock | None:
        """The block, placed, if this nonce seals it."""


class Placed(enum.StrEnum):
    """Where a record stands."""

    POOL = "pending"
    CHAIN = "included"
    ASIDE = "aside"
    """In blocks beside the best chain only."""


Name = tuple[str, bytes]
"""A record by its id and its leaf hash: where to look, and what must be found there."""


class Known(NamedTuple):
    """A record that is stored."""

    record: Record
    placed: Placed


class Duty(NamedTuple):
    """A post this node acknowledged, and which no block of the best chain carries now."""

    first: str
    """Hash of the block that carried it first; names the duty."""

    data: str


class View(Protocol):
    """Bounded, synchronous look-ups on the last committed state plus the writes of the running batch."""

    def headers(self, first: int, count: int) -> Sequence[Header]:
        """Headers of the best chain at `first` and after, in order; fewer than `count` where it ends."""

    def blocks(self, first: int, count: int, size_bytes: int) -> Sequence[AnyBlock]:
        """Blocks of the best chain at `first` and after, in order: at most `count`, and no more than
        `size_bytes` of data (UTF-8), but at least one if there is one. Made for peers that fetch the whole chain."""

    def header_bytes(self, first: int, count: int) -> Sequence[bytes]:
        """Headers of a sealed network's best chain at `first` and after, as they are hashed, in order; fewer than
        `count` where it ends."""

    def side(self, hash: str) -> Header | None:
        """The block of that hash, if it is kept beside the best chain, staged or not."""

    def named(self, ids: Sequence[str]) -> Sequence[Known]:
        """The stored records of these ids, in no order; of an id that more than `Limits.records_per_id` share, no more
        than that. Made for many ids at a time, most of them unknown."""

    def known(self, names: Sequence[Name]) -> Sequence[Known]:
        """The stored records of these names, in no order. The cost is that of the names, whoever shares their ids."""

    def placed(self, names: Sequence[Name]) -> Mapping[bytes, Placed]:
        """Likewise, but only where they stand, by leaf hash."""

    def pool(self, after: int, count: int, size_bytes: int) -> tuple[Sequence[Record], int]:
        """Records of the pool in order of arrival that came after the place `after` (0: from the oldest): at most
        `count`, and no more than `size_bytes` (`Record.size_bytes`) but at least one if there is one; and the place of
        the last."""

    def pool_size(self) -> tuple[int, int]:
        """Records in the pool, and what they count: their parts and `Limits.pool_record_bytes` each."""

    def repeats(self, fork: int, parent: str, records: Sequence[Record]) -> str | None:
        """The id of a record that occurs twice in the branch that follows the best chain up to index `fork`, then side
        blocks up to the one of hash `parent`, and then holds `records`; None when all are new."""

    def lost(self, count: int) -> Sequence[Duty]:
        """Up to `count` duties that no block of the best chain carries, oldest first (by the index of the
        block that carried them first, then its hash), and no more than `Limits.page_bytes` of data but
        always at least one if there is one."""


class Store(View, Protocol):
    """Durable state: the best chain, what is kept beside it, duties, records, remembered peers and bans. One writer.

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


class Shown(NamedTuple):
    """A record as readers see it."""

    record: Record
    place: int
    """In the order of arrival at this node."""

    block: Header | None
    """The best chain's block that holds it; None while it is pending or only beside the chain."""

    position: int | None
    """Its place in the log, from 0."""

    placed: Placed


class Arrival(NamedTuple):
    """A record that came, wherever from."""

    place: int
    """In the order of arrival at this node."""

    id: str
    leaf: bytes
    placed: Placed | None
    """Where it stands now; None when nothing holds it any more."""


class Passage(msgspec.Struct, frozen=True, gc=False):
    """What can be searched: a piece of the best chain, in a classic network a block, else a record of the log."""

    index: int
    hash: str
    timestamp: int
    """Of the block."""

    id: str | None
    position: int | None
    """Of the record, in the log from 0; None where the block itself is the piece."""

    text: str | None
    """The block's data, or the record's in its canonical form; None once that was withheld or erased."""

    @property
    def place(self) -> int:
        """Its place among all pieces, from 0: the position in the log, or else the index."""
        return self.index if self.position is None else self.position


class Found(NamedTuple):
    """A block looked up by hash."""

    block: AnyBlock
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

    def block(self, index: int) -> AnyBlock | None:
        """The best chain's block at `index`."""

    def page(self, first: int, count: int) -> Sequence[AnyBlock]:
        """Blocks of the best chain at `first` and after: at most `count`, and no more than
        `Limits.page_bytes` of data, but at least one if there is one."""

    def find(self, hash: str) -> Found | None:
        """The block of that hash, on the best chain or beside it."""

    def header(self, index: int) -> Header | None:
        """The best chain's header at `index`."""

    def header_bytes(self, index: int) -> bytes | None:
        """Likewise as it is hashed, in a sealed network; None in others."""

    def aside(self, hash: str) -> Header | None:
        """The header of that hash, if its block is kept beside the best chain."""

    def records_of(self, id: str) -> Sequence[Shown]:
        """The records of that id, in order of arrival; of more than `Limits.records_per_page`, no more than that."""

    def records(self, after: int, count: int) -> Sequence[Shown]:
        """Records of the log at position `after` and beyond, in its order: at most `count`, and no more than
        `Limits.page_bytes`, but at least one if there is one."""

    def passages(self, before: int, count: int, characters: int) -> Sequence[Passage]:
        """Pieces of the best chain below the place `before`, newest first and none left out: at most `count`, and they
        end with the one that brings their texts to so many characters."""

    def arrivals(self, after: int, count: int) -> Sequence[Arrival]:
        """Records that came after the place `after` (0: from the oldest), in order of arrival: at most `count`."""

    def newest_place(self) -> int:
        """The place of the record that came last; 0 when there is none."""

    def hashes(self, size: int, nodes: Sequence[Node]) -> Sequence[bytes]:
        """Hashes of perfect subtrees of the log's first `size` entries (`model.log`), for proofs."""

    def forks(self, count: int) -> Sequence[Fork]:
        """Up to `count` branches beside the best chain (at most `Limits.fork_blocks`), the latest change first;
        all their blocks together hold no more than `Limits.page_bytes` of data, so late ones may show none."""

    def close(self) -> None:
        """Release everything. Idempotent."""
