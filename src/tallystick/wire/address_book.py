"""The book of addresses: where a node finds peers that nobody configured.

Most of it is hearsay, and whoever wants to surround a node with his own (an eclipse: Heilman et al., USENIX
Security 2015) begins by filling its book. The book is flat and bounded, and gives way by four rules:

* A *source*, the network group of whoever told us, fills at most `Limits.addresses_per_source` of it. What it
  tells beyond that is not believed, unless what it told before is old. Else an attacker could tell us of honest
  nodes before others do, and then flood them away.
* When the book is full, a source gains only from one that has more hearsay in it. So the few addresses of a
  modest source stay.
* What we connected to ourselves is never displaced by hearsay.
* An address is picked by drawing its network group first. A thousand addresses in one group are one ticket, and
  we dial one of a group at a time. So it is groups of *reachable* nodes that an attacker needs, not entries.

Times that others state do not exist here: `heard_ms` is our own clock at the moment of hearing. All times are
wall milliseconds, for they go to disk; a clock that was set back makes an address due too early, never too late.

Frugal next to Bitcoin Core's `addrman`, which hides its 80,000 places behind a secret hash. What this one
promises is measured in `tests/wire/test_eclipse.py`: with nine addresses in ten the attacker's, in as many networks
as the honest ones, a fresh node with nobody configured is surrounded in 0.3 % of starts; with nine *networks* in
ten, in 43 %. Against that only a configured peer helps, or an anchor.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from tallystick.chain.duties import Entropy
from tallystick.errors import RuleViolation
from tallystick.model.limits import HOUR_MS, MINUTE_MS, Limits
from tallystick.wire.addresses import judge
from tallystick.wire.endpoint import Endpoint
from tallystick.wire.netgroups import group_of, source_of

RETRY_FIRST_MS: Final = MINUTE_MS
RETRY_MAX_MS: Final = HOUR_MS
"""From one dial of an address to the next, at least: doubles from the first to the second with each failure."""

FAILURES_MAX: Final = 10
FAILING_MS: Final = 7 * 24 * HOUR_MS
"""So many failures in a row, and no success for so long, and an address is forgotten (Bitcoin Core,
`ADDRMAN_MAX_FAILURES`, `ADDRMAN_MIN_FAIL`)."""

OLD_MS: Final = 24 * HOUR_MS
"""What a source told so long ago gives way to what it tells now."""

OWN_ENDPOINTS: Final = 64
"""Ways to reach ourselves that are remembered: a machine has few addresses."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entry:
    """What we know of one endpoint."""

    endpoint: Endpoint

    group: str
    """Its network group (`netgroups.group_of`)."""

    source: str
    """Who told us first (`netgroups.source_of`)."""

    heard_ms: int
    """When we last heard of it, or from it."""

    key: str | None = None
    """The node key that it proved to hold, 64 hex digits."""

    tried_ms: int | None = None
    """When we last dialled it to the end, well or not."""

    success_ms: int | None = None
    """When we last knew it for a node of this network, by a whole handshake."""

    failures: int = 0
    """Dials that came to nothing since then."""

    @property
    def proven(self) -> bool:
        """Did we ever connect to it? Else it is hearsay."""
        return self.success_ms is not None

    @property
    def is_public(self) -> bool:
        """Can it be reached from anywhere? Others are groups by themselves."""
        return self.group != self.endpoint.text

    def is_due(self, wall_ms: int) -> bool:
        """Is its last dial long enough ago for another?"""
        if self.tried_ms is None or wall_ms < self.tried_ms:
            return True
        wait_ms = min(RETRY_FIRST_MS << min(self.failures, FAILURES_MAX), RETRY_MAX_MS)
        return wall_ms - self.tried_ms >= wait_ms


class AddressBook:
    """Owner of all entries, in the order in which they were last heard of."""

    def __init__(self, limits: Limits, *, private_ok: bool) -> None:
        """An empty book. Addresses that are not public are refused unless `private_ok` (`addresses.judge`)."""
        self.changed = False
        """Is there something to save? Whoever has saved it says so here."""

        self._limits = limits
        self._private_ok = private_ok
        self._entries: dict[Endpoint, Entry] = {}
        self._told: dict[str, int] = {}
        """Entries by source."""

        self._hearsay: dict[str, dict[Endpoint, None]] = {}
        """Those of them that may be displaced, longest not heard of first."""

        self._anchors: tuple[Endpoint, ...] = ()
        self._first: dict[Endpoint, None] = {}
        """Anchors of the last run that were not dialled in this one yet."""

        self._own: dict[Endpoint, None] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def get(self, endpoint: Endpoint) -> Entry | None:
        """What is known of this endpoint."""
        return self._entries.get(endpoint)

    # --- hearing -------------------------------------------------------------------------------

    def add(self, endpoint: Endpoint, source: str, wall_ms: int) -> bool:
        """Somebody of network group `source` told us of `endpoint`. Is it in the book now?

        A node that tells us where it listens itself is its own source. Not taken: what may not be dialled, what is
        ourselves, and what there is no room for.
        """
        return self.restore(Entry(endpoint, group_of(endpoint), source, wall_ms))

    def restore(self, entry: Entry) -> bool:
        """As `add`, with all that was known of it when the book was saved."""
        endpoint, known = entry.endpoint, self._entries.get(entry.endpoint)
        if known is not None:
            self._put(replace(known, heard_ms=entry.heard_ms), last=True)
            return True
        if not self._may_be_dialled(endpoint) or not self._make_room(entry):
            return False
        self._put(entry)
        return True

    def _may_be_dialled(self, endpoint: Endpoint) -> bool:
        if endpoint in self._own:
            return False
        try:
            judge(endpoint.ip, private_ok=self._private_ok)
        except RuleViolation:
            return False
        return True

    def _make_room(self, entry: Entry) -> bool:
        """Displace hearsay where one more entry needs it; False when none may be displaced."""
        own = self._hearsay.get(entry.source, {})
        within = self._told.get(entry.source, 0) < self._limits.addresses_per_source
        if within and len(self) < self._limits.addresses:
            return True
        largest = max(self._hearsay.values(), key=len, default={})
        if within and len(largest) > len(own) + 1:
            self.forget(next(iter(largest)))
            return True
        oldest = next(iter(own), None)
        if oldest is None or not (entry.proven or self._entries[oldest].heard_ms <= entry.heard_ms - OLD_MS):
            return False
        self.forget(oldest)
        return True

    # --- trying --------------------------------------------------------------------------------

    def succeeded(self, endpoint: Endpoint, key: str, wall_ms: int) -> None:
        """We dialled it, and it proved to be the node `key` of our network. Unknown until now: it told of itself."""
        known = self._entries.get(endpoint) or Entry(endpoint, group_of(endpoint), source_of(endpoint.ip), wall_ms)
        proven = replace(known, heard_ms=wall_ms, key=key, tried_ms=wall_ms, success_ms=wall_ms, failures=0)
        if self.restore(proven):
            self._first.pop(endpoint, None)
            self._put(proven)

    def failed(self, endpoint: Endpoint, wall_ms: int, *, online: bool) -> None:
        """A dial came to nothing. It counts only while we are `online`, in contact with somebody: else it is our
        own line that is down, and would cost us the book. Whoever fails so is no anchor any more."""
        entry = self._entries.get(endpoint)
        if entry is None:
            return
        self._first.pop(endpoint, None)
        if online:
            self._anchors = tuple(anchor for anchor in self._anchors if anchor != endpoint)
        entry = replace(entry, tried_ms=wall_ms, failures=entry.failures + online)
        if entry.failures >= FAILURES_MAX and (
            entry.success_ms is None or abs(wall_ms - entry.success_ms) >= FAILING_MS
        ):
            self.forget(endpoint)
        else:
            self._put(entry)

    def is_ourselves(self, endpoint: Endpoint) -> None:
        """A dial led back to this node: never again."""
        self.forget(endpoint)
        self._own[endpoint] = None
        if len(self._own) > OWN_ENDPOINTS:
            del self._own[next(iter(self._own))]

    def pick(
        self,
        wall_ms: int,
        entropy: Entropy,
        *,
        groups: Container[str] = frozenset(),
        avoid: Callable[[Entry], bool] | None = None,
    ) -> Entry | None:
        """The entry to dial next: an anchor of the last run, else by chance; None when there is none to dial now.

        Never one of a network group in `groups`, one that `avoid` says, or one whose last dial was a moment ago.
        Half of the time it is one that we connected to before: a book full of hearsay does not keep us from old
        acquaintances, nor these from meeting new ones.
        """
        for entry in self._entries.values() if self._first else ():
            if entry.endpoint in self._first and entry.group not in groups and not (avoid and avoid(entry)):
                return entry
        prefer_proven = entropy.random() < 0.5  # noqa: PLR2004 - half of the time
        preferred: dict[str, list[Entry]] = {}
        others: dict[str, list[Entry]] = {}
        for entry in self._entries.values():
            if entry.group in groups or not entry.is_due(wall_ms) or (avoid and avoid(entry)):
                continue
            kind = preferred if entry.proven is prefer_proven else others
            kind.setdefault(entry.group, []).append(entry)
        by_group = preferred or others
        if not by_group:
            return None
        return _one_of(_one_of([*by_group.values()], entropy), entropy)

    # --- anchors -------------------------------------------------------------------------------

    @property
    def anchors(self) -> Sequence[Endpoint]:
        """The last good ones we dialled on our own account, at most `Limits.anchors`."""
        return self._anchors

    def keep_anchors(self, endpoints: Iterable[Endpoint]) -> None:
        """These are the best now, best first; where they are too few, those until now stay after them."""
        known = [endpoint for endpoint in (*endpoints, *self._anchors) if endpoint in self._entries]
        anchors = tuple(dict.fromkeys(known))[: self._limits.anchors]
        self.changed |= anchors != self._anchors
        self._anchors = anchors

    def restore_anchors(self, endpoints: Iterable[Endpoint]) -> None:
        """These were the anchors when the book was saved: `pick` takes them first, once, however lately they
        were dialled. Whoever fills our book gains nothing by having us restart."""
        self.keep_anchors(endpoints)
        self._first = dict.fromkeys(self._anchors)

    # --- forgetting ----------------------------------------------------------------------------

    def forget(self, endpoint: Endpoint) -> None:
        """Drop it, if it is known: its node broke a rule, or it is of no use."""
        entry = self._entries.pop(endpoint, None)
        if entry is None:
            return
        self._anchors = tuple(anchor for anchor in self._anchors if anchor != endpoint)
        self._first.pop(endpoint, None)
        self._told[entry.source] -= 1
        if not self._told[entry.source]:
            del self._told[entry.source]
        self._drop_hearsay(entry)
        self.changed = True

    def forget_stale(self, wall_ms: int) -> None:
        """Drop what was not heard of for `Limits.address_horizon_ms`. Worth doing before the book is saved."""
        horizon_ms = wall_ms - self._limits.address_horizon_ms
        for endpoint in [entry.endpoint for entry in self if entry.heard_ms < horizon_ms]:
            self.forget(endpoint)

    def _put(self, entry: Entry, *, last: bool = False) -> None:
        """Keep this entry; as the `last` heard of, even if it was known."""
        endpoint, known = entry.endpoint, self._entries.get(entry.endpoint)
        if known is None:
            self._told[entry.source] = self._told.get(entry.source, 0) + 1
        elif last:
            del self._entries[endpoint]
        if known is not None and (last or entry.proven):
            self._drop_hearsay(known)
        self._entries[endpoint] = entry
        if not entry.proven:
            self._hearsay.setdefault(entry.source, {})[endpoint] = None
        self.changed = True

    def _drop_hearsay(self, entry: Entry) -> None:
        hearsay = self._hearsay.get(entry.source)
        if hearsay is not None:
            hearsay.pop(entry.endpoint, None)
            if not hearsay:
                del self._hearsay[entry.source]


def _one_of(choices: Sequence[T], entropy: Entropy) -> T:
    return choices[int(entropy.random() * len(choices))]
