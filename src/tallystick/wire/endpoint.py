"""Where a node listens, as nodes tell one another: a numeric address and a port, and nothing else.

A name would send whoever hears of it to a name server, and let the teller choose what it is asked. So what goes
into the book of addresses and over the wire is an `Endpoint`, in which no name can be expressed. One place has one
spelling: IPv4 in the clothes of IPv6 (`::ffff:8.8.8.8`) is undressed, zones are cut off.
"""

from __future__ import annotations

import re
from contextlib import suppress
from ipaddress import ip_address
from typing import Final, NamedTuple

from tallystick.errors import shown
from tallystick.wire.addresses import host_port, plain

PORT_MAX: Final = 65_535
PACKED_SIZES: Final = (4, 16)
"""Bytes of an IPv4 and of an IPv6 address."""

_PORT: Final = re.compile(r"[0-9]{1,5}", re.ASCII)

Packed = tuple[bytes, int]
"""As it goes over the wire: the address in network order, `PACKED_SIZES` long, and the port."""


class Endpoint(NamedTuple):
    """A numeric address and a port. Make it with `of`, `read` or `unpack`, which see to the one spelling."""

    ip: str
    port: int

    @classmethod
    def of(cls, ip: str, port: int) -> Endpoint:
        """From a numeric address in any spelling. Raises ValueError for anything else, and for port 0."""
        if not 0 < port <= PORT_MAX:
            raise ValueError(f"port {port} is not from 1 to {PORT_MAX}")
        return cls(str(plain(ip)), port)

    @classmethod
    def read(cls, text: str) -> Endpoint:
        """From `ip:port`, IPv6 in brackets, as connections and the file of addresses name it. Raises ValueError."""
        host, _, port = text.rpartition(":")
        bracketed = host.startswith("[") and host.endswith("]")
        if _PORT.fullmatch(port) and bracketed is (":" in host):
            with suppress(ValueError):
                return cls.of(host[1:-1] if bracketed else host, int(port))
        raise ValueError(f"{shown(text)} is not a numeric address and a port from 1 to {PORT_MAX}")

    @classmethod
    def dialled(cls, address: str) -> Endpoint | None:
        """From `ws://ip:port`; None where a name or another scheme is dialled."""
        scheme, _, rest = address.partition("://")
        try:
            return cls.read(rest) if scheme == "ws" else None
        except ValueError:
            return None

    @classmethod
    def unpack(cls, packed: Packed) -> Endpoint:
        """From what a peer sent. Raises ValueError."""
        ip, port = packed
        if len(ip) not in PACKED_SIZES:
            raise ValueError(f"an address of {len(ip)} bytes; 4 or 16 are expected")
        return cls.of(str(ip_address(ip)), port)

    @property
    def packed(self) -> Packed:
        """As it goes over the wire."""
        return ip_address(self.ip).packed, self.port

    @property
    def text(self) -> str:
        """`ip:port`."""
        return host_port(self.ip, self.port)

    @property
    def address(self) -> str:
        """What is dialled: `ws://ip:port`."""
        return f"ws://{self.text}"
