"""Small studies, for tests."""

from __future__ import annotations

from tallystick.model.network import Kind
from tallystick.sim.findings import Findings
from tallystick.sim.net import Net
from tallystick.sim.presets import PRESETS, Plan
from tallystick.sim.study import Study


def plan(
    nodes: int = 4,
    *,
    preset: str = "lan",
    kind: Kind = Kind.WORK,
    seed: int = 1,
    blocks: int = 3,
    spacings_ms: tuple[int, ...] = (1_000,),
    size_bytes: int = 500,
) -> Plan:
    return Plan(PRESETS[preset], nodes, kind, seed, blocks, spacings_ms, size_bytes)


def found(plan: Plan) -> Findings:
    """What a study of this finds."""
    study = Study(plan)
    for _ in study.run():
        pass
    findings = study.findings()
    assert findings is not None
    return findings


def acquainted(plan: Plan) -> Net:
    """A net in which everybody knows his peers, and nothing happens."""
    net = Net(plan, plan.spacings_ms[0])
    net.world.is_mining = False
    net.start()
    while not net.is_acquainted():
        net.world.run(100)
    net.world.run(2_000)
    return net
