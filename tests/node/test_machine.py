"""The node, event by event: what it says, writes, asks and refuses."""

from __future__ import annotations

import json
from dataclasses import replace

import msgspec
import pytest

from tallystick.errors import Rule
from tallystick.model.block import Block, UncheckedBlock, block_hash
from tallystick.model.limits import KIB, MIB, Limits
from tallystick.model.network import CLASSIC_GENESIS as GENESIS
from tallystick.node.effects import Dial, HangUp, Hold, Ping, Reply, Say, SayChain
from tallystick.node.inputs import (
    AddPeer,
    ChainSaid,
    DialFailed,
    Now,
    PeerClosed,
    PeerDrained,
    PeerOpened,
    PeerPonged,
    PeerSaid,
    Post,
    RemovePeer,
    Tick,
)
from tallystick.wire import classic
from tallystick.wire.classic import QueryAll, Response
from tallystick.wire.reactions import Close
from tests.node.player import WALL_MS, Player, grow, raw_response, unchecked


@pytest.fixture
def node() -> Player:
    return Player()


def response(*blocks: Block) -> Response:
    return Response([unchecked(block) for block in blocks])


# --- posts ------------------------------------------------------------------------------------------


def test_a_post_becomes_a_block_on_the_tip(node: Player) -> None:
    block = node.posts("hello")
    assert (block.index, block.previous_hash, block.data) == (1, GENESIS.hash, "hello")
    assert block.timestamp == WALL_MS // 1000
    assert node.chain() == [GENESIS, block]


def test_posts_of_one_batch_follow_each_other(node: Player) -> None:
    node.tell(Post(1, "a"), Post(2, "b"), Post(3, "a"))
    assert node.data()[1:] == ["a", "b", "a"]
    assert [reply.ticket for reply in node.all(Reply)] == [1, 2, 3]


def test_a_post_is_told_to_every_peer(node: Player) -> None:
    node.opens(1)
    node.opens(2)
    block = node.posts("hello")
    say = node.one(Say)
    assert say == Say([1, 2], classic.response([block]), gossip=True)


def test_a_post_too_long_for_the_book_is_refused_and_nothing_mined(node: Player) -> None:
    refusal = node.refuses(Post(1, "x" * 1_000_000))
    assert refusal.rule is Rule.DATA_WITHIN_SIZE
    assert node.chain() == [GENESIS]


def test_a_block_of_a_peer_may_be_longer_than_a_post(node: Player) -> None:
    """Blocks of peers are judged by the limit of a message only: another node may have let them in."""
    node.opens(1)
    [block] = grow(GENESIS, "x" * 1_000_000)
    node.hears(1, block)
    assert node.chain() == [GENESIS, block]


def test_a_post_with_a_clock_gone_wrong_is_refused(node: Player) -> None:
    """Catalogue row 107: what the clock says dates blocks, or says why not."""
    effects = node.node.step(Post(1, "x"), Now(0, 0), node.entropy, node.store)
    assert [effect.answer.rule for effect in effects if isinstance(effect, Reply)] == [Rule.CLOCK_IS_SANE]  # type: ignore[union-attr] # a violation


@pytest.mark.parametrize("jump_ms", [366 * 86_400_000, -366 * 86_400_000])
def test_a_jump_of_the_wall_clock_disturbs_no_peer(node: Player, jump_ms: int) -> None:
    """Catalogue row 107: every deadline is of the monotonic clock."""
    node.opens(1)
    effects = node.node.step(Tick(), Now(WALL_MS + jump_ms, 0), node.entropy, node.store)
    assert list(effects) == []


# --- the three messages -----------------------------------------------------------------------------


def test_on_connecting_the_latest_block_is_asked_for(node: Player) -> None:
    node.opens(1)
    assert node.one(Say) == Say([1], b'{"type": 0}')


def test_query_latest_is_answered_with_the_tip(node: Player) -> None:
    block = node.posts("hello")
    node.opens(1)
    node.hears_raw(1, b'{"type": 0}')
    assert node.one(Say) == Say([1], classic.response([block]))


def test_query_all_is_answered_to_the_sender_alone(node: Player) -> None:
    node.opens(1)
    node.opens(2)
    node.hears_raw(2, b'{"type": 1}')
    assert node.effects == [SayChain(2)]


def test_a_block_that_links_is_appended_and_passed_on(node: Player) -> None:
    node.opens(1)
    node.opens(2)
    [a1] = grow(GENESIS, "a1")
    node.hears(1, a1)
    assert node.chain() == [GENESIS, a1]
    assert node.one(Say) == Say([2], classic.response([a1]), gossip=True)


def test_a_block_that_does_not_link_is_verified_before_anything(node: Player) -> None:
    """A defect of the book's node: it appended whatever named our tip as its parent."""
    node.opens(1)
    [a1] = grow(GENESIS, "a1")
    node.hears(1, msgspec.structs.replace(a1, data="forged"))
    assert node.chain() == [GENESIS]
    assert node.hung_up_on() == [1]


def test_a_lone_block_ahead_makes_us_ask_its_sender_for_all(node: Player) -> None:
    node.opens(1)
    node.opens(2)
    node.hears(1, grow(GENESIS, "a1", "a2")[-1])
    assert node.one(Say) == Say([1], b'{"type": 1}')


def test_a_longer_chain_replaces_ours_and_the_latest_is_told(node: Player) -> None:
    node.opens(1)
    node.opens(2)
    node.posts("ours")
    theirs = grow(GENESIS, "b1", "b2")
    node.hears(1, GENESIS, *theirs)
    assert node.chain() == [GENESIS, *theirs]
    assert node.said_to(2) == [response(theirs[-1])]
    assert node.logged("switched to a longer branch")


def test_a_chain_that_extends_ours_is_told_block_by_block(node: Player) -> None:
    """DESIGN: a lone latest block after a batch would make every classic peer fetch the whole chain."""
    node.opens(1)
    node.opens(2)
    theirs = grow(GENESIS, "a1", "a2", "a3")
    node.hears(1, GENESIS, *theirs)
    assert node.said_to(2) == [response(block) for block in theirs]


def test_more_news_than_an_outbox_takes_is_told_by_the_last_block() -> None:
    node = Player(Limits(outbox_pause_bytes=4 * KIB))
    node.opens(1)
    node.opens(2)
    theirs = grow(GENESIS, *(f"a{n}" for n in range(100)))
    node.hears(1, GENESIS, *theirs)
    assert node.said_to(2) == [response(theirs[-1])]


def test_an_unsorted_chain_is_sorted(node: Player) -> None:
    node.opens(1)
    theirs = grow(GENESIS, "a1", "a2", "a3")
    node.hears(1, theirs[2], GENESIS, theirs[0], theirs[1])
    assert node.chain() == [GENESIS, *theirs]


def test_a_shorter_or_equal_chain_does_nothing(node: Player) -> None:
    node.opens(1)
    node.posts("ours")
    before = node.chain()
    node.hears(1, GENESIS, *grow(GENESIS, "b1"))
    assert node.chain() == before
    assert node.effects == []


def test_an_equal_block_is_kept_as_a_fork_but_not_followed(node: Player) -> None:
    node.opens(1)
    ours = node.posts("ours")
    [theirs] = grow(GENESIS, "theirs")
    node.hears(1, theirs)
    assert node.chain() == [GENESIS, ours]
    assert [fork.tip.hash for fork in node.reader.forks(10)] == [theirs.hash]


def test_a_duplicate_is_not_passed_on(node: Player) -> None:
    """Catalogue row 47."""
    node.opens(1)
    node.opens(2)
    [a1] = grow(GENESIS, "a1")
    node.hears(1, a1)
    for peer in (1, 2):
        assert node.hears(peer, a1) == []
        assert node.hears(peer, GENESIS) == []


def test_a_peer_that_only_ever_sends_its_latest_is_not_asked_in_a_loop(node: Player) -> None:
    """A chain over the message limit is answered with the latest block; asking again would go on for ever."""
    node.opens(1)
    far = grow(GENESIS, "a1", "a2")[-1]
    asked = sum(QueryAll() in (node.hears(1, far) and node.said_to(1)) for _ in range(50))
    assert asked == 1
    node.mono_ms += node.limits.query_all_patience_ms
    node.hears(1, far)
    assert node.said_to(1) == [QueryAll()]


def test_a_peer_that_answers_with_a_part_of_its_chain_is_not_asked_in_a_loop(node: Player) -> None:
    node.opens(1)
    part = grow(GENESIS, "a1", "a2", "a3", "a4")[2:]
    asked = sum(QueryAll() in (node.hears(1, *part) and node.said_to(1)) for _ in range(50))
    assert asked == 1


# --- hostile messages -------------------------------------------------------------------------------

BLOCK = json.loads(msgspec.json.encode(grow(GENESIS, "a1")[0]))
VIOLATIONS = {
    "not JSON": b"hello",
    "unknown type": b'{"type": 9}',
    "no blocks": raw_response([]),
    "mixed types to sort": raw_response([BLOCK, BLOCK | {"index": "2"}]),
    "missing index to sort": raw_response([BLOCK, {"data": "x"}]),
    "negative index": raw_response([BLOCK | {"index": -1}]),
    "duplicate index": raw_response([BLOCK, BLOCK]),
    "a gap": classic.response([GENESIS, grow(GENESIS, "a1", "a2")[-1]]),
    "forged data": raw_response([BLOCK | {"data": "forged"}]),
    "upper-case hash": raw_response([BLOCK | {"hash": BLOCK["hash"].upper()}]),
    "a huge index": raw_response([BLOCK | {"index": 10**30}]),
}


@pytest.mark.parametrize("text", VIOLATIONS.values(), ids=VIOLATIONS.keys())
def test_a_violation_costs_the_connection_and_changes_nothing(node: Player, text: bytes) -> None:
    """Catalogue rows 1, 2, 20, 21, 42, 51: and the book's sorting of hostile input, which raised."""
    node.opens(1, "8.8.8.8:1")
    node.hears_raw(1, text)
    assert node.hung_up_on() == [1]
    assert node.chain() == [GENESIS]
    assert not node.welcomes("8.8.8.8")
    assert node.node.status(node.now, node.store).dropped[0]["address"] == "8.8.8.8:1"


def test_a_chain_with_a_bad_block_is_refused_whole(node: Player) -> None:
    """Catalogue rows 53 and 57: back on the old tip, nothing of the branch kept."""
    node.opens(1, "8.8.8.8:1")
    ours = node.posts("ours")
    theirs = grow(GENESIS, "b1", "b2", "b3")
    theirs[1] = msgspec.structs.replace(theirs[1], data="forged")
    node.hears(1, GENESIS, *theirs)
    assert node.chain() == [GENESIS, ours]
    assert node.reader.forks(10) == []
    assert node.hung_up_on() == [1]


def test_a_block_that_could_not_be_passed_on_is_refused() -> None:
    """As raw UTF-8 it arrived within the limit; written as the book writes it, it would exceed every peer's."""
    node = Player(Limits(message_bytes=10_000))
    node.opens(1)
    [block] = grow(GENESIS, "é" * 3_000)
    inner = json.dumps([msgspec.structs.asdict(block)], ensure_ascii=False)
    text = json.dumps({"type": 2, "data": inner}, ensure_ascii=False).encode()
    assert len(text) < 10_000
    node.hears_raw(1, text)
    assert node.hung_up_on() == [1]
    assert node.chain() == [GENESIS]


def test_another_network_costs_the_connection_without_a_grudge(node: Player) -> None:
    """Catalogue row 24, classic: the operator's mistake, no attack."""
    node.opens(1, "8.8.8.8:1")
    other = UncheckedBlock("other", "", 0, "0", 1465154705)
    digest = block_hash(0, "0", 1465154705, "other")
    node.hears_raw(1, raw_response([msgspec.structs.asdict(other) | {"hash": digest}]))
    assert node.one(HangUp).code == Close.OTHER_NETWORK
    assert node.welcomes("8.8.8.8")


def test_after_hanging_up_nothing_a_peer_says_counts(node: Player) -> None:
    node.opens(1)
    node.opens(2)
    node.hears_raw(1, b"hello")
    assert node.hears(1, *grow(GENESIS, "a1")) == []
    assert node.node.connected() == ["127.0.0.1:5000"]
    node.posts("x")
    assert node.one(Say).peers == [2]


def test_a_peer_on_this_machine_or_of_the_operator_is_never_discouraged() -> None:
    """Catalogue row 40."""
    node = Player(dial=["ws://8.8.8.8:1"])
    node.wait(0)
    node.opens(1, "127.0.0.1:9")
    node.opens(2, "8.8.8.8:1", "ws://8.8.8.8:1")
    node.hears_raw(1, b"hello")
    node.hears_raw(2, b"hello")
    assert node.welcomes("127.0.0.1")
    assert node.welcomes("8.8.8.8")


def test_what_the_socket_saw_counts_too(node: Player) -> None:
    """Catalogue rows 3 and 7: a wrong frame, an oversized message."""
    node.opens(1, "8.8.8.8:1")
    node.tell(PeerClosed(1, "binary frame", Rule.FRAME_KIND_FITS_DIALECT))
    assert not node.welcomes("8.8.8.8")
    node.opens(2, "8.8.4.4:1")
    node.tell(PeerClosed(2, "reads too slowly", Rule.OUTBOX_DRAINS))
    assert node.welcomes("8.8.4.4")


def test_inbound_peers_are_bounded(node: Player) -> None:
    """Catalogue row 32: even when they all come in one batch."""
    node.tell(*(PeerOpened(peer, f"10.0.0.{peer}:1", None) for peer in range(1, 12)))
    assert node.hung_up_on() == [9, 10, 11]
    assert not node.welcomes("10.0.0.99")
    node.tell(PeerClosed(1, "gone"), PeerClosed(9, "gone"), PeerClosed(10, "gone"), PeerClosed(11, "gone"))
    assert node.welcomes("10.0.0.99")


def test_deep_reorg_spam_is_read_ever_slower() -> None:
    """Catalogue row 56: two long branches that overtake each other cost their sender its time."""
    node = Player(Limits(received_bytes_per_minute=20 * KIB))
    node.opens(1)
    branches = [grow(GENESIS, "a"), grow(GENESIS, "b")]
    held_ms = 0
    for turn in range(100):
        branch = branches[turn % 2]
        branch += grow(branch[-1], f"{turn}", f"{turn}")
        node.hears(1, GENESIS, *branch)
        held_ms += sum(hold.for_ms for hold in node.all(Hold))
        node.mono_ms += sum(hold.for_ms for hold in node.all(Hold))
    assert held_ms > 60_000


def test_a_large_tip_is_not_a_lever() -> None:
    """Twelve bytes in, megabytes out: the answers count as well."""
    node = Player(Limits(received_bytes_per_minute=MIB))
    node.opens(1)
    node.opens(2)
    node.hears(1, *grow(GENESIS, "x" * 600_000))
    holds = [hold.for_ms for _ in range(4) for hold in node.hears_raw(2, b'{"type": 0}') if isinstance(hold, Hold)]
    assert len(holds) == 3


def test_messages_that_are_ignored_are_counted_too() -> None:
    node = Player(Limits(received_bytes_per_minute=10 * KIB))
    node.opens(1)
    stray = grow(GENESIS, "a1", "x" * 4 * KIB)[1]
    for _ in range(4):
        node.hears(1, stray)
    assert node.one(Hold).peer == 1


def test_deep_switches_for_a_few_bytes_are_read_ever_slower() -> None:
    """Catalogue row 56: both branches are known, and each message adds just enough to change sides."""
    node = Player(Limits(received_bytes_per_minute=MIB))
    node.opens(1)
    branches = [grow(GENESIS, *(f"{name} {n}" for n in range(length))) for name, length in (("a", 200), ("b", 201))]
    for branch in branches:
        node.hears(1, GENESIS, *branch)
    held_ms = 0
    for turn in range(100):
        branch = branches[turn % 2]
        branch += grow(branch[-1], "more", "more")
        for block in branch[-2:]:
            node.hears(1, block)
            held_ms += sum(hold.for_ms for hold in node.all(Hold))
        assert node.chain()[-1] == branch[-1]
    assert held_ms > 60_000


def test_hanging_up_pays_no_debts() -> None:
    node = Player(Limits(received_bytes_per_minute=10 * KIB))
    for peer in range(1, 6):
        node.opens(peer, f"8.8.8.8:{peer}")
        node.hears(peer, *grow(node.chain()[-1], "x" * 4 * KIB))
        node.tell(PeerClosed(peer, "bye"))
    node.opens(6, "8.8.8.8:6")
    assert node.one(Hold).peer == 6
    node.opens(7, "9.9.9.9:1")
    assert node.all(Hold) == []


def test_looking_for_a_lost_beginning_is_not_free() -> None:
    """The oldest blocks of a long side branch were dropped; every message of it makes us look for them."""
    node = Player(Limits(received_bytes_per_minute=200 * KIB, side_bytes=100_000), max_reorg=1)
    node.opens(1)
    node.posts("1")
    node.posts("2")
    theirs = grow(GENESIS, *(f"b{n}" for n in range(600)))
    node.hears(1, GENESIS, *theirs)
    node.opens(2)
    next_one = grow(theirs[-1], "next")[0]
    held_ms = 0
    for _ in range(10):
        node.hears(2, next_one)
        held_ms += sum(hold.for_ms for hold in node.all(Hold))
    assert held_ms > 10_000


def test_what_a_peer_makes_us_remember_is_short(node: Player) -> None:
    node = Player(dial=["ws://a:1"])
    node.wait(0)
    node.tell(DialFailed("ws://a:1", "x" * 100_000))
    node.opens(1, "8.8.8.8:1")
    node.tell(PeerClosed(1, "x" * 100_000, Rule.FRAME_KIND_FITS_DIALECT))
    assert len(repr(node.node.status(node.now, node.store))) < 2_000


# --- reorgs and duties ------------------------------------------------------------------------------


def test_what_we_acknowledged_is_mined_again_after_a_while(node: Player) -> None:
    node.opens(1)
    node.posts("ours 1")
    node.posts("ours 2")
    theirs = grow(GENESIS, "b1", "b2", "b3")
    node.hears(1, GENESIS, *theirs)
    assert "ours 1" not in node.data()
    node.wait(500)
    assert node.data()[-2:] == ["ours 1", "ours 2"]
    assert node.said_to(1) == [response(block) for block in node.chain()[-2:]]
    assert node.logged("mined again what a reorg took off")
    assert not node.node.status(node.now, node.store).lost_duties


def test_what_was_lost_is_mined_again_after_a_restart(node: Player) -> None:
    node.opens(1)
    node.posts("ours")
    node.hears(1, GENESIS, *grow(GENESIS, "b1", "b2"))
    node.restart()
    node.wait(500)
    assert node.data()[-1] == "ours"


def test_more_losses_than_a_page_come_back_in_one_go() -> None:
    node = Player(Limits(view_page=10))
    node.opens(1)
    node.tell(*(Post(n, f"ours {n}") for n in range(35)))
    node.hears(1, GENESIS, *grow(GENESIS, *(f"b{n}" for n in range(36))))
    node.wait(500)
    assert node.data()[-35:] == [f"ours {n}" for n in range(35)]


def test_the_wait_doubles_while_posts_keep_losing() -> None:
    """DESIGN: 0-500 ms, doubling up to 8 s, so that many nodes take turns."""
    node = Player()
    node.entropy.random = lambda: 0.999  # type: ignore[method-assign] # always the longest wait
    node.opens(1)
    node.posts("ours")
    branch, waits = [GENESIS], []
    for turn in range(7):
        branch += grow(branch[-1], *(f"{turn} {n}" for n in range(3)))
        node.hears(1, *branch)
        started = node.mono_ms
        while node.data()[-1] != "ours":
            node.wait(100)
        waits.append(node.mono_ms - started)
    assert waits == [500, 1000, 2000, 4000, 8000, 8000, 8000]


def test_the_wait_shrinks_again_in_calm() -> None:
    node = Player()
    node.entropy.random = lambda: 0.999  # type: ignore[method-assign] # always the longest wait
    node.opens(1)
    node.posts("ours")
    branch = [GENESIS]
    for turn in range(3):
        branch += grow(branch[-1], *(f"{turn} {n}" for n in range(3)))
        node.hears(1, *branch)
        node.wait(60_000)
    branch += grow(branch[-1], "x", "y", "z")
    node.hears(1, *branch)
    node.wait(500)
    assert node.data()[-1] == "ours"


def test_a_reorg_beyond_the_operators_limit_is_an_alarm_not_a_crime() -> None:
    """Catalogue row 55."""
    node = Player(max_reorg=1)
    node.opens(1, "8.8.8.8:1")
    ours = [node.posts("1"), node.posts("2")]
    node.hears(1, GENESIS, *grow(GENESIS, "b1", "b2", "b3"))
    assert node.chain() == [GENESIS, *ours]
    assert node.logged("a longer branch is not followed")
    assert node.hung_up_on() == []
    assert node.welcomes("8.8.8.8")


def test_whoever_goes_on_with_a_refused_branch_does_not_fill_the_log() -> None:
    """Catalogue row 55: each of its blocks is refused anew, and one line a minute says so."""
    node = Player(max_reorg=1)
    node.opens(1)
    node.tell(Post(1, "1"), Post(2, "2"))
    alarms, tip = 0, GENESIS
    for number in range(60):
        [tip] = grow(tip, f"b{number}")
        node.hears(1, tip)
        alarms += node.logged("a longer branch is not followed")
        node.mono_ms += 2_000
    assert alarms == 2
    assert node.data()[1:] == ["1", "2"]


def test_a_branch_that_was_refused_is_followed_once_the_operator_allows_it(node: Player) -> None:
    """The peer's tip is known already, kept beside the chain; nothing new arrives, yet it is the better one."""
    node.profile = replace(node.profile, max_reorg=1)
    node.restart()
    node.opens(1)
    node.posts("1")
    node.posts("2")
    theirs = grow(GENESIS, "b1", "b2", "b3")
    node.hears(1, GENESIS, *theirs)
    alarms = [node.hears(1, theirs[-1]) for _ in range(3)]
    assert alarms == [[], [], []], "said once, not with every answer to QUERY_LATEST"
    node.profile = replace(node.profile, max_reorg=None)
    node.restart()
    node.opens(2)
    node.hears(2, theirs[-1])
    assert node.chain()[-1] == theirs[-1]


# --- whom we dial -----------------------------------------------------------------------------------


def test_every_configured_and_remembered_peer_is_dialled() -> None:
    """A defect of the book's node: only the first configured peer was ever dialled."""
    node = Player(dial=["ws://a:1", "ws://b:1"])
    node.tell(AddPeer(1, "ws://c:1"))
    node.restart()
    node.wait(0)
    assert [dial.address for dial in node.all(Dial)] == ["ws://a:1", "ws://b:1", "ws://c:1"]


def test_a_removed_peer_is_forgotten_for_good() -> None:
    node = Player()
    node.tell(AddPeer(1, "ws://a:1"))
    node.wait(0)
    node.opens(1, "10.0.0.1:1", "ws://a:1")
    node.tell(RemovePeer(2, "a:1"))
    assert node.one(Reply).answer is True
    assert node.hung_up_on() == [1]
    node.tell(PeerClosed(1, "we hung up"))
    assert node.wait(600_000) == []
    node.restart()
    assert node.wait(600_000) == []


def test_a_peer_is_removed_by_any_of_its_names() -> None:
    for name in ("ws://a:1", "a:1", "10.0.0.1:1"):
        node = Player(dial=["ws://a:1"])
        node.wait(0)
        node.opens(1, "10.0.0.1:1", "ws://a:1")
        node.tell(RemovePeer(1, name))
        assert node.hung_up_on() == [1]
        assert node.wait(600_000) == []


def test_an_inbound_peer_can_be_removed(node: Player) -> None:
    node.opens(1, "10.0.0.1:7")
    node.tell(RemovePeer(1, "10.0.0.1:7"))
    assert node.hung_up_on() == [1]


def test_removing_a_stranger_is_refused(node: Player) -> None:
    assert node.refuses(RemovePeer(1, "ws://nobody:1")).rule is Rule.PEER_IS_KNOWN


def test_a_dial_that_succeeds_after_its_removal_is_hung_up() -> None:
    node = Player(dial=["ws://a:1"])
    node.wait(0)
    node.tell(RemovePeer(1, "ws://a:1"))
    node.opens(1, "10.0.0.1:1", "ws://a:1")
    assert node.hung_up_on() == [1]


def test_the_book_of_addresses_is_bounded() -> None:
    node = Player(Limits(peer_addresses=1))
    node.tell(AddPeer(1, "ws://a:1"))
    assert node.refuses(AddPeer(2, "ws://b:1")).rule is Rule.ADDRESS_BOOK_HAS_ROOM
    assert list(node.store.peers()) == ["ws://a:1"]


def test_an_unreachable_peer_is_shown_as_such() -> None:
    node = Player(dial=["ws://a:1"])
    node.wait(0)
    node.tell(DialFailed("ws://a:1", "connection refused"))
    [status] = node.node.status(node.now, node.store).peers
    assert (status.state, status.last_error) == ("waiting", "connection refused")
    assert status.next_dial_ms is not None
    node.wait(1000)
    assert node.one(Dial) == Dial("ws://a:1")


def test_the_end_of_an_old_connection_says_nothing_of_the_new_one() -> None:
    """Removed, and added again while the old connection was still closing."""
    node = Player(dial=["ws://a:1"])
    node.wait(0)
    node.opens(1, "10.0.0.1:1", "ws://a:1")
    node.tell(RemovePeer(1, "ws://a:1"), AddPeer(2, "ws://a:1"))
    assert node.wait(0) == [Dial("ws://a:1")]
    node.opens(2, "10.0.0.1:1", "ws://a:1")
    node.tell(PeerClosed(1, "we hung up"))
    assert [status.state for status in node.node.status(node.now, node.store).peers] == ["connected"]
    assert Dial("ws://a:1") not in node.wait(20_000)


def test_an_address_has_one_connection() -> None:
    """Removed and added again while a dial was under way: of two connections the first stays."""
    node = Player(dial=["ws://a:1"])
    node.wait(0)
    node.tell(RemovePeer(1, "ws://a:1"), AddPeer(2, "ws://a:1"))
    assert node.wait(0) == [Dial("ws://a:1")]
    node.opens(1, "10.0.0.1:1", "ws://a:1")
    assert node.hung_up_on() == []
    node.opens(2, "10.0.0.1:1", "ws://a:1")
    assert node.hung_up_on() == [2]
    node.tell(PeerClosed(2, "we hung up"))
    assert node.node.connected() == ["10.0.0.1:1"]
    assert [status.state for status in node.node.status(node.now, node.store).peers] == ["connected"]


def test_a_dial_that_fails_late_says_nothing_of_an_open_connection() -> None:
    node = Player(dial=["ws://a:1"])
    node.wait(0)
    node.tell(RemovePeer(1, "ws://a:1"), AddPeer(2, "ws://a:1"))
    node.wait(0)
    node.opens(1, "10.0.0.1:1", "ws://a:1")
    node.tell(DialFailed("ws://a:1", "refused"))
    assert [status.state for status in node.node.status(node.now, node.store).peers] == ["connected"]


def test_a_peer_dialled_under_two_names_is_removed_under_both() -> None:
    node = Player(dial=["ws://a:1", "ws://b:1"])
    node.tell(AddPeer(1, "ws://a:1"), AddPeer(2, "ws://b:1"))
    node.wait(0)
    node.opens(1, "10.0.0.1:1", "ws://a:1")
    node.opens(2, "10.0.0.1:1", "ws://b:1")
    node.tell(RemovePeer(1, "10.0.0.1:1"))
    assert node.hung_up_on() == [1, 2]
    node.tell(PeerClosed(1, "x"), PeerClosed(2, "x"))
    assert node.wait(600_000) == []
    assert list(node.store.peers()) == []


# --- time -------------------------------------------------------------------------------------------


def test_classic_peers_are_asked_for_their_latest_every_30_s(node: Player) -> None:
    node.opens(1)
    questions = 0
    for _ in range(9):
        node.wait(10_000)
        questions += len(node.said_to(1))
        node.tell(PeerPonged(1))
    assert questions == 3


def test_a_silent_peer_is_dropped(node: Player) -> None:
    """Catalogue row 38: pinged after 30 s, gone 60 s later; a pong saves it."""
    node.opens(1)
    node.opens(2)
    node.wait(30_000)
    assert [ping.peer for ping in node.all(Ping)] == [1, 2]
    node.tell(PeerPonged(2))
    node.wait(60_000)
    assert node.hung_up_on() == [1]


def test_our_own_stall_drops_nobody(node: Player) -> None:
    """Catalogue row 108: ten minutes in a debugger, or of sleep; what peers sent meanwhile is still to be read."""
    node.opens(1)
    node.wait(30_000)
    node.mono_ms += 600_000
    node.tell(Tick())
    assert node.hung_up_on() == []
    node.tell(PeerPonged(1))
    node.wait(20_000)
    assert node.hung_up_on() == []


def test_a_second_query_all_waits_for_the_first_answer(node: Player) -> None:
    node.opens(1)
    node.hears_raw(1, b'{"type": 1}')
    assert node.hears_raw(1, b'{"type": 1}') == []
    assert node.tell(ChainSaid(1, 1000)) == [SayChain(1)]
    assert node.tell(ChainSaid(1, 1000)) == []


def test_chains_over_the_budget_are_answered_later(node: Player) -> None:
    node.opens(1)
    for _ in range(5):
        assert node.hears_raw(1, b'{"type": 1}') == [SayChain(1)]
        node.tell(ChainSaid(1, 16 * MIB))
    assert node.hears_raw(1, b'{"type": 1}') == []
    node.wait(16_000)
    assert node.one(SayChain) == SayChain(1)


def test_a_peer_that_missed_gossip_hears_the_latest_once_it_reads(node: Player) -> None:
    node.opens(1)
    block = node.posts("missed")
    node.tell(PeerDrained(1))
    assert node.one(Say) == Say([1], classic.response([block]), gossip=True)


def test_news_of_a_peer_that_is_gone_is_no_news(node: Player) -> None:
    for event in (PeerSaid(9, b'{"type": 0}'), PeerPonged(9), PeerDrained(9), ChainSaid(9, 1), PeerClosed(9, "x")):
        assert node.tell(event) == []
    assert node.tell(DialFailed("ws://nobody:1", "x")) is not None


def test_an_idle_node_without_peers_sleeps(node: Player) -> None:
    node.wait(1000)
    assert node.node.wake_at_ms() is None
