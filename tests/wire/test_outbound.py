"""Connections on our own account: how many, to whom, and which are replaced."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from tallystick.model.limits import MINUTE_MS, SECOND_MS, Limits
from tallystick.wire.address_book import RETRY_FIRST_MS, AddressBook
from tallystick.wire.endpoint import Endpoint
from tallystick.wire.outbound import DIAL_EVERY_MS, LOOK_AGAIN_MS, REFRESH_MS, Chain, Outbound
from tests.wire.places import KEY, WALL_MS, book_of, entropy, public, source

LIMITS = Limits()


class Player:
    """Outbound connections on a clock that the test moves; who answers a dial is up to the test."""

    def __init__(self, book: AddressBook, limits: Limits = LIMITS, dice: random.Random | None = None) -> None:
        self.book = book
        self.outbound = Outbound(limits, book, 0)
        self.now_ms = 0
        self.dice = dice or entropy()
        self.peers: dict[int, str] = {}

    @property
    def wall_ms(self) -> int:
        return WALL_MS + self.now_ms

    def dials(self) -> list[str]:
        return self.outbound.due(self.now_ms, self.wall_ms, self.dice)

    def dials_until(self, ms: int) -> list[str]:
        """All dials until then, made when `next_ms` says so."""
        found: list[str] = []
        while (due := self.outbound.next_ms()) is not None and due <= ms:
            self.now_ms = max(due, self.now_ms)
            found += self.dials()
            assert (self.outbound.next_ms() or ms) > self.now_ms, "it would be asked again and again"
        self.now_ms = ms
        return found

    def connects(self, address: str, key: str = KEY) -> int:
        peer = len(self.peers) + 1
        self.peers[peer] = address
        assert self.outbound.opened(address, peer)
        self.outbound.ready(peer, key, self.now_ms, self.wall_ms)
        return peer

    def ends(self, peer: int) -> None:
        self.outbound.ended(peer, self.wall_ms)


def group(address: str) -> str:
    return ".".join(address.removeprefix("ws://").split(".")[:2])


def test_nothing_is_dialled_while_the_book_is_empty() -> None:
    player = Player(book_of())
    assert player.outbound.next_ms() is None
    assert player.dials() == []


def test_so_many_are_dialled_one_in_half_a_second_each_in_another_group() -> None:
    """Catalogue row 68: one hand holds one of our connections."""
    player = Player(book_of(*(public(n % 20, host=n) for n in range(400))))
    dialled = player.dials_until(60 * SECOND_MS)
    assert len(dialled) == len({group(address) for address in dialled}) == LIMITS.outbound_peers
    assert player.now_ms >= (LIMITS.outbound_peers - 1) * DIAL_EVERY_MS
    player.now_ms += DIAL_EVERY_MS
    assert player.dials() == []
    assert all(address in player.outbound for address in dialled)


def test_dials_are_paced() -> None:
    player = Player(book_of(*(public(n) for n in range(20))))
    assert len(player.dials()) == 1
    assert player.dials() == []
    player.now_ms += DIAL_EVERY_MS - 1
    assert player.dials() == []
    player.now_ms += 1
    assert len(player.dials()) == 1


def test_configured_peers_count_with_their_groups() -> None:
    player = Player(book_of(*(public(n) for n in range(20))))
    for n in range(6):
        player.outbound.configured_ready(100 + n, public(n, host=77))
    dialled = player.dials_until(60 * SECOND_MS)
    assert len(dialled) == 2
    assert not {group(address) for address in dialled} & {group(public(n).address) for n in range(6)}
    player.ends(100)
    assert len(player.dials_until(120 * SECOND_MS)) == 1


def test_a_place_that_becomes_free_is_filled() -> None:
    player = Player(book_of(*(public(n) for n in range(20))))
    peers = [player.connects(address) for address in player.dials_until(60 * SECOND_MS)]
    assert player.dials_until(120 * SECOND_MS) == []
    player.ends(peers[0])
    assert len(player.dials_until(180 * SECOND_MS)) == 1


def test_a_dial_that_fails_frees_its_place_and_is_not_repeated_at_once() -> None:
    player = Player(book_of(public(0), public(1)))
    [first, second] = player.dials_until(SECOND_MS)
    player.outbound.failed(first, player.wall_ms)
    player.outbound.failed(second, player.wall_ms)
    assert player.dials_until(RETRY_FIRST_MS) == []
    assert set(player.dials_until(2 * RETRY_FIRST_MS)) == {first, second}


def test_a_connection_without_a_handshake_is_a_failure() -> None:
    player = Player(book_of(public(0), public(1)))
    [first, second] = player.dials_until(SECOND_MS)
    player.connects(first)
    assert player.outbound.opened(second, 9)
    assert not player.outbound.opened(second, 10), "one connection a dial"
    player.ends(9)
    failed = player.book.get(public(0) if second == public(0).address else public(1))
    assert failed is not None
    assert failed.failures == 1


def test_what_we_did_not_dial_is_not_ours() -> None:
    player = Player(book_of(public(0)))
    assert not player.outbound.opened(public(0).address, 1)
    player.outbound.ready(1, KEY, 0, WALL_MS)
    player.outbound.failed(public(0).address, WALL_MS)
    player.ends(1)
    assert player.outbound.weigh(1, 0, 10, 0) is Chain.FINE
    entry = player.book.get(public(0))
    assert entry is not None
    assert entry.tried_ms is None


def test_a_book_without_anything_new_is_looked_at_now_and_then() -> None:
    player = Player(book_of(public(0)))
    player.connects(player.dials()[0])
    player.now_ms = SECOND_MS
    assert player.dials() == []
    assert player.outbound.next_ms() == SECOND_MS + DIAL_EVERY_MS + LOOK_AGAIN_MS
    player.book.add(public(5), source(5), player.wall_ms)
    assert player.outbound.next_ms() == SECOND_MS + DIAL_EVERY_MS
    assert len(player.dials_until(2 * SECOND_MS)) == 1


def test_whoever_is_connected_otherwise_is_avoided() -> None:
    player = Player(book_of(public(0), public(1)))
    avoided = [
        player.outbound.due(now, WALL_MS, player.dice, avoid=lambda entry: entry.endpoint == public(0))
        for now in range(0, 10_000, 500)
    ]
    assert [address for dialled in avoided for address in dialled] == [public(1).address]


def test_the_longest_standing_are_the_anchors() -> None:
    """Catalogue row 68."""
    player = Player(book_of(*(public(n) for n in range(20))))
    addresses = player.dials_until(60 * SECOND_MS)
    peers = []
    for address in addresses:
        player.now_ms += SECOND_MS
        peers.append(player.connects(address))
    assert [anchor.address for anchor in player.book.anchors] == addresses[:2]
    player.ends(peers[0])
    player.now_ms += RETRY_FIRST_MS
    player.connects(player.dials()[0])
    assert [anchor.address for anchor in player.book.anchors] == addresses[1:3]


def test_a_connection_that_stands_is_not_forgotten_by_the_book() -> None:
    player = Player(book_of(public(0)), Limits(outbound_peers=1))
    player.connects(player.dials()[0])
    player.dials_until(40 * 24 * REFRESH_MS)
    player.book.forget_stale(player.wall_ms)
    assert len(player.book) == 1


def test_who_was_forgotten_for_a_reason_stays_forgotten_when_the_connection_ends() -> None:
    player = Player(book_of(public(0)))
    peer = player.connects(player.dials()[0])
    player.book.forget(public(0))
    player.dials_until(2 * REFRESH_MS)
    player.ends(peer)
    assert len(player.book) == 0


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2_000)), max_size=60), st.integers(0, 99))
def test_never_too_many_and_never_two_of_a_group(steps: list[tuple[int, int]], seed: int) -> None:
    """Law: whatever happens to connections, places are bounded and groups differ."""
    limits = Limits(outbound_peers=3)
    book = book_of(*(public(n % 6, host=n) for n in range(24)))
    player = Player(book, limits, entropy(seed))
    dialling: list[str] = []
    open_peers: list[int] = []
    for step, pause in steps:
        player.now_ms += pause
        if step == 1 and dialling:
            open_peers.append(player.connects(dialling.pop(0)))
        elif step == 2 and dialling:
            player.outbound.failed(dialling.pop(0), player.wall_ms)
        elif step == 3 and open_peers:
            player.ends(open_peers.pop(0))
        else:
            dialling += player.dials()
        ours = dialling + [player.peers[peer] for peer in open_peers]
        assert len(ours) == len({group(address) for address in ours}) <= limits.outbound_peers


# --- peers on an old chain --------------------------------------------------------------------------


def one_connection() -> tuple[Player, int]:
    player = Player(book_of(public(0), public(1)))
    return player, player.connects(player.dials()[0])


def test_a_peer_on_an_old_chain_is_asked_and_then_replaced() -> None:
    """Catalogue row 63: all outbound peers stuck on an old chain are replaced in some 20 minutes."""
    player, peer = one_connection()
    stuck, grace = LIMITS.stuck_ms, LIMITS.stuck_grace_ms
    assert (stuck, grace) == (20 * MINUTE_MS, 2 * MINUTE_MS)
    weigh = player.outbound.weigh
    assert weigh(peer, 5, 10, 0) is Chain.FINE
    assert player.outbound.next_ms() is not None
    assert weigh(peer, 5, 10, stuck - 1) is Chain.FINE
    assert weigh(peer, 5, 12, stuck) is Chain.ASK
    assert weigh(peer, 5, 12, stuck + grace - 1) is Chain.FINE
    assert weigh(peer, 9, 12, stuck + grace) is Chain.REPLACE
    assert weigh(peer, 9, 12, stuck + grace + 1) is Chain.FINE, "said once"
    player.now_ms = stuck + grace
    player.ends(peer)
    assert player.dials() == [public(1 if player.peers[peer] == public(0).address else 0).address]
    assert list(player.book.anchors) == []


def test_a_peer_that_keeps_up_a_block_behind_is_fine_for_ever() -> None:
    player, peer = one_connection()
    for minute in range(200):
        assert player.outbound.weigh(peer, 100 + minute - 1, 100 + minute, minute * MINUTE_MS) is Chain.FINE


def test_a_peer_that_catches_up_when_asked_is_kept() -> None:
    player, peer = one_connection()
    weigh, stuck = player.outbound.weigh, LIMITS.stuck_ms
    weigh(peer, 5, 10, 0)
    assert weigh(peer, 5, 20, stuck) is Chain.ASK
    assert weigh(peer, 10, 20, stuck + 1) is Chain.FINE, "it has what we had when it began to lag"
    assert weigh(peer, 10, 20, stuck + LIMITS.stuck_grace_ms) is Chain.FINE
    assert weigh(peer, 10, 20, 2 * stuck + 1) is Chain.ASK, "and from then on 20 is asked for"
    assert weigh(peer, 20, 20, 2 * stuck + 2) is Chain.FINE
    assert weigh(peer, 20, 20, 10 * stuck) is Chain.FINE


def test_while_we_are_behind_nobody_is_stuck() -> None:
    player, peer = one_connection()
    assert all(player.outbound.weigh(peer, 10, 5, minute * MINUTE_MS) is Chain.FINE for minute in range(100))


def test_its_deadlines_wake_us() -> None:
    player = Player(book_of(public(0)), Limits(outbound_peers=1))
    peer = player.connects(player.dials()[0])
    player.outbound.weigh(peer, 5, 10, 7)
    assert player.outbound.next_ms() == 7 + LIMITS.stuck_ms


def test_configured_peers_are_never_replaced() -> None:
    """Catalogue row 40: the operator named them."""
    player = Player(book_of())
    player.outbound.configured_ready(1, Endpoint.of("10.0.0.1", 1))
    assert all(player.outbound.weigh(1, 0, 10, minute * MINUTE_MS) is Chain.FINE for minute in range(100))
