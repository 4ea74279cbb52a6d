"""What blocks hold beside their rows, written: the one place where the kinds of networks differ for the store.

Whatever moves a block's row (`sqlite`, `side`, `staged`, `switch`) tells its `Holdings` before or after. In the
classic network that does nothing: a block is its row there. In sealed networks it is `RecordHoldings`, the owner of the
records, the pool, the log and its tiles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from tallystick.chain.writes import Erase
from tallystick.errors import StoreError
from tallystick.model.block import Block
from tallystick.model.record import Record
from tallystick.model.sealed import AnyBlock


class Holdings(Protocol):
    """What is to be done beside the rows of blocks, as part of the running transaction. Raises StoreError."""

    @property
    def hold_records(self) -> bool:
        """Do blocks hold records?"""

    @property
    def bytes_aside(self) -> int:
        """What side blocks hold that is nowhere else. It counts against `Limits.side_bytes`, as their rows do."""

    @property
    def pooled_size(self) -> tuple[int, int]:
        """As `View.pool_size` has it."""

    def load(self) -> None:
        """Take up the state of the file."""

    def counters(self) -> Mapping[str, int]:
        """What is to be written into `meta` when the batch is committed."""

    def committed(self) -> None:
        """The batch is durable."""

    # --- blocks come and go --------------------------------------------------------------------

    def append(self, blocks: Sequence[AnyBlock], tops: Sequence[bytes] | None = None) -> Sequence[str | bytes]:
        """Blocks are about to be put on the tip; `tops` as `Append` has them. Returns what stands in the column `data`
        of each."""

    def keep(self, blocks: Sequence[AnyBlock], *, staged: bool) -> Sequence[str | bytes]:
        """Likewise beside the chain. None of them is stored in the same table yet, nor on the chain."""

    def release(self, seq: int) -> None:
        """The side block of this number is about to be dropped."""

    def drop_staged(self) -> None:
        """All staged blocks are about to be dropped."""

    def rewind(self, fork: int) -> None:
        """Blocks after `fork` are about to leave the chain."""

    def follow(self, first: int, last: int) -> None:
        """Blocks `first .. last` were put on the chain, from elsewhere."""

    # --- records by themselves -----------------------------------------------------------------

    def add(self, records: Sequence[Record]) -> None:
        """Put records into the pool."""

    def complete(self, records: Sequence[Record]) -> None:
        """Keep the data of records that are stored without it, and were not erased here."""

    def erase(self, write: Erase) -> None:
        """Forget the data of a record."""


class PlainHoldings:
    """`Holdings` of the classic network: nothing is held beside the rows."""

    hold_records: Final = False
    bytes_aside: Final = 0
    pooled_size: Final = (0, 0)

    def load(self) -> None:
        """Nothing is kept."""

    def counters(self) -> Mapping[str, int]:
        return {}

    def committed(self) -> None:
        """Nothing to follow up."""

    def append(self, blocks: Sequence[AnyBlock], tops: Sequence[bytes] | None = None) -> Sequence[str | bytes]:  # noqa: ARG002 - see Holdings
        return [block.data for block in blocks if isinstance(block, Block)]

    def keep(self, blocks: Sequence[AnyBlock], *, staged: bool) -> Sequence[str | bytes]:  # noqa: ARG002 - see Holdings
        return self.append(blocks)

    def release(self, seq: int) -> None:
        """A row is all there is."""

    def drop_staged(self) -> None:
        """Likewise."""

    def rewind(self, fork: int) -> None:
        """Likewise."""

    def follow(self, first: int, last: int) -> None:
        """Likewise."""

    def add(self, records: Sequence[Record]) -> None:  # noqa: ARG002 - see Holdings
        raise StoreError("Refused to keep records: blocks of this network hold none.")

    def complete(self, records: Sequence[Record]) -> None:
        """There is no record that could lack anything."""

    def erase(self, write: Erase) -> None:
        """There is no record, so there is nothing to forget."""
