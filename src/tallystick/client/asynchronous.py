"""A node, for programs on an event loop: the asynchronous shell around `flows`.

What the methods do stands at their namesakes of `sync.Client`. Cancelling one leaves nothing behind; whether a post
that was under way was taken is then not known, and it is safe to post it again under its id.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from tallystick.client.answers import Block, Match, Receipt, Status, StoredRecord
from tallystick.client.connection import ANSWER_TIMEOUT_S, CONNECT_TIMEOUT_S, DEFAULT_URL, Connection, Reading, Trust
from tallystick.client.errors import ClientError, Unreachable
from tallystick.client.events import Event
from tallystick.client.flows import (
    PATIENCE_S,
    Core,
    Course,
    Flow,
    Items,
    NewRecord,
    Pause,
    Result,
    advanced,
    canonical_form,
)
from tallystick.client.following import Listen, More, Story, Wanted, events
from tallystick.client.proofs import Proven
from tallystick.client.requests import Answer, Request
from tallystick.client.sync import ANY, WAIT_S

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")


class AsyncClient:
    """As `sync.Client`, for one event loop; an asynchronous context manager."""

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        token: str | None = None,
        verify: Trust = True,
        timeout_s: float = ANSWER_TIMEOUT_S,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        patience_s: float = PATIENCE_S,
    ) -> None:
        import httpx  # noqa: PLC0415 - see `connection`

        self._connection = Connection(url, token, verify, timeout_s, connect_timeout_s)
        self._core = Core(patience_s)
        self._http = self._connection.opened(httpx.AsyncClient)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Hang up. Idempotent."""
        await self._http.aclose()

    async def post(self, data: Any, id: str | None = None) -> Receipt:  # noqa: ANN401 - any JSON value
        return (await self._run(self._core.post([NewRecord(data) if id is None else NewRecord(data, id)])))[0]

    async def post_many(self, records: Iterable[NewRecord]) -> list[Receipt]:
        return await self._run(self._core.post(records))

    async def mine(self, data: str) -> Block:
        return await self._run(self._core.mine(data))

    async def add_peer(self, address: str) -> None:
        await self._run(self._core.add_peer(address))

    async def wait(self, id: str, confirmations: int = 1, timeout_s: float = WAIT_S) -> StoredRecord:
        return await self._run(self._core.wait(id, confirmations, timeout_s))

    async def record(self, id: str) -> StoredRecord:
        return await self._run(self._core.record(id))

    async def records_of(self, id: str) -> list[StoredRecord]:
        return await self._run(self._core.records_of(id))

    def records(self, after: int = 0, *, follow: bool = False) -> AsyncIterator[StoredRecord]:
        return self._walk(self._core.records(after, follow=follow))

    async def block(self, which: int | str = "latest") -> Block:
        return await self._run(self._core.block(which))

    def blocks(self, after: int = -1, *, follow: bool = False) -> AsyncIterator[Block]:
        return self._walk(self._core.blocks(after, follow=follow))

    def search(self, text: str, before: int | None = None) -> AsyncIterator[Match]:
        return self._walk(self._core.search(text, before))

    def events(
        self,
        types: Collection[type[Event]] | None = None,
        *,
        after: str | None = None,
        since: int | None = None,
    ) -> AsyncGenerator[Event, None]:
        return self._told(events(self._core, Wanted(types, after, since)))

    async def status(self) -> Status:
        return await self._run(self._core.status())

    async def peers(self) -> list[str]:
        return await self._run(self._core.peers())

    async def verify(self, id: str, *, trusted_block_hash: str, data: Any = ANY) -> Proven:  # noqa: ANN401 - any JSON value
        return await self._run(self._core.verify(id, trusted_block_hash, None if data is ANY else canonical_form(data)))

    async def verify_consistency(self, trusted_block_hash: str, block: str = "latest") -> str:
        return await self._run(self._core.verify_consistency(trusted_block_hash, block))

    # --- moving bytes ------------------------------------------------------------------------------

    async def exchange(self, request: Request) -> Answer:
        """One request, as it is and once, and whatever is answered. Raises Unreachable, Unreadable."""
        with self._connection.errors():
            async with self._http.stream(**self._connection.stream(request)) as response:
                reading = Reading(request, response, self._connection.shown_url)
                async for part in response.aiter_raw():
                    reading.add(part)
                return reading.answer()

    async def _run(self, flow: Flow[T]) -> T:
        step = advanced(flow)
        while not isinstance(step, Result):
            step = advanced(flow, await self._outcome(step))
        result: T = step.value
        return result

    async def _walk(self, course: Course[T]) -> AsyncIterator[T]:
        step = advanced(course)
        while not isinstance(step, Result):
            if isinstance(step, Items):
                for each in step.found:
                    yield each
                step = advanced(course)
            else:
                step = advanced(course, await self._outcome(step))

    async def _told(self, story: Story) -> AsyncGenerator[Event, None]:
        async with _Line(self._http, self._connection) as line:
            step = advanced(story)
            while not isinstance(step, Result):
                if isinstance(step, Items):
                    for each in step.found:
                        yield each
                    step = advanced(story)
                elif isinstance(step, Pause):
                    step = advanced(story, await self._outcome(step))
                else:
                    step = advanced(story, await line.outcome(step))

    async def _outcome(self, step: Request | Pause) -> Answer | ClientError | None:
        if isinstance(step, Pause):
            import asyncio  # noqa: PLC0415 - who has no event loop need not load it

            await asyncio.sleep(step.seconds)
            return None
        try:
            return await self.exchange(step)
        except ClientError as error:
            return error


class _Line:
    """The connection that events come through. An asynchronous context manager."""

    def __init__(self, http: httpx.AsyncClient, connection: Connection) -> None:
        self._http = http
        self._connection = connection
        self._opened = AsyncExitStack()
        self._parts: AsyncIterator[bytes] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._opened.aclose()

    async def outcome(self, step: Listen | More) -> Answer | bytes | ClientError:
        try:
            with self._connection.errors():
                return await (self._open(step.request) if isinstance(step, Listen) else self._more())
        except ClientError as error:
            return error

    async def _open(self, request: Request) -> Answer:
        await self._opened.aclose()
        response = await self._opened.enter_async_context(self._http.stream(**self._connection.stream(request)))
        reading = Reading(request, response, self._connection.shown_url)
        self._parts = response.aiter_raw()
        if not reading.is_stream:
            async for part in self._parts:
                reading.add(part)
        return reading.answer()

    async def _more(self) -> bytes:
        if self._parts is not None and (part := await anext(self._parts, None)) is not None:
            return part
        raise Unreachable(self._connection.shown_url, "it ended the stream of events")
