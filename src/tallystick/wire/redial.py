"""The addresses we dial, and when: every one for ever, with back-off.

An address comes from the operator (start options, `addPeer`) and leaves by `DELETE /peers`. One that
cannot be reached is tried again after a second, then two, up to a minute, with jitter so that a
restarted network does not dial in step. A connection must have lasted a minute before its back-off
starts from the bottom: a peer that hangs up on every chain we send is not worth a dial a second.

Two nodes that are configured to dial each other would have two connections, and one of them is closed. The
address of the one that was is not dialled while the node key it leads to is connected the other way round;
when that connection ends, it is dialled at once.
"""

from __future__ import annotations

import enum
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass

from tallystick.chain.duties import Entropy
from tallystick.errors import Rule, RuleViolation
from tallystick.model.limits import Limits


class State(enum.StrEnum):
    """What we are doing about an address."""

    WAITING = "waiting"
    DIALLING = "dialling"
    CONNECTED = "connected"


@dataclass(slots=True)
class Entry:
    """One address we keep dialling."""

    address: str
    state: State
    next_ms: int
    """When to dial next, while waiting."""

    wait_ms: int
    """The wait after the next failure, before jitter."""

    peer: int | None = None
    """Number of the open connection; ends of older ones, and of dials that cross, say nothing about this one."""

    opened_ms: int = 0
    key: str | None = None
    """The node key that this address leads to, once a handshake showed it."""

    last_error: str | None = None

    def is_among(self, keys: Container[str]) -> bool:
        """Does it lead to one of these node keys?"""
        return self.key is not None and self.key in keys


class Redial:
    """Owner of the addresses we dial."""

    def __init__(self, limits: Limits, addresses: Iterable[str], now_ms: int) -> None:
        self._limits = limits
        self._entries: dict[str, Entry] = {}
        for address in addresses:
            self._entries[address] = Entry(address, State.WAITING, now_ms, limits.redial_first_ms)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def add(self, address: str, now_ms: int) -> None:
        """Dial this address as soon as possible. Raises RuleViolation(ADDRESS_BOOK_HAS_ROOM)."""
        entry = self._entries.get(address)
        if entry is not None:
            entry.next_ms = now_ms
            return
        if len(self._entries) >= self._limits.peer_addresses:
            raise RuleViolation(
                Rule.ADDRESS_BOOK_HAS_ROOM,
                f"{self._limits.peer_addresses} peers are known already; remove one first (DELETE /peers/ADDRESS)",
            )
        self._entries[address] = Entry(address, State.WAITING, now_ms, self._limits.redial_first_ms)

    def remove(self, address: str) -> None:
        """Stop dialling this address, if it is known."""
        self._entries.pop(address, None)

    def learn(self, address: str, key: str) -> None:
        """This address leads to the node `key`."""
        entry = self._entries.get(address)
        if entry is not None:
            entry.key = key

    def due(self, now_ms: int, connected: Container[str] = frozenset()) -> list[str]:
        """The addresses to dial now; each counts as being dialled from here on.

        Not those that lead to a node key in `connected`: these are due as soon as they are not in it any more.
        """
        due = []
        for entry in self:
            if entry.state is not State.WAITING:
                continue
            if entry.is_among(connected):
                entry.next_ms = min(entry.next_ms, now_ms)
            elif entry.next_ms <= now_ms:
                entry.state = State.DIALLING
                due.append(entry.address)
        return due

    def next_ms(self, connected: Container[str] = frozenset()) -> int | None:
        """When `due` will next have something."""
        waiting = [entry for entry in self._entries.values() if entry.state is State.WAITING]
        return min([entry.next_ms for entry in waiting if not entry.is_among(connected)], default=None)

    def opened(self, address: str, peer: int, now_ms: int) -> bool:
        """A dial became connection `peer`; False when the address was removed meanwhile, or has a connection."""
        entry = self._entries.get(address)
        if entry is None or entry.peer is not None:
            return False
        entry.state, entry.peer, entry.opened_ms = State.CONNECTED, peer, now_ms
        return True

    def failed(self, address: str, now_ms: int, entropy: Entropy, reason: str) -> None:
        """A dial came to nothing."""
        entry = self._entries.get(address)
        if entry is not None and entry.state is State.DIALLING:
            self._wait(entry, now_ms, entropy, reason)

    def ended(self, address: str, peer: int, now_ms: int, entropy: Entropy, reason: str) -> None:
        """Connection `peer` is gone."""
        entry = self._entries.get(address)
        if entry is None or entry.peer != peer:
            return
        if now_ms - entry.opened_ms >= self._limits.useful_connection_ms:
            entry.wait_ms = self._limits.redial_first_ms
        entry.peer = None
        self._wait(entry, now_ms, entropy, reason)

    def _wait(self, entry: Entry, now_ms: int, entropy: Entropy, reason: str) -> None:
        """Dial again after between half the wait and the whole of it."""
        entry.next_ms = now_ms + int(entry.wait_ms * (1 + entropy.random()) / 2)
        entry.wait_ms = min(entry.wait_ms * 2, self._limits.redial_max_ms)
        entry.state, entry.last_error = State.WAITING, reason
