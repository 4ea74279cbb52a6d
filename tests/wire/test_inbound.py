"""Who of those that dial us has a place: strangers keep nobody out, and no network takes the places of others."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.errors import RuleViolation
from tallystick.model.limits import Limits
from tallystick.wire.inbound import Guest, check_room, give_way
from tallystick.wire.netgroups import host_of, source_of

LIMITS = Limits(native_inbound_peers=6, native_inbound_per_host=2, strangers=4, stranger_grace_ms=100)
HOSTS = [f"8.{group}.0.{host}" for group in range(3) for host in range(4)] + [f"10.0.0.{host}" for host in range(3)]


class House:
    """Lets guests in as a node does."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.limits = limits
        self.now_ms = 0
        self.number = 0
        self.guests: list[Guest] = []

    def comes(self, ip: str) -> int | None:
        """Its number, if it was let in."""
        try:
            check_room(ip, self.guests, self.now_ms, self.limits)
        except RuleViolation:
            return None
        self.number += 1
        self.guests.append(Guest(self.number, ip, self.now_ms, admitted=False))
        self.make_room()
        return self.number

    def is_admitted(self, number: int | None) -> bool:
        """It shakes hands. Is it here afterwards?"""
        self.guests = [Guest(g.peer, g.ip, g.since_ms, g.admitted or g.peer == number) for g in self.guests]
        self.make_room()
        return number in self.peers

    def make_room(self) -> None:
        leaving = give_way(self.guests, self.limits)
        self.guests = [guest for guest in self.guests if guest.peer not in leaving]

    @property
    def peers(self) -> list[int]:
        return [guest.peer for guest in self.guests if guest.admitted]


visits = st.lists(st.tuples(st.sampled_from(HOSTS), st.booleans(), st.sampled_from([0, 0, 30, 200])), max_size=60)


@given(visits)
def test_there_are_never_more_than_places(visits: list[tuple[str, bool, int]]) -> None:
    house = House()
    for ip, shakes_hands, pause_ms in visits:
        number = house.comes(ip)
        if shakes_hands and number is not None:
            house.is_admitted(number)
        house.now_ms += pause_ms
        assert len(house.peers) <= LIMITS.native_inbound_peers
        assert len(house.guests) - len(house.peers) <= LIMITS.strangers
        of_host = Counter(host_of(guest.ip) for guest in house.guests if guest.ip.startswith("8."))
        assert max(of_host.values(), default=0) <= LIMITS.native_inbound_per_host


@given(visits)
def test_a_peer_that_is_alone_in_its_group_is_never_turned_out(visits: list[tuple[str, bool, int]]) -> None:
    """Catalogue row 32."""
    house = House()
    honest = house.comes("9.9.9.9")
    assert house.is_admitted(honest)
    for ip, shakes_hands, pause_ms in visits:
        number = house.comes(ip)
        if shakes_hands and number is not None:
            house.is_admitted(number)
        house.now_ms += pause_ms
        assert honest in house.peers


def test_strangers_who_say_nothing_keep_nobody_out() -> None:
    """Catalogue rows 31 and 32."""
    house = House()
    for host in range(10):
        house.comes(f"8.8.0.{host}")
    assert len(house.guests) == LIMITS.strangers
    assert house.comes("9.9.9.9") is None  # a handshake takes a moment: nobody is pushed out at once
    house.now_ms += LIMITS.stranger_grace_ms
    assert house.is_admitted(house.comes("9.9.9.9"))
    assert len(house.guests) == LIMITS.strangers


def test_one_network_does_not_keep_out_others() -> None:
    """Catalogue rows 32 and 68: it has all places, and gives up the newest ones; not for more of its own."""
    house = House()
    mine = [number for host in range(6) if house.is_admitted(number := house.comes(f"8.8.0.{host}"))]
    assert len(mine) == LIMITS.native_inbound_peers
    assert house.comes("8.8.7.7") is None
    for count, ip in enumerate(("9.1.0.1", "9.2.0.1", "9.3.0.1", "9.4.0.1", "9.5.0.1"), 1):
        assert house.is_admitted(house.comes(ip))
        assert house.peers[: len(mine) - count] == mine[:-count]
    assert house.comes("9.6.0.1") is None  # one each


@pytest.mark.parametrize(
    ("ip", "neighbour"), [("8.8.8.8", "8.8.8.8"), ("2a00::1", "2a00::ffff:1"), ("::ffff:8.8.8.8", "8.8.8.8")]
)
def test_one_host_has_two_places(ip: str, neighbour: str) -> None:
    """Catalogue row 32: a customer with a /64 has more addresses than there are."""
    assert host_of(ip) == host_of(neighbour)
    assert source_of(ip) == source_of(neighbour)
    house = House()
    assert house.is_admitted(house.comes(ip))
    assert house.comes(neighbour)
    assert house.comes(ip) is None
    assert house.comes("2a00:0:0:1::1")


def test_addresses_that_are_not_public_are_not_counted() -> None:
    house = House()
    assert all(house.is_admitted(house.comes("10.0.0.1")) for _ in range(LIMITS.native_inbound_peers))
    assert house.comes("10.0.0.1") is None
