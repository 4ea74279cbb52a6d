"""Whom a node knows: what it asks, what it believes, what it tells, and what is left after a restart."""

from __future__ import annotations

from tallystick.model.limits import MINUTE_MS, SECOND_MS
from tallystick.node.effects import Dial
from tallystick.node.inputs import PeerClosed
from tallystick.wire.native.messages import Address, Addrs, GetAddrs
from tests.node.player import Player
from tests.node.strangers import ADDRESS, NativePeer


def publics(count: int) -> tuple[Address, ...]:
    return tuple(Address(bytes([11 + n % 80, n // 80, 9, 9]), 3001) for n in range(count))


def told_by_a_configured_peer(addresses: tuple[Address, ...], *, discover: bool = False) -> tuple[Player, NativePeer]:
    node = Player(dial=[ADDRESS], discover=discover)
    node.wait(0)
    peer = NativePeer(node, "teller", dialled=ADDRESS, remote="10.0.0.9:1").joins()
    peer.says(Addrs(peer.takes(GetAddrs).id, addresses))
    return node, peer


def known(node: Player) -> int:
    return node.node.status(node.now, node.store).addresses


def asked_by(peer: NativePeer) -> set[Address]:
    peer.forgets()
    peer.says(GetAddrs(1))
    return set(peer.takes(Addrs).addresses)


def test_only_peers_that_we_dialled_are_asked_whom_they_know() -> None:
    """Catalogue row 69: whoever dials us fills no book."""
    node = Player()
    inbound = NativePeer(node, "inbound").joins()
    assert inbound.all(GetAddrs) == []
    told_by_a_configured_peer(())


def test_what_a_peer_tells_is_known_and_told_on() -> None:
    node, _ = told_by_a_configured_peer(publics(20))
    assert known(node) >= 20
    asker = NativePeer(node, "asker", remote="8.8.8.8:1").joins()
    assert set(publics(20)) <= asked_by(asker)


def test_a_peer_that_dialled_us_is_known_by_the_port_it_listens_at() -> None:
    node = Player()
    NativePeer(node, "listens", remote="8.8.8.8:5000", listen_port=3001).joins()
    NativePeer(node, "does not", remote="8.8.4.4:5000").joins()
    asker = NativePeer(node, "asker", remote="1.1.1.1:1").joins()
    assert asked_by(asker) == {Address(bytes([8, 8, 8, 8]), 3001)}


def test_what_is_behind_our_wall_is_told_to_nobody_before_it() -> None:
    node, _ = told_by_a_configured_peer((Address(bytes([192, 168, 0, 7]), 3001), *publics(1)))
    outside = NativePeer(node, "outside", remote="8.8.8.8:1").joins()
    inside = NativePeer(node, "inside", remote="192.168.0.9:1").joins()
    wall = Address(bytes([192, 168, 0, 7]), 3001)
    assert wall not in asked_by(outside)
    assert wall in asked_by(inside)


def test_more_than_was_asked_for_is_not_believed() -> None:
    """Catalogue row 69: a reply nobody asked for costs the connection, however full of news it is."""
    node, peer = told_by_a_configured_peer(publics(3))
    peer.says(Addrs(99, publics(40)))
    assert peer.closed is not None
    assert known(node) <= 4


def test_the_book_goes_to_disk_when_it_changed_and_is_there_after_a_restart() -> None:
    node, peer = told_by_a_configured_peer(publics(10))
    peer.waits(node.limits.save_addresses_ms)
    assert node.addresses is not None
    before = known(node)
    node.restart()
    assert known(node) == before


def test_a_node_dials_whom_it_was_told_of_and_no_two_of_one_group() -> None:
    node, peer = told_by_a_configured_peer((*publics(4), Address(bytes([11, 0, 9, 10]), 3001)), discover=True)
    dials = [effect.address for effect in node.wait(10 * SECOND_MS) if isinstance(effect, Dial)]
    assert peer.closed is None
    assert len(dials) == 4
    assert len({dial.removeprefix("ws://").split(".")[0] for dial in dials}) == 4


def test_a_node_that_discovers_nobody_dials_the_configured_only() -> None:
    node, _ = told_by_a_configured_peer(publics(4))
    assert [effect for effect in node.wait(MINUTE_MS // 2) if isinstance(effect, Dial)] == []


def test_a_configured_peer_is_dialled_again() -> None:
    node, peer = told_by_a_configured_peer(())
    node.tell(PeerClosed(peer.number, "gone"))
    assert [effect.address for effect in node.wait(2 * SECOND_MS) if isinstance(effect, Dial)] == [ADDRESS]


def test_what_is_connected_the_other_way_round_is_not_dialled() -> None:
    """Catalogue row 30: it would be closed as a duplicate, over and over."""
    node, peer = told_by_a_configured_peer(())
    node.tell(PeerClosed(peer.number, "gone"))
    other = NativePeer(node, "teller").joins()
    assert [effect for effect in node.wait(20 * SECOND_MS) if isinstance(effect, Dial)] == []
    assert other.closed is None
    node.tell(PeerClosed(other.number, "gone"))
    assert [effect.address for effect in node.wait(SECOND_MS) if isinstance(effect, Dial)] == [ADDRESS]
