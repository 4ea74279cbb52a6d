"""The core of the client: what is asked, in which order and how often, and what is made of the answers. No I/O.

Each method of `Core` is a *flow*: a generator that yields what has to happen next, a `Request` to send or a `Pause` to
make, and is sent the answer to it, or has the error thrown into it. What it returns is the result. Those that lead
along the chain yield `Items` besides, which whoever asked may have at once. So there is one client, however bytes are
moved: `sync` and `asynchronous` are loops of a few lines around it, and tests drive it without a socket or a clock.

**What is tried again, and what is not.** Reading is harmless. A record that is posted again under the same id, with the
same data, is answered with what is there; so each gets its id here, before it is sent, and is then posted until it is
answered, or patience is over. `POST /mineBlock` in a classic network has no such key: a connection that broke may have
broken before the block or after it, and a second try could make a second block of the same data. So it is never tried
again here: look at the chain, and decide.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote

import msgspec
import uuid_utils

from tallystick.client import proofs
from tallystick.client.answers import Block, Done, Match, Matches, Posted, Receipt, Records, Status, StoredRecord
from tallystick.client.errors import BranchSwitched, ClientError, Misuse, NotProven, NotYet, Unreadable
from tallystick.client.proofs import Proven, check_block, check_data, trusted_hash
from tallystick.client.requests import SHORT_BYTES_MAX, Answer, Request, accepted, decoded
from tallystick.errors import RuleViolation, shown
from tallystick.model.canonical import canonical
from tallystick.model.limits import LIMITS, SECOND_MS
from tallystick.model.proof import ConsistencyProof
from tallystick.model.record import check_id

T = TypeVar("T")

PATIENCE_S: Final = 30.0
"""For so long something is tried again, unless a program says otherwise."""

RETRY_FIRST_S: Final = 0.1
RETRY_MOST_S: Final = 5.0
"""Between two tries: doubled from the first to the second. A node that asks for more is left alone for longer."""

POLL_FIRST_S: Final = 0.05
POLL_MOST_S: Final = 2.0
"""Between two looks at something that is waited for, likewise; from the first again after something happened."""

REMEMBERED: Final = 2_000
"""Of what an iterator gave, so much is remembered, to tell where a branch left it."""


class NewRecord(msgspec.Struct, frozen=True):
    """Something to record. It has its id from the beginning, so it can be posted again and is recorded once."""

    data: Any
    """Any JSON value: dict, list, str, int, float, bool, None."""

    id: str = msgspec.field(default_factory=lambda: str(uuid_utils.uuid7()))
    """1 to 128 of letters, digits and `. _ : -`; a UUIDv7 if you give none."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing is to be done for so long."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Items(Generic[T]):
    """What was found, in its order."""

    found: Sequence[T]


@dataclass(frozen=True, slots=True)
class Result(Generic[T]):
    """A flow is over, and this is what it leads to."""

    value: T


Flow = Generator[Request | Pause, Any, T]
"""A `Request` is sent its `Answer`, a `Pause` nothing of interest."""

Course = Generator[Request | Pause | Items[T], Any, None]
"""Likewise, along the chain. That it looks again after a pause is its own business: once nodes tell their news by
themselves, only this side of the interface changes."""


def advanced(flow: Generator[T, Any, Any], outcome: Answer | ClientError | bytes | None = None) -> T | Result[Any]:
    """What a flow asks for next, after this came of what it asked for before; nothing came before at first."""
    try:
        return flow.throw(outcome) if isinstance(outcome, ClientError) else flow.send(outcome)
    except StopIteration as end:
        return Result(end.value)


class Core:
    """Makes flows. Errors are those of `tallystick.client.errors`."""

    def __init__(
        self,
        patience_s: float = PATIENCE_S,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """`clock` gives seconds that never go back, `draw` numbers from 0 to 1, which keep clients out of step."""
        self.patience_s = patience_s
        """For so long something is tried again."""

        self.clock = clock
        self._draw = draw

    # --- one question ------------------------------------------------------------------------------

    def asked(self, request: Request, read: Callable[[bytes], T]) -> Flow[T]:
        """What is read in the answer, tried again where that does no harm and may help."""
        until_s = self.clock() + self.patience_s
        pauses = self.pauses(RETRY_FIRST_S, RETRY_MOST_S)
        while True:
            try:
                answer: Answer = yield request
                body = accepted(answer)
            except ClientError as error:
                if not (request.repeatable and error.may_retry):
                    raise
                pause_s = max(next(pauses), getattr(error, "retry_after_s", 0.0))
                if self.clock() + pause_s > until_s:
                    raise
            else:
                return read(body)
            yield Pause(pause_s)

    def pauses(self, first_s: float, most_s: float) -> Iterator[float]:
        """Ever longer ones, each a little shorter than its turn by chance."""
        while True:
            yield first_s * (0.5 + self._draw() / 2)
            first_s = min(2 * first_s, most_s)

    # --- writing -----------------------------------------------------------------------------------

    def post(self, records: Iterable[NewRecord]) -> Flow[list[Receipt]]:
        """Records that are safe on the node's disk, in their order. As many requests as it takes."""
        receipts: list[Receipt] = []
        for ids, body in _bodies(records):
            request = Request("POST", "/records", body=body)
            receipts += yield from self.asked(request, partial(_receipts, ids=ids))
        return receipts

    def mine(self, data: str) -> Flow[Block]:
        """The block that holds the data. Tried once, see above. Raises NotYet where blocks have to be found, and none
        was in time."""
        more_time_s = LIMITS.post_wait_ms / SECOND_MS
        body = msgspec.json.encode({"data": _text(data)})
        request = Request("POST", "/mineBlock", body=body, repeatable=False, more_time_s=more_time_s)
        return (yield from self.asked(request, partial(_mined, data=data)))

    def add_peer(self, address: str) -> Flow[None]:
        """The node dials this address from now on."""
        body = msgspec.json.encode({"peer": _text(address)})
        request = Request("POST", "/addPeer", body=body, most_bytes=SHORT_BYTES_MAX)
        yield from self.asked(request, partial(decoded, kind=Done))

    # --- reading -----------------------------------------------------------------------------------

    def status(self) -> Flow[Status]:
        """What the node is doing."""
        request = Request("GET", "/status", most_bytes=SHORT_BYTES_MAX)
        return (yield from self.asked(request, partial(decoded, kind=Status)))

    def peers(self) -> Flow[list[str]]:
        """The remote end of each open connection."""
        request = Request("GET", "/peers", most_bytes=SHORT_BYTES_MAX)
        return (yield from self.asked(request, partial(decoded, kind=list[str])))

    def block(self, which: int | str) -> Flow[Block]:
        """The block of this index or hash, or the `latest`; it is what its hash says."""
        if which != "latest":
            which = _index(which) if isinstance(which, int) else trusted_hash(which)
        return (yield from self.asked(Request("GET", f"/blocks/{which}"), partial(_block, which=which)))

    def records_of(self, id: str) -> Flow[list[StoredRecord]]:
        """All records of an id: those in blocks in the order of the log, then those that wait, then the rest."""
        return (yield from self._records_of(id, {}))

    def record(self, id: str) -> Flow[StoredRecord]:
        """The record of an id; of several the first of these."""
        return (yield from self.records_of(id))[0]

    def _records_of(self, id: str, query: dict[str, str]) -> Flow[list[StoredRecord]]:
        request = Request("GET", f"/records/{quote(_id(id), safe='')}", query)
        return (yield from self.asked(request, partial(_records, id=id)))

    def wait(self, id: str, confirmations: int, timeout_s: float) -> Flow[StoredRecord]:
        """The record once it has so many confirmations. Raises NotYet when the time is over."""
        until_s = self.clock() + timeout_s
        pauses = self.pauses(POLL_FIRST_S, POLL_MOST_S)
        while True:
            stored = yield from self.record(id)
            count = (stored.confirmations or 0) if stored.status == "included" else 0
            if stored.status == "included" and count >= confirmations:
                return stored
            if (left_s := until_s - self.clock()) <= 0:
                raise NotYet(id, stored.status, count)
            yield Pause(min(next(pauses), left_s))

    # --- along the chain ---------------------------------------------------------------------------

    def blocks(self, after: int, *, follow: bool) -> Course[Block]:
        """Blocks behind the index `after`, each what its hash says and the child of the one before."""
        trail: deque[tuple[int, str]] = deque(maxlen=REMEMBERED)
        pauses = self.pauses(POLL_FIRST_S, POLL_MOST_S)
        first = _index(after + 1)
        while True:
            page = yield from self._page_of_blocks(first, LIMITS.page_blocks)
            if page and trail and page[0].previous_hash != trail[-1][1]:
                raise BranchSwitched((yield from self._fork(trail, self._hash_at)))
            if page:
                yield Items(page)
                trail.extend((block.index, block.hash) for block in page)
                first += len(page)
                pauses = self.pauses(POLL_FIRST_S, POLL_MOST_S)
            elif follow:
                yield Pause(next(pauses))
            else:
                return

    def records(self, after: int, *, follow: bool) -> Course[StoredRecord]:
        """Records of the log behind the first `after`.

        A block's hash commits to the whole log up to it. So as long as the record that came last is still in the same
        block, all that came before it stands; it is asked for again with each page, to see that.
        """
        trail: deque[tuple[int, str]] = deque(maxlen=REMEMBERED)
        pauses = self.pauses(POLL_FIRST_S, POLL_MOST_S)
        first = _index(after)
        while True:
            page = yield from self._next_records(first, trail[-1][1] if trail else None)
            if page is None:
                raise BranchSwitched(1 + (yield from self._fork(trail, self._hash_of_position)))
            if page:
                yield Items(page)
                trail.extend((first + number, _hash_of(each)) for number, each in enumerate(page))
                first += len(page)
                pauses = self.pauses(POLL_FIRST_S, POLL_MOST_S)
            elif follow:
                yield Pause(next(pauses))
            else:
                return

    def search(self, text: str, before: int | None) -> Course[Match]:
        """Where a text stands on the best chain, newest first, from below the place `before` down to the beginning."""
        while True:
            page = yield from self.asked(search_request(text, before), partial(matches, before=before))
            if page.matches:
                yield Items(page.matches)
            if page.before is None:
                return
            before = page.before

    def _next_records(self, first: int, last_hash: str | None) -> Flow[list[StoredRecord] | None]:
        """A page that begins at `first`; None when the record before it is no longer in the block of that hash."""
        if last_hash is None:
            return (yield from self._page_of_records(first, LIMITS.records_per_page))
        page = yield from self._page_of_records(first - 1, LIMITS.records_per_page)
        if not page or _hash_of(page[0]) != last_hash:
            return None
        if len(page) > 1:
            return page[1:]
        page = yield from self._page_of_records(first, LIMITS.records_per_page)  # the one before may fill a page alone
        return page if not page or (yield from self._hash_of_position(first - 1)) == last_hash else None

    def _page_of_blocks(self, first: int, limit: int) -> Flow[list[Block]]:
        request = Request("GET", "/blocks", {"from": str(first), "limit": str(limit)})
        return (yield from self.asked(request, partial(_block_page, first=first, limit=limit)))

    def _page_of_records(self, first: int, limit: int) -> Flow[list[StoredRecord]]:
        request = Request("GET", "/records", {"after": str(first), "limit": str(limit)})
        return (yield from self.asked(request, partial(_record_page, first=first, limit=limit)))

    def _hash_at(self, index: int) -> Flow[str]:
        page = yield from self._page_of_blocks(index, 1)
        return page[0].hash if page else ""

    def _hash_of_position(self, position: int) -> Flow[str]:
        page = yield from self._page_of_records(position, 1)
        return _hash_of(page[0]) if page else ""

    def _fork(self, trail: Sequence[tuple[int, str]], look: Callable[[int], Flow[str]]) -> Flow[int]:
        """The last place of the trail that is still on the chain, or -1. What stands, stands up to some place."""
        points = list(trail)
        low, high = 0, len(points)
        while low < high:
            middle = (low + high) // 2
            place, hash = points[middle]
            if (yield from look(place)) == hash:
                low = middle + 1
            else:
                high = middle
        return points[low - 1][0] if low else -1

    # --- proofs ------------------------------------------------------------------------------------

    def verify(self, id: str, block_hash: str, expected: bytes | None) -> Flow[Proven]:
        """The record of an id, proven to be in the log as of this block, and to hold this canonical data if given."""
        trusted = trusted_hash(block_hash)
        found = yield from self._records_of(id, {"block": trusted})
        proven = [proofs.check(bytes(each.proof), trusted) for each in found if bytes(each.proof) not in {b"", b"null"}]
        if not proven:
            raise NotProven(f"the node has no proof that record {id} is in the log as of block {trusted}")
        if any(each.id != id for each in proven):
            raise NotProven(f"a proof is of another record than {id}")
        if expected is not None:
            proven = [each for each in proven if each.data == expected]
            if not proven:
                raise NotProven(f"record {id} is in the log, and does not hold the data that was expected")
        return min(proven, key=lambda each: each.position)

    def verify_consistency(self, old_hash: str, block: str) -> Flow[str]:
        """The hash of a later block, whose log is proven to begin with that of a block that is trusted."""
        old, later = trusted_hash(old_hash), block if block == "latest" else trusted_hash(block)
        request = Request("GET", f"/blocks/{later}/consistency", {"from": old})
        proof = yield from self.asked(request, partial(decoded, kind=ConsistencyProof))
        return proofs.check_consistency(proof, old, None if later == "latest" else later)


# --- what is sent -----------------------------------------------------------------------------------


def canonical_form(data: object) -> bytes:
    """Data as it is recorded. Raises Misuse."""
    try:
        return canonical(data)
    except RuleViolation as broken:
        raise Misuse(broken.detail) from broken
    except TypeError as error:  # not of JSON's types
        raise Misuse(f"the data is no JSON value: {str(error)[:160]}") from error


def _bodies(records: Iterable[NewRecord]) -> Iterator[tuple[list[str], bytes]]:
    """Requests that a node takes, and the ids in each."""
    ids: list[str] = []
    parts: list[bytes] = []
    size_bytes = 0
    for record in records:
        part = b'{"id":"%b","data":%b}' % (_id(record.id).encode(), canonical_form(record.data))
        if parts and (len(parts) == LIMITS.records_per_post or size_bytes + len(part) > LIMITS.request_body_bytes - 2):
            yield ids, b"[%b]" % b",".join(parts)
            ids, parts, size_bytes = [], [], 0
        ids.append(record.id)
        parts.append(part)
        size_bytes += len(part) + 1
    if parts:
        yield ids, b"[%b]" % b",".join(parts)


def search_request(text: str, before: int | None, limit: int = LIMITS.search_matches) -> Request:
    """The question for a stretch of a search. Raises Misuse."""
    query = {"text": _text(text), "limit": str(limit)}
    if before is not None:
        query["before"] = str(_index(before))
    return Request("GET", "/search", query, most_bytes=SHORT_BYTES_MAX)


def _id(id: str) -> str:
    """An id that a record can have. Raises Misuse: others would lead elsewhere."""
    try:
        return check_id(id)
    except (RuleViolation, TypeError) as broken:
        raise Misuse(str(broken)) from broken


def _index(number: int) -> int:
    if number < 0:
        raise Misuse(f"{shown(number)} is before the first; count from 0")
    return number


def _text(text: str) -> str:
    try:
        text.encode()
    except (UnicodeEncodeError, AttributeError) as error:
        raise Misuse(f"{shown(text)} is no text in UTF-8") from error
    return text


# --- what is answered -------------------------------------------------------------------------------


def _receipts(body: bytes, ids: list[str]) -> list[Receipt]:
    receipts = decoded(body, Posted).records
    if [each.id for each in receipts] != ids:
        raise Unreadable("it acknowledges other records than were posted")
    return receipts


def _mined(body: bytes, data: str) -> Block:
    if "index" not in decoded(body, dict[str, msgspec.Raw]):
        waits = decoded(body, Posted).only
        raise NotYet(waits.id, waits.status, 0)
    block = decoded(body, Block)
    check_block(block)
    held = [block.data] if block.records is None else [each.value for each in block.records]
    if data not in held:
        raise NotProven(f"block {block.index}, of which it says that it holds the data, does not")
    return block


def _block(body: bytes, which: int | str) -> Block:
    block = decoded(body, Block)
    if which not in {"latest", block.index, block.hash}:
        raise NotProven(f"asked for block {which}, it gives block {block.index} with the hash {shown(block.hash)}")
    check_block(block)
    return block


def _block_page(body: bytes, first: int, limit: int) -> list[Block]:
    page = decoded(body, list[Block])
    if [block.index for block in page] != list(range(first, first + len(page))) or len(page) > limit:
        raise Unreadable(f"the blocks of a page do not begin at {first} and go on one by one")
    for number, block in enumerate(page):
        if number and block.previous_hash != page[number - 1].hash:
            raise NotProven(f"block {block.index} does not follow from the one before")
        check_block(block)
    return page


def _records(body: bytes, id: str) -> list[StoredRecord]:
    records = decoded(body, Records).records
    for each in records:
        if each.id != id:
            raise Unreadable(f"asked for record {id}, it gives {shown(each.id)}")
        check_data(each)
    order = {"included": 0, "pending": 1}
    return sorted(records, key=lambda each: (order.get(each.status, 2), each.position or 0))


def _record_page(body: bytes, first: int, limit: int) -> list[StoredRecord]:
    page = decoded(body, list[StoredRecord])
    if [each.position for each in page] != list(range(first, first + len(page))) or len(page) > limit:
        raise Unreadable(f"the records of a page do not begin at {first} and go on one by one")
    for each in page:
        _hash_of(each)
        check_data(each)
    return page


def matches(body: bytes, before: int | None) -> Matches:
    """What one stretch of a search below the place `before` came to. Raises Unreadable."""
    page = decoded(body, Matches)
    if not page.is_below(before):
        raise Unreadable("a search that goes down the ledger does not get further down")
    return page


def _hash_of(record: StoredRecord) -> str:
    """Of the block it is in."""
    if record.block is None:
        raise Unreadable(f"record {shown(record.id)} is in the log, and in no block")
    return record.block.hash
