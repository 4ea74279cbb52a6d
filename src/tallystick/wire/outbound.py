"""Connections on our own account: how many we want, to whom, and when one is of no use.

A node that only answered would talk with whoever came, and whoever wants to surround it would come. So it holds
`Limits.outbound_peers` connections that it chose itself, from the book of addresses, each in another network
group. Configured peers that are connected count as chosen. Dials are paced, and never more are under way than
places are free: a book full of nonsense costs time, not sockets.

A chosen peer may have stopped: it answers every ping, and its chain is old. If all are so, the node is as good as
alone. Who has less than we had `Limits.stuck_ms` ago is asked once more, and after `Limits.stuck_grace_ms`
replaced (Bitcoin Core, `ConsiderEviction`). The yardstick is our chain of then, not of now: a peer that keeps up,
one block behind, is fine.

Times called `now_ms` are monotonic, `wall_ms` are what the book goes by.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tallystick.chain.duties import Entropy
from tallystick.model.limits import HOUR_MS, SECOND_MS, Limits
from tallystick.wire.address_book import AddressBook, Entry
from tallystick.wire.endpoint import Endpoint
from tallystick.wire.netgroups import group_of

DIAL_EVERY_MS: Final = 500
"""From one dial on our own account to the next."""

LOOK_AGAIN_MS: Final = 10 * SECOND_MS
"""The book had nothing to dial: look again after this, or when it has grown."""

REFRESH_MS: Final = HOUR_MS
"""The book hears so often that a connection still stands; else it would forget its best entries."""


class Chain(enum.StrEnum):
    """What a peer's chain calls for."""

    FINE = "fine"
    ASK = "ask"
    """It has been behind for long: ask it for its headers, once."""

    REPLACE = "replace"
    """That did not help: hang up."""


@dataclass(slots=True)
class Slot:
    """One of our places: an endpoint being dialled, then a connection to it."""

    endpoint: Endpoint
    group: str
    peer: int | None = None
    """Number of the connection; None while it is being dialled."""

    key: str | None = None
    """The node key it proved, once the handshake is over."""

    ready_ms: int = 0
    yardstick: int = 0
    """The weight it must reach to be no longer stuck."""

    stuck_by_ms: int | None = None
    """When patience ends; None while it has what we have."""

    asked: bool = False
    replaced: bool = False


class Outbound:
    """Owner of the connections we make on our own account, by the addresses dialled (`ws://ip:port`)."""

    def __init__(self, limits: Limits, book: AddressBook, now_ms: int) -> None:
        self._limits = limits
        self._book = book
        self._slots: dict[str, Slot] = {}
        self._configured: dict[int, str] = {}
        """Network groups of open connections to configured peers."""

        self._next_dial_ms = now_ms
        self._refresh_ms = now_ms + REFRESH_MS
        self._found_none: int | None = None
        """How large the book was when it had nothing to dial."""

    def __len__(self) -> int:
        """Places that are taken."""
        return len(self._slots)

    def __contains__(self, address: str) -> bool:
        """Did we dial this address on our own account, and is it being dialled or connected?"""
        return address in self._slots

    # --- dialling ------------------------------------------------------------------------------

    def due(
        self,
        now_ms: int,
        wall_ms: int,
        entropy: Entropy,
        *,
        avoid: Callable[[Entry], bool] | None = None,
    ) -> list[str]:
        """The addresses to dial now, at most one; it counts as being dialled from here on.

        `avoid` says who is not to be dialled: who is connected in some other way, configured, discouraged or banned.
        """
        if now_ms >= self._refresh_ms:
            self._refresh(now_ms, wall_ms)
        from_ms = self._dial_from_ms()
        if from_ms is None or now_ms < from_ms:
            return []
        groups = {slot.group for slot in self._slots.values()}.union(self._configured.values())
        entry = self._book.pick(wall_ms, entropy, groups=groups, avoid=avoid)
        self._next_dial_ms = now_ms + DIAL_EVERY_MS
        self._found_none = len(self._book) if entry is None else None
        if entry is None:
            return []
        self._slots[entry.endpoint.address] = Slot(entry.endpoint, entry.group)
        return [entry.endpoint.address]

    def _dial_from_ms(self) -> int | None:
        """When the next dial may start; None while there is no place for it, or nobody known."""
        if len(self._configured) + len(self._slots) >= self._limits.outbound_peers or not len(self._book):
            return None
        if self._found_none is not None and len(self._book) <= self._found_none:
            return self._next_dial_ms + LOOK_AGAIN_MS
        return self._next_dial_ms

    def _refresh(self, now_ms: int, wall_ms: int) -> None:
        self._refresh_ms = now_ms + REFRESH_MS
        for slot in self._slots.values():
            self._still_good(slot, wall_ms)

    def _still_good(self, slot: Slot, wall_ms: int) -> None:
        """The connection stood until now. What was forgotten meanwhile, for a reason, stays forgotten."""
        if slot.key is not None and self._book.get(slot.endpoint) is not None:
            self._book.succeeded(slot.endpoint, slot.key, wall_ms)

    def next_ms(self) -> int | None:
        """When `due` or `weigh` next has something to do."""
        times = [slot.stuck_by_ms for slot in self._slots.values() if slot.stuck_by_ms is not None]
        if self._slots:
            times.append(self._refresh_ms)
        if (from_ms := self._dial_from_ms()) is not None:
            times.append(from_ms)
        return min(times, default=None)

    # --- coming and going ----------------------------------------------------------------------

    def opened(self, address: str, peer: int) -> bool:
        """A dial became connection `peer`, and the handshake begins; False when it was not ours."""
        slot = self._slots.get(address)
        if slot is None or slot.peer is not None:
            return False
        slot.peer = peer
        return True

    def ready(self, peer: int, key: str, now_ms: int, wall_ms: int) -> None:
        """The handshake is over: it is the node `key` of our network. The longest standing are our anchors.

        To be called also when the node turned out to be connected already and this connection ends for it: the
        book then knows the key, and the address is good.
        """
        slot = self._slot(peer)
        if slot is None:
            return
        slot.key, slot.ready_ms = key, now_ms
        self._book.succeeded(slot.endpoint, key, wall_ms)
        standing = sorted((slot.ready_ms, slot.endpoint) for slot in self._slots.values() if slot.key is not None)
        self._book.keep_anchors(endpoint for _, endpoint in standing)

    def configured_ready(self, peer: int, endpoint: Endpoint) -> None:
        """Connection `peer` leads to a configured peer at `endpoint`: one less to choose, and not from its group."""
        self._configured[peer] = group_of(endpoint)

    def failed(self, address: str, wall_ms: int) -> None:
        """A dial came to nothing."""
        slot = self._slots.get(address)
        if slot is not None and slot.peer is None:
            self._give_up(address, slot, wall_ms)

    def ended(self, peer: int, wall_ms: int) -> None:
        """Connection `peer`, chosen or configured, is gone. A chosen one without a handshake, or replaced, counts
        as a dial that failed."""
        self._configured.pop(peer, None)
        for address, slot in self._slots.items():
            if slot.peer == peer:
                self._give_up(address, slot, wall_ms)
                return

    def _give_up(self, address: str, slot: Slot, wall_ms: int) -> None:
        del self._slots[address]
        if slot.key is None or slot.replaced:
            others = bool(self._configured) or any(other.key is not None for other in self._slots.values())
            self._book.failed(slot.endpoint, wall_ms, online=others or slot.replaced)
        else:
            self._still_good(slot, wall_ms)

    def _slot(self, peer: int) -> Slot | None:
        return next((slot for slot in self._slots.values() if slot.peer == peer), None)

    # --- peers on an old chain -----------------------------------------------------------------

    def weigh(self, peer: int, weight: int, ours: int, now_ms: int) -> Chain:
        """What the chain of this peer calls for, whose best verified block has `weight`, ours weighing `ours`.

        To be called whenever one of them changed, and when `next_ms` says so. ASK and REPLACE are said once.
        Always FINE for a peer that we did not dial on our own account.
        """
        slot = self._slot(peer)
        if slot is None or slot.key is None or slot.replaced:
            return Chain.FINE
        if weight >= ours:
            slot.stuck_by_ms = None
        elif slot.stuck_by_ms is None or weight >= slot.yardstick:
            slot.stuck_by_ms, slot.yardstick, slot.asked = now_ms + self._limits.stuck_ms, ours, False
        elif now_ms >= slot.stuck_by_ms and not slot.asked:
            slot.stuck_by_ms, slot.asked = now_ms + self._limits.stuck_grace_ms, True
            return Chain.ASK
        elif now_ms >= slot.stuck_by_ms:
            slot.stuck_by_ms, slot.replaced = None, True
            return Chain.REPLACE
        return Chain.FINE
