"""Studies from end to end."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tallystick.model.network import Kind
from tallystick.sim.checkers import LawBrokenError
from tallystick.sim.findings import Findings
from tallystick.sim.study import Study
from tests.sim.studies import found, plan


@pytest.mark.parametrize("kind", Kind)
def test_every_node_gets_every_block(kind: Kind) -> None:
    findings = found(plan(kind=kind, blocks=4))
    assert findings.complete
    (rate,) = findings.stale
    assert rate.made >= 4
    assert rate.made - rate.stale >= findings.propagation.blocks
    assert [reach.blocks for reach in findings.propagation.reach] == [findings.propagation.blocks] * 4
    assert findings.propagation.curve[-1][1] == 1.0
    assert sum(findings.regions.values()) == 4


def test_the_same_plan_has_the_same_findings() -> None:
    findings = [found(plan(preset="internet", blocks=2, seed=seed)) for seed in (1, 1, 2)]
    assert findings[0] == findings[1]
    assert findings[0] != findings[2]


@pytest.fixture(scope="module")
def many() -> Findings:
    """Of more nodes than run everything."""
    return found(plan(101, preset="internet", blocks=1, spacings_ms=(20_000,)))


def test_so_it_has_in_another_process() -> None:
    """Whatever the order of sets is there."""
    program = "from tests.sim.studies import found, plan;print(found(plan(6, preset='internet', blocks=2)))"
    told = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONHASHSEED": "77"},
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    assert told == f"{found(plan(6, preset='internet', blocks=2))}\n"


def test_a_few_nodes_find_each_other_and_many_are_joined(many: Findings) -> None:
    few = found(plan(12, blocks=2, spacings_ms=(60_000,)))
    assert few.connections.median >= 8
    assert 15 <= many.connections.median <= 17
    kinds = [{sent.kind for sent in each.traffic.kinds} for each in (few, many)]
    assert "Ping" in kinds[0]
    assert "Ping" not in kinds[1]


def test_every_body_is_counted() -> None:
    """With two nodes there is one connection, and each block crosses it once."""
    findings = found(plan(2, blocks=5, spacings_ms=(5_000,)))
    assert findings.traffic.bodies_a_block == 1.0
    assert findings.traffic.most_crossings == 1
    assert not findings.reorgs
    sent = sum(each.size_bytes for each in findings.traffic.kinds)
    assert findings.traffic.sent_bytes.median * 2 == findings.traffic.received_bytes.median * 2 == sent


def test_where_blocks_come_faster_than_they_spread_some_become_stale() -> None:
    findings = found(plan(5, preset="consortium", blocks=20, spacings_ms=(10_000, 300)))
    slow, fast = findings.stale
    assert slow.expected < 0.05
    assert fast.expected > 0.2
    assert slow.share < fast.share
    assert fast.share == pytest.approx(fast.expected, abs=4 * fast.error)


def test_what_was_measured_until_an_interruption_is_told() -> None:
    study = Study(plan(blocks=50))
    assert study.findings() is None
    for progress in study.run():
        if progress.blocks == 2:
            break
    findings = study.findings()
    assert findings is not None
    assert not findings.complete
    assert findings.stale[0].made == 2


def test_a_study_in_which_nothing_can_be_made_ends() -> None:
    study = Study(plan(2, kind=Kind.CLASSIC, size_bytes=1_000_000, spacings_ms=(100,)))
    with pytest.raises(LawBrokenError, match="nobody made a block"):
        for _ in study.run():
            pass
    assert study.findings() is None


def test_longer_blocks_take_longer() -> None:
    short, long = (
        found(plan(8, preset="consortium", kind=Kind.CLASSIC, blocks=5, spacings_ms=(60_000,), size_bytes=size))
        for size in (500, 500_000)
    )
    assert long.propagation.mean_ms > short.propagation.mean_ms + 200
