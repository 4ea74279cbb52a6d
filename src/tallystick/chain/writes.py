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
from dataclasses import dataclass
from typing import Final

from tallystick.model.block import Block

Mark = str | None
OWN: Final = ""


@dataclass(frozen=True, slots=True)
class Append:
    """Put `blocks` on the best chain; the first names the tip as its parent, each other its predecessor.

    A mark that is a hash also settles that duty: it is no longer lost.
    """

    blocks: Sequence[Block]
    marks: Sequence[Mark] | None = None
    """One for each block; None when no block is marked."""


@dataclass(frozen=True, slots=True)
class AddSide:
    """Keep `blocks`, unmarked, beside the best chain. Blocks already kept there are left as they are.

    Beyond `Limits.side_bytes` of unmarked side data the oldest unmarked blocks are dropped, when the
    batch is committed: never between two writes of one step, which may build on each other.
    """

    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True)
class Switch:
    """Follow another branch: blocks `fork + 1 .. old_tip` of the best chain go aside, marks and all, and
    the side blocks from `new_tip` back to the child of `fork` take their place.

    Duties carried by blocks that went aside and by none that came are lost from now on; duties carried
    by blocks that came are not.
    """

    fork: int
    """Index of the last block both branches share."""

    old_tip: int
    """Index of the last block taken off."""

    new_tip: str
    """Hash of the last block put on; it and its ancestors down to the fork are side blocks."""

    new_tip_index: int
    """Its index."""


@dataclass(frozen=True, slots=True)
class RememberPeer:
    """Dial `address` (`ws://host:port`) again after a restart. Known already: no change."""

    address: str


@dataclass(frozen=True, slots=True)
class ForgetPeer:
    """Do not dial `address` after a restart. Unknown: no change."""

    address: str


Write = Append | AddSide | Switch | RememberPeer | ForgetPeer
