"""Peers: who is connected, whom we dial, who is not welcome any more.

Owner of every session. It decides when to dial, ask and hang up; what the messages mean for the chain is decided in
`classic` and `native`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from tallystick.chain.writes import ForgetBan, RememberBan
from tallystick.errors import Rule, RuleViolation, shown
from tallystick.model.limits import Limits
from tallystick.model.network import Network
from tallystick.node.circle import Among, Circle
from tallystick.node.effects import Dial, Effect, HangUp, Hold, Log, Ping, Say, SayChain
from tallystick.node.inputs import DialFailed, Moment, PeerClosed, PeerOpened
from tallystick.node.ports import Banned, PeerStatus
from tallystick.node.profile import Profile
from tallystick.wire import classic, inbound
from tallystick.wire.address_book import AddressBook
from tallystick.wire.addresses import ip_of
from tallystick.wire.allowance import Allowance, Allowances
from tallystick.wire.classic_session import ClassicSession
from tallystick.wire.dialect import Dialect
from tallystick.wire.endpoint import Endpoint
from tallystick.wire.native.handshake import Handshake, Side, Stranger
from tallystick.wire.native.messages import (
    CHALLENGE_BYTES,
    NONCE_BYTES,
    VERSION,
    WEIGHT_BYTES,
    Hello,
    Point,
    Tip,
)
from tallystick.wire.native.session import NativeSession
from tallystick.wire.reactions import REACTIONS, Close, Offence
from tallystick.wire.redial import State
from tallystick.wire.standing import Standing

DROPPED_KEPT: Final = 20
"""Peers dropped for cause that `GET /status` still shows."""

REASON_CHARACTERS: Final = 200
"""Of the reason why a connection or a dial ended so much is kept: it may quote what the other end sent."""

HOUSEKEEPING: Final = frozenset({Rule.PEER_CONNECTS_ONCE, Rule.PEER_IS_NOT_OURSELVES})
"""Connections that end for no fault of anybody, and that no operator need look at."""

Session = ClassicSession | NativeSession


class Peers:
    """All peers of a node. Times are monotonic milliseconds."""

    def __init__(
        self,
        limits: Limits,
        network: Network,
        profile: Profile,
        now_ms: int,
        *,
        remembered: Iterable[str] = (),
        bans: Iterable[str] = (),
        book: AddressBook | None = None,
    ) -> None:
        """Know the addresses of `profile` and those `remembered`, to be dialled at once."""
        self._limits = limits
        self._network = network
        self._profile = profile
        self._sessions: dict[int, Session] = {}
        self._keys = Among(lambda: (_key(session) for _, session in self.native()))
        """Node keys we are connected with."""

        self._places = Among(lambda: (_listens_at(session) for _, session in self.native()))
        """Where those who dialled us say that they listen."""

        self._dues: dict[int, int] = {}
        """When each conversation next has something to do. Of the `_touched` ones it is found anew when it is asked,
        which is after each step: a step touches one or two."""

        self._touched: set[int] = set()
        self.circle = Circle(limits, profile, remembered, book, now_ms)
        self._standing = Standing(limits, bans)
        self._allowances = Allowances(limits)
        self.dropped: deque[Mapping[str, object]] = deque(maxlen=DROPPED_KEPT)

    def session(self, peer: int) -> Session | None:
        """The conversation with this peer, unless we hung up. Whoever asks may change it."""
        self._touched.add(peer)
        session = self._sessions.get(peer)
        return None if session is None or session.closing else session

    def classic_but(self, source: int | None) -> list[int]:
        """Every classic peer we talk with, except `source`."""
        return [
            peer
            for peer, session in self._sessions.items()
            if isinstance(session, ClassicSession) and peer != source and not session.closing
        ]

    def native(self) -> list[tuple[int, NativeSession]]:
        """Every native peer we talk with, once its handshake is over."""
        return [
            (peer, session)
            for peer, session in self._sessions.items()
            if isinstance(session, NativeSession) and not session.closing and session.is_admitted
        ]

    def chosen(self) -> list[tuple[int, NativeSession]]:
        """Those of them that we dialled on our own account."""
        return [each for each in self.native() if self.circle.chose(each[1].dialled)] if self.circle.has_chosen else []

    def connected(self) -> list[str]:
        """`host:port` of the other end of each connection, oldest first."""
        return [session.remote for session in self._sessions.values() if not session.closing and _is_peer(session)]

    # --- coming and going ----------------------------------------------------------------------

    def check_welcome(self, ip: str, dialect: Dialect, now_ms: int) -> None:
        """May this address dial us? Raises RuleViolation."""
        if not self._profile.inbound:
            raise RuleViolation(
                Rule.PEER_IS_A_MEMBER,
                "reading this node takes a token, which no peer can show; its operator can list the members of the "
                "network by their keys (network.toml), or start it without --read-token-file",
            )
        if dialect is Dialect.CLASSIC and not self._profile.classic:
            raise RuleViolation(
                Rule.DIALECT_IS_SPOKEN, "this node takes peers in the dialect tallystick.1 only; offer that subprotocol"
            )
        self._standing.check(ip, None, now_ms)
        self._check_room(ip, dialect, now_ms)

    def _check_room(self, ip: str, dialect: Dialect, now_ms: int) -> None:
        """Is there a place for one more? Raises RuleViolation."""
        if dialect is Dialect.NATIVE:
            inbound.check_room(ip, self._guests(), now_ms, self._limits)
            return
        count = sum(each.dialled is None and isinstance(each, ClassicSession) for each in self._sessions.values())
        if count >= self._limits.classic_inbound_peers:
            raise RuleViolation(
                Rule.PEERS_WITHIN_LIMIT,
                f"{count} peers have dialled this node, and more it does not take; "
                "let it dial you (addPeer), or try again later",
            )

    def _guests(self) -> list[inbound.Guest]:
        """Native peers that dialled us, in the order in which they came."""
        return [
            inbound.Guest(peer, session.ip, session.opened_ms, session.is_admitted)
            for peer, session in self._sessions.items()
            if isinstance(session, NativeSession) and session.dialled is None and not session.closing
        ]

    def _make_room(self) -> list[Effect]:
        """Hang up on whoever has to go since somebody more is here."""
        return [
            effect
            for peer in inbound.give_way(self._guests(), self._limits)
            for effect in self._hang_up(peer, self._sessions[peer], Close.FULL, "others need the place")
        ]

    def opened(self, event: PeerOpened, tip: tuple[int, str, int], moment: Moment) -> list[Effect]:
        """A connection is open: start the conversation, or end it when there is no place for it.

        `tip` is index, hash and weight of our own.
        """
        now_ms, ip = moment.now.mono_ms, ip_of(event.remote)
        refused = None
        if event.dialled is None:
            try:
                self._check_room(ip, event.dialect, now_ms)
            except RuleViolation as full:
                refused = full
        allowance = self._allowances.begin(ip, now_ms)
        session, first = self._begin(event, tip, allowance, moment)
        self._sessions[event.peer] = session
        self._touched.add(event.peer)
        if refused is not None:
            return self.react(event.peer, refused, now_ms)
        if event.dialled is not None and not self.circle.opened(event.dialled, event.peer, now_ms):
            return self._hang_up(event.peer, session, Close.GOING_AWAY, "removed meanwhile, or connected already")
        effects: list[Effect] = [] if isinstance(session, NativeSession) else [_connected(session)]
        effects += [*self._make_room(), *(Say([event.peer], message) for message in first)]
        hold_ms = session.spend(0, now_ms)
        return [*effects, Hold(event.peer, hold_ms)] if hold_ms else effects

    def _begin(
        self, event: PeerOpened, tip: tuple[int, str, int], allowance: Allowance, moment: Moment
    ) -> tuple[Session, list[bytes]]:
        """A session of the dialect that was agreed, and what to say first."""
        now_ms = moment.now.mono_ms
        if event.dialect is Dialect.CLASSIC:
            session = ClassicSession(event.remote, event.dialled, self._limits, now_ms, allowance)
            return session, [classic.QUERY_LATEST]
        side = Side.ACCEPTOR if event.dialled is None else Side.DIALLER

        def judge(stranger: Stranger) -> None:
            self._judge(event.peer, stranger, moment)

        handshake = Handshake(self._profile.identity, side, self._hello(tip, moment), judge)
        return (
            NativeSession(event.remote, event.dialled, self._limits, now_ms, handshake=handshake, allowance=allowance),
            handshake.begin(),
        )

    def _hello(self, tip: tuple[int, str, int], moment: Moment) -> Hello:
        index, hash, weight = tip
        return Hello(
            versions=(VERSION, VERSION),
            network=bytes.fromhex(self._network.id),
            key=self._profile.identity.public,
            nonce=moment.entropy.randbytes(NONCE_BYTES),
            challenge=moment.entropy.randbytes(CHALLENGE_BYTES),
            role=0,
            listen_port=self._profile.listen_port,
            agent=self._profile.agent,
            tip=Tip(Point(index, bytes.fromhex(hash)), weight.to_bytes(WEIGHT_BYTES, "big")),
            final=None,
            frame_bytes=self._limits.frame_bytes,
            requests=self._limits.requests_in_flight,
        )

    def _judge(self, peer: int, stranger: Stranger, moment: Moment) -> None:
        """Is this key welcome on this connection? Raises RuleViolation."""
        members = self._network.members
        if members and stranger.key.hex() not in members:
            raise RuleViolation(
                Rule.PEER_IS_A_MEMBER, f"the key {stranger.key.hex()} is not among the members of this network"
            )
        session = self._sessions[peer]
        self._standing.check(session.ip, stranger.key.hex(), moment.now.mono_ms)
        for _, other in self._twins(peer, stranger.key):
            if self._outranks(other, session, stranger.key):
                self.circle.led_to(peer, session.dialled, stranger.key.hex(), moment)
                raise RuleViolation(Rule.PEER_CONNECTS_ONCE, f"connected already, at {other.remote}")

    def _twins(self, peer: int, key: bytes) -> list[tuple[int, NativeSession]]:
        """Other connections to the holder of this key."""
        return [(number, other) for number, other in self.native() if other.key == key and number != peer]

    def _outranks(self, old: Session, new: Session, key: bytes) -> bool:
        """Of two connections to one node the one dialled by the lower key stays; of two that one side dialled, the
        newer, for whoever dials anew has lost the older."""
        if (old.dialled is None) == (new.dialled is None):
            return False
        own_is_lower = self._profile.identity.public < key
        return own_is_lower == (old.dialled is not None)

    def admitted(self, peer: int, session: NativeSession, moment: Moment) -> list[Effect]:
        """A native peer has shown who it is."""
        key = session.key
        assert key is not None  # noqa: S101 - that is what being admitted means
        effects: list[Effect] = [_connected(session)]
        self.circle.met(peer, session, session.ip, moment)
        for number, twin in self._twins(peer, key):  # both were shaking hands at a time
            loser = (peer, session) if self._outranks(twin, session, key) else (number, twin)
            effects += self._hang_up(*loser, Close.DUPLICATE, "another connection between us stays")
        return [*effects, *self._make_room()]

    def closed(self, event: PeerClosed, moment: Moment) -> list[Effect]:
        """A connection is gone."""
        now_ms = moment.now.mono_ms
        session = self._sessions.pop(event.peer, None)
        if session is None:
            return []
        self._touched.add(event.peer)
        session.ended(now_ms)
        self._allowances.end(session.ip, session.allowance, now_ms)
        reason = event.reason[:REASON_CHARACTERS]
        if event.rule is not None and not session.closing:
            self._blame(session, RuleViolation(event.rule, reason), now_ms)
        self.circle.ended(event.peer, session.dialled, reason, moment)
        return [Log("info", "peer disconnected", {"peer": session.remote, "reason": reason})]

    def dial_failed(self, event: DialFailed, moment: Moment) -> list[Effect]:
        """A dial came to nothing; it is tried again later, unless it led to ourselves."""
        address, reason = event.address, event.reason[:REASON_CHARACTERS]
        if event.rule is Rule.ADDRESS_IS_NOT_OURS:
            self.circle.is_ourselves(address)
        level = "debug" if self.circle.chose(address) else "info"
        self.circle.failed(address, reason, moment)
        return [Log(level, "peer not reached", {"address": address, "reason": reason})]

    def add(self, address: str, now_ms: int) -> None:
        """Dial this address from now on. Raises RuleViolation(ADDRESS_BOOK_HAS_ROOM)."""
        self.circle.redial.add(address, now_ms)

    def remove(self, name: str) -> tuple[Sequence[str], list[Effect]]:
        """Forget whom the operator calls `name`: the addresses we dialled it by, and what else is to be done.

        Raises RuleViolation(PEER_IS_KNOWN).
        """
        dialled = {entry.address: None for entry in self.circle.redial if name in _names(entry.address)}
        leaving = [
            (peer, session)
            for peer, session in self._sessions.items()
            if not session.closing and (session.remote == name or session.dialled in dialled)
        ]
        if not dialled and not leaving:
            raise RuleViolation(Rule.PEER_IS_KNOWN, f"{shown(name)} is neither connected nor dialled; see GET /peers")
        dialled |= {session.dialled: None for _, session in leaving if session.dialled is not None}
        for address in dialled:
            self.circle.redial.remove(address)
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
        level = "info" if broken.rule in HOUSEKEEPING else "warning"
        fields = {"peer": session.remote, "rule": broken.rule, "why": broken.detail}
        return [Log(level, "peer dropped", fields), *self._hang_up(peer, session, close, broken.rule)]

    def _blame(self, session: Session, broken: RuleViolation, now_ms: int) -> None:
        if broken.rule not in HOUSEKEEPING:
            self.dropped.appendleft({"address": session.remote, "rule": broken.rule, "detail": broken.detail})
        if broken.rule is Rule.PEER_IS_NOT_OURSELVES:
            self.circle.is_ourselves(session.dialled)
        configured = self.circle.is_configured(session.dialled)
        offence = REACTIONS[broken.rule].offence
        if offence is Offence.VIOLATION:
            self.circle.forget(session.dialled)
        self._standing.remember(offence, session.ip, _key(session), now_ms, configured=configured)

    # --- the operator's will -------------------------------------------------------------------

    def ban(self, subject: str) -> list[Effect]:
        """Keep a key or an address out for ever, and hang up. Raises RuleViolation."""
        subject = self._standing.ban(subject)
        effects: list[Effect] = [RememberBan(subject)]
        for peer, session in list(self._sessions.items()):
            if not session.closing and subject in {session.ip, _key(session)}:
                effects += self._hang_up(peer, session, Close.DISCOURAGED, "banned by the operator")
        return effects

    def unban(self, subject: str, now_ms: int) -> list[Effect]:
        """Forgive whatever keeps this subject out. Raises RuleViolation(BAN_IS_KNOWN)."""
        return [ForgetBan(self._standing.forgive(subject, now_ms))]

    def banned(self, now_ms: int) -> Sequence[Banned]:
        """Who is kept out now."""
        return self._standing.banned(now_ms)

    def _hang_up(self, peer: int, session: Session, code: Close, reason: str) -> list[Effect]:
        session.closing = True
        self._touched.add(peer)
        return [HangUp(peer, code, reason)]

    # --- time ----------------------------------------------------------------------------------

    def excuse(self, late_ms: int) -> None:
        """We ourselves stood still: no peer is late for that."""
        self._touched.update(self._sessions)
        for session in self._sessions.values():
            session.excuse(late_ms)

    def tick(self, moment: Moment) -> Iterator[Effect]:
        """All that is due: dials, pings, questions, answers that had to wait, and hanging up on the silent."""
        now_ms = moment.now.mono_ms
        for peer, session in self.due(now_ms):
            if session.closing:
                continue  # what became of another one ended it
            if session.is_silent(now_ms):
                yield from self.react(peer, RuleViolation(Rule.PONG_IN_TIME, "a ping was not answered in time"), now_ms)
            elif isinstance(session, ClassicSession):
                yield from self._tick_classic(peer, session, now_ms)
        for address in self.circle.due(moment, self._keys, self._places, self._is_refused(now_ms)):
            yield Dial(address)
        yield from self.circle.save(now_ms, moment.now.wall_ms)

    @staticmethod
    def _tick_classic(peer: int, session: ClassicSession, now_ms: int) -> Iterator[Effect]:
        if session.ping_is_due(now_ms):
            yield Ping(peer)
        if session.latest_is_due(now_ms):
            yield Say([peer], classic.QUERY_LATEST)
        if session.chain_to_say(now_ms):
            yield SayChain(peer)

    def next_ms(self) -> int | None:
        """When `tick` next has something to do."""
        self._look_again()
        first, circle = min(self._dues.values(), default=None), self.circle.next_ms(self._keys)
        return circle if first is None else first if circle is None else min(first, circle)

    def due(self, now_ms: int) -> list[tuple[int, Session]]:
        """The conversations that have something to do now."""
        self._look_again()
        due = [peer for peer, due_ms in self._dues.items() if due_ms <= now_ms]
        self._touched.update(due)
        return [(peer, self._sessions[peer]) for peer in due]

    def _look_again(self) -> None:
        """See when those have something to do that were touched."""
        for peer in self._touched:
            session = self._sessions.get(peer)
            if session is None or session.closing:
                self._dues.pop(peer, None)
            else:
                self._dues[peer] = session.next_ms()
        self._touched.clear()

    def _is_refused(self, now_ms: int) -> Callable[[str, str | None], bool]:
        return lambda ip, key: not self._standing.is_good(ip, key, now_ms)

    # --- for the operator ----------------------------------------------------------------------

    def status(self, now_ms: int) -> Sequence[PeerStatus]:
        """Every connection, and every address that waits or is being dialled."""
        errors = {entry.address: entry.last_error for entry in self.circle.redial}
        connected = [
            PeerStatus(
                address=session.remote,
                dialled=session.dialled,
                state=State.CONNECTED,
                since_ms=now_ms - session.opened_ms,
                next_dial_ms=None,
                tip=session.tip,
                last_error=errors.get(session.dialled or ""),
                dialect=Dialect.CLASSIC if isinstance(session, ClassicSession) else Dialect.NATIVE,
                key=_key(session),
                agent=session.agent if isinstance(session, NativeSession) else None,
                latency_ms=session.latency_ms if isinstance(session, NativeSession) else None,
                peer=peer,
                origin=self._origin(session),
            )
            for peer, session in self._sessions.items()
            if not session.closing and _is_peer(session)
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
            for entry in self.circle.redial
            if entry.state is not State.CONNECTED
        ]
        return [*connected, *others]

    def _origin(self, session: Session) -> str:
        if session.dialled is None:
            return "inbound"
        return "book" if self.circle.chose(session.dialled) else "configured"


def _names(address: str) -> tuple[str, str]:
    """What an operator may call `ws://host:port`."""
    return address, address.partition("://")[2]


def _connected(session: Session) -> Log:
    fields = {
        "peer": session.remote,
        "direction": "inbound" if session.dialled is None else "outbound",
        "dialect": Dialect.CLASSIC if isinstance(session, ClassicSession) else Dialect.NATIVE,
    }
    if isinstance(session, NativeSession):
        fields |= {"key": _key(session) or "", "agent": session.agent or ""}
    return Log("info", "peer connected", fields)


def _listens_at(session: NativeSession) -> Endpoint | None:
    """Where somebody who dialled us says that it can be dialled."""
    stranger = session.handshake.stranger
    if session.dialled is not None or stranger is None or not stranger.hello.listen_port:
        return None
    return Endpoint.of(session.ip, stranger.hello.listen_port)


def _key(session: Session) -> str | None:
    """The node key that the other end has proved to hold."""
    return session.key.hex() if isinstance(session, NativeSession) and session.key is not None else None


def _is_peer(session: Session) -> bool:
    """A classic peer is one at once, a native one when its handshake is over."""
    return isinstance(session, ClassicSession) or session.is_admitted
