"""A node, for programs that wait: the blocking shell around `flows`."""

from __future__ import annotations

import time
from collections.abc import Collection, Generator, Iterable, Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

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

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

WAIT_S: Final = 60.0
"""How long `wait` waits, unless it is told otherwise."""

ANY: Final = object()
"""Whatever it is."""


class Client:
    """A node at `url`. A context manager, for threads to share; close it when you are done.

    Every method raises errors of `tallystick.client.errors`, and no others. What may be tried again without harm is:
    for up to `patience_s` seconds, when the connection breaks, or the node answers that it cannot do it now.
    """

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
        """`timeout_s` is how long the node may be silent. For `verify` see `connection.Trust`."""
        import httpx  # noqa: PLC0415 - see `connection`

        self._connection = Connection(url, token, verify, timeout_s, connect_timeout_s)
        self._core = Core(patience_s)
        self._http = self._connection.opened(httpx.Client)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up. Idempotent."""
        self._http.close()

    # --- writing -----------------------------------------------------------------------------------

    def post(self, data: Any, id: str | None = None) -> Receipt:  # noqa: ANN401 - any JSON value
        """Record a JSON value, in networks whose blocks hold records. When this returns, it is safe on the node's disk,
        and comes into a block some time (`wait`).

        `id` is your key for trying again: the same id with the same data is recorded once, however often it is posted.
        Without one a UUIDv7 is made here, so the client's own retries record nothing twice. Raises IdTaken when the id
        names a record with other data.
        """
        return self._run(self._core.post([NewRecord(data) if id is None else NewRecord(data, id)]))[0]

    def post_many(self, records: Iterable[NewRecord]) -> list[Receipt]:
        """Record many, in their order, a thousand a request. The node takes each request as a whole or not at all.

        When this raises, the first of them may be recorded: post the same `NewRecord`s again, and none is twice.
        """
        return self._run(self._core.post(records))

    def mine(self, data: str) -> Block:
        """In a classic network: make a block that holds a text. When this returns, it is safe on the node's disk.

        Never tried again by itself: nothing tells two blocks of the same text apart, so after Unreachable look for
        yours (`blocks`) before you do it again. In other networks `post` and `wait` are better.
        """
        return self._run(self._core.mine(data))

    def add_peer(self, address: str) -> None:
        """Have the node dial `ws://HOST:PORT`, now and after every restart. Does not wait for the connection."""
        self._run(self._core.add_peer(address))

    # --- reading -----------------------------------------------------------------------------------

    def wait(self, id: str, confirmations: int = 1, timeout_s: float = WAIT_S) -> StoredRecord:
        """The record, once it is in a block with so many confirmations. Raises NotYet when the time is over."""
        return self._run(self._core.wait(id, confirmations, timeout_s))

    def record(self, id: str) -> StoredRecord:
        """The record of an id, and where it stands. Raises NotFound."""
        return self._run(self._core.record(id))

    def records_of(self, id: str) -> list[StoredRecord]:
        """All records of an id: two nodes may have taken it for different ones at the same time. Raises NotFound."""
        return self._run(self._core.records_of(id))

    def records(self, after: int = 0, *, follow: bool = False) -> Iterator[StoredRecord]:
        """Records of the log in its order, leaving out the first `after`, read in pages as you go.

        With `follow` it never ends, and goes on as the log grows. Raises BranchSwitched when the node leaves the branch
        that was read.
        """
        return self._walk(self._core.records(after, follow=follow))

    def block(self, which: int | str = "latest") -> Block:
        """A block by index or hash, or the latest one. It is checked against its hash. Raises NotFound."""
        return self._run(self._core.block(which))

    def blocks(self, after: int = -1, *, follow: bool = False) -> Iterator[Block]:
        """Blocks of the best chain behind the index `after`, read in pages as you go; each is checked against its hash,
        and follows from the one before. `follow` and errors as with `records`."""
        return self._walk(self._core.blocks(after, follow=follow))

    def search(self, text: str, before: int | None = None) -> Iterator[Match]:
        """Where a text of up to 100 characters stands on the best chain, without regard to case, newest first: in the
        data of blocks in a classic network, else in data and ids of records.

        The node looks through a stretch each time, as you go, so the next match may take a while; after the last one
        all of the chain was looked through. To go on some other time, give the `place` of the last match as `before`.
        What is found is what the node says: look at the block or record itself to have it checked.
        """
        return self._walk(self._core.search(text, before))

    def events(
        self,
        types: Collection[type[Event]] | None = None,
        *,
        after: str | None = None,
        since: int | None = None,
    ) -> Generator[Event, None, None]:
        """What happens, as it happens and without end: all of it from now on, or behind the event whose id is `after`,
        or from the block whose index is `since`.

        A lost connection, or a node that is started anew, is waited for, and the story goes on behind the last event:
        nothing is missed, nothing comes twice. `types` are some of `client.events`. Raises what the last try came to
        when the node stays away for `patience_s`. The connection is open until the iterator is closed.
        """
        return self._told(events(self._core, Wanted(types, after, since)))

    def status(self) -> Status:
        """What the node is doing."""
        return self._run(self._core.status())

    def peers(self) -> list[str]:
        """The other end, `host:port`, of each connection that is open. `status().peers` says more."""
        return self._run(self._core.peers())

    # --- proofs ------------------------------------------------------------------------------------

    def verify(self, id: str, *, trusted_block_hash: str, data: Any = ANY) -> Proven:  # noqa: ANN401 - any JSON value
        """The record, proven to be in the log as of a block that you trust; with `data`, proven to hold just that.

        The node is not believed: its proof is checked here, and leads to the hash that you gave. Raises NotProven.
        """
        return self._run(self._core.verify(id, trusted_block_hash, None if data is ANY else canonical_form(data)))

    def verify_consistency(self, trusted_block_hash: str, block: str = "latest") -> str:
        """The hash of a later block, whose log is proven to begin with that of one you trust: nothing that stood there
        was changed or taken out. Raises NotProven, or NotFound when the trusted block is not on the node's chain."""
        return self._run(self._core.verify_consistency(trusted_block_hash, block))

    # --- moving bytes ------------------------------------------------------------------------------

    def exchange(self, request: Request) -> Answer:
        """One request, as it is and once, and whatever is answered. Raises Unreachable, Unreadable."""
        with (
            self._connection.errors(),
            self._http.stream(**self._connection.stream(request)) as response,
        ):
            reading = Reading(request, response, self._connection.shown_url)
            for part in response.iter_raw():
                reading.add(part)
            return reading.answer()

    def _run(self, flow: Flow[T]) -> T:
        """What a flow leads to."""
        step = advanced(flow)
        while not isinstance(step, Result):
            step = advanced(flow, self._outcome(step))
        result: T = step.value
        return result

    def _walk(self, course: Course[T]) -> Iterator[T]:
        """What is found along the chain, as it is found."""
        step = advanced(course)
        while not isinstance(step, Result):
            if isinstance(step, Items):
                yield from step.found
                step = advanced(course)
            else:
                step = advanced(course, self._outcome(step))

    def _told(self, story: Story) -> Generator[Event, None, None]:
        """Events as they come. Their connection is closed when nobody wants more."""
        with _Line(self._http, self._connection) as line:
            step = advanced(story)
            while not isinstance(step, Result):
                if isinstance(step, Items):
                    yield from step.found
                    step = advanced(story)
                elif isinstance(step, Pause):
                    step = advanced(story, self._outcome(step))
                else:
                    step = advanced(story, line.outcome(step))

    def _outcome(self, step: Request | Pause) -> Answer | ClientError | None:
        """What comes of what a flow asks for."""
        if isinstance(step, Pause):
            time.sleep(step.seconds)
            return None
        try:
            return self.exchange(step)
        except ClientError as error:
            return error


class _Line:
    """The connection that events come through. A context manager."""

    def __init__(self, http: httpx.Client, connection: Connection) -> None:
        self._http = http
        self._connection = connection
        self._opened = ExitStack()
        self._parts: Iterator[bytes] = iter(())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()

    def outcome(self, step: Listen | More) -> Answer | bytes | ClientError:
        """What comes of it."""
        try:
            with self._connection.errors():
                return self._open(step.request) if isinstance(step, Listen) else self._more()
        except ClientError as error:
            return error

    def _open(self, request: Request) -> Answer:
        self._opened.close()
        response = self._opened.enter_context(self._http.stream(**self._connection.stream(request)))
        reading = Reading(request, response, self._connection.shown_url)
        self._parts = response.iter_raw()
        if not reading.is_stream:
            for part in self._parts:
                reading.add(part)
        return reading.answer()

    def _more(self) -> bytes:
        for part in self._parts:
            return part
        raise Unreachable(self._connection.shown_url, "it ended the stream of events")
