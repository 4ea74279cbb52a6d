"""Connections: what arrives, when, and what becomes of what does not."""

from __future__ import annotations

import pytest

from tallystick.errors import Rule
from tallystick.model.limits import Limits
from tallystick.node.effects import HangUp, Hold, Ping, Say, SayChain
from tallystick.node.inputs import ChainSaid, PeerClosed, PeerDrained, PeerPonged, PeerProgressed, PeerSaid
from tallystick.sim.conditions import Line, everywhere
from tallystick.sim.links import SOCKET_BYTES
from tallystick.sim.world import World
from tallystick.wire.dialect import Dialect
from tests.sim.ear import LINE, Ear, Pair


def test_messages_arrive_in_order_after_the_latency() -> None:
    pair = Pair(Line(latency_us=(1_000, 300_000)))
    sent = [b"%d" % number for number in range(100)]
    pair.says(*sent)
    pair.world.run(300)
    assert pair.ears[1].messages == sent
    assert pair.ears[0].messages == []


def test_a_line_takes_up_so_many_bytes_a_second() -> None:
    pair = Pair(Line(latency_us=(0, 0), bytes_per_second=1_000))
    pair.says(b"x" * 500, b"y" * 250)
    pair.world.run(499)
    assert pair.ears[1].messages == []
    pair.world.run(1_000)
    assert [when_ms for when_ms, event in pair.ears[1].heard if isinstance(event, PeerSaid)] == [500, 750]


def test_a_native_node_hears_that_a_long_message_is_arriving() -> None:
    pair = Pair(Line(latency_us=(0, 0), bytes_per_second=1_000))
    pair.says(b"x" * 3_500)
    pair.world.run(4_000)
    assert [event.partial_bytes for event in pair.ears[1].all(PeerProgressed)] == [1_000, 2_000, 3_000]


def test_gossip_is_dropped_over_the_pause_and_the_end_of_it_is_told() -> None:
    pair = Pair(Line(latency_us=(0, 0), bytes_per_second=1_000), Limits(outbox_pause_bytes=100))
    pair.says(b"x" * 200)
    pair.says(b"gossip", gossip=True)
    pair.says(b"answer")
    assert pair.ears[0].all(PeerDrained) == []
    pair.world.run(1_000)
    assert pair.ears[1].messages == [b"x" * 200, b"answer"]
    assert len(pair.ears[0].all(PeerDrained)) == 1


def test_a_peer_for_whom_too_much_waits_is_dropped() -> None:
    limits = Limits(native_outbox_drop_bytes=500, reply_bytes=500)
    pair = Pair(Line(latency_us=(0, 0), bytes_per_second=10), limits)
    pair.says(b"x" * 600, b"x" * 600)
    pair.world.run(1)
    [closed] = pair.ears[0].all(PeerClosed)
    assert closed.rule is Rule.OUTBOX_DRAINS
    assert len(pair.ears[1].closed) == 1


def test_whoever_asks_must_read_the_answers() -> None:
    """No message is handled while the outbox is over the pause."""
    pair = Pair(Line(latency_us=(0, 0), bytes_per_second=1_000), Limits(outbox_pause_bytes=100))
    pair.says(b"x" * 300, by=pair.far)
    pair.says(b"a question")
    pair.world.run(150)
    assert pair.ears[1].messages == []
    pair.world.run(400)
    assert pair.ears[1].messages == [b"a question"]


def test_nothing_is_handled_while_a_peer_is_held_back() -> None:
    pair = Pair()
    pair.world.perform(pair.far, Hold(1, 1_000))
    pair.says(b"a", b"b")
    pair.world.run(999)
    assert pair.ears[1].messages == []
    assert pair.near.ends[1].unread_bytes == 2
    pair.world.run(1)
    assert pair.ears[1].messages == [b"a", b"b"]
    assert pair.near.ends[1].unread_bytes == 0


def test_a_full_inbox_fills_the_outbox_of_the_other_end() -> None:
    pair = Pair(LINE, Limits(native_inbox_bytes=100))
    pair.world.perform(pair.far, Hold(1, 1_000))
    pair.says(*[b"x" * 40] * 5)
    pair.world.run(500)
    assert pair.near.ends[1].waiting_bytes == 3 * 40
    pair.world.run(1_000)
    assert len(pair.ears[1].messages) == 5
    assert pair.near.ends[1].waiting_bytes == 0


def test_a_peer_that_reads_nothing_is_dropped_in_the_end() -> None:
    pair = Pair(LINE, Limits(native_inbox_bytes=100))
    pair.world.perform(pair.far, Hold(1, 10**9))
    pair.says(*[b"x" * 40] * 5)
    pair.world.run(pair.world.links._limits.outbox_stall_ms - 1)
    assert pair.ears[0].closed == []
    pair.world.run(pair.world.links._limits.outbox_stall_ms)
    [closed] = pair.ears[0].all(PeerClosed)
    assert closed.rule is Rule.OUTBOX_DRAINS


@pytest.mark.parametrize(("admitted", "size"), [(True, 2_000), (False, 200)])
def test_a_message_that_is_too_long_ends_the_connection(admitted: bool, size: int) -> None:  # noqa: FBT001
    pair = Pair(LINE, Limits(frame_bytes=1_000, stranger_frame_bytes=100), admitted=admitted)
    pair.says(b"x" * (size // 2), b"x" * size)
    pair.world.run(100)
    assert len(pair.ears[1].messages) == 1
    [closed] = pair.ears[1].all(PeerClosed)
    assert closed.rule is Rule.MESSAGE_WITHIN_SIZE
    assert len(pair.ears[0].closed) == 1


def test_a_whole_chain_counts_nothing_and_its_end_is_told() -> None:
    pair = Pair(LINE, Limits(outbox_pause_bytes=1), Dialect.CLASSIC)
    pair.ears[0].whole_chain = lambda: b"[1, 2, 3]"  # type: ignore[method-assign]
    pair.world.perform(pair.near, SayChain(1))
    pair.world.run(100)
    assert pair.ears[1].messages == [b"[1, 2, 3]"]
    assert pair.ears[0].all(ChainSaid) == [ChainSaid(1, 9)]


@pytest.mark.parametrize(("dialect", "times"), [(Dialect.CLASSIC, 3), (Dialect.NATIVE, 1)])
def test_classic_messages_may_come_again_and_native_ones_never(dialect: Dialect, times: int) -> None:
    pair = Pair(Line(latency_us=(1, 1), repeated=1.0), dialect=dialect)
    pair.says(b"a")
    pair.world.run(30_000)
    assert pair.ears[1].messages == [b"a"] * times
    assert pair.near.ends[1].unread_bytes == 0


def test_a_ping_is_answered_where_both_ways_are_open() -> None:
    pair = Pair(dialect=Dialect.CLASSIC)
    pair.world.perform(pair.near, Ping(1))
    pair.world.run(20)
    assert len(pair.ears[0].all(PeerPonged)) == 1
    pair.world.between.silence(pair.far, pair.near)
    pair.world.perform(pair.near, Ping(1))
    pair.world.run(1_000)
    assert len(pair.ears[0].all(PeerPonged)) == 1


# --- the end ----------------------------------------------------------------------------------------


def test_who_hangs_up_is_heard_after_what_it_said_before() -> None:
    pair = Pair()
    pair.says(b"last words")
    pair.world.perform(pair.near, HangUp(1, 4_000, "enough"))
    pair.says(b"too late")
    pair.world.run(100)
    assert pair.ears[1].messages == [b"last words"]
    assert pair.ears[1].closed == ["the peer hung up: 4000 'enough'"]
    assert pair.ears[0].closed == ["we hung up: 4000 enough"]


def test_what_breaks_loses_what_was_under_way() -> None:
    pair = Pair()
    pair.says(b"a")
    pair.world.links.cut(pair.near.ends[1], "the connection broke")
    pair.world.run(100)
    assert pair.ears[1].messages == []
    assert [ear.closed for ear in pair.ears] == [["the connection broke"]] * 2


def test_a_dead_process_is_noticed_at_once_and_a_dead_machine_by_its_silence() -> None:
    for power in (True, False):
        pair = Pair()
        pair.far.crash(kept=False, power=power)
        pair.world.run(1_000)
        assert len(pair.ears[0].closed) == power
        pair.far.start()
        pair.says(b"is anybody there?")
        pair.world.run(1_000)
        assert len(pair.ears[0].closed) == 1
        assert pair.ears[1].messages == []


# --- silence ----------------------------------------------------------------------------------------


def test_in_silence_nothing_arrives_and_nobody_is_told_until_it_is_over() -> None:
    pair = Pair()
    pair.world.between.silence(pair.near, pair.far)
    pair.says(b"a")
    pair.says(b"b", by=pair.far)
    pair.world.run(10_000)
    assert (pair.ears[0].messages, pair.ears[1].messages) == ([b"b"], [])
    pair.world.between.mend(pair.near, pair.far)
    pair.world.run(100)
    assert pair.ears[1].messages == [b"a"]
    assert [ear.closed for ear in pair.ears] == [[], []]


def test_silence_fills_the_socket_and_then_the_outbox() -> None:
    pair = Pair()
    pair.world.between.silence(pair.near, pair.far)
    pair.says(*[b"x" * 1_000] * (2 * SOCKET_BYTES // 1_000))
    assert abs(pair.near.ends[1].waiting_bytes - SOCKET_BYTES) < 2_000
    pair.world.run(2 * pair.world.links._limits.outbox_stall_ms)
    [closed] = pair.ears[0].all(PeerClosed)
    assert closed.rule is Rule.OUTBOX_DRAINS
    assert pair.ears[1].closed == []
    pair.world.between.mend_all()
    pair.world.run(100)
    assert len(pair.ears[1].closed) == 1  # now it learns that the other end is gone


def test_a_split_is_between_halves_and_heals() -> None:
    pair = Pair()
    pair.world.between.split(1)
    pair.says(b"a")
    pair.says(b"b", by=pair.far)
    pair.world.run(5_000)
    assert (pair.ears[0].messages, pair.ears[1].messages) == ([], [])
    pair.world.between.rejoin(1)
    pair.world.run(100)
    assert (pair.ears[0].messages, pair.ears[1].messages) == ([b"b"], [b"a"])


def test_a_slow_line_is_slow_until_it_is_mended() -> None:
    pair = Pair()
    pair.world.between.slow(pair.near, pair.far, 10)
    pair.says(b"x" * 100)
    pair.world.run(9_000)
    assert pair.ears[1].messages == []
    pair.world.run(1_100)
    pair.world.between.mend(pair.near, pair.far)
    pair.says(b"y" * 100)
    pair.world.run(11)
    assert [message[:1] for message in pair.ears[1].messages] == [b"x", b"y"]


def test_on_a_shared_line_everything_takes_its_turn_whomever_it_is_for() -> None:
    world = World(1, lines=everywhere(Line(latency_us=(0, 0), bytes_per_second=100_000, takes_turns=True)))
    ears = [Ear() for _ in range(3)]
    for ear in ears:
        world.add(ear)
    world.start()
    world.connect([(0, 1), (0, 2)])
    for machine in world.machines:
        for end in machine.ends.values():
            end.is_admitted = True
    for peer, message in ((1, b"a" * 20_000), (2, b"b" * 100_000), (1, b"c" * 30_000)):
        world.perform(world.machines[0], Say([peer], message))
    world.run(2_000)
    heard = [
        [(when_ms, event.message[:1]) for when_ms, event in ear.heard if isinstance(event, PeerSaid)] for ear in ears
    ]
    assert heard == [[], [(200, b"a"), (1_500, b"c")], [(1_200, b"b")]]
