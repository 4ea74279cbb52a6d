"""How connections come about."""

from __future__ import annotations

from tallystick.errors import Rule, RuleViolation
from tallystick.model.limits import Limits
from tallystick.node.effects import Dial
from tallystick.node.inputs import DialFailed, PeerOpened
from tallystick.sim.world import address_of
from tallystick.wire.dialect import Dialect
from tests.sim.ear import Ear, Pair


def dials(pair: Pair, address: str = address_of(1), for_ms: int = 100) -> None:
    pair.world.perform(pair.near, Dial(address))
    pair.world.run(for_ms)


def failures(pair: Pair) -> list[str]:
    return [event.reason for event in pair.ears[0].all(DialFailed)]


def test_a_dial_opens_both_ends_and_each_knows_who_dialled() -> None:
    pair = Pair(connected=False)
    dials(pair)
    assert pair.ears[0].heard == [(20, PeerOpened(1, "10.0.0.1:3001", address_of(1), Dialect.NATIVE))]
    assert pair.ears[1].heard == [(10, PeerOpened(1, "10.0.0.0:32769", None, Dialect.NATIVE))]


def test_who_does_not_speak_the_native_dialect_speaks_the_other() -> None:
    pair = Pair(connected=False, dialect=Dialect.CLASSIC)
    dials(pair)
    assert [ear.all(PeerOpened)[0].dialect for ear in pair.ears] == [Dialect.CLASSIC] * 2


def test_nobody_is_there() -> None:
    pair = Pair(connected=False)
    dials(pair, "ws://10.9.9.9:1")
    assert failures(pair) == ["no route"]


def test_it_was_itself() -> None:
    pair = Pair(connected=False)
    dials(pair, address_of(0))
    [failed] = pair.ears[0].all(DialFailed)
    assert failed.rule is Rule.ADDRESS_IS_NOT_OURS


def test_where_no_process_runs_a_dial_is_refused_and_without_power_nobody_answers() -> None:
    for power, waits_ms, reason in ((True, 20, "connection refused"), (False, 10_000, "no answer")):
        pair = Pair(connected=False)
        pair.far.crash(kept=False, power=power)
        dials(pair, for_ms=waits_ms - 1)
        assert failures(pair) == []
        pair.world.run(1)
        assert failures(pair) == [reason]


def test_in_silence_nobody_answers_whichever_way_it_goes() -> None:
    for one, other in ((0, 1), (1, 0)):
        pair = Pair(connected=False)
        pair.world.between.silence(pair.world.machines[one], pair.world.machines[other])
        dials(pair, for_ms=Limits().handshake_ms + 100)
        assert failures(pair) == ["no answer"]
        assert pair.ears[1].heard == []


def test_who_is_severed_is_refused_and_welcome_once_that_is_mended() -> None:
    pair = Pair(connected=False)
    pair.world.between.sever(pair.near, pair.far)
    dials(pair)
    assert failures(pair) == ["connection refused"]
    pair.world.between.mend(pair.near, pair.far)
    dials(pair)
    assert len(pair.ears[0].all(PeerOpened)) == 1


def test_who_is_not_welcome_hears_why() -> None:
    pair = Pair(connected=False)
    pair.ears[1].refusal = RuleViolation(Rule.PEERS_WITHIN_LIMIT, "this node is full")
    dials(pair)
    assert failures(pair) == ["this node is full"]


def test_who_died_while_dialling_leaves_a_connection_that_ends() -> None:
    pair = Pair(connected=False)
    dials(pair, for_ms=15)
    pair.near.crash(kept=False)
    pair.near.start()
    pair.world.run(100)
    assert pair.ears[0].heard == []
    assert len(pair.ears[1].closed) == 1


def test_a_restarted_machine_uses_no_number_twice() -> None:
    pair = Pair()
    pair.near.crash(kept=False)
    pair.world.run(100)
    pair.near.start()
    dials(pair)
    assert [event.peer for event in pair.ears[0].all(PeerOpened)] == [1, 2]


def test_an_ear_starts_whenever_its_process_does() -> None:
    pair = Pair()
    assert isinstance(pair.far.resident, Ear)
    pair.far.start()
    pair.far.crash(kept=False)
    pair.far.start()
    assert pair.ears[1].starts == 2
