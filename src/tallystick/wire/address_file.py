"""The book of addresses as a file: JSON with a version number.

The file is a convenience, not a record: a node that lost it asks its peers again. So nothing in it is repaired.
What is damaged, too long, or written by a newer version is refused as a whole with one error; whoever reads files
sets it aside and starts with an empty book. What may not be dialled any more, because the node now listens on a
public address, is left out without a word.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta

from tallystick.errors import TallystickError, shown
from tallystick.model.limits import Limits
from tallystick.wire.address_book import AddressBook, Entry
from tallystick.wire.endpoint import Endpoint
from tallystick.wire.netgroups import group_of

VERSION: Final = 1

T = TypeVar("T", bound=msgspec.Struct)

Time = Annotated[int, Meta(ge=0, le=2**53)]
EndpointText = Annotated[str, Meta(max_length=64)]


class AddressFileError(TallystickError):
    """This is no book of addresses that this version can read. The message says why, and what to do."""


class _Head(msgspec.Struct, frozen=True):
    version: int


class _Row(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One entry, as an array: four thousand times the same names would double the file."""

    endpoint: EndpointText
    key: Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z", max_length=64)] | None
    source: Annotated[str, Meta(pattern=r"\A[0-9a-f.:/]+\Z", max_length=64)]
    heard_ms: Time
    tried_ms: Time | None
    success_ms: Time | None
    failures: Annotated[int, Meta(ge=0, le=2**31)]


class _Book(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    anchors: list[EndpointText]
    entries: list[_Row]


def encode(book: AddressBook) -> bytes:
    """The content of the file."""
    rows = [
        _Row(
            entry.endpoint.text,
            entry.key,
            entry.source,
            entry.heard_ms,
            entry.tried_ms,
            entry.success_ms,
            entry.failures,
        )
        for entry in book
    ]
    anchors = [endpoint.text for endpoint in book.anchors]
    return msgspec.json.encode(_Book(VERSION, anchors, rows))


def decode(content: bytes, limits: Limits, *, private_ok: bool) -> AddressBook:
    """The book that was saved so. Raises AddressFileError."""
    if len(content) > limits.address_file_bytes:
        raise _refused(f"has {len(content):,} bytes; a book has at most {limits.address_file_bytes:,}")
    version = _read(_Head, content).version
    if version != VERSION:
        raise _refused(f"has version {shown(version)}; this program reads version {VERSION}")
    saved = _read(_Book, content)
    if len(saved.entries) > limits.addresses:
        raise _refused(f"holds {len(saved.entries):,} addresses; at most {limits.addresses:,} are kept")
    book = AddressBook(limits, private_ok=private_ok)
    seen: set[Endpoint] = set()
    for row in saved.entries:
        endpoint = _endpoint(row.endpoint)
        if endpoint in seen:
            raise _refused(f"names {endpoint.text} twice")
        seen.add(endpoint)
        book.restore(
            Entry(
                endpoint,
                group_of(endpoint),
                row.source,
                row.heard_ms,
                row.key,
                row.tried_ms,
                row.success_ms,
                row.failures,
            )
        )
    book.restore_anchors(_endpoint(anchor) for anchor in saved.anchors)
    book.changed = False
    return book


def _read(kind: type[T], content: bytes) -> T:
    try:
        return msgspec.json.decode(content, type=kind)
    except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors, and so is text that is no UTF-8
        raise _refused(f"is damaged or cut short ({str(error)[:200]})") from error


def _endpoint(text: str) -> Endpoint:
    try:
        endpoint = Endpoint.read(text)
    except ValueError as error:
        raise _refused(f"is damaged: {error}") from error
    if endpoint.text != text:
        raise _refused(f"is damaged: {shown(text)} is not how {endpoint.text} is written")
    return endpoint


def _refused(why: str) -> AddressFileError:
    return AddressFileError(f"the file of addresses {why}; set it aside, and the node learns addresses anew")
