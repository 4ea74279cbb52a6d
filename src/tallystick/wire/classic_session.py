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
from tallystick.wire.conversation import Conversation

HASH_LENGTH: Final = 64


class ClassicSession(Conversation):
    """State of a conversation with one classic peer. All times are monotonic milliseconds."""

    def __init__(
        self, remote: str, dialled: str | None, limits: Limits, now_ms: int, allowance: Allowance | None = None
    ) -> None:
        super().__init__(remote, dialled, limits, now_ms, allowance)
        self._asked_all_ms: int | None = None
        self._next_latest_ms = now_ms + limits.query_latest_every_ms
        self._chain_from_ms = now_ms + self.allowance.chains.take(0, now_ms)
        self._owes_chain = False
        self._saying_chain = False

    def claims(self, index: int, hash: str) -> None:
        """Note what the peer says its latest block is, if it could be one."""
        is_block = 0 <= index <= INDEX_MAX and len(hash) == HASH_LENGTH
        if is_block and (self.tip is None or index >= self.tip[0]):
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

    def next_ms(self) -> int:
        """When one of the above is next due."""
        times = [super().next_ms(), self._next_latest_ms]
        if self._owes_chain and not self._saying_chain:
            times.append(self._chain_from_ms)
        return min(times)
