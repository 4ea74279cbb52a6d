"""Everything that can be written to a store, as values.

The core decides and describes; the owner of the store applies. All writes of one batch are one
transaction: either all of them are on disk or none is.

A block carries a *mark* that says whether the node owes it to somebody (see `duties`):

* `None`: nobody here was promised anything; the block came from a peer or a file;
* `OWN`: a post that this node acknowledges, carried by this block for the first time;
* a hash: a duty mined again; the hash is that of the block which carried it first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from tallystick.model.record import Record
from tallystick.model.sealed import AnyBlock

Mark = str | None
OWN: Final = ""


class Append(msgspec.Struct, frozen=True):
    """Put `blocks` on the best chain; the first names the tip as its parent, each other its predecessor.

    A mark that is a hash also settles that duty: it is no longer lost. The records of a sealed block go into the log,
    in order, and are in the pool no more; the pool's own copy of a record is used, so sealing moves no data.
    """

    blocks: Sequence[AnyBlock]
    marks: Sequence[Mark] | None = None
    """One for each block; None when no block is marked."""

    tops: Sequence[bytes] | None = None
    """Of the tiles of leaves that the log fills with these blocks (`model.tiles`), if they are known from checking its
    roots: they spare the store hashing the tree again, and say nothing that does not follow from the blocks."""


class AddSide(msgspec.Struct, frozen=True):
    """Keep `blocks`, unmarked, beside the best chain. Blocks already there, or on it, are left as they are.

    Beyond `Limits.side_bytes` of unmarked side data the oldest unmarked blocks are dropped, when the
    batch is committed: never between two writes of one step, which may build on each other.
    """

    blocks: Sequence[AnyBlock]

    staged: bool = False
    """Part of a longer branch that is still arriving: not counted, not dropped as the oldest, and no fork yet.
    A `Switch` to the branch takes it like any other; `DropStaged` and a restart forget it. A block may be both staged
    and a side block like any other, and what becomes of it as one is nothing to the other: a branch that was staged is
    whole, whoever else sends parts of it, and whatever is dropped."""


class DropStaged(msgspec.Struct, frozen=True):
    """Forget all blocks that are still staged, unless they are side blocks as well. A side block on top of one stays,
    like one whose older blocks were dropped: `View.side` knows it, and its parent no more."""


class Switch(msgspec.Struct, frozen=True):
    """Follow another branch: blocks `fork + 1 .. old_tip` of the best chain go aside, marks and all, and
    the side blocks from `new_tip` back to the child of `fork` take their place.

    Duties carried by blocks that went aside and by none that came are lost from now on; duties carried
    by blocks that came are not. Records of blocks that went aside are in the pool again, each at its old place in the
    order of arrival, except those that blocks which came hold too. The log is rewound to the fork, and goes on from
    there.
    """

    fork: int
    """Index of the last block both branches share."""

    old_tip: int
    """Index of the last block taken off."""

    new_tip: str
    """Hash of the last block put on; it and its ancestors down to the fork are side blocks, staged or not."""

    new_tip_index: int
    """Its index."""


class AddRecords(msgspec.Struct, frozen=True):
    """Put `records`, none of which is in the pool or on the best chain, into the pool, in this order."""

    records: Sequence[Record]


class Complete(msgspec.Struct, frozen=True):
    """Keep data and salt of these records where they are stored without theirs: whoever sent them had left them out.
    What was erased here stays so, and what is not stored, or whole, is left as it is."""

    records: Sequence[Record]


class Erase(msgspec.Struct, frozen=True):
    """Forget data and salt of all records of this id, wherever they stand, and keep their entries. They do not come
    back when a peer sends them again."""

    id: str


class RememberPeer(msgspec.Struct, frozen=True):
    """Dial `address` (`ws://host:port`) again after a restart. Known already: no change."""

    address: str


class ForgetPeer(msgspec.Struct, frozen=True):
    """Do not dial `address` after a restart. Unknown: no change."""

    address: str


class RememberBan(msgspec.Struct, frozen=True):
    """Keep `subject`, a node key or a numeric address, out after a restart too. Known already: no change."""

    subject: str


class ForgetBan(msgspec.Struct, frozen=True):
    """Let `subject` in again. Unknown: no change."""

    subject: str


OfBlocks = Append | AddSide | DropStaged | Switch
OfRecords = AddRecords | Complete | Erase
OfOperator = RememberPeer | ForgetPeer | RememberBan | ForgetBan
Write = OfBlocks | OfRecords | OfOperator
