"""Everything at once, on real processes: killed, frozen, parted, out of room and out of time, nodes lose nothing, and
agree once they are left in peace.

One short story is told of each kind of network. CHAOS_ROUNDS asks for so many longer ones of each beside them;
CHAOS_SEED is the number of the first, and of the short ones.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from tests.system.chaos import World
from tests.system.faults import ALL, SHORT, Fault, play

ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "0"))
FIRST = int(os.environ.get("CHAOS_SEED", "1"))


@dataclass(frozen=True)
class Story:
    """What is drawn from the seed before a world is."""

    kind: str
    seed: int
    faults: Sequence[Fault]
    nodes: int = 3
    at_once: int = 2
    patient: bool = False


def stories() -> Iterator[Story]:
    """The short ones, and long ones: more nodes, more faults and more of them at a time, now and then nodes as patient
    as real ones."""
    for kind, faults in SHORT.items():
        yield Story(kind, FIRST, faults)
    for seed in range(FIRST, FIRST + ROUNDS):
        for kind in SHORT:
            drawn = Random(f"{seed} {kind} story")  # noqa: S311 - chance of a test
            patient = drawn.random() < 0.1
            faults = ALL * (1 if patient else drawn.choice((1, 2)))
            yield Story(kind, seed, faults, drawn.choice((3, 3, 4, 5)), drawn.choice((1, 2, 3)), patient)


@pytest.mark.parametrize("story", [*stories()], ids=lambda story: f"{story.kind}-{story.seed}-{len(story.faults)}")
def test_whatever_happens_to_them_nodes_agree_and_lose_nothing(tmp_path: Path, story: Story) -> None:
    """Catalogue rows 100, 103, 105 and 107, together and in any order."""
    with World(tmp_path, story.kind, story.seed, story.nodes, patient=story.patient) as world:
        play(world, story.faults, story.at_once)
        world.heals()
        world.check()
        assert len(world.acknowledged()) > 100
