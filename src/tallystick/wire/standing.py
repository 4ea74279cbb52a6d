"""Who is not welcome: for a while, because a rule was broken, or for ever, because the operator said so.

A subject is a numeric address, without its port, for a peer changes that at will; or a node key, so that a node
behind another address, or behind the same proxy as honest ones, is known again. Keys cost nothing to make and
are remembered beside the addresses, not in their place.

What the node remembers by itself is in memory and bounded: those whose time is up soonest are forgiven first, and
a restart forgives everybody. What the operator said is kept by the store and never makes room.

Loopback is never kept out, not even by the operator: behind it may be a proxy, and everybody else behind that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tallystick.errors import Rule, RuleViolation, shown
from tallystick.model.limits import Limits
from tallystick.wire.addresses import is_loopback, plain
from tallystick.wire.reactions import Offence

_KEY: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Banned:
    """Who is kept out."""

    subject: str
    """A node key (64 hex digits) or a numeric address."""

    manual: bool
    """By the operator, and for ever; else for a while, because a rule was broken."""

    remaining_ms: int | None
    """How long yet; None for ever."""


def parse_subject(text: str) -> str:
    """The one spelling of a subject: a key in lower case, an address undressed of IPv6 (`::ffff:8.8.8.8`).

    Raises RuleViolation(BAN_IS_WELL_FORMED).
    """
    if _KEY.fullmatch(text.lower()):
        return text.lower()
    try:
        return str(plain(text[1:-1] if text[:1] == "[" and text[-1:] == "]" else text))
    except ValueError:
        raise RuleViolation(
            Rule.BAN_IS_WELL_FORMED,
            f"{shown(text)} is neither a node key nor a numeric address; write 64 hex digits, or an address "
            "like 203.0.113.7 or 2001:db8::7, without a port",
        ) from None


class Standing:
    """Owner of all grudges and bans. Times are monotonic milliseconds; addresses come in any spelling."""

    def __init__(self, limits: Limits, bans: Iterable[str] = ()) -> None:
        """Begin with the bans that the store remembers."""
        self._limits = limits
        self._lasts_ms = {Offence.VIOLATION: limits.discourage_ms, Offence.RATE: limits.rate_refusal_ms}
        self._addresses: dict[str, int] = {}
        self._keys: dict[str, int] = {}
        """Until when they are refused."""

        self._bans: dict[str, None] = dict.fromkeys(bans)

    # --- remembering ---------------------------------------------------------------------------

    def remember(self, offence: Offence, ip: str, key: str | None, now_ms: int, *, configured: bool = False) -> None:
        """A peer at this address broke a rule; `key` only if it proved to hold it, or it would blame another.

        Nothing is remembered of configured peers, nor of an offence that is slow or benign.
        """
        if configured or offence not in self._lasts_ms:
            return
        until_ms = now_ms + self._lasts_ms[offence]
        if not is_loopback(ip):
            self._refuse(self._addresses, str(plain(ip)), until_ms)
        if key is not None:
            self._refuse(self._keys, key, until_ms)

    def _refuse(self, table: dict[str, int], subject: str, until_ms: int) -> None:
        table[subject] = max(until_ms, table.pop(subject, until_ms))
        if len(table) > self._limits.discouraged_addresses:
            del table[min(table, key=table.__getitem__)]

    # --- asking --------------------------------------------------------------------------------

    def check(self, ip: str, key: str | None, now_ms: int) -> None:
        """May a peer at this address, holding this key if it is known, talk with us?

        Raises RuleViolation: PEER_IS_NOT_BANNED or PEER_IN_GOOD_STANDING.
        """
        address = str(plain(ip))
        for subject in (address, key):
            if subject in self._bans:
                raise RuleViolation(Rule.PEER_IS_NOT_BANNED, f"{subject} is banned by the operator of this node")
        until_ms = max(self._addresses.get(address, now_ms), self._keys.get(key or "", now_ms))
        if until_ms > now_ms:
            raise RuleViolation(
                Rule.PEER_IN_GOOD_STANDING, f"{address} broke a rule; come back in {(until_ms - now_ms) // 1000 + 1} s"
            )

    def is_good(self, ip: str, key: str | None, now_ms: int) -> bool:
        """As `check`, as an answer."""
        try:
            self.check(ip, key, now_ms)
        except RuleViolation:
            return False
        return True

    def banned(self, now_ms: int) -> list[Banned]:
        """Everybody who is kept out now, manual bans first, each in the order they came."""
        grudges = [*self._addresses.items(), *self._keys.items()]
        return [
            *(Banned(subject, manual=True, remaining_ms=None) for subject in self._bans),
            *(
                Banned(subject, manual=False, remaining_ms=until_ms - now_ms)
                for subject, until_ms in grudges
                if until_ms > now_ms
            ),
        ]

    # --- the operator's will -------------------------------------------------------------------

    def ban(self, text: str) -> str:
        """Keep this subject out for ever, and return its one spelling. Banned already: no change.

        Raises RuleViolation: BAN_IS_WELL_FORMED, or BAN_LIST_HAS_ROOM.
        """
        subject = parse_subject(text)
        if is_loopback(subject):
            raise RuleViolation(
                Rule.BAN_IS_WELL_FORMED,
                f"{subject} is this machine's loopback: everybody who comes through a proxy has it; ban the node's key",
            )
        if subject not in self._bans and len(self._bans) >= self._limits.bans:
            raise RuleViolation(
                Rule.BAN_LIST_HAS_ROOM,
                f"{self._limits.bans:,} bans are kept already; lift one first (tallystick unban SUBJECT)",
            )
        self._bans[subject] = None
        return subject

    def forgive(self, text: str, now_ms: int) -> str:
        """Let this subject in again, whatever kept it out, and return its one spelling.

        Raises RuleViolation: BAN_IS_WELL_FORMED, or BAN_IS_KNOWN when nothing keeps it out.
        """
        subject = parse_subject(text)
        banned = subject in self._bans
        until_ms = max(self._addresses.pop(subject, now_ms), self._keys.pop(subject, now_ms))
        self._bans.pop(subject, None)
        if not banned and until_ms <= now_ms:
            raise RuleViolation(Rule.BAN_IS_KNOWN, f"{subject} is not kept out; tallystick peers --banned lists who is")
        return subject
