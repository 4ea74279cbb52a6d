"""Records that peers announced, and of whom each is asked.

Every holder of a record that we lack gets its turn. A record is asked of one of them at a time, and one request at a
time is under way to each of them; whoever is free is asked first for what it announced first. A turn ends in one of
three ways: the record is here, and nobody is asked any more; the holder has not got it after all, and is never asked
again; or it was left out of the answer, or no answer came in time, and the next one has its turn. When all had theirs
a new round begins. So nobody can keep a record from us by announcing it first (Bitcoin Core, `txrequest.h`).

Who leaves out most of what it is asked for is asked for less. Who gives no answer in time is asked for half as much,
after a rest, and after all others: a slow line gets its records through at last, and who never delivers hardly holds
anything up.

What is remembered is bounded, all peers together. When that is full, whoever announces more than its share forgets
its newest announcements in favour of whoever announces less: no flood drives out what others have to offer.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heapreplace

from tallystick.model.limits import Limits
from tallystick.wire.native.messages import RecordName


class _Turn(enum.Enum):
    """What may be expected of a holder."""

    AHEAD = "ahead"
    OVER = "over"
    """In this round."""

    LACKS = "lacks"
    """It will not deliver. Remembered while others may: announcing it anew would else gain another turn."""


@dataclass(slots=True)
class _Holder:
    """A peer that announced records."""

    most: int
    """It is asked for so many at a time."""

    announced: dict[RecordName, int] = field(default_factory=dict)
    """When it announced what we still want."""

    ready: dict[RecordName, None] = field(default_factory=dict)
    """Of these, what it may be asked for now: its turn is ahead, and nobody else is asked."""

    rests_until_ms: int = 0
    """It gave no answer in time, and is left alone for a while."""

    answered: Sequence[RecordName] = ()
    """The request it answered last, until we know how much of it came."""


@dataclass(frozen=True, slots=True)
class _Request:
    """A request under way."""

    number: int
    names: Sequence[RecordName]
    asked_ms: int


class Wanted:
    """Owner of what was announced and is not here. All times are monotonic milliseconds.

    A name counts with its id and its leaf: who announces a true leaf under a false id wants nothing but to confuse us.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._holders: dict[int, _Holder] = {}
        """By peer, until it is gone."""

        self._turns: dict[RecordName, dict[int, _Turn]] = {}
        """Who announced what is wanted, in that order."""

        self._requests: dict[int, _Request] = {}
        """Under way, by peer, oldest first."""

        self._asked: set[RecordName] = set()
        """All their names."""

        self._count = 0
        """Of announcements, over all peers."""

    # --- what peers have -----------------------------------------------------------------------

    def announced(self, peer: int, names: Iterable[RecordName], now_ms: int) -> None:
        """A peer has these, which we lack. What exceeds its share, when there is no room for more, is forgotten."""
        holder = self._holders.get(peer)
        if holder is None:
            holder = self._holders[peer] = _Holder(self._limits.records_per_request)
        new = [name for name in dict.fromkeys(names) if name not in holder.announced]
        for name in new[: self._make_room(holder, len(new))]:
            holder.announced[name] = now_ms
            self._turns.setdefault(name, {})[peer] = _Turn.AHEAD
            if name not in self._asked:
                holder.ready[name] = None
            self._count += 1

    def missing(self, peer: int, names: Iterable[RecordName]) -> None:
        """A peer has not got these after all: others are asked."""
        for name in names:
            turns = self._turns.get(name, {})
            if peer in turns:
                turns[peer] = _Turn.LACKS
                self._holders[peer].ready.pop(name, None)
                self._offer(name)

    def arrived(self, names: Iterable[RecordName]) -> None:
        """These are here, or not wanted for another reason: nobody is asked for them any more."""
        for name in names:
            self._forget(name)

    def gone(self, peer: int) -> None:
        """A connection ended: others are asked for what it owes."""
        request = self._requests.pop(peer, None)
        if request is not None:
            self._asked.difference_update(request.names)
        holder = self._holders.get(peer, None)
        if holder is not None:
            for name in list(holder.announced):
                self._drop(peer, name)
            del self._holders[peer]
        for name in request.names if request is not None else ():
            self._offer(name)

    def rest(self, peer: int, until_ms: int) -> None:
        """Ask this one for nothing before then."""
        if peer in self._holders:
            self._holders[peer].rests_until_ms = until_ms

    # --- asking --------------------------------------------------------------------------------

    def asks(self, now_ms: int) -> list[tuple[int, list[RecordName]]]:
        """Whom to ask for what, now. Nothing counts as asked before `asked` says so."""
        free = [
            (holder.rests_until_ms, holder.announced[next(iter(holder.ready))], peer)
            for peer, holder in self._holders.items()
            if holder.ready and peer not in self._requests and holder.rests_until_ms <= now_ms
        ]
        questions: list[tuple[int, list[RecordName]]] = []
        taken: set[RecordName] = set()
        for _, _, peer in sorted(free):
            holder = self._holders[peer]
            most, names = self._most(peer, holder), list[RecordName]()
            for name in holder.ready:
                if len(names) == most:
                    break
                if name not in taken:
                    names.append(name)
            if names:
                taken.update(names)
                questions.append((peer, names))
        return questions

    def _most(self, peer: int, holder: _Holder) -> int:
        """How much to ask of a holder: all there may be, unless it left out much of what it was asked for last."""
        if holder.answered:
            turns = [self._turns[name][peer] for name in holder.answered if name in holder.announced]
            left_out = sum(turn is not _Turn.LACKS for turn in turns)
            twice = 2 * (len(holder.answered) - left_out)
            most = max(1, twice) if left_out else max(twice, holder.most)
            holder.most, holder.answered = min(most, self._limits.records_per_request), ()
        return holder.most

    def asked(self, peer: int, number: int, names: Sequence[RecordName], now_ms: int) -> None:
        """A request for what `asks` said goes out, with this number."""
        assert peer not in self._requests  # noqa: S101 - `asks` names nobody twice
        self._requests[peer] = _Request(number, tuple(names), now_ms)
        self._asked.update(names)
        for name in names:
            for holder in self._turns.get(name, ()):
                self._holders[holder].ready.pop(name, None)

    # --- the end of a request ------------------------------------------------------------------

    def answered(self, peer: int, number: int) -> Sequence[RecordName]:
        """The names that this request was for; none when it is not under way.

        What is neither `arrived` nor `missing` after this was left out, and is asked for again.
        """
        request = self._requests.get(peer)
        if request is None or request.number != number:
            return ()
        if peer in self._holders:
            self._holders[peer].answered = request.names
        self._end(peer, request, _Turn.OVER)
        return request.names

    def overdue(self, now_ms: int) -> list[tuple[int, int]]:
        """The requests, by peer and number, that kept us waiting too long. They are given up: others are asked."""
        patience_ms = self._limits.record_patience_ms
        late = []
        for peer, request in self._requests.items():
            if now_ms - request.asked_ms < patience_ms:
                break
            late.append((peer, request))
        for peer, request in late:
            holder = self._holders.get(peer)
            if holder is not None:
                holder.most = max(1, len(request.names) // 2)
                holder.rests_until_ms = now_ms + patience_ms
            # Who cannot deliver a single one within the time is asked for that one no more.
            self._end(peer, request, _Turn.OVER if len(request.names) > 1 else _Turn.LACKS)
        return [(peer, request.number) for peer, request in late]

    def _end(self, peer: int, request: _Request, turn: _Turn) -> None:
        del self._requests[peer]
        self._asked.difference_update(request.names)
        for name in request.names:
            turns = self._turns.get(name, {})
            if peer in turns:
                turns[peer] = turn
            self._offer(name)

    def next_ms(self) -> int | None:
        """When a request is overdue next, or somebody has rested who has something to be asked for."""
        times = [
            holder.rests_until_ms
            for peer, holder in self._holders.items()
            if holder.rests_until_ms and holder.ready and peer not in self._requests
        ]
        oldest = next(iter(self._requests.values()), None)
        if oldest is not None:
            times.append(oldest.asked_ms + self._limits.record_patience_ms)
        return min(times, default=None)

    # --- turns ---------------------------------------------------------------------------------

    def _offer(self, name: RecordName) -> None:
        """Unless somebody is asked for it: those whose turn is ahead may be; when there are none, a round begins; when
        nobody will deliver, it is forgotten."""
        turns = self._turns.get(name)
        if turns is None or name in self._asked:
            return
        if _Turn.AHEAD not in turns.values():
            for peer, turn in turns.items():
                if turn is _Turn.OVER:
                    turns[peer] = _Turn.AHEAD
        ahead = [peer for peer, turn in turns.items() if turn is _Turn.AHEAD]
        for peer in ahead:
            self._holders[peer].ready[name] = None
        if not ahead:
            self._forget(name)

    def _forget(self, name: RecordName) -> None:
        for peer in self._turns.pop(name, ()):
            holder = self._holders[peer]
            del holder.announced[name]
            holder.ready.pop(name, None)
            self._count -= 1

    def _drop(self, peer: int, name: RecordName) -> None:
        """Forget that this peer announced it."""
        holder, turns = self._holders[peer], self._turns[name]
        del holder.announced[name], turns[peer]
        holder.ready.pop(name, None)
        self._count -= 1
        if turns:
            self._offer(name)
        else:
            del self._turns[name]

    # --- fair shares ---------------------------------------------------------------------------

    def _make_room(self, holder: _Holder, wanted: int) -> int:
        """How many announcements of `wanted` find room, after those who have more than their share made some.

        Nobody loses what is within an equal share, and nobody ends up with less than whom it makes room for.
        """
        largest = [(-len(each.announced), peer) for peer, each in self._holders.items() if each is not holder]
        heapify(largest)
        while (room := self._limits.wanted_records - self._count) < wanted and largest:
            size, peer = largest[0]
            announced = self._holders[peer].announced
            if -size == len(announced):
                if len(announced) - 1 <= len(holder.announced) + room:
                    break
                self._drop(peer, next(reversed(announced)))
            heapreplace(largest, (-len(announced), peer))
        return min(room, wanted)
