"""Peers: who is connected, whom we dial, who is not welcome any more.

Owner of every session. It decides when to dial, ping, ask and hang up; what the messages mean for the
chain is `machine`'s business.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from tallystick.chain.duties import Entropy
from tallystick.errors import Rule, RuleViolation, shown
from tallystick.model.limits import Limits
from tallystick.node.effects import Dial, Effect, HangUp, Hold, Log, Ping, Say, SayChain
from tallystick.node.inputs import PeerClosed, PeerOpened
from tallystick.node.ports import PeerStatus
from tallystick.wire import classic
from tallystick.wire.allowance import Allowances
from tallystick.wire.reactions import REACTIONS, Close
from tallystick.wire.redial import Redial, State
from tallystick.wire.session import Session
from tallystick.wire.standing import Standing

DROPPED_KEPT: Final = 20
"""Peers dropped for cause that `GET /status` still shows."""

REASON_CHARACTERS: Final = 200
"""Of the reason why a connection or a dial ended so much is kept: it may quote what the other end sent."""


class Peers:
    """All peers of a node. Times are monotonic milliseconds."""

    def __init__(self, limits: Limits, addresses: Iterable[str], now_ms: int) -> None:
        """Know `addresses`, to be dialled at once."""
        self._limits = limits
        self._sessions: dict[int, Session] = {}
        self._redial = Redial(limits, addresses, now_ms)
        self._standing = Standing(limits)
        self._allowances = Allowances(limits)
        self.dropped: deque[Mapping[str, object]] = deque(maxlen=DROPPED_KEPT)

    def session(self, peer: int) -> Session | None:
        """The conversation with this peer, unless we hung up."""
        session = self._sessions.get(peer)
        return None if session is None or session.closing else session

    def others(self, source: int | None) -> list[int]:
        """Every peer we talk with, except `source`."""
        return [peer for peer, session in self._sessions.items() if peer != source and not session.closing]

    def connected(self) -> list[str]:
        """`host:port` of the other end of each connection, oldest first."""
        return [session.remote for session in self._sessions.values() if not session.closing]

    # --- coming and going ----------------------------------------------------------------------

    def welcome(self, ip: str, now_ms: int) -> bool:
        """May this address dial us?"""
        return self._standing.is_good(ip, now_ms) and self._inbound() < self._limits.classic_inbound_peers

    def _inbound(self) -> int:
        return sum(1 for session in self._sessions.values() if session.dialled is None)

    def opened(self, event: PeerOpened, now_ms: int) -> list[Effect]:
        """A connection is open: start the conversation, or end it when there is no place for it."""
        full = event.dialled is None and self._inbound() >= self._limits.classic_inbound_peers
        allowance = self._allowances.begin(_ip(event.remote), now_ms)
        session = Session(event.remote, event.dialled, self._limits, now_ms, allowance)
        self._sessions[event.peer] = session
        if full:
            limit = self._limits.classic_inbound_peers
            refusal = RuleViolation(Rule.PEERS_WITHIN_LIMIT, f"{limit} peers have dialled this node already")
            return self.react(event.peer, refusal, now_ms)
        if event.dialled is not None and not self._redial.opened(event.dialled, event.peer, now_ms):
            return self._hang_up(event.peer, session, Close.GOING_AWAY, "removed meanwhile, or connected already")
        direction = "inbound" if event.dialled is None else "outbound"
        effects: list[Effect] = [
            Log("info", "peer connected", {"peer": event.remote, "direction": direction}),
            Say([event.peer], classic.QUERY_LATEST),
        ]
        hold_ms = session.spend(0, now_ms)
        return [*effects, Hold(event.peer, hold_ms)] if hold_ms else effects

    def closed(self, event: PeerClosed, now_ms: int, entropy: Entropy) -> list[Effect]:
        """A connection is gone."""
        session = self._sessions.pop(event.peer, None)
        if session is None:
            return []
        session.ended(now_ms)
        self._allowances.end(_ip(session.remote), session.allowance, now_ms)
        reason = event.reason[:REASON_CHARACTERS]
        if event.rule is not None and not session.closing:
            self._blame(session, RuleViolation(event.rule, reason), now_ms)
        if session.dialled is not None:
            self._redial.ended(session.dialled, event.peer, now_ms, entropy, reason)
        return [Log("info", "peer disconnected", {"peer": session.remote, "reason": reason})]

    def dial_failed(self, address: str, reason: str, now_ms: int, entropy: Entropy) -> list[Effect]:
        """A dial came to nothing; it is tried again later."""
        reason = reason[:REASON_CHARACTERS]
        self._redial.failed(address, now_ms, entropy, reason)
        return [Log("info", "peer not reached", {"address": address, "reason": reason})]

    def add(self, address: str, now_ms: int) -> None:
        """Dial this address from now on. Raises RuleViolation(ADDRESS_BOOK_HAS_ROOM)."""
        self._redial.add(address, now_ms)

    def remove(self, name: str) -> tuple[Sequence[str], list[Effect]]:
        """Forget whom the operator calls `name`: the addresses we dialled it by, and what else is to be done.

        Raises RuleViolation(PEER_IS_KNOWN).
        """
        dialled = {entry.address: None for entry in self._redial if name in _names(entry.address)}
        leaving = [
            (peer, session)
            for peer, session in self._sessions.items()
            if not session.closing and (session.remote == name or session.dialled in dialled)
        ]
        if not dialled and not leaving:
            raise RuleViolation(Rule.PEER_IS_KNOWN, f"{shown(name)} is neither connected nor dialled; see GET /peers")
        dialled |= {session.dialled: None for _, session in leaving if session.dialled is not None}
        for address in dialled:
            self._redial.remove(address)
        reason = "removed by the operator"
        return list(dialled), [
            effect for peer, session in leaving for effect in self._hang_up(peer, session, Close.GOING_AWAY, reason)
        ]

    # --- reactions -----------------------------------------------------------------------------

    def react(self, peer: int, broken: RuleViolation, now_ms: int) -> list[Effect]:
        """What the table of reactions says about a peer that broke a rule."""
        session = self._sessions[peer]
        close = REACTIONS[broken.rule].close
        if close is None:
            return [
                Log("debug", "message ignored", {"peer": session.remote, "rule": broken.rule, "why": broken.detail})
            ]
        self._blame(session, broken, now_ms)
        fields = {"peer": session.remote, "rule": broken.rule, "why": broken.detail}
        return [Log("warning", "peer dropped", fields), *self._hang_up(peer, session, close, broken.rule)]

    def _blame(self, session: Session, broken: RuleViolation, now_ms: int) -> None:
        self.dropped.appendleft({"address": session.remote, "rule": broken.rule, "detail": broken.detail})
        if REACTIONS[broken.rule].discourage and session.dialled is None:
            self._standing.discourage(_ip(session.remote), now_ms)

    @staticmethod
    def _hang_up(peer: int, session: Session, code: Close, reason: str) -> list[Effect]:
        session.closing = True
        return [HangUp(peer, code, reason)]

    # --- time ----------------------------------------------------------------------------------

    def excuse(self, late_ms: int) -> None:
        """We ourselves stood still: no peer is late for that."""
        for session in self._sessions.values():
            session.excuse(late_ms)

    def tick(self, now_ms: int) -> Iterator[Effect]:
        """All that is due: dials, pings, questions, answers that had to wait, and hanging up on the silent."""
        for peer, session in list(self._sessions.items()):
            if session.closing:
                continue
            if session.is_silent(now_ms):
                yield from self.react(peer, RuleViolation(Rule.PONG_IN_TIME, "a ping was not answered in time"), now_ms)
                continue
            if session.ping_is_due(now_ms):
                yield Ping(peer)
            if session.latest_is_due(now_ms):
                yield Say([peer], classic.QUERY_LATEST)
            if session.chain_to_say(now_ms):
                yield SayChain(peer)
        for address in self._redial.due(now_ms):
            yield Dial(address)

    def next_ms(self) -> int | None:
        """When `tick` next has something to do."""
        times = [session.next_ms() for session in self._sessions.values() if not session.closing]
        redial = self._redial.next_ms()
        return min(times if redial is None else [*times, redial], default=None)

    # --- for the operator ----------------------------------------------------------------------

    def status(self, now_ms: int) -> Sequence[PeerStatus]:
        """Every connection, and every address that waits or is being dialled."""
        errors = {entry.address: entry.last_error for entry in self._redial}
        connected = [
            PeerStatus(
                address=session.remote,
                dialled=session.dialled,
                state=State.CONNECTED,
                since_ms=now_ms - session.opened_ms,
                next_dial_ms=None,
                tip=session.tip,
                last_error=errors.get(session.dialled or ""),
            )
            for session in self._sessions.values()
            if not session.closing
        ]
        others = [
            PeerStatus(
                address=entry.address,
                dialled=entry.address,
                state=entry.state,
                since_ms=None,
                next_dial_ms=max(0, entry.next_ms - now_ms) if entry.state is State.WAITING else None,
                tip=None,
                last_error=entry.last_error,
            )
            for entry in self._redial
            if entry.state is not State.CONNECTED
        ]
        return [*connected, *others]


def _names(address: str) -> tuple[str, str]:
    """What an operator may call `ws://host:port`."""
    return address, address.partition("://")[2]


def _ip(remote: str) -> str:
    """The numeric address of `host:port`."""
    return remote.rpartition(":")[0].strip("[]")
