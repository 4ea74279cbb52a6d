"""What docs/simulation.md shows works as it stands there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tallystick.sim.scenario import Outcome

TEXT = (Path(__file__).parents[2] / "docs" / "simulation.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_of_the_document_runs(program: str) -> None:
    names: dict[str, Any] = {}
    exec(program, names)  # noqa: S102 - our own document
    assert isinstance(names["outcome"], Outcome)
