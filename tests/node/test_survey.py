"""What a branch weighs is seen by its headers before any body is fetched: honest peers and lying ones.

Blocks cost two hashes each here, so a test can afford what an attacker would pay for.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from itertools import pairwise

import msgspec
import pytest

from tallystick.consensus.work import WorkEngine
from tallystick.errors import Rule
from tallystick.model.limits import Limits
from tallystick.model.log import ProofError
from tallystick.model.network import Kind, sealed_network
from tallystick.model.proof import check, prove
from tallystick.model.record import raw_of, without_data
from tallystick.model.sealed import SealedBlock, header_bytes_of
from tallystick.node.effects import Log
from tallystick.node.inputs import EraseRecord, PeerSaid, PostRecords
from tallystick.node.survey import Surveying
from tallystick.wire.native import codec
from tallystick.wire.native.messages import (
    WEIGHT_BYTES,
    Announce,
    Blocks,
    GetBlocks,
    GetHeaders,
    GetRecords,
    GetSurvey,
    Headers,
    Inv,
    Message,
    Ping,
    Point,
    Pong,
    Push,
    RecordName,
    Records,
    Survey,
    Tip,
)
from tallystick.wire.reactions import Close
from tests.node.player import Player
from tests.node.strangers import NativePeer, is_remembered, told
from tests.storage.sealed_blocks import GENESIS, NETWORK, RULES, branch, child, record, records

ENGINE = WorkEngine(NETWORK)
SMALL = Limits(headers_per_reply=10, batch_blocks=5, recent_headers=20, window_batches=4, plan_batches=4)
LATER_MS = 10_000_000
"""All blocks of these tests are of the past."""

Chain = Sequence[SealedBlock]


def node_at(limits: Limits | None = None, mono_ms: int = LATER_MS) -> Player:
    return Player(limits, network=NETWORK, mono_ms=mono_ms)


def chain_of(length: int, name: str, after: SealedBlock = GENESIS) -> list[SealedBlock]:
    """So many blocks of a record each."""
    return branch(after, *([record(f"{name}-{number}")] for number in range(length)))


def weight_of(block: SealedBlock) -> bytes:
    return block.weight.to_bytes(WEIGHT_BYTES, "big")


def point(block: SealedBlock) -> Point:
    return Point(block.index, bytes.fromhex(block.hash))


def joined(node: Player, chain: Chain, name: str = "peer", weight: bytes | None = None) -> NativePeer:
    """A peer that says it has this chain, and what it weighs."""
    tip = Tip(point(chain[-1]), weight or weight_of(chain[-1]))
    return NativePeer(node, name, network=bytes.fromhex(NETWORK.id), tip=tip).joins()


def after(locator: Sequence[Point], chain: Chain) -> SealedBlock:
    held = {point(block): block for block in chain}
    return next((held[each] for each in locator if each in held), GENESIS)


def honest(chain: Chain, request: Message) -> Message | None:
    """What a node that has this chain answers."""
    whole = [GENESIS, *chain]
    match request:
        case GetSurvey():
            start = after(request.locator, whole)
            run = whole[start.index + 1 : start.index + 1 + request.most]
            return Survey(request.id, point(start), tuple(map(header_bytes_of, run)))
        case GetHeaders():
            start = after(request.locator, whole)
            end = start.index + 1 + request.most if request.stop is None else request.stop.index + 1
            run = whole[start.index + 1 : min(end, start.index + 1 + request.most)]
            return Headers(request.id, point(start), tuple(map(ENGINE.body, run)), ())
        case GetBlocks():
            held = {point(block): block for block in whole}
            found = tuple(ENGINE.whole(held[each]) for each in request.points if each in held)
            return Blocks(request.id, found, tuple(n for n, each in enumerate(request.points) if each not in held))
        case Ping():
            return Pong(request.nonce)
    return None


Answer = Callable[[Message], Message | None]


def serves(peer: NativePeer, answer: Answer, most: int = 10_000) -> None:
    """Answer until nothing is asked any more."""
    for _ in range(most):
        if not peer.inbox or peer.closed is not None:
            return
        reply = answer(peer.inbox.pop(0))
        if reply is not None:
            peer.says(reply)
        if not peer.inbox and peer.closed is None:
            peer.waits(0)
    raise AssertionError("it never ends")


def gives(node: Player, chain: Chain) -> None:
    """An honest peer brings this chain."""
    peer = joined(node, chain, "giver")
    peer.waits(0)
    serves(peer, lambda request: honest(chain, request))
    assert node.reader.tip().hash == chain[-1].hash
    peer.hangs_up()


def why(peer: NativePeer) -> Rule | None:
    """The rule for which the node hung up on this peer."""
    assert peer.closed is not None
    return next(
        (Rule(str(each["rule"])) for each in peer.node.node.status(peer.node.now, peer.node.store).dropped), None
    )


def ends_of(fork: SealedBlock, chain: Chain, limits: Limits) -> list[int]:
    """Where a survey of this chain cuts it, by the length of each batch."""
    surveying = Surveying(ENGINE, fork.header, lambda *_: [fork.header], limits)
    surveying.take(Survey(1, point(fork), tuple(map(header_bytes_of, chain))), LATER_MS * 10**6)
    ends = [fork.index, *(end.index for end in surveying.ends)]
    return [end - start for start, end in pairwise(ends)]


def test_a_batch_ends_with_so_many_blocks_or_so_many_records() -> None:
    """And has a twentieth of these blocks in any case: headers claim what they like."""
    light = branch(GENESIS, *([] for _ in range(100)))
    heavy = branch(light[-1], *(records(f"r{number}-", 3) for number in range(40)))
    limits = Limits(batch_blocks=40, batch_records=30)
    assert ends_of(GENESIS, [*light, *heavy], limits) == [40, 40, 30, 10, 10, 10]
    assert ends_of(light[-1], heavy, Limits(batch_blocks=40, batch_records=1)) == [2] * 20


def kept(node: Player, chain: Chain) -> list[SealedBlock]:
    """Which of these are in the store, on the best chain or beside it."""
    on_chain = {block.hash for block in node.blocks()}
    return [block for block in chain if block.hash in on_chain or node.store.side(block.hash) is not None]


# --- the way it should be ---------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, 4, 5, 9, 10, 11, 20, 57])
def test_a_heavier_chain_is_surveyed_then_fetched(length: int) -> None:
    node = node_at(SMALL)
    gives(node, chain_of(length, "a"))


@pytest.mark.parametrize("ours", [1, 12, 33])
def test_a_heavier_branch_takes_the_place_of_ours_wherever_it_leaves(ours: int) -> None:
    node = node_at(SMALL)
    shared = chain_of(7, "shared")
    mine = [*shared, *chain_of(ours, "mine", shared[-1])]
    theirs = [*shared, *chain_of(ours + 1, "theirs", shared[-1])]
    gives(node, mine)
    gives(node, theirs)


def test_a_chain_is_followed_by_its_work_and_not_by_its_length() -> None:
    """Blocks that come sooner than the schedule has them weigh more."""
    node = node_at()
    slow = chain_of(6, "slow")
    assert {ENGINE.bits_after(block.header) for block in slow} == {RULES.bits}
    gives(node, slow)
    peer = joined(node, slow[:3], "lighter")
    peer.waits(0)
    serves(peer, lambda request: honest(slow[:3], request))
    assert node.reader.tip().hash == slow[-1].hash
    assert peer.closed is None


# --- lies -------------------------------------------------------------------------------------------


def test_headers_that_weigh_less_than_was_claimed_cost_no_room() -> None:
    """Catalogue rows 44 and 61: nothing is kept of a low-work chain, however long, and who claimed more is dropped."""
    node = node_at(SMALL)
    gives(node, chain_of(60, "ours"))
    flood = chain_of(55, "flood")
    liar = joined(node, flood, "liar", weight=b"\xff" * WEIGHT_BYTES)
    liar.waits(0)
    seen: list[Message] = []

    def answer(request: Message) -> Message | None:
        seen.append(request)
        return honest(flood, request)

    serves(liar, answer)
    assert sum(isinstance(request, GetSurvey) for request in seen) == 6
    assert not any(isinstance(request, GetHeaders) for request in seen)
    assert kept(node, flood) == []
    assert why(liar) is Rule.CLAIM_IS_PROVEN


def test_what_is_remembered_of_a_survey_does_not_grow_with_its_headers() -> None:
    """Catalogue row 44: of each batch its last block's name, and the newest few headers."""
    node = node_at(SMALL)
    gives(node, chain_of(210, "ours"))
    flood = chain_of(200, "flood")
    liar = joined(node, flood, "liar", weight=b"\xff" * WEIGHT_BYTES)
    liar.waits(0)
    for _ in range(18):
        request = next(each for each in liar.inbox if isinstance(each, GetSurvey))
        liar.inbox.remove(request)
        reply = honest(flood, request)
        assert reply is not None
        liar.says(reply)
    under_way = node.node._native.fetching._survey
    assert under_way is not None
    assert len(under_way[1]._newest) == SMALL.survey_window
    assert len(under_way[1].ends) == 180 // SMALL.batch_blocks
    assert kept(node, flood) == []


def test_a_lone_block_of_a_branch_with_far_less_work_is_not_kept() -> None:
    """Catalogue rows 44 and 48: what costs next to nothing to make is not worth a place on disk."""
    node = node_at()
    gives(node, chain_of(160, "ours"))
    cheap = child(GENESIS, records("cheap", 3))
    peer = joined(node, [GENESIS])
    peer.says(Push(ENGINE.whole(cheap), weight_of(cheap)))
    assert kept(node, [cheap]) == []
    assert peer.closed is None


def test_a_header_whose_nonce_does_not_seal_it_is_a_violation() -> None:
    """Catalogue row 43."""
    node = node_at(SMALL)
    chain = chain_of(12, "a")
    forged = unsealed(chain[7])

    def answer(request: Message) -> Message | None:
        reply = honest(chain, request)
        if isinstance(reply, Survey):
            headers = list(reply.headers)
            headers[7 - reply.parent.index] = header_bytes_of(forged)
            return msgspec.structs.replace(reply, headers=tuple(headers[: 8 - reply.parent.index]))
        return reply

    liar = joined(node, chain)
    liar.waits(0)
    serves(liar, answer)
    assert why(liar) is Rule.SEAL_HOLDS
    assert is_remembered(liar)
    assert kept(node, chain) == []


def unsealed(block: SealedBlock) -> SealedBlock:
    """The same block with a nonce that does not fit."""
    for nonce in range(1_000):
        other = msgspec.structs.replace(block, seal=block.seal[:4] + nonce.to_bytes(8, "big"))
        if ENGINE.read(header_bytes_of(other) + b"\x90").hash[0] in "89abcdef":
            return other
    raise AssertionError


def test_headers_that_do_not_follow_each_other_are_a_violation() -> None:
    """Catalogue row 42."""
    node = node_at(SMALL)
    chain = chain_of(9, "a")

    def answer(request: Message) -> Message | None:
        reply = honest(chain, request)
        return msgspec.structs.replace(reply, headers=reply.headers[::-1]) if isinstance(reply, Survey) else reply

    liar = joined(node, chain)
    liar.waits(0)
    serves(liar, answer)
    assert why(liar) is Rule.INDEX_FOLLOWS_PARENT
    assert is_remembered(liar)


def test_a_peer_that_switches_branches_while_it_is_surveyed_is_surveyed_anew() -> None:
    """That is no lie: it was overtaken itself."""
    node = node_at(SMALL)
    before, afterwards = chain_of(30, "before"), chain_of(31, "afterwards")
    surveys = 0

    def answer(request: Message) -> Message | None:
        nonlocal surveys
        surveys += isinstance(request, GetSurvey)
        return honest(before if surveys < 2 else afterwards, request)

    peer = joined(node, before)
    peer.waits(0)
    serves(peer, answer)
    assert node.reader.tip().hash == afterwards[-1].hash
    assert peer.closed is None
    assert kept(node, before) == []


def test_headers_after_a_block_that_nobody_asked_about_are_a_violation() -> None:
    """Catalogue row 60."""
    node = node_at(SMALL)
    chain = chain_of(9, "a")

    def answer(request: Message) -> Message | None:
        reply = honest(chain, request)
        return msgspec.structs.replace(reply, parent=point(chain[3])) if isinstance(reply, Survey) else reply

    liar = joined(node, chain)
    liar.waits(0)
    serves(liar, answer)
    assert why(liar) is Rule.REPLY_FITS_REQUEST
    assert is_remembered(liar)


def test_bodies_of_other_blocks_than_were_surveyed_fit_nowhere() -> None:
    """Catalogue row 45: bait and switch."""
    node = node_at(SMALL)
    bait, switch = chain_of(23, "bait"), chain_of(23, "switch")

    def answer(request: Message) -> Message | None:
        return honest(switch if isinstance(request, GetHeaders) else bait, request)

    liar = joined(node, bait)
    liar.waits(0)
    serves(liar, answer)
    assert liar.closed is not None
    assert why(liar) is Rule.REPLY_FITS_REQUEST
    assert is_remembered(liar)
    assert kept(node, switch) == []


def test_bodies_that_never_come_leave_room_for_somebody_else() -> None:
    """Catalogue rows 45 and 58: headers prove work, and not that their sender has the bodies."""
    node = node_at(SMALL)
    chain = chain_of(23, "a")
    liar, friend = joined(node, chain, "liar"), joined(node, chain, "friend")
    peers = [liar, friend]
    liar.waits(0)
    for _ in range(400):
        for peer in peers:
            while peer.inbox and peer.closed is None:
                request = peer.inbox.pop(0)
                reply = honest(chain, request)
                if peer is liar and isinstance(request, GetHeaders):
                    continue  # it has nothing
                if reply is not None:
                    told(peers, node.tell(PeerSaid(peer.number, codec.encode(reply))))
        told(peers, node.wait(500))
        if node.reader.tip().hash == chain[-1].hash:
            break
    assert node.reader.tip().hash == chain[-1].hash
    assert friend.closed is None


def test_who_claims_much_and_says_everything_but_the_answer_does_not_hold_up_the_chain() -> None:
    """Catalogue rows 58, 59 and 61: what else a peer sends does not count for the answer that it owes."""
    node = node_at()
    chain = chain_of(30, "a")
    gives(node, chain)
    friend, liar = joined(node, chain, "friend"), joined(node, chain, "liar", weight=b"\xff" * WEIGHT_BYTES)
    told([friend, liar], node.wait(1_000))
    assert liar.all(GetSurvey)
    for second in range(300):
        if second % 60 == 30:
            chain = [*chain, *chain_of(1, f"new{second}", chain[-1])]
            told([friend, liar], node.tell(said(friend, Announce((point(chain[-1]),), weight_of(chain[-1])))))
        junk = tuple(RecordName(f"{second}-{n}" + "x" * 100, bytes([n]) * 32) for n in range(250))
        for _ in range(4 if liar.closed is None else 0):
            told([friend, liar], node.tell(said(liar, Inv(junk))))
        told([friend, liar], node.wait(1_000))
        while friend.inbox:
            reply = honest(chain, friend.inbox.pop(0))
            if reply is not None:
                told([friend, liar], node.tell(said(friend, reply)))
        for ping in liar.all(Ping):
            liar.inbox.remove(ping)
            told([friend, liar], node.tell(said(liar, Pong(ping.nonce))))
    assert node.reader.tip().hash == chain[-1].hash
    assert friend.closed is None
    assert liar.closed is not None
    assert liar.closed.code == Close.TOO_SLOW


def said(peer: NativePeer, message: Message) -> PeerSaid:
    return PeerSaid(peer.number, codec.encode(message))


# --- time and bodies --------------------------------------------------------------------------------


@pytest.mark.parametrize("limits", [None, SMALL])
def test_a_chain_from_the_future_is_waited_for_and_nobody_is_blamed(limits: Limits | None) -> None:
    """Catalogue row 49: whose clock is wrong, nobody knows. What is of today is taken, and the rest later."""
    node = node_at(limits, mono_ms=0)
    chain = chain_of(150, "a")  # the last are dated 150 s ahead, and 120 may be
    peer = joined(node, chain)
    peer.waits(0)
    serves(peer, lambda request: honest(chain, request))
    assert node.reader.tip().index == 120
    for _ in range(12):
        peer.waits(10_000)
        serves(peer, lambda request: honest(chain, request))
    assert node.reader.tip().hash == chain[-1].hash
    assert peer.closed is None


def test_a_wrong_body_does_not_condemn_a_good_header() -> None:
    """Catalogue row 52: who sent it is to blame, and the true body is welcome from anybody else."""
    node = node_at()
    block = child(GENESIS, records("r", 3))
    wrong = msgspec.structs.replace(block, records=block.records[:2])
    mutator, friend = joined(node, [GENESIS], "mutator"), joined(node, [GENESIS], "friend")
    mutator.says(Push(ENGINE.whole(wrong), weight_of(block)))
    assert why(mutator) is Rule.BODY_MATCHES_HEADER
    assert is_remembered(mutator)
    friend.says(Push(ENGINE.whole(block), weight_of(block)))
    assert node.reader.tip().hash == block.hash
    assert friend.closed is None


def test_what_stands_in_another_network_proves_nothing_here() -> None:
    """Catalogue row 78: a record names no network, so the same may be posted in two. What binds it to one is the header
    of its block: peers of another network are not talked to, its blocks fit nowhere, and its proofs lead to no block of
    this one."""
    rules = dataclasses.replace(RULES, spacing_ms=RULES.spacing_ms + 1)
    other = sealed_network(Kind.WORK, "another", rules, GENESIS.timestamp)
    assert isinstance(other.genesis, SealedBlock)
    node, held = node_at(), records("r", 2)
    here, there = child(GENESIS, held), child(other.genesis, held)
    stranger = NativePeer(node, "stranger", network=bytes.fromhex(other.id)).joins()
    assert stranger.closed is not None
    assert stranger.closed.code == Close.OTHER_NETWORK
    peer = joined(node, [GENESIS])
    peer.says(Push(ENGINE.whole(there), weight_of(there)))
    assert node.reader.tip().index == 0
    peer.says(Push(ENGINE.whole(here), weight_of(here)))
    assert node.reader.tip().hash == here.hash
    leaves = [each.leaf for each in held]
    proof = prove(held[0], 0, header_bytes_of(there), other.id, lambda nodes: [leaves[at.index] for at in nodes])
    assert check(proof, there.hash) == held[0]
    with pytest.raises(ProofError):
        check(proof, here.hash)


def test_data_that_somebody_kept_back_is_got_from_somebody_else() -> None:
    """Whoever stands between two nodes could withhold it for ever: the true block, coming later, is a duplicate."""
    node = node_at()
    block = child(GENESIS, records("r", 3))
    bare = msgspec.structs.replace(block, records=tuple(map(without_data, block.records)))
    stripper, friend = joined(node, [GENESIS], "stripper"), joined(node, [GENESIS], "friend")
    told([stripper, friend], node.tell(said(stripper, Push(ENGINE.whole(bare), weight_of(block)))))
    told([stripper, friend], node.wait(10))
    for peer, held in ((stripper, ()), (friend, block.records), (stripper, ()), (friend, block.records)):
        for request in peer.all(GetRecords):
            peer.inbox.remove(request)
            asked = {name.leaf for name in request.names}
            found = tuple(raw_of(each) for each in held if each.leaf in asked)
            missing = () if held else tuple(range(len(request.names)))
            told([stripper, friend], node.tell(said(peer, Records(request.id, found, missing))))
    assert [record.data for record in sealed_at(node, 1).records] == [record.data for record in block.records]
    assert stripper.closed is None
    assert friend.closed is None


def test_who_comes_later_is_asked_for_data_that_nobody_had() -> None:
    node = node_at()
    block = child(GENESIS, records("r", 2))
    bare = msgspec.structs.replace(block, records=tuple(map(without_data, block.records)))
    stripper = joined(node, [GENESIS], "stripper")
    stripper.says(Push(ENGINE.whole(bare), weight_of(block)))
    stripper.waits(10)
    request = stripper.takes(GetRecords)
    stripper.says(Records(request.id, (), (0, 1)))
    friend = joined(node, [block], "friend")
    friend.waits(10)
    request = friend.takes(GetRecords)
    friend.says(Records(request.id, tuple(map(raw_of, block.records)), ()))
    assert None not in {record.data for record in sealed_at(node, 1).records}


def test_what_was_erased_here_is_not_brought_back_by_it() -> None:
    node = node_at()
    block = child(GENESIS, records("r", 2))
    node.tell(PostRecords(1, block.records))
    node.tell(EraseRecord(2, block.records[0].id))
    friend = joined(node, [GENESIS], "friend")
    friend.says(Push(ENGINE.whole(block), weight_of(block)))
    friend.waits(10)
    for request in friend.all(GetRecords):
        found = tuple(raw_of(each) for each in block.records if each.leaf in {name.leaf for name in request.names})
        friend.says(Records(request.id, found, ()))
    assert [record.data is None for record in sealed_at(node, 1).records] == [True, False]


def sealed_at(node: Player, index: int) -> SealedBlock:
    block = node.reader.block(index)
    assert isinstance(block, SealedBlock)
    return block


def test_a_block_that_repeats_a_record_is_refused_on_the_chain_and_in_a_branch() -> None:
    """Catalogue row 77: no leaf hash occurs twice in a branch."""
    node = node_at(SMALL)
    chain = chain_of(5, "a")
    gives(node, chain)
    again = child(chain[-1], [chain[1].records[0]])
    liar = joined(node, [*chain, again], "liar")
    liar.says(Push(ENGINE.whole(again), weight_of(again)))
    assert why(liar) is Rule.RECORD_IS_NEW
    rival = [*chain[:2], *chain_of(2, "b", chain[1])]
    twice = [*rival, *branch(rival[-1], [rival[2].records[0]], [record("last")])]
    other = joined(node, twice, "other")
    other.waits(0)
    serves(other, lambda request: honest(twice, request))
    assert why(other) is Rule.RECORD_IS_NEW
    assert node.reader.tip().hash == chain[-1].hash
    assert [line.level for line in node.all(Log) if line.level == "error"] == []
