"""Exchange of addresses: what we answer to whoever asks, and how much we take from whoever answers.

*Answering.* Who asks often would see our book change, and learn whom we meet and when. So all who ask within a
day get the same answer, and it is a part of the book only (Bitcoin Core, `GetAddressesCache`). A small book is
given away whole and as it stands: in a network of a few dozen nodes there is nothing to hide, and a newcomer
that was told yesterday's half of it would not find the others. What is behind our own wall is told to nobody
before it.

*Taking.* A reply that we asked for may be long, once. Beyond it a peer is believed a few addresses a minute, and
what exceeds that is left unread, not punished: it may be an honest peer that is full of news.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tallystick.chain.duties import Entropy
from tallystick.model.limits import HOUR_MS, MINUTE_MS, Limits
from tallystick.wire.address_book import AddressBook, Entry
from tallystick.wire.endpoint import Endpoint, Packed
from tallystick.wire.netgroups import is_public

SMALL_BOOK: Final = 64
"""Entries of a book that is given away whole."""

SHARE: Final = 4
"""Of a larger one, one in so many."""

HEARD_LATELY_MS: Final = 3 * 24 * HOUR_MS
"""Hearsay older than this is not passed on."""


class Answers:
    """Owner of the answer to `get_addrs` that everybody gets. Times are in milliseconds, monotonic or wall."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._cached: Sequence[Entry] = ()
        self._until_ms: int | None = None

    def answer(self, book: AddressBook, asker_ip: str, now_ms: int, wall_ms: int, entropy: Entropy) -> Sequence[Packed]:
        """What to tell a peer at this numeric address, at most `Limits.addresses_per_reply`.

        Addresses that are not public are told to peers that are not public.
        """
        if self._until_ms is None or now_ms >= self._until_ms:
            worth = [entry for entry in book if _is_worth_telling(entry, wall_ms)]
            most = min(self._limits.addresses_per_reply, max(SMALL_BOOK, len(book) // SHARE))
            self._cached = _some_of(worth, most, entropy)
            self._until_ms = now_ms + self._limits.address_cache_ms if len(book) > SMALL_BOOK else None
        outside = is_public(asker_ip)
        return [entry.endpoint.packed for entry in self._cached if entry.is_public or not outside]


def _is_worth_telling(entry: Entry, wall_ms: int) -> bool:
    return entry.proven or wall_ms - entry.heard_ms <= HEARD_LATELY_MS


def _some_of(entries: list[Entry], most: int, entropy: Entropy) -> list[Entry]:
    """At most so many, in an order that says nothing (the first steps of a Fisher-Yates shuffle)."""
    count = min(most, len(entries))
    for at in range(count):
        other = at + int(entropy.random() * (len(entries) - at))
        entries[at], entries[other] = entries[other], entries[at]
    return entries[:count]


class Intake:
    """How many addresses one peer may still tell us: a token bucket. Times are monotonic milliseconds."""

    def __init__(self, limits: Limits, now_ms: int) -> None:
        """Begin with a minute's worth."""
        self._limits = limits
        self._tokens = float(limits.addresses_per_minute)
        self._at_ms = now_ms

    def asked(self) -> None:
        """We sent `get_addrs`: a whole reply is welcome, once."""
        self._tokens += self._limits.addresses_per_reply

    def take(self, addresses: Sequence[Packed], now_ms: int) -> list[Endpoint]:
        """Those of these addresses that are worth hearing; what is over the rate, or is no address, is left out."""
        rate = self._limits.addresses_per_minute
        if self._tokens < rate:
            self._tokens = min(rate, self._tokens + (now_ms - self._at_ms) * rate / MINUTE_MS)
        self._at_ms = now_ms
        believed = addresses[: int(self._tokens)]
        self._tokens -= len(believed)
        endpoints = []
        for packed in believed:
            try:
                endpoints.append(Endpoint.unpack(packed))
            except ValueError:  # port 0, or no address: costs a token, and that is all
                continue
        return endpoints
