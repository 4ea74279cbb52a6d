"""Mutator: says what an honest node says, with something changed in it.

A bit of the frame, or a field of the message: a number that is one too large, a hash of nothing, an answer that lacks
its last block, data that does not fit. What comes out is no message, or one that nobody honest could have sent, or one
that says something else and is lawful.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from tallystick.node.inputs import Now
from tallystick.sim.chance import happens
from tallystick.sim.faulty.turncoat import Turncoat

SHARE: Final = 0.1
"""Of messages."""


class Mutator(Turncoat):
    """Changes what it says."""

    share = SHARE

    def says(self, peer: int, frame: bytes, now: Now) -> Sequence[bytes]:
        if peer not in self.admitted or not happens(self.chance, self.share):
            return [frame]
        return [self._flipped(frame) if happens(self.chance, 0.3) else self._changed(frame)]

    def _flipped(self, frame: bytes) -> bytes:
        """One bit of it."""
        at, bit = self.chance.randrange(len(frame)), 1 << self.chance.randrange(8)
        return frame[:at] + bytes([frame[at] ^ bit]) + frame[at + 1 :]

    def _changed(self, frame: bytes) -> bytes:
        """One field of it, somewhere."""
        changed = msgspec.msgpack.decode(frame)
        self._change(changed)
        return msgspec.msgpack.encode(changed)

    def _change(self, fields: list[Any]) -> None:
        """Change one of these values, or something in it. The first is the tag, where there is one."""
        at = self.chance.randrange(len(fields))
        value = fields[at]
        match value:
            case list() if value and happens(self.chance, 0.7):
                self._change(value)
            case list():
                fields[at] = value[:-1]
            case bool() | None:
                fields[at] = not value
            case int():
                fields[at] = max(0, value + self.chance.choice([-1, 1, 2**20]))
            case str():
                fields[at] = value + "!"
            case bytes():
                fields[at] = self._flipped(value) if value else b"!"
