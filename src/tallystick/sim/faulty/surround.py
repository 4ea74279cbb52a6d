"""Those who want to be whom everybody knows: a *poisoner* fills books of addresses, an *eclipser* fills places.

A poisoner tells of a thousand addresses at a time, where nobody listens or only itself. An eclipser is many machines of
one hand, in few network groups: they dial everybody under many keys, to take all places for those who dial, tell of
nobody but each other, to take all places for those who are dialled, and of the chain they say that it has not begun.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address
from typing import Any, Final

from tallystick.node.inputs import Now
from tallystick.sim.chance import happens
from tallystick.sim.faulty.guest import Guest, Talk
from tallystick.wire.endpoint import Endpoint
from tallystick.wire.native.messages import (
    Address,
    Addrs,
    Blocks,
    GetAddrs,
    GetBlocks,
    GetHeaders,
    GetRecords,
    GetSurvey,
    Headers,
    Message,
    Records,
    Survey,
)

TOLD: Final = 1_000
"""Addresses in an answer: as many as there may be."""


class Innocent(Guest):
    """Has no chain and no records, and says so."""

    def heard(self, talk: Talk, message: Message, now: Now) -> Sequence[Message]:
        match message:
            case GetHeaders():
                return [Headers(message.id, message.locator[-1], (), ())]
            case GetSurvey():
                return [Survey(message.id, message.locator[-1], ())]
            case GetBlocks():
                return [Blocks(message.id, (), tuple(range(len(message.points))))]
            case GetRecords():
                return [Records(message.id, (), tuple(range(len(message.names))))]
            case GetAddrs():
                return [Addrs(message.id, tuple(self.whom()))]
        return super().heard(talk, message, now)

    def whom(self) -> Sequence[Address]:
        """Of whom it tells."""
        return ()


class Poisoner(Innocent):
    """Floods the book with addresses. Nobody asks whoever dials him for any, so it comes to say where it listens, goes
    again, and waits to be dialled."""

    acts_every_ms = 3_000
    redial_ms = 60_000

    def whom(self) -> Sequence[Address]:
        """Anywhere on the internet, each in another network."""
        return [Address(_anywhere(self.chance.getrandbits(32)), 3001) for _ in range(TOLD)]

    def acts(self, talk: Talk, now: Now) -> Sequence[Message]:
        """Once in a while it tells without being asked."""
        return [Addrs(1, tuple(self.whom()[:50]))] if happens(self.chance, 0.02) else []

    def leaves(self, talk: Talk, now: Now) -> bool:
        return talk.dialled is not None and now.mono_ms - talk.in_ms >= self.acts_every_ms


class Eclipser(Innocent):
    """One of many machines of one hand. It is somebody else on each connection."""

    redial_ms = 20_000

    def __init__(self, *arguments: Any, friends: Sequence[str] = (), **others: Any) -> None:  # noqa: ANN401 - likewise
        """`friends` are where the machines of this hand listen, `ws://ip:port` each."""
        super().__init__(*arguments, **others, one_key=False)
        found = [Endpoint.dialled(friend) for friend in friends]
        self._friends = [Address(*endpoint.packed) for endpoint in found if endpoint is not None]

    def whom(self) -> Sequence[Address]:
        return self._friends


def _anywhere(bits: int) -> bytes:
    """A numeric address that may be dialled, if there is one."""
    address = IPv4Address(bits)
    return (address if address.is_global else IPv4Address((bits & 0x00FF_FFFF) | 0x0800_0000)).packed
