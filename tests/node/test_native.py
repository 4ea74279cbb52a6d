"""A node among native peers: what they are answered, what becomes of their blocks, and what a lie costs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec
import pytest

from tallystick.chain.writes import AddSide, DropStaged, Switch
from tallystick.errors import Rule
from tallystick.model.block import Block, Body, block_hash
from tallystick.model.limits import KIB, MIB, MINUTE_MS, SECOND_MS, Limits
from tallystick.model.network import CLASSIC
from tallystick.model.network import CLASSIC_GENESIS as GENESIS
from tallystick.node.effects import Dial, HangUp, Hold, Log, Say
from tallystick.node.inputs import (
    AddPeer,
    Ban,
    PeerClosed,
    PeerOpened,
    PeerProgressed,
    PeerSaid,
    Post,
    RemovePeer,
    Unban,
)
from tallystick.node.serving import whole_of
from tallystick.wire import classic
from tallystick.wire.dialect import Dialect
from tallystick.wire.native import codec
from tallystick.wire.native.messages import (
    Address,
    Addrs,
    Announce,
    Auth,
    Blocks,
    GetAddrs,
    GetBlocks,
    GetHeaders,
    Headers,
    Message,
    Part,
    Ping,
    Point,
    Pong,
    Push,
    Ready,
)
from tallystick.wire.reactions import Close
from tests.node.player import WRITES, Player, grow
from tests.node.strangers import NativePeer, identity_of, point, serve, told

NOWHERE = bytes(32)


@pytest.fixture
def node() -> Player:
    return Player()


def chain(length: int, name: str = "a", fork: Sequence[Block] = (GENESIS,)) -> list[Block]:
    """A chain of somebody else: genesis, or whatever it grows on, and so many blocks."""
    return [*fork, *grow(fork[-1], *(f"{name}{number}" for number in range(length)))]


def forged(block: Block) -> Block:
    """The same with other data: its hash does not fit."""
    return msgspec.structs.replace(block, data=block.data + "!")


def is_dropped(peer: NativePeer, rule: Rule, code: Close) -> bool:
    """It was hung up on, for this."""
    assert peer.closed is not None, "it is still connected"
    dropped = peer.node.node.status(peer.node.now, peer.node.store).dropped
    return (peer.closed.code, dropped[0]["rule"]) == (code, rule)


def is_remembered(peer: NativePeer) -> bool:
    """Neither its address nor its key may come back."""
    subjects = {each.subject for each in peer.node.node.banned(peer.node.now)}
    ip = peer.remote.rpartition(":")[0]
    assert peer.node.welcomes(ip, Dialect.NATIVE) == (ip not in subjects)
    return {ip, peer.key} <= subjects


def is_forgiven(peer: NativePeer) -> bool:
    return not peer.node.node.banned(peer.node.now)


# --- getting in -------------------------------------------------------------------------------------


def test_a_stranger_hears_nothing_before_it_has_said_hello(node: Player) -> None:
    """Catalogue row 25."""
    peer = NativePeer(node)
    assert peer.inbox == []
    peer.waits(5 * SECOND_MS)
    assert peer.inbox == []
    assert node.node.connected() == []


@pytest.mark.parametrize(
    "message", [Ping(bytes(8)), GetHeaders(1, (), None, 1, plan=False), Ready(), Auth(bytes(64)), GetAddrs(1)]
)
def test_another_message_first_ends_it(node: Player, message: Message) -> None:
    """Catalogue row 25."""
    peer = NativePeer(node)
    peer.says(message)
    assert is_dropped(peer, Rule.HELLO_COMES_FIRST, Close.BAD_HELLO)
    assert peer.inbox == []


def test_a_question_before_ready_is_not_answered(node: Player) -> None:
    """Catalogue row 25."""
    peer = NativePeer(node)
    peer.sends(*peer.handshake.begin())
    peer.forgets()
    peer.says(GetHeaders(1, (), None, 1, plan=False))
    assert is_dropped(peer, Rule.HELLO_COMES_FIRST, Close.BAD_HELLO)
    assert peer.inbox == []


def test_a_second_hello_ends_it(node: Player) -> None:
    """Catalogue row 26."""
    peer = NativePeer(node).joins()
    peer.says(peer.hello)
    assert is_dropped(peer, Rule.HELLO_COMES_FIRST, Close.BAD_HELLO)


def test_another_network_is_no_offence(node: Player) -> None:
    """Catalogue row 24."""
    peer = NativePeer(node, network=NOWHERE).joins()
    assert is_dropped(peer, Rule.NETWORK_IS_OURS, Close.OTHER_NETWORK)
    assert is_forgiven(peer)


def test_a_false_signature_blames_the_address_and_not_the_key() -> None:
    """Catalogue row 29: the key may be anybody's, who should not suffer for it."""
    node = Player()
    peer = NativePeer(node)
    peer.sends(*peer.handshake.begin())
    peer.says(Auth(bytes(64)))
    assert is_dropped(peer, Rule.PEER_IS_WHO_IT_CLAIMS, Close.BAD_HELLO)
    assert [each.subject for each in node.node.banned(node.now)] == [peer.remote.rpartition(":")[0]]


def test_a_handshake_takes_ten_seconds_at_most(node: Player) -> None:
    peer = NativePeer(node)
    peer.sends(*peer.handshake.begin())
    peer.waits(9_999)
    assert peer.closed is None
    peer.waits(1)
    assert is_dropped(peer, Rule.HANDSHAKE_IN_TIME, Close.TOO_SLOW)
    assert is_forgiven(peer)


def test_a_peer_is_shown_once_it_has_shown_its_key(node: Player) -> None:
    peer = NativePeer(node, "somebody")
    assert node.node.connected() == []
    peer.joins()
    assert node.node.connected() == [peer.remote]
    [status] = node.node.status(node.now, node.store).peers
    assert (status.key, status.agent, status.dialect, status.origin) == (peer.key, "peer/1", Dialect.NATIVE, "inbound")


def test_members_only() -> None:
    member = identity_of("member").public.hex()
    node = Player(network=replace(CLASSIC, members=frozenset({member})))
    stranger = NativePeer(node, "stranger").joins()
    assert is_dropped(stranger, Rule.PEER_IS_A_MEMBER, Close.DISCOURAGED)
    assert NativePeer(node, "member").joins().closed is None
    dialled = NativePeer(node, "stranger", dialled="ws://10.0.0.1:1")
    assert dialled.joins().closed is not None


# --- two connections with one node ------------------------------------------------------------------


def meeting(*, lower: bool) -> Player:
    """A node that will dial, and whose key is higher than that of `peer`, or not: the peer's is `lower`."""
    nodes = (Player(dial=[ADDRESS], seed=seed) for seed in range(100))
    node = next(each for each in nodes if (identity_of("peer").public < each.profile.identity.public) == lower)
    node.wait(0)
    return node


ADDRESS = "ws://10.0.0.9:1"


@pytest.mark.parametrize("ours_first", [True, False])
@pytest.mark.parametrize("lower", [True, False])
def test_of_two_connections_the_one_dialled_by_the_lower_key_stays(*, ours_first: bool, lower: bool) -> None:
    """Catalogue row 30: whichever came first."""
    node, name = meeting(lower=lower), "peer"
    peers: dict[bool, NativePeer] = {}
    for is_ours in (ours_first, not ours_first):
        peers[is_ours] = NativePeer(node, name, dialled=ADDRESS if is_ours else None)
        told([peers[is_ours]], [])
        joined = peers[is_ours]
        joined.joins()
        for peer in peers.values():
            peer.reads([each for each in node.effects if isinstance(each, HangUp) and peer is not joined])
    stays, leaves = (peers[False], peers[True]) if lower else (peers[True], peers[False])
    assert stays.closed is None
    assert leaves.closed is not None
    assert leaves.closed.code == Close.DUPLICATE
    assert is_forgiven(leaves)


@pytest.mark.parametrize("lower", [True, False])
def test_of_two_handshakes_at_a_time_one_stays(*, lower: bool) -> None:
    """Catalogue row 30: both ends dial in the same second, and neither connection is there first."""
    node = meeting(lower=lower)
    ours, theirs = NativePeer(node, dialled=ADDRESS), NativePeer(node)
    peers = [ours, theirs]
    for peer in peers:
        peer.node = node
    for peer in peers:
        for frame in peer.handshake.begin():
            told(peers, node.tell(PeerSaid(peer.number, frame)))
    for _ in range(6):
        for peer in peers:
            if peer.frames and peer.closed is None and not peer.handshake.is_over:
                frame = peer.frames.pop(0)
                for answer in peer.handshake.receive(codec.decode(frame), frame):
                    told(peers, node.tell(PeerSaid(peer.number, answer)))
    stays, leaves = (theirs, ours) if lower else (ours, theirs)
    assert (stays.closed, leaves.closed is None) == (None, False)
    assert node.node.connected() == [stays.remote]


def test_of_two_connections_that_they_dialled_the_newest_stays(node: Player) -> None:
    """Catalogue row 30: whoever dials anew has lost the older one."""
    old = NativePeer(node, "peer").joins()
    new = NativePeer(node, "peer")
    peers = [old, new]
    for _ in range(4):
        for frame in (
            new.handshake.begin()
            if not new.frames
            else [answer for said in [new.frames.pop(0)] for answer in new.handshake.receive(codec.decode(said), said)]
        ):
            told(peers, node.tell(PeerSaid(new.number, frame)))
        if new.handshake.is_over:
            break
    assert old.closed is not None
    assert old.closed.code == Close.DUPLICATE
    assert new.closed is None


def test_a_ban_ends_the_connection_and_keeps_the_key_out(node: Player) -> None:
    peer = NativePeer(node, "peer").joins()
    peer.reads(node.tell(Ban(1, peer.key)))
    assert peer.closed is not None
    peer.hangs_up()
    again = NativePeer(node, "peer").joins()
    assert is_dropped(again, Rule.PEER_IS_NOT_BANNED, Close.DISCOURAGED)
    node.restart()
    assert NativePeer(node, "peer").joins().closed is not None
    node.tell(Unban(1, peer.key))
    assert NativePeer(node, "peer").joins().closed is None


# --- what a lie costs -------------------------------------------------------------------------------

VIOLATIONS: dict[str, bytes] = {
    "no message": b"\x91\x07",
    "a reply nobody asked for": codec.encode(Headers(7, Point(0, NOWHERE), (), ())),
    "blocks nobody asked for": codec.encode(Blocks(9, (), (0,))),
    "a part of nothing": codec.encode(Part(7, last=True, piece=b"x")),
    "a third ready": codec.encode(Ready()),
}


@pytest.mark.parametrize("frame", VIOLATIONS.values(), ids=VIOLATIONS.keys())
def test_a_violation_is_remembered_of_address_and_key(node: Player, frame: bytes) -> None:
    """Catalogue rows 1, 36 and 39: it comes back neither with another port nor from another address."""
    peer = NativePeer(node, "liar").joins()
    peer.sends(frame)
    assert peer.closed is not None
    assert is_remembered(peer)
    peer.hangs_up()
    assert NativePeer(node, "liar", remote="192.0.2.7:1").joins().closed is not None
    node.wait(node.limits.discourage_ms + 1)
    assert NativePeer(node, "liar", remote="192.0.2.7:2").joins().closed is None


def test_made_up_replies_are_unsolicited(node: Player) -> None:
    """Catalogue row 36."""
    peer = NativePeer(node).joins()
    peer.says(Headers(7, Point(0, NOWHERE), (), ()))
    assert is_dropped(peer, Rule.REPLY_WAS_ASKED_FOR, Close.UNSOLICITED)


def test_too_many_questions_are_refused_for_five_minutes(node: Player) -> None:
    """Catalogue row 35."""
    peer = NativePeer(node, "asker").joins()
    for _ in range(61):
        peer.says(Ping(bytes(8)))
    assert is_dropped(peer, Rule.REQUESTS_WITHIN_RATE, Close.TOO_MUCH)
    assert is_remembered(peer)
    node.wait(node.limits.rate_refusal_ms + 1)
    assert is_forgiven(peer)


def test_slow_and_unlucky_peers_may_come_back_at_once(node: Player) -> None:
    """Catalogue row 38: no pong within a minute of a ping."""
    peer = NativePeer(node).joins()
    peer.waits(0)
    peer.says(Pong(bytes(8)))
    peer.waits(59_999)
    assert peer.closed is None
    peer.waits(1)
    assert is_dropped(peer, Rule.PONG_IN_TIME, Close.TOO_SLOW)
    assert is_forgiven(peer)


def test_configured_peers_are_never_held_to_be_bad() -> None:
    """Catalogue row 40."""
    node = Player(dial=[ADDRESS])
    node.wait(0)
    peer = NativePeer(node, dialled=ADDRESS, remote="10.0.0.9:1").joins()
    peer.sends(b"\x91\x07")
    assert peer.closed is not None
    assert is_forgiven(peer)


def test_a_late_answer_is_ignored(node: Player) -> None:
    """Catalogue row 37."""
    theirs = chain(1)
    peer = NativePeer(node).joins()
    peer.announces(theirs[1])
    request = peer.takes(GetBlocks)
    peer.waits(node.limits.stall_first_ms)
    peer.chain = theirs
    answer = peer.answer(request)
    assert answer is not None
    peer.says(answer)
    assert peer.closed is None
    peer.says(answer)
    assert is_dropped(peer, Rule.REPLY_WAS_ASKED_FOR, Close.UNSOLICITED)


# --- answering --------------------------------------------------------------------------------------


def with_blocks(count: int, limits: Limits | None = None) -> tuple[Player, list[Block]]:
    node = Player(limits)
    node.tell(*(Post(number, f"ours {number}") for number in range(count)))
    return node, node.chain()


def asked(peer: NativePeer, locator: Sequence[Point], most: int = 3, stop: Point | None = None) -> Headers:
    peer.says(GetHeaders(1, tuple(locator), stop, most, plan=False))
    return peer.takes(Headers)


def hashes(blocks: Sequence[Block] | Sequence[Body]) -> list[bytes]:
    return [block.hash if isinstance(block, Body) else bytes.fromhex(block.hash) for block in blocks]


def test_headers_follow_the_newest_block_shared() -> None:
    node, ours = with_blocks(10)
    peer = NativePeer(node).joins()
    reply = asked(peer, [Point(9, NOWHERE), point(ours[4]), point(ours[2])])
    assert reply.parent == point(ours[4])
    assert hashes(reply.blocks) == hashes(ours[5:8])
    assert hashes(asked(peer, [point(ours[10])]).blocks) == []
    assert hashes(asked(peer, [point(ours[4])], stop=point(ours[6])).blocks) == hashes(ours[5:7])
    assert hashes(asked(peer, [point(ours[6])], stop=point(ours[4])).blocks) == []


@pytest.mark.parametrize("locator", [[], [Point(3, NOWHERE)], [Point(2**53 - 1, NOWHERE)], [Point(0, NOWHERE)]])
def test_who_shares_nothing_hears_all_from_genesis(locator: list[Point]) -> None:
    """Catalogue row 46: an empty locator, and a foreign one."""
    node, ours = with_blocks(5)
    reply = asked(NativePeer(node).joins(), locator)
    assert reply.parent == point(GENESIS)
    assert hashes(reply.blocks) == hashes(ours[1:4])


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
    assert [block.hash for block in reply.blocks] == hashes([ours[1], ours[3]])
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


# --- fetching ---------------------------------------------------------------------------------------


def lie(peer: NativePeer, at: int, *, how: str) -> None:
    """Answer the first question with a block changed, at this place of the answer."""
    request = peer.takes(GetHeaders)
    reply = peer.headers(request)
    bodies = list(reply.blocks)
    match how:
        case "hash":
            bodies[at] = msgspec.structs.replace(bodies[at], hash=NOWHERE)
        case "data":
            bodies[at] = msgspec.structs.replace(bodies[at], data="!")
        case "order":
            bodies[at : at + 2] = bodies[at : at + 2][::-1]
        case "missing":
            del bodies[at]
        case "twice":
            bodies.insert(at, bodies[at])
    peer.says(msgspec.structs.replace(reply, blocks=tuple(bodies)))


@pytest.mark.parametrize("how", ["hash", "data", "order", "missing", "twice"])
@pytest.mark.parametrize("at", [0, 50, 98])
def test_of_an_answer_with_one_wrong_block_nothing_is_kept(how: str, at: int) -> None:
    """Catalogue rows 42 and 60: not even the good blocks before it."""
    node = Player()
    peer = NativePeer(node, "liar", chain(100)).joins()
    lie(peer, at, how=how)
    assert is_dropped(peer, Rule.HASH_MATCHES_CONTENT, Close.INVALID)
    assert is_remembered(peer)
    assert node.chain() == [GENESIS]
    assert not node.store._running.side  # type: ignore[attr-defined]
    assert not node.store._running.staged  # type: ignore[attr-defined]


def test_answers_to_another_question_do_not_fit() -> None:
    """Catalogue row 60: a wrong range, too many blocks, a plan that nobody wanted."""
    for number in range(3):
        node, ours = with_blocks(3)
        theirs = chain(100, fork=ours)
        peer = NativePeer(node, "liar", theirs).joins()
        request = peer.takes(GetHeaders)
        reply = peer.headers(request)
        odd = [
            msgspec.structs.replace(
                reply,
                parent=point(theirs[60]),
                blocks=peer.headers(GetHeaders(1, (point(theirs[60]),), None, 9, plan=False)).blocks,
            ),
            msgspec.structs.replace(reply, parent=Point(3, NOWHERE)),
            msgspec.structs.replace(reply, parent=Point(4, point(ours[3]).hash)),
        ][number]
        peer.says(odd)
        assert is_dropped(peer, Rule.REPLY_FITS_REQUEST, Close.INVALID)
        assert node.chain() == ours


def test_a_claim_without_a_chain_is_a_lie() -> None:
    """Catalogue row 61: it says that it is far ahead, and has nothing to show."""
    node = Player()
    peer = NativePeer(node, "liar", chain(10)).joins()
    peer.chain = [GENESIS]
    peer.serves()
    assert is_dropped(peer, Rule.CLAIM_IS_PROVEN, Close.INVALID)
    assert is_remembered(peer)
    assert node.chain() == [GENESIS]


def test_a_branch_longer_than_ours_is_staged_and_switched_to_once() -> None:
    limits = Limits(batch_blocks=10, headers_per_reply=10, plan_batches=3, window_batches=3)
    node, ours = with_blocks(55, limits)
    theirs = chain(100)
    peer = NativePeer(node, "longer", theirs).joins()
    writes: list[object] = []
    apply = node.store.apply
    node.store.apply = lambda write: (writes.append(write), apply(write))[1]  # type: ignore[method-assign, func-returns-value]
    peer.serves()
    assert node.chain()[:101] == theirs
    assert peer.closed is None
    [switch] = [write for write in writes if isinstance(write, Switch)]
    assert (switch.fork, switch.old_tip) == (0, 55)
    assert all(write.staged for write in writes if isinstance(write, AddSide))
    assert not node.store._running.staged  # type: ignore[attr-defined]
    node.wait(30_000)
    assert sorted(node.data()[101:]) == sorted(block.data for block in ours[1:])


def staging(limits: Limits | None = None) -> tuple[Player, list[Block], NativePeer]:
    """A node in the middle of fetching a longer branch."""
    limits = limits or Limits(batch_blocks=10, headers_per_reply=10, plan_batches=3, window_batches=3)
    node, ours = with_blocks(55, limits)
    peer = NativePeer(node, "longer", chain(100)).joins()
    for _ in range(3):
        answer = peer.answer(peer.inbox.pop(0))
        assert answer is not None
        peer.says(answer)
        peer.waits(0)
    assert node.store._running.staged  # type: ignore[attr-defined]
    assert node.chain() == ours
    return node, ours, peer


def test_what_is_staged_goes_with_the_last_who_had_it() -> None:
    node, ours, peer = staging()
    peer.hangs_up()
    assert not node.store._running.staged  # type: ignore[attr-defined]
    assert node.chain() == ours


def test_what_is_staged_goes_when_its_lead_lied() -> None:
    node, ours, peer = staging()
    peer.sends(b"\x91\x07")
    assert peer.closed is not None
    peer.hangs_up()
    assert not node.store._running.staged  # type: ignore[attr-defined]
    assert node.chain() == ours


def test_whoever_inherits_the_lead_need_not_have_more_than_we_have() -> None:
    """Catalogue row 61: it claimed what it has; that something else is staged meanwhile is not its lie."""
    node, ours, peer = staging()
    other = NativePeer(node, "other", ours).joins()
    other.reads(peer.hangs_up())
    other.serves()
    assert other.closed is None


def test_what_is_staged_is_gone_on_with_by_another() -> None:
    node, _, peer = staging()
    staged = len(node.store._running.staged)  # type: ignore[attr-defined]
    other = NativePeer(node, "other", peer.chain).joins()
    other.reads(peer.hangs_up())
    assert len(node.store._running.staged) >= staged  # type: ignore[attr-defined]
    other.serves()
    assert node.chain()[:101] == peer.chain


def test_a_branch_too_long_to_be_staged_is_given_up_and_the_operator_told() -> None:
    """Catalogue row 44: whoever floods us with a low branch gets no further than this."""
    limits = Limits(batch_blocks=10, headers_per_reply=10, staged_bytes=4_000)
    node, ours = with_blocks(60, limits)
    peer = NativePeer(node, "flood", chain(100)).joins()
    alarms = 0
    while peer.inbox:
        answer = peer.answer(peer.inbox.pop(0))
        assert answer is not None
        peer.says(answer)
        effects = [*node.effects, *node.wait(0)]
        peer.reads(node.effects)
        alarms += sum(isinstance(each, Log) and each.level == "error" for each in effects)
        assert len(node.store._running.staged) <= 30  # type: ignore[attr-defined]
    assert alarms == 1
    assert node.chain() == ours
    assert not node.store._running.staged  # type: ignore[attr-defined]
    assert peer.closed is None
    assert node.node.status(node.now, node.store).sync is None


def test_a_deep_reorg_is_refused_once_and_nobody_banned() -> None:
    """Catalogue row 55: an alarm for the operator; the partition may be an honest one."""
    node = Player(max_reorg=5)
    node.tell(*(Post(number, f"ours {number}") for number in range(10)))
    ours = node.chain()
    peer = NativePeer(node, "longer", chain(30)).joins()
    alarms = 0
    for _ in range(5):
        while peer.inbox:
            answer = peer.answer(peer.inbox.pop(0))
            if answer is not None:
                peer.says(answer)
                alarms += node.logged("a longer branch is not followed")
        peer.waits(SECOND_MS)
    assert alarms == 1
    assert node.chain() == ours
    assert peer.closed is None
    assert is_forgiven(peer)
    assert node.node.status(node.now, node.store).sync is None


def test_a_branch_that_became_too_deep_while_it_arrived_is_one_alarm() -> None:
    """Catalogue row 55: it was shallow enough when it was begun."""
    node = Player(Limits(batch_blocks=3), max_reorg=5)
    node.tell(*(Post(number, f"ours {number}") for number in range(5)))
    peer = NativePeer(node, "longer", chain(30)).joins()
    peer.says(peer.headers(peer.takes(GetHeaders)))
    peer.reads(node.tell(Post(6, "one more")))
    alarms = 0
    while peer.inbox:
        answer = peer.answer(peer.inbox.pop(0))
        if answer is not None:
            peer.says(answer)
            alarms += sum(line.event == "a longer branch is not followed" for line in node.all(Log))
    assert alarms == 1
    assert peer.closed is None
    assert node.data()[-1] == "one more"


def test_a_reorg_whose_second_block_is_wrong_changes_nothing() -> None:
    """Catalogue row 57."""
    node, ours = with_blocks(3)
    peer = NativePeer(node, "liar", chain(6)).joins()
    lie(peer, 1, how="data")
    assert is_dropped(peer, Rule.HASH_MATCHES_CONTENT, Close.INVALID)
    assert node.chain() == ours
    assert node.posts("next").previous_hash == ours[-1].hash


@pytest.mark.parametrize("most", [None, 2, 7])
def test_posts_during_a_sync_end_on_the_chain_exactly_once(most: int | None) -> None:
    """Catalogue row 67: whoever reads along sees them come, go, and come back."""
    limits = Limits(batch_blocks=10, headers_per_reply=10, plan_batches=3)
    node = Player(limits)
    theirs = chain(95)
    posts = ["before"]
    node.posts("before")
    peer = NativePeer(node, "longer", theirs).joins()
    while questions := peer.all(GetHeaders):
        peer.forgets()
        for question in questions:
            peer.says(peer.headers(question, most))
        posts.append(f"post {len(posts)}")
        peer.reads(node.tell(Post(1, posts[-1])))
        peer.waits(10)
    for _ in range(40):
        peer.waits(SECOND_MS)
        for ping in peer.all(Ping):
            peer.says(Pong(ping.nonce))
        peer.forgets()
    assert node.chain()[:95] == theirs[:95]  # the last of an odd number may have met a post of the same height
    assert [post for post in posts if node.data().count(post) != 1] == []
    assert not node.node.status(node.now, node.store).lost_duties


def test_a_node_alone_with_a_peer_that_sends_next_to_nothing_mines_again_what_it_lost() -> None:
    """The promise to whoever posted does not wait for a sync that goes nowhere."""
    node, ours = with_blocks(2)
    peer = NativePeer(node, "a", chain(3)).joins()
    peer.serves()
    assert "ours 0" not in node.data()
    peer.chain = chain(50, fork=peer.chain)
    peer.announces(peer.chain[-1])
    for _ in range(60):
        told([peer], node.tell(PeerProgressed(peer.number, 1)))
        peer.waits(SECOND_MS)
        for ping in peer.all(Ping):
            peer.says(Pong(ping.nonce))
    assert peer.closed is None
    assert {block.data for block in ours[1:]} <= set(node.data())


def test_progress_is_told_while_a_chain_is_fetched() -> None:
    node, _, peer = staging()
    progress = node.node.status(node.now, node.store).sync
    assert progress is not None
    assert 0 < progress.index < progress.target == 100
    peer.serves()
    assert node.node.status(node.now, node.store).sync is None


def test_a_flood_of_low_headers_costs_no_memory() -> None:
    """Catalogue row 44: it goes to disk and is dropped; what waits in memory is within the window."""
    limits = Limits(batch_blocks=10, headers_per_reply=10, plan_batches=4, window_batches=4, reply_soft_bytes=500)
    node, ours = with_blocks(5, limits)
    peer = NativePeer(node, "flood", chain(3)).joins()
    sync = node.node._native.fetching.sync
    fake = chain(400, "low")
    peer.chain = fake
    peer.pushes(fake[400])
    number = 0
    while peer.inbox and number < 200:
        request = peer.inbox.pop(0)
        number += 1
        if isinstance(request, GetHeaders) and request.stop is None:
            peer.says(msgspec.structs.replace(peer.headers(request, 1), plan=tuple(bytes([n]) * 32 for n in range(4))))
        peer.waits(0)
        assert len(sync._batches) <= limits.plan_batches + 2
        assert sync._waiting_bytes <= limits.window_bytes
    assert ours[0] == node.chain()[0]


# --- peers that leave -------------------------------------------------------------------------------


def test_nobody_is_hung_up_on_twice() -> None:
    """Two batches of one peer are late, and the operator removes it as well."""
    limits = Limits(batch_blocks=10, headers_per_reply=10, plan_batches=3)
    node = Player(limits)
    theirs = chain(100)
    slow = NativePeer(node, "slow", theirs).joins()
    answer = slow.answer(slow.inbox.pop(0))
    assert answer is not None
    slow.says(answer)
    other = NativePeer(node, "other", theirs).joins()
    slow.reads(node.tell(RemovePeer(1, slow.remote)))
    assert slow.closed is not None
    told([slow, other], node.wait(20_000))
    assert [each for each in node.node.status(node.now, node.store).dropped if each["address"] == slow.remote] == []
    serve(other)


def test_all_peers_leave_in_the_middle_and_the_sync_goes_on_with_the_next() -> None:
    """Catalogue row 62."""
    limits = Limits(batch_blocks=10, headers_per_reply=10, plan_batches=3)
    node = Player(limits)
    theirs = chain(100)
    for number in range(6):
        peers = [NativePeer(node, f"{number} {name}", theirs).joins() for name in "ab"]
        for peer in peers:
            for _ in range(2):
                if peer.inbox and (answer := peer.answer(peer.inbox.pop(0))) is not None:
                    told(peers, node.tell(PeerSaid(peer.number, codec.encode(answer))))
        for peer in peers:
            node.tell(PeerClosed(peer.number, "gone"))
        assert node.chain() == theirs[: len(node.chain())]
    last = NativePeer(node, "last", theirs).joins()
    last.serves()
    assert node.chain() == theirs


# --- peers we chose ---------------------------------------------------------------------------------


def live(node: Player, peers: Sequence[NativePeer], ms: int, *, serving: bool = True) -> None:
    """Time passes; everybody answers pings, and questions if `serving`."""
    end = node.mono_ms + ms
    while node.mono_ms < end:
        effects = node.wait(min(10_000, end - node.mono_ms))
        dials = [effect for effect in effects if isinstance(effect, Dial)]
        told(peers, effects)
        for peer in peers:
            for message in peer.inbox if peer.closed is None else []:
                if isinstance(message, Ping):
                    told(peers, node.tell(PeerSaid(peer.number, codec.encode(Pong(message.nonce)))))
                elif serving and (answer := peer.answer(message)) is not None:
                    told(peers, node.tell(PeerSaid(peer.number, codec.encode(answer))))
            peer.forgets()
        node.effects = [*dials, *node.effects]


def chosen(count: int) -> tuple[Player, list[NativePeer]]:
    """A node that was told of some addresses, and has dialled them."""
    node = Player(Limits(outbound_peers=count), dial=[ADDRESS], discover=True)
    node.wait(0)
    teller = NativePeer(node, "teller", dialled=ADDRESS, remote="10.0.0.9:1").joins()
    request = teller.takes(GetAddrs)
    addresses = tuple(Address(bytes([9 + n, 9, 9, 9]), 3001) for n in range(20))
    teller.says(Addrs(request.id, addresses))
    teller.reads(node.tell(RemovePeer(1, ADDRESS)))
    teller.hangs_up()
    peers: list[NativePeer] = []
    for _ in range(10):
        for effect in node.wait(SECOND_MS):
            if isinstance(effect, Dial):
                address = effect.address
                peers.append(NativePeer(node, address, dialled=address, remote=address.removeprefix("ws://")).joins())
    assert len(peers) == count
    assert all(peer.closed is None for peer in peers)
    return node, peers


def test_peers_that_we_chose_and_that_are_stuck_are_replaced() -> None:
    """Catalogue row 63: after twenty minutes they are asked once, and after two more they have to go."""
    node, peers = chosen(3)
    node.posts("ahead of them all")
    live(node, peers, 20 * MINUTE_MS - SECOND_MS)
    assert [peer.closed for peer in peers] == [None] * 3
    live(node, peers, 3 * MINUTE_MS)
    assert all(peer.closed is not None and peer.closed.code == Close.TOO_SLOW for peer in peers)
    assert is_forgiven(peers[0])
    for peer in peers:
        peer.hangs_up()
    dials = [effect.address for effect in node.wait(30_000) if isinstance(effect, Dial)]
    assert dials
    assert not set(dials) & {f"ws://{peer.remote}" for peer in peers}


def test_peers_that_keep_up_stay() -> None:
    """Catalogue row 63."""
    node, peers = chosen(2)
    for number in range(15):
        block = node.posts(f"post {number}")
        told(peers, node.effects)
        for peer in peers:
            peer.chain.append(block)
            told(peers, node.tell(PeerSaid(peer.number, codec.encode(Announce((point(block),))))))
        live(node, peers, 3 * MINUTE_MS)
    assert [peer.closed for peer in peers] == [None, None]


def test_a_peer_that_dialled_us_may_be_stuck() -> None:
    """Catalogue row 63: it may be one that has just begun, or that nobody else talks with."""
    node, _ = with_blocks(3)
    peer = NativePeer(node).joins()
    live(node, [peer], 60 * MINUTE_MS)
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
        PeerSaid(peer.number, codec.encode(Push(whole_of(block)))), node.now, node.entropy, node.store
    )
    kinds = [isinstance(effect, WRITES) for effect in effects]
    assert kinds == sorted(kinds, reverse=True)
    assert not any(isinstance(effect, DropStaged) for effect in effects)
