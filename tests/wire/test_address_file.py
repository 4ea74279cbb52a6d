"""The book of addresses as a file: what was saved is what is read, and anything else is refused as a whole."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.model.limits import Limits
from tallystick.wire import address_file
from tallystick.wire.address_book import AddressBook
from tallystick.wire.address_file import AddressFileError
from tallystick.wire.endpoint import Endpoint
from tests.wire.places import KEY, WALL_MS, book_of, entropy, public
from tests.wire.test_address_book import SMALL, STEPS, check_counts, play

Document = dict[str, object]


def read(content: bytes, limits: Limits | None = None) -> AddressBook:
    return address_file.decode(content, limits or Limits(), private_ok=True)


def saved() -> bytes:
    book = book_of(public(0), Endpoint.of("2001:4860::1", 3001), Endpoint.of("127.0.0.1", 3001))
    book.succeeded(public(0), KEY, WALL_MS)
    book.keep_anchors([public(0)])
    return address_file.encode(book)


@given(STEPS)
def test_what_is_saved_is_what_is_read(steps: list[tuple[str, Endpoint, str]]) -> None:
    """Law: decode(encode(book)) is the same book, in the same order, with the same fate."""
    book, now = play(steps)
    content = address_file.encode(book)
    again = address_file.decode(content, SMALL, private_ok=False)
    assert list(again) == list(book)
    assert again.anchors == book.anchors
    check_counts(again, SMALL)
    assert address_file.encode(again) == content
    assert not again.changed
    if not book.anchors:
        assert again.pick(now, entropy(7)) == book.pick(now, entropy(7))


@given(st.binary(max_size=200))
def test_anything_else_is_one_error(content: bytes) -> None:
    """Catalogue row 71: corrupt."""
    with pytest.raises(AddressFileError):
        read(content)


@given(st.data())
def test_a_file_cut_short_is_refused(data: st.DataObject) -> None:
    """Catalogue row 71: truncated."""
    content = saved()
    with pytest.raises(AddressFileError, match="damaged or cut short"):
        read(content[: data.draw(st.integers(0, len(content) - 1))])


@given(st.data())
def test_a_damaged_byte_is_an_error_or_another_book_and_never_anything_else(data: st.DataObject) -> None:
    """Catalogue row 71: corrupt."""
    content = bytearray(saved())
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        check_counts(read(bytes(content)), Limits())
    except AddressFileError as refused:
        assert len(str(refused)) < 500


@pytest.mark.parametrize("version", [2, 10**30, 0, -1])
def test_a_file_of_another_version_is_refused(version: int) -> None:
    """Catalogue row 71: future version, even with a form that is not known today."""
    content = json.dumps({"version": version, "buckets": [[1, 2], {"a": None}]}).encode()
    with pytest.raises(AddressFileError, match="version"):
        read(content)


def edited(**changes: object) -> bytes:
    document: Document = json.loads(saved())
    return json.dumps(document | changes).encode()


def row(**changes: object) -> list[object]:
    names = ("endpoint", "key", "source", "heard_ms", "tried_ms", "success_ms", "failures")
    good: Document = dict(zip(names, ["20.0.0.1:1", None, "20.0.0.0/16", WALL_MS, None, None, 0], strict=True))
    return list((good | changes).values())


def test_the_rows_of_these_tests_are_good() -> None:
    assert len(read(edited(anchors=[], entries=[row()]))) == 1


@pytest.mark.parametrize(
    "content",
    [
        edited(extra=1),
        edited(entries={}),
        edited(anchors=["example.com:1"]),
        edited(entries=[row(), row()]),
        edited(entries=[[*row(), 1]]),
        edited(entries=[row()[:-1]]),
        edited(entries=[row(endpoint="example.com:3001")]),
        edited(entries=[row(endpoint="[::ffff:20.0.0.1]:1")]),
        edited(entries=[row(endpoint="20.0.0.1:0")]),
        edited(entries=[row(endpoint="x" * 1_000_000)]),
        edited(entries=[row(key="AB" * 32)]),
        edited(entries=[row(key="ab" * 31)]),
        edited(entries=[row(key="ab" * 32 + "\n")]),
        edited(entries=[row(source="")]),
        edited(entries=[row(source="20.0.0.0/16\n")]),
        edited(entries=[row(heard_ms=-1)]),
        edited(entries=[row(heard_ms=10**30)]),
        edited(entries=[row(heard_ms=1.5)]),
        edited(entries=[row(heard_ms=None)]),
        edited(entries=[row(tried_ms="1")]),
        edited(entries=[row(success_ms=True)]),
        edited(entries=[row(failures=-1)]),
        b"[" * 1_000_000,
        b'{"version":' + b"[" * 1_000_000,
        b'{"version":1,"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"\xff\xfe{}",
        b"null",
        b"",
    ],
    ids=range(28),
)
def test_what_we_never_wrote_is_refused(content: bytes) -> None:
    """Catalogue row 71: corrupt, in every field."""
    with pytest.raises(AddressFileError) as refused:
        read(content)
    assert len(str(refused.value)) < 500


def test_a_file_that_is_too_long_is_refused_before_it_is_read() -> None:
    """Catalogue row 71: oversized."""
    limits = Limits(addresses=2)
    with pytest.raises(AddressFileError, match="bytes"):
        read(b" " * (limits.address_file_bytes + 1), limits)
    with pytest.raises(AddressFileError, match="at most 2"):
        read(saved(), limits)


def test_the_longest_entries_fit() -> None:
    limits = Limits(addresses=64, addresses_per_source=64)
    book = AddressBook(limits, private_ok=True)
    for n in range(limits.addresses):
        longest = Endpoint.of(f"fdff:ffff:ffff:ffff:ffff:ffff:ffff:ff{n + 16:02x}", 65_535)
        book.add(longest, longest.ip, 2**53)
        book.succeeded(longest, KEY, 2**53)
        for _ in range(20):
            book.failed(longest, 2**53, online=True)
        book.keep_anchors([longest])
    content = address_file.encode(book)
    assert len(read(content, limits)) == limits.addresses
    assert len(content) // limits.addresses * Limits().addresses < Limits().address_file_bytes


def test_private_addresses_are_left_out_where_the_node_is_public_now() -> None:
    book = address_file.decode(saved(), Limits(), private_ok=False)
    assert [entry.endpoint.ip for entry in book] == ["2001:4860::1", public(0).ip]
