"""The log of a program, as records of a ledger: nobody can change afterwards what it said, nor leave a line out.

    logging.getLogger().addHandler(LedgerHandler("http://127.0.0.1:3001"))

A program must not wait for its log, and must not fail for it. So what it logs goes into a buffer, and a thread posts
that in batches, trying again for as long as it takes. Each record gets its id when it is logged, so whatever is posted
again is recorded once; by a child that was forked from the program, too.

The buffer is bounded, in records and in bytes. **When it is full, what comes next is dropped**, and not what is in it:
else whoever wants something forgotten would only have to make the program log a lot after it. So the ledger has all
of the log up to a gap, and behind the gap a record that says how much is missing, and from when to when.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final, Protocol

import msgspec

from tallystick.client.connection import DEFAULT_URL, Trust
from tallystick.client.errors import ClientError, Misuse, Refused
from tallystick.client.flows import NewRecord
from tallystick.client.sync import Client
from tallystick.errors import RuleViolation
from tallystick.model.canonical import canonical
from tallystick.model.limits import MIB

CAPACITY_RECORDS: Final = 10_000
CAPACITY_BYTES: Final = 16 * MIB
"""So much waits at most, unless a program says otherwise."""

OVERHEAD_BYTES: Final = 1_000
"""What a record takes in memory beside its text, about."""

BATCH_RECORDS: Final = 500
BATCH_WAIT_S: Final = 0.2
"""The thread waits so long for more to post at once, or until there is so much."""

RETRY_FIRST_S: Final = 0.2
RETRY_MOST_S: Final = 30.0
"""Between two tries to post: doubled from the first to the second."""

ANSWER_TIMEOUT_S: Final = 10.0
FLUSH_S: Final = 5.0
"""How long `flush` and `close` wait, unless they are told otherwise."""

TEXT_CHARACTERS: Final = 8_000
"""Of a message, an exception and a stack, each. A network takes 64 KiB a record, unless its file says otherwise."""

EXTRA_FIELDS: Final = 50
EXTRA_BYTES: Final = 400
"""Fields beside these that are kept, and how long each may be in JSON before it becomes a text that is cut."""

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_NOT_THE_RECORD: Final = frozenset({401, 403, 404, 408, 429})
"""Refusals that would meet any record; they are waited out as an outage is."""


class Posts(Protocol):
    """As much of a client as is needed here."""

    def post_many(self, records: Sequence[NewRecord], /) -> object: ...


class LedgerHandler(logging.Handler):
    """Writes what is logged to a ledger whose blocks hold records. Posting is the business of a thread of its own.

    A record is `{"time", "level", "logger", "message"}`, with `extra`, `exception` and `stack` if there are any. Long
    texts are cut. What httpx logs in the handler's own thread is left out, or each post would be cause for another.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        token: str | None = None,
        verify: Trust = True,
        level: int | str = logging.NOTSET,
        capacity_records: int = CAPACITY_RECORDS,
        capacity_bytes: int = CAPACITY_BYTES,
        client: Posts | None = None,
    ) -> None:
        """With a `client` that one is used, and stays open; it should have no patience of its own. Raises Misuse."""
        super().__init__(level)
        if self.lock is None:
            raise AssertionError("logging makes a lock for every handler")
        self._given = client
        self._options = {"url": url, "token": token, "verify": verify}
        if client is None:
            self._made_client().close()  # so that what cannot be is told now, and not in a thread
        self._most_records = capacity_records
        self._most_bytes = capacity_bytes

        self._changed = threading.Condition(self.lock)
        """Guards what follows. It is the handler's own lock, which logging makes anew in a child that is forked."""

        self._waiting: deque[tuple[NewRecord, int]] = deque()
        """Not posted yet, with their sizes. Those under way stay in it until they are safe."""

        self._bytes = 0
        self._gap: _Gap | None = None
        self._hurry = 0
        """Of those that wait, so many are being waited for."""

        self._closed = False
        self._thread: threading.Thread | None = None
        self._lost = 0

    # --- what the program does ---------------------------------------------------------------------

    @property
    def pending(self) -> int:
        """Records that are not safe in the ledger yet."""
        return len(self._waiting)

    @property
    def dropped(self) -> int:
        """Records that were dropped, ever: the buffer was full, or the node took none of that kind."""
        return self._lost

    def emit(self, record: logging.LogRecord) -> None:
        """Put a record into the buffer. Neither waits nor raises."""
        if threading.current_thread() is self._thread or self._closed:
            return
        try:
            made = NewRecord(_document(record))
            size_bytes = len(msgspec.json.encode(made.data)) + OVERHEAD_BYTES
            with self._changed:
                self._put(made, size_bytes)
                if self._thread is None or not self._thread.is_alive():  # no thread goes with a fork
                    self._thread = threading.Thread(target=self._work, name="tallystick-log", daemon=True)
                    self._thread.start()
                if len(self._waiting) <= 2 or len(self._waiting) == BATCH_RECORDS:  # noqa: PLR2004 - one, with a gap
                    self._changed.notify_all()
        except Exception:  # noqa: BLE001 - a program must not fail because it logs
            self.handleError(record)

    def flush(self, timeout_s: float = FLUSH_S) -> None:
        """Wait until all that was logged before is in the ledger, or the time is over; `pending` says which."""
        with self._changed:
            self._note_gap()
            self._hurry = len(self._waiting)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._hurry <= 0 or not self._is_working(), timeout_s)

    def close(self, timeout_s: float = FLUSH_S) -> None:
        """Flush, and end; what is still `pending` then is lost. Idempotent. Logging calls it when a program ends."""
        if not self._closed:
            self.flush(timeout_s)
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        super().close()

    # --- the buffer: to be called with the lock ----------------------------------------------------

    def _put(self, made: NewRecord, size_bytes: int) -> None:
        self._note_gap()
        if self._gap is not None or not self._has_room(size_bytes):
            self._lost += 1
            self._gap = _Gap(0, made.data["time"]) if self._gap is None else self._gap
            self._gap.count += 1
            self._gap.last = made.data["time"]
            return
        self._waiting.append((made, size_bytes))
        self._bytes += size_bytes

    def _has_room(self, size_bytes: int) -> bool:
        return len(self._waiting) < self._most_records and self._bytes + size_bytes <= self._most_bytes

    def _note_gap(self) -> None:
        """Say how much is missing, where it is missing, once there is room to say so."""
        if self._gap is not None and self._has_room(OVERHEAD_BYTES):
            self._waiting.append((NewRecord(self._gap.document()), OVERHEAD_BYTES))
            self._bytes += OVERHEAD_BYTES
            self._gap = None

    def _is_working(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _take_off(self, count: int) -> None:
        """The first so many are done with."""
        for _ in range(count):
            self._bytes -= self._waiting.popleft()[1]
        self._hurry -= count
        self._note_gap()
        self._changed.notify_all()

    # --- the thread --------------------------------------------------------------------------------

    def _work(self) -> None:
        client = self._given or self._made_client()
        pause_s = RETRY_FIRST_S
        try:
            while batch := self._next_batch():
                if self._post(client, batch):
                    pause_s = RETRY_FIRST_S
                    continue
                with self._changed:
                    self._changed.wait_for(lambda: self._closed, pause_s)
                    if self._closed:
                        return
                pause_s = min(2 * pause_s, RETRY_MOST_S)
        finally:
            if isinstance(client, Client) and client is not self._given:
                client.close()

    def _made_client(self) -> Client:
        return Client(**self._options, timeout_s=ANSWER_TIMEOUT_S, patience_s=0)  # type: ignore[arg-type]

    def _next_batch(self) -> list[NewRecord]:
        """What to post next; nothing when there is nothing left, and nothing will come."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            until_s = time.monotonic() + BATCH_WAIT_S
            while len(self._waiting) < BATCH_RECORDS and self._hurry <= 0 and not self._closed:
                if (left_s := until_s - time.monotonic()) <= 0:
                    break
                self._changed.wait(left_s)
            return [made for made, _ in islice(self._waiting, BATCH_RECORDS)]

    def _post(self, client: Posts, batch: list[NewRecord]) -> bool:
        """Post these, or as many of them as the node takes. False when it has to be tried again later."""
        try:
            client.post_many(batch)
        except ClientError as error:
            is_theirs = isinstance(error, Misuse) or (isinstance(error, Refused) and _concerns_records(error))
            if not is_theirs:
                return False
            if len(batch) > 1:  # one of them is no good, and the node takes all or none
                return all(self._post(client, [made]) for made in batch)
            with self._changed:
                self._lost += 1
        except Exception:  # noqa: BLE001 - whatever it is, the rest of the log must not be lost for it
            return False
        with self._changed:
            self._take_off(len(batch))
        return True


def _concerns_records(error: Refused) -> bool:
    return 400 <= error.status < 500 and error.status not in _NOT_THE_RECORD  # noqa: PLR2004 - HTTP's own


class _Gap:
    """Records that are missing in one place."""

    def __init__(self, count: int, first: str) -> None:
        self.count = count
        self.first = first
        self.last = first

    def document(self) -> dict[str, Any]:
        """What the ledger is told of it."""
        return {
            "time": _moment(time.time()),
            "level": "WARNING",
            "logger": __name__,
            "message": f"{self.count} log records were dropped here: the buffer was full",
            "extra": {"dropped": self.count, "first": self.first, "last": self.last},
        }


# --- what a record holds ----------------------------------------------------------------------------


def _document(record: logging.LogRecord) -> dict[str, Any]:
    """A log record as a JSON value that has a canonical form."""
    document: dict[str, Any] = {
        "time": _moment(record.created),
        "level": _text(record.levelname),
        "logger": _text(record.name),
        "message": _text(record.getMessage()),
    }
    extra = {_text(name): _plain(value) for name, value in vars(record).items() if name not in _STANDARD}
    if extra:
        document["extra"] = dict(islice(extra.items(), EXTRA_FIELDS))
    if record.exc_info and record.exc_info[0] is not None:
        document["exception"] = _text(logging.Formatter().formatException(record.exc_info), keep_end=True)
    elif record.exc_text:
        document["exception"] = _text(record.exc_text, keep_end=True)
    if record.stack_info:
        document["stack"] = _text(record.stack_info, keep_end=True)
    return document


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _text(text: str, *, keep_end: bool = False) -> str:
    """A text that can be recorded. Of an exception the end says most."""
    if len(text) > TEXT_CHARACTERS:
        cut = f"…({len(text) - TEXT_CHARACTERS} characters more)…"
        text = cut + text[-TEXT_CHARACTERS:] if keep_end else text[:TEXT_CHARACTERS] + cut
    return text.encode(errors="replace").decode()


def _plain(value: object) -> Any:  # noqa: ANN401 - any JSON value
    """A value as it is now, for it may change before it is posted; what is no JSON, or long, as a text."""
    try:
        form = canonical(value)
    except (RuleViolation, TypeError):
        form = b""
    if form and len(form) <= EXTRA_BYTES:
        return msgspec.json.decode(form)
    return _text(repr(value)[:EXTRA_BYTES])
