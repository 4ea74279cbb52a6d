"""A study: a world without faults, in which blocks are made, and everything about how they spread is measured.

    study = Study(plan)
    for progress in study.run():
        ...
    study.findings()

The nodes get acquainted first. Then blocks are made at random times by random nodes, as many as the plan says, and what
is under way in the end has time to arrive. This is done anew for each spacing of the plan. Findings can be asked for at
any time, and are of what happened so far.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tallystick.model.limits import MINUTE_MS
from tallystick.sim.checkers import LawBrokenError
from tallystick.sim.findings import Findings, findings_of
from tallystick.sim.net import Net
from tallystick.sim.presets import Plan

SLICE_MS: Final = 100
"""Virtual time between two looks at how far it is."""

ACQUAINTED_WITHIN_MS: Final = 10 * MINUTE_MS
PATIENCE: Final = 100
"""Blocks come at random; that none comes in so many times the spacing happens once in 10^43 times."""

SETTLED_WITHIN_MS: Final = 2 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a study is."""

    doing: str
    spacing_ms: int
    virtual_ms: int
    events: int
    """Calls that were made on the schedule, in all worlds together."""

    blocks: int
    """Made so far, in all worlds together."""


class Study:
    """Runs a plan, once."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._nets: list[Net] = []
        """Of each spacing so far."""

        self._events = self._blocks = 0
        self._is_done = False

    def run(self) -> Iterator[Progress]:
        """Do everything, telling now and then how far it is. Raises LawBrokenError."""
        for spacing_ms in self.plan.spacings_ms:
            net = Net(self.plan, spacing_ms)
            self._nets.append(net)
            yield from self._get_acquainted(net)
            yield from self._make_blocks(net)
            yield from self._settle(net)
            net.check()
            self._events += net.world.schedule.calls
            self._blocks += len(net.ledger.courses)
        self._is_done = True

    def findings(self) -> Findings | None:
        """What came out so far; None before anything could be measured."""
        nets = [net for net in self._nets if net.ledger.courses]
        return findings_of(self.plan, nets, is_whole=self._is_done) if nets else None

    # --- phases --------------------------------------------------------------------------------

    def _get_acquainted(self, net: Net) -> Iterator[Progress]:
        net.start()
        while not net.is_acquainted() and net.world.now_ms < ACQUAINTED_WITHIN_MS:
            yield self._pass(net, "getting acquainted")
        net.open()

    def _make_blocks(self, net: Net) -> Iterator[Progress]:
        made, made_ms = 0, net.world.now_ms
        while made < self.plan.blocks:
            yield self._pass(net, "making blocks")
            if len(net.ledger.courses) > made:
                made, made_ms = len(net.ledger.courses), net.world.now_ms
            elif net.world.now_ms - made_ms > PATIENCE * net.spacing_ms:
                raise LawBrokenError(f"nobody made a block in {PATIENCE} times the spacing")
        net.stop_making()

    def _settle(self, net: Net) -> Iterator[Progress]:
        until_ms = net.world.now_ms + SETTLED_WITHIN_MS
        while net.world.now_ms < until_ms and not net.is_settled():
            yield self._pass(net, "settling")
        net.close()

    def _pass(self, net: Net, doing: str) -> Progress:
        """Let a little time pass."""
        net.world.run(SLICE_MS)
        return Progress(
            doing,
            net.spacing_ms,
            net.world.now_ms,
            self._events + net.world.schedule.calls,
            self._blocks + len(net.ledger.courses),
        )
