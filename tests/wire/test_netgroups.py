"""Endpoints have one spelling, and network groups tell hands apart."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.wire.endpoint import Endpoint
from tallystick.wire.netgroups import group_of, is_public, source_of

PORTS = st.integers(1, 65_535)
IPS = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)


@given(IPS, PORTS)
def test_an_endpoint_survives_every_way_of_writing_it(ip: str, port: int) -> None:
    endpoint = Endpoint.of(ip, port)
    assert Endpoint.read(endpoint.text) == endpoint
    assert Endpoint.unpack(endpoint.packed) == endpoint
    assert Endpoint.dialled(endpoint.address) == endpoint


@given(st.ip_addresses(v=4), PORTS)
def test_ipv4_in_the_clothes_of_ipv6_is_the_same_place(ip: IPv4Address, port: int) -> None:
    assert Endpoint.of(f"::ffff:{ip}", port) == Endpoint.of(str(ip), port)
    assert Endpoint.unpack((IPv6Address(f"::ffff:{ip}").packed, port)) == Endpoint.of(str(ip), port)


@pytest.mark.parametrize(
    "text",
    [
        "example.com:3001",
        "localhost:3001",
        "8.8.8.8",
        "8.8.8.8:",
        "8.8.8.8:0",
        "8.8.8.8:65536",
        "8.8.8.8:00000080",
        "8.8.8.8:-1",
        "8.8.8.8:8O",
        "8.8.8.8:\u0661",
        "[8.8.8.8]:80",
        "2001:db8::1:80",
        "[2001:db8::1]",
        "010.0.0.1:80",
        "134744072:80",
        "x" * 1_000_000 + ":80",
        "",
    ],
)
def test_what_is_no_numeric_address_cannot_be_expressed(text: str) -> None:
    """Catalogue row 69: host names and texts of a megabyte."""
    with pytest.raises(ValueError, match=r".") as caught:
        Endpoint.read(text)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("packed", [(b"", 1), (b"abc", 1), (b"x" * 1_000_000, 1), (bytes(4), 0), (bytes(4), 1 << 40)])
def test_a_packed_address_has_4_or_16_bytes_and_a_port(packed: tuple[bytes, int]) -> None:
    with pytest.raises(ValueError, match=r"bytes|port"):
        Endpoint.unpack(packed)


def test_only_numeric_addresses_without_tls_are_endpoints_we_dialled() -> None:
    assert Endpoint.dialled("ws://8.8.8.8:80") == Endpoint("8.8.8.8", 80)
    assert Endpoint.dialled("ws://example.com:80") is None
    assert Endpoint.dialled("wss://8.8.8.8:80") is None


# --- groups -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ip", "group"),
    [
        ("8.8.8.8", "8.8.0.0/16"),
        ("8.8.200.1", "8.8.0.0/16"),
        ("2001:4860:4860::8888", "2001:4860::/32"),
        ("::ffff:8.8.8.8", "8.8.0.0/16"),
        ("64:ff9b::808:808", "8.8.0.0/16"),  # NAT64
        ("2002:808:808::1", "8.8.0.0/16"),  # 6to4
        ("10.0.0.1", None),
        ("127.0.0.1", None),
        ("192.168.1.1", None),
        ("100.64.0.1", None),
        ("169.254.0.1", None),
        ("::1", None),
        ("fd00::1", None),
        ("fe80::1", None),
        ("2002:7f00:1::1", None),  # 6to4 of loopback
    ],
)
def test_a_public_address_belongs_to_its_network_and_any_other_to_itself(ip: str, group: str | None) -> None:
    endpoint = Endpoint.of(ip, 3001)
    assert is_public(ip) is (group is not None)
    assert group_of(endpoint) == (group or endpoint.text)
    assert source_of(endpoint.ip) == (group or endpoint.ip)


@given(st.ip_addresses(v=4), PORTS, PORTS)
def test_the_port_says_nothing_about_public_hands_and_all_about_private_ones(ip: IPv4Address, a: int, b: int) -> None:
    same = group_of(Endpoint.of(str(ip), a)) == group_of(Endpoint.of(str(ip), b))
    assert same is (is_public(str(ip)) or a == b)


def test_whoever_tells_cannot_be_many_by_changing_its_port() -> None:
    assert source_of("127.0.0.1") == "127.0.0.1"
    assert source_of("10.1.2.3") == "10.1.2.3"
