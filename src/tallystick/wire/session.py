"""One conversation in the classic dialect: what we asked, what we owe, and when to speak up again.

The dialect has no request numbers: an answer to QUERY_ALL is just a RESPONSE_BLOCKCHAIN of many blocks.
So a session remembers that it asked, in order not to ask the same peer again and again for what it
cannot or will not send, and that it was asked, in order to answer a flood of queries at a measured pace.
"""

from __future__ import annotations

from typing import Final

from tallystick.model.block import INDEX_MAX
from tallystick.model.limits import Limits
from tallystick.wire.allowance import Allowance

HASH_LENGTH: Final = 64


class Session:
    """State of a conversation with one peer. All times are monotonic milliseconds."""

    def __init__(
        self, remote: str, dialled: str | None, limits: Limits, now_ms: int, allowance: Allowance | None = None
    ) -> None:
        """Begin, with `allowance` if the address used some of it up before."""
        self.remote = remote
        self.dialled = dialled
        self.opened_ms = now_ms
        self.tip: tuple[int, str] | None = None
        """Index and hash of the highest block it told us of, unverified."""

        self.closing = False
        """We hung up; the connection is not gone yet, and nothing it says counts any more."""

        self._limits = limits
        self._asked_all_ms: int | None = None
        self._next_latest_ms = now_ms + limits.query_latest_every_ms
        self._next_ping_ms = now_ms + limits.ping_every_ms
        self._pong_by_ms: int | None = None
        self.allowance = allowance or Allowance(limits, now_ms)
        self._chain_from_ms = now_ms + self.allowance.chains.take(0, now_ms)
        self._owes_chain = False
        self._saying_chain = False

    def claims(self, index: int, hash: str) -> None:
        """Note what the peer says its latest block is, for the operator to see."""
        if 0 <= index <= INDEX_MAX and len(hash) == HASH_LENGTH and (self.tip is None or index >= self.tip[0]):
            self.tip = (index, hash)

    # --- asking --------------------------------------------------------------------------------

    def may_ask_all(self, now_ms: int) -> bool:
        """Is it worth sending QUERY_ALL? If so, count it as sent."""
        if self._asked_all_ms is not None and now_ms - self._asked_all_ms < self._limits.query_all_patience_ms:
            return False
        self._asked_all_ms = now_ms
        return True

    def got_chain(self) -> None:
        """The peer sent blocks that link to ours, or nothing new: QUERY_ALL is answered, and may be asked again."""
        self._asked_all_ms = None

    def spend(self, size_bytes: int, now_ms: int) -> int:
        """Count what this peer costs us; for how many ms should nothing more be read from it?"""
        return self.allowance.received.take(size_bytes, now_ms)

    # --- answering QUERY_ALL -------------------------------------------------------------------

    def owe_chain(self) -> None:
        """The peer asked for the whole chain. Several questions before an answer are one."""
        self._owes_chain = True

    def chain_to_say(self, now_ms: int) -> bool:
        """Is it time to answer? If so, count the answer as under way."""
        if not self._owes_chain or self._saying_chain or now_ms < self._chain_from_ms:
            return False
        self._owes_chain, self._saying_chain = False, True
        return True

    def chain_said(self, size_bytes: int, now_ms: int) -> None:
        """An answer of this size is out. The chain being too long costs as much as the longest that is not."""
        self._saying_chain = False
        self._chain_from_ms = now_ms + self.allowance.chains.take(size_bytes or self._limits.message_bytes, now_ms)

    def ended(self, now_ms: int) -> None:
        """The connection is gone. How much of a chain under way was sent, nobody counted: it costs as much as any."""
        if self._saying_chain:
            self.chain_said(0, now_ms)

    # --- staying in touch ----------------------------------------------------------------------

    def latest_is_due(self, now_ms: int) -> bool:
        """Is it time to send QUERY_LATEST again? If so, count it as sent."""
        if now_ms < self._next_latest_ms:
            return False
        self._next_latest_ms = now_ms + self._limits.query_latest_every_ms
        return True

    def ping_is_due(self, now_ms: int) -> bool:
        """Is it time to ping? If so, count it as sent."""
        if now_ms < self._next_ping_ms:
            return False
        self._next_ping_ms = now_ms + self._limits.ping_every_ms
        if self._pong_by_ms is None:
            self._pong_by_ms = now_ms + self._limits.pong_within_ms
        return True

    def ponged(self) -> None:
        """The peer answered a ping."""
        self._pong_by_ms = None

    def is_silent(self, now_ms: int) -> bool:
        """Did the peer leave a ping unanswered for too long?"""
        return self._pong_by_ms is not None and now_ms >= self._pong_by_ms

    def excuse(self, late_ms: int) -> None:
        """We ourselves stood still: what the peer sent meanwhile is not read yet."""
        if self._pong_by_ms is not None:
            self._pong_by_ms += late_ms

    def next_ms(self) -> int:
        """When one of the above is next due."""
        times = [self._next_latest_ms, self._next_ping_ms]
        if self._pong_by_ms is not None:
            times.append(self._pong_by_ms)
        if self._owes_chain and not self._saying_chain:
            times.append(self._chain_from_ms)
        return min(times)
