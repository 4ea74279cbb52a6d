"""Places for peers that dial us: who gets one, and who gives way.

*Strangers*, whose handshake is not over, have places of their own: who says nothing keeps nobody out who would say
something. When these are taken, the stranger that has been there longest gives way to the next, once it had time for a
handshake over a slow line.

*Peers* that were admitted stay, as long as there are places. When there is one more of them than places, the network
group with the most gives up the one that came last (Bitcoin Core, `SelectNodeToEvict`). So whoever has a network of
addresses and as many keys as it likes takes no place of others, and a peer that is alone in its group keeps its own.
Whoever would be the one to go is told so at the door.

From one host only so many are let in. A host is an address of IPv4, or a /64 of IPv6, which is what one customer gets.
Addresses that are not public say nothing about hands (`netgroups`), and are not counted like this.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from tallystick.errors import Rule, RuleViolation
from tallystick.model.limits import Limits
from tallystick.wire.netgroups import host_of, is_public, source_of


class Guest(msgspec.Struct, frozen=True):
    """A native peer that dialled us. Times are monotonic milliseconds."""

    peer: int
    ip: str
    since_ms: int
    admitted: bool


def check_room(ip: str, guests: Sequence[Guest], now_ms: int, limits: Limits) -> None:
    """Is there a place for somebody at this numeric address? Raises RuleViolation(PEERS_WITHIN_LIMIT).

    `guests` come in the order in which they came.
    """
    if is_public(ip):
        same = sum(host_of(guest.ip) == host_of(ip) for guest in guests)
        if same >= limits.native_inbound_per_host:
            raise RuleViolation(
                Rule.PEERS_WITHIN_LIMIT,
                f"{same} peers at {host_of(ip)} have dialled this node, and more it does not take",
            )
    admitted = _groups(guests)
    if admitted.total() >= limits.native_inbound_peers and admitted[source_of(ip)] + 1 >= max(
        admitted.values(), default=0
    ):
        raise RuleViolation(
            Rule.PEERS_WITHIN_LIMIT,
            f"{admitted.total()} peers have dialled this node, and more it does not take; "
            "let it dial you (addPeer), or try again later",
        )
    strangers = [guest for guest in guests if not guest.admitted]
    if len(strangers) >= limits.strangers and strangers[0].since_ms > now_ms - limits.stranger_grace_ms:
        raise RuleViolation(Rule.PEERS_WITHIN_LIMIT, "too many are just being let in; try again in a moment")


def give_way(guests: Sequence[Guest], limits: Limits) -> list[int]:
    """Who has to go, of guests of whom the last may be one too many."""
    strangers = [guest.peer for guest in guests if not guest.admitted]
    leaving = strangers[: max(0, len(strangers) - limits.strangers)]
    groups = _groups(guests)
    if groups.total() > limits.native_inbound_peers:
        largest = max(groups.values())
        leaving.append(next(g.peer for g in reversed(guests) if g.admitted and groups[source_of(g.ip)] == largest))
    return leaving


def _groups(guests: Sequence[Guest]) -> Counter[str]:
    """How many admitted peers there are of each network group."""
    return Counter(source_of(guest.ip) for guest in guests if guest.admitted)
