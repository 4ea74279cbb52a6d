"""Fetching the chain of peers that are ahead, and putting it on ours.

`wire.native.sync` decides what to ask of whom; here its answers are checked and become part of the chain. A run
that follows our tip is appended. One that leaves our chain further down is *staged*, on disk and beside the chain,
until it has become the better branch; then one switch takes all of it. One run a step: the next step's view shows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tallystick.chain.chain import Chain, Change
from tallystick.chain.contracts import Engine, View
from tallystick.chain.forkchoice import Reorg
from tallystick.chain.writes import AddSide, DropStaged
from tallystick.errors import Rule, RuleViolation
from tallystick.model.block import Block, Header, header_of
from tallystick.model.limits import MINUTE_MS, SECOND_MS, Limits
from tallystick.node.effects import Effect, Log
from tallystick.wire import classic
from tallystick.wire.native.messages import GetHeaders, Headers, Point
from tallystick.wire.native.sync import Batch, Blame, Received, Sync

UNFOLLOWED_MS: Final = 10 * MINUTE_MS
"""A branch that may not be followed is not looked at again before this."""


class Fetching:
    """Owner of the running sync and of what it has staged."""

    def __init__(self, engine: Engine, chain: Chain, limits: Limits) -> None:
        self._engine = engine
        self._chain = chain
        self._limits = limits
        self.sync = Sync(limits)
        self._staged: Header | None = None
        self._root: Header | None = None
        """The last and the first block that are staged."""

        self._resting_until_ms = 0
        """No deep switch before this."""

        self._staged_bytes = 0
        self._left_staged = False
        """Was anything staged since the last DropStaged? A switch may leave some of it behind."""

    @property
    def reached(self) -> Header:
        """The last block that is on disk of what we follow or fetch."""
        return self._staged or self._chain.tip

    # --- asking --------------------------------------------------------------------------------

    def requests(self, now_ms: int, received: Received, view: View) -> list[tuple[int, Batch, GetHeaders]]:
        """What to ask of whom; the numbers of the requests are the caller's to fill in."""
        asks = self.sync.asks(self._chain.weight, now_ms, received)
        return [(ask.peer, ask.batch, self._request(ask.batch, view)) for ask in asks]

    def _request(self, batch: Batch, view: View) -> GetHeaders:
        locator = self._locator(view) if batch.at is None else (batch.at,)
        return GetHeaders(1, locator, batch.stop, self._limits.batch_blocks, batch.stop is None)

    def _locator(self, view: View) -> tuple[Point, ...]:
        staged = [] if self._staged is None else [self._staged]
        ours = self._chain.locator(view, self._limits.locator_points - len(staged))
        return tuple(Point(header.index, bytes.fromhex(header.hash)) for header in (*staged, *ours))

    def probe(self, view: View) -> GetHeaders:
        """A question that only wants to know how far a peer is."""
        return GetHeaders(1, self._locator(view), None, 1, plan=False)

    # --- answers -------------------------------------------------------------------------------

    def take(self, batch: Batch, request: GetHeaders, reply: Headers, now_ms: int, view: View) -> Blame | Log | None:
        """Check an answer. Raises RuleViolation when its sender is to blame; the batch is asked of somebody else."""
        if batch.at is not None and reply.parent.index == 0 and reply.parent not in request.locator:
            return self.sync.lacks(batch, now_ms)  # its best chain is another one by now
        try:
            self._check_fits(batch, request, reply, view)
            blocks = self._engine.check_run(reply.parent.index, reply.parent.hash.hex(), reply.blocks)
            classic.check_can_be_passed_on(blocks, self._limits.message_bytes)
        except RuleViolation:
            self.sync.failed(batch)
            raise
        if batch.at is None and (refused := self._begin(batch, reply.parent, now_ms, view)) is not None:
            return refused
        return self.sync.received(batch, blocks, reply.plan, now_ms)

    def _check_fits(self, batch: Batch, request: GetHeaders, reply: Headers, view: View) -> None:
        """Is this what was asked for?"""
        parent, last = reply.parent, reply.parent.index + len(reply.blocks)
        named = parent in request.locator or (
            batch.at is None and self._chain.has(parent.index, parent.hash.hex(), view)
        )
        if not named:
            raise _misfit(f"it starts after block {parent.index} {parent.hash.hex()}, which was not asked for")
        if len(reply.blocks) > request.most or (reply.plan and not request.plan):
            raise _misfit(f"{len(reply.blocks)} blocks and a plan of {len(reply.plan)}; that was not asked for")
        stop = request.stop
        if (
            stop is not None
            and reply.blocks
            and (last > stop.index or (last == stop.index and reply.blocks[-1].hash != stop.hash))
        ):
            raise _misfit(f"it does not end in block {stop.index} {stop.hash.hex()}")

    def _begin(self, batch: Batch, fork: Point, now_ms: int, view: View) -> Log | None:
        """The lead's chain leaves ours at `fork`; may it be followed?"""
        header = self._chain.at(fork.index, view)
        if header is None or header.hash != fork.hash.hex():
            batch.at = fork  # it goes on from what is staged
            return None
        if not self._chain.depth_allowed(header):
            why = f"it leaves ours after block {fork.index}, and following it would take off too many (--max-reorg)"
            self.sync.failed(batch)
            self.sync.avoid_lead(now_ms + UNFOLLOWED_MS)
            return Log("error", "a longer branch is not followed", {"why": why})
        if self._chain.is_deep(header) and now_ms < self._resting_until_ms:
            self.sync.failed(batch)
            self.sync.avoid_lead(self._resting_until_ms)
            wait_s = (self._resting_until_ms - now_ms) // SECOND_MS + 1
            return Log("warning", "a longer branch has to wait after a deep switch", {"fork": fork.index, "s": wait_s})
        batch.at = fork
        return None

    # --- connecting ----------------------------------------------------------------------------

    def connect(self, now_ms: int, view: View) -> tuple[Change, list[Effect]]:
        """Put the next run that is here on the chain or beside it; one run, for the view shows it only then.

        The effects belong before the change's writes.
        """
        run = self.sync.take()
        if not run:
            return Change(), []
        effects: list[Effect] = []
        if self._staged is not None and self._chain.has(run[0].index - 1, run[0].previous_hash, view):
            effects.append(self._drop_staged())  # another branch than the one that was arriving
        try:
            change = self._chain.extend(run, view, staged=True, root=self._root)
        except RuleViolation as broken:
            self.sync.stop()  # our own chain changed underneath: begin again from what it is now
            return Change(), [*effects, Log("debug", "sync begins again", {"why": broken.detail})]
        if change.writes:
            self.sync.connected(run[-1].index, now_ms)
        if change.reorg is not None:
            self._rest_after(change.reorg, now_ms)
        if change.reorg is not None or change.appended:
            self._staged, self._root, self._staged_bytes = None, None, 0
        elif change.writes:
            effects += self._note_staged(run, change, now_ms)
        return change, effects

    def _rest_after(self, reorg: Reorg, now_ms: int) -> None:
        if len(reorg.detach) > self._limits.recent_headers:
            moved = len(reorg.detach) + len(reorg.attach)
            self._resting_until_ms = now_ms + moved * self._limits.deep_switch_rest_ms // 1_000

    def _note_staged(self, run: Sequence[Block], change: Change, now_ms: int) -> list[Effect]:
        if self._root is None:
            self._root = next(header_of(write.blocks[0]) for write in change.writes if isinstance(write, AddSide))
        self._staged, self._left_staged = header_of(run[-1]), True
        self._staged_bytes += sum(len(block.data) + self._limits.side_block_bytes for block in run)
        too_long = self._staged_bytes > self._limits.staged_bytes
        if change.refused is None and not too_long:
            return []
        self.sync.avoid_lead(now_ms + UNFOLLOWED_MS)
        if change.refused is not None:
            return []  # `Consequences` says so
        return [Log("error", "a longer branch is not followed", {"why": "it is too long to be staged"})]

    def settle(self, now_ms: int) -> Blame | None:
        """After everything that is here was connected: did the lead keep its word?"""
        # What is staged may be another's, and the chain of this lead no better than ours, which is no lie.
        finished = self.sync.finish(max(self._engine.weight(self.reached), self._chain.weight))
        if finished is not None:
            lead, short = finished
            if short:
                self.sync.avoid(lead, now_ms + self._limits.query_all_patience_ms)
                detail = f"it claimed {short} more than it has"
                return Blame(lead, RuleViolation(Rule.CLAIM_IS_PROVEN, detail))
        return None

    def clear(self) -> list[Effect]:
        """Forget what is staged when nothing is fetched any more that could go on from it."""
        return [self._drop_staged()] if self._left_staged and not self.sync.is_active else []

    def _drop_staged(self) -> DropStaged:
        self._staged, self._root, self._staged_bytes, self._left_staged = None, None, 0, False
        return DropStaged()


def _misfit(detail: str) -> RuleViolation:
    return RuleViolation(Rule.REPLY_FITS_REQUEST, detail)
