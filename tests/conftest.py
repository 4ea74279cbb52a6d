"""What holds for all tests: how long properties are tried, and an environment without settings of a node."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "ci",
    derandomize=True,  # the same examples on every machine: red means that the change did it
    deadline=None,  # a busy machine is no defect
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("nightly", parent=settings.get_profile("ci"), derandomize=False, max_examples=2_500)
settings.load_profile("ci")

for name in [*os.environ]:
    if name.startswith("TALLYSTICK_") or name in {"PORT", "PEERS"}:
        del os.environ[name]
