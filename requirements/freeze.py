# noqa: INP001 - a script, part of no package
"""Write the locks: `python requirements/freeze.py`, with the virtual environment's Python.

`run.txt` holds exactly what a node needs, `dev.txt` adds what its developers need, `fuzz.txt` what looks for bytes that
break them, each with the version that is installed here and now. `pyproject.toml` says what is needed at least; the
locks say what was tested.
"""

from __future__ import annotations

from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HERE = Path(__file__).parent

MARKERS = {
    "uvloop": ' ; sys_platform != "win32"',
    "atheris": ' ; platform_python_implementation == "CPython" and sys_platform == "linux" '
    'and platform_machine == "x86_64" and python_version < "3.14"',
}
"""Where packages exist, and are installed; every other one is pure, or built for all."""

HEADER = "# Written by requirements/freeze.py; the lower bounds stand in pyproject.toml.\n"


def closure(extra: str) -> dict[str, tuple[str, str]]:
    """Name -> (version, marker) of all that tallystick with `extra` needs, directly or not."""
    found: dict[str, tuple[str, str]] = {}
    visited: set[tuple[str, str]] = set()
    waiting = [("tallystick", extra)]
    while waiting:
        name, wanted = waiting.pop()
        if (name, wanted) in visited:
            continue
        visited.add((name, wanted))
        for text in distribution(name).requires or []:
            needed = Requirement(text)
            if needed.marker and not needed.marker.evaluate({"extra": wanted}):
                continue
            key = canonicalize_name(needed.name)
            found[key] = (distribution(needed.name).version, MARKERS.get(key, ""))
            waiting += [(needed.name, ""), *((needed.name, each) for each in needed.extras)]
    return found


def lines(packages: dict[str, tuple[str, str]]) -> str:
    """The packages as pip reads them."""
    return "".join(f"{name}=={version}{marker}\n" for name, (version, marker) in sorted(packages.items()))


def main() -> None:
    """Write all locks; that of the fuzzer only where it is installed."""
    run, dev = closure(""), closure("dev")
    HERE.joinpath("run.txt").write_text(HEADER + lines(run))
    more = {name: pin for name, pin in dev.items() if name not in run}
    HERE.joinpath("dev.txt").write_text(HEADER + "-r run.txt\n" + lines(more))
    if find_spec("atheris"):
        fuzz = {name: pin for name, pin in closure("fuzz").items() if name not in {**run, **dev}}
        HERE.joinpath("fuzz.txt").write_text(HEADER + lines(fuzz))


if __name__ == "__main__":
    main()
