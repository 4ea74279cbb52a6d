"""Native peers get in, are told apart, and pay for what they do; those we chose have to keep up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tallystick.errors import Rule
from tallystick.model.limits import MINUTE_MS, SECOND_MS, Limits
from tallystick.model.network import CLASSIC
from tallystick.node.effects import Dial, HangUp
from tallystick.node.inputs import (
    Ban,
    PeerSaid,
    RemovePeer,
    Unban,
)
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
    Ready,
)
from tallystick.wire.reactions import Close
from tests.node.player import Player
from tests.node.strangers import (
    ADDRESS,
    NOWHERE,
    NativePeer,
    chain,
    identity_of,
    is_dropped,
    is_forgiven,
    is_remembered,
    point,
    told,
    weight_of,
    with_blocks,
)


@pytest.fixture
def node() -> Player:
    return Player()


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
            told(peers, node.tell(PeerSaid(peer.number, codec.encode(Announce((point(block),), weight_of(block))))))
        live(node, peers, 3 * MINUTE_MS)
    assert [peer.closed for peer in peers] == [None, None]


def test_a_peer_that_dialled_us_may_be_stuck() -> None:
    """Catalogue row 63: it may be one that has just begun, or that nobody else talks with."""
    node, _ = with_blocks(3)
    peer = NativePeer(node).joins()
    live(node, [peer], 60 * MINUTE_MS)
    assert peer.closed is None
