"""What a node costs where there are thousands of them, in counts and bytes: these are the same on every machine."""

from __future__ import annotations

import sys
import tracemalloc
from types import FrameType
from typing import Any, Final, NamedTuple

import pytest

from tallystick.node.inputs import Tick
from tallystick.sim.net import Net
from tests.sim.studies import acquainted, plan

NODES: Final = 101

NODE_BYTES: Final = 200_000
"""Of an idle node with its connections, at most."""

STEP_CALLS: Final = 200
"""Calls of functions in one step of an idle node, at most. With what is between them they take less than a fifth of a
microsecond each where SHA-256 of 112 bytes takes 0.42, which makes 40 us."""


class Idle(NamedTuple):
    net: Net
    took_bytes: int


@pytest.fixture(scope="module")
def idle() -> Idle:
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        net = acquainted(plan(NODES, preset="internet", spacings_ms=(600_000,)))
        return Idle(net, tracemalloc.get_traced_memory()[0] - before)
    finally:
        tracemalloc.stop()


def test_an_idle_node_is_small(idle: Idle) -> None:
    assert len(idle.net.hosts) == NODES
    assert idle.took_bytes / NODES < NODE_BYTES


def test_a_step_of_an_idle_node_does_little(idle: Idle) -> None:
    machine = idle.net.world.machines[7]
    calls = 0

    def count(_frame: FrameType, event: str, _argument: Any) -> None:  # noqa: ANN401 - as sys.setprofile has it
        nonlocal calls
        calls += event in {"call", "c_call"}

    machine.submit(Tick())  # whatever was left to do
    resident, tick, now = machine.resident, Tick(), machine.now
    sys.setprofile(count)
    try:
        resident.step(tick, now)
        resident.wake_at_ms()
    finally:
        sys.setprofile(None)
    assert 10 < calls < STEP_CALLS


def test_chains_share_their_blocks() -> None:
    net = acquainted(plan(8, preset="internet"))
    net.world.is_mining = True
    net.open()
    while not net.ledger.courses:
        net.world.run(100)
    net.stop_making()
    net.world.run(10_000)
    tips = [host.chain()[-1] for host in net.hosts]
    assert {tip.index for tip in tips} == {1}
    assert len(set(map(id, tips))) == 2  # its maker's, and everybody else's
