"""Records among native peers: announced by name, asked of one at a time, checked, and kept as far as there is room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec
import pytest

from tallystick.chain.contracts import Placed
from tallystick.consensus.work import WorkEngine
from tallystick.errors import Rule
from tallystick.model.canonical import canonical
from tallystick.model.limits import MINUTE_MS, SECOND_MS, Limits
from tallystick.model.record import RawRecord, Record, raw_of, with_data, without_data
from tallystick.model.sealed import SealedBlock
from tallystick.node.inputs import EraseRecord, PeerSaid, PostRecords
from tallystick.wire.native import codec
from tallystick.wire.native.messages import (
    WEIGHT_BYTES,
    GetRecords,
    Inv,
    Message,
    Ping,
    Point,
    Pong,
    Push,
    RecordName,
    Records,
    Tip,
)
from tallystick.wire.reactions import Close
from tests.node.player import Player
from tests.node.strangers import NativePeer, is_dropped, is_forgiven, is_remembered, told
from tests.storage.sealed_blocks import GENESIS, NETWORK, RULES, branch, child, record, records

ENGINE = WorkEngine(NETWORK)


@pytest.fixture
def node() -> Player:
    return Player(network=NETWORK)


def joined(node: Player, name: str = "peer", remote: str | None = None) -> NativePeer:
    """A peer in a network of records, whose chain is genesis; it has heard what there is to hear."""
    tip = Tip(Point(0, bytes.fromhex(GENESIS.hash)), bytes(WEIGHT_BYTES))
    peer = NativePeer(node, name, remote=remote, network=bytes.fromhex(NETWORK.id), tip=tip).joins()
    peer.waits(0)
    pongs(peer)
    return peer


def pongs(peer: NativePeer) -> None:
    for ping in peer.all(Ping):
        peer.inbox.remove(ping)
        peer.says(Pong(ping.nonce))


def name_of(each: Record) -> RecordName:
    return RecordName(each.id, each.leaf)


def names(held: Sequence[Record]) -> tuple[RecordName, ...]:
    return tuple(map(name_of, held))


def announces(peer: NativePeer, *held: Record) -> None:
    peer.says(Inv(names(held)))


def delivers(peer: NativePeer, held: Sequence[Record], *, stripped: bool = False) -> None:
    """Answer the one question that came, from what the peer has; `stripped`: without data."""
    request = peer.takes(GetRecords)
    by_name = {name_of(each): without_data(each) if stripped else each for each in held}
    found = tuple(raw_of(by_name[name]) for name in request.names if name in by_name)
    peer.says(Records(request.id, found, tuple(n for n, name in enumerate(request.names) if name not in by_name)))


def gives(peer: NativePeer, *held: Record) -> None:
    """Announce records and deliver them when asked."""
    announces(peer, *held)
    delivers(peer, held)


def pending(node: Player) -> list[Record]:
    return list(node.store.pool(0, 10_000, 10**9)[0])


def posts(node: Player, *held: Record) -> None:
    node.tell(PostRecords(1, held))


def pushes(peer: NativePeer, *blocks: SealedBlock) -> None:
    peer.says(*(Push(ENGINE.whole(block), block.weight.to_bytes(WEIGHT_BYTES, "big")) for block in blocks))


# --- telling ----------------------------------------------------------------------------------------


def test_what_is_posted_is_told_to_everybody_by_name(node: Player) -> None:
    peers = [joined(node, "a"), joined(node, "b")]
    held = records("r", 3)
    told(peers, node.tell(PostRecords(1, held)))
    assert [peer.takes(Inv).names for peer in peers] == [names(held)] * 2


def test_who_comes_hears_of_the_pool_a_page_at_a_time() -> None:
    node = Player(Limits(announced_records=2), network=NETWORK)
    held = records("r", 5)
    posts(node, *held)
    peer = joined(node)
    assert peer.takes(Inv).names == names(held[:2])
    peer.waits(SECOND_MS)
    assert [inv.names for inv in peer.all(Inv)] == [names(held[2:4]), names(held[4:])]


def test_what_was_lost_on_the_way_is_told_again_in_a_minute(node: Player) -> None:
    """Announcements are gossip: a full outbox drops them."""
    held = records("r", 2)
    peer = joined(node)
    posts(node, *held)
    peer.waits(MINUTE_MS - 1)
    assert peer.all(Inv) == []
    peer.waits(1)
    assert peer.takes(Inv).names == names(held)


def test_nobody_is_told_what_it_told_or_was_sent(node: Player) -> None:
    first, second = records("r", 2)
    peer, other = joined(node, "a"), joined(node, "b")
    gives(peer, first)
    told([peer, other], node.tell(PostRecords(1, [second])))
    peer.says(GetRecords(1, peer.takes(Inv).names))
    assert peer.takes(Records).records == (raw_of(second),)
    peer.waits(59 * SECOND_MS)
    assert peer.all(Inv) == []


def test_a_page_of_the_pool_is_read_once_for_all_who_are_as_far_and_not_too_often(
    node: Player, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a large pool and many peers would be all that a node can do."""
    posts(node, *records("r", 20))
    read: list[int] = []
    pool = node.store.pool

    def counted(after: int, count: int, size_bytes: int) -> tuple[Sequence[Record], int]:
        read.append(after)
        return pool(after, count, size_bytes)

    monkeypatch.setattr(node.store, "pool", counted)
    monkeypatch.setattr(node.node._relay, "_limits", replace(node.limits, announced_records=5))
    peers = [joined(node, f"peer {number}") for number in range(8)]
    read.clear()
    effects = node.wait(2_000)
    told(peers, effects)
    assert len(read) <= 2_000 // 200 + 1
    told(peers, node.wait(10_000))
    assert all({name for inv in peer.all(Inv) for name in inv.names} >= set(names(pending(node))) for peer in peers[1:])


# --- asking -----------------------------------------------------------------------------------------


def test_what_a_peer_has_is_asked_for_kept_and_told_on(node: Player) -> None:
    source, other = joined(node, "source"), joined(node, "other")
    held = records("r", 3)
    announces(source, *held)
    assert [type(message) for message in source.inbox] == [GetRecords]
    assert source.all(GetRecords)[0].names == names(held)
    delivers(source, held)
    other.reads(node.effects)
    assert pending(node) == held
    assert other.takes(Inv).names == names(held)
    assert source.inbox == []


def test_what_is_pending_or_on_the_chain_is_not_asked_for(node: Player) -> None:
    posted, sealed, new = records("r", 3)
    posts(node, posted)
    peer = joined(node)
    peer.forgets()
    pushes(peer, child(GENESIS, [sealed]))
    assert node.blocks()[1].index == 1
    announces(peer, posted, sealed, new)
    assert peer.takes(GetRecords).names == names([new])


def test_a_record_that_only_a_lost_branch_holds_is_asked_for(node: Player) -> None:
    """Or it would be on no chain, and nobody's to seal."""
    [lost] = records("lost", 1)
    peer = joined(node)
    pushes(peer, child(GENESIS), *branch(GENESIS, [lost], variant=1))
    assert [known.placed for known in node.store.named([lost.id])] == [Placed.ASIDE]
    gives(peer, lost)
    assert pending(node) == [lost]


def test_each_record_is_asked_of_one_peer_at_a_time(node: Player) -> None:
    first, second = joined(node, "first"), joined(node, "second")
    held = records("r", 4)
    announces(first, *held[:3])
    announces(second, *held[1:])
    assert first.all(GetRecords)[0].names == names(held[:3])
    assert second.all(GetRecords)[0].names == names(held[3:])
    delivers(second, held)
    delivers(first, held)
    assert pending(node) == [held[3], *held[:3]]
    assert second.all(GetRecords) == []


def test_who_announces_and_never_delivers_keeps_nothing_from_us(node: Player) -> None:
    """Catalogue row 80: another one is asked, and being slow is no offence."""
    silent, honest = joined(node, "silent"), joined(node, "honest")
    held = records("r", 3)
    announces(silent, *held)
    announces(honest, *held)
    assert honest.all(GetRecords) == []
    late = silent.takes(GetRecords)
    told([silent, honest], node.wait(node.limits.record_patience_ms - 1))
    assert honest.all(GetRecords) == []
    told([silent, honest], node.wait(1))
    delivers(honest, held)
    assert pending(node) == held
    silent.says(Records(late.id, tuple(map(raw_of, held)), ()))  # it comes after all, and brings nothing new
    assert silent.closed is None
    assert is_forgiven(silent)
    assert pending(node) == held


@pytest.mark.parametrize("parts", [1, 3])
def test_an_answer_that_comes_late_is_taken_all_the_same(node: Player, parts: int) -> None:
    """Whoever gave it believes that we have the record, and tells of it no more: else it might be pending for ever."""
    peer = joined(node)
    [wanted] = records("r", 1)
    announces(peer, wanted)
    request = peer.takes(GetRecords)
    peer.waits(3 * node.limits.record_patience_ms)
    assert pending(node) == []
    reply = Records(request.id, (raw_of(wanted),), ())
    frames = list(codec.in_parts(reply, len(codec.encode(reply)) // parts + 1))
    assert len(frames) == parts
    for frame in frames:
        peer.sends(frame)
    assert pending(node) == [wanted]
    assert peer.closed is None


def test_many_who_never_deliver_hold_a_record_up_and_do_not_keep_it_from_us(node: Player) -> None:
    """Catalogue row 80."""
    peers = [joined(node, f"silent {number}") for number in range(5)]
    honest = joined(node, "honest")
    [wanted] = records("r", 1)
    for peer in [*peers, honest]:
        announces(peer, wanted)
    waited_ms = 0
    while not honest.all(GetRecords):
        for peer in peers:
            announces(peer, wanted)
        told([*peers, honest], node.wait(SECOND_MS))
        waited_ms += SECOND_MS
        assert waited_ms <= len(peers) * node.limits.record_patience_ms
    delivers(honest, [wanted])
    assert pending(node) == [wanted]


def test_what_a_peer_owes_when_it_leaves_is_asked_of_others_at_once(node: Player) -> None:
    first, second = joined(node, "first"), joined(node, "second")
    held = records("r", 2)
    announces(first, *held)
    announces(second, *held)
    second.forgets()
    told([second], first.hangs_up())
    delivers(second, held)
    assert pending(node) == held


def test_who_has_not_got_it_after_all_is_asked_no_more(node: Player) -> None:
    first, second = joined(node, "first"), joined(node, "second")
    [wanted] = records("r", 1)
    announces(first, wanted)
    announces(second, wanted)
    request = first.takes(GetRecords)
    told([first, second], node.tell(PeerSaid(first.number, codec.encode(Records(request.id, (), (0,))))))
    delivers(second, [wanted])
    assert first.all(GetRecords) == []
    assert pending(node) == [wanted]


# --- what arrives -----------------------------------------------------------------------------------

[SOUND] = records("sound", 1)
RAW = raw_of(SOUND)
LONG = with_data("long", canonical("x" * RULES.max_data_bytes), bytes(16))
LOOSE = with_data("loose", b'{"b":1, "a":2}', bytes(16))

MALFORMED: dict[str, tuple[Record, RawRecord, Rule]] = {
    "an entry that is none": (SOUND, RawRecord(b"{}", RAW.salt, RAW.data), Rule.ENTRY_IS_WELL_FORMED),
    "an entry with a space": (
        SOUND,
        RawRecord(RAW.entry.replace(b",", b", "), RAW.salt, RAW.data),
        Rule.ENTRY_IS_WELL_FORMED,
    ),
    "other data": (SOUND, RawRecord(RAW.entry, RAW.salt, b"1"), Rule.COMMITMENT_MATCHES_DATA),
    "another salt": (SOUND, RawRecord(RAW.entry, bytes(16), RAW.data), Rule.COMMITMENT_MATCHES_DATA),
    "a salt and no data": (SOUND, RawRecord(RAW.entry, RAW.salt, None), Rule.COMMITMENT_MATCHES_DATA),
    "data of another form": (LOOSE, raw_of(LOOSE), Rule.DATA_IS_CANONICAL),
    "data too long": (LONG, raw_of(LONG), Rule.DATA_WITHIN_SIZE),
    "a record that nobody asked for": (SOUND, raw_of(record("other")), Rule.REPLY_FITS_REQUEST),
}


@pytest.mark.parametrize(("asked", "raw", "rule"), MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_record_is_a_violation_and_nothing_of_its_message_is_kept(
    node: Player, asked: Record, raw: RawRecord, rule: Rule
) -> None:
    """Catalogue row 81."""
    peer, other = joined(node, "liar"), joined(node, "other")
    good = record("good")
    announces(peer, good, asked)
    announces(other, asked)
    request = peer.takes(GetRecords)
    effects = node.tell(PeerSaid(peer.number, codec.encode(Records(request.id, (raw_of(good), raw), ()))))
    told([peer, other], effects)
    assert is_dropped(peer, rule, Close.INVALID)
    assert is_remembered(peer)
    assert pending(node) == []
    told([other], peer.hangs_up())
    assert other.takes(GetRecords).names == names([asked])


ODD: dict[str, Records] = {
    "out of order": Records(1, (raw_of(record("b")), raw_of(record("a"))), ()),
    "twice": Records(1, (raw_of(record("a")), raw_of(record("a"))), ()),
    "too many": Records(1, tuple(raw_of(record(name)) for name in "abc"), ()),
    "none": Records(1, (), ()),
    "missing twice": Records(1, (), (0, 0)),
    "missing beyond the end": Records(1, (raw_of(record("a")),), (2,)),
    "missing and there": Records(1, (raw_of(record("a")), raw_of(record("b"))), (0,)),
}


@pytest.mark.parametrize("reply", ODD.values(), ids=ODD.keys())
def test_an_answer_to_another_question_is_a_violation(node: Player, reply: Records) -> None:
    peer = joined(node)
    announces(peer, record("a"), record("b"))
    peer.says(msgspec.structs.replace(reply, id=peer.takes(GetRecords).id))
    assert is_dropped(peer, Rule.REPLY_FITS_REQUEST, Close.INVALID)
    assert pending(node) == []


def test_a_record_under_a_false_name_is_not_what_was_asked_for(node: Player) -> None:
    """The leaf is right, the id is not."""
    peer = joined(node)
    peer.says(Inv((RecordName("false", SOUND.leaf),)))
    peer.says(Records(peer.takes(GetRecords).id, (RAW,), ()))
    assert is_dropped(peer, Rule.REPLY_FITS_REQUEST, Close.INVALID)


def test_records_nobody_asked_for_are_unsolicited(node: Player) -> None:
    peer = joined(node)
    peer.says(Records(7, (RAW,), ()))
    assert is_dropped(peer, Rule.REPLY_WAS_ASKED_FOR, Close.UNSOLICITED)
    assert pending(node) == []


CROWDED = replace(Limits(), pool_peer_bytes=3_000, pool_foreign_bytes=5_000, pool_bytes=10_000)


def test_a_pool_without_room_is_nobodys_fault() -> None:
    """Catalogue rows 79 and 81: what does not fit is left out in silence, and passed on to nobody."""
    node = Player(CROWDED, network=NETWORK)
    flood, other, third = joined(node, "flood"), joined(node, "other"), joined(node, "third", "10.9.9.9:1")
    held = records("r", 40)
    gives(flood, *held)
    third.reads(node.effects)
    kept = pending(node)
    assert kept == held[: len(kept)]
    assert 0 < len(kept) < 10
    assert third.takes(Inv).names == names(kept)
    more = records("more", 40)
    gives(other, *more)
    assert 0 < len(pending(node)) - len(kept) < len(kept)
    size = node.store.pool_size()[1]
    assert size <= CROWDED.pool_foreign_bytes
    posts(node, *records("ours", 10))
    assert len([each for each in pending(node) if each.id.startswith("ours")]) == 10
    assert flood.closed is other.closed is None
    assert is_forgiven(flood)


def test_what_had_no_room_is_asked_for_again_once_there_is_some() -> None:
    """Catalogue row 81: whoever sent it does not tell of it again; it would wait for ever where nobody mines."""
    node = Player(CROWDED, network=NETWORK)
    peer = joined(node)
    held = records("r", 20)
    gives(peer, *held)
    tip, asked = GENESIS, 0
    for _ in range(20):
        tip = child(tip, pending(node))
        pushes(peer, tip)
        peer.waits(MINUTE_MS)
        pongs(peer)
        while peer.all(GetRecords):
            asked += 1
            delivers(peer, held)
    assert tip.log_size == len(held)
    assert asked < 40
    assert peer.closed is None


def test_a_record_without_its_data_is_asked_of_somebody_else(node: Player) -> None:
    """Or one peer in between could keep the data of every record from all who are behind it."""
    stripper, honest = joined(node, "stripper"), joined(node, "honest")
    [wanted] = records("r", 1)
    announces(stripper, wanted)
    announces(honest, wanted)
    delivers(stripper, [wanted], stripped=True)
    honest.reads(node.effects)
    assert stripper.closed is None
    assert pending(node) == []
    delivers(honest, [wanted])
    assert pending(node) == [wanted]


def test_an_answer_longer_than_it_may_be_is_not_even_looked_at() -> None:
    """Catalogue row 35: data that takes long to check comes two megabytes at a time at most."""
    node = Player(Limits(reply_soft_bytes=1_000), network=NETWORK)
    peer = joined(node)
    held = [record(f"long-{number}", "x" * 400) for number in range(4)]
    gives(peer, *held)
    assert is_dropped(peer, Rule.REPLY_FITS_REQUEST, Close.INVALID)
    assert pending(node) == []


def test_what_had_no_room_is_welcome_in_a_block() -> None:
    """Catalogue row 81."""
    node = Player(CROWDED, network=NETWORK)
    peer = joined(node)
    held = records("r", 40)
    gives(peer, *held)
    pushes(peer, child(GENESIS, held))
    assert pending(node) == []
    assert [known.placed for known in node.store.named([each.id for each in held])] == [Placed.CHAIN] * 40


# --- answering --------------------------------------------------------------------------------------


def test_records_of_pool_and_chain_are_served_in_the_order_of_the_question(node: Player) -> None:
    posted, sealed, unknown = records("r", 3)
    peer = joined(node)
    pushes(peer, child(GENESIS, [sealed]))
    posts(node, posted)
    question = (name_of(sealed), name_of(unknown), RecordName(posted.id, sealed.leaf), name_of(posted))
    peer.says(GetRecords(1, question))
    assert peer.takes(Records) == Records(1, (raw_of(sealed), raw_of(posted)), (1, 2))


def test_a_record_whose_data_was_erased_is_missing(node: Player) -> None:
    """Whoever has its data still may serve it: nobody should take the rest of it for all there is."""
    held, other = records("r", 2)
    posts(node, held, other)
    node.tell(EraseRecord(2, held.id))
    assert without_data(held) in pending(node)
    peer = joined(node)
    peer.says(GetRecords(1, names([held, other])))
    assert peer.takes(Records) == Records(1, (raw_of(other),), (0,))


def test_records_beside_the_chain_are_missing(node: Player) -> None:
    """They would tell one node from another."""
    [lost] = records("lost", 1)
    peer = joined(node)
    pushes(peer, child(GENESIS), *branch(GENESIS, [lost], variant=1))
    peer.says(GetRecords(1, names([lost])))
    assert peer.takes(Records) == Records(1, (), (0,))


def test_an_answer_ends_early_rather_than_being_long() -> None:
    node = Player(Limits(reply_soft_bytes=5_000), network=NETWORK)
    held = [record(f"r{number}", "x" * 2_000) for number in range(9)]
    posts(node, *held)
    peer = joined(node)
    peer.says(GetRecords(1, names(held)))
    assert peer.takes(Records) == Records(1, tuple(map(raw_of, held[:3])), ())


@pytest.mark.parametrize("message", [Inv((name_of(SOUND),)), GetRecords(1, (name_of(SOUND),))])
def test_in_a_classic_network_nobody_speaks_of_records(message: Message) -> None:
    peer = NativePeer(Player()).joins()
    peer.says(message)
    assert is_dropped(peer, Rule.MESSAGE_IS_DECODABLE, Close.PROTOCOL_ERROR)
    assert is_remembered(peer)


def test_a_pool_outlives_a_restart_and_is_told_of_again(node: Player) -> None:
    """Catalogue row 83."""
    held = records("r", 3)
    posts(node, *held[:2])
    gives(joined(node, "a"), held[2])
    node.restart()
    assert pending(node) == held
    assert joined(node, "b").takes(Inv).names == names(held)
