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
from tallystick.model.block import Header, header_of
from tallystick.model.limits import MINUTE_MS, SECOND_MS, Limits
from tallystick.model.sealed import AnyBlock
from tallystick.node.effects import Effect, Log
from tallystick.node.inputs import Moment
from tallystick.node.survey import Surveying, point_of
from tallystick.wire import classic
from tallystick.wire.native.batch import Batch, Blame
from tallystick.wire.native.messages import GetHeaders, GetSurvey, Headers, Point, Survey
from tallystick.wire.native.sync import Received, Sync

UNFOLLOWED_MS: Final = 10 * MINUTE_MS
"""A branch that may not be followed is not looked at again before this."""


class Fetching:
    """Owner of the running sync and of what it has staged."""

    def __init__(self, engine: Engine, chain: Chain, limits: Limits) -> None:
        self._engine = engine
        self._chain = chain
        self._limits = limits
        self.sync = Sync(limits, sealed=engine.takes_records)
        self._staged: Header | None = None
        self._root: Header | None = None
        """The last and the first block that are staged, since our chain last switched."""

        self._switches = 0

        self._survey: tuple[Batch, Surveying] | None = None
        """Of the lead's chain, where headers show what a chain weighs; and what it is made for."""

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

    def requests(self, now_ms: int, received: Received, view: View) -> list[tuple[int, Batch, GetHeaders | GetSurvey]]:
        """What to ask of whom; the numbers of the requests are the caller's to fill in."""
        asks = self.sync.asks(self._chain.weight, now_ms, received)
        return [(ask.peer, ask.batch, self._request(ask.batch, view)) for ask in asks]

    def _request(self, batch: Batch, view: View) -> GetHeaders | GetSurvey:
        if batch.at is None and self._engine.surveys:
            if self._survey is not None and self._survey[0] is batch:
                return self._survey[1].request()
            return GetSurvey(1, self._locator(view), None, self._limits.headers_per_reply)
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

    def survey(self, batch: Batch, request: GetSurvey, reply: Survey, moment: Moment) -> Blame | Log | None:
        """Check headers of the lead's chain. Raises RuleViolation when it is to blame."""
        now_ms, view = moment.now.mono_ms, moment.view
        surveying = self._survey[1] if self._survey is not None and self._survey[0] is batch else None
        self._survey = None
        try:
            if surveying is None:
                surveying = self._begin_survey(request, reply, view)
            elif reply.parent != request.locator[0]:
                return self.sync.lacks(batch, now_ms)  # its best chain is another one by now
            is_over = surveying.take(reply, moment.now.wall_ms)
        except RuleViolation:
            self.sync.failed(batch)
            raise
        if surveying.ends_in_future and surveying.weight <= self._chain.weight:
            self.sync.failed(batch)
            self.sync.avoid_lead(now_ms + self._limits.query_all_patience_ms)
            fields = {"after_block": surveying.last.index, "ours": self._chain.tip.index}
            return Log("warning", "a heavier chain goes on in the future; is a clock wrong?", fields)
        if not is_over:
            self._survey = (batch, surveying)
            self.sync.goes_on(batch)
            return None
        return self._surveyed(batch, surveying, now_ms, view)

    def _begin_survey(self, request: GetSurvey, reply: Survey, view: View) -> Surveying:
        parent = reply.parent
        fork = self._chain.find(parent.index, parent.hash.hex(), view)
        if fork is None or (parent not in request.locator and not self._chain.has(fork.index, fork.hash, view)):
            raise _misfit(f"it starts after block {parent.index} {parent.hash.hex()}, which was not asked for")
        return Surveying(self._engine, fork, self._chain.past(view), self._limits)

    def _surveyed(self, batch: Batch, surveying: Surveying, now_ms: int, view: View) -> Blame | Log | None:
        """All headers of the lead are checked: is its chain the better one? Then it is fetched."""
        fork = point_of(surveying.fork)
        if surveying.weight > self._chain.weight and (refused := self._begin(batch, fork, now_ms, view)) is not None:
            return refused
        weights = (surveying.weight, self._chain.weight)
        return self.sync.surveyed(batch, fork, [*surveying.ends, point_of(surveying.last)], weights, now_ms)

    def take(self, batch: Batch, request: GetHeaders, reply: Headers, moment: Moment) -> Blame | Log | None:
        """Check an answer. Raises RuleViolation when its sender is to blame; the batch is asked of somebody else."""
        now_ms, view = moment.now.mono_ms, moment.view
        if batch.at is not None and reply.parent.index == 0 and reply.parent not in request.locator:
            return self.sync.lacks(batch, now_ms)  # its best chain is another one by now
        try:
            self._check_fits(batch, request, reply, view)
            blocks = self._engine.check_run(reply.parent.index, reply.parent.hash.hex(), reply.blocks)
            _check_end(request.stop, blocks)
            classic.check_can_be_passed_on(blocks, self._limits.message_bytes)
        except RuleViolation:
            self.sync.failed(batch)
            raise
        if batch.at is None and (refused := self._begin(batch, reply.parent, now_ms, view)) is not None:
            return refused
        return self.sync.received(batch, blocks, reply.plan, now_ms)

    def _check_fits(self, batch: Batch, request: GetHeaders, reply: Headers, view: View) -> None:
        """Is this what was asked for?"""
        parent = reply.parent
        named = parent in request.locator or (
            batch.at is None and self._chain.has(parent.index, parent.hash.hex(), view)
        )
        if not named:
            raise _misfit(f"it starts after block {parent.index} {parent.hash.hex()}, which was not asked for")
        if len(reply.blocks) > request.most or (reply.plan and not request.plan):
            raise _misfit(f"{len(reply.blocks)} blocks and a plan of {len(reply.plan)}; that was not asked for")

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

    def connect(self, moment: Moment) -> tuple[Change, list[Effect], Blame | None]:
        """Put the next run that is here on the chain or beside it; one run, for the view shows it only then.

        The effects belong before the change's writes. Whose chain it is, is to blame when it cannot be followed.
        """
        now_ms, view = moment.now.mono_ms, moment.view
        run = self.sync.take()
        if not run:
            return Change(), [], None
        effects: list[Effect] = []
        if self._switches != self._chain.switches:  # it may have taken some of it, and given it back to be dropped
            self._root, self._switches = None, self._chain.switches
        if self._staged is not None and self._chain.has(run[0].index - 1, run[0].previous_hash, view):
            effects.append(self._drop_staged())  # another branch than the one that was arriving
        try:
            change = self._chain.extend(run, view, moment.now.wall_ms, staged=True, root=self._root)
        except RuleViolation as broken:
            if broken.rule is Rule.PARENT_IS_KNOWN and self._left_staged:
                effects.append(self._drop_staged())  # it leads nowhere, and the next sync would go on from it again
            effects.append(Log("debug", "sync begins again", {"why": broken.detail}))
            return Change(), effects, self._broke_off(broken, now_ms)
        if change.writes:
            self.sync.connected(run[-1].index, now_ms)
        if change.reorg is not None:
            self._rest_after(change.reorg, now_ms)
        if change.reorg is not None or change.appended:
            self._staged, self._root, self._staged_bytes = None, None, 0
        elif change.writes:
            effects += self._note_staged(run, change, now_ms)
        return change, effects, None

    def _broke_off(self, broken: RuleViolation, now_ms: int) -> Blame | None:
        """What was fetched cannot be connected: stop, and begin again from what our chain is now."""
        lead = self.sync.lead
        if broken.rule is Rule.TIME_NOT_FROM_FUTURE:
            self.sync.avoid_lead(now_ms + self._limits.query_all_patience_ms)
        self.sync.stop()
        is_ours = broken.rule in {Rule.PARENT_IS_KNOWN, Rule.TIME_NOT_FROM_FUTURE}  # our chain changed, or the clock
        return None if lead is None or is_ours else Blame(lead, broken)

    def _rest_after(self, reorg: Reorg, now_ms: int) -> None:
        if len(reorg.detach) > self._limits.recent_headers:
            moved = len(reorg.detach) + len(reorg.attach)
            self._resting_until_ms = now_ms + moved * self._limits.deep_switch_rest_ms // 1_000

    def _note_staged(self, run: Sequence[AnyBlock], change: Change, now_ms: int) -> list[Effect]:
        if self._root is None:
            self._root = next(header_of(write.blocks[0]) for write in change.writes if isinstance(write, AddSide))
        self._staged, self._left_staged = header_of(run[-1]), True
        self._staged_bytes += sum(block.size_bytes + self._limits.side_block_bytes for block in run)
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


def _check_end(stop: Point | None, blocks: Sequence[AnyBlock]) -> None:
    """Does a run end where it was to end, or before? Raises RuleViolation."""
    if stop is None or not blocks:
        return
    last = blocks[-1]
    if last.index > stop.index or (last.index == stop.index and last.hash != stop.hash.hex()):
        raise _misfit(f"it does not end in block {stop.index} {stop.hash.hex()}")


def _misfit(detail: str) -> RuleViolation:
    return RuleViolation(Rule.REPLY_FITS_REQUEST, detail)
