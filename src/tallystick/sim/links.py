"""Connections, and what is on its way through them.

A message waits in the sender's outbox until the line takes it up, is under way for a while, and waits at the other end
until its receiver is ready for it. What is bounded in a real node is bounded here by the same limits (`p2p.socket`):

* gossip to a peer whose outbox is over `outbox_pause_bytes` is dropped, and `PeerDrained` follows; a peer whose outbox
  is over what the dialect allows is dropped itself, and so is one that takes nothing for `outbox_stall_ms`;
* a peer's next message is handled after its last one was, not while its outbox is over the pause, nor during a `Hold`;
  what waits meanwhile is bounded by `inbox_bytes`, and then the sender's outbox fills.

A direction can be *silent*: nothing that is sent gets through, and nobody is told. The connection is half open then,
until an end loses patience or the silence is over. Whoever speaks into a connection that the other end has closed is
told so.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from tallystick.errors import Rule
from tallystick.model.limits import Limits
from tallystick.node.inputs import ChainSaid, PeerClosed, PeerDrained, PeerPonged, PeerProgressed, PeerSaid
from tallystick.sim.chance import Chance, happens
from tallystick.sim.end import End
from tallystick.sim.machine import Machine
from tallystick.sim.schedule import Schedule
from tallystick.wire.dialect import Dialect
from tallystick.wire.reactions import Close

SOCKET_BYTES: Final = 256 * 1024
"""So much the kernel takes for a connection that nothing gets through; the outbox fills only then."""

KERNEL_BYTES: Final = 64 * 1024
"""A message that is no longer leaves its outbox at once where the line is shared, and waits in the kernel for its turn.
(To wait for it here, too, would cost an event a message.)"""

DRAINED_AFTER_US: Final = 50_000
"""Gossip that was dropped by chance: the outbox is empty again after so long."""

Tap = Callable[[End, bytes], None]
"""`tap(end, message)`: this end sends a message."""


class Links:
    """All connections of a world, once they are there."""

    def __init__(self, schedule: Schedule, limits: Limits, chance: Chance) -> None:
        self._schedule = schedule
        self._limits = limits
        self._chance = chance
        self.taps: list[Tap] = []
        self.sent_messages = self.sent_bytes = 0

    # --- out -----------------------------------------------------------------------------------

    def say(self, end: End, message: bytes, *, gossip: bool) -> None:
        """Send a message, now or when what came before is gone."""
        if gossip:
            if end.waiting_bytes > end.terms.outbox_pause_bytes:
                end.gossip_dropped = True
                return
            if end.line.gossip_lost and happens(self._chance, end.line.gossip_lost):
                self._schedule.after(DRAINED_AFTER_US, self._drained_by_chance, end)
                return
        self._put(end, message, len(message))
        if end.waiting_bytes > end.terms.outbox_drop_bytes:
            self.drop(end, Rule.OUTBOX_DRAINS, f"{end.waiting_bytes:,} bytes wait for it; it reads too slowly")

    def say_chain(self, end: End, chain: bytes) -> None:
        """Answer QUERY_ALL; `ChainSaid` follows."""
        self._put(end, chain, 0)

    def ping(self, end: End) -> None:
        """A WebSocket ping. `PeerPonged` follows, if both ways are open and the other machine runs."""
        delays = [end.line.delay_us(self._chance), end.other.line.delay_us(self._chance)]
        if end.is_silent or end.other.is_silent or None in delays:
            return
        self._schedule.after(sum(each or 0 for each in delays), self._pong, end)

    def _pong(self, end: End) -> None:
        if end.is_open and end.other.is_open and not (end.is_silent or end.other.is_silent):
            end.machine.submit(PeerPonged(end.peer))

    def _drained_by_chance(self, end: End) -> None:
        if end.is_open:
            end.machine.submit(PeerDrained(end.peer))

    def _put(self, end: End, message: bytes, counts: int) -> None:
        end.waiting_bytes += counts
        end.most_waiting_bytes = max(end.most_waiting_bytes, end.waiting_bytes)
        if end.outbox is None:
            end.outbox = deque()
        end.outbox.append((message, counts))
        if not end.is_sending:
            self._pump(end)

    def _pump(self, end: End) -> None:
        """Give the line what it takes."""
        while end.outbox and end.is_open and not end.is_sending:
            message, _ = end.outbox[0]
            if not self._has_room(end, len(message)):
                self._watch(end)
                return
            took_us = self._takes_us(end, len(message))
            end.unread_bytes += len(message)
            if end.line.takes_turns and len(message) <= KERNEL_BYTES:
                self._gone(end, took_us)
            elif took_us:
                end.is_sending = True
                self._tell_progress(end, len(message), took_us)
                self._schedule.after(took_us, self._sent, end)
            else:
                self._gone(end)
        if not end.outbox and end.gossip_dropped and end.is_open:
            end.gossip_dropped = False
            end.machine.submit(PeerDrained(end.peer))

    def _takes_us(self, end: End, size_bytes: int) -> int:
        """How long until the line has taken a message up."""
        if not end.line.bytes_per_second:
            return 0
        took_us = size_bytes * 1_000_000 // end.line.bytes_per_second
        if not end.line.takes_turns:
            return took_us
        machine, now_us = end.machine, self._schedule.now_us
        machine.upstream_free_us = max(machine.upstream_free_us, now_us) + took_us
        return machine.upstream_free_us - now_us

    def _has_room(self, end: End, size_bytes: int) -> bool:
        """Does the other end take more, as far as TCP knows?"""
        if end.is_silent and end.unread_bytes:
            return end.unread_bytes + size_bytes <= SOCKET_BYTES
        return not end.unread_bytes or end.unread_bytes + size_bytes <= end.terms.inbox_bytes

    def _sent(self, end: End) -> None:
        end.is_sending = False
        if end.is_open:
            self._gone(end)
            self._pump(end)

    def _gone(self, end: End, took_us: int = 0) -> None:
        """The first message of the outbox has left it; the line will have taken it up after `took_us`."""
        assert end.outbox  # noqa: S101 - or nothing could be gone
        message, counts = end.outbox.popleft()
        end.waiting_bytes -= counts
        end.moved_us = self._schedule.now_us
        self.sent_messages += 1
        self.sent_bytes += len(message)
        end.machine.sent_bytes += len(message)
        for tap in self.taps:
            tap(end, message)
        if not counts:
            end.machine.submit(ChainSaid(end.peer, len(message)))
        if end.inbox:  # whoever asks must read the answers, and now has
            self._schedule.at(end.moved_us, self._handle_next, end)
        if end.is_silent:
            if end.stuck is None:
                end.stuck = deque()
            end.stuck.append(message)
        else:
            self._launch(end, message, took_us)

    def _launch(self, end: End, message: bytes, took_us: int = 0) -> None:
        """A message is under way."""
        delay_us = end.line.delay_us(self._chance)
        if delay_us is None:
            self.cut(end, "the connection broke: too much was lost")
            return
        arrives_us = end.clear_us = max(end.clear_us, self._schedule.now_us + took_us + delay_us)
        self._schedule.at(arrives_us, self._arrive, end.other, message, len(message))
        line = end.line
        if line.repeated and end.terms.dialect is Dialect.CLASSIC and happens(self._chance, line.repeated):
            self._schedule.at(arrives_us, self._arrive, end.other, message, 0)
            again_us = arrives_us + self._chance.randrange(line.repeated_after_us)
            self._schedule.at(again_us, self._arrive, end.other, message, 0)

    def _tell_progress(self, end: End, size_bytes: int, took_us: int) -> None:
        """The node hears now and then that a long message is arriving."""
        if end.terms.progress_ms is None or end.is_silent:
            return
        every_us = end.terms.progress_ms * 1_000
        for so_far_us in range(every_us, min(took_us, 600 * every_us), every_us):
            at_us = self._schedule.now_us + so_far_us + end.line.latency_us[0]
            self._schedule.at(at_us, self._progress, end.other, size_bytes * so_far_us // took_us)

    @staticmethod
    def _progress(end: End, partial_bytes: int) -> None:
        if end.is_open and end.is_admitted and not end.other.is_silent:
            end.machine.submit(PeerProgressed(end.peer, partial_bytes))

    def _watch(self, end: End) -> None:
        """Nothing moves: see whether it does within `outbox_stall_ms`."""
        if not end.watched:
            end.watched = True
            self._schedule.after(self._limits.outbox_stall_ms * 1_000, self._check, end)

    def _check(self, end: End) -> None:
        end.watched = False
        if not end.is_open or not end.outbox:
            return
        stall_us = self._limits.outbox_stall_ms * 1_000
        if self._schedule.now_us - end.moved_us >= stall_us:
            self.drop(end, Rule.OUTBOX_DRAINS, f"it read nothing for {self._limits.outbox_stall_ms // 1_000} s")
        else:
            self._watch(end)

    # --- in ------------------------------------------------------------------------------------

    def _arrive(self, end: End, message: bytes, counts: int) -> None:
        """A message is at its end."""
        if not end.is_open:
            end.other.unread_bytes -= counts
            self.reset(end)
            return
        stranger_bytes = None if end.is_admitted else end.terms.stranger_message_bytes
        if len(message) > (stranger_bytes or end.terms.message_bytes):
            self.drop(end, Rule.MESSAGE_WITHIN_SIZE, f"a message of {len(message):,} bytes")
            return
        if not counts:  # a repetition: the line's doing, and no burden to the sender
            end.other.unread_bytes += len(message)
        if end.inbox is None and self._may_handle(end):
            self._handle(end, message)
            return
        if end.inbox is None:
            end.inbox = deque()
        end.inbox.append(message)
        self._handle_next(end)

    def _may_handle(self, end: End) -> bool:
        return not (
            end.is_handling or end.held_until_us > self._schedule.now_us or end.waiting_bytes > self._pause_of(end)
        )

    @staticmethod
    def _pause_of(end: End) -> int:
        """Two nodes with much to say to each other would else both stop to listen, and neither could go on to speak."""
        other = end.other
        is_full = other.outbox and not (other.is_sending or other.is_silent)
        return end.terms.outbox_choke_bytes if is_full else end.terms.outbox_pause_bytes

    def _handle(self, end: End, message: bytes) -> None:
        end.is_handling = True
        end.other.unread_bytes -= len(message)
        end.machine.submit(PeerSaid(end.peer, message))
        if end.other.outbox and not end.other.is_sending:
            self._pump(end.other)

    def _handle_next(self, end: End) -> None:
        while end.inbox and end.is_open and self._may_handle(end):
            message = end.inbox.popleft()
            if not end.inbox:
                end.inbox = None
            self._handle(end, message)

    def handled(self, end: End) -> None:
        """The last message was stepped: the next one may come."""
        end.is_handling = False
        if end.closed is not None:
            self._tell_closed(end)
        elif end.inbox:
            self._schedule.at(self._schedule.now_us, self._handle_next, end)

    def hold(self, end: End, for_ms: int) -> None:
        """Handle no message for so long; of two holds the longer counts."""
        until_us = self._schedule.now_us + for_ms * 1_000
        if until_us > end.held_until_us:
            end.held_until_us = until_us
            self._schedule.at(until_us, self._handle_next, end)

    # --- the end -------------------------------------------------------------------------------

    def hang_up(self, end: End, code: int, reason: str) -> None:
        """Close; what is under way arrives before that, what waits is forgotten."""
        self._close(end, f"we hung up: {code} {reason}", None, f"the peer hung up: {code} {reason!r}")

    def drop(self, end: End, rule: Rule, reason: str) -> None:
        """The other end broke a rule of the wire."""
        self._close(end, reason, rule, "the peer closed the connection")

    def cut(self, end: End, reason: str) -> None:
        """The connection breaks: both ends hear of it, and what was under way is lost."""
        for each in (end, end.other):
            self._learn(each, reason)

    def _close(self, end: End, reason: str, rule: Rule | None, told: str) -> None:
        if end.is_open:
            self._shut(end, reason, rule)
            if not end.is_silent:
                self._schedule.at(max(end.clear_us, self._schedule.now_us), self._learn, end.other, told)

    def _learn(self, end: End, reason: str) -> None:
        """The other end is gone, and this one hears of it."""
        if end.is_open:
            self._shut(end, reason, None)

    def _shut(self, end: End, reason: str, rule: Rule | None) -> None:
        end.is_open = False
        end.outbox = end.inbox = end.stuck = None
        end.waiting_bytes = 0
        end.closed = (reason, rule)
        if not end.is_handling:
            self._tell_closed(end)

    def _tell_closed(self, end: End) -> None:
        """Nothing of the peer comes after this."""
        assert end.closed is not None  # noqa: S101 - that is what is told
        (reason, rule), end.closed = end.closed, None
        if end.machine.ends.pop(end.peer, None) is not None:
            end.machine.submit(PeerClosed(end.peer, reason, rule))

    def reset(self, end: End) -> None:
        """Somebody speaks to an end that is closed, and is told so, if there is power."""
        if end.machine.is_powered and end.other.is_open and not end.is_silent:
            delay_us = end.line.delay_us(self._chance) or 0
            self._schedule.after(delay_us, self._learn, end.other, "the connection broke: reset by peer")

    def went_down(self, machine: Machine, *, said_goodbye: bool) -> None:
        """The process of a machine ended."""
        for end in list(machine.ends.values()):
            end.is_open = False
            end.outbox = end.inbox = end.stuck = None
            if machine.is_powered and not end.is_silent:
                reason = f"the peer hung up: {Close.SHUTTING_DOWN} ''" if said_goodbye else "the connection broke"
                self._schedule.at(max(end.clear_us, self._schedule.now_us), self._learn, end.other, reason)
        machine.ends.clear()

    def unmute(self, end: End) -> None:
        """Silence is over: what was sent into it is sent again."""
        if not end.is_open:
            self.reset(end)
            return
        stuck, end.stuck = end.stuck or (), None
        for message in stuck:
            if end.is_open:
                self._launch(end, message)
        if end.outbox and not end.is_sending:
            self._pump(end)
