"""Where all peers' sockets meet: effects of the node become bytes, and connections become peers.

The hub gives every connection a number, tells the node when it opens and ends, and performs what the
node wants done. It never decides whom to dial, what to say or when to hang up. A broadcast hands the
same bytes to each socket's own outbox and waits for none; a peer that is gone is simply not there.
"""

from __future__ import annotations

import asyncio
import itertools

from websockets.protocol import Protocol

from tallystick.errors import Rule, RuleViolation, TallystickError
from tallystick.model.limits import Limits
from tallystick.node.effects import Admit, Dial, HangUp, Hold, Ping, Say, SayChain
from tallystick.node.inputs import DialFailed, PeerOpened
from tallystick.node.ports import Ledger
from tallystick.p2p.chain import ChainSize
from tallystick.p2p.dialer import Dialer
from tallystick.p2p.permit import Permit
from tallystick.p2p.shared import Shared, report_failure
from tallystick.p2p.socket import PeerSocket
from tallystick.wire.addresses import host_port, plain
from tallystick.wire.dialect import Dialect
from tallystick.wire.terms import terms_of

PeerEffect = Say | SayChain | Admit | Ping | Hold | HangUp | Dial


class Hub:
    """The open connections of a node."""

    def __init__(self, ledger: Ledger, dialer: Dialer) -> None:
        self.limits: Limits = ledger.limits
        self._ledger = ledger
        self._dialer = dialer
        self._shared = Shared(ledger, Permit(), ChainSize(ledger.reader, ledger.limits))
        self._numbers = itertools.count(1)
        self._sockets: dict[int, PeerSocket] = {}
        self._arriving: dict[int, Dialect] = {}
        """Peers that dialled us and that the node has not heard of yet."""
        self._dials: set[asyncio.Task[None]] = set()
        self._closing = False
        self._gone_traffic = (0, 0)
        """Bytes received and sent on all connections that are gone."""

    def perform(self, effect: PeerEffect) -> None:
        """Do what the node wants done. Returns at once; never raises for what a peer does or did."""
        match effect:
            case Say(peers, message, gossip):
                for peer in peers:
                    if (socket := self._sockets.get(peer)) is not None:
                        socket.say(message, gossip=gossip)
            case Dial(address):
                self._dial_soon(address)
            case SayChain(peer) | Admit(peer) | Ping(peer) | Hold(peer) | HangUp(peer):
                if (socket := self._sockets.get(peer)) is not None:
                    _perform_on(socket, effect)

    def traffic(self, peer: int) -> tuple[int, int] | None:
        """Bytes received from an open connection and sent to it, frames included; None when it is gone."""
        socket = self._sockets.get(peer)
        return None if socket is None else socket.traffic()

    def total_traffic(self) -> tuple[int, int]:
        """Likewise on all connections so far, those that are gone included."""
        received, sent = self._gone_traffic
        for socket in self._sockets.values():
            more_received, more_sent = socket.traffic()
            received, sent = received + more_received, sent + more_sent
        return received, sent

    def check_welcome(self, host: str, dialect: Dialect) -> None:
        """May a peer at this numeric address dial us now, in this dialect? Raises RuleViolation.

        The node counts its peers, but it hears of a new one in its next batch only. Until then no more
        are let in than it takes of the dialect in all.
        """
        if self._closing:
            raise RuleViolation(Rule.PEERS_WITHIN_LIMIT, "this node is stopping")
        self._ledger.check_welcome(host, dialect)
        arriving = list(self._arriving.values()).count(dialect)
        if arriving >= terms_of(dialect, self.limits).inbound_peers:
            raise RuleViolation(Rule.PEERS_WITHIN_LIMIT, f"{arriving} peers are being let in just now; try again")

    def adopt(
        self, wire: Protocol, transport: asyncio.Transport, *, dialled: str | None, early: bytes | None = None
    ) -> PeerSocket:
        """Make a peer of an open WebSocket; `early` as in `PeerSocket.open`."""
        opened = PeerOpened(next(self._numbers), remote_of(transport), dialled, dialect_of(wire))
        socket = PeerSocket(opened, wire, transport, self._shared)
        self._sockets[opened.peer] = socket
        if dialled is None:
            self._arriving[opened.peer] = opened.dialect
        else:
            transport.set_protocol(socket)
        socket.open(self._know, self._forget, early)
        return socket

    async def close(self, grace_s: float) -> None:
        """Say goodbye to all peers, wait `grace_s` at most until they are gone, then cut them off."""
        self._closing = True
        for dial in self._dials:
            dial.cancel()
        for socket in self._sockets.values():
            socket.say_goodbye("this node is stopping")
        ends = [asyncio.ensure_future(socket.ended()) for socket in self._sockets.values()]
        ends.extend(self._dials)
        if ends:
            await asyncio.wait(ends, timeout=grace_s)
        for socket in list(self._sockets.values()):
            socket.cut_off()
        if ends:
            await asyncio.wait(ends)

    def _know(self, socket: PeerSocket) -> None:
        self._arriving.pop(socket.peer, None)

    def _forget(self, socket: PeerSocket) -> None:
        self._know(socket)
        if self._sockets.pop(socket.peer, None) is not None:
            received, sent = socket.traffic()
            self._gone_traffic = self._gone_traffic[0] + received, self._gone_traffic[1] + sent

    def _dial_soon(self, address: str) -> None:
        if self._closing:
            return
        task = asyncio.get_running_loop().create_task(self._dial(address), name=f"dial {address}")
        self._dials.add(task)
        task.add_done_callback(self._dials.discard)
        task.add_done_callback(report_failure)

    async def _dial(self, address: str) -> None:
        try:
            line = await self._dialer.dial(address)
        except TallystickError as error:
            rule = error.rule if isinstance(error, RuleViolation) else None
            self._ledger.submit(DialFailed(address, str(error), rule))
            return
        if self._closing or line.transport.is_closing():
            line.transport.abort()
            self._ledger.submit(DialFailed(address, "the connection ended at once"))
            return
        self.adopt(line.wire, line.transport, dialled=address, early=line.early)


def dialect_of(wire: Protocol) -> Dialect:
    """What the handshake agreed on; there is one subprotocol only that it could have."""
    return Dialect.CLASSIC if wire.subprotocol is None else Dialect.NATIVE


def _perform_on(socket: PeerSocket, effect: SayChain | Admit | Ping | Hold | HangUp) -> None:
    match effect:
        case SayChain():
            socket.say_chain()
        case Admit():
            socket.admit()
        case Ping():
            socket.ping()
        case Hold(_, for_ms):
            socket.hold(for_ms)
        case HangUp(_, code, reason):
            socket.hang_up(code, reason)


def host_of(transport: asyncio.BaseTransport) -> str:
    """The numeric address of the other end; an IPv4 address that came in IPv6's clothes is undressed."""
    name = transport.get_extra_info("peername")
    if not name:
        return "0.0.0.0"  # noqa: S104 - no address is bound: the other end is gone already
    return str(plain(str(name[0])))


def remote_of(transport: asyncio.BaseTransport) -> str:
    """`host:port` of the other end."""
    name = transport.get_extra_info("peername")
    return host_port(host_of(transport), name[1] if name else 0)
