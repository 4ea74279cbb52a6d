"""Passing records on: announced by name, asked of one peer at a time, and sent once.

A node tells its peers the names of records that came into its pool (`Inv`). Who lacks some asks for them
(`GetRecords`), one peer at a time and another one when that keeps it waiting (`wire.native.wanted`). What arrives is
checked, goes into the pool as far as there is room, and is announced in turn. Data that a new block came without is
asked of everybody, too: whoever passed the block on may have kept it back. A malformed record breaks a rule; one
that our pool has no room for breaks none, and is left out.

Announcements are gossip and may be lost. So every peer hears of the whole pool when it comes, and again now and then:
what two nodes hold becomes the same, whatever was dropped in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Final

from tallystick.chain.contracts import Engine, Placed, View
from tallystick.chain.writes import AddRecords, Complete
from tallystick.errors import Rule, RuleViolation
from tallystick.model.limits import MINUTE_MS, Limits
from tallystick.model.record import Record, check_records, raw_of
from tallystick.model.sealed import AnyBlock
from tallystick.node.effects import Effect, Say
from tallystick.node.inputs import Moment
from tallystick.node.peering import Peers
from tallystick.node.pool import Pool
from tallystick.wire.native import codec
from tallystick.wire.native.messages import GetRecords, Inv, RecordName, Records
from tallystick.wire.native.session import NativeSession
from tallystick.wire.native.wanted import Wanted

PAGE_EVERY_MS: Final = 200
"""Between two pages of the pool that are announced, to whomever."""

FULL_MS: Final = MINUTE_MS
"""A peer that sent what our pool had no room for is asked again after this."""


class Relay:
    """Owner of what is asked for, and of how far each peer was told of the pool. Times are monotonic milliseconds."""

    def __init__(self, engine: Engine, peers: Peers, pool: Pool, limits: Limits) -> None:
        self._engine = engine
        self._peers = peers
        self._pool = pool
        self._limits = limits
        self._wanted = Wanted(limits)
        self._told: dict[int, tuple[int, int]] = {}
        """Of each peer: the place in the pool up to which it was told, and when it is told on."""

        self._tell_ms: int | None = None
        """When the first of them is; found when somebody's turn changes, for it is asked after each step."""

        self._lacking: dict[RecordName, None] = {}
        """Records of new blocks that came without their data. Whether it was here before shows in the next step."""

        self._lacking_from_ms = 0
        self._incomplete: dict[RecordName, None] = {}
        """Those of them whose data everybody is asked for, oldest first."""

        self._page_from_ms = 0
        """No page of the pool is read for them before this."""

    # --- telling -------------------------------------------------------------------------------

    def announce(self, records: Sequence[Record], source: int | None = None) -> list[Effect]:
        """Tell everybody but `source` of records that came into the pool."""
        effects: list[Effect] = []
        for peer, session in self._peers.native() if records else ():
            if peer != source:
                effects += self._tell(peer, session, records)
        return effects

    def _tell(self, peer: int, session: NativeSession, records: Sequence[Record]) -> list[Effect]:
        """Announce those that the peer is not known to have."""
        names = [RecordName(each.id, each.leaf) for each in records if not session.knows_record(each.leaf)]
        most = self._limits.announced_records
        return [
            Say([peer], codec.encode(Inv(tuple(names[start : start + most]))), gossip=True)
            for start in range(0, len(names), most)
        ]

    def met(self, peer: int, now_ms: int) -> None:
        """A native peer was admitted: it hears of the pool."""
        if self._engine.takes_records:
            self._told[peer] = (0, now_ms)
            self._reckon()
            if self._incomplete:
                self._wanted.announced(peer, islice(self._incomplete, self._limits.announced_records), now_ms)

    def came(self, blocks: Sequence[AnyBlock], now_ms: int) -> None:
        """Blocks were put on the chain: data that they lack, somebody may have."""
        for block in blocks:
            for record in self._engine.records(block):
                if record.data is None and len(self._lacking) < self._limits.wanted_records:
                    self._lacking[RecordName(record.id, record.leaf)] = None
        self._lacking_from_ms = now_ms

    def switched(self, now_ms: int) -> None:
        """A switch of branches put records back into the pool: everybody hears of it again, the oldest first."""
        self._told = dict.fromkeys(self._told, (0, now_ms))
        self._reckon()

    def gone(self, peer: int) -> None:
        """A connection ended: others are asked for what it owes."""
        self._told.pop(peer, None)
        self._reckon()
        self._wanted.gone(peer)

    # --- time ----------------------------------------------------------------------------------

    def next_ms(self) -> int | None:
        """When `tick` next has something to do."""
        times = (
            self._lacking_from_ms if self._lacking else None,
            self._wanted.next_ms(),
            None if self._tell_ms is None else max(self._tell_ms, self._page_from_ms),
        )
        return min((time for time in times if time is not None), default=None)

    def _reckon(self) -> None:
        """See who is told on next."""
        self._tell_ms = min([next_ms for _, next_ms in self._told.values()], default=None)

    def tick(self, moment: Moment) -> list[Effect]:
        """Ask others for what did not come, and tell on of the pool."""
        now_ms = moment.now.mono_ms
        effects: list[Effect] = []
        self._miss(moment)
        for peer, number in self._wanted.overdue(now_ms):
            session = self._peers.session(peer)
            if isinstance(session, NativeSession):
                session.wait_no_more(number)
        return [*effects, *self._tell_page(now_ms, moment.view), *self.ask(now_ms)]

    def _miss(self, moment: Moment) -> None:
        """Of what new blocks lacked, ask everybody for what is not here, a page at a time."""
        names = list(islice(self._lacking, self._limits.view_page))
        for name in names:
            del self._lacking[name]
        for known in moment.view.known([(name.id, name.leaf) for name in names]) if names else ():
            if known.record.data is None:
                name = RecordName(known.record.id, known.record.leaf)
                self._incomplete[name] = None
                for peer, _ in self._peers.native():
                    self._wanted.announced(peer, [name], moment.now.mono_ms)
        while len(self._incomplete) > self._limits.wanted_records:
            del self._incomplete[next(iter(self._incomplete))]

    def _tell_page(self, now_ms: int, view: View) -> list[Effect]:
        """Tell the next page of the pool to who has waited longest for it, and to all who are as far. One at a time:
        with many peers and a large pool, reading pages for each of them would be all that the node does."""
        due = [(next_ms, peer) for peer, (_, next_ms) in self._told.items() if next_ms <= now_ms]
        if not due or now_ms < self._page_from_ms:
            return []
        place = self._told[min(due)[1]][0]
        records, last = view.pool(place, self._limits.announced_records, self._limits.page_bytes)
        if records:
            self._page_from_ms = now_ms + PAGE_EVERY_MS
        following = (last, now_ms + PAGE_EVERY_MS) if records else (0, now_ms + self._limits.pool_again_ms)
        effects: list[Effect] = []
        for _, peer in due:
            session = self._peers.session(peer)
            if not isinstance(session, NativeSession):
                del self._told[peer]
            elif self._told[peer][0] == place:
                self._told[peer] = following
                effects += self._tell(peer, session, records)
        self._reckon()
        return effects

    # --- asking --------------------------------------------------------------------------------

    def heard(self, peer: int, session: NativeSession, inv: Inv, moment: Moment) -> list[Effect]:
        """A peer says that it has these."""
        for name in inv.names:
            session.learns_record(name.leaf)
        kept = _kept(inv.names, moment.view)
        missing = [name for name in inv.names if name.leaf not in kept]
        if missing:
            self._wanted.announced(peer, missing, moment.now.mono_ms)
        return self.ask(moment.now.mono_ms)

    def ask(self, now_ms: int) -> list[Effect]:
        """Ask for what was announced and nobody was asked for yet."""
        effects: list[Effect] = []
        for peer, names in self._wanted.asks(now_ms):
            session = self._peers.session(peer)
            if not isinstance(session, NativeSession):
                self._wanted.gone(peer)
                continue
            request = session.asks(GetRecords(1, tuple(names)))
            self._wanted.asked(peer, request.id, names, now_ms)
            effects.append(Say([peer], codec.encode(request)))
        return effects

    # --- answering -----------------------------------------------------------------------------

    def serve(self, session: NativeSession, request: GetRecords, view: View) -> Records:
        """Records of our pool or chain, as far as they fit an answer; who asks is told what we have not got."""
        stored = {
            RecordName(known.record.id, known.record.leaf): known.record
            for known in view.known([(name.id, name.leaf) for name in request.names])
            if known.placed is not Placed.ASIDE and known.record.data is not None
        }
        found, missing = [], []
        room = self._limits.reply_soft_bytes
        for position, name in enumerate(request.names):
            if room <= 0:
                break
            record = stored.get(name)
            if record is None:
                missing.append(position)
                continue
            found.append(raw_of(record))
            session.learns_record(record.leaf)
            room -= record.size_bytes
        return Records(request.id, tuple(found), tuple(missing))

    def got(
        self, peer: int, session: NativeSession, request: GetRecords, reply: Records, moment: Moment
    ) -> list[Effect]:
        """An answer came: check what it brings, keep what there is room for, pass it on. Raises RuleViolation."""
        rules = self._engine.network.rules
        assert rules is not None  # noqa: S101 - records were asked for
        names = self._wanted.answered(peer, request.id)
        _check_length(reply, self._limits.reply_soft_bytes)
        records = check_records(reply.records, rules.max_data_bytes)
        _check_fits(request, reply, records)
        lacking = {request.names[position].leaf for position in reply.missing}
        lacking |= {record.leaf for record in records if record.data is None}  # somebody else may have it still
        self._wanted.missing(peer, [name for name in names if name.leaf in lacking])
        whole = [record for record in records if record.data is not None]
        completing = [each for each in whole if RecordName(each.id, each.leaf) in self._incomplete]
        for each in completing:
            self._incomplete.pop(RecordName(each.id, each.leaf), None)
        known = _kept(whole, moment.view)
        unknown = list({record.leaf: record for record in whole if record.leaf not in known}.values())
        new = self._pool.take_foreign(unknown, session.ip, moment.view)
        here = known | {record.leaf for record in new}
        self._wanted.arrived([RecordName(record.id, record.leaf) for record in whole if record.leaf in here])
        if len(new) < len(unknown):  # it will not tell of them again: what there was no room for is asked for later
            self._wanted.rest(peer, moment.now.mono_ms + FULL_MS)
        writes: list[Effect] = [Complete(completing)] if completing else []
        writes += [AddRecords(new)] if new else []
        return [*writes, *self.announce(new, peer), *self.ask(moment.now.mono_ms)]


def _kept(names: Sequence[RecordName] | Sequence[Record], view: View) -> set[bytes]:
    """Leaves of those that are in the pool or on the chain."""
    placed = view.placed([(name.id, name.leaf) for name in names])
    return {leaf for leaf, where in placed.items() if where is not Placed.ASIDE}


def _check_length(reply: Records, most_bytes: int) -> None:
    """Does the answer end with the record that reaches `most_bytes`, as `Relay.serve` has it? What is longer is not
    even looked at: some data takes long to check."""
    sizes = [len(each.entry) + len(each.salt or b"") + len(each.data or b"") for each in reply.records[:-1]]
    if sum(sizes) >= most_bytes:
        raise RuleViolation(Rule.REPLY_FITS_REQUEST, f"records beyond {most_bytes:,} bytes; an answer ends there")


def _check_fits(request: GetRecords, reply: Records, records: Sequence[Record]) -> None:
    """Are these the records asked for, in their order, up to where the answer ends?"""
    missing = set(reply.missing)
    expected = [name for position, name in enumerate(request.names) if position not in missing]
    if (
        len(missing) != len(reply.missing)
        or any(position >= len(request.names) for position in missing)
        or [RecordName(record.id, record.leaf) for record in records] != expected[: len(records)]
        or not (records or missing)
    ):
        raise RuleViolation(Rule.REPLY_FITS_REQUEST, "records that were not asked for, or not in that order")
