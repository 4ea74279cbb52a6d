"""From messages to frames, no faster than the socket takes them.

The outbox keeps references to whole messages and cuts a frame only when the transport has room. A
message of 16 MiB broadcast to a hundred peers is in memory once; a whole chain, which is read while it
is sent, never is (`chain.ChainStream`). Messages longer than `Limits.fragment_bytes` become several
fragments (RFC 6455, section 5.4). Fragments of two messages may not alternate, so what is said while a
chain is under way follows after it.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from websockets.protocol import Protocol as Wire

from tallystick.wire.terms import Terms


class Source(Protocol):
    """A message that is made while it is sent."""

    def read(self) -> bytes:
        """The next piece, never empty before the end; b"" at the end. Raises what its maker documents."""

    @property
    def at_end(self) -> bool:
        """Has everything been read?"""


class Whole:
    """A message that is there already."""

    def __init__(self, message: bytes) -> None:
        self._message = message
        self.at_end = False

    def read(self) -> bytes:
        self.at_end = True
        return self._message


class Outbox:
    """What is to be said to one peer, oldest first."""

    def __init__(self, wire: Wire, terms: Terms, fragment_bytes: int) -> None:
        self._wire = wire
        self._begin = wire.send_text if terms.is_text else wire.send_binary
        self._fragment_bytes = fragment_bytes
        self._sources: deque[Source] = deque()
        self._piece = memoryview(b"")
        self._begun = False
        self.waiting_bytes = 0
        """Of whole messages and of the piece being sent; what a chain is still to become is not counted."""

    def __bool__(self) -> bool:
        return bool(self._sources)

    def put(self, message: bytes) -> None:
        """Queue a message."""
        self._sources.append(Whole(message))
        self.waiting_bytes += len(message)

    def put_source(self, source: Source) -> None:
        """Queue a message that is made while it is sent."""
        self._sources.append(source)

    def clear(self) -> None:
        """Forget everything."""
        self._sources.clear()
        self._piece = memoryview(b"")
        self.waiting_bytes = 0

    def send_frame(self) -> Source | None:
        """Make the next frame, which is then in the library's `data_to_send()`. Only while not empty.

        Returns the source whose last frame this was, None when more of it follows.
        """
        source = self._sources[0]
        if not self._piece and not source.at_end:
            piece = source.read()
            self._piece = memoryview(piece)
            if not isinstance(source, Whole):
                self.waiting_bytes += len(piece)
        data = self._piece[: self._fragment_bytes]
        self._piece = self._piece[self._fragment_bytes :]
        self.waiting_bytes -= len(data)
        last = source.at_end and not self._piece
        if self._begun:
            self._wire.send_continuation(data, fin=last)
        else:
            self._begin(data, fin=last)
        self._begun = not last
        return self._sources.popleft() if last else None
