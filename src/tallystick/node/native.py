"""Talking with native peers: what their messages lead to.

The handshake is `wire.native.handshake`'s, the numbering of requests and the right to push the session's; which
blocks to fetch from whom decides `fetching`. Here they meet the chain.
"""

from __future__ import annotations

from tallystick.chain.chain import Chain
from tallystick.chain.contracts import Engine
from tallystick.errors import Rule, RuleViolation
from tallystick.model.limits import Limits
from tallystick.node import serving
from tallystick.node.arrivals import Arrivals, ask
from tallystick.node.consequences import Consequences, has_switched
from tallystick.node.effects import Admit, Effect, Hold, Log, Say
from tallystick.node.fetching import Fetching
from tallystick.node.gossip import Gossip
from tallystick.node.inputs import Moment
from tallystick.node.peering import Peers
from tallystick.node.progress import Progress
from tallystick.node.relay import Relay
from tallystick.wire.native import codec
from tallystick.wire.native.batch import Batch, Blame
from tallystick.wire.native.messages import (
    NONCE_BYTES,
    WEIGHT_BYTES,
    Addrs,
    Announce,
    Blocks,
    GetAddrs,
    GetBlocks,
    GetHeaders,
    GetRecords,
    GetSurvey,
    Headers,
    Inv,
    Message,
    Ping,
    Point,
    Pong,
    Push,
    Records,
    Reply,
    Request,
    Survey,
)
from tallystick.wire.native.session import NativeSession
from tallystick.wire.outbound import Chain as Course


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
        relay: Relay,
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
        self._relay = relay
        self._arrivals = Arrivals(
            engine,
            chain,
            peers,
            self.fetching.sync,
            consequences=consequences,
            limits=limits,
            received=self._received,
        )
        self._now_ms = 0
        """Of the last step."""

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
        return [*self._relay.ask(moment.now.mono_ms), *self._advance(moment)]

    def tick(self, moment: Moment) -> list[Effect]:
        """Whatever is due: handshakes that take too long, pings, peers that hold us up, runs to connect."""
        now_ms = moment.now.mono_ms
        effects: list[Effect] = []
        for peer, session in self._peers.due(now_ms):
            if not isinstance(session, NativeSession) or session.closing:
                continue
            if session.handshake_is_late(now_ms):
                late = RuleViolation(
                    Rule.HANDSHAKE_IN_TIME, f"no handshake within {self._limits.handshake_ms // 1000} s"
                )
                effects += self._react(peer, late, moment)
            elif session.is_admitted and session.ping_is_due(now_ms):
                nonce = moment.entropy.randbytes(NONCE_BYTES)
                session.pinged(nonce, now_ms)
                effects.append(Say([peer], codec.encode(Ping(nonce))))
        for peer, session in self._peers.chosen():
            effects += self._weigh(peer, session, moment)
        sync = self.fetching.sync
        due = sync.next_ms()
        if due is not None and due <= now_ms:
            blame = sync.overdue(now_ms, self._received)
            if blame is not None:
                effects += self._react(blame.peer, blame.broken, moment)
        self._arrivals.tick(now_ms)
        return [*effects, *self._relay.tick(moment), *self._advance(moment)]

    def _weigh(self, peer: int, session: NativeSession, moment: Moment) -> list[Effect]:
        """A peer that we chose, and whose chain has stopped, is asked once and then replaced."""
        now_ms, weight = moment.now.mono_ms, self.fetching.sync.weight_of(peer)
        is_asked = any(isinstance(each.request, GetHeaders | GetSurvey) for each in session.under_way())
        match self._peers.circle.weigh(peer, weight, self._chain.weight, now_ms):
            case Course.ASK if not is_asked:
                return [ask(peer, session, self.fetching.probe(moment.view))[1]]
            case Course.REPLACE:
                detail = f"its chain has stopped at block {session.tip[0] if session.tip else 0}"
                return self._react(peer, RuleViolation(Rule.PEER_KEEPS_UP, detail), moment)
        return []

    def next_ms(self) -> int | None:
        """When `tick` next has something to do beside what sessions wait for."""
        if self.fetching.sync.has_more:
            return self._now_ms
        times = [self.fetching.sync.next_ms(), self._arrivals.next_ms(self._now_ms), self._relay.next_ms()]
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
        self._arrivals.gone(peer)
        self._relay.gone(peer)

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
        weight = int.from_bytes(tip.weight, "big")
        session.claims(tip.point.index, tip.point.hash.hex(), weight)
        session.learns(tip.point.hash)
        self.fetching.sync.claims(peer, tip.point.index, weight, stranger.hello.requests)
        if session.handshake.said_tip.hash.hex() != self._chain.tip.hash:
            effects.append(Say([peer], self._gossip.newest(moment.view), gossip=True))  # it is out of date already
        self._relay.met(peer, moment.now.mono_ms)
        if session.dialled is not None:
            self._peers.circle.asks_addresses(peer, moment.now.mono_ms)
            effects.append(ask(peer, session, GetAddrs(1))[1])
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
            case Headers() | Blocks() | Survey() | Records() | Addrs():
                return self._replied(peer, session, message, moment)
            case GetHeaders() | GetBlocks() | GetSurvey() | GetRecords() | GetAddrs():
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
                return self._arrivals.pushed(peer, session, message, moment)
            case Announce():
                return self._arrivals.announced(peer, session, message, moment)
            case Inv() if self._engine.takes_records:
                return self._relay.heard(peer, session, message, moment)
            case Inv():
                raise RuleViolation(Rule.MESSAGE_IS_DECODABLE, "Inv has no meaning in this network")
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
            case GetSurvey() if self._engine.surveys:
                reply = serving.survey(request, self._chain, moment.view)
                looked_up = len(reply.headers) + len(request.locator)
                return self._serve(peer, session, reply, newest=reply.parent.index, looked_up=looked_up, moment=moment)
            case GetRecords() if self._engine.takes_records:
                records = self._relay.serve(session, request, moment.view)
                looked_up = len(request.names)
                newest = self._chain.tip.index  # of records, no place in the chain says how old they are
                return self._serve(peer, session, records, newest=newest, looked_up=looked_up, moment=moment)
            case GetAddrs():
                return self._reply(peer, session, Addrs(request.id, self._peers.circle.to_tell(session.ip, moment)))
        raise RuleViolation(Rule.MESSAGE_IS_DECODABLE, f"{type(request).__name__} has no meaning in this network")

    def _serve_headers(self, peer: int, session: NativeSession, request: GetHeaders, moment: Moment) -> list[Effect]:
        reply = serving.headers(request, self._engine, self._chain, moment.view, self._limits)
        end = reply.parent.index + len(reply.blocks)
        if reply.blocks and (last := self._chain.at(end, moment.view)) is not None:
            session.learns(bytes.fromhex(last.hash))
        found = request.locator.index(reply.parent) + 1 if reply.parent in request.locator else len(request.locator)
        return self._serve(peer, session, reply, newest=end, looked_up=found + len(reply.plan), moment=moment)

    def _serve_blocks(self, peer: int, session: NativeSession, request: GetBlocks, moment: Moment) -> list[Effect]:
        session.may_push = True
        reply, found = serving.blocks(request, self._engine, self._chain, moment.view, self._limits)
        for block in found:
            session.learns(bytes.fromhex(block.hash))
        oldest = min((block.index for block in found), default=self._chain.tip.index)
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
                effects, broken = self._arrivals.got_blocks(peer, session, request, reply, moment)
                return effects if broken is None else [*effects, *self._react(peer, broken, moment)]
            case GetSurvey(), Survey():
                return self._got_survey(peer, request, reply, moment)
            case GetRecords(), Records():
                return self._relay.got(peer, session, request, reply, moment)
            case GetAddrs(), Addrs():
                self._peers.circle.told(peer, session.ip, reply.addresses, moment)
        return []  # given up before

    def _got_headers(
        self, peer: int, session: NativeSession, request: GetHeaders, reply: Headers, moment: Moment
    ) -> list[Effect]:
        batch = self.fetching.sync.batch_of(peer, request.id)
        if batch is None:  # asked to see how far it is, or for what is not fetched any more
            self._note_how_far(peer, session, reply, moment)
            return []
        outcome = self.fetching.take(batch, request, reply, moment)
        for block in batch.blocks[-self._limits.announced_points :]:
            session.learns(bytes.fromhex(block.hash))
        return self._came_out(outcome, moment)

    def _got_survey(self, peer: int, request: GetSurvey, reply: Survey, moment: Moment) -> list[Effect]:
        batch = self.fetching.sync.batch_of(peer, request.id)
        return [] if batch is None else self._came_out(self.fetching.survey(batch, request, reply, moment), moment)

    def _came_out(self, outcome: Blame | Log | None, moment: Moment) -> list[Effect]:
        match outcome:
            case Blame():
                return self._react(outcome.peer, outcome.broken, moment)
            case Log():
                return [outcome]
        return []

    def _note_how_far(self, peer: int, session: NativeSession, reply: Headers, moment: Moment) -> None:
        """Whoever has a block on top of our tip is ahead of us; by how much, it will say when it is asked."""
        if reply.blocks and self._chain.has(reply.parent.index, reply.parent.hash.hex(), moment.view):
            last = self._engine.check_run(reply.parent.index, reply.parent.hash.hex(), reply.blocks)[-1]
            is_ahead = last.index > self._chain.tip.index
            weight = self._chain.weight + 1 if is_ahead else 0
            tip = Point(last.index, bytes.fromhex(last.hash))
            self._arrivals.note_tip(peer, session, tip, weight.to_bytes(WEIGHT_BYTES, "big"), moment)

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
            lead = self._lead_name()
            change, before, blame = self.fetching.connect(moment)
            effects += [*before, *self._consequences.of(change, None, lead, moment)]
            blame = blame or self.fetching.settle(now_ms)
            if blame is not None:
                effects += self._react(blame.peer, blame.broken, moment)
        if not self._arrivals.is_waiting(now_ms):
            for peer, batch, request in self.fetching.requests(now_ms, self._received, moment.view):
                effects += self._send(peer, batch, request)
        return [*effects, *self.fetching.clear(), *self.progress.report(now_ms)]

    def _send(self, peer: int, batch: Batch, request: GetHeaders | GetSurvey) -> list[Effect]:
        session = self._peers.session(peer)
        if not isinstance(session, NativeSession):
            self._forget(peer)
            return []
        batch.number, say = ask(peer, session, request)
        return [say]

    def _received(self, peer: int) -> int:
        session = self._peers.session(peer)
        return session.received_bytes if isinstance(session, NativeSession) else 0

    def _lead_name(self) -> str:
        session = None if self.fetching.sync.lead is None else self._peers.session(self.fetching.sync.lead)
        return "several" if session is None else session.remote
