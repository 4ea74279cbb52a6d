"""Talking with classic peers: what the three messages of the book lead to."""

from __future__ import annotations

from tallystick.chain.chain import Chain
from tallystick.errors import Rule, RuleViolation
from tallystick.model.limits import Limits
from tallystick.node.consequences import Consequences
from tallystick.node.effects import Effect, Hold, Say, SayChain
from tallystick.node.gossip import Gossip
from tallystick.node.inputs import Moment
from tallystick.node.peering import Peers
from tallystick.wire import classic
from tallystick.wire.classic_session import ClassicSession


class ClassicTalk:
    """What becomes of messages in the classic dialect."""

    def __init__(self, chain: Chain, peers: Peers, gossip: Gossip, consequences: Consequences, limits: Limits) -> None:
        self._chain = chain
        self._peers = peers
        self._gossip = gossip
        self._consequences = consequences
        self._limits = limits

    def said(self, peer: int, session: ClassicSession, text: bytes, moment: Moment) -> list[Effect]:
        """Take a message. What it cost beyond its bytes is held against the peer."""
        now_ms, effort = moment.now.mono_ms, self._chain.effort
        try:
            effects = self._answer(peer, session, classic.decode(text), moment)
        except RuleViolation as broken:
            effects = self._peers.react(peer, broken, now_ms)
        effort = self._chain.effort - effort
        hold_ms = session.spend(len(text) + effort * self._limits.effort_bytes, now_ms)
        return [*effects, Hold(peer, hold_ms)] if hold_ms and not session.closing else effects

    def drained(self, peer: int) -> list[Effect]:
        """Some gossip was dropped because the peer read too slowly; now that it has room, it hears the latest."""
        return [Say([peer], self._gossip.latest(), gossip=True)]

    def chain_said(self, peer: int, session: ClassicSession, size_bytes: int, now_ms: int) -> list[Effect]:
        """A whole chain is out; is another one owed?"""
        session.chain_said(size_bytes, now_ms)
        return [SayChain(peer)] if session.chain_to_say(now_ms) else []

    def _answer(self, peer: int, session: ClassicSession, message: classic.Message, moment: Moment) -> list[Effect]:
        """What one of the three messages leads to. Raises RuleViolation."""
        match message:
            case classic.QueryLatest():
                latest = self._gossip.latest()
                session.spend(len(latest), moment.now.mono_ms)
                return [Say([peer], latest)]
            case classic.QueryAll():
                session.owe_chain()
                return [SayChain(peer)] if session.chain_to_say(moment.now.mono_ms) else []
            case classic.Response():
                return self._responded(peer, session, message, moment)

    def _responded(self, peer: int, session: ClassicSession, message: classic.Response, moment: Moment) -> list[Effect]:
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
            change = self._chain.accept(blocks, moment.view, moment.now.wall_ms)
        except RuleViolation as broken:
            unlinked = broken.rule is Rule.PARENT_IS_KNOWN and self._chain.is_ahead(latest)
            if unlinked and session.may_ask_all(moment.now.mono_ms):
                return [Say([peer], classic.QUERY_ALL)]
            raise
        if len(blocks) > 1:
            session.got_chain()
        return self._consequences.of(change, peer, session.remote, moment)
