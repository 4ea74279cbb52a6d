"""An honest node on its machine: the real `Node`, and a store in memory with volatile and durable state.

What survives the process is what `MemoryStore` has committed, the book of addresses as it was last saved, and the key.
Everything else is made anew at each start, as in `app.compose`.
"""

from __future__ import annotations

from collections.abc import Sequence

from tallystick.chain.contracts import Engine
from tallystick.chain.writes import AddRecords, Write
from tallystick.consensus import engine_for
from tallystick.errors import StoreFullError
from tallystick.model.block import Block, header_of
from tallystick.model.limits import Limits
from tallystick.model.network import Network
from tallystick.model.record import Record
from tallystick.model.sealed import AnyBlock
from tallystick.node.effects import Effect, SaveAddresses
from tallystick.node.inputs import Input, Now
from tallystick.node.machine import Node
from tallystick.node.profile import Profile
from tallystick.sim.chance import Chance
from tallystick.sim.resident import Resident
from tallystick.storage.memory import MemoryReader, MemoryStore
from tallystick.wire import address_file, classic
from tallystick.wire.dialect import Dialect


class Disk(MemoryStore):
    """A store that can be full."""

    def __init__(self, network: Network, limits: Limits) -> None:
        super().__init__(network, limits)
        self.room: int | None = None
        """So many writes and commits still fit; None: as many as there are."""

    def apply(self, write: Write) -> None:
        self._take_room()
        super().apply(write)

    def commit(self) -> None:
        self._take_room()
        super().commit()

    def _take_room(self) -> None:
        if self.room is None:
            return
        if self.room == 0:
            raise StoreFullError("the disk is full")
        self.room -= 1


class LeanDisk(Disk):
    """Likewise, for machines by the thousand, whose chains are short: there is a second replica of the ledger only
    while a batch is running, and records are objects that all machines share."""

    def __init__(self, network: Network, limits: Limits, shelf: dict[bytes, Record]) -> None:
        """`shelf` is that of all disks: every record that any of them keeps, by its leaf."""
        super().__init__(network, limits)
        self._running = self.committed
        self._shelf = shelf

    def apply(self, write: Write) -> None:
        if isinstance(write, AddRecords):
            write = AddRecords([self._shared(record) for record in write.records])
        super().apply(write)

    def _shared(self, record: Record) -> Record:
        known = self._shelf.setdefault(record.leaf, record)
        return known if known == record else record

    def begin(self) -> None:
        super().begin()
        self.committed = self._running.copied()

    def commit(self) -> None:
        self._take_room()
        self._running.evict(self._limits)
        self.committed = self._running
        self._batch = []

    def rollback(self) -> None:
        self._running = self.committed
        self._batch = []


class Host(Resident):
    """An honest node."""

    def __init__(
        self,
        network: Network,
        limits: Limits,
        profile: Profile,
        entropy: Chance,
        *,
        dialects: frozenset[Dialect] = frozenset(Dialect),
        engine: Engine | None = None,
        store: Disk | None = None,
    ) -> None:
        """`engine` and `store` are its own, unless they are given."""
        self.network = network
        self.limits = limits
        self.profile = profile
        self.dialects = dialects
        self.store = store or Disk(network, limits)
        self.reader = MemoryReader(self.store, limits)
        self.addresses: bytes | None = None
        """The book, as it was last saved."""

        self._entropy = entropy
        self._engine = engine or engine_for(network)
        self.node: Node

    def start(self, now: Now) -> None:
        """Forget everything that is not durable."""
        self.store.rollback()
        tip = self.reader.block(self.reader.tip().index)
        assert tip is not None  # noqa: S101 - the tip is a block
        book = None
        if self.addresses is not None:
            book = address_file.decode(self.addresses, self.limits, private_ok=self.profile.private_ok)
        self.node = Node(
            self._engine,
            tip,
            self.limits,
            now,
            self._entropy,
            profile=self.profile,
            remembered=self.store.peers(),
            bans=self.store.bans(),
            book=book,
        )

    def stop(self, now: Now) -> Sequence[Effect]:
        book = self.node.addresses_to_save(now)
        return () if book is None else (SaveAddresses(book),)

    def step(self, event: Input, now: Now) -> Sequence[Effect]:
        return self.node.step(event, now, self._entropy, self.store)

    def wake_at_ms(self) -> int | None:
        return self.node.wake_at_ms()

    def check_welcome(self, ip: str, dialect: Dialect, now: Now) -> None:
        self.node.check_welcome(ip, dialect, now)

    # --- what is durable -----------------------------------------------------------------------

    def begin(self) -> None:
        self.store.begin()

    def apply(self, write: Write) -> None:
        self.store.apply(write)

    def commit(self) -> None:
        self.store.commit()

    def rollback(self) -> None:
        self.store.rollback()

    def save(self, content: bytes) -> None:
        self.addresses = content

    def whole_chain(self) -> bytes:
        """All blocks, or the latest alone when they would not fit one message."""
        blocks = [block for block in self.chain() if isinstance(block, Block)]
        text = classic.response(blocks)
        return text if len(text) <= self.limits.message_bytes else classic.response(blocks[-1:])

    # --- what others look at -------------------------------------------------------------------

    def chain(self) -> Sequence[AnyBlock]:
        """The committed best chain, from genesis."""
        return self.store.committed.chain

    def weight(self) -> int:
        """What fork choice maximises, of the committed best chain."""
        return self._engine.weight(header_of(self.chain()[-1]))

    def texts(self) -> list[str]:
        """What the blocks of a classic network hold."""
        return [block.data for block in self.chain() if isinstance(block, Block)]
