"""Whole runs from a seed: faults, healing, and then the laws.

`SEEDS` says how many of each kind; the last ones of each list found something, or nearly did.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import pytest

from tallystick.model.network import Kind
from tallystick.sim.checkers import LawBrokenError
from tallystick.sim.faults import What
from tallystick.sim.scenario import Outcome, Scenario, run
from tallystick.sim.swarm import draw_configuration
from tests.sim.worlds import calm, line, posts

SEEDS = int(os.environ.get("SEEDS", "24"))
FOUND: dict[Kind, list[int]] = {Kind.CLASSIC: [106, 1350], Kind.WORK: [87, 160, 170, 359, 1232]}

RUNS = [(kind, seed) for kind in Kind for seed in [*range(SEEDS), *FOUND[kind]]]


@pytest.mark.parametrize(("kind", "seed"), RUNS, ids=[f"{kind}-{seed}" for kind, seed in RUNS])
def test_faults_then_healing_then_the_laws(kind: Kind, seed: int) -> None:
    """Catalogue rows 54, 56, 72, 74, 75, 82 and 83: after the network heals all nodes agree, and nothing that any of
    them acknowledged is missing or there twice."""
    run(draw_configuration(seed, kind))


@pytest.mark.parametrize("kind", Kind)
def test_the_same_seed_is_the_same_run(kind: Kind) -> None:
    outcomes = [run(draw_configuration(seed, kind)) for seed in (29, 29, 11)]
    assert outcomes[0] == outcomes[1]
    assert outcomes[0].trace != outcomes[2].trace


@pytest.mark.parametrize("kind", Kind)
def test_the_same_seed_is_the_same_run_in_another_process(kind: Kind) -> None:
    """Whatever the order of sets is there."""
    program = (
        "from tallystick.model.network import Kind; from tallystick.sim.scenario import run;"
        "from tallystick.sim.swarm import draw_configuration;"
        f"print(*(run(draw_configuration(seed, Kind({str(kind)!r}))).trace for seed in range(3)))"
    )
    told = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONHASHSEED": "1"},
        capture_output=True,
        check=True,
        text=True,
    )
    assert told.stdout.split() == [run(draw_configuration(seed, kind)).trace for seed in range(3)]


def test_a_broken_law_tells_the_seed_and_what_happened_last() -> None:
    scenario = calm(line(2), seed=7)
    posts(scenario, 0, "a")
    scenario.promises.acknowledged["b"] = 1
    with pytest.raises(LawBrokenError, match=r"lost 1 of what was acknowledged(.|\n)*seed=7(.|\n)*The last events"):
        scenario.run()


def test_all_that_is_drawn_comes_up() -> None:
    """Or nobody would notice that a fault never happens."""
    drawn = [draw_configuration(seed, kind) for seed in range(100) for kind in Kind]
    faults = Counter(fault.what for each in drawn for fault in each.faults)
    assert set(faults) == set(What)
    assert {bool(each.books) for each in drawn} == {bool(each.classic_only) for each in drawn} == {True, False}
    assert {each.discover for each in drawn} == {bool(each.commit_us) for each in drawn} == {True, False}


def test_a_calm_network_agrees_at_once_and_excuses_nobody() -> None:
    drawn = draw_configuration(3, Kind.CLASSIC)
    outcome = run(replace(drawn, faults=(), line=calm(line(2)).configuration.line))
    assert isinstance(outcome, Outcome)
    assert not outcome.excused
    assert outcome.acknowledged == outcome.posted


def test_a_scenario_looks_into_nodes_all_along() -> None:
    scenario = Scenario(draw_configuration(1, Kind.WORK))
    outcome = scenario.run()
    assert outcome.looks > 10
    assert outcome.most["headers in memory"].amount > 1
