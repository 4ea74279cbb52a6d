"""What follows from a change of the best chain, whoever caused it.

The writes that make it durable, in the first place; then callers who wait for a block are answered, the other peers
hear of it, the operator reads of a switch of branches, and what the switch took off and we had acknowledged is looked
for.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tallystick.chain.chain import Change
from tallystick.chain.contracts import Engine
from tallystick.chain.duties import Remining
from tallystick.chain.forkchoice import Reorg
from tallystick.chain.writes import Switch
from tallystick.model.limits import MINUTE_MS
from tallystick.node.effects import Effect, Log
from tallystick.node.gossip import Gossip
from tallystick.node.inputs import Moment
from tallystick.node.pool import Pool
from tallystick.node.posting import Posting
from tallystick.node.relay import Relay

REFUSALS_EVERY_MS: Final = MINUTE_MS
"""From one line about a branch that is not followed to the next: each block on top of it is refused anew."""


class Consequences:
    """Turns changes into effects. Owner of what the operator was told last."""

    def __init__(
        self, engine: Engine, gossip: Gossip, remining: Remining, *, posting: Posting, pool: Pool, relay: Relay
    ) -> None:
        self._engine = engine
        self._relay = relay
        self._posting = posting
        self._pool = pool
        self._gossip = gossip
        self._remining = remining
        self._refusal_told_ms: int | None = None

    def of(self, change: Change, source: int | None, remote: str, moment: Moment) -> list[Effect]:
        """All effects of a change that the peer `source`, at `remote`, brought about; `None` for ourselves."""
        if change.reorg is not None:
            self._remining.expect_losses(moment.now.mono_ms, moment.entropy)
            self._relay.switched(moment.now.mono_ms)
        lines = self._lines(change, remote, moment.now.mono_ms)
        for block in change.appended if self._engine.takes_records else ():
            self._pool.sealed(self._engine.records(block))
        if self._engine.takes_records:
            self._relay.came(change.appended, moment.now.mono_ms)
        return [
            *change.writes,
            *self._posting.changed(change, moment.now.mono_ms),
            *self._gossip.announce(change, source, moment.view),
            *lines,
        ]

    def _lines(self, change: Change, remote: str, now_ms: int) -> list[Log]:
        """What the operator should know of blocks that a peer sent."""
        if change.refused is not None:
            if self._refusal_told_ms is not None and now_ms - self._refusal_told_ms < REFUSALS_EVERY_MS:
                return []
            self._refusal_told_ms = now_ms
            return [Log("error", "a longer branch is not followed", {"peer": remote, "why": change.refused.detail})]
        return [] if change.reorg is None else [_switched(change.reorg, remote)]


def has_switched(effects: Iterable[Effect]) -> bool:
    """Is one of these a switch of branches? The view of this step does not show it, so what is on the chain and what
    is lost is to be asked in the next one."""
    return any(isinstance(effect, Switch) for effect in effects)


def _switched(reorg: Reorg, remote: str) -> Log:
    fields = {
        "peer": remote,
        "fork": reorg.fork.index,
        "taken_off": len(reorg.detach),
        "put_on": len(reorg.attach),
        "tip": reorg.new_tip.hash,
    }
    return Log("warning", "switched to a longer branch", fields)
