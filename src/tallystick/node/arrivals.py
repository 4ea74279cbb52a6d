"""New blocks of native peers: pushed whole, or announced by name and then asked for.

What continues our chain is taken at once. What is a little ahead is probably on its way to us, by another road, and
is waited for, a moment. Whoever is further ahead is fetched from (`fetching`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from tallystick.chain.chain import Chain
from tallystick.chain.contracts import Engine, Unchecked
from tallystick.errors import Rule, RuleViolation
from tallystick.model.limits import SECOND_MS, Limits
from tallystick.node.consequences import Consequences, has_switched
from tallystick.node.effects import Effect, Say
from tallystick.node.inputs import Moment
from tallystick.node.peering import Peers
from tallystick.wire import classic
from tallystick.wire.native import codec
from tallystick.wire.native.messages import Announce, Blocks, GetBlocks, Point, Push, Request
from tallystick.wire.native.session import NativeSession
from tallystick.wire.native.sync import Received, Sync


@dataclass(frozen=True, slots=True)
class AskedFor:
    """Announced blocks that were asked for."""

    peer: int
    number: int
    asked_ms: int
    received_bytes: int
    """From that peer, when it was asked."""


class Arrivals:
    """Owner of what was asked for by name, and of the patience with what is on its way. Times are monotonic
    milliseconds."""

    def __init__(
        self,
        engine: Engine,
        chain: Chain,
        peers: Peers,
        sync: Sync,
        *,
        consequences: Consequences,
        limits: Limits,
        received: Received,
    ) -> None:
        self._engine = engine
        self._chain = chain
        self._peers = peers
        self._sync = sync
        self._consequences = consequences
        self._limits = limits
        self._received = received
        self._wanted: AskedFor | None = None
        self._look_ms = 0
        """When to see whether that comes."""

        self._patient_until_ms = 0
        """A block that is a little ahead was told of: what is missing is on its way."""

        self._patient_at, self._patient_from_ms = "", 0
        """Our tip then, and since when: whoever tells again and again of blocks that never come gains no more."""

    # --- what peers say ------------------------------------------------------------------------

    def pushed(self, peer: int, session: NativeSession, push: Push, moment: Moment) -> list[Effect]:
        """A whole block, unasked. Raises RuleViolation."""
        block = self._engine.read(push.block)
        self.note_tip(peer, session, Point(block.index, bytes.fromhex(block.hash)), push.weight, moment)
        session.learns(bytes.fromhex(block.previous_hash))
        if block.index < self._chain.tip.index:
            return []
        return self._take(peer, session, block, moment)

    def announced(self, peer: int, session: NativeSession, announce: Announce, moment: Moment) -> list[Effect]:
        """Ask for what continues our chain; fetching sees to what does not. Raises RuleViolation."""
        points = announce.points
        if any(after.index != before.index + 1 for before, after in pairwise(points)):
            raise RuleViolation(Rule.MESSAGE_IS_DECODABLE, "announced blocks that do not follow each other")
        for point in points:
            session.learns(point.hash)
        self.note_tip(peer, session, points[-1], announce.weight, moment)
        missing = tuple(p for p in points if not self._chain.keeps(p.index, p.hash.hex(), moment.view))
        is_next = bool(missing) and missing[0].index == self._chain.tip.index + 1
        if not is_next or self._wanted is not None or self._sync.is_moving(moment.now.mono_ms):
            return []
        number, say = ask(peer, session, GetBlocks(1, missing))
        session.may_push = False
        self._wanted = AskedFor(peer, number, moment.now.mono_ms, self._received(peer))
        self._look_ms = moment.now.mono_ms + self._limits.stall_first_ms
        return [say]

    def got_blocks(
        self, peer: int, session: NativeSession, request: GetBlocks, reply: Blocks, moment: Moment
    ) -> tuple[list[Effect], RuleViolation | None]:
        """The answer to `announced`: what it leads to, and the rule that one of its blocks breaks, if one does. Those
        before it are part of our chain by then, whoever sent them. Raises RuleViolation for an answer that is none."""
        if self._wanted is not None and (self._wanted.peer, self._wanted.number) == (peer, request.id):
            self._wanted = None
        blocks = [self._engine.read(block) for block in reply.blocks]
        _check_fits(request, reply, blocks)
        effects: list[Effect] = []
        for block in blocks:
            try:
                effects += self._take(peer, session, block, moment)
            except RuleViolation as broken:
                return effects, broken
            if has_switched(effects):
                break  # the view does not show it; what is left is fetched if it is missed
        return effects, None

    def _take(self, peer: int, session: NativeSession, block: Unchecked, moment: Moment) -> list[Effect]:
        """A single block. What links to nothing we have, or leaves our chain far back, is fetched with what is before
        it: so a few bytes never move many blocks."""
        classic.check_can_be_passed_on([block], self._limits.message_bytes)
        try:
            change = self._chain.accept([block], moment.view, moment.now.wall_ms, deep=False)
        except RuleViolation as broken:
            if broken.rule is Rule.PARENT_IS_KNOWN:
                return []
            raise
        return self._consequences.of(change, peer, session.remote, moment)

    def note_tip(self, peer: int, session: NativeSession, tip: Point, weight: bytes, moment: Moment) -> None:
        """A peer says that its best chain ends so."""
        claimed = int.from_bytes(weight, "big")
        session.learns(tip.hash)
        session.claims(tip.index, tip.hash.hex(), claimed)
        self._sync.claims(peer, tip.index, claimed)
        ours, now_ms = self._chain.tip, moment.now.mono_ms
        if tip.index > ours.index + 1:
            if self._patient_at != ours.hash:
                self._patient_at, self._patient_from_ms = ours.hash, now_ms
            patience_ms = self._limits.relay_patience_ms
            most_ms = self._patient_from_ms + patience_ms * self._limits.announced_points
            self._patient_until_ms = min(now_ms + patience_ms, most_ms)

    # --- waiting -------------------------------------------------------------------------------

    def is_waiting(self, now_ms: int) -> bool:
        """Is something on its way, so that nothing should be fetched?"""
        return self._wanted is not None or self._is_patient(now_ms)

    def _is_patient(self, now_ms: int) -> bool:
        """Are the blocks that we miss few, and likely to come by themselves?"""
        if now_ms >= self._patient_until_ms or self._sync.is_active:
            return False
        return 0 < self._sync.furthest - self._chain.tip.index <= self._limits.announced_points

    def next_ms(self, now_ms: int) -> int | None:
        """When waiting is over."""
        times: list[int] = []
        if self._is_patient(now_ms):
            times.append(self._patient_until_ms)
        if self._wanted is not None:
            times.append(self._look_ms)
        return min(times, default=None)

    def tick(self, now_ms: int) -> None:
        """Give up what does not come. What does, as fast as in a sync, has longer: somebody else would begin anew."""
        wanted = self._wanted
        if wanted is None or now_ms < self._look_ms:
            return
        waited_ms, moved = now_ms - wanted.asked_ms, self._received(wanted.peer) - wanted.received_bytes
        is_coming = moved >= self._limits.slow_bytes_per_second * waited_ms // SECOND_MS
        if is_coming and waited_ms < self._limits.coming_within_ms:
            self._look_ms = now_ms + self._limits.stall_first_ms // 2
            return
        self._wanted = None
        session = self._peers.session(wanted.peer)
        if isinstance(session, NativeSession):
            session.give_up(wanted.number)

    def gone(self, peer: int) -> None:
        """A connection ended."""
        if self._wanted is not None and self._wanted.peer == peer:
            self._wanted = None


def ask(peer: int, session: NativeSession, request: Request) -> tuple[int, Say]:
    """Ask; the number of the request, whatever it says of it itself, and what to send."""
    numbered = session.asks(request)
    return numbered.id, Say([peer], codec.encode(numbered))


def _check_fits(request: GetBlocks, reply: Blocks, blocks: Sequence[Unchecked]) -> None:
    """Are these the blocks asked for, in their order, up to where the answer ends?"""
    missing = set(reply.missing)
    expected = [point for position, point in enumerate(request.points) if position not in missing]
    answered = [Point(block.index, bytes.fromhex(block.hash)) for block in blocks]
    if (
        len(missing) != len(reply.missing)
        or any(position >= len(request.points) for position in missing)
        or answered != expected[: len(answered)]
        or not (answered or missing)
    ):
        raise RuleViolation(Rule.REPLY_FITS_REQUEST, "blocks that were not asked for, or not in that order")
