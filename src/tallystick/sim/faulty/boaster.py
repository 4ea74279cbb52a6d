"""Those who claim a chain that they have not.

Whoever claims the most is asked first. A *boaster* answers that there is nothing, after all; a *staller* answers
nothing, whatever it is asked, not even whether it is there. Both go on to tell of blocks that will never come.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tallystick.node.inputs import Now
from tallystick.sim.faulty.guest import Guest, Talk
from tallystick.wire.native.messages import (
    WEIGHT_BYTES,
    Announce,
    Blocks,
    GetBlocks,
    GetHeaders,
    GetSurvey,
    Headers,
    Message,
    Point,
    Survey,
    Tip,
)

CLAIM: Final = 2**80
"""More than all chains of a simulation weigh together."""

AHEAD: Final = 1_000
"""Blocks that it claims to be further than anybody."""


class Boaster(Guest):
    """Liar about height: claims a chain, and has nothing to show when it is asked."""

    acts_every_ms = 3_000

    def tip(self) -> Tip:
        return Tip(Point(AHEAD, self.chance.randbytes(32)), CLAIM.to_bytes(WEIGHT_BYTES, "big"))

    def heard(self, talk: Talk, message: Message, now: Now) -> Sequence[Message]:
        match message:
            case GetHeaders():
                return [Headers(message.id, message.locator[-1], (), ())]
            case GetSurvey():
                return [Survey(message.id, message.locator[-1], ())]
            case GetBlocks():
                return [Blocks(message.id, (), tuple(range(len(message.points))))]
        return super().heard(talk, message, now)

    def acts(self, talk: Talk, now: Now) -> Sequence[Message]:
        """Blocks a little further than the other is: what is so near is waited for, for a while."""
        assert talk.best is not None  # noqa: S101 - it was said in the hello
        index = talk.best.point.index + self.chance.choice([1, 2, 3, AHEAD])
        return [Announce((Point(index, self.chance.randbytes(32)),), CLAIM.to_bytes(WEIGHT_BYTES, "big"))]


class Staller(Boaster):
    """Answers nothing after the handshake."""

    def heard(self, talk: Talk, message: Message, now: Now) -> Sequence[Message]:
        return ()
