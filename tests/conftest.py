"""What holds for all tests: how long properties are tried, and an environment without settings of a node."""

from __future__ import annotations

import os
from importlib import import_module
from pkgutil import walk_packages

from hypothesis import HealthCheck, settings

import tallystick

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

# Hypothesis tries constants that it finds in the modules that are loaded by then. So that tests get the same examples
# whatever ran before them, all are.
for module in walk_packages(tallystick.__path__, "tallystick."):
    if not module.name.endswith(".__main__"):
        import_module(module.name)
