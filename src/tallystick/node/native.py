"""Talking with native peers: what their messages lead to.

The handshake is `wire.native.handshake`'s, the numbering of requests and the right to push the session's; which
blocks to fetch from whom decides `fetching`. Here they meet the chain.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from tallystick.chain.chain import Chain
from tallystick.chain.contracts import Engine
from tallystick.errors import Rule, RuleViolation
from tallystick.model.block import Header, UncheckedBlock
from tallystick.model.limits import Limits
from tallystick.node import serving
from tallystick.node.consequences import Consequences, has_switched
from tallystick.node.effects import Admit, Effect, Hold, Log, Say
from tallystick.node.fetching import Fetching
from tallystick.node.gossip import Gossip
from tallystick.node.inputs import Moment
from tallystick.node.peering import Peers
from tallystick.node.progress import Progress
from tallystick.wire import classic
from tallystick.wire.native import codec
from tallystick.wire.native.messages import (
    NONCE_BYTES,
    Addrs,
    Announce,
    Blocks,
    GetAddrs,
    GetBlocks,
    GetHeaders,
    Headers,
    Message,
    Ping,
    Point,
    Pong,
    Push,
    Reply,
    Request,
    WholeBlock,
)
from tallystick.wire.native.session import NativeSession
from tallystick.wire.native.sync import Batch, Blame
from tallystick.wire.outbound import Chain as Course


@dataclass(frozen=True, slots=True)
class Wanted:
    """Announced blocks that were asked for."""

    peer: int
    number: int
    asked_ms: int


class NativeTalk:
    """What becomes of messages in the native dialect. Owner of what is being fetched."""

    def __init__(
        self,
        engine: Engine,
        chain: Chain,
        peers: Peers,
        *,
        gossip: Gossip,
        consequences: Consequences,
        limits: Limits,
    ) -> None:
        self._engine = engine
        self._chain = chain
        self._peers = peers
        self._gossip = gossip
        self._consequences = consequences
        self._limits = limits
        self.fetching = Fetching(engine, chain, limits)
        self.progress = Progress(self.fetching, limits)
        self._wanted: Wanted | None = None
        self._now_ms = 0
        """Of the last step."""

        self._patient_until_ms = 0
        """A block that is a little ahead was told of: what is missing is on its way."""

        self._patient_at, self._patient_from_ms = "", 0
        """Our tip then, and since when: whoever tells again and again of blocks that never come gains no more."""

    # --- events --------------------------------------------------------------------------------

    def said(self, peer: int, session: NativeSession, frame: bytes, moment: Moment) -> list[Effect]:
        """Take a frame."""
        self._now_ms = moment.now.mono_ms
        session.arrived(len(frame))
        effort = self._chain.effort
        try:
            if session.is_admitted:
                effects = self._take(peer, session, frame, moment)
            else:
                effects = self._shake_hands(peer, session, frame, moment)
        except RuleViolation as broken:
            effects = self._react(peer, broken, moment)
        effects += self._charge(peer, session, (self._chain.effort - effort) * self._limits.effort_bytes)
        return [*effects, *self._advance(moment, connects=not has_switched(effects))]

    def drained(self, peer: int, session: NativeSession, moment: Moment) -> list[Effect]:
        """Some gossip was dropped because the peer read too slowly; now that it has room, it hears the newest."""
        if not session.is_admitted:
            return []
        return [Say([peer], self._gossip.newest(moment.view), gossip=True)]

    def closed(self, peer: int, moment: Moment) -> list[Effect]:
        """A connection is gone."""
        self._forget(peer)
        return self._advance(moment)

    def tick(self, moment: Moment) -> list[Effect]:
        """Whatever is due: handshakes that take too long, pings, peers that hold us up, runs to connect."""
        now_ms = moment.now.mono_ms
        effects: list[Effect] = []
        for peer, session in self._peers.native(strangers=True):
            if session.handshake_is_late(now_ms):
                late = RuleViolation(
                    Rule.HANDSHAKE_IN_TIME, f"no handshake within {self._limits.handshake_ms // 1000} s"
                )
                effects += self._react(peer, late, moment)
            elif session.is_admitted and session.ping_is_due(now_ms):
                nonce = moment.entropy.randbytes(NONCE_BYTES)
                session.pinged(nonce, now_ms)
                effects.append(Say([peer], codec.encode(Ping(nonce))))
            if session.is_admitted and self._peers.circle.chose(session.dialled):
                effects += self._weigh(peer, session, moment)
        sync = self.fetching.sync
        due = sync.next_ms()
        if due is not None and due <= now_ms:
            blame = sync.overdue(now_ms, self._received)
            if blame is not None:
                effects += self._react(blame.peer, blame.broken, moment)
        if self._wanted is not None and now_ms - self._wanted.asked_ms >= self._limits.stall_first_ms:
            self._give_up_wanted()
        return [*effects, *self._advance(moment)]

    def _weigh(self, peer: int, session: NativeSession, moment: Moment) -> list[Effect]:
        """A peer that we chose, and whose chain has stopped, is asked once and then replaced."""
        now_ms, weight = moment.now.mono_ms, self.fetching.sync.weight_of(peer)
        match self._peers.circle.weigh(peer, weight, self._chain.weight, now_ms):
            case Course.ASK if not any(isinstance(each.request, GetHeaders) for each in session.under_way()):
                return [_ask(peer, session, self.fetching.probe(moment.view))[1]]
            case Course.REPLACE:
                detail = f"its chain has stopped at block {session.tip[0] if session.tip else 0}"
                return self._react(peer, RuleViolation(Rule.PEER_KEEPS_UP, detail), moment)
        return []

    def next_ms(self) -> int | None:
        """When `tick` next has something to do beside what sessions wait for."""
        if self.fetching.sync.has_more:
            return self._now_ms
        times = [self.fetching.sync.next_ms()]
        if self._is_patient(self._now_ms):
            times.append(self._patient_until_ms)
        if self._wanted is not None:
            times.append(self._wanted.asked_ms + self._limits.stall_first_ms)
        return min((time for time in times if time is not None), default=None)

    # --- reactions -----------------------------------------------------------------------------

    def _react(self, peer: int, broken: RuleViolation, moment: Moment) -> list[Effect]:
        """What a peer that broke a rule has coming; nothing more when we have hung up on it already."""
        effects = [] if self._peers.session(peer) is None else self._peers.react(peer, broken, moment.now.mono_ms)
        if self._peers.session(peer) is None:
            self._forget(peer)
        return effects

    def _charge(self, peer: int, session: NativeSession, cost_bytes: int) -> list[Effect]:
        """Hold against a peer what it cost us."""
        if not cost_bytes or session.closing:
            return []
        return self._hold(peer, session, session.spend(cost_bytes, self._now_ms))

    def _hold(self, peer: int, session: NativeSession, hold_ms: int) -> list[Effect]:
        """Leave a peer unread for so long, if at all."""
        if not hold_ms:
            return []
        session.left_unread(self._now_ms + hold_ms)
        return [Hold(peer, hold_ms)]

    def _forget(self, peer: int) -> None:
        self.fetching.sync.gone(peer)
        if self._wanted is not None and self._wanted.peer == peer:
            self._wanted = None

    # --- getting acquainted --------------------------------------------------------------------

    def _shake_hands(self, peer: int, session: NativeSession, frame: bytes, moment: Moment) -> list[Effect]:
        answers = session.handshake.receive(codec.decode(frame), frame)
        effects: list[Effect] = [Say([peer], answer) for answer in answers]
        if session.handshake.is_over:
            effects += self._admit(peer, session, moment)
        return effects

    def _admit(self, peer: int, session: NativeSession, moment: Moment) -> list[Effect]:
        """The handshake is over: take up what the hello said, and ask whom it knows."""
        stranger = session.handshake.stranger
        assert stranger is not None  # noqa: S101 - it is over
        session.admit(moment.now.mono_ms)
        effects: list[Effect] = [Admit(peer), *self._peers.admitted(peer, session, moment)]
        if session.closing:
            return effects  # another connection between us stays
        tip = stranger.hello.tip
        session.claims(tip.point.index, tip.point.hash.hex())
        session.learns(tip.point.hash)
        weight = int.from_bytes(tip.weight, "big")
        self.fetching.sync.claims(peer, tip.point.index, weight, stranger.hello.requests)
        if session.handshake.said_tip.hash.hex() != self._chain.tip.hash:
            effects.append(Say([peer], self._gossip.newest(moment.view), gossip=True))  # it is out of date already
        if session.dialled is not None:
            self._peers.circle.asks_addresses(peer, moment.now.mono_ms)
            effects.append(_ask(peer, session, GetAddrs(1))[1])
        return effects

    # --- messages ------------------------------------------------------------------------------

    def _take(self, peer: int, session: NativeSession, frame: bytes, moment: Moment) -> list[Effect]:
        """What a message leads to. Raises RuleViolation.

        What nobody asked for is charged by its bytes, and what brings nothing also for our looking at it: tiny
        messages would else be free. What makes our chain longer is not: we would have asked for it.
        """
        unfinished = session.unfinished_bytes
        message = session.receive(frame, moment.now.mono_ms)
        look_bytes = self._limits.effort_bytes
        match message:
            case None:
                unasked = 0 if session.unfinished_bytes > unfinished else len(frame)
                self._bound_unfinished(peer, session)
                return self._charge(peer, session, look_bytes + unasked)
            case Headers() | Blocks() | Addrs():
                return self._replied(peer, session, message, moment)
            case GetHeaders() | GetBlocks() | GetAddrs():
                return self._asked(peer, session, message, moment)
            case _:
                tip = self._chain.tip
                is_news = isinstance(message, Announce) and not session.knows(message.points[-1].hash)
                effects = self._told(peer, session, message, moment)
                if self._chain.tip is not tip:
                    return effects
                return [*effects, *self._charge(peer, session, len(frame) + (0 if is_news else look_bytes))]

    def _told(self, peer: int, session: NativeSession, message: Message, moment: Moment) -> list[Effect]:
        """What came without being asked for."""
        match message:
            case Push():
                return self._pushed(peer, session, message.block, moment)
            case Announce():
                return self._announced(peer, session, message.points, moment)
            case Ping():
                return [Say([peer], codec.encode(Pong(message.nonce)))]
            case Pong():
                session.pong(message.nonce, moment.now.mono_ms)
                return []
        raise RuleViolation(Rule.HELLO_COMES_FIRST, f"{type(message).__name__.lower()} after the handshake")

    # --- questions of the peer -----------------------------------------------------------------

    def _asked(self, peer: int, session: NativeSession, request: Request, moment: Moment) -> list[Effect]:
        match request:
            case GetHeaders():
                return self._serve_headers(peer, session, request, moment)
            case GetBlocks():
                return self._serve_blocks(peer, session, request, moment)
            case GetAddrs():
                return self._reply(peer, session, Addrs(request.id, self._peers.circle.to_tell(session.ip, moment)))

    def _serve_headers(self, peer: int, session: NativeSession, request: GetHeaders, moment: Moment) -> list[Effect]:
        reply = serving.headers(request, self._chain, moment.view, self._limits)
        end = reply.parent.index + len(reply.blocks)
        if reply.blocks:
            session.learns(reply.blocks[-1].hash)
        found = request.locator.index(reply.parent) + 1 if reply.parent in request.locator else len(request.locator)
        return self._serve(peer, session, reply, newest=end, looked_up=found + len(reply.plan), moment=moment)

    def _serve_blocks(self, peer: int, session: NativeSession, request: GetBlocks, moment: Moment) -> list[Effect]:
        session.may_push = True
        reply = serving.blocks(request, self._chain, moment.view, self._limits)
        for block in reply.blocks:
            session.learns(block.hash)
        oldest = min((block.index for block in reply.blocks), default=self._chain.tip.index)
        looked_up = len(reply.blocks) + len(reply.missing)
        return self._serve(peer, session, reply, newest=oldest, looked_up=looked_up, moment=moment)

    def _serve(
        self, peer: int, session: NativeSession, reply: Reply, *, newest: int, looked_up: int, moment: Moment
    ) -> list[Effect]:
        """Answer with blocks up to `newest`. Old blocks are charged by their bytes, and each place looked at."""
        effects = [
            *self._reply(peer, session, reply),
            *self._charge(peer, session, looked_up * self._limits.effort_bytes),
        ]
        if newest >= self._chain.tip.index - self._limits.recent_headers:
            return effects
        size = sum(len(effect.message) for effect in effects if isinstance(effect, Say))
        hold_ms = session.allowance.history.take(size, moment.now.mono_ms)
        return [*effects, *self._hold(peer, session, hold_ms)]

    @staticmethod
    def _reply(peer: int, session: NativeSession, reply: Reply) -> list[Effect]:
        return [Say([peer], frame) for frame in codec.in_parts(reply, session.part_bytes)]

    # --- answers of the peer -------------------------------------------------------------------

    def _replied(self, peer: int, session: NativeSession, reply: Reply, moment: Moment) -> list[Effect]:
        request = session.answered(reply)
        match request, reply:
            case GetHeaders(), Headers():
                return self._got_headers(peer, session, request, reply, moment)
            case GetBlocks(), Blocks():
                return self._got_blocks(peer, session, request, reply, moment)
            case GetAddrs(), Addrs():
                self._peers.circle.told(peer, session.ip, reply.addresses, moment)
        return []  # given up before

    def _got_headers(
        self, peer: int, session: NativeSession, request: GetHeaders, reply: Headers, moment: Moment
    ) -> list[Effect]:
        for body in reply.blocks[-self._limits.announced_points :]:
            session.learns(body.hash)
        batch = self.fetching.sync.batch_of(peer, request.id)
        if batch is None:  # asked to see how far it is, or for what is not fetched any more
            if reply.blocks:
                last = Point(reply.parent.index + len(reply.blocks), reply.blocks[-1].hash)
                self._note_tip(peer, session, last)
            return []
        outcome = self.fetching.take(batch, request, reply, moment.now.mono_ms, moment.view)
        match outcome:
            case Blame():
                return self._react(outcome.peer, outcome.broken, moment)
            case Log():
                return [outcome]
        return []

    def _got_blocks(
        self, peer: int, session: NativeSession, request: GetBlocks, reply: Blocks, moment: Moment
    ) -> list[Effect]:
        if self._wanted is not None and (self._wanted.peer, self._wanted.number) == (peer, request.id):
            self._wanted = None
        _check_blocks_fit(request, reply)
        effects: list[Effect] = []
        for block in reply.blocks:
            effects += self._take_block(peer, session, block, moment)
            if has_switched(effects):
                break  # the view does not show it; what is left is fetched if it is missed
        return effects

    def _bound_unfinished(self, peer: int, session: NativeSession) -> None:
        """Replies in parts may grow large in many conversations at once: then this one has to wait for its turn."""
        total = sum(each.unfinished_bytes for _, each in self._peers.native())
        if total <= self._limits.window_bytes:
            return
        for asked in session.under_way():
            if asked.pieces:
                session.give_up(asked.request.id)
                batch = self.fetching.sync.batch_of(peer, asked.request.id)
                if batch is not None:
                    self.fetching.sync.failed(batch)

    # --- new blocks ----------------------------------------------------------------------------

    def _pushed(self, peer: int, session: NativeSession, block: WholeBlock, moment: Moment) -> list[Effect]:
        self._note_tip(peer, session, Point(block.index, block.hash))
        session.learns(block.previous_hash)
        if block.index < self._chain.tip.index:
            return []
        return self._take_block(peer, session, block, moment)

    def _take_block(self, peer: int, session: NativeSession, block: WholeBlock, moment: Moment) -> list[Effect]:
        """A single block. What links to nothing we have, or leaves our chain far back, is fetched with what is before
        it: so a few bytes never move many blocks."""
        unchecked = UncheckedBlock(
            block.data, block.hash.hex(), block.index, block.previous_hash.hex(), block.timestamp
        )
        classic.check_can_be_passed_on([unchecked], self._limits.message_bytes)
        try:
            change = self._chain.accept([unchecked], moment.view, deep=False)
        except RuleViolation as broken:
            if broken.rule is Rule.PARENT_IS_KNOWN:
                return []
            raise
        return self._consequences.of(change, peer, session.remote, moment)

    def _announced(self, peer: int, session: NativeSession, points: tuple[Point, ...], moment: Moment) -> list[Effect]:
        """Ask for what continues our chain; `_advance` sees to what does not."""
        if any(after.index != before.index + 1 for before, after in pairwise(points)):
            raise RuleViolation(Rule.MESSAGE_IS_DECODABLE, "announced blocks that do not follow each other")
        for point in points:
            session.learns(point.hash)
        self._note_tip(peer, session, points[-1])
        missing = tuple(p for p in points if not self._chain.keeps(p.index, p.hash.hex(), moment.view))
        is_next = bool(missing) and missing[0].index == self._chain.tip.index + 1
        if not is_next or self._wanted is not None or self.fetching.sync.is_active:
            return []
        number, say = _ask(peer, session, GetBlocks(1, missing))
        session.may_push = False
        self._wanted = Wanted(peer, number, moment.now.mono_ms)
        return [say]

    def _note_tip(self, peer: int, session: NativeSession, tip: Point) -> None:
        session.learns(tip.hash)
        session.claims(tip.index, tip.hash.hex())
        weight = self._engine.weight(Header(tip.index, tip.hash.hex(), "", 0))
        self.fetching.sync.claims(peer, tip.index, weight)
        ours = self._chain.tip
        if tip.index > ours.index + 1:
            if self._patient_at != ours.hash:
                self._patient_at, self._patient_from_ms = ours.hash, self._now_ms
            patience_ms = self._limits.relay_patience_ms
            most_ms = self._patient_from_ms + patience_ms * self._limits.announced_points
            self._patient_until_ms = min(self._now_ms + patience_ms, most_ms)

    def _give_up_wanted(self) -> None:
        wanted = self._wanted
        if wanted is None:
            return
        self._wanted = None
        session = self._peers.session(wanted.peer)
        if isinstance(session, NativeSession):
            session.give_up(wanted.number)

    # --- fetching ------------------------------------------------------------------------------

    def _advance(self, moment: Moment, *, connects: bool = True) -> list[Effect]:
        """Connect what is here, one run a step, and ask for what comes next.

        Nothing `connects` in a step that has switched branches: the view does not show that yet, and a run on the
        branch that left would seem to link to ours.
        """
        now_ms, sync = moment.now.mono_ms, self.fetching.sync
        self._now_ms = now_ms
        effects: list[Effect] = []
        if connects and sync.is_active:
            change, before = self.fetching.connect(now_ms, moment.view)
            effects += [*before, *self._consequences.of(change, None, self._lead_name(), moment)]
            blame = self.fetching.settle(now_ms)
            if blame is not None:
                effects += self._react(blame.peer, blame.broken, moment)
        if self._wanted is None and not self._is_patient(now_ms):
            for peer, batch, request in self.fetching.requests(now_ms, self._received, moment.view):
                effects += self._send(peer, batch, request)
        return [*effects, *self.fetching.clear(), *self.progress.report(now_ms)]

    def _is_patient(self, now_ms: int) -> bool:
        """Are the blocks that we miss few, and likely to come by themselves?"""
        gap = self.fetching.sync.furthest - self._chain.tip.index
        waits = now_ms < self._patient_until_ms and not self.fetching.sync.is_active
        return waits and 0 < gap <= self._limits.announced_points

    def _send(self, peer: int, batch: Batch, request: GetHeaders) -> list[Effect]:
        session = self._peers.session(peer)
        if not isinstance(session, NativeSession):
            self._forget(peer)
            return []
        batch.number, say = _ask(peer, session, request)
        return [say]

    def _received(self, peer: int) -> int:
        session = self._peers.session(peer)
        return session.received_bytes if isinstance(session, NativeSession) else 0

    def _lead_name(self) -> str:
        session = None if self.fetching.sync.lead is None else self._peers.session(self.fetching.sync.lead)
        return "several" if session is None else session.remote


def _ask(peer: int, session: NativeSession, request: Request) -> tuple[int, Say]:
    """Ask; the number of the request, whatever it says of it itself, and what to send."""
    numbered = session.asks(request)
    return numbered.id, Say([peer], codec.encode(numbered))


def _check_blocks_fit(request: GetBlocks, reply: Blocks) -> None:
    """Are these the blocks asked for, in their order, up to where the answer ends?"""
    missing = set(reply.missing)
    expected = [point for position, point in enumerate(request.points) if position not in missing]
    answered = [Point(block.index, block.hash) for block in reply.blocks]
    if (
        len(missing) != len(reply.missing)
        or any(position >= len(request.points) for position in missing)
        or answered != expected[: len(answered)]
        or not (answered or missing)
    ):
        raise RuleViolation(Rule.REPLY_FITS_REQUEST, "blocks that were not asked for, or not in that order")
