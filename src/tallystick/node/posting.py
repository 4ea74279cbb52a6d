"""Records that callers post: into the pool, and until they stand in a block.

A record is acknowledged once it is durable in the pool. From then on it is never evicted, only moved: into a block,
and after a reorg back into the pool (`chain.writes.Switch`). The id is the caller's key for trying again: the same
id with the same data is answered with what is there, with other data it is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tallystick.chain.chain import Change
from tallystick.chain.contracts import Engine, Known, Placed, View
from tallystick.chain.writes import AddRecords, Erase
from tallystick.errors import Rule, RuleViolation, shown
from tallystick.model.limits import Limits
from tallystick.model.record import Record
from tallystick.node.effects import Effect, Reply
from tallystick.node.inputs import EraseRecord, Moment, PostAndWait, PostRecords
from tallystick.node.pool import Pool


@dataclass(frozen=True, slots=True)
class Waiting:
    """A caller who waits for the block that holds a record."""

    ticket: int
    record: Record
    until_ms: int


class Posting:
    """Owner of the callers who wait. Times are monotonic milliseconds."""

    def __init__(self, engine: Engine, pool: Pool, limits: Limits) -> None:
        self._engine = engine
        self._pool = pool
        self._limits = limits
        self._waiting: dict[int, Waiting] = {}
        self._by_leaf: dict[bytes, list[int]] = {}
        self._recheck_at_ms: int | None = None
        """A reorg may have brought what somebody waits for; the next step's view shows it."""

    # --- posts ---------------------------------------------------------------------------------

    def post(self, event: PostRecords, moment: Moment) -> tuple[list[Effect], Sequence[Record]]:
        """Take records; what to do, and which of them are new."""
        try:
            known, new = self._sort_out(event.records, moment.view)
        except RuleViolation as refused:
            return [Reply(event.ticket, refused)], ()
        effects: list[Effect] = [AddRecords(new)] if new else []
        return [*effects, Reply(event.ticket, known)], new

    def post_and_wait(self, event: PostAndWait, moment: Moment) -> tuple[list[Effect], Sequence[Record]]:
        """Likewise for one record, whose caller is answered once it is in a block."""
        try:
            self._check_may_wait()
            (known,), new = self._sort_out([event.record], moment.view)
        except RuleViolation as refused:
            return [Reply(event.ticket, refused)], ()
        effects: list[Effect] = [AddRecords(new)] if new else []
        if known.placed is Placed.CHAIN or event.wait_ms <= 0:
            return [*effects, Reply(event.ticket, known)], new
        self._waiting[event.ticket] = Waiting(event.ticket, known.record, moment.now.mono_ms + event.wait_ms)
        self._by_leaf.setdefault(known.record.leaf, []).append(event.ticket)
        return effects, new

    def _check_may_wait(self) -> None:
        if len(self._waiting) >= self._limits.waiting_posts:
            raise RuleViolation(
                Rule.POOL_HAS_ROOM,
                f"{len(self._waiting)} callers wait for their blocks, and more this node does not hold; "
                "use POST /records, which does not wait",
            )

    def _sort_out(self, records: Sequence[Record], view: View) -> tuple[list[Known], list[Record]]:
        """What is there for each record once those that are new are in the pool. Raises RuleViolation."""
        rules = self._engine.network.rules
        if rules is None or not self._engine.takes_records:
            raise RuleViolation(
                Rule.NETWORK_TAKES_RECORDS, "each block of this network holds one text; use POST /mineBlock"
            )
        for number, record in enumerate(records, 1):
            if record.data is not None and len(record.data) > rules.max_data_bytes:
                raise RuleViolation(
                    Rule.DATA_WITHIN_SIZE,
                    f"{_which(number, records)}the data takes {len(record.data):,} bytes in its canonical form; "
                    f"at most {rules.max_data_bytes:,} may be. Split it, or post its hash",
                )
        ids = [record.id for record in records]
        found = view.named(ids)
        if found or len(set(ids)) < len(ids):
            answers, new = _compare(records, found, self._limits.records_per_id)
        else:
            answers, new = [Known(record, Placed.POOL) for record in records], list(records)
        if new:
            self._pool.check_room(new, view)
        return answers, new

    # --- waiting -------------------------------------------------------------------------------

    def changed(self, change: Change, now_ms: int) -> list[Effect]:
        """The best chain changed: answer those whose records are in a block now."""
        if not self._waiting:
            return []
        if change.reorg is not None:
            self._recheck_at_ms = now_ms
        effects: list[Effect] = []
        for block in change.appended:
            for record in self._engine.records(block):
                for ticket in self._by_leaf.pop(record.leaf, ()):
                    del self._waiting[ticket]
                    effects.append(Reply(ticket, block))
        return effects

    def tick(self, moment: Moment) -> list[Effect]:
        """Answer those who have waited long enough, and after a reorg those whose records it brought into a block."""
        now_ms = moment.now.mono_ms
        effects: list[Effect] = []
        if self._recheck_at_ms is not None and self._recheck_at_ms <= now_ms:
            self._recheck_at_ms = None
            names = [(each.record.id, each.record.leaf) for each in self._waiting.values()]
            for known in moment.view.known(names):
                if known.placed is Placed.CHAIN:
                    effects += self._settle(self._by_leaf.pop(known.record.leaf, ()), known)
        for each in [each for each in self._waiting.values() if each.until_ms <= now_ms]:
            self.leave(each.ticket)
            effects.append(Reply(each.ticket, Known(each.record, Placed.POOL)))
        return effects

    def leave(self, ticket: int) -> None:
        """This caller waits no more."""
        waiting = self._waiting.pop(ticket, None)
        if waiting is None:
            return
        leaf = waiting.record.leaf
        others = [other for other in self._by_leaf.pop(leaf) if other != ticket]
        if others:
            self._by_leaf[leaf] = others

    def _settle(self, tickets: Iterable[int], known: Known) -> list[Effect]:
        settled: list[Effect] = []
        for ticket in tickets:
            del self._waiting[ticket]
            settled.append(Reply(ticket, known))
        return settled

    def next_ms(self) -> int | None:
        """When `tick` next has something to do."""
        times = [each.until_ms for each in self._waiting.values()]
        if self._recheck_at_ms is not None:
            times.append(self._recheck_at_ms)
        return min(times, default=None)

    # --- erasing -------------------------------------------------------------------------------

    @staticmethod
    def erase(event: EraseRecord, view: View) -> list[Effect]:
        """Forget what the records of an id hold."""
        if not view.named([event.id]):
            missing = RuleViolation(Rule.RECORD_IS_KNOWN, f"no record here has the id {shown(event.id)}")
            return [Reply(event.ticket, missing)]
        return [Erase(event.id), Reply(event.ticket, answer=True)]


def _compare(records: Sequence[Record], found: Iterable[Known], most: int) -> tuple[list[Known], list[Record]]:
    """As `Posting._sort_out` has it, where some ids stand for something already, or for several of these records. One
    that stands for `most` is not free: there may be more, which were not looked at."""
    stored: dict[str, list[Known]] = {}
    for known in found:
        stored.setdefault(known.record.id, []).append(known)
    answers, new = [], []
    for number, record in enumerate(records, 1):
        known, is_new = _answer(record, stored.get(record.id, ()), _which(number, records), most)
        answers.append(known)
        if is_new:
            new.append(known.record)
            stored[record.id] = [known]
    return answers, new


def _which(number: int, records: Sequence[Record]) -> str:
    return f"record {number}: " if len(records) > 1 else ""


def _answer(record: Record, stored: Sequence[Known], where: str, most: int) -> tuple[Known, bool]:
    """What is there for a record, given what its id stands for already, and whether that has to be put into the pool.
    Raises RuleViolation(RECORD_ID_IS_FREE)."""
    same = [known for known in stored if known.record.data is not None and known.record.data == record.data]
    for known in same:
        if known.placed is not Placed.ASIDE:
            return known, False
    taken = next((known for known in stored if known.placed is not Placed.ASIDE), None)
    if taken is not None:
        what = "whose data was erased here" if taken.record.data is None else "with other data"
        raise RuleViolation(
            Rule.RECORD_ID_IS_FREE,
            f"{where}the id {shown(record.id)} names a record {what}, which is {taken.placed}; choose another id",
        )
    if len(stored) >= most:
        raise RuleViolation(
            Rule.RECORD_ID_IS_FREE,
            f"{where}the id {shown(record.id)} names {most} records of blocks beside the chain; choose another id",
        )
    return Known(same[0].record if same else record, Placed.POOL), True
