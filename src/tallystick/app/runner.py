"""The running node: one writer, group commit.

Everything that happens while a batch is on its way to the disk waits and becomes the next batch: all of
it is stepped, all writes go into one transaction, and replies and messages leave only after the commit.
So sixteen posts cost one flush of the disk, and nobody ever hears of a block that could still vanish.

What peers say comes last in a batch, and has a slice of time there: a question for old blocks costs milliseconds, and
sixty peers that ask them as fast as they can must not keep a caller waiting. Neither can callers keep peers waiting:
each batch takes one message at least.

The commit runs on the event loop, not in a thread: that was measured to be faster
(docs/decisions/0006-commit-on-the-event-loop.md). If the disk
refuses, the node stops: `failure` says why, and everything that was acknowledged is in the file.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol, cast, get_args

import msgspec
import structlog

from tallystick.app.entropy import ENTROPY
from tallystick.app.metrics import Commits
from tallystick.chain.contracts import Known, Reader, Store
from tallystick.chain.writes import Switch, Write
from tallystick.errors import Rule, RuleViolation, StoreError
from tallystick.model.limits import Limits
from tallystick.model.network import Network
from tallystick.model.record import Record, sizes
from tallystick.model.sealed import AnyBlock
from tallystick.node.effects import (
    Admit,
    Dial,
    Effect,
    HangUp,
    Hold,
    Log,
    Mine,
    Ping,
    Reply,
    SaveAddresses,
    Say,
    SayChain,
)
from tallystick.node.inputs import (
    AddPeer,
    Ban,
    EraseRecord,
    Input,
    Mined,
    Now,
    PeerSaid,
    Post,
    PostAndWait,
    PostRecords,
    RemovePeer,
    StopWaiting,
    Tick,
    Unban,
)
from tallystick.node.machine import Node
from tallystick.node.ports import Banned, PeerStatus, Status
from tallystick.wire.dialect import Dialect

log = structlog.get_logger("tallystick")

WRITES: Final = get_args(Write)

Answer = AnyBlock | Known | Sequence[Known] | bool

SaveBook = Callable[[bytes], None]
"""Puts the book of addresses on disk. Losing one costs little and stops nobody: never raises."""


class Sockets(Protocol):
    """What performs the effects that concern peers (`tallystick.p2p.hub`)."""

    def perform(self, effect: Say | SayChain | Admit | Ping | Hold | HangUp | Dial) -> None:
        """Do it, without waiting."""

    def traffic(self, peer: int) -> tuple[int, int] | None:
        """Bytes received from an open connection, and sent to it."""


class Searcher(Protocol):
    """What looks for nonces (`tallystick.app.mining`)."""

    def mine(self, job: Mine) -> None:
        """Look for this one, and for nothing else any more."""

    def hash_rate(self) -> float:
        """Hashes a second, lately."""


def _size_of(event: Input) -> int:
    """What an input may write, about."""
    match event:
        case Post():
            return len(event.data)
        case PostRecords():
            return sizes(event.records)
    return 0


def read_clock() -> Now:
    """Read both clocks."""
    return Now(time.time_ns() // 1_000_000, time.monotonic_ns() // 1_000_000)


class Runner:
    """`Ledger` of a running node: owner of the queue of inputs, of the batch, and of the next tick."""

    def __init__(  # noqa: PLR0917 - all that a running node is made of
        self,
        node: Node,
        store: Store,
        reader: Reader,
        network: Network,
        limits: Limits,
        save_addresses: SaveBook = lambda _: None,
    ) -> None:
        """`save_addresses` keeps the book of addresses; by default nobody does."""
        self._node = node
        self._save_addresses = save_addresses
        self._store = store
        self._reader = reader
        self._network = network
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._queue: deque[Input] = deque()
        self._said: deque[PeerSaid] = deque()
        """Messages of peers, beside all other inputs; one a peer at most."""

        self._gathering = False
        self._answers: dict[int, asyncio.Future[Answer]] = {}
        self._stepped: dict[int, asyncio.Future[None]] = {}
        self._next_ticket = 0
        self._batches = 0
        self._more: asyncio.Future[None] | None = None
        """Done after the next batch, if anybody waits for it."""

        self._timer: asyncio.TimerHandle | None = None
        self._sockets: Sockets | None = None
        self._miner: Searcher | None = None
        self.commits = Commits()
        self.failure: BaseException | None = None
        """Why the node had to stop; None while it runs, or when it was told to."""

        self.failed: asyncio.Future[object] = self._loop.create_future()
        """Done when the node takes nothing more."""

    def start(self, sockets: Sockets, miner: Searcher | None = None) -> None:
        """Begin: `sockets` perform what concerns peers, `miner` looks for nonces, and whatever is due is done."""
        self._sockets = sockets
        self._miner = miner
        self._arm()

    def stop(self) -> None:
        """Step and commit what waits, then take nothing more. Idempotent."""
        while self._waiting and not self.failed.done():
            self._flush()
        if not self.failed.done():
            if (book := self._node.addresses_to_save(read_clock())) is not None:
                self._save_addresses(book)
            self._end("it was told to")

    # --- what the API and the peers' door see --------------------------------------------------

    @property
    def limits(self) -> Limits:
        return self._limits

    @property
    def network(self) -> Network:
        return self._network

    @property
    def reader(self) -> Reader:
        return self._reader

    def submit(self, event: Input) -> None:
        """Put an input into the next batch."""
        if self.failed.done():
            return
        if isinstance(event, PeerSaid):
            self._said.append(event)
        else:
            self._queue.append(event)
        if not self._gathering:
            self._gathering = True
            self._loop.call_soon(self._gather, 0)

    @property
    def batches(self) -> int:
        return self._batches

    async def happened(self, batches: int) -> None:
        """Wait until there were more batches than these, or there will be none."""
        while self._batches <= batches and not self.failed.done():
            if self._more is None:
                self._more = self._loop.create_future()
            await asyncio.shield(self._more)

    def _tell(self) -> None:
        """A batch is over."""
        self._batches += 1
        if self._more is not None:
            self._more.set_result(None)
            self._more = None

    async def submitted(self, event: Input) -> None:
        """Put an input into the next batch, and wait until its effects are out."""
        if self.failed.done():
            return
        future: asyncio.Future[None] = self._loop.create_future()
        self._stepped[id(event)] = future
        self.submit(event)
        await future

    @property
    def takes_records(self) -> bool:
        return self._node.takes_records

    async def post(self, data: str) -> AnyBlock:
        """Mine `data`; return the block once it is durable."""
        ticket = self._ticket()
        return cast("AnyBlock", await self._ask(ticket, Post(ticket, data)))

    async def post_records(self, records: Sequence[Record]) -> Sequence[Known]:
        """Put records into the pool, all or none."""
        ticket = self._ticket()
        return cast("Sequence[Known]", await self._ask(ticket, PostRecords(ticket, records)))

    async def post_and_wait(self, record: Record, wait_ms: int) -> AnyBlock | Known:
        """Post a record and wait for its block."""
        ticket = self._ticket()
        try:
            return cast("AnyBlock | Known", await self._ask(ticket, PostAndWait(ticket, record, wait_ms)))
        finally:
            if self._answers.pop(ticket, None) is not None:  # the caller went away
                self.submit(StopWaiting(ticket))

    async def erase(self, id: str) -> None:
        """Forget what the records of this id hold."""
        ticket = self._ticket()
        await self._ask(ticket, EraseRecord(ticket, id))

    async def add_peer(self, address: str) -> None:
        """Keep dialling `address`."""
        ticket = self._ticket()
        await self._ask(ticket, AddPeer(ticket, address))

    async def remove_peer(self, address: str) -> None:
        """Forget a peer."""
        ticket = self._ticket()
        await self._ask(ticket, RemovePeer(ticket, address))

    async def ban(self, subject: str) -> None:
        """Keep a node key or a numeric address out."""
        ticket = self._ticket()
        await self._ask(ticket, Ban(ticket, subject))

    async def unban(self, subject: str) -> None:
        """Forgive."""
        ticket = self._ticket()
        await self._ask(ticket, Unban(ticket, subject))

    def banned(self) -> Sequence[Banned]:
        return self._node.banned(read_clock())

    def check_welcome(self, address: str, dialect: Dialect) -> None:
        """May this numeric address dial us now, in this dialect? Raises RuleViolation."""
        if self.failed.done():
            raise RuleViolation(Rule.PEERS_WITHIN_LIMIT, "this node is stopping; try another one")
        self._node.check_welcome(address, dialect, read_clock())

    def connected(self) -> Sequence[str]:
        return self._node.connected()

    def status(self) -> Status:
        status = self._node.status(read_clock(), self._store)
        mining = status.mining
        if mining is not None and mining.is_mining and self._miner is not None:
            mining = msgspec.structs.replace(mining, hashes_per_second=self._miner.hash_rate())
        return msgspec.structs.replace(status, peers=[self._with_traffic(peer) for peer in status.peers], mining=mining)

    def mined(self, number: int, nonce: int) -> None:
        """The search of this number has found a nonce."""
        self.submit(Mined(number, nonce))

    def _with_traffic(self, peer: PeerStatus) -> PeerStatus:
        """The core does not see bytes; the sockets count them."""
        if self._sockets is None or peer.peer is None or (traffic := self._sockets.traffic(peer.peer)) is None:
            return peer
        return msgspec.structs.replace(peer, received_bytes=traffic[0], sent_bytes=traffic[1])

    def _ticket(self) -> int:
        self._next_ticket += 1
        return self._next_ticket

    async def _ask(self, ticket: int, event: Input) -> Answer:
        if self.failed.done():
            raise StoreError("the node is stopping")
        future: asyncio.Future[Answer] = self._loop.create_future()
        self._answers[ticket] = future
        self.submit(event)
        return await future

    # --- batches -------------------------------------------------------------------------------

    def _gather(self, before: int) -> None:
        """Flush once a turn of the event loop brought nothing new, or the batch is full.

        Callers who were answered together ask again almost together, but not in one turn. Without the
        wait the first of them would get a commit to itself and the others the next one. A turn costs
        microseconds, a commit hundreds of them.
        """
        waiting = self._waiting
        if before < waiting < self._limits.view_page:
            self._loop.call_soon(self._gather, waiting)
        else:
            self._flush()

    @property
    def _waiting(self) -> int:
        return len(self._queue) + len(self._said)

    def _flush(self) -> None:
        """Step a batch of what waits, commit, then let the effects out."""
        self._gathering = False
        try:
            batch, effects = self._step()
            for effect in effects:
                self._perform(effect)
        except BaseException as failure:  # noqa: BLE001 - whatever it is, what is and what should be differ now: stop
            self._fail(failure)
            return
        self._tell()
        for event in batch:
            stepped = self._stepped.pop(id(event), None)
            if stepped is not None and not stepped.done():
                stepped.set_result(None)
        if any(type(event) is not Post for event in batch):
            self._arm()
        if self._waiting and not self._gathering:
            self._gathering = True
            self._loop.call_soon(self._gather, 0)

    def _next(self) -> Iterator[Input]:
        """The inputs of the next batch, each taken when its predecessor was stepped: at most a page, and no more once
        they hold `Limits.page_bytes`; of what peers said one in any case, and more within their slice of time."""
        room, places = self._limits.page_bytes, self._limits.view_page
        while self._queue and room > 0 and places > 0:
            event = self._queue.popleft()
            room -= _size_of(event)
            places -= 1
            yield event
        until_ns = time.monotonic_ns() + self._limits.peers_slice_ms * 1_000_000
        is_first = True
        while self._said and (is_first or (room > 0 and places > 0 and time.monotonic_ns() < until_ns)):
            said = self._said.popleft()
            room -= len(said.message)
            places -= 1
            is_first = False
            yield said

    def _step(self) -> tuple[Sequence[Input], Sequence[Effect]]:
        """Step a batch and commit what it wrote; return it and the effects that are no writes."""
        batch: list[Input] = []
        effects: list[Effect] = []
        now = read_clock()
        node, store = self._node, self._store
        begun = False
        switches: list[Switch] = []
        try:
            for event in self._next():
                batch.append(event)
                for effect in node.step(event, now, ENTROPY, store):
                    if isinstance(effect, WRITES):
                        if not begun:
                            store.begin()
                            begun = True
                        store.apply(effect)
                        if isinstance(effect, Switch):
                            switches.append(effect)
                    else:
                        effects.append(effect)
            if begun:
                began_s = time.perf_counter()
                store.commit()
                self.commits.add(time.perf_counter() - began_s, len(batch), switches)
        except BaseException:
            store.rollback()
            raise
        return batch, effects

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Reply():
                future = self._answers.pop(effect.ticket, None)
                if future is None or future.done():
                    return  # the caller went away
                if isinstance(effect.answer, RuleViolation):
                    future.set_exception(effect.answer)
                else:
                    future.set_result(effect.answer)
            case Log():
                getattr(log, effect.level)(effect.event, **effect.fields)
            case Say() | SayChain() | Admit() | Ping() | Hold() | HangUp() | Dial():
                if self._sockets is not None:
                    self._sockets.perform(effect)
            case SaveAddresses():
                self._save_addresses(effect.content)
            case Mine():
                if self._miner is not None:
                    self._miner.mine(effect)

    def _arm(self) -> None:
        """Set the timer for the next tick."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        wake_at_ms = self._node.wake_at_ms()
        if wake_at_ms is not None:
            delay_ms = max(0, wake_at_ms - time.monotonic_ns() // 1_000_000)
            self._timer = self._loop.call_later(delay_ms / 1000, self.submit, Tick())

    # --- the end -------------------------------------------------------------------------------

    def _fail(self, failure: BaseException) -> None:
        """The disk refused, or we have a bug: no more inputs, no false promises."""
        self.failure = failure
        if isinstance(failure, StoreError):
            log.error("the node stops", why=str(failure))
        else:
            log.critical("the node stops: a fault of its own", exc_info=failure)
        self._end(str(failure))

    def _end(self, why: str) -> None:
        """Take nothing more, and let nobody wait for what will not come."""
        if self._timer is not None:
            self._timer.cancel()
        self.failed.set_result(None)
        self._tell()
        self._queue.clear()
        self._said.clear()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(StoreError(f"the node is stopping: {why}"))
        for stepped in self._stepped.values():
            if not stepped.done():
                stepped.set_result(None)
        self._answers.clear()
        self._stepped.clear()
