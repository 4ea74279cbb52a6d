"""What goes over the wire, by kind of message, and how often a block's body crosses a connection."""

from __future__ import annotations

from collections import Counter
from typing import Final, get_args

from tallystick.chain.contracts import Engine
from tallystick.sim.end import End
from tallystick.wire.native import codec
from tallystick.wire.native.messages import Blocks, Headers, Message, Push

KINDS: Final = {kind.__struct_config__.tag: kind.__name__ for kind in get_args(Message)}
"""Names of messages by their tag, which is the second byte of a frame."""

CLASSIC: Final = "classic"
"""What a message of the book's dialect counts as."""

_SHORT_ARRAY: Final = range(0x91, 0xA0)
_WITH_BODIES: Final = frozenset({"Push", "Blocks", "Headers"})

WATCHED_NODES: Final = 100
"""On the connections of the first so many nodes each body that crosses is looked at."""


def kind_of(frame: bytes) -> str:
    """The kind of a message, by its first bytes."""
    return KINDS.get(frame[1], CLASSIC) if len(frame) > 1 and frame[0] in _SHORT_ARRAY else CLASSIC


class Traffic:
    """A tap on all connections (`Links.taps`). Counts nothing before `is_open`."""

    def __init__(self, engine: Engine, nodes: int) -> None:
        self._engine = engine
        self.is_open = False
        self.messages: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()
        self.sent = [0] * nodes
        self.received = [0] * nodes
        """Bytes that each node sent, and that were sent to it."""

        self.bodies = 0
        """Bodies of blocks that were sent, over all connections."""

        self.crossings: Counter[tuple[int, int, str]] = Counter()
        """Bodies that crossed a watched connection: by the lower of its machines, what that calls the other, and the
        block."""

    def __call__(self, end: End, frame: bytes) -> None:
        """This end sends a message."""
        if not self.is_open:
            return
        kind = kind_of(frame)
        self.messages[kind] += 1
        self.bytes[kind] += len(frame)
        self.sent[end.machine.number] += len(frame)
        self.received[end.other.machine.number] += len(frame)
        if kind in _WITH_BODIES:
            self._count_bodies(end, frame)

    def _count_bodies(self, end: End, frame: bytes) -> None:
        low = end if end.machine.number < end.other.machine.number else end.other
        is_watched = low.machine.number < WATCHED_NODES
        message = None if frame[1] == _PUSH and not is_watched else codec.decode(frame)
        match message:
            case Blocks() | Headers():
                self.bodies += len(message.blocks)
            case _:
                self.bodies += 1
        if is_watched:
            for hash in self._hashes(message):
                self.crossings[low.machine.number, low.peer, hash] += 1

    def _hashes(self, message: Message | None) -> list[str]:
        match message:
            case Push():
                return [self._engine.read(message.block).hash]
            case Blocks():
                return [self._engine.read(block).hash for block in message.blocks]
            case Headers():
                parent = message.parent
                return [block.hash for block in self._engine.check_run(parent.index, parent.hash.hex(), message.blocks)]
        return []


_PUSH: Final = Push.__struct_config__.tag
