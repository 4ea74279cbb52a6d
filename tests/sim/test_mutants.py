"""The simulator notices: each mutant of the core breaks a law in a seed that the core itself passes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tallystick.model.network import Kind
from tests.sim.mutants import KILLS, MUTANTS, SEEDS, broken_law
from tests.sim.test_scenario import RUNS

DOCUMENT = Path(__file__).parents[2] / "docs" / "simulation.md"
PLAYED = sorted({(MUTANTS[name].kind, seed) for name, seed in KILLS.items()} - {*RUNS})
"""What is not run anyhow."""


@pytest.mark.parametrize("name", KILLS)
def test_a_mutant_is_killed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant = MUTANTS[name]
    mutant.patch(monkeypatch)
    assert mutant.law in broken_law(mutant.kind, KILLS[name])


@pytest.mark.parametrize(("kind", "seed"), PLAYED, ids=[f"{kind}-{seed}" for kind, seed in PLAYED])
def test_the_core_passes_the_same_seeds(kind: Kind, seed: int) -> None:
    assert not broken_law(kind, seed)


def test_each_is_killed_within_a_hundred_seeds_and_documented() -> None:
    assert list(KILLS) == list(MUTANTS)
    assert all(seed < SEEDS for seed in KILLS.values())
    rows = re.findall(r"^\| ([a-z' ]+) \| (\w+) \| (\d+) \| (.+) \|$", DOCUMENT.read_text(), flags=re.MULTILINE)
    assert rows == [(name, str(MUTANTS[name].kind), str(seed), MUTANTS[name].law) for name, seed in KILLS.items()]
