"""A peer that is no node: it knows the way in, and what it says there is its own affair.

It dials whom it is told to, again and again, shakes hands by the real `wire.native.handshake`, and answers pings. What
else there is to be said, faulty peers that derive from it say: they override `tip`, `met`, `heard` and `acts`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tallystick.errors import RuleViolation
from tallystick.model.limits import LIMITS
from tallystick.model.network import Network
from tallystick.node.effects import Admit, Dial, Effect, HangUp, Say
from tallystick.node.inputs import DialFailed, Input, Now, PeerClosed, PeerOpened, PeerSaid, Tick
from tallystick.sim.chance import Chance
from tallystick.sim.identity import draw_identity
from tallystick.sim.resident import Resident
from tallystick.wire.dialect import Dialect
from tallystick.wire.identity import Identity
from tallystick.wire.native import codec
from tallystick.wire.native.handshake import Handshake, Side
from tallystick.wire.native.messages import (
    CHALLENGE_BYTES,
    NONCE_BYTES,
    VERSION,
    WEIGHT_BYTES,
    Announce,
    Hello,
    Message,
    Ping,
    Point,
    Pong,
    Push,
    Tip,
)
from tallystick.wire.reactions import Close


@dataclass(slots=True)
class Talk:
    """One connection."""

    peer: int
    remote: str
    handshake: Handshake
    dialled: str | None
    """The address, if it dialled."""

    best: Tip | None = None
    """The best chain that the other end told of."""

    in_ms: int = 0
    """Since when it is in, on its monotonic clock."""

    @property
    def is_in(self) -> bool:
        """Is the handshake over?"""
        return self.best is not None


@dataclass(slots=True)
class _Line:
    """A place that it wants to be connected with."""

    address: str
    due_ms: int | None
    """When to dial; None while it is dialled, or connected."""

    peer: int | None = None


class Guest(Resident):
    """Comes in, and answers pings."""

    dialects = frozenset({Dialect.NATIVE})
    acts_every_ms: int | None = None
    """How often it does something on its own account, while somebody listens."""

    redial_ms = 7_000
    """Whoever hung up, or did not let it in, is dialled again after so long."""

    def __init__(
        self,
        network: Network,
        chance: Chance,
        *,
        dials: Sequence[str] = (),
        listen_port: int = 0,
        one_key: bool = True,
    ) -> None:
        """`dials` may name an address several times; then it is somebody else each time, unless it has `one_key`."""
        self.network = network
        self.chance = chance
        self.keys: dict[str, None] = {}
        """Those it has used, 64 hex digits each."""

        self.talks: dict[int, Talk] = {}
        self._dials = dials
        self._listen_port = listen_port
        self._identity = self._draw_key() if one_key else None
        self._lines: list[_Line] = []
        self._act_ms = 0

    def start(self, now: Now) -> None:
        self.talks = {}
        self._lines = [_Line(address, now.mono_ms) for address in self._dials]
        self._act_ms = now.mono_ms

    def wake_at_ms(self) -> int | None:
        times = [line.due_ms for line in self._lines if line.due_ms is not None]
        if self.acts_every_ms is not None and any(talk.is_in for talk in self.talks.values()):
            times.append(self._act_ms)
        return min(times, default=None)

    def step(self, event: Input, now: Now) -> Sequence[Effect]:
        match event:
            case PeerOpened():
                return self._opened(event)
            case PeerSaid(peer, frame) if peer in self.talks:
                return self._said(self.talks[peer], frame, now)
            case PeerClosed(peer):
                self.talks.pop(peer, None)
                self._again([line for line in self._lines if line.peer == peer], now)
            case DialFailed(address):
                under_way = [line for line in self._lines if line.address == address and _is_dialled(line)]
                self._again(under_way[:1], now)
            case Tick():
                return [*self._dial(now), *self._act(now)]
        return []

    # --- coming in -----------------------------------------------------------------------------

    def _dial(self, now: Now) -> Iterator[Effect]:
        for line in self._lines:
            if line.due_ms is not None and line.due_ms <= now.mono_ms:
                line.due_ms = None
                yield Dial(line.address)

    def _again(self, lines: Sequence[_Line], now: Now) -> None:
        for line in lines:
            line.peer, line.due_ms = None, now.mono_ms + self.redial_ms

    def _opened(self, event: PeerOpened) -> Sequence[Effect]:
        for line in self._lines:
            if line.address == event.dialled and _is_dialled(line):
                line.peer = event.peer
                break
        if event.dialect is not Dialect.NATIVE:
            return [HangUp(event.peer, Close.GOING_AWAY, "no native dialect")]
        side = Side.ACCEPTOR if event.dialled is None else Side.DIALLER
        identity = self._identity or self._draw_key()
        handshake = Handshake(identity, side, self._hello(identity), lambda _: None)
        self.talks[event.peer] = Talk(event.peer, event.remote, handshake, event.dialled)
        return [Say([event.peer], frame) for frame in handshake.begin()]

    def _draw_key(self) -> Identity:
        identity = draw_identity(self.chance, is_stub=False)
        self.keys[identity.public.hex()] = None
        return identity

    def _hello(self, identity: Identity) -> Hello:
        return Hello(
            versions=(VERSION, VERSION),
            network=bytes.fromhex(self.network.id),
            key=identity.public,
            nonce=self.chance.randbytes(NONCE_BYTES),
            challenge=self.chance.randbytes(CHALLENGE_BYTES),
            role=0,
            listen_port=self._listen_port,
            agent="tallystick/sim",
            tip=self.tip(),
            final=None,
            frame_bytes=LIMITS.frame_bytes,
            requests=LIMITS.requests_in_flight,
        )

    def _said(self, talk: Talk, frame: bytes, now: Now) -> Sequence[Effect]:
        message = codec.decode(frame)
        if message is None:
            return []
        if talk.is_in:
            self._note_tip(talk, message)
            return [Say([talk.peer], codec.encode(each)) for each in self.heard(talk, message, now)]
        try:
            answers = talk.handshake.receive(message, frame)
        except RuleViolation as broken:
            return [HangUp(talk.peer, Close.BAD_HELLO, broken.rule)]
        effects: list[Effect] = [Say([talk.peer], answer) for answer in answers]
        if talk.handshake.is_over:
            assert talk.handshake.stranger is not None  # noqa: S101 - that is what being over means
            talk.best, talk.in_ms = talk.handshake.stranger.hello.tip, now.mono_ms
            effects += [Admit(talk.peer), *(Say([talk.peer], codec.encode(each)) for each in self.met(talk, now))]
        return effects

    @staticmethod
    def _note_tip(talk: Talk, message: Message) -> None:
        match message:
            case Announce(points, weight):
                told = Tip(points[-1], weight)
            case Push(_, weight):
                told = Tip(Point(int.from_bytes(weight, "big"), bytes(32)), weight)
            case _:
                return
        if talk.best is None or told.weight > talk.best.weight:
            talk.best = told

    def _act(self, now: Now) -> Iterator[Effect]:
        if self.acts_every_ms is None or now.mono_ms < self._act_ms:
            return
        self._act_ms = now.mono_ms + self.acts_every_ms
        for talk in list(self.talks.values()):
            if not talk.is_in:
                continue
            for message in self.acts(talk, now):
                yield Say([talk.peer], codec.encode(message))
            if self.leaves(talk, now):
                yield HangUp(talk.peer, Close.GOING_AWAY, "")

    # --- what is its own affair ----------------------------------------------------------------

    def tip(self) -> Tip:
        """What its hello says of its chain: that there is none."""
        return Tip(Point(0, bytes.fromhex(self.network.id)), bytes(WEIGHT_BYTES))

    def met(self, talk: Talk, now: Now) -> Sequence[Message]:
        """It is in."""
        return ()

    def heard(self, talk: Talk, message: Message, now: Now) -> Sequence[Message]:
        """This was said to it; what it says to that."""
        return [Pong(message.nonce)] if isinstance(message, Ping) else ()

    def acts(self, talk: Talk, now: Now) -> Sequence[Message]:
        """What it says unasked, every `acts_every_ms`."""
        return ()

    def leaves(self, talk: Talk, now: Now) -> bool:
        """Has it had enough? Asked after `acts`."""
        return False


def _is_dialled(line: _Line) -> bool:
    return line.due_ms is None and line.peer is None
