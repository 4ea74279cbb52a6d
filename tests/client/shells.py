"""Both shells as one: an `AsyncClient` that blocks, so that what holds for one is held against the other."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from itertools import islice
from types import TracebackType
from typing import Any, Self

from tallystick.client import AsyncClient, Client


class Blocking:
    """An `AsyncClient` whose methods return what they lead to."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401
        self._runner = asyncio.Runner()
        self._client = AsyncClient(*arguments, **options)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)

        def call(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401
            made = method(*arguments, **options)
            return self._runner.run(made) if inspect.iscoroutine(made) else made

        return call

    def first(self, iterator: AsyncIterator[Any], most: int) -> list[Any]:
        async def gathered() -> list[Any]:
            found = []
            async for each in iterator:
                found.append(each)
                if len(found) == most:
                    break
            await iterator.aclose()  # type: ignore[attr-defined]
            return found

        return self._runner.run(gathered())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runner.run(self._client.close())
        self._runner.close()


Shell = Callable[..., Any]
SHELLS: list[Shell] = [Client, Blocking]


def first(client: Any, iterator: Any, most: int = 10**9) -> list[Any]:  # noqa: ANN401
    """So many of what an iterator of either kind gives."""
    return client.first(iterator, most) if isinstance(client, Blocking) else list(islice(iterator, most))
