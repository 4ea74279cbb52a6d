"""Endpoints for tests, told apart by their network group."""

from __future__ import annotations

import random

from tallystick.model.limits import Limits
from tallystick.wire.address_book import AddressBook
from tallystick.wire.endpoint import Endpoint

WALL_MS = 1_700_000_000_000
GROUPS = 80 * 256
"""Network groups that `public` knows."""

KEY = "ab" * 32


def public(group: int, host: int = 1, port: int = 3001) -> Endpoint:
    """A public endpoint of one of `GROUPS` groups, each with 65,536 hosts."""
    return Endpoint.of(f"{20 + group // 256}.{group % 256}.{host // 256}.{host % 256}", port)


def source(group: int) -> str:
    """A teller's network group that is no group of `public`."""
    return f"{11 + group // 256}.{group % 256}.0.0/16"


def entropy(seed: int = 0) -> random.Random:
    return random.Random(seed)  # noqa: S311 - repeatable, not secret


def book_of(*endpoints: Endpoint, limits: Limits | None = None, private_ok: bool = True) -> AddressBook:
    """A book that heard of these, each from itself."""
    book = AddressBook(limits or Limits(), private_ok=private_ok)
    for at, endpoint in enumerate(endpoints):
        assert book.add(endpoint, source(at), WALL_MS)
    return book
