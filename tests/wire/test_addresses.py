"""Addresses of peers: one spelling, and none that leads where it must not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.errors import Rule, RuleViolation
from tallystick.wire.addresses import PeerAddress, is_loopback, judge, parse


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("ws://localhost:3001", "ws://localhost:3001"),
        ("ws://LocalHost:3001/", "ws://localhost:3001"),
        ("ws://example.org", "ws://example.org:80"),
        ("wss://example.org", "wss://example.org:443"),
        ("ws://example.org.:1", "ws://example.org:1"),
        ("WS://node_1:9", "ws://node_1:9"),
        ("ws://[::1]:3001", "ws://[::1]:3001"),
        ("ws://[0:0:0:0:0:0:0:1]:3001", "ws://[::1]:3001"),
    ],
)
def test_an_address_has_one_spelling(text: str, canonical: str) -> None:
    assert parse(text).text == canonical
    assert parse(canonical).text == canonical


@pytest.mark.parametrize(
    "text",
    [
        "",
        "localhost:3001",
        "http://localhost:3001",
        "https://localhost:3001",
        "file:///etc/passwd",
        "ws:/localhost",
        "ws://",
        "ws://:3001",
        "ws://host:0",
        "ws://host:65536",
        "ws://host:-1",
        "ws://host:\u0663",
        "ws://user:secret@host:1",
        "ws://host:1/path",
        "ws://host:1?query",
        "ws://host:1#fragment",
        "ws://ho st:1",
        "ws://host:1\r\nX: y",
        "ws://[::1:3",
        "ws://[::1]]:3",
        "ws://höst:1",
        "ws://-host:1",
        "ws://a..b:1",
        "ws://" + "a" * 400 + ":1",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    """Catalogue row 112: only ws and wss, only a host and a port."""
    with pytest.raises(RuleViolation) as caught:
        parse(text)
    assert caught.value.rule is Rule.ADDRESS_IS_WELL_FORMED
    assert "\r" not in caught.value.detail


@given(st.text(max_size=60))
def test_parsing_raises_nothing_else(text: str) -> None:
    try:
        address = parse("ws://" + text)
    except RuleViolation:
        return
    assert parse(address.text) == address


NEVER = [
    "0.0.0.0",  # noqa: S104 - an address to refuse, not to listen on
    "0.1.2.3",
    "169.254.169.254",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "ff02::1",
    "::ffff:169.254.169.254",
    "::ffff:0.0.0.0",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
]
ONLY_IF_PRIVATE = [
    "127.0.0.1",
    "127.1.2.3",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "::1",
    "fc00::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
]
ALWAYS = ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("private_ok", [False, True])
@pytest.mark.parametrize("ip", NEVER + ONLY_IF_PRIVATE + ALWAYS)
def test_judgement(ip: str, private_ok: bool) -> None:  # noqa: FBT001 - a case of the matrix
    """Catalogue row 112: every spelling of an address is judged as the address it leads to."""
    if ip in ALWAYS or (ip in ONLY_IF_PRIVATE and private_ok):
        judge(ip, private_ok=private_ok)
        return
    with pytest.raises(RuleViolation) as caught:
        judge(ip, private_ok=private_ok)
    assert caught.value.rule is Rule.ADDRESS_IS_ALLOWED


def test_loopback_in_every_spelling() -> None:
    assert all(map(is_loopback, ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"]))
    assert not any(map(is_loopback, ["10.0.0.1", "::", "::ffff:10.0.0.1"]))


def test_the_text_brackets_ipv6() -> None:
    assert PeerAddress("ws", "::1", 3001).text == "ws://[::1]:3001"
