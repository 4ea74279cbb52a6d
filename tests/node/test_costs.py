"""What native peers make a node do, and what it does about it: old blocks, crumbs, and messages that bring nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tallystick.model.block import Block
from tallystick.model.limits import KIB, MIB, MINUTE_MS, SECOND_MS, Limits
from tallystick.model.network import CLASSIC_GENESIS as GENESIS
from tallystick.node.effects import Hold
from tallystick.wire.native import codec
from tallystick.wire.native.messages import Announce, Blocks, GetBlocks, GetHeaders, Part, Point, Push
from tallystick.wire.native.session import NativeSession
from tests.node.player import Player, grow
from tests.node.strangers import NativePeer, point, serve, told, weight_of, whole_of

THRIFTY = Limits(received_bytes_per_minute=100 * KIB)

IGNORED = b"\x91\xcc\x80"
"""A message of a later version."""


def chain(length: int) -> list[Block]:
    """Genesis and so many blocks of somebody else."""
    return [GENESIS, *grow(GENESIS, *map(str, range(length)))]


def with_blocks(length: int, limits: Limits) -> tuple[Player, Sequence[Block]]:
    """A node with so many blocks of its own, and its chain."""
    node = Player(limits)
    for number in range(length):
        node.posts(f"{number}")
    return node, node.chain()


def held_ms(peer: NativePeer, *frames: bytes) -> int:
    """For how long the peer is to be left unread, after it sent these."""
    total = 0
    for frame in frames:
        peer.sends(frame)
        total += sum(hold.for_ms for hold in peer.node.all(Hold))
    return total


def test_old_blocks_asked_for_by_name_are_rationed_like_others() -> None:
    """Catalogue row 66."""
    limits = Limits(recent_headers=5, history_bytes_per_minute=2_000)
    node, ours = with_blocks(50, limits)
    peer = NativePeer(node).joins()
    held = Counter[int]()
    for first in (45, 10):
        for _ in range(20):
            peer.says(GetBlocks(1, tuple(map(point, ours[first : first + 5]))))
            held[first] += len(node.all(Hold))
    assert held[45] == 0
    assert 10 < held[10] < 20


def test_messages_that_bring_nothing_are_read_ever_slower() -> None:
    """Catalogue rows 2 and 35: of a later version, known already, old, or linked to nothing we have."""
    known = grow(GENESIS, "known")[0]
    stray = grow(grow(GENESIS, "a")[0], "b")[0]
    for message in (
        Announce((point(known),), weight_of(known)),
        Push(whole_of(known), weight_of(known)),
        Push(whole_of(stray), weight_of(stray)),
        None,
    ):
        node = Player(THRIFTY)
        peer = NativePeer(node).joins()
        peer.pushes(known)
        frame = IGNORED if message is None else codec.encode(message)
        assert not held_ms(peer, *[frame] * 200)
        assert held_ms(peer, *[frame] * 600) > MINUTE_MS
        assert peer.closed is None


def test_crumbs_of_an_answer_are_read_ever_slower() -> None:
    """Catalogue rows 35 and 59: parts of a byte each, of an answer that is waited for and of one given up."""
    for given_up in (False, True):
        node = Player(THRIFTY)
        peer = NativePeer(node, chain=chain(3)).joins()
        request = peer.takes(GetHeaders)
        if given_up:
            session = node.node._peers.session(peer.number)
            assert isinstance(session, NativeSession)
            session.give_up(request.id)
        crumb = codec.encode(Part(request.id, last=False, piece=b"x"))
        assert not held_ms(peer, *[crumb] * 200)
        assert held_ms(peer, *[crumb] * 600) > MINUTE_MS


def test_large_parts_of_an_answer_are_not_charged() -> None:
    """Whoever was asked must not wait for having answered."""
    node = Player(THRIFTY)
    peer = NativePeer(node, chain=chain(3)).joins()
    number = peer.takes(GetHeaders).id
    assert not held_ms(peer, *[codec.encode(Part(number, last=False, piece=b"x" * MIB))] * 15)


def test_looking_for_blocks_that_are_nowhere_is_charged() -> None:
    """Catalogue row 46: a locator or a list of names that we do not have costs a look each."""
    strays = tuple(Point(number, bytes(32)) for number in range(64))
    for request in (GetHeaders(1, strays, None, 1, plan=False), GetBlocks(1, strays)):
        node, _ = with_blocks(64, THRIFTY)
        peer = NativePeer(node).joins()
        assert held_ms(peer, *[codec.encode(request)] * 20) > MINUTE_MS


def test_a_plan_costs_what_looking_it_up_costs() -> None:
    """Catalogue row 66: a question for one block, and thirty-two places of the chain looked at."""
    node, ours = with_blocks(50, THRIFTY)
    held = {}
    for plan in (False, True):
        question = codec.encode(GetHeaders(1, (point(ours[1]),), None, 1, plan=plan))
        held[plan] = held_ms(NativePeer(node).joins(), *[question] * 20)
    assert held[False] == 0
    assert held[True] > 0


def test_a_peer_that_is_left_unread_is_not_silent() -> None:
    """Catalogue row 38: its pong may have come, and wait."""
    node = Player(THRIFTY)
    peer = NativePeer(node).joins()
    while (for_ms := held_ms(peer, IGNORED)) < 3 * node.limits.pong_within_ms:
        pass
    peer.waits(for_ms)
    assert peer.closed is None
    peer.waits(node.limits.pong_within_ms)
    assert peer.closed is not None


def test_what_makes_our_chain_longer_or_is_news_is_not_held_back() -> None:
    """An honest peer may be as fast as it can."""
    node = Player(THRIFTY)
    theirs = chain(800)
    peer, teller = NativePeer(node, "pushes").joins(), NativePeer(node, "tells").joins()
    for block in theirs[1:]:
        assert not held_ms(peer, codec.encode(Push(whole_of(block), weight_of(block))))
        assert not held_ms(teller, codec.encode(Announce((point(block),), weight_of(block))))
    assert node.chain() == theirs


# --- deep switches of branches ----------------------------------------------------------------------

SHALLOW = Limits(recent_headers=20, deep_switch_rest_ms=100_000)


def branch_of(name: str, length: int) -> list[Block]:
    return [GENESIS, *grow(GENESIS, *(f"{name} {number}" for number in range(length)))]


def test_a_few_bytes_never_move_many_blocks() -> None:
    """Catalogue row 56: both branches are known, and a single block would make one of them the better."""
    node = Player(SHALLOW)
    theirs, ours = branch_of("b", 99), branch_of("a", 100)
    for name, each in (("b", theirs), ("a", ours)):
        NativePeer(node, name, each).joins().serves()
    assert node.chain() == ours
    theirs += grow(theirs[-1], "more", "and more")
    peer = NativePeer(node, "pusher", theirs).joins()
    peer.pushes(*theirs[-2:])
    assert node.chain() == ours


def test_deep_switches_are_apart() -> None:
    """Catalogue row 56: two branches overtake each other in turns, as fast as they are fetched."""
    node = Player(SHALLOW)
    chains = [branch_of("a", 100), branch_of("b", 101)]
    peers = [NativePeer(node, name, theirs).joins() for name, theirs in zip("ab", chains, strict=True)]
    serve(*peers)
    assert node.chain() == chains[1]
    switched_ms = node.mono_ms
    peers[0].chain += grow(chains[0][-1], "more", "and more")
    peers[0].announces(peers[0].chain[-1])
    while node.chain() == chains[1]:
        told(peers, node.wait(SECOND_MS))
        serve(*peers)
        assert all(peer.closed is None for peer in peers)
    moved = len(chains[0]) - 1 + len(chains[1]) - 1
    assert node.chain() == peers[0].chain
    assert node.mono_ms - switched_ms >= moved * SHALLOW.deep_switch_rest_ms // 1_000


def test_shallow_switches_wait_for_nothing() -> None:
    node = Player(SHALLOW)
    peer = NativePeer(node, "a", branch_of("a", 15)).joins()
    peer.serves()
    other = NativePeer(node, "b", branch_of("b", 16)).joins()
    other.serves()
    assert node.chain() == other.chain
    peer.chain += grow(peer.chain[-1], "more", "and more")
    peer.announces(peer.chain[-1])
    peer.waits(SECOND_MS)
    peer.serves()
    assert node.chain() == peer.chain


# --- what the other end said it takes ---------------------------------------------------------------


def test_nothing_longer_is_sent_than_the_other_end_takes() -> None:
    node = Player()
    peer = NativePeer(node, frame_bytes=4_096).joins()
    long = node.posts("x" * 10_000)
    for _ in range(20):
        peer.pushes(*grow(node.chain()[-1], "y" * 1_000))
    peer.says(GetHeaders(1, (), None, 100, plan=False))
    peer.says(GetBlocks(2, (point(long),)))
    assert max(map(len, peer.frames)) <= 4_096
    pieces = {number: b"".join(part.piece for part in peer.all(Part) if part.id == number) for number in (1, 2)}
    assert len(codec.decode(pieces[1]).blocks) == 21  # type: ignore[union-attr]  # a Headers
    assert codec.decode(pieces[2]) == Blocks(2, (whole_of(long),), ())
    assert [part.last for part in peer.all(Part)].count(True) == 2


def test_a_new_block_is_pushed_if_the_other_end_takes_it_and_announced_if_not() -> None:
    node = Player()
    peer = NativePeer(node, frame_bytes=4_096).joins()
    first = node.posts("short")
    peer.says(GetBlocks(1, (point(first),)))  # the right to push is the node's now
    peer.forgets()
    short = node.posts("short")
    peer.reads(node.effects)
    assert peer.takes(Push).block == whole_of(short)
    long = node.posts("x" * 10_000)
    peer.reads(node.effects)
    assert peer.takes(Announce).points == (point(long),)


def test_no_more_is_asked_at_a_time_than_the_other_end_answers() -> None:
    limits = Limits(batch_blocks=10)
    for allowed, asked in ((1, 1), (2, 2), (255, 2)):
        node = Player(limits)
        peer = NativePeer(node, chain=chain(100), requests=allowed).joins()
        peer.says(peer.headers(peer.takes(GetHeaders)))
        assert len(peer.all(GetHeaders)) == asked
        peer.serves()
        assert node.chain() == peer.chain
