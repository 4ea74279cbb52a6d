"""Both event loops a node runs on: uvloop where there is one, else the standard library's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import uvloop

from .loopback import Scene


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Scene:
    """Plays a scene to its end on a loop of its own."""
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def play(scene: Callable[[], Awaitable[None]]) -> None:
        async def whole() -> None:
            await scene()

        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(whole())

    return play
