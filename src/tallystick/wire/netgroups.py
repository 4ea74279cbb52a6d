"""Network groups: which addresses are likely to belong to one hand.

Whoever rents a thousand addresses gets them next to one another: all in the same /16 of IPv4, or the same /32 of
IPv6, which is what providers are given. So a node connects to at most one node of a group on its own account, and
believes a group no more than its share (Bitcoin Core, `NetGroupManager::GetGroup`). Addresses that are not public
say nothing about hands: on one machine, or in one office, each node is somebody else's, and its own group.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Final

from tallystick.wire.addresses import undressed
from tallystick.wire.endpoint import Endpoint

_PREFIX: Final = {4: 16, 6: 32}
"""Bits of an address that name its group."""

_HOST_PREFIX: Final = 64
"""Bits of an IPv6 address that are not its owner's to choose."""


@lru_cache(maxsize=1_024)
def is_public(ip: str) -> bool:
    """Is this numeric address one of the public internet? Embedded IPv4 counts as what it is."""
    return undressed(ip_address(ip)).is_global


def group_of(endpoint: Endpoint) -> str:
    """Of all endpoints in one group, we dial one: `8.8.0.0/16`, `2001:4860::/32`; else `ip:port` by itself."""
    return _network(endpoint.ip) or endpoint.text


def source_of(ip: str) -> str:
    """Who tells us of addresses: a network group; else the address, for a teller chooses its port at will."""
    return _network(ip) or ip


def host_of(ip: str) -> str:
    """What belongs to one machine, or one customer: an address of IPv4, or a /64 of IPv6."""
    address = undressed(ip_address(ip))
    return str(address) if address.version == 4 else str(ip_network((address, _HOST_PREFIX), strict=False))  # noqa: PLR2004 - IPv4


@lru_cache(maxsize=1_024)
def _network(ip: str) -> str | None:
    address = undressed(ip_address(ip))
    return str(ip_network((address, _PREFIX[address.version]), strict=False)) if address.is_global else None
