"""Header flooder: long worthless branches, and more blocks than anybody asked for.

A block costs next to nothing where nothing seals it, and as little on a branch that leaves at genesis, where difficulty
is low. So a flooder makes as many as it likes. It pushes them one after the other, each on one that the other has, to
be kept beside the chain; it says of each that it ends a heavy branch, and shows a light one when it is asked for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any, Final

from tallystick.consensus import engine_for
from tallystick.model.block import Block, Header, header_of
from tallystick.model.sealed import AnyBlock, SealedBlock, header_bytes_of
from tallystick.node.inputs import Now
from tallystick.sim.faulty.boaster import CLAIM, Boaster
from tallystick.sim.faulty.guest import Guest, Talk
from tallystick.wire.native.messages import (
    WEIGHT_BYTES,
    Blocks,
    GetBlocks,
    GetHeaders,
    GetSurvey,
    Headers,
    Message,
    Point,
    Push,
    Survey,
    Tip,
)

LONGEST: Final = 60
"""Blocks of its branch."""


class Flooder(Boaster):
    """Header flooder."""

    acts_every_ms = 500
    burst = 10
    """Blocks pushed at a time."""

    def __init__(self, *arguments: Any, **others: Any) -> None:  # noqa: ANN401 - as `Guest` has them
        super().__init__(*arguments, **others)
        self.made: dict[str | bytes, None] = {}
        self._engine = engine_for(self.network)
        self._branch: list[AnyBlock] = [self.network.genesis]
        self._pushed = 0

    def tip(self) -> Tip:
        """It comes in with nothing: what it claims, it claims of what it pushes."""
        return Guest.tip(self)

    def heard(self, talk: Talk, message: Message, now: Now) -> Sequence[Message]:
        match message:
            case GetHeaders():
                run, parent = self._run(message, talk, now), self._parent(message)
                return [Headers(message.id, parent, tuple(map(self._engine.body, run)), ())]
            case GetSurvey():
                run, parent = self._run(message, talk, now), self._parent(message)
                headers = [header_bytes_of(block) for block in run if isinstance(block, SealedBlock)]
                return [Survey(message.id, parent, tuple(headers))]
            case GetBlocks():
                return [Blocks(message.id, (), tuple(range(len(message.points))))]
        return super().heard(talk, message, now)

    def acts(self, talk: Talk, now: Now) -> Sequence[Message]:
        """Push its blocks, from the first on again when all were pushed."""
        self._grow(talk, now)
        pushes = []
        for _ in range(self.burst if len(self._branch) > 1 else 0):
            self._pushed = self._pushed % (len(self._branch) - 1) + 1
            block = self._branch[self._pushed]
            pushes.append(Push(self._engine.whole(block), CLAIM.to_bytes(WEIGHT_BYTES, "big")))
        return pushes

    def _parent(self, request: GetHeaders | GetSurvey) -> Point:
        ours = {_point(block) for block in self._branch}
        return next((point for point in request.locator if point in ours), _point(self._branch[0]))

    def _run(self, request: GetHeaders | GetSurvey, talk: Talk, now: Now) -> Sequence[AnyBlock]:
        self._grow(talk, now)
        first = self._parent(request).index + 1
        return self._branch[first : first + request.most]

    def _grow(self, talk: Talk, now: Now) -> None:
        """Lengthen the branch, as long as it stays lighter than what the other has: it is to be worthless."""
        assert talk.best is not None  # noqa: S101 - it was said in the hello
        theirs = int.from_bytes(talk.best.weight, "big")
        while len(self._branch) <= LONGEST:
            block = self._next(now)
            if self._engine.weight(header_of(block)) >= theirs:
                return
            self._branch.append(block)
            if isinstance(block, Block):
                self.made[block.data] = None

    def _next(self, now: Now) -> AnyBlock:
        parent = header_of(self._branch[-1])
        if self.network.rules is None:
            return self._engine.seal(parent, f"flood {self.chance.getrandbits(64):x}", now.wall_ms)
        draft = self._engine.draft(parent, (), self._past, now.wall_ms)
        sealed = (draft.sealed(nonce) for nonce in count())
        return next(block for block in sealed if block is not None)

    def _past(self, _: Header, most: int) -> Sequence[Header]:
        return [header_of(block) for block in self._branch[-most:]]


def _point(block: AnyBlock) -> Point:
    return Point(block.index, bytes.fromhex(block.hash))
