"""One open WebSocket to a peer, whoever dialled whom.

Bytes of the transport go through the `inbox` to the node, one message at a time; what the node says
goes through the `outbox` to the transport, as fast as the peer reads. Nobody ever waits for a peer
except its own conversation, and nothing a peer does or fails to do costs more than a bounded amount of
memory and, in the end, its own connection:

* its next message is handled only after its last one was, not while the outbox is over
  `outbox_pause_bytes` (who asks must read the answers) and not during a Hold;
* meanwhile messages wait up to `inbox_bytes`; then nothing is read, and TCP pushes back;
* a large message is received with the node-wide `permit` only;
* an outbox over `outbox_drop_bytes`, or one from which nothing leaves for `Limits.outbox_stall_ms`,
  costs the peer its connection; so does a large message that stands still.

What these amounts are, and what else the dialects differ in, is in `wire.terms`.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Final

import structlog
from websockets.protocol import Protocol, State

from tallystick.errors import Rule, RuleViolation, TallystickError
from tallystick.node.inputs import (
    ChainSaid,
    PeerClosed,
    PeerDrained,
    PeerOpened,
    PeerPonged,
    PeerProgressed,
    PeerSaid,
)
from tallystick.p2p.chain import ChainChangedError, ChainStream
from tallystick.p2p.frames import Backlog, Refusal, close_reason
from tallystick.p2p.inbox import Inbox
from tallystick.p2p.outbox import Outbox
from tallystick.p2p.shared import Shared, report_failure
from tallystick.p2p.stall import Patience
from tallystick.wire.reactions import Close
from tallystick.wire.terms import terms_of

_FRAMES_A_TURN: Final = 256
"""So many frames of one peer are parsed before others have their turn."""

_FRAMES_SENT_A_TURN: Final = 4
"""So many frames are made for one peer before others have their turn."""

_log: Final = structlog.get_logger("tallystick.p2p")


class PeerSocket(asyncio.Protocol):
    """The connection to a peer. The transport, or the server that owns it, calls the methods of
    asyncio.Protocol; the hub calls the rest. No method raises for what a peer did, or after the end."""

    def __init__(self, opened: PeerOpened, wire: Protocol, transport: asyncio.Transport, shared: Shared) -> None:
        self.peer = opened.peer
        self._opened = opened
        self._wire = wire
        self._transport = transport
        self._shared = shared
        self._ledger = shared.ledger
        self._limits = limits = shared.ledger.limits
        self._terms = terms_of(opened.dialect, limits)
        self._loop = asyncio.get_running_loop()
        self._inbox = Inbox(wire, self._terms, limits.idle_frames)
        self._outbox = Outbox(wire, self._terms, limits.fragment_bytes)
        self._raw = Backlog()
        self._received_bytes = 0
        self._told_bytes = 0
        self._written_bytes = 0
        self._reading = True
        self._writable = True
        self._half_closed = False
        self._discards = False
        self._held_until_s = 0.0
        self._handling = True
        self._gossip_dropped = False
        self._ping: bytes | None = None
        self._cause: tuple[str, Rule | None] | None = None
        self._lost = False
        self._news = asyncio.Event()
        self._patience = Patience(limits)
        self._timers: dict[str, asyncio.TimerHandle | asyncio.Handle] = {}
        self._measuring: asyncio.Task[None] | None = None
        self._conversation: asyncio.Task[None] | None = None

    def open(
        self,
        known: Callable[[PeerSocket], None],
        ended: Callable[[PeerSocket], None],
        early: bytes | None = None,
    ) -> None:
        """Begin the conversation. `known` is called when the node has heard of the peer, unless it ends before;
        `ended` once PeerClosed was submitted.

        `early` is what came right after the handshake, from a transport whose reading is paused.
        """
        self._transport.set_write_buffer_limits(high=self._limits.fragment_bytes)
        self._conversation = self._loop.create_task(self._converse(known), name=f"peer {self.peer}")
        self._conversation.add_done_callback(lambda _task: ended(self))
        self._conversation.add_done_callback(report_failure)
        self._check_later()
        self._tell_progress_later()
        if early is not None:
            self._reading = False
            self.data_received(early)

    # --- what the transport calls --------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self._received_bytes += len(data)
        self._raw.add(data)
        self._parse()

    def eof_received(self) -> None:
        """The peer will send no more. Returning nothing lets the transport close."""
        while self._raw and not self._is_deaf():
            self._parse()
        self._raw.clear()
        self._wire.receive_eof()
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._cause is None:
            self._cause = (self._how_it_ended(exc), None)
        self._lost = True
        self._outbox.clear()
        self._raw.clear()
        self._news.set()

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._pump()
        self._parse()

    # --- what the hub calls --------------------------------------------------------------------

    def say(self, message: bytes, *, gossip: bool) -> None:
        """Send a message, now or when the peer has read what came before; never waits, never raises."""
        if self._wire.state is not State.OPEN or self._cause is not None:
            return
        if gossip and self._waiting_bytes() > self._limits.outbox_pause_bytes:
            self._gossip_dropped = True
            return
        self._outbox.put(message)
        if self._waiting_bytes() > self._terms.outbox_drop_bytes:
            self._drop(Rule.OUTBOX_DRAINS, f"{self._waiting_bytes():,} bytes wait for it; it reads too slowly")
            return
        self._pump()

    def say_chain(self) -> None:
        """Answer QUERY_ALL. One answer at a time: the node asks for the next after ChainSaid."""
        if self._wire.state is State.OPEN and self._cause is None and self._measuring is None:
            self._measuring = self._loop.create_task(self._measure_and_say(), name=f"chain for peer {self.peer}")
            self._measuring.add_done_callback(report_failure)

    def admit(self) -> None:
        """The peer is a stranger no more. What it said behind its last message waited for this."""
        self._inbox.admit()
        self._after("parse", 0, self._parse)

    def traffic(self) -> tuple[int, int]:
        """Bytes received and sent so far, frames included; what waits here is not sent."""
        return self._received_bytes, self._written_bytes - self._transport.get_write_buffer_size()

    def ping(self) -> None:
        """Ask for a sign of life. While we are not listening, silence says nothing: we vouch for the peer."""
        if self._wire.state is not State.OPEN or self._cause is not None:
            return
        if self._hears_nothing():
            self._ledger.submit(PeerPonged(self.peer))
            return
        self._ping = secrets.token_bytes(4)
        self._wire.send_ping(self._ping)
        self._flush()

    def hold(self, for_ms: int) -> None:
        """Handle no message for so long; of two holds the longer counts."""
        if (until_s := self._loop.time() + for_ms / 1000) > self._held_until_s:
            self._held_until_s = until_s
            self._after("hold", for_ms, self._release)

    def hang_up(self, code: int, reason: str) -> None:
        """Close with this code and reason; what still waits, in and out, is forgotten."""
        self._stop_for(f"we hung up: {code} {reason}", None)
        if self._wire.state is State.OPEN:
            self._wire.send_close(code, close_reason(reason))
        self._flush()
        self._parse()

    def say_goodbye(self, reason: str) -> None:
        """Close because this node stops."""
        self.hang_up(self._terms.goodbye, reason)

    def abort(self, reason: str) -> None:
        """End the connection without a word."""
        self._stop_for(reason, None)
        self._transport.abort()

    def cut_off(self) -> None:
        """End the connection and the conversation, even one that waits for a node that does not answer."""
        self.abort("the node stopped")
        if self._conversation is not None:
            self._conversation.cancel()

    async def ended(self) -> None:
        """Wait until PeerClosed was submitted."""
        if self._conversation is not None:
            await asyncio.wait([self._conversation])

    # --- in ------------------------------------------------------------------------------------

    def _parse(self) -> None:
        """Turn received bytes into messages, as far as there is room for them."""
        frames = 0
        while self._raw and frames < _FRAMES_A_TURN and not self._is_deaf():
            if self._discards:
                self._raw.clear()
                break
            try:
                frames += self._inbox.feed(self._raw)
            except Refusal as refusal:
                self._refuse(refusal)
            self._flush()
            self._take_pongs()
            if self._cause is not None:
                self._ignore_what_came()
            self._settle_permit()
        self._news.set()
        if self._raw and not self._is_deaf():
            self._after("parse", 0, self._parse)
        self._regulate_reading()

    def _is_deaf(self) -> bool:
        """Must what was received wait, and nothing more be read?

        Not after we hung up: then all that comes is thrown away until the peer closes too.
        """
        if self._cause is not None:
            return False
        if self._inbox.is_full or (self._inbox.of_stranger and (self._inbox or self._handling)):
            return True
        if self._transport.get_write_buffer_size() > self._limits.outbox_pause_bytes + 2 * self._limits.fragment_bytes:
            return True  # of pongs, for of all else the outbox keeps it at two fragments: who pings must read
        return self._inbox.partial_bytes > self._terms.large_message_bytes and not self._may_receive_large()

    def _hears_nothing(self) -> bool:
        """Could a pong be waiting unread, or behind a large message that is on its way?"""
        return self._is_deaf() or self._shared.permit.is_held_by(self)

    def _may_receive_large(self) -> bool:
        if self._inbox.holds_large:
            return False
        if self._shared.permit.is_held_by(self):
            return True
        return not self._held_until_s and self._shared.permit.ask(self)

    def permitted(self) -> None:
        """Of `permit.Applicant`: go on reading the large message."""
        self._after("parse", 0, self._parse)

    def _settle_permit(self) -> None:
        """Give the permit back when no large message needs it any more."""
        arriving = self._inbox.partial_bytes > self._terms.large_message_bytes
        if self._cause is not None or not (arriving or self._inbox.holds_large):
            self._give_back_permit()

    def _give_back_permit(self) -> None:
        self._patience.large_checks = 0
        self._shared.permit.give_back(self)

    def _regulate_reading(self) -> None:
        """Read on when all is parsed; what has been read but not parsed is one chunk at most."""
        if self._ping is not None and self._cause is None and self._hears_nothing():
            self._ping = None
            self._ledger.submit(PeerPonged(self.peer))
        wanted = not self._raw and not self._is_deaf()
        if wanted == self._reading or self._lost or self._transport.is_closing():
            return
        self._reading = wanted
        if wanted:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def _take_pongs(self) -> None:
        if self._ping is not None and self._ping in self._inbox.pongs:
            self._ping = None
            self._ledger.submit(PeerPonged(self.peer))
        self._inbox.pongs.clear()

    def _ignore_what_came(self) -> None:
        """We hung up: only the peer's own close frame is of interest, not the rest of a large message."""
        self._inbox.clear()
        if self._inbox.partial_bytes > self._terms.large_message_bytes:
            self._raw.clear()
            self._transport.abort()

    def _refuse(self, refusal: Refusal) -> None:
        self._stop_for(refusal.detail, refusal.rule)
        self._discards = True
        if self._wire.state is State.OPEN:
            self._wire.fail(refusal.code, close_reason(refusal.detail))

    def _release(self) -> None:
        self._held_until_s = 0.0
        self._news.set()
        self._parse()

    # --- the conversation ----------------------------------------------------------------------

    async def _converse(self, known: Callable[[PeerSocket], None]) -> None:
        """Tell the node of the peer, then hand it the peer's messages, one by one, until the connection is over."""
        try:
            await self._ledger.submitted(self._opened)
            known(self)
            self._handling = False
            self._parse()
            while await self._next_turn():
                message = self._inbox.take()
                self._handling = True
                await self._ledger.submitted(PeerSaid(self.peer, message))
                self._handling = False
                if len(message) > self._terms.large_message_bytes:
                    self._give_back_permit()  # even if its next message is large too: others have waited longer
                del message
                self._parse()
        except TallystickError as error:  # the node stops; its owner says why
            self.abort(str(error))
        finally:
            self._end()

    async def _next_turn(self) -> bool:
        """Wait until a message may be handled; False when there will be none."""
        while not self._may_handle():
            if self._lost:
                return False
            self._news.clear()
            await self._news.wait()
        return True

    def _may_handle(self) -> bool:
        if not self._inbox:
            return False
        if self._inbox.holds_large:
            return True  # others wait for the permit: it must not wait for anybody
        terms = self._terms
        most = terms.outbox_choke_bytes if self._inbox.is_full else terms.outbox_pause_bytes
        return not self._held_until_s and self._waiting_bytes() <= most

    def _end(self) -> None:
        """Nothing of this peer after this."""
        reason, rule = self._cause or ("the node stopped", None)
        self._cause = (reason, rule)
        self._transport.abort()
        for timer in self._timers.values():
            timer.cancel()
        if self._measuring is not None:
            self._measuring.cancel()
        self._inbox.clear()
        self._outbox.clear()
        self._shared.permit.give_back(self)
        self._ledger.submit(PeerClosed(self.peer, reason, rule))

    # --- out -----------------------------------------------------------------------------------

    def _waiting_bytes(self) -> int:
        return self._outbox.waiting_bytes + self._transport.get_write_buffer_size()

    def _pump(self) -> None:
        """Give the transport what it has room for; after some frames let others have their turn."""
        for _ in range(_FRAMES_SENT_A_TURN):
            if not self._outbox or not self._writable or self._wire.state is not State.OPEN:
                break
            try:
                said = self._outbox.send_frame()
            except ChainChangedError:
                self.hang_up(Close.GOING_AWAY, "the chain changed while it was sent; ask again")
                return
            except TallystickError as error:
                self.abort(str(error))
                return
            self._flush()
            if isinstance(said, ChainStream):
                self._chain_said(said.size_bytes)
        else:
            self._after("pump", 0, self._pump)
        if self._gossip_dropped and not self._outbox and self._writable and self._cause is None:
            self._gossip_dropped = False
            self._ledger.submit(PeerDrained(self.peer))
        self._news.set()

    def _flush(self) -> None:
        """Pass on what the library wants sent; the empty string means that nothing will follow."""
        for data in self._wire.data_to_send():
            if self._lost or self._half_closed or self._transport.is_closing():
                continue
            if data:
                self._written_bytes += len(data)
                self._transport.write(data)
            elif self._transport.can_write_eof():
                self._half_closed = True
                self._transport.write_eof()  # and read on: closing now could reset what the peer has not read
            else:
                self._transport.close()
        if self._wire.close_expected():
            self._outbox.clear()
            if "close" not in self._timers:
                self._after("close", self._limits.close_ms, self._transport.abort)

    async def _measure_and_say(self) -> None:
        """Measure the chain, then stream it; or say the latest block, when the chain fits no message."""
        try:
            answer = await self._shared.chain_size.answer()
        except TallystickError as error:
            self.abort(str(error))
            return
        if self._wire.state is not State.OPEN or self._cause is not None:
            return
        if isinstance(answer, ChainStream):
            self._outbox.put_source(answer)
            self._pump()
            return
        _log.info("the chain is too long for one message of the classic dialect", peer=self.peer)
        if answer:
            self.say(answer, gossip=False)
        self._chain_said(0)

    def _chain_said(self, size_bytes: int) -> None:
        self._measuring = None
        self._ledger.submit(ChainSaid(self.peer, size_bytes))

    # --- time ----------------------------------------------------------------------------------

    def _after(self, name: str, delay_ms: int, then: Callable[[], None]) -> None:
        """Call later, once; of the same name the last call counts."""
        if self._conversation is None or self._conversation.done():
            return
        if (timer := self._timers.get(name)) is not None:
            timer.cancel()
        self._timers[name] = self._loop.call_later(delay_ms / 1000, then) if delay_ms else self._loop.call_soon(then)

    def _check_later(self) -> None:
        self._after("check", self._patience.check_every_ms, self._check)

    def _check(self) -> None:
        """Does anything stand still that should move?"""
        self._inbox.idle_frames = 0
        waiting = self._transport.get_write_buffer_size()
        permit = self._shared.permit
        arriving = permit.is_held_by(self) and not self._inbox.holds_large and not self._raw
        try:
            self._patience.check_sending(waiting, self._written_bytes - waiting)
            self._patience.check_arriving(
                arriving=arriving, received_bytes=self._received_bytes, contended=permit.contended
            )
        except RuleViolation as broken:
            self._drop(broken.rule, broken.detail)
            return
        self._check_later()

    def _tell_progress_later(self) -> None:
        if self._terms.progress_ms is not None:
            self._after("progress", self._terms.progress_ms, self._tell_progress)

    def _tell_progress(self) -> None:
        """Tell the node if more of a message came that is still incomplete."""
        partial_bytes = self._inbox.partial_bytes
        if partial_bytes and not self._inbox.of_stranger and self._received_bytes > self._told_bytes:
            self._told_bytes = self._received_bytes
            self._ledger.submit(PeerProgressed(self.peer, partial_bytes))
        self._tell_progress_later()

    # --- the end -------------------------------------------------------------------------------

    def _drop(self, rule: Rule, reason: str) -> None:
        self._stop_for(reason, rule)
        self._transport.abort()

    def _stop_for(self, reason: str, rule: Rule | None) -> None:
        """Remember why it ended (the first reason counts), and forget what waits."""
        if self._cause is None:
            self._cause = (reason, rule)
        self._raw.clear()
        self._inbox.clear()
        self._outbox.clear()
        self._settle_permit()

    def _how_it_ended(self, exc: Exception | None) -> str:
        if (close := self._wire.close_rcvd) is not None:
            return f"the peer hung up: {close.code} {close.reason!r}"
        return f"the connection broke: {exc}" if exc is not None else "the peer closed the connection"
