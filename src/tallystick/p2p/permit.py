"""One large message at a time in the whole node.

Decoding a message costs about five times its size, so eight peers sending 16 MiB each at the same time
would cost more than half a gigabyte. A socket therefore stops reading when the message it is in the
middle of becomes large, and goes on when it holds the permit. First asked, first served.

Nobody waits for ever: the holder hands the permit back when its message was handled or its connection
ended, and its socket ends the connection when the message does not get on. A message that holds the
permit is handled whatever else its peer has to wait for; so holders never wait for each other in a
circle, not even in a ring of nodes that all send each other large messages.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol


class Applicant(Protocol):
    """Who can hold the permit."""

    def permitted(self) -> None:
        """The permit is yours now."""


class Permit:
    """The permit to receive one large message."""

    def __init__(self) -> None:
        self._holder: Applicant | None = None
        self._queue: deque[Applicant] = deque()

    @property
    def contended(self) -> bool:
        """Does somebody wait for the holder?"""
        return bool(self._queue)

    def is_held_by(self, applicant: Applicant) -> bool:
        return self._holder is applicant

    def ask(self, applicant: Applicant) -> bool:
        """True: it is yours at once. False: `permitted` will be called. Asking twice counts once."""
        if self._holder is None:
            self._holder = applicant
        elif self._holder is not applicant and applicant not in self._queue:
            self._queue.append(applicant)
        return self._holder is applicant

    def give_back(self, applicant: Applicant) -> None:
        """Hand it to whoever has waited longest, or leave the queue. No effect for those in neither place."""
        if applicant in self._queue:
            self._queue.remove(applicant)
        if self._holder is applicant:
            self._holder = self._queue.popleft() if self._queue else None
            if self._holder is not None:
                self._holder.permitted()
