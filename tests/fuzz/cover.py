"""Which inputs are worth keeping: the few that, together, take the most ways that the seeds do not take.

Ways are steps from one line of our code to the next, as the interpreter's own trace shows them. So this needs no
fuzzer, and comes to the same choice wherever it runs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from types import FrameType
from typing import Any, Final

import tallystick
from tests.fuzz.target import Target

_OURS: Final = str(Path(tallystick.__file__).parent)

Way = tuple[str, int, int]
"""A file, a line of it, and the one that came next in the same call; 0 for the start of a call."""


def chosen(target: Target, first: Iterable[bytes], inputs: Collection[bytes], most: int) -> list[bytes]:
    """Of `inputs`, one by one, whichever takes the most ways that none before does, nor any of `first`.

    When all ways are taken, the rest are looked at as if there were none yet: where decoders in C decide, inputs that
    take the same way may be quite different.
    """
    taken = {data: ways(target.one, data) for data in sorted(inputs, key=lambda data: (len(data), data))}
    seen = {way for data in first for way in ways(target.one, data)}
    found: list[bytes] = []
    while taken and len(found) < most:
        best = max(taken, key=lambda data: len(taken[data] - seen))
        if not seen >= taken[best]:
            found.append(best)
            seen |= taken.pop(best)
        elif seen:
            seen = set()
        else:
            break
    return found


def ways(one: Callable[[bytes], None], data: bytes) -> set[Way]:
    """The ways that an input takes."""
    taken: set[Way] = set()

    def enter(frame: FrameType, _event: str, _argument: object) -> Any:  # noqa: ANN401 - a tracer, or None
        file = frame.f_code.co_filename
        if not file.startswith(_OURS):
            return None
        last = 0

        def step(frame: FrameType, event: str, _argument: object) -> Any:  # noqa: ANN401 - likewise
            nonlocal last
            if event == "line":
                taken.add((file, last, frame.f_lineno))
                last = frame.f_lineno
            return step

        return step

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        one(data)
    finally:
        sys.settrace(before)
    return taken
