"""A classic ledger in memory, for tests of the API alone: no peers, no rules, no disk. See also `sealed_node`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tallystick.chain.contracts import Arrival, Fork, Found, Known, Passage, Shown
from tallystick.errors import Rule, RuleViolation
from tallystick.model.block import Block, Header, block_hash, header_of
from tallystick.model.limits import LIMITS, Limits
from tallystick.model.log import Node
from tallystick.model.network import CLASSIC, CLASSIC_GENESIS, Network
from tallystick.model.record import Record
from tallystick.node.inputs import Input
from tallystick.node.ports import Banned, PeerStatus, Status, SyncProgress
from tallystick.wire.dialect import Dialect


def block_on(parent: Block, data: str, timestamp: int = 1_700_000_000) -> Block:
    hash = block_hash(parent.index + 1, parent.hash, timestamp, data)
    return Block(data, hash, parent.index + 1, parent.hash, timestamp)


@dataclass
class FakeReader:
    chain: list[Block]
    limits: Limits
    beside: dict[str, Found] = field(default_factory=dict)
    left: list[Fork] = field(default_factory=list)
    fails_with: Exception | None = None
    before_page: Callable[[int], None] = lambda first: None  # noqa: ARG005 - a hook for tests
    pages_read: int = 0

    def tip(self) -> Header:
        self._check()
        return header_of(self.chain[-1])

    def block(self, index: int) -> Block | None:
        self._check()
        return self.chain[index] if index < len(self.chain) else None

    def page(self, first: int, count: int) -> Sequence[Block]:
        self.before_page(first)
        self._check()
        self.pages_read += 1
        page: list[Block] = []
        size = 0
        for block in self.chain[first : first + count]:
            size += len(block.data)
            if page and size > self.limits.page_bytes:
                break
            page.append(block)
        return page

    def find(self, hash: str) -> Found | None:
        self._check()
        for block in self.chain:
            if block.hash == hash:
                return Found(block, orphaned=False, mined_again_as=None)
        return self.beside.get(hash)

    def header(self, index: int) -> Header | None:
        block = self.block(index)
        return None if block is None else header_of(block)

    def header_bytes(self, index: int) -> bytes | None:
        return None

    def aside(self, hash: str) -> Header | None:
        found = self.beside.get(hash)
        return None if found is None else header_of(found.block)

    def arrivals(self, after: int, count: int) -> Sequence[Arrival]:
        return []

    def newest_place(self) -> int:
        return 0

    def passages(self, before: int, count: int, characters: int) -> Sequence[Passage]:
        self.before_page(before)
        self._check()
        self.pages_read += 1
        found: list[Passage] = []
        for block in reversed(self.chain[: max(before, 0)]):
            if len(found) == count or sum(len(each.text or "") for each in found) >= characters:
                break
            found.append(Passage(block.index, block.hash, block.timestamp, None, None, block.data))
        return found

    def records_of(self, id: str) -> Sequence[Shown]:
        return []

    def records(self, after: int, count: int) -> Sequence[Shown]:
        return []

    def hashes(self, size: int, nodes: Sequence[Node]) -> Sequence[bytes]:
        return []

    def forks(self, count: int) -> Sequence[Fork]:
        self._check()
        return self.left[:count]

    def close(self) -> None: ...

    def _check(self) -> None:
        if self.fails_with is not None:
            raise self.fails_with


class FakeLedger:
    def __init__(self, limits: Limits = LIMITS) -> None:
        self.limits = limits
        self.network: Network = CLASSIC
        self.reader = FakeReader([CLASSIC_GENESIS], limits)
        self.posted: list[str] = []
        self.added: list[str] = []
        self.removed: list[str] = []
        self.open_connections: list[str] = []
        self.peer_statuses: list[PeerStatus] = []
        self.bans: list[Banned] = []
        self.key = "ab" * 32
        self.sync: SyncProgress | None = None
        self.takes_records = False
        self.addresses = 0
        self.fails_with: Exception | None = None
        self.hold: asyncio.Event | None = None
        """While it is not set, posts wait for their commit."""
        self.posting = asyncio.Event()
        """Set when a post has arrived."""

    batches = 0

    async def happened(self, batches: int) -> None:
        while self.batches <= batches:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0)

    def submit(self, event: Input) -> None: ...

    async def submitted(self, event: Input) -> None: ...

    async def post(self, data: str) -> Block:
        self.posting.set()
        if self.hold is not None:
            await self.hold.wait()
        self._check()
        self.posted.append(data)
        if len(data) > self.limits.classic_post_bytes:
            raise RuleViolation(Rule.DATA_WITHIN_SIZE, f"{len(data)} characters; send less")
        return self.mine(data)

    def mine(self, data: str) -> Block:
        block = block_on(self.reader.chain[-1], data)
        self.reader.chain.append(block)
        return block

    def mine_many(self, count: int, data: str = "data") -> None:
        for number in range(count):
            self.mine(f"{data} {number}")

    async def post_records(self, records: Sequence[Record]) -> Sequence[Known]:
        raise NotImplementedError

    async def post_and_wait(self, record: Record, wait_ms: int) -> Block | Known:
        raise NotImplementedError

    async def erase(self, id: str) -> None:
        raise NotImplementedError

    async def add_peer(self, address: str) -> None:
        self._check()
        self.added.append(address)

    async def remove_peer(self, address: str) -> None:
        self._check()
        if address not in self.added and address not in self.open_connections:
            raise RuleViolation(Rule.PEER_IS_KNOWN, f"{address} is no peer; see GET /status")
        self.removed.append(address)

    async def ban(self, subject: str) -> None:
        self._check()
        self.bans.append(Banned(subject, manual=True, remaining_ms=None))

    async def unban(self, subject: str) -> None:
        self._check()
        left = [ban for ban in self.bans if ban.subject != subject]
        if len(left) == len(self.bans):
            raise RuleViolation(Rule.BAN_IS_KNOWN, f"{subject} is not kept out; see GET /bans")
        self.bans = left

    def banned(self) -> Sequence[Banned]:
        self._check()
        return self.bans

    def check_welcome(self, address: str, dialect: Dialect) -> None: ...

    def connected(self) -> Sequence[str]:
        return self.open_connections

    def status(self) -> Status:
        return Status(
            tip=self.reader.tip(),
            peers=self.peer_statuses,
            dropped=[{"address": "10.0.0.9:3001", "rule": "pong-in-time", "detail": "60 s"}],
            lost_duties=False,
            key=self.key,
            sync=self.sync,
            addresses=self.addresses,
        )

    def _check(self) -> None:
        if self.fails_with is not None:
            raise self.fails_with
