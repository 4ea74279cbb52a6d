"""Fetching a chain from native peers: lies, branches that are staged, and peers that leave in the middle."""

from __future__ import annotations

import msgspec
import pytest

from tallystick.chain.writes import AddSide, Switch
from tallystick.errors import Rule
from tallystick.model.block import Block
from tallystick.model.limits import SECOND_MS, Limits
from tallystick.model.network import CLASSIC_GENESIS as GENESIS
from tallystick.node.effects import Log
from tallystick.node.inputs import (
    PeerClosed,
    PeerProgressed,
    PeerSaid,
    Post,
    RemovePeer,
)
from tallystick.wire.native import codec
from tallystick.wire.native.messages import (
    GetHeaders,
    Ping,
    Point,
    Pong,
)
from tallystick.wire.reactions import Close
from tests.node.player import Player
from tests.node.strangers import (
    NOWHERE,
    NativePeer,
    bodies_of,
    chain,
    is_dropped,
    is_forgiven,
    is_remembered,
    point,
    serve,
    told,
    with_blocks,
)

# --- fetching ---------------------------------------------------------------------------------------


def lie(peer: NativePeer, at: int, *, how: str) -> None:
    """Answer the first question with a block changed, at this place of the answer."""
    request = peer.takes(GetHeaders)
    reply = peer.headers(request)
    bodies = bodies_of(reply)
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
