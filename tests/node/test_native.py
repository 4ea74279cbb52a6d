"""What native peers are answered, and what becomes of the blocks that they bring."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from tallystick.chain.writes import DropStaged
from tallystick.errors import Rule
from tallystick.model.block import Block, block_hash
from tallystick.model.limits import KIB, MIB, SECOND_MS, Limits
from tallystick.model.network import CLASSIC_GENESIS as GENESIS
from tallystick.node.effects import HangUp, Hold, Say
from tallystick.node.inputs import (
    AddPeer,
    PeerOpened,
    PeerProgressed,
    PeerSaid,
    Post,
)
from tallystick.wire import classic
from tallystick.wire.dialect import Dialect
from tallystick.wire.native import codec
from tallystick.wire.native.messages import (
    Announce,
    Blocks,
    GetBlocks,
    GetHeaders,
    Headers,
    Point,
    Push,
)
from tallystick.wire.reactions import Close
from tests.node.player import WRITES, Player, grow
from tests.node.strangers import (
    NOWHERE,
    NativePeer,
    bodies_of,
    chain,
    forged,
    is_dropped,
    is_remembered,
    point,
    serve,
    told,
    weight_of,
    whole_of,
    with_blocks,
)


@pytest.fixture
def node() -> Player:
    return Player()


# --- answering --------------------------------------------------------------------------------------


def asked(peer: NativePeer, locator: Sequence[Point], most: int = 3, stop: Point | None = None) -> Headers:
    peer.says(GetHeaders(1, tuple(locator), stop, most, plan=False))
    return peer.takes(Headers)


def hashes(blocks: Headers | Sequence[Block]) -> list[bytes]:
    if isinstance(blocks, Headers):
        return [body.hash for body in bodies_of(blocks)]
    return [bytes.fromhex(block.hash) for block in blocks]


def test_headers_follow_the_newest_block_shared() -> None:
    node, ours = with_blocks(10)
    peer = NativePeer(node).joins()
    reply = asked(peer, [Point(9, NOWHERE), point(ours[4]), point(ours[2])])
    assert reply.parent == point(ours[4])
    assert hashes(reply) == hashes(ours[5:8])
    assert hashes(asked(peer, [point(ours[10])])) == []
    assert hashes(asked(peer, [point(ours[4])], stop=point(ours[6]))) == hashes(ours[5:7])
    assert hashes(asked(peer, [point(ours[6])], stop=point(ours[4]))) == []


@pytest.mark.parametrize("locator", [[], [Point(3, NOWHERE)], [Point(2**53 - 1, NOWHERE)], [Point(0, NOWHERE)]])
def test_who_shares_nothing_hears_all_from_genesis(locator: list[Point]) -> None:
    """Catalogue row 46: an empty locator, and a foreign one."""
    node, ours = with_blocks(5)
    reply = asked(NativePeer(node).joins(), locator)
    assert reply.parent == point(GENESIS)
    assert hashes(reply) == hashes(ours[1:4])


def test_a_locator_is_not_longer_than_it_may_be() -> None:
    """Catalogue row 46."""
    node, ours = with_blocks(5)
    peer = NativePeer(node).joins()
    assert asked(peer, [Point(9, NOWHERE)] * 63 + [point(ours[5])]).parent == point(ours[5])
    peer.says(GetHeaders(1, (Point(9, NOWHERE),) * 65, None, 1, plan=False))
    assert is_dropped(peer, Rule.MESSAGE_IS_DECODABLE, Close.PROTOCOL_ERROR)


def test_a_plan_names_what_lies_ahead() -> None:
    node, ours = with_blocks(10, Limits(plan_batches=2))
    peer = NativePeer(node).joins()
    peer.says(GetHeaders(1, (point(ours[1]),), None, 2, plan=True))
    assert list(peer.takes(Headers).plan) == hashes([ours[5], ours[7]])
    peer.says(GetHeaders(1, (point(ours[5]),), None, 3, plan=True))
    assert list(peer.takes(Headers).plan) == []


def test_what_we_have_not_got_is_missing() -> None:
    """Catalogue row 111."""
    node, ours = with_blocks(3)
    peer = NativePeer(node).joins()
    wanted = (
        point(ours[1]),
        Point(2, NOWHERE),
        Point(2**53 - 1, NOWHERE),
        point(ours[3]),
        Point(1, bytes.fromhex(ours[3].hash)),
    )
    peer.says(GetBlocks(1, wanted))
    reply = peer.takes(Blocks)
    assert reply.blocks == (whole_of(ours[1]), whole_of(ours[3]))
    assert reply.missing == (1, 2, 4)


def test_a_chain_that_we_have_not_got_ends_nowhere() -> None:
    """Catalogue row 111: a stop that is not ours."""
    node, ours = with_blocks(3)
    reply = asked(NativePeer(node).joins(), [point(ours[1])], stop=Point(3, NOWHERE))
    assert (reply.parent, reply.blocks) == (point(ours[1]), ())


def test_blocks_that_lost_are_missing() -> None:
    """Catalogue row 65: however well somebody knows their names; they would tell one node from another."""
    node, ours = with_blocks(2)
    longer = chain(4)
    NativePeer(node, "longer", longer).joins().serves()
    assert node.chain()[1] == longer[1]
    peer = NativePeer(node).joins()
    peer.forgets()
    peer.says(GetBlocks(1, (point(ours[1]), point(longer[1]))))
    assert peer.takes(Blocks).missing == (0,)
    reply = asked(peer, [point(ours[2]), point(ours[1])])
    assert reply.parent == point(GENESIS)
    assert asked(peer, [point(GENESIS)], stop=point(ours[1])).blocks == ()


def test_old_blocks_are_rationed_and_new_ones_never() -> None:
    """Catalogue row 66."""
    limits = Limits(recent_headers=5, history_bytes_per_minute=2_000)
    node, ours = with_blocks(50, limits)
    peer = NativePeer(node).joins()
    for _ in range(20):
        peer.says(GetHeaders(1, (point(ours[45]),), None, 5, plan=False))
        assert not node.all(Hold)
    held = 0
    for _ in range(20):
        peer.forgets()
        peer.says(GetHeaders(1, (point(ours[0]),), None, 5, plan=False))
        assert len(peer.takes(Headers).blocks) == 5
        held += len(node.all(Hold))
    assert 10 < held < 20
    assert peer.closed is None
    peer.forgets()
    peer.says(GetHeaders(1, (point(ours[45]),), None, 5, plan=False))
    assert not node.all(Hold)
    assert peer.takes(Headers).blocks


def test_an_answer_ends_early_rather_than_being_long() -> None:
    node = Player(Limits(reply_soft_bytes=10_000))
    node.tell(*(Post(number, "x" * 4_000) for number in range(9)))
    peer = NativePeer(node).joins()
    assert 1 <= len(asked(peer, [], most=9).blocks) <= 3
    peer.says(GetBlocks(1, tuple(map(point, node.chain()[1:]))))
    reply = peer.takes(Blocks)
    assert 1 <= len(reply.blocks) <= 3
    assert reply.missing == ()


def test_a_block_longer_than_a_frame_travels_in_parts() -> None:
    """End to end: two nodes, and every frame between them within what a frame may be."""
    sender, receiver = Player(seed=1), Player(seed=2)
    long = grow(GENESIS, "x" * 5_000_000, "\u00e9" * 400_000, "short")
    for block in long:
        sender.opens(1)
        sender.hears(1, block)
    assert sender.chain()[1:] == long
    longest = 0
    link: list[tuple[Player, int, bytes]] = []
    for player, dialled in ((sender, None), (receiver, "ws://10.0.0.1:1")):
        if dialled is not None:
            player.tell(AddPeer(1, dialled))
            player.wait(0)
        effects = player.tell(PeerOpened(7, "10.0.0.1:1", dialled, Dialect.NATIVE))
        link += [(player, 7, say.message) for say in effects if isinstance(say, Say) and 7 in say.peers]
    while link:
        source, number, frame = link.pop(0)
        longest = max(longest, len(frame))
        other = receiver if source is sender else sender
        for effect in [*other.tell(PeerSaid(number, frame)), *other.wait(0)]:
            assert not isinstance(effect, HangUp)
            if isinstance(effect, Say) and number in effect.peers:
                link.append((other, number, effect.message))
    assert receiver.chain() == sender.chain()
    assert MIB < longest <= sender.limits.part_bytes + KIB


# --- new blocks -------------------------------------------------------------------------------------


def test_a_pushed_block_is_taken_and_told_on() -> None:
    node = Player()
    source, other = NativePeer(node, "source").joins(), NativePeer(node, "other").joins()
    theirs = chain(1)
    source.pushes(theirs[1])
    assert node.chain() == theirs
    other.reads(node.effects)
    assert other.takes(Announce).points == (point(theirs[1]),)
    assert source.inbox == []


def test_a_block_that_is_known_is_not_told_again() -> None:
    """Catalogue row 47."""
    node = Player()
    first, second, other = (NativePeer(node, name).joins() for name in ("first", "second", "other"))
    theirs = chain(1)
    first.pushes(theirs[1])
    second.pushes(theirs[1])
    assert node.all(Say) == []
    first.pushes(theirs[1])
    assert node.all(Say) == []
    assert other.closed is None


def test_a_low_block_that_nobody_asked_for_is_dropped() -> None:
    """Catalogue row 48."""
    node, _ = with_blocks(5)
    peer = NativePeer(node).joins()
    low = chain(3, "low")
    before = dict(node.store._running.side)  # type: ignore[attr-defined]
    peer.pushes(*low[1:])
    assert node.store._running.side == before  # type: ignore[attr-defined]
    assert peer.closed is None


def test_a_block_far_ahead_is_dropped_and_the_way_to_it_asked_for() -> None:
    """Catalogue row 48."""
    node, ours = with_blocks(2)
    peer = NativePeer(node).joins()
    far = chain(40, "far")
    peer.chain = far
    peer.pushes(far[40])
    assert node.chain() == ours
    assert point(GENESIS) in peer.all(GetHeaders)[0].locator
    peer.serves()
    assert node.chain()[:41] == far


def wrong(change: dict[str, object], block: Block, *, reseal: bool = True) -> Block:
    changed = msgspec.structs.replace(block, **change)
    if reseal:
        sealed = block_hash(changed.index, changed.previous_hash, changed.timestamp, changed.data)
        changed = msgspec.structs.replace(changed, hash=sealed)
    return changed


@pytest.mark.parametrize(
    ("change", "reseal"),
    [({"index": 2}, True), ({"index": 7}, False), ({"data": "!"}, False), ({"previous_hash": "ab" * 32}, False)],
)
def test_a_wrong_block_costs_its_sender_the_connection(change: dict[str, object], *, reseal: bool) -> None:
    """Catalogue row 51: a wrong index on a good parent, or a content that its hash does not fit."""
    node = Player()
    peer = NativePeer(node).joins()
    block = wrong(change, chain(1)[1], reseal=reseal)
    if change == {"index": 2}:
        node.posts("ours")
    peer.pushes(block)
    if reseal:  # sound by itself: its parent is not where it says, so it links to nothing we have
        assert block.hash not in {each.hash for each in node.chain()}
        return
    assert is_dropped(peer, Rule.HASH_MATCHES_CONTENT, Close.INVALID)
    assert is_remembered(peer)
    assert node.chain() == [GENESIS]


def test_children_of_an_invalid_block_are_never_taken() -> None:
    """Catalogue row 53."""
    node = Player()
    bad = forged(chain(1)[1])
    children = chain(3, "child", [GENESIS, bad])
    first = NativePeer(node, "first").joins()
    first.pushes(bad)
    assert is_remembered(first)
    second = NativePeer(node, "second", children).joins()
    second.pushes(*children[2:])
    assert node.chain() == [GENESIS]
    second.waits(1_000)
    second.serves()
    assert node.chain() == [GENESIS]
    assert is_remembered(second)


def test_a_block_that_could_not_be_passed_on_is_refused_however_it_comes() -> None:
    """Who fetched it by its headers would hang up on us for it."""
    for way in ("pushed", "fetched"):
        node = Player(Limits(message_bytes=30_000))
        peer = NativePeer(node).joins()
        theirs = [GENESIS, *grow(GENESIS, "\0" * 15_000)]
        peer.chain = theirs
        if way == "pushed":
            peer.pushes(theirs[1])
        else:
            peer.announces(theirs[1])
            peer.serves()
        assert node.chain() == [GENESIS]
        assert is_dropped(peer, Rule.MESSAGE_WITHIN_SIZE, Close.MESSAGE_TOO_BIG)


def test_what_came_before_a_broken_block_is_kept() -> None:
    """It is on the chain in memory as soon as it is taken: were its write forgotten for what came after it, the store
    would refuse whatever follows."""
    node, theirs = Player(), chain(2)
    peer = NativePeer(node, chain=[GENESIS]).joins()
    peer.announces(*theirs[1:])
    request = peer.takes(GetBlocks)
    peer.says(Blocks(request.id, (whole_of(theirs[1]), whole_of(forged(theirs[2]))), ()))
    assert is_dropped(peer, Rule.HASH_MATCHES_CONTENT, Close.INVALID)
    assert node.chain() == theirs[:2]
    node.tell(Post(1, "ours"))
    assert [block.data for block in node.chain()[2:]] == ["ours"]


def test_an_announced_block_is_asked_for_once() -> None:
    node = Player()
    first, second = NativePeer(node, "first").joins(), NativePeer(node, "second").joins()
    theirs = chain(1)
    first.announces(theirs[1])
    second.announces(theirs[1])
    assert first.takes(GetBlocks).points == (point(theirs[1]),)
    assert second.inbox == []


def test_who_does_not_deliver_what_it_announced_is_not_waited_for() -> None:
    node = Player()
    first, second = NativePeer(node, "first").joins(), NativePeer(node, "second").joins()
    theirs = chain(1)
    first.chain = second.chain = theirs
    first.announces(theirs[1])
    second.announces(theirs[1])
    first.forgets()
    for _ in range(10):
        told([first, second], node.wait(SECOND_MS))
        first.forgets()
        serve(second)
    assert node.chain() == theirs


def test_who_is_at_it_is_waited_for_longer_and_not_for_ever() -> None:
    """A long block takes its time, and somebody else would have to begin anew."""
    node = Player()
    first, second = NativePeer(node, "first").joins(), NativePeer(node, "second").joins()
    theirs = chain(1)
    first.chain = second.chain = theirs
    first.announces(theirs[1])
    second.announces(theirs[1])
    rate, seconds = node.limits.slow_bytes_per_second, 0
    questions: list[object] = []
    while not questions:
        seconds += 1
        first.forgets()
        told([first, second], node.tell(PeerProgressed(first.number, seconds * rate)))
        told([first, second], node.wait(SECOND_MS))
        questions = [each for each in (*first.inbox, *second.inbox) if isinstance(each, GetBlocks | GetHeaders)]
    assert seconds == pytest.approx(node.limits.coming_within_ms // SECOND_MS, abs=1)


def test_patience_with_blocks_that_are_a_little_ahead_ends() -> None:
    """Catalogue row 61: somebody tells ever again of what is about to come, and it never comes."""
    node = Player()
    theirs = chain(3)
    liar, honest = NativePeer(node, "liar").joins(), NativePeer(node, "honest").joins()
    honest.chain = theirs
    honest.announces(theirs[3])
    for _ in range(40):
        liar.announces(theirs[2], theirs[3])
        told([honest], node.effects)
        told([liar, honest], node.wait(200))
        liar.forgets()
        serve(honest)
    assert node.chain() == theirs


def test_alternating_branches_cost_whoever_pushes_them() -> None:
    """Catalogue row 56: a block or two, and hundreds are moved."""
    limits = Limits(received_bytes_per_minute=200_000)
    node = Player(limits)
    branches = [chain(200, "a"), chain(201, "b")]
    for name, branch in zip("ab", branches, strict=True):
        NativePeer(node, name, branch).joins().serves()
    assert node.chain() == branches[1]
    peer = NativePeer(node, "flipper").joins()
    holds = 0
    for turn in range(10):
        branch = branches[turn % 2]
        branch += grow(branch[-1], f"{turn} 1", f"{turn} 2")
        peer.pushes(*branch[-2:])
        holds += len(node.all(Hold))
    assert holds
    assert peer.closed is None


def test_classic_peers_hear_of_what_native_peers_bring() -> None:
    node = Player()
    node.opens(1)
    theirs = chain(1)
    NativePeer(node).joins().pushes(theirs[1])
    assert node.one(Say) == Say([1], classic.response([theirs[1]]), gossip=True)


def test_writes_come_before_whatever_tells_of_them() -> None:
    node = Player()
    peer = NativePeer(node).joins()
    NativePeer(node, "other").joins()
    block = chain(1)[1]
    node.store.begin()
    effects = node.node.step(
        PeerSaid(peer.number, codec.encode(Push(whole_of(block), weight_of(block)))), node.now, node.entropy, node.store
    )
    kinds = [isinstance(effect, WRITES) for effect in effects]
    assert kinds == sorted(kinds, reverse=True)
    assert not any(isinstance(effect, DropStaged) for effect in effects)
