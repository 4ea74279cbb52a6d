"""Addresses of peers: how they are written, and which of them nobody may make us dial.

Whoever can call `addPeer` chooses where this machine opens connections, which is worth something to
an attacker inside a private network (server-side request forgery, CWE-918). So an address is parsed
strictly, resolved once by the rim, and every numeric address it resolves to is judged here, in
whatever spelling it came.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final
from urllib.parse import urlsplit

from tallystick.errors import Rule, RuleViolation, shown

ADDRESS_LENGTH_MAX: Final = 300
"""Characters of an address as given: a host name has at most 253 (RFC 1035, section 2.3.4)."""

_DEFAULT_PORTS: Final = {"ws": 80, "wss": 443}
_PRINTABLE_ASCII: Final = re.compile(r"[!-~]+")
_HOST_AND_PORT: Final = re.compile(r"(?:\[[0-9A-Za-z:.%]+\]|[^\[\]:@]+)(?::[0-9]{1,5})?")
_HOST_NAME: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?")
_NAT64: Final = IPv6Network("64:ff9b::/96")  # RFC 6052
_IPV4_COMPATIBLE: Final = IPv6Network("::/96")  # RFC 4291, section 2.5.5.1


@dataclass(frozen=True, slots=True)
class PeerAddress:
    """Where a peer listens."""

    scheme: str
    """`ws` or `wss`."""

    host: str
    """A lower-case name or a numeric address, without brackets."""

    port: int

    @property
    def text(self) -> str:
        """The one canonical way to write it: `ws://host:port`."""
        return f"{self.scheme}://{host_port(self.host, self.port)}"


def host_port(host: str, port: int) -> str:
    """`host:port`, with IPv6 in brackets (RFC 3986, section 3.2.2)."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def ip_of(remote: str) -> str:
    """The numeric address of `host:port`, as `host_port` writes it."""
    return remote.rpartition(":")[0].strip("[]")


def parse(text: str) -> PeerAddress:
    """Read `ws://host:port` or `wss://host:port`. Raises RuleViolation(ADDRESS_IS_WELL_FORMED)."""
    if not _PRINTABLE_ASCII.fullmatch(text) or len(text) > ADDRESS_LENGTH_MAX:
        raise _malformed(f"{shown(text)} is not a plain ASCII address; write ws://HOST:PORT")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise _malformed(f"{shown(text)}: {error}; write ws://HOST:PORT") from error
    if parts.scheme not in _DEFAULT_PORTS:
        raise _malformed(f"{shown(text)} does not start with ws:// or wss://")
    if not _HOST_AND_PORT.fullmatch(parts.netloc) or parts.path not in {"", "/"} or "?" in text or "#" in text:
        raise _malformed(f"{shown(text)} is not just a host and a port; write ws://HOST:PORT")
    if port is None:
        port = _DEFAULT_PORTS[parts.scheme]
    if not host or port == 0:
        raise _malformed(f"{shown(text)} lacks a host, or names port 0; write ws://HOST:PORT")
    return PeerAddress(parts.scheme, _canonical_host(host, text), port)


def _canonical_host(host: str, text: str) -> str:
    try:
        return str(ip_address(host))
    except ValueError:
        if not _HOST_NAME.fullmatch(host):
            raise _malformed(f"{shown(text)} names no valid host; write ws://HOST:PORT") from None
        return host.rstrip(".")


def _malformed(detail: str) -> RuleViolation:
    return RuleViolation(Rule.ADDRESS_IS_WELL_FORMED, detail)


def judge(ip: str, *, private_ok: bool) -> None:
    """May we dial this numeric address? Raises RuleViolation(ADDRESS_IS_ALLOWED).

    Link-local, multicast, unspecified and reserved addresses never; addresses that are not global
    (loopback, private, shared, documentation) only when `private_ok`. IPv4 addresses in the clothes of
    IPv6 are undressed first.
    """
    address = undressed(ip_address(ip))
    if (
        address.is_multicast
        or address.is_unspecified
        or address.is_link_local
        or (address.is_reserved and not address.is_loopback)
        or (address.version == 4 and int(address) >> 24 == 0)  # noqa: PLR2004 - "this network", RFC 1122
    ):
        raise RuleViolation(
            Rule.ADDRESS_IS_ALLOWED, f"{ip} is link-local, multicast, unspecified or reserved; never dialled"
        )
    if not address.is_global and not private_ok:
        raise RuleViolation(
            Rule.ADDRESS_IS_ALLOWED,
            f"{ip} is a loopback or private address and this node listens on a public one; "
            "start the node with --peer, or send the token, to dial it",
        )


def is_loopback(host: str) -> bool:
    """Is this address of this machine's loopback, in any spelling? Of names only `localhost` is."""
    try:
        return undressed(ip_address(host)).is_loopback
    except ValueError:
        return host.rstrip(".") == "localhost"


def plain(ip: str) -> IPv4Address | IPv6Address:
    """A numeric address as the system tells it, without its zone, and in IPv4 if that is what it stands for
    (`::ffff:127.0.0.1`, as a socket that serves both families has it)."""
    address = ip_address(ip.partition("%")[0])
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def undressed(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 address embeds (mapped, compatible, NAT64, 6to4, Teredo), if it does."""
    if isinstance(address, IPv4Address):
        return address
    embedded = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
    if embedded is not None:
        return embedded
    low_32_bits = int(address) & 0xFFFFFFFF
    if address in _NAT64 or (address in _IPV4_COMPATIBLE and low_32_bits > 0xFFFF):  # noqa: PLR2004 - not :: or ::1
        return IPv4Address(low_32_bits)
    return address
