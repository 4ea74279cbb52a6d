"""Sealing blocks where a nonce has to be found: what is searched for, and what becomes of a find.

A *draft* is a block on the tip, with the oldest records of the pool, that lacks nothing but its nonce. It is made
anew when the tip moves, when records came that it does not hold, and now and then for the sake of its time. The
search itself happens outside (`Mine`, `Mined`). Blocks without records are sealed too, or the schedule that
difficulty follows would decay.

A draft is made in a step of its own, for the view of a step does not show what that same step writes.
"""

from __future__ import annotations

from typing import Final

from tallystick.chain.chain import Chain, Change
from tallystick.chain.contracts import Draft, Engine, View
from tallystick.errors import RuleViolation
from tallystick.model.limits import MINUTE_MS, SECOND_MS, Limits
from tallystick.node.effects import Effect, Log, Mine
from tallystick.node.inputs import Mined, Moment
from tallystick.node.ports import MiningStatus

REDATE_TEMPLATES: Final = 10
"""A draft that nothing is to be added to is dated anew after so many times `Limits.template_ms`."""


class Sealing:
    """Owner of the search that is under way. Times are monotonic milliseconds."""

    def __init__(self, engine: Engine, chain: Chain, limits: Limits, *, mines: bool, now_ms: int) -> None:
        self._engine = engine
        self._chain = chain
        self._limits = limits
        self._mines = mines and engine.takes_records
        self._number = 0
        self._draft: Draft | None = None
        self._on = ""
        """Hash of the block that the draft follows."""

        self._drafted_ms = now_ms
        self._pool_changed = False

    # --- what is to be searched ----------------------------------------------------------------

    def pool_changed(self) -> None:
        """Records came that the draft does not hold, or some that it holds are not what they were."""
        self._pool_changed = True

    def erased(self) -> None:
        """Data was erased that the draft may hold: it is made anew at once."""
        self._draft = None

    def next_ms(self) -> int | None:
        """When `tick` next has something to do."""
        if not self._mines:
            return None
        if self._draft is None or self._on != self._chain.tip.hash or (self._pool_changed and not self._draft.records):
            return self._drafted_ms
        wait = 1 if self._pool_changed else REDATE_TEMPLATES
        return self._drafted_ms + wait * self._limits.template_ms

    def tick(self, moment: Moment) -> list[Effect]:
        """Make a new draft, if it is time."""
        due = self.next_ms()
        if due is None or due > moment.now.mono_ms:
            return []
        records, _ = moment.view.pool(0, *self._engine.room())
        try:
            draft = self._chain.draft(records, moment.view, moment.now.wall_ms)
        except RuleViolation as refused:
            self._drafted_ms = moment.now.mono_ms + self._limits.template_ms
            return [Log("error", "no block can be made", {"why": refused.detail})]
        ahead_ms = draft.timestamp - moment.now.wall_ms
        if ahead_ms > self._limits.future_ms:
            self._draft, self._drafted_ms = None, moment.now.mono_ms + MINUTE_MS
            why = f"the newest blocks are dated {ahead_ms // SECOND_MS:,} s ahead of this clock: nobody would take more"
            return [Log("error", "no block can be made; is a clock wrong?", {"why": why})]
        self._draft, self._on = draft, self._chain.tip.hash
        self._drafted_ms, self._pool_changed = moment.now.mono_ms, False
        self._number += 1
        return [Mine(self._number, draft.head, draft.target, draft.difficulty, draft.expected_hashes)]

    # --- what was found ------------------------------------------------------------------------

    def mined(self, event: Mined) -> Change:
        """A nonce was found: put the block on the chain. No change when the search was for another tip or draft."""
        draft = self._draft
        if draft is None or event.number != self._number or self._on != self._chain.tip.hash:
            return Change()
        block = draft.sealed(event.nonce)
        if block is None:
            return Change()
        self._draft = None
        return self._chain.take_sealed(block, draft.tops)

    # --- for the operator ----------------------------------------------------------------------

    def status(self, wall_ms: int, view: View) -> MiningStatus | None:
        """How difficult the next block is."""
        if not self._engine.takes_records:
            return None
        draft = self._draft
        if draft is None or self._on != self._chain.tip.hash:
            draft = self._chain.draft((), view, wall_ms)
        return MiningStatus(draft.bits, draft.difficulty, draft.expected_hashes, is_mining=self._mines)
