"""Fetching a chain that is ahead of ours, from everybody who has it.

One peer leads. It is asked for what follows our chain, and says with its first answer where the rest may be cut
into *batches*: the hashes that end each of them. That plan is a claim, good for nothing but asking. The batches are
then asked of all peers that say they have them, a few at a time each, within a window past the last block that is
connected. Each answer is checked by itself at once: it starts where its batch starts, is linked, and ends in the
hash of the plan. So batches that arrive in any order fit together, and a lie is found where it is told.

    connected | head: asked of A | complete | asked of B | complete | ... | open end, asked of the lead
              '-------------------------- window --------------------------'

A peer without a batch says so and is not asked for it again; if the lead has not got what it planned, its chain
has changed, and the plan is made anew. A peer that holds up the head while others could do better is dropped, with
a patience that doubles, so that a slow line of ours does not empty the house (Bitcoin Core,
`BLOCK_STALLING_TIMEOUT`); one that delivers next to nothing is replaced (CometBFT, `minRecvRate`).

Everything here can be forgotten at any moment: what is connected is on disk, and the rest is asked for again.
Times are monotonic milliseconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from tallystick.errors import Rule, RuleViolation
from tallystick.model.limits import Limits
from tallystick.model.sealed import AnyBlock
from tallystick.wire.native.batch import Ask, Batch, Blame, Candidate
from tallystick.wire.native.messages import Point

CHECK_EVERY_MS: Final = 500
"""How often to look for peers that hold us up."""

FRESH_STARTS: Final = 3
"""A lead whose plans came to nothing so often in a row has not got what it claims."""

_STALL_EASES: Final = 0.85
"""The patience with stalling and with slow peers shrinks by this with each batch that connects."""

_SLOWEST: Final = 64
"""Never is less demanded of a peer than one in so many parts of `Limits.slow_bytes_per_second`."""

Received = Callable[[int], int]
"""Bytes received from a peer so far, those of incomplete messages included."""


class Sync:
    """Owner of what is asked of whom, and of blocks that arrived too early."""

    def __init__(self, limits: Limits, *, sealed: bool = False) -> None:
        """`sealed`: blocks hold records, and answers are shorter."""
        self._limits = limits
        _, self._reply_bytes = limits.of_replies(sealed=sealed)
        self._candidates: dict[int, Candidate] = {}
        self._batches: deque[Batch] = deque()
        self._abandoned: list[Batch] = []
        """Not wanted any more, but asked for: until the answer is here it counts as under way."""

        self._lead: int | None = None
        self._fresh_starts = 0
        self._surveyed: tuple[int, Point] | None = None
        """Whose headers were checked last, and where they end."""

        self._has_changed = False
        """Did that peer show another chain than before? Then its plans may come to nothing, and it told no lie."""

        self._stall_ms = float(limits.stall_first_ms)
        self._least_rate = float(limits.slow_bytes_per_second)
        """Who delivers less is replaced, if there is another. Halved for each that was: where our own line is slow
        nobody does better, and whoever claims to have more would have all of them replaced for ever."""

        self._waiting_bytes = 0
        self._answer_bytes = self._reply_bytes
        """What to reckon with for an answer: where blocks are long, as much as the last one."""

        self._samples: deque[tuple[int, int]] = deque()
        self._next_check_ms = 0
        self._moved_ms = self._reached_index = 0
        """When the running sync came further than ever, and how far that was."""

        self._own_weight = 0

    @property
    def is_active(self) -> bool:
        """Is a chain being fetched?"""
        return self._lead is not None

    def is_moving(self, now_ms: int) -> bool:
        """Is a chain being fetched, and did blocks of it come lately?"""
        return self._lead is not None and now_ms - self._moved_ms < 2 * self._limits.slow_after_ms

    @property
    def lead(self) -> int | None:
        """The peer whose chain is fetched."""
        return self._lead

    # --- who has what --------------------------------------------------------------------------

    def claims(self, peer: int, index: int, weight: int, at_once: int | None = None) -> None:
        """A peer says that its chain ends so; the first time also how many requests it takes `at_once`, if it does."""
        candidate = self._candidates.get(peer)
        if candidate is None:
            most = self._limits.requests_in_flight
            self._candidates[peer] = Candidate(index, weight, at_once=most if at_once is None else min(most, at_once))
        elif weight > candidate.weight:
            candidate.index, candidate.weight = index, weight

    @property
    def furthest(self) -> int:
        """Index of the last block anybody says to have."""
        return max((candidate.index for candidate in self._candidates.values()), default=0)

    def weight_of(self, peer: int) -> int:
        """What a peer says its chain weighs; 0 when it said nothing."""
        candidate = self._candidates.get(peer)
        return 0 if candidate is None else candidate.weight

    def gone(self, peer: int) -> None:
        """The connection ended: others are asked for what it owes."""
        self._candidates.pop(peer, None)
        for batch in self._batches:
            if batch.peer == peer:
                batch.peer = None
            batch.lacking.discard(peer)
        self._abandoned = [batch for batch in self._abandoned if batch.peer != peer]
        if peer == self._lead:
            self._lead_next()

    def avoid(self, peer: int, until_ms: int) -> None:
        """This peer's chain is of no use for a while; if it leads, what it led is forgotten."""
        candidate = self._candidates.get(peer)
        if candidate is not None:
            candidate.void_until_ms = until_ms
        if peer == self._lead:
            self.stop()

    def avoid_lead(self, until_ms: int) -> None:
        """Likewise for whoever leads, if anybody does."""
        if self._lead is not None:
            self.avoid(self._lead, until_ms)

    def _lead_next(self) -> None:
        """Another peer that knows of the whole plan leads on; if there is none, start over with whoever is best."""
        end = next((batch.stop.index for batch in reversed(self._batches) if batch.stop is not None), None)
        lacking = set().union(*(batch.lacking for batch in self._batches))
        able = [
            peer
            for peer, each in self._candidates.items()
            if end is not None and each.index >= end and peer not in lacking
        ]
        if able:
            self._lead = self._best_of(able)
            self._fresh_starts = 0  # the plans that came to nothing were those of others
        else:
            self.stop()

    def _best_of(self, peers: Sequence[int]) -> int:
        """Of those who have delivered something the one that claims the most; else the one that came first, whatever
        the others claim: a few that claim much, deliver nothing and come again would else take turns for ever."""
        proven = [peer for peer in peers if self._candidates[peer].delivered]
        return max(proven, key=lambda peer: self._candidates[peer].weight) if proven else peers[0]

    def stop(self) -> None:
        """Forget what is to come. What is under way is waited for, and not used."""
        self._abandoned += [batch for batch in self._batches if batch.peer is not None]
        self._batches.clear()
        self._lead = None
        self._waiting_bytes = 0

    # --- asking --------------------------------------------------------------------------------

    def asks(self, own_weight: int, now_ms: int, received: Received) -> Iterator[Ask]:
        """What to ask of whom now. Each of them counts as asked once `asked` was called for it."""
        self._own_weight = own_weight
        if self._lead is None and not self._begin(now_ms):
            return
        expected = self._waiting_bytes + sum(b.peer is not None for b in self._batches) * self._answer_bytes
        for position, batch in enumerate(list(self._batches)[: self._limits.window_batches]):
            if batch.complete or batch.peer is not None:
                continue
            if position > 0 and expected + self._answer_bytes > self._limits.window_bytes:
                return
            peer = self._whom(batch)
            if peer is None:
                continue
            candidate = self._candidates[peer]
            if batch.cut_short_by == peer:
                idle_ms = now_ms - batch.cut_short_ms
                batch.asked_ms += idle_ms
                candidate.measured_from_ms += idle_ms if candidate.in_flight == 0 else 0
            else:
                batch.asked_ms = now_ms
                if candidate.in_flight == 0:
                    candidate.measured_from_ms, candidate.measured_from_bytes = now_ms, received(peer)
            candidate.in_flight += 1
            batch.peer, batch.claimant, batch.claimed = peer, peer, candidate.weight
            expected += self._answer_bytes
            yield Ask(peer, batch)

    def _begin(self, now_ms: int) -> bool:
        able = self._ahead(now_ms)
        if not able:
            return False
        self._lead = self._best_of(able)
        self._batches.append(Batch(None, None))
        self._samples.clear()
        self._fresh_starts = self._reached_index = 0
        self._moved_ms = now_ms
        self._next_check_ms = now_ms + CHECK_EVERY_MS
        return True

    def _ahead(self, now_ms: int) -> list[int]:
        """Peers that say they have a better chain than ours."""
        return [
            peer
            for peer, candidate in self._candidates.items()
            if candidate.weight > self._own_weight and candidate.void_until_ms <= now_ms
        ]

    def _whom(self, batch: Batch) -> int | None:
        """Who is to be asked: of those who may have it, the one least busy; for the open end the lead."""
        able = self._able(batch)
        free = [peer for peer in able if self._candidates[peer].in_flight < self._candidates[peer].at_once]
        return min(free, key=lambda peer: self._candidates[peer].in_flight, default=None)

    def _able(self, batch: Batch) -> list[int]:
        if batch.stop is None:
            return [] if self._lead is None else [self._lead]
        last = batch.stop.index
        return [
            peer
            for peer, candidate in self._candidates.items()
            if (candidate.index >= last or peer == self._lead) and peer not in batch.lacking
        ]

    # --- answers -------------------------------------------------------------------------------

    def batch_of(self, peer: int, number: int) -> Batch | None:
        """What was asked of this peer under this number, and is answered now, if it is still wanted."""
        for batch in self._abandoned:
            if batch.peer == peer and batch.number == number:
                self._settle(batch)
                self._abandoned.remove(batch)
                return None
        return next((batch for batch in self._batches if batch.peer == peer and batch.number == number), None)

    def received(self, batch: Batch, blocks: Sequence[AnyBlock], plan: Sequence[bytes], now_ms: int) -> Blame | None:
        """A checked answer to what was asked. `blocks` follow `batch.at`, which the caller has set if it was None."""
        if not blocks and batch.stop is not None:
            return self.lacks(batch, now_ms)
        peer = batch.peer
        assert peer is not None  # noqa: S101 - `batch_of` found it
        self._settle(batch)
        if not blocks:
            batch.complete = True  # the lead has no more
            return None
        sizes = [block.size_bytes for block in blocks]
        held = [size + block.overhead_bytes for size, block in zip(sizes, blocks, strict=True)]
        last, size = blocks[-1], sum(sizes)
        end = Point(last.index, bytes.fromhex(last.hash))
        batch.blocks += blocks
        batch.sizes += sizes
        batch.held += held
        batch.at = end
        batch.complete = batch.stop is None or last.index == batch.stop.index
        batch.cut_short_by = peer if size < self._reply_bytes // 2 else None
        batch.cut_short_ms = now_ms
        self._waiting_bytes += sum(held)
        self._answer_bytes = max(self._reply_bytes, size)
        self._candidates[peer].delivered = True
        if batch.stop is None and (plan or last.index < self._candidates[peer].index):
            self._lay_out(batch, end, plan)  # there is more, as far as we know
        return None

    def goes_on(self, batch: Batch) -> None:
        """An answer about it came, and the peer has more to say."""
        self._settle(batch)

    def surveyed(
        self, batch: Batch, fork: Point, ends: Sequence[Point], weights: tuple[int, int], now_ms: int
    ) -> Blame | None:
        """The lead's chain was surveyed from `fork` on: where its batches end, the last of which may be named twice.

        `weights` are what it was found to weigh, and what ours does. If it is heavier, its batches are laid out.
        """
        lead, (weight, own_weight) = batch.peer, weights
        assert lead is not None  # noqa: S101 - `batch_of` found it
        self._settle(batch)
        if weight <= own_weight:
            self.stop()
            short = batch.claimed - weight
            if short <= 0:
                return None  # we came that far by other ways
            self.avoid(lead, now_ms + self._limits.query_all_patience_ms)
            detail = f"it claimed {short} more than its headers weigh"
            return Blame(lead, RuleViolation(Rule.CLAIM_IS_PROVEN, detail))
        self._candidates[lead].delivered = True
        surveyed = (lead, ends[-1])
        self._has_changed, self._surveyed = surveyed != self._surveyed, surveyed
        self._batches.clear()
        at = fork
        for end in dict.fromkeys(ends):
            self._batches.append(Batch(at, end))
            at = end
        self._batches.append(Batch(at, None, asked_ms=now_ms))
        return None

    def failed(self, batch: Batch) -> None:
        """What came was wrong; whoever sent it will not be asked again."""
        self._settle(batch)

    def _settle(self, batch: Batch) -> None:
        if batch.peer is not None and (candidate := self._candidates.get(batch.peer)) is not None:
            candidate.in_flight = max(0, candidate.in_flight - 1)
        batch.peer = None

    def _lay_out(self, last: Batch, end: Point, plan: Sequence[bytes]) -> None:
        """Cut what follows `end`, the end of the `last` batch, into batches, with an open end after them."""
        for hash in plan:
            stop = Point(end.index + self._limits.batch_blocks, hash)
            self._batches.append(Batch(end, stop))
            end = stop
        short = None if plan else last.cut_short_by
        open_end = Batch(end, None, asked_ms=last.asked_ms, cut_short_by=short, cut_short_ms=last.cut_short_ms)
        self._batches.append(open_end)

    def lacks(self, batch: Batch, now_ms: int) -> Blame | None:
        """The peer that was asked has not got this batch. If it made the plan, its chain has changed: start over."""
        peer = batch.peer
        assert peer is not None  # noqa: S101 - `batch_of` found it
        self._settle(batch)
        batch.lacking.add(peer)
        if peer != self._lead:
            return None
        self._fresh_starts += 1
        connected = self._batches[0].at if self._batches else None
        self.stop()
        if self._fresh_starts < FRESH_STARTS:
            self._lead = peer
            self._batches.append(Batch(None, None))
            return None
        self.avoid(peer, now_ms + self._limits.query_all_patience_ms)
        is_honest = self._has_changed and self._surveyed is not None and self._surveyed[0] == peer
        rule = Rule.SYNC_KEEPS_UP if is_honest else Rule.CLAIM_IS_PROVEN
        return Blame(peer, RuleViolation(rule, f"its plans led to no block after {connected}"))

    # --- connecting ----------------------------------------------------------------------------

    @property
    def has_more(self) -> bool:
        """Is there something to connect?"""
        return bool(self._batches) and (bool(self._batches[0].blocks) or self._batches[0].complete)

    def take(self) -> list[AnyBlock]:
        """The next blocks to connect, as many as one answer may hold, for callers wait while they are checked and
        written; none when the last one is connected, or nothing is here."""
        while self._batches:
            head = self._batches[0]
            if head.blocks:
                most = self._as_long_as_an_answer(head.sizes)
                run, head.blocks = head.blocks[:most], head.blocks[most:]
                self._waiting_bytes -= sum(head.held[:most])
                del head.sizes[:most], head.held[:most]
                return run
            if not head.complete:
                return []
            if head.stop is None and len(self._batches) == 1:
                return []  # the end: see `finish`
            self._batches.popleft()
        return []

    def _as_long_as_an_answer(self, sizes: Sequence[int]) -> int:
        """How many blocks of these sizes, at least one."""
        room = self._reply_bytes
        for number, size in enumerate(sizes[: self._limits.headers_per_reply]):
            room -= size
            if room < 0 and number > 0:
                return number
        return min(len(sizes), self._limits.headers_per_reply)

    def connected(self, index: int, now_ms: int) -> None:
        """What `take` gave is connected, up to this block. Not for blocks that we had; and what goes over
        the same ground again gets us no further."""
        if index > self._reached_index:
            self._reached_index, self._moved_ms, self._fresh_starts = index, now_ms, 0
        self._stall_ms = max(float(self._limits.stall_first_ms), self._stall_ms * _STALL_EASES)
        self._least_rate = min(float(self._limits.slow_bytes_per_second), self._least_rate / _STALL_EASES)
        self._samples.append((now_ms, index))
        while self._samples[0][0] < now_ms - 2 * self._limits.slow_after_ms:
            self._samples.popleft()

    def finish(self, reached: int) -> tuple[int, int] | None:
        """If the whole chain of the lead is connected: stop, and return the lead and what it had claimed beyond
        the weight `reached`, if anything (else 0)."""
        if len(self._batches) != 1 or self._lead is None:
            return None
        head = self._batches[0]
        if not head.complete or head.blocks or head.stop is not None:
            return None
        lead, short = self._lead, max(0, head.claimed - reached)
        self.stop()
        return lead, short if head.claimant == lead else 0  # whoever claimed more may be gone

    # --- time ----------------------------------------------------------------------------------

    def overdue(self, now_ms: int, received: Received) -> Blame | None:
        """A peer that holds us up, to be asked for when `next_ms` says so. One at a time: with it gone others may do
        better."""
        late_ms = now_ms - self._next_check_ms
        self._next_check_ms = now_ms + CHECK_EVERY_MS
        if late_ms >= CHECK_EVERY_MS:
            self._excuse(late_ms)
        for batch in [*self._batches, *self._abandoned]:
            if batch.peer is None:
                continue
            candidate = self._candidates[batch.peer]
            waited_ms = now_ms - max(batch.asked_ms, candidate.measured_from_ms)
            moved = received(batch.peer) - candidate.measured_from_bytes
            is_fast = moved >= self._least_rate * waited_ms / 1000
            is_coming = is_fast and now_ms - batch.asked_ms < self._limits.coming_within_ms
            if self._batches and batch is self._batches[0] and not is_coming and self._is_stalled(batch, now_ms):
                self._stall_ms = min(self._stall_ms * 2, float(self._limits.stall_max_ms))
                return _too_slow(batch.peer, f"block {_next(batch)} did not come while all else was there")
            if waited_ms >= self._limits.slow_after_ms and not is_fast and self._is_replaceable(batch, now_ms):
                self._least_rate = max(self._least_rate / 2, self._limits.slow_bytes_per_second / _SLOWEST)
                return _too_slow(batch.peer, f"{moved:,} bytes in {waited_ms / 1000:.0f} s")
            if batch.at is None and now_ms - batch.asked_ms >= 2 * self._limits.reply_within_ms:
                return _too_slow(batch.peer, "no answer to the first question, whatever else came from it")
            if waited_ms >= self._limits.reply_within_ms and moved == 0:
                return _too_slow(batch.peer, f"nothing in {waited_ms / 1000:.0f} s")
            if waited_ms >= self._limits.reply_within_ms or (waited_ms >= self._limits.slow_after_ms and is_fast):
                candidate.measured_from_ms, candidate.measured_from_bytes = now_ms, received(batch.peer)
        return None

    def _excuse(self, late_ms: int) -> None:
        """We ourselves were busy: what the peers sent meanwhile is not read yet."""
        for batch in [*self._batches, *self._abandoned]:
            batch.asked_ms += late_ms if batch.peer is not None else 0
        for candidate in self._candidates.values():
            candidate.measured_from_ms += late_ms if candidate.in_flight else 0

    def _is_stalled(self, head: Batch, now_ms: int) -> bool:
        """Is there nothing to do but to wait for the head, though somebody else could deliver it?"""
        if now_ms - head.asked_ms < self._stall_ms or head.peer is None or not self._others(head):
            return False
        window = list(self._batches)[: self._limits.window_batches]
        return len(window) > 1 and all(batch.complete for batch in window[1:] if batch.stop is not None)

    def _others(self, batch: Batch) -> bool:
        """Could somebody else be asked for it?"""
        return any(peer != batch.peer for peer in self._able(batch))

    def _is_replaceable(self, batch: Batch, now_ms: int) -> bool:
        """Could somebody else be asked for it, or lead in its place? What the lead planned may be there for nobody
        else, and what it claims proves nothing."""
        leads = batch.peer == self._lead and any(peer != batch.peer for peer in self._ahead(now_ms))
        return leads or self._others(batch)

    def next_ms(self) -> int | None:
        """When `overdue` should be asked next."""
        return None if self._lead is None else self._next_check_ms

    # --- for the operator ----------------------------------------------------------------------

    def target(self) -> int:
        """Last block of the chain that is fetched, by its lead's word."""
        return self._candidates[self._lead].index if self._lead in self._candidates else 0

    def rate(self) -> float:
        """Blocks connected a second, lately."""
        if len(self._samples) < 2:  # noqa: PLR2004 - between two samples
            return 0.0
        (first_ms, first), (last_ms, last) = self._samples[0], self._samples[-1]
        return (last - first) * 1000 / (last_ms - first_ms) if last_ms > first_ms else 0.0

    def busy(self) -> int:
        """Peers that something is asked of."""
        return len({batch.peer for batch in self._batches if batch.peer is not None})


def _too_slow(peer: int, detail: str) -> Blame:
    return Blame(peer, RuleViolation(Rule.SYNC_KEEPS_UP, detail))


def _next(batch: Batch) -> int:
    return 1 if batch.at is None else batch.at.index + 1
