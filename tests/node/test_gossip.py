"""Who hears what of a new block: whole, by name, or not at all."""

from __future__ import annotations

import pytest

from tallystick.model.limits import Limits
from tallystick.model.network import CLASSIC_GENESIS as GENESIS
from tallystick.node.inputs import PeerDrained, PeerSaid, Post
from tallystick.wire.native import codec
from tallystick.wire.native.messages import WEIGHT_BYTES, Announce, GetBlocks, Ping, Push
from tests.node import test_survey
from tests.node.player import Player
from tests.node.strangers import ADDRESS, NativePeer, chain, point, told, weight_of, whole_of
from tests.storage.sealed_blocks import GENESIS as SEALED_GENESIS


@pytest.fixture
def node() -> Player:
    node = Player(dial=[ADDRESS])
    node.wait(0)
    return node


def dialled(node: Player) -> NativePeer:
    """A peer that we dialled: the right to push is ours."""
    peer = NativePeer(node, "dialled", dialled=ADDRESS, remote="10.0.0.9:1").joins()
    peer.forgets()
    return peer


def posts(node: Player, peer: NativePeer, *data: str) -> None:
    for each in data:
        peer.reads(node.tell(Post(1, each)))


def test_who_dialled_pushes_and_the_other_announces(node: Player) -> None:
    ours, theirs = dialled(node), NativePeer(node, "theirs").joins()
    told([ours, theirs], node.tell(Post(1, "new")))
    block = node.chain()[1]
    assert ours.takes(Push) == Push(whole_of(block), weight_of(block))
    assert theirs.takes(Announce) == Announce((point(block),), weight_of(block))
    assert ours.inbox == theirs.inbox == []


def test_a_long_block_is_announced(node: Player) -> None:
    peer = dialled(node)
    posts(node, peer, "x" * 20_001, "\u00e9" * 10_001)
    assert [type(message) for message in peer.inbox] == [Announce, Announce]
    posts(node, peer, "x" * 20_000)
    assert isinstance(peer.inbox[-1], Announce)  # it has not got the parent yet, as far as we know


def test_the_right_to_push_goes_to_whoever_is_asked(node: Player) -> None:
    theirs = NativePeer(node, "theirs").joins()
    posts(node, theirs, "first")
    theirs.says(GetBlocks(1, theirs.takes(Announce).points))
    theirs.forgets()
    posts(node, theirs, "second")
    assert isinstance(theirs.inbox[0], Push)


def test_the_right_to_push_is_given_away_with_a_question(node: Player) -> None:
    peer = dialled(node)
    new = chain(1)
    peer.announces(new[1])
    peer.chain = new
    peer.serves()
    assert node.chain() == new
    posts(node, peer, "ours")
    assert isinstance(peer.inbox[0], Announce)


def test_nobody_is_told_what_it_told_us(node: Player) -> None:
    peer = dialled(node)
    peer.pushes(*chain(3)[1:])
    assert peer.inbox == []


def test_who_is_further_already_is_told_nothing(node: Player) -> None:
    peer = NativePeer(node, "ahead", chain(50)).joins()
    peer.forgets()
    posts(node, peer, "behind")
    assert (peer.all(Announce), peer.all(Push)) == ([], [])


def test_who_has_more_blocks_that_weigh_less_is_told() -> None:
    """Where a clock runs ahead, blocks are many and easy. Who follows them must hear of the heavier chain."""
    node = test_survey.node_at()
    [new] = test_survey.chain_of(1, "new")
    lighter = test_survey.joined(node, test_survey.chain_of(9, "easy"), "lighter", weight=bytes(WEIGHT_BYTES))
    heavier = test_survey.joined(node, test_survey.chain_of(9, "hard"), "heavier")
    source = test_survey.joined(node, [SEALED_GENESIS], "source")
    push = codec.encode(Push(test_survey.ENGINE.whole(new), test_survey.weight_of(new)))
    told([source, lighter, heavier], node.tell(PeerSaid(source.number, push)))
    assert node.blocks()[1:] == [new]
    assert lighter.takes(Announce).points == (test_survey.point(new),)
    assert heavier.all(Announce) == []


def test_after_a_reorg_the_newest_are_announced(node: Player) -> None:
    node.tell(Post(1, "ours"))
    listener = dialled(node)
    longer = chain(30)
    source = NativePeer(node, "longer", longer).joins()
    while source.inbox:
        answer = source.answer(source.inbox.pop(0))
        if answer is not None:
            source.says(answer)
            listener.reads(node.effects)
            told([source, listener], node.wait(0))
    assert node.chain()[:31] == longer
    announced = listener.all(Announce)[0]
    assert announced.points == tuple(map(point, longer[-8:]))


def test_a_stranger_hears_of_no_block(node: Player) -> None:
    peer = NativePeer(node, "stranger")
    posts(node, peer, "new")
    assert peer.inbox == []


def test_who_read_too_slowly_hears_the_newest_once_there_is_room(node: Player) -> None:
    peer = dialled(node)
    posts(node, peer, *map(str, range(20)))
    peer.forgets()
    peer.reads(node.tell(PeerDrained(peer.number)))
    assert peer.takes(Announce).points == tuple(map(point, node.chain()[-8:]))


def test_who_said_hello_before_our_tip_moved_hears_of_it_when_it_is_in(node: Player) -> None:
    peer = NativePeer(node, "late")
    node.tell(Post(1, "meanwhile"))
    peer.joins()
    assert peer.handshake.is_over
    # Our hello was written when the connection opened.
    assert peer.takes(Announce).points == tuple(map(point, node.chain()))


def test_pings_are_answered(node: Player) -> None:
    peer = dialled(node)
    peer.says(Ping(b"12345678"))
    assert [getattr(message, "nonce", None) for message in peer.inbox] == [b"12345678"]


def test_announcements_are_bounded() -> None:
    """However small a node's limits are, its announcement has a block in it."""
    node = Player(Limits(announced_points=1))
    node.tell(Post(1, "a"), Post(1, "b"))
    peer = NativePeer(node, "peer").joins()
    peer.reads(node.tell(PeerDrained(peer.number)))
    assert peer.takes(Announce).points == (point(node.chain()[-1]),)
    assert node.chain()[0] == GENESIS
