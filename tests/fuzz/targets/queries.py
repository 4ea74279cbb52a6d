"""What stands in URLs and short texts: parameters, numbers, addresses, subjects of bans. One spelling, or a refusal."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import parse_qs

from tallystick.api import bans, peers, requests
from tallystick.api.blocks import is_index
from tallystick.api.mine import wait_ms_of
from tallystick.api.problems import TABLE, Refusal
from tallystick.errors import Rule, RuleViolation
from tallystick.model.limits import LIMITS
from tallystick.wire.addresses import host_port, is_loopback, judge, parse, plain
from tallystick.wire.standing import parse_subject
from tests.fuzz.target import SetAttribute, Target

KNOWN: Final = {"from", "limit", "wait"}


def one(data: bytes) -> None:
    """A text is read by all that take one from a caller: refused, or taken for what it says, in one spelling."""
    text = data.decode(errors="surrogateescape")
    _check_query(text)
    if isinstance(number := _outcome(requests.whole_number, text, "n", 3, 10**15), int):
        assert 3 <= number <= 10**15
        assert str(number) == text
    assert not is_index(text) or str(int(text)) == text
    for read in (bans.canonical, parse_subject, peers.canonical):
        spelled = _outcome(read, text)
        if isinstance(spelled, str):
            assert read(spelled) == spelled
    _check_subject(text)
    _check_address(text)


def _outcome(read: Callable[..., Any], *given: Any) -> Any:  # noqa: ANN401 - whatever is read
    """What is read, or None: then it was refused with something that callers can be told."""
    try:
        return read(*given)
    except (Refusal, RuleViolation) as refusal:
        what = refusal.fault if isinstance(refusal, Refusal) else refusal.rule
        assert 400 <= TABLE[what].status < 500
        assert refusal.detail.isascii()
        assert len(refusal.detail) < 500
        return None


def _check_query(text: str) -> None:
    given = _outcome(requests.parameters, text, KNOWN)
    if given is not None:
        assert given.keys() <= KNOWN
        assert {name: [value] for name, value in given.items()} == parse_qs(text, keep_blank_values=True)
    wait_ms = _outcome(wait_ms_of, text, LIMITS)
    if wait_ms is not None:
        assert 0 <= wait_ms <= LIMITS.post_wait_max_ms
        assert text == "" or re.fullmatch(r"wait=[0-9.%]+", text)


def _check_subject(text: str) -> None:
    subject = _outcome(bans.canonical, text)
    if subject is not None:
        assert parse_subject(subject) == subject
        assert re.fullmatch(r"[0-9a-f]{64}", subject) or str(plain(subject)) == subject


def _check_address(text: str) -> None:
    address = _outcome(parse, text)
    if address is None:
        return
    assert parse(address.text) == address
    assert 0 < address.port < 65_536
    assert address.text.isascii()
    assert address.text.endswith(host_port(address.host, address.port))
    try:
        ip = ip_address(address.host)
    except ValueError:
        return
    try:
        judge(str(ip), private_ok=False)
    except RuleViolation as refusal:
        assert refusal.rule is Rule.ADDRESS_IS_ALLOWED
    else:
        assert ip.is_global
        assert not ip.is_multicast
        assert not is_loopback(str(ip))


def seeds() -> Iterator[bytes]:
    """Queries, numbers, addresses and subjects, good and bad."""
    yield from (
        b"", b"from=1&limit=20", b"from=%31", b"from=1&from=2", b"limit", b"wait=0", b"wait=1.5", b"wait=300",
        b"wait=1e3",
        b"a=1&b=2&c=3&d=4&e=5", b"0", b"17", b"007", b"1234567890123456", b"latest", b"ab" * 32, b"AB" * 32,
        b"8.8.8.8", b"[::1]", b"::ffff:8.8.8.8", b"fe80::1%eth0", b"2001:db8::7", b"64:ff9b::808:808",
        b"2002:808:808::",
        b"8.8.8.8:3001", b"[2001:4860::1]:3001", b"ws://127.0.0.1:3001", b"wss://node.example", b"ws://[::1]:1/",
        b"ws://2130706433:1", b"ws://0x7f.1:1", b"ws://user@host:1", b"ws://host:1/path", b"ws://host:99999",
        b"http://a:1",
        b"ws://\xc3\xa9:1", b"ws://[fe80::1%25eth0]:1", b"ws://HOST.:1", b"ws://a..b:1",
    )  # fmt: skip


def plant(put: SetAttribute) -> None:
    """A number may be written with zeros in front of it."""
    put(requests, "_WHOLE", re.compile(r"[0-9]{1,16}"))


TARGET: Final = Target(
    one=one,
    seeds=seeds,
    plant=plant,
    dictionary=(b"wait=", b"from=", b"limit=", b"::ffff:", b"ws://", b"%", b"[", b"]"),
    size_bytes=400,
    runs=4_000,
)
