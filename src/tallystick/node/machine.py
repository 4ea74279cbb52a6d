"""The node as one state machine.

    effects = node.step(event, now, entropy, view)

An event is something that happened: somebody posts, a peer speaks, a deadline passes. An effect is
something to be done: write, reply, send, dial. Nothing here reads a clock, a socket or a disk, so the
same code runs in a real node, in a test that replays an afternoon in a millisecond, and in a simulator
with thousands of copies.

The caller applies the writes of a step at once, in order, to the batch that is running, so that the
next step's view shows them; commits the batch; and only then performs the other effects. A node whose
store failed is not stepped again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from tallystick.chain.chain import Chain
from tallystick.chain.contracts import Engine, View
from tallystick.chain.duties import Entropy, Remining
from tallystick.chain.writes import AddRecords, ForgetPeer, RememberPeer, Switch
from tallystick.errors import RuleViolation
from tallystick.model.block import Block
from tallystick.model.limits import Limits
from tallystick.model.record import Record
from tallystick.model.sealed import AnyBlock
from tallystick.node.classic import ClassicTalk
from tallystick.node.consequences import Consequences, has_switched
from tallystick.node.effects import Effect, Log, Reply
from tallystick.node.gossip import Gossip
from tallystick.node.inputs import (
    AddPeer,
    Ban,
    ChainSaid,
    DialFailed,
    EraseRecord,
    Input,
    Mined,
    Moment,
    Now,
    PeerClosed,
    PeerDrained,
    PeerOpened,
    PeerPonged,
    PeerProgressed,
    PeerSaid,
    Post,
    PostAndWait,
    PostRecords,
    RemovePeer,
    StopWaiting,
    Tick,
    Unban,
)
from tallystick.node.native import NativeTalk
from tallystick.node.peering import Peers
from tallystick.node.pool import Pool
from tallystick.node.ports import Banned, PoolStatus, Status
from tallystick.node.posting import Posting
from tallystick.node.profile import Profile
from tallystick.node.relay import Relay
from tallystick.node.sealing import Sealing
from tallystick.wire import classic
from tallystick.wire.address_book import AddressBook
from tallystick.wire.classic_session import ClassicSession
from tallystick.wire.dialect import Dialect
from tallystick.wire.native.session import NativeSession

OURSELVES: Final = "this node"
"""Who brought about what no peer did."""


class Node:
    """One node. Owner of the chain's tip, of the peers, and of what is due when."""

    def __init__(
        self,
        engine: Engine,
        tip: AnyBlock,
        limits: Limits,
        now: Now,
        entropy: Entropy,
        *,
        profile: Profile,
        remembered: Iterable[str] = (),
        bans: Iterable[str] = (),
        book: AddressBook | None = None,
    ) -> None:
        """Continue the chain that ends in `tip`, dialling also the `remembered` addresses, never the `bans`."""
        self._limits = limits
        self._profile = profile
        self.takes_records: Final = engine.takes_records
        """Do blocks hold records, gathered in a pool?"""

        self._chain = Chain(engine, tip, limits, profile.max_reorg)
        self._peers = Peers(limits, engine.network, profile, now.mono_ms, remembered=remembered, bans=bans, book=book)
        self._remining = Remining(limits)
        self._remining.expect_losses(now.mono_ms, entropy)
        gossip = Gossip(engine, self._chain, self._peers, limits)
        pool = Pool(limits)
        self._posting = Posting(engine, pool, limits)
        self._sealing = Sealing(engine, self._chain, limits, mines=profile.mines, now_ms=now.mono_ms)
        self._relay = Relay(engine, self._peers, pool, limits)
        self._consequences = Consequences(
            engine, gossip, self._remining, posting=self._posting, pool=pool, relay=self._relay
        )
        self._classic = ClassicTalk(self._chain, self._peers, gossip, self._consequences, limits)
        self._native = NativeTalk(
            engine,
            self._chain,
            self._peers,
            gossip=gossip,
            consequences=self._consequences,
            relay=self._relay,
            limits=limits,
        )

    def step(self, event: Input, now: Now, entropy: Entropy, view: View) -> Sequence[Effect]:  # noqa: C901, PLR0911, PLR0912 - a case an event
        """Take one event. Never raises for anything a peer or a caller can send."""
        moment = Moment(now, entropy, view)
        match event:
            case Post():
                return self._post(event, moment)
            case PostRecords():
                return self._took(*self._posting.post(event, moment))
            case PostAndWait():
                return self._took(*self._posting.post_and_wait(event, moment))
            case StopWaiting():
                self._posting.leave(event.ticket)
                return []
            case Mined():
                return self._consequences.of(self._sealing.mined(event), None, OURSELVES, moment)
            case EraseRecord():
                self._sealing.erased()
                return self._posting.erase(event, view)
            case PeerSaid():
                return self._noting_records(self._peer_said(event, moment))
            case PeerProgressed():
                return self._peer_progressed(event)
            case Tick():
                return self._tick(moment)
            case PeerOpened():
                return self._peer_opened(event, moment)
            case PeerClosed():
                return [*self._peers.closed(event, moment), *self._native.closed(event.peer, moment)]
            case PeerPonged():
                return self._peer_ponged(event)
            case PeerDrained():
                return self._peer_drained(event, moment)
            case ChainSaid():
                return self._chain_said(event, now)
            case DialFailed():
                return self._peers.dial_failed(event, moment)
            case AddPeer():
                return self._add_peer(event, now)
            case RemovePeer():
                return self._remove_peer(event)
            case Ban():
                return self._ban(event)
            case Unban():
                return self._unban(event, now)

    # --- what others read ----------------------------------------------------------------------

    def wake_at_ms(self) -> int | None:
        """When to send the next `Tick`, in monotonic milliseconds; None: not before another event."""
        times = (
            self._peers.next_ms(),
            self._remining.due_at_ms,
            self._native.next_ms(),
            self._posting.next_ms(),
            self._sealing.next_ms(),
        )
        return min((time for time in times if time is not None), default=None)

    def status(self, now: Now, view: View) -> Status:
        """What the node says of itself."""
        return Status(
            tip=self._chain.tip,
            peers=self._peers.status(now.mono_ms),
            dropped=list(self._peers.dropped),
            lost_duties=bool(view.lost(1)),
            key=self._profile.identity.public.hex(),
            sync=self._native.progress.now(),
            addresses=len(self._peers.circle),
            pool=self._pool_status(view),
            mining=self._sealing.status(now.wall_ms, view),
        )

    def _pool_status(self, view: View) -> PoolStatus | None:
        if not self.takes_records:
            return None
        count, size = view.pool_size()
        return PoolStatus(count, size, self._limits.pool_bytes)

    def addresses_to_save(self, now: Now) -> bytes | None:
        """The book of addresses, before the node stops; None when the last one saved is still right."""
        return next((save.content for save in self._peers.circle.save(now.mono_ms, now.wall_ms, at_once=True)), None)

    def connected(self) -> Sequence[str]:
        """`host:port` of every open connection, oldest first."""
        return self._peers.connected()

    def check_welcome(self, ip: str, dialect: Dialect, now: Now) -> None:
        """May this numeric address dial us, in this dialect? Raises RuleViolation."""
        self._peers.check_welcome(ip, dialect, now.mono_ms)

    def banned(self, now: Now) -> Sequence[Banned]:
        """Who is kept out now."""
        return self._peers.banned(now.mono_ms)

    # --- posts ---------------------------------------------------------------------------------

    def _post(self, event: Post, moment: Moment) -> list[Effect]:
        try:
            block = self._chain.seal(event.data, moment.now.wall_ms)
            assert isinstance(block, Block)  # noqa: S101 - what can be sealed at once is a text
            classic.check_post_fits(block, self._limits.classic_post_bytes)
        except RuleViolation as refused:
            return [Reply(event.ticket, refused)]
        change = self._chain.take_post(block)
        effects = self._consequences.of(change, None, OURSELVES, moment)
        effects.insert(len(change.writes), Reply(event.ticket, block))  # its caller waits longer than peers do
        return effects

    def _took(self, effects: list[Effect], records: Sequence[Record]) -> list[Effect]:
        """Callers posted records: whoever seals blocks and whoever relays should know."""
        if not records:
            return effects
        self._sealing.pool_changed()
        return [*effects, *self._relay.announce(records)]

    def _noting_records(self, effects: list[Effect]) -> list[Effect]:
        """Likewise of what peers sent."""
        if self.takes_records and any(isinstance(effect, AddRecords | Switch) for effect in effects):
            self._sealing.pool_changed()
        return effects

    def _mine_again(self, moment: Moment) -> list[Effect]:
        """Carry lost duties again, a page at a time, as long as there are any.

        Not while a chain comes in: each run of it would take them off again.
        """
        now = moment.now
        if self._native.fetching.sync.is_moving(now.mono_ms):
            self._remining.failed(now.mono_ms)
            return []
        duties = moment.view.lost(self._limits.view_page)
        if not duties:
            self._remining.found_none()
            return []
        try:
            change = self._chain.mine_again(duties, now.wall_ms)
        except RuleViolation as refused:  # the clock; better luck when it is set
            self._remining.failed(now.mono_ms)
            return [Log("error", "posts wait to be mined again", {"why": refused.detail})]
        self._remining.mined(now.mono_ms)
        fields = {"posts": len(duties), "tip": self._chain.tip.index}
        return [
            *self._consequences.of(change, None, OURSELVES, moment),
            Log("warning", "mined again what a reorg took off", fields),
        ]

    # --- peers ---------------------------------------------------------------------------------

    def _add_peer(self, event: AddPeer, now: Now) -> list[Effect]:
        try:
            self._peers.add(event.address, now.mono_ms)
        except RuleViolation as refused:
            return [Reply(event.ticket, refused)]
        return [RememberPeer(event.address), Reply(event.ticket, answer=True)]

    def _remove_peer(self, event: RemovePeer) -> list[Effect]:
        try:
            forgotten, effects = self._peers.remove(event.address)
        except RuleViolation as refused:
            return [Reply(event.ticket, refused)]
        return [*map(ForgetPeer, forgotten), *effects, Reply(event.ticket, answer=True)]

    def _ban(self, event: Ban) -> list[Effect]:
        try:
            effects = self._peers.ban(event.subject)
        except RuleViolation as refused:
            return [Reply(event.ticket, refused)]
        return [*effects, Reply(event.ticket, answer=True)]

    def _unban(self, event: Unban, now: Now) -> list[Effect]:
        try:
            effects = self._peers.unban(event.subject, now.mono_ms)
        except RuleViolation as refused:
            return [Reply(event.ticket, refused)]
        return [*effects, Reply(event.ticket, answer=True)]

    # --- what peers do -------------------------------------------------------------------------

    def _peer_opened(self, event: PeerOpened, moment: Moment) -> list[Effect]:
        tip = self._chain.tip
        return self._peers.opened(event, (tip.index, tip.hash, self._chain.weight), moment)

    def _peer_said(self, event: PeerSaid, moment: Moment) -> list[Effect]:
        match self._peers.session(event.peer):
            case ClassicSession() as session:
                return self._classic.said(event.peer, session, event.message, moment)
            case NativeSession() as session:
                return self._native.said(event.peer, session, event.message, moment)
        return []

    def _peer_progressed(self, event: PeerProgressed) -> list[Effect]:
        session = self._peers.session(event.peer)
        if isinstance(session, NativeSession):
            session.arriving(event.partial_bytes)
        return []

    def _peer_ponged(self, event: PeerPonged) -> list[Effect]:
        session = self._peers.session(event.peer)
        if session is not None:
            session.ponged()
        return []

    def _peer_drained(self, event: PeerDrained, moment: Moment) -> list[Effect]:
        match self._peers.session(event.peer):
            case ClassicSession():
                return self._classic.drained(event.peer)
            case NativeSession() as session:
                return self._native.drained(event.peer, session, moment)
        return []

    def _chain_said(self, event: ChainSaid, now: Now) -> list[Effect]:
        session = self._peers.session(event.peer)
        if not isinstance(session, ClassicSession):
            return []
        return self._classic.chain_said(event.peer, session, event.size_bytes, now.mono_ms)

    def _tick(self, moment: Moment) -> list[Effect]:
        now = moment.now
        due = self.wake_at_ms()
        if due is not None and now.mono_ms - due > self._limits.stall_ms:
            self._peers.excuse(now.mono_ms - due)
        effects = [
            *self._peers.tick(moment),
            *self._posting.tick(moment),
            *self._sealing.tick(moment),
            *self._noting_records(self._native.tick(moment)),
        ]
        is_due = self._remining.due_at_ms is not None and self._remining.due_at_ms <= now.mono_ms
        if is_due and not has_switched(effects):
            effects += self._mine_again(moment)
        return effects
