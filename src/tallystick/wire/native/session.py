"""One conversation in the native dialect: what was asked and what was answered, what the other end has, and the
right to push.

*Requests* are numbered. A reply must echo a number that is under way, be of the kind that answers it, and come
once. One that comes after we gave the request up is ignored; any other is made up. An answer may also be late and still
welcome: whoever sent it believes from then on that we have what it holds.

*The right to push.* A block crosses a connection at most once, though both ends may have it to give. So only one
end at a time may push blocks unasked: at first the dialler. The other announces them, by index and hash. Who asks
for an announced block hands the right over with the question. So it settles at the end where new blocks come from,
and they arrive without a question; and as both ends know who has it, no block ever passes itself on the way.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

import msgspec

from tallystick.errors import Rule, RuleViolation
from tallystick.model.limits import Limits
from tallystick.wire.allowance import Allowance
from tallystick.wire.bucket import Bucket
from tallystick.wire.conversation import Conversation
from tallystick.wire.native import codec
from tallystick.wire.native.handshake import Handshake
from tallystick.wire.native.messages import Message, Part, Reply, Request
from tallystick.wire.native.table import TABLE

LATE_REQUESTS: Final = 8
"""So many of those whose answer is welcome however late it comes; of more, the oldest are given up."""

_PART_HEAD_BYTES: Final = 16
"""A part is longer than its piece by this at most."""


@dataclass(slots=True)
class Asked:
    """A request under way."""

    request: Request
    pieces: bytearray = field(default_factory=bytearray)
    """Parts of the reply so far."""


class NativeSession(Conversation):
    """State of a conversation with one native peer. All times are monotonic milliseconds."""

    def __init__(
        self,
        remote: str,
        dialled: str | None,
        limits: Limits,
        now_ms: int,
        *,
        handshake: Handshake,
        allowance: Allowance | None = None,
    ) -> None:
        super().__init__(remote, dialled, limits, now_ms, allowance)
        self.handshake = handshake
        self.may_push = dialled is not None
        self.latency_ms: int | None = None
        self._weight = 0
        """Of the best chain it claims to have."""

        self._whole_bytes = 0
        self._partial_bytes = 0
        self._ready_by_ms: int | None = now_ms + limits.handshake_ms
        self._asked: dict[int, Asked] = {}
        self._late: OrderedDict[int, Asked] = OrderedDict()
        self._expired: OrderedDict[int, None] = OrderedDict()
        self._next_id = 1
        self._known: OrderedDict[bytes, None] = OrderedDict()
        self._known_records: OrderedDict[bytes, None] = OrderedDict()
        self._rates: dict[type[Message], Bucket] = {}
        self._ping: tuple[bytes, int] | None = None

    # --- the handshake -------------------------------------------------------------------------

    @property
    def is_admitted(self) -> bool:
        """Is the handshake over?"""
        return self._ready_by_ms is None

    @property
    def key(self) -> bytes | None:
        """The node key that the other end proved to hold."""
        stranger = self.handshake.stranger
        return None if stranger is None else stranger.key

    @property
    def agent(self) -> str | None:
        """What the other end calls its program: printable ASCII."""
        stranger = self.handshake.stranger
        return None if stranger is None else stranger.hello.agent

    def admit(self, now_ms: int) -> None:
        """The handshake is over. The first ping comes early: it shows how far away the peer is."""
        self._ready_by_ms = None
        self._next_ping_ms = now_ms + self._limits.first_ping_ms

    def handshake_is_late(self, now_ms: int) -> bool:
        """Did it take too long to get acquainted?"""
        return self._ready_by_ms is not None and now_ms >= self._ready_by_ms

    # --- how much it takes ---------------------------------------------------------------------

    def takes(self, size_bytes: int) -> bool:
        """May a message be so long?"""
        stranger = self.handshake.stranger
        return stranger is None or size_bytes <= stranger.hello.frame_bytes

    @property
    def part_bytes(self) -> int:
        """Of a reply that goes out in parts, so much in one."""
        stranger = self.handshake.stranger
        most = self._limits.part_bytes
        return most if stranger is None else min(most, stranger.hello.frame_bytes - _PART_HEAD_BYTES)

    # --- how much comes in ---------------------------------------------------------------------

    @property
    def received_bytes(self) -> int:
        """Bytes of messages that have arrived, those of an incomplete one included."""
        return self._whole_bytes + self._partial_bytes

    def arriving(self, partial_bytes: int) -> None:
        """So much of the next message is here."""
        self._partial_bytes = partial_bytes

    def arrived(self, size_bytes: int) -> None:
        """A message is here."""
        self._whole_bytes += size_bytes
        self._partial_bytes = 0

    # --- what comes in -------------------------------------------------------------------------

    def receive(self, frame: bytes, now_ms: int) -> Message | None:
        """Read a frame; None when it is to be ignored, or a part of a reply that is not complete.

        Raises RuleViolation: MESSAGE_IS_DECODABLE, MESSAGE_WITHIN_SIZE, REQUESTS_WITHIN_RATE,
        REPLY_WAS_ASKED_FOR, REPLY_FITS_REQUEST. `answered` gives the request that a reply answers.
        """
        message = codec.decode(frame)
        if isinstance(message, Part):
            whole = self._join(message)
            if whole is None:
                return None
            number, message, frame = message.id, codec.decode(whole), whole
            if not isinstance(message, Reply) or message.id != number:
                raise RuleViolation(Rule.MESSAGE_IS_DECODABLE, f"parts of something that is no reply to {number}")
        if message is None:
            return None
        self._check_traffic(message, len(frame), now_ms)
        return message

    def _check_traffic(self, message: Message, size_bytes: int, now_ms: int) -> None:
        kind = type(message)
        traffic = TABLE[kind]
        if size_bytes > traffic.size_bytes:
            raise RuleViolation(
                Rule.MESSAGE_WITHIN_SIZE,
                f"{kind.__name__} of {size_bytes:,} bytes; at most {traffic.size_bytes:,} are allowed",
            )
        if traffic.per_minute is None:
            return
        rate = self._rates.get(kind)
        if rate is None:
            rate = self._rates[kind] = Bucket(traffic.per_minute, now_ms)
        if rate.take(1, now_ms):
            raise RuleViolation(
                Rule.REQUESTS_WITHIN_RATE, f"more than {traffic.per_minute:,} {kind.__name__} messages a minute"
            )

    def _join(self, part: Part) -> bytes | None:
        """The whole reply with its last part; None before, and for a reply that nobody waits for any more."""
        asked = self._asked.get(part.id) or self._late.get(part.id)
        if asked is None:
            if part.last:
                self._check_expired(part.id, "a part of a reply")
            elif part.id not in self._expired:
                raise _not_asked("a part of a reply", part.id)
            return None
        asked.pieces += part.piece
        if len(asked.pieces) > self._limits.reply_bytes:
            raise RuleViolation(
                Rule.MESSAGE_WITHIN_SIZE, f"a reply of more than {self._limits.reply_bytes:,} bytes, in parts"
            )
        if not part.last:
            return None
        whole = bytes(asked.pieces)
        asked.pieces.clear()
        return whole

    # --- requests ------------------------------------------------------------------------------

    def asks(self, request: Request) -> Request:
        """This request goes out now, with the number that is given to it here."""
        request = msgspec.structs.replace(request, id=self._next_id)
        self._next_id += 1
        self._asked[request.id] = Asked(request)
        return request

    def answered(self, reply: Reply) -> Request | None:
        """The request that `reply` answers, which is settled with it; None when we gave it up before.

        Raises RuleViolation: REPLY_WAS_ASKED_FOR, or REPLY_FITS_REQUEST when it is of another kind.
        """
        asked = self._asked.pop(reply.id, None) or self._late.pop(reply.id, None)
        if asked is None:
            self._check_expired(reply.id, type(reply).__name__)
            return None
        if TABLE[type(asked.request)].answered_by is not type(reply):
            raise RuleViolation(
                Rule.REPLY_FITS_REQUEST, f"{type(reply).__name__} in answer to {type(asked.request).__name__}"
            )
        return asked.request

    def wait_no_more(self, number: int) -> None:
        """Do not wait for the reply to this request. Should it come, it is welcome all the same."""
        asked = self._asked.pop(number, None)
        if asked is None:
            return
        self._late[number] = asked
        if len(self._late) > LATE_REQUESTS:
            self.give_up(next(iter(self._late)))

    def give_up(self, number: int) -> None:
        """Forget this request. Should its reply come, it is ignored."""
        if self._asked.pop(number, None) is None and self._late.pop(number, None) is None:
            return
        self._expired[number] = None
        if len(self._expired) > self._limits.expired_requests:
            self._expired.popitem(last=False)

    def under_way(self) -> list[Asked]:
        """The requests without an answer, oldest first."""
        return [*self._late.values(), *self._asked.values()]

    @property
    def unfinished_bytes(self) -> int:
        """Of replies of which some parts are here."""
        return sum(len(asked.pieces) for asked in self.under_way())

    def _check_expired(self, number: int, what: str) -> None:
        if number not in self._expired:
            raise _not_asked(what, number)
        del self._expired[number]

    # --- what the other end has ----------------------------------------------------------------

    def claims(self, index: int, hash: str, weight: int) -> None:
        """Note what it says its latest block is, and what the chain up to it weighs."""
        if weight >= self._weight:
            self.tip, self._weight = (index, hash), weight

    def outweighs(self, weight: int) -> bool:
        """Does it say that it has a better chain than one of this weight? Then it need not hear of that.

        What counts is what fork choice goes by: a chain of many easy blocks may weigh less than a short one.
        """
        return self._weight > weight

    def knows(self, hash: bytes) -> bool:
        """Does it have this block, as far as we can tell?"""
        return hash in self._known

    def learns(self, hash: bytes) -> None:
        """It has this block now. Of the oldest we forget that it has them."""
        _remember(self._known, hash, self._limits.known_blocks)

    def knows_record(self, leaf: bytes) -> bool:
        """Does it have the record with this leaf hash, as far as we can tell?"""
        return leaf in self._known_records

    def learns_record(self, leaf: bytes) -> None:
        """It has this record now. Of the oldest we forget that it has them, and tell it again at worst."""
        _remember(self._known_records, leaf, self._limits.known_records)

    # --- staying in touch ----------------------------------------------------------------------

    def pinged(self, nonce: bytes, now_ms: int) -> None:
        """A ping goes out."""
        self._ping = (nonce, now_ms)

    def pong(self, nonce: bytes, now_ms: int) -> None:
        """An answer came. Only the one to our last ping counts."""
        if self._ping is not None and self._ping[0] == nonce:
            self.latency_ms = now_ms - self._ping[1]
            self._ping = None
            self.ponged()

    def next_ms(self) -> int:
        """When something is next due."""
        if self._ready_by_ms is not None:
            return self._ready_by_ms
        if self._pong_by_ms is None:  # asked after each step, of each peer, and mostly so
            return self._next_ping_ms
        return super().next_ms()

    def excuse(self, late_ms: int) -> None:
        super().excuse(late_ms)
        if self._ready_by_ms is not None:
            self._ready_by_ms += late_ms


def _remember(known: OrderedDict[bytes, None], name: bytes, most: int) -> None:
    """As the newest of at most so many."""
    known[name] = None
    known.move_to_end(name)
    if len(known) > most:
        known.popitem(last=False)


def _not_asked(what: str, number: int) -> RuleViolation:
    return RuleViolation(Rule.REPLY_WAS_ASKED_FOR, f"{what} with number {number}, which nobody asked for")
