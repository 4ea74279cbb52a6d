"""How much the pool takes, and from whom.

The pool itself is durable and lives in the store (`View.pool`): an acknowledged record is never evicted. So all there
is to decide is what to let in. Callers of this node may fill the whole pool, peers a part of it, and each address a
smaller part: whoever floods us keeps neither our own callers out nor other peers (Bitcoin Core,
`txorphanage`/`txrequest`: bounded per peer).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice

from tallystick.chain.contracts import Placed, View
from tallystick.errors import Rule, RuleViolation
from tallystick.model.limits import Limits
from tallystick.model.record import Record, sizes


class Pool:
    """Owner of the account of what peers have put into the pool since this node started."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._from: dict[bytes, tuple[str, str, int]] = {}
        """Of pending records that peers sent: leaf to id, address, cost. Oldest first."""

        self._shares: Counter[str] = Counter()
        self._foreign_bytes = 0

    def cost(self, record: Record) -> int:
        """What a record counts in the pool."""
        return record.size_bytes + self._limits.pool_record_bytes

    def check_room(self, records: Sequence[Record], view: View) -> None:
        """Do these fit? Raises RuleViolation(POOL_HAS_ROOM)."""
        count, size = view.pool_size()
        cost = sizes(records) + len(records) * self._limits.pool_record_bytes
        if size + cost > self._limits.pool_bytes:
            raise RuleViolation(
                Rule.POOL_HAS_ROOM,
                f"{count:,} records wait to be sealed into blocks, and these {len(records):,} do not fit beside them; "
                "try again later",
            )

    def take_foreign(self, records: Sequence[Record], ip: str, view: View) -> list[Record]:
        """Those of a peer's records that may come in; the others are not its fault, and are left out."""
        _, size = view.pool_size()
        taken: list[Record] = []
        whole = sum(map(self.cost, records))
        if not self._has_room(ip, size + whole, whole):
            self._recount(view)  # before anything is let in that the view does not show yet
        for record in records:
            cost = self.cost(record)
            if self._has_room(ip, size + cost, cost):
                size += cost
                self._from[record.leaf] = (record.id, ip, cost)
                self._shares[ip] += cost
                self._foreign_bytes += cost
                taken.append(record)
        return taken

    def _has_room(self, ip: str, size: int, cost: int) -> bool:
        limits = self._limits
        return (
            size <= limits.pool_bytes
            and self._foreign_bytes + cost <= limits.pool_foreign_bytes
            and self._shares[ip] + cost <= limits.pool_peer_bytes
        )

    def sealed(self, records: Iterable[Record]) -> None:
        """These came into a block: whoever sent them has room for others."""
        if self._from:
            for record in records:
                self._forget(record.leaf)

    def _forget(self, leaf: bytes) -> None:
        entry = self._from.pop(leaf, None)
        if entry is None:
            return
        _, ip, cost = entry
        self._foreign_bytes -= cost
        self._shares[ip] -= cost
        if not self._shares[ip]:
            del self._shares[ip]

    def _recount(self, view: View) -> None:
        """Some may have come into blocks by a reorg, which does not tell which: look at the oldest of them."""
        oldest = list(islice(self._from, self._limits.view_page))
        placed = view.placed([(self._from[leaf][0], leaf) for leaf in oldest])
        for leaf in oldest:
            if placed.get(leaf) is not Placed.POOL:
                self._forget(leaf)
            else:
                self._from[leaf] = self._from.pop(leaf)  # looked at last from now on
