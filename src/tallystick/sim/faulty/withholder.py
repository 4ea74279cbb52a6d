"""Those who have what is asked for, and keep it: a *withholder* gives nothing, or all but the data; a *trickler* gives
everything, a few bytes a second.

Whoever is told of a block or a record waits for it, and asks nobody else meanwhile. That is what both live on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from tallystick.consensus import engine_for
from tallystick.model.block import header_of
from tallystick.model.record import RawRecord, without_data
from tallystick.model.sealed import SealedBlock
from tallystick.node.effects import Effect, Say
from tallystick.node.inputs import Now
from tallystick.sim.faulty.boaster import CLAIM
from tallystick.sim.faulty.turncoat import Turncoat
from tallystick.wire.native import codec
from tallystick.wire.native.messages import (
    WEIGHT_BYTES,
    Announce,
    Blocks,
    Headers,
    Inv,
    Part,
    Point,
    Push,
    RecordName,
    Records,
    Reply,
    Survey,
)

INVENTED: Final = 10
"""Records that it tells of at a time, and that there are not."""


class Withholder(Turncoat):
    """Announces blocks and records, and never delivers them."""

    acts_every_ms = 2_500

    def says(self, peer: int, frame: bytes, now: Now) -> Sequence[bytes]:
        message = codec.decode(frame)
        match message:
            case Headers() | Blocks() | Survey() | Records() | Part():
                return []
            case Push():
                block = engine_for(self.network).read(message.block)
                point = Point(block.index, bytes.fromhex(block.hash))
                return [codec.encode(Announce((point,), message.weight))]
        return [frame]

    def acts(self, now: Now) -> Sequence[Effect]:
        """Tell of a block on the tip, and of records, that nobody has."""
        tip = header_of(self.chain()[-1])
        point, weight = Point(tip.index + 1, self.chance.randbytes(32)), self.weight() + 1
        told = [codec.encode(Announce((point,), weight.to_bytes(WEIGHT_BYTES, "big")))]
        if self.network.rules is not None:
            leaves = [self.chance.randbytes(32) for _ in range(INVENTED)]
            told.append(codec.encode(Inv(tuple(RecordName(f"no-{leaf[:4].hex()}", leaf) for leaf in leaves))))
        return [Say([peer], frame, gossip=True) for peer in self.admitted for frame in told]


class Bare(Turncoat):
    """Withholder of data: passes on everything but what the records hold."""

    def says(self, peer: int, frame: bytes, now: Now) -> Sequence[bytes]:
        message = codec.decode(frame)
        match message:
            case Push() if isinstance(message.block, bytes):
                return [codec.encode(msgspec.structs.replace(message, block=self._bare(message.block)))]
            case Blocks() | Headers():
                blocks = tuple(self._bare(each) if isinstance(each, bytes) else each for each in message.blocks)
                return [codec.encode(msgspec.structs.replace(message, blocks=blocks))]
            case Records():
                records = tuple(RawRecord(each.entry, None, None) for each in message.records)
                return [codec.encode(msgspec.structs.replace(message, records=records))]
        return [frame]

    def _bare(self, whole: bytes) -> bytes:
        engine = engine_for(self.network)
        block = engine.check_alone(engine.read(whole))
        assert isinstance(block, SealedBlock)  # noqa: S101 - classic ones are no bytes
        bare = engine.whole(msgspec.structs.replace(block, records=tuple(map(without_data, block.records))))
        assert isinstance(bare, bytes)  # noqa: S101 - likewise
        return bare


PIECE_BYTES: Final = 8
"""Of an answer, a second."""

MOST_PIECES: Final = 2_000
"""Of answers that wait to go out: a trickle is no flood."""


class Trickler(Turncoat):
    """Answers at a few bytes a second, and sees to it that it is asked: it says that its chain weighs more."""

    acts_every_ms = 1_000

    def __init__(self, *arguments: Any, **others: Any) -> None:  # noqa: ANN401 - as `Turncoat` has them
        super().__init__(*arguments, **others)
        self._waiting: dict[int, deque[bytes]] = {}

    def start(self, now: Now) -> None:
        super().start(now)
        self._waiting = {}

    def says(self, peer: int, frame: bytes, now: Now) -> Sequence[bytes]:
        message = codec.decode(frame)
        match message:
            case Announce() | Push():
                weight = CLAIM.to_bytes(WEIGHT_BYTES, "big")
                return [codec.encode(msgspec.structs.replace(message, weight=weight))]
            case Headers() | Blocks() | Survey() | Records():
                self._put(peer, message)
                return []
        return [frame]

    def _put(self, peer: int, reply: Reply) -> None:
        waiting = self._waiting.setdefault(peer, deque())
        for piece in codec.in_parts(reply, PIECE_BYTES):
            if len(waiting) < MOST_PIECES:
                waiting.append(piece)

    def acts(self, now: Now) -> Sequence[Effect]:
        """One piece to each of them."""
        self._waiting = {peer: each for peer, each in self._waiting.items() if each and peer in self.admitted}
        return [Say([peer], each.popleft()) for peer, each in self._waiting.items()]
