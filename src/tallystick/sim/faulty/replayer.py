"""Replayer: says again what was said before, to it or by it, in this session or another.

Blocks and records may be repeated as one likes, and nothing comes of it. Answers nobody asked for, greetings after the
handshake, and a greeting of somebody else in place of one's own are another matter.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from tallystick.node.effects import Effect, Say
from tallystick.node.inputs import Input, Now, PeerSaid
from tallystick.sim.chance import happens
from tallystick.sim.faulty.turncoat import Turncoat
from tallystick.wire.native import codec
from tallystick.wire.native.messages import Announce, Auth, Blocks, Hello, Inv, Push, Records

REMEMBERED: Final = 200
"""Frames."""

SHARE: Final = 0.2
"""Of handshakes, those in which it gives itself out for another."""

LAWFUL: Final = (Push, Announce, Inv)
"""What may be repeated for ever."""


class Replayer(Turncoat):
    """Repeats old messages."""

    acts_every_ms = 1_500
    share = SHARE

    def __init__(self, *arguments: Any, **others: Any) -> None:  # noqa: ANN401 - as `Turncoat` has them
        super().__init__(*arguments, **others)
        self._old: deque[bytes] = deque(maxlen=REMEMBERED)
        self._greetings: dict[type, deque[bytes]] = {Hello: deque(maxlen=REMEMBERED), Auth: deque(maxlen=REMEMBERED)}

    def hears(self, event: Input) -> None:
        if isinstance(event, PeerSaid):
            message = codec.decode(event.message)
            self._old.append(event.message)
            if type(message) in self._greetings:
                self._greetings[type(message)].append(event.message)

    def says(self, peer: int, frame: bytes, now: Now) -> Sequence[bytes]:
        message = codec.decode(frame)
        if isinstance(message, Push | Announce | Inv | Blocks | Records):
            self._old.append(frame)
        others = self._greetings.get(type(message))
        if others and happens(self.chance, self.share):
            return [self.chance.choice(others)]
        return [frame]

    def acts(self, now: Now) -> Sequence[Effect]:
        """Something old to each: mostly what may be repeated, now and then whatever it was."""
        effects: list[Effect] = []
        for peer in self.admitted:
            old = [frame for frame in self._old if isinstance(codec.decode(frame), LAWFUL)]
            if not old or happens(self.chance, self.share / 4):
                old = list(self._old)
            effects += [Say([peer], self.chance.choice(old))] if old else []
        return effects
