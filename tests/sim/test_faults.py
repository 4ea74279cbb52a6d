"""Faults: drawn before anything happens, and over when they are healed."""

from __future__ import annotations

import pytest

from tallystick.sim.chance import stream
from tallystick.sim.clock import Clock
from tallystick.sim.faults import LONGEST_MS, Fault, Faults, What, draw
from tallystick.sim.host import Host
from tests.sim.worlds import calm, host, line, posts, settles


def test_the_same_stream_draws_the_same_faults() -> None:
    drawn = [
        draw(stream(1, "test"), list(What)[::step], 5, during_ms=10**6, every_ms=1_000, wrong_clock_ms=10)
        for step in (1, -1)
    ]
    assert drawn[0] == drawn[1]
    assert {fault.what for fault in drawn[0]} == set(What)
    for fault in drawn[0]:
        assert 0 <= fault.at_ms < 10**6
        assert 0 <= fault.for_ms <= LONGEST_MS
        assert fault.machine != fault.other
        assert {fault.machine, fault.other} <= set(range(5))


def test_without_kinds_nothing_goes_wrong() -> None:
    assert draw(stream(1, "test"), [], 5, during_ms=10**6, every_ms=1_000, wrong_clock_ms=10) == []


@pytest.mark.parametrize("ends", ["by itself", "when all is healed"])
@pytest.mark.parametrize("what", What)
def test_a_fault_is_over_and_the_network_as_well_as_ever(what: What, ends: str) -> None:
    scenario = calm(line(3), commit_us=1_000)
    scenario.blame.may_be_slow = True
    scenario.world.run(5_000)
    faults = Faults(scenario.world, [Fault(1_000, what, 1, 2, 30_000, amount=2)])
    faults.begin()
    for number in range(10):
        scenario.world.run(1_000)
        posts(scenario, number % 3, f"post {number}")
    if ends == "by itself":
        scenario.world.run(30_000)
    else:
        faults.heal()
    assert all(machine.is_up and machine.doom is None for machine in scenario.world.machines)
    assert {machine.clock.wrong_ms for machine in scenario.world.machines} == {0}
    assert [host(scenario, number).store.room for number in range(3)] == [None] * 3
    settles(scenario)
    assert len(scenario.promises.acknowledged) >= 6
    assert not any(end.line.bytes_per_second for machine in scenario.world.machines for end in machine.ends.values())


def test_a_clock_that_is_set_twice_is_right_in_the_end() -> None:
    scenario = calm([[]])
    machine = scenario.world.machines[0]
    machine.clock = Clock(wrong_ms=7)
    faults = Faults(scenario.world, [Fault(at, What.CLOCK, 0, 0, 10_000, amount=1_000) for at in (0, 1)])
    faults.begin()
    scenario.world.run(5)
    assert machine.clock.wrong_ms == 2_007
    scenario.world.run(20_000)
    assert machine.clock.wrong_ms == 7
    assert isinstance(machine.resident, Host)
