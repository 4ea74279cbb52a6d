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

from collections.abc import Sequence
from typing import NamedTuple

from tallystick.chain.chain import Chain, Change
from tallystick.chain.contracts import Engine, View
from tallystick.chain.duties import Entropy, Remining
from tallystick.chain.writes import ForgetPeer, RememberPeer
from tallystick.errors import Rule, RuleViolation
from tallystick.model.block import Block
from tallystick.model.limits import Limits
from tallystick.node.effects import Effect, Hold, Log, Reply, Say, SayChain
from tallystick.node.inputs import (
    AddPeer,
    ChainSaid,
    DialFailed,
    Input,
    Now,
    PeerClosed,
    PeerDrained,
    PeerOpened,
    PeerPonged,
    PeerSaid,
    Post,
    RemovePeer,
    Tick,
)
from tallystick.node.peering import Peers
from tallystick.node.ports import Status
from tallystick.wire import classic
from tallystick.wire.session import Session


class Moment(NamedTuple):
    """What a step may look at: the time, some randomness, and the chain."""

    now: Now
    entropy: Entropy
    view: View


class Node:
    """One node. Owner of the chain's tip, of the peers, and of what is due when."""

    def __init__(
        self,
        engine: Engine,
        tip: Block,
        limits: Limits,
        now: Now,
        entropy: Entropy,
        *,
        dial: Sequence[str] = (),
        max_reorg: int | None = None,
    ) -> None:
        """Continue the chain that ends in `tip`, dialling the addresses `dial`."""
        self._limits = limits
        self._chain = Chain(engine, tip, limits, max_reorg)
        self._peers = Peers(limits, dial, now.mono_ms)
        self._remining = Remining(limits)
        self._remining.expect_losses(now.mono_ms, entropy)
        self._latest: bytes | None = None
        """RESPONSE_BLOCKCHAIN of the tip, once somebody asked; a tip may be large and questions are cheap."""

    def step(self, event: Input, now: Now, entropy: Entropy, view: View) -> Sequence[Effect]:  # noqa: C901, PLR0911 - a case an event
        """Take one event. Never raises for anything a peer or a caller can send."""
        match event:
            case Post():
                return self._post(event, now)
            case PeerSaid():
                return self._peer_said(event, Moment(now, entropy, view))
            case Tick():
                return self._tick(now, view)
            case PeerOpened():
                return self._peers.opened(event, now.mono_ms)
            case PeerClosed():
                return self._peers.closed(event, now.mono_ms, entropy)
            case PeerPonged():
                return self._peer_ponged(event)
            case PeerDrained():
                return self._peer_drained(event)
            case ChainSaid():
                return self._chain_said(event, now)
            case DialFailed():
                return self._peers.dial_failed(event.address, event.reason, now.mono_ms, entropy)
            case AddPeer():
                return self._add_peer(event, now)
            case RemovePeer():
                return self._remove_peer(event)

    # --- what others read ----------------------------------------------------------------------

    def wake_at_ms(self) -> int | None:
        """When to send the next `Tick`, in monotonic milliseconds; None: not before another event."""
        times = [time for time in (self._peers.next_ms(), self._remining.due_at_ms) if time is not None]
        return min(times, default=None)

    def status(self, now: Now, view: View) -> Status:
        """What the node says of itself."""
        return Status(
            tip=self._chain.tip,
            peers=self._peers.status(now.mono_ms),
            dropped=list(self._peers.dropped),
            lost_duties=bool(view.lost(1)),
        )

    def connected(self) -> Sequence[str]:
        """`host:port` of every open connection, oldest first."""
        return self._peers.connected()

    def welcome(self, ip: str, now: Now) -> bool:
        """May this numeric address dial us?"""
        return self._peers.welcome(ip, now.mono_ms)

    # --- posts ---------------------------------------------------------------------------------

    def _post(self, event: Post, now: Now) -> list[Effect]:
        try:
            block = self._chain.seal(event.data, now.wall_ms)
            classic.check_post_fits(block, self._limits.classic_post_bytes)
        except RuleViolation as refused:
            return [Reply(event.ticket, refused)]
        change = self._chain.take_post(block)
        return [*change.writes, Reply(event.ticket, block), *self._announce(change, None)]

    def _mine_again(self, now: Now, view: View) -> list[Effect]:
        """Carry lost duties again, a page at a time, as long as there are any."""
        duties = view.lost(self._limits.view_page)
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
            *change.writes,
            *self._announce(change, None),
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

    def _peer_ponged(self, event: PeerPonged) -> list[Effect]:
        session = self._peers.session(event.peer)
        if session is not None:
            session.ponged()
        return []

    def _peer_drained(self, event: PeerDrained) -> list[Effect]:
        """Some gossip was dropped because the peer read too slowly; now that it has room, it hears the latest."""
        if self._peers.session(event.peer) is None:
            return []
        return [Say([event.peer], self._latest_message(), gossip=True)]

    def _chain_said(self, event: ChainSaid, now: Now) -> list[Effect]:
        session = self._peers.session(event.peer)
        if session is None:
            return []
        session.chain_said(event.size_bytes, now.mono_ms)
        return [SayChain(event.peer)] if session.chain_to_say(now.mono_ms) else []

    def _tick(self, now: Now, view: View) -> list[Effect]:
        due = self.wake_at_ms()
        if due is not None and now.mono_ms - due > self._limits.stall_ms:
            self._peers.excuse(now.mono_ms - due)
        effects = list(self._peers.tick(now.mono_ms))
        if self._remining.due_at_ms is not None and self._remining.due_at_ms <= now.mono_ms:
            effects += self._mine_again(now, view)
        return effects

    # --- messages of the classic dialect -------------------------------------------------------

    def _peer_said(self, event: PeerSaid, moment: Moment) -> list[Effect]:
        session = self._peers.session(event.peer)
        if session is None:
            return []
        now_ms, effort = moment.now.mono_ms, self._chain.effort
        try:
            effects = self._answer(event.peer, session, classic.decode(event.text), moment)
        except RuleViolation as broken:
            effects = self._peers.react(event.peer, broken, now_ms)
        effort = self._chain.effort - effort
        hold_ms = session.spend(len(event.text) + effort * self._limits.effort_bytes, now_ms)
        return [*effects, Hold(event.peer, hold_ms)] if hold_ms and not session.closing else effects

    def _answer(self, peer: int, session: Session, message: classic.Message, moment: Moment) -> list[Effect]:
        """What one of the three messages leads to. Raises RuleViolation."""
        match message:
            case classic.QueryLatest():
                latest = self._latest_message()
                session.spend(len(latest), moment.now.mono_ms)
                return [Say([peer], latest)]
            case classic.QueryAll():
                session.owe_chain()
                return [SayChain(peer)] if session.chain_to_say(moment.now.mono_ms) else []
            case classic.Response():
                return self._peer_responded(peer, session, message, moment)

    def _peer_responded(self, peer: int, session: Session, message: classic.Response, moment: Moment) -> list[Effect]:
        """RESPONSE_BLOCKCHAIN, as in the book: append, ask for the whole chain, or switch to it."""
        if not message.blocks:
            raise RuleViolation(Rule.MESSAGE_IS_WELL_FORMED, "a response without a block")
        classic.check_can_be_passed_on(message.blocks, self._limits.message_bytes)
        blocks = sorted(message.blocks, key=lambda block: block.index)
        latest = blocks[-1]
        session.claims(latest.index, latest.hash)
        if len(blocks) > 1 and not self._chain.is_ahead(latest):
            session.got_chain()
            return []
        try:
            change = self._chain.accept(blocks, moment.view)
        except RuleViolation as broken:
            unlinked = broken.rule is Rule.PARENT_IS_KNOWN and self._chain.is_ahead(latest)
            if unlinked and session.may_ask_all(moment.now.mono_ms):
                return [Say([peer], classic.QUERY_ALL)]
            raise
        if len(blocks) > 1:
            session.got_chain()
        if change.reorg is not None:
            self._remining.expect_losses(moment.now.mono_ms, moment.entropy)
        return [*change.writes, *self._announce(change, peer), *_logs(change, session)]

    # --- gossip --------------------------------------------------------------------------------

    def _announce(self, change: Change, source: int | None) -> list[Effect]:
        """Tell the other peers: each block that extended the tip, in order; after a reorg the latest only.

        So many blocks that their gossip would not fit a peer's outbox anyway are announced by the last.
        """
        if change.reorg is None and not change.appended:
            return []
        self._latest = None
        peers = self._peers.others(source)
        if not peers:
            return []
        size = sum(len(block.data) + classic.LONGEST_FRAME for block in change.appended)
        if change.reorg is not None or size > self._limits.outbox_pause_bytes:
            return [Say(peers, self._latest_message(), gossip=True)]
        return [Say(peers, classic.response([block]), gossip=True) for block in change.appended]

    def _latest_message(self) -> bytes:
        if self._latest is None:
            self._latest = classic.response([self._chain.tip_block])
        return self._latest


def _logs(change: Change, session: Session) -> list[Effect]:
    """What the operator should know of blocks that a peer sent."""
    if change.refused is not None:
        return [Log("error", "a longer branch is not followed", {"peer": session.remote, "why": change.refused.detail})]
    if change.reorg is None:
        return []
    reorg = change.reorg
    fields = {
        "peer": session.remote,
        "fork": reorg.fork.index,
        "taken_off": len(reorg.detach),
        "put_on": len(reorg.attach),
        "tip": reorg.new_tip.hash,
    }
    return [Log("warning", "switched to a longer branch", fields)]
