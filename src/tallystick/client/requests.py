"""What is sent to a node and what comes back, as values: nothing here opens a connection.

Whatever answers at a URL may be something else than a node, or a node in trouble. So answers are bounded, are read
strictly, and every way to fail becomes an error of `tallystick.client.errors`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

import msgspec

from tallystick.client.errors import NotProven, Unreadable, refused
from tallystick.errors import TallystickError
from tallystick.model.limits import LIMITS, MIB
from tallystick.model.text import printable

T = TypeVar("T")

ANSWER_BYTES_MAX: Final = 8 * LIMITS.message_bytes
"""The longest answer: a block as long as a message may be, every character of it escaped."""

SHORT_BYTES_MAX: Final = 4 * MIB
"""The longest answer where neither blocks nor records come: a status with all connections a node can have."""

RETRY_AFTER_MAX_S: Final = 86_400
"""A node that wants to be left alone for longer is not believed."""

_SECONDS: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
_PROBLEM: Final = "urn:tallystick:problem:"


@dataclass(frozen=True, slots=True)
class Request:
    """One question to a node."""

    method: str
    path: str
    """Percent-encoded already."""

    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    """JSON."""

    headers: Mapping[str, str] = field(default_factory=dict)
    """Beside those of every request."""

    repeatable: bool = True
    """Does it do no harm to ask twice, when nobody knows whether the first time arrived?"""

    most_bytes: int = ANSWER_BYTES_MAX
    """A longer answer is refused."""

    more_time_s: float = 0.0
    """The node may take so much longer than usual, as it waits for something itself."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whole."""

    status: int
    body: bytes
    reason: str = ""
    """HTTP's words for the status."""

    retry_after: str | None = None
    """The header of that name."""

    kind: str = ""
    """Its Content-Type."""


class Arriving:
    """The body of an answer while it arrives. Raises Unreadable when it gets too long."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._parts: list[bytes] = []
        self._size_bytes = 0

    def add(self, part: bytes) -> None:
        """Some more of it."""
        self._size_bytes += len(part)
        if self._size_bytes > self._most_bytes:
            raise Unreadable(f"its answer is longer than {self._most_bytes} bytes")
        self._parts.append(part)

    @property
    def whole(self) -> bytes:
        """All of it."""
        return b"".join(self._parts)


class _Problem(msgspec.Struct):
    """What is read of a problem document (RFC 9457), or of an error as the book's node writes it."""

    type: str = ""
    title: str = ""
    detail: str = ""
    message: str = ""
    rule: str | None = None


def accepted(answer: Answer) -> bytes:
    """The body of an answer that says yes. Raises Refused, or Unreadable for one that no node would send."""
    status = answer.status
    if 200 <= status < 300:  # noqa: PLR2004 - HTTP's own
        return answer.body
    if status < 400:  # noqa: PLR2004
        raise Unreadable(f"it redirects ({status})" if status >= 300 else f"its status is {status}")  # noqa: PLR2004
    try:
        problem = msgspec.json.decode(answer.body, type=_Problem)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        problem = _Problem()
    detail = problem.detail or problem.message or problem.title or answer.reason
    name = problem.type.removeprefix(_PROBLEM)
    raise refused(status, name, detail, rule=problem.rule, retry_after_s=_seconds(answer.retry_after))


def _seconds(text: str | None) -> float:
    """Of a Retry-After in seconds, which nodes send; other forms, and more than a day, count for nothing."""
    text = (text or "").strip()
    seconds = int(text) if _SECONDS.fullmatch(text) else 0
    return float(seconds) if seconds <= RETRY_AFTER_MAX_S else 0.0


def decoded(body: bytes, kind: type[T]) -> T:
    """A JSON document. Raises Unreadable when it is not of this kind."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(printable(str(error))) from error


def not_proven(error: TallystickError) -> NotProven:
    """What broke a rule of the ledger or of proofs, as an error of an answer."""
    return NotProven(printable(str(error), 500))
