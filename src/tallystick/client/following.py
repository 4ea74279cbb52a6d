"""How a node is followed: what is asked again, and from where on, when the connection to it is lost. No I/O.

As in `flows`, a generator says what has to happen next. `Listen` opens the stream of events, in place of the one
before; `More` waits for bytes of it. Between two connections there are pauses, ever longer ones, until something comes
through again.

No event is lost and none comes twice, as each connection begins behind the last event that came whole. A node tells at
once where its story begins, so that this holds before the first event, too.
"""

from __future__ import annotations

from collections.abc import Collection, Generator
from dataclasses import dataclass
from typing import Any, Final

from tallystick.client.errors import ClientError, Misuse, Unreadable
from tallystick.client.events import NAMES, Event, EventStream, is_event_stream, is_id, read
from tallystick.client.flows import RETRY_FIRST_S, RETRY_MOST_S, Core, Items, Pause
from tallystick.client.requests import SHORT_BYTES_MAX, Answer, Request, accepted
from tallystick.errors import shown
from tallystick.model.limits import LIMITS, SECOND_MS

_SILENCE_S: Final = LIMITS.event_beat_ms / SECOND_MS
"""So long a node says nothing while nothing happens; it may be late by as much as with any answer."""


@dataclass(frozen=True, slots=True)
class Listen:
    """Open a stream. Sent its `Answer`: of one that is refused all, of one that begins the head alone."""

    request: Request


@dataclass(frozen=True, slots=True)
class More:
    """Sent some bytes of the stream that is open, as soon as there are any; its end is Unreachable."""


Story = Generator[Listen | More | Pause | Items[Event], Any, None]
"""Endless."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody wants to be told. Raises Misuse."""

    types: Collection[type[Event]] | None = None
    """None: all."""

    after: str | None = None
    """The id of an event; what came behind it."""

    since: int | None = None
    """The index of a block; it, and what came behind it. With neither the story begins now."""

    def __post_init__(self) -> None:
        for kind in self.types or ():
            if kind not in NAMES:
                names = ", ".join(each.__name__ for each in NAMES)
                raise Misuse(f"{shown(str(kind), 80)} is no type of event; known are: {names}")
        if self.types is not None and not self.types:
            raise Misuse("no types of events are given; leave them out to be told all")
        if self.after is not None and self.since is not None:
            raise Misuse("give either after or since")
        if self.after is not None and not is_id(self.after):
            raise Misuse(f"{shown(self.after, 80)} is no id of an event")
        if self.since is not None and self.since < 0:
            raise Misuse(f"{shown(self.since)} is before the first block; count from 0")

    def request(self, last_id: str | None) -> Request:
        """For what comes behind an event, if there was one."""
        query = {} if self.types is None else {"types": ",".join(sorted(NAMES[kind] for kind in self.types))}
        if last_id is None and self.since is not None:
            query["from"] = str(self.since)
        headers = {} if last_id is None else {"Last-Event-ID": last_id}
        return Request("GET", "/events", query, headers=headers, most_bytes=SHORT_BYTES_MAX, more_time_s=_SILENCE_S)


def events(core: Core, wanted: Wanted) -> Story:
    """All that happens, in its order. Raises what the last try came to, when a node that was lost is not back, or does
    not want to tell, for as long as `core` is patient; and at once what cannot pass by itself."""
    last_id = wanted.after
    until_s = core.clock() + core.patience_s
    pauses = core.pauses(RETRY_FIRST_S, RETRY_MOST_S)
    while True:
        stream = EventStream(last_id)
        try:
            answer: Answer = yield Listen(wanted.request(last_id))
            _check(answer)
            while True:
                part: bytes = yield More()
                for message in stream.add(part):
                    event = read(message)
                    if event is not None:
                        yield Items([event])
        except ClientError as error:
            if not error.may_retry:
                raise
            lost = error
        last_id = stream.last_id
        if stream.has_begun:
            until_s = core.clock() + core.patience_s
        if stream.is_alive:  # else whoever greets and hangs up would be asked ten times a second
            pauses = core.pauses(RETRY_FIRST_S, RETRY_MOST_S)
        pause_s = max(next(pauses), getattr(lost, "retry_after_s", 0.0))
        if core.clock() + pause_s > until_s:
            raise lost
        yield Pause(pause_s)


def _check(answer: Answer) -> None:
    accepted(answer)
    if not is_event_stream(answer.kind):
        raise Unreadable(f"it tells no events, and sends {shown(answer.kind, 80)}")
