"""A node without sockets: events go in by hand, effects are kept to be looked at."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from typing import TypeVar, get_args

import msgspec

from tallystick.chain.contracts import Reader, Store
from tallystick.chain.writes import Write
from tallystick.consensus import engine_for
from tallystick.consensus.classic import ClassicEngine
from tallystick.errors import RuleViolation
from tallystick.model.block import Block, UncheckedBlock, header_of
from tallystick.model.limits import Limits
from tallystick.model.network import CLASSIC, Network
from tallystick.model.sealed import AnyBlock
from tallystick.node.effects import Effect, HangUp, Log, Reply, SaveAddresses, Say
from tallystick.node.inputs import AddPeer, Ban, Input, Now, PeerOpened, PeerSaid, Post, RemovePeer, Tick, Unban
from tallystick.node.machine import Node
from tallystick.node.profile import Profile
from tallystick.storage.memory import MemoryReader, MemoryStore
from tallystick.wire import address_file, classic
from tallystick.wire.dialect import Dialect
from tallystick.wire.identity import KEY_BYTES, Ed25519Identity

WALL_MS = 1_700_000_000_000
WRITES = get_args(Write)

E = TypeVar("E")


class Player:
    """One node over a store in memory, on a clock that the test moves."""

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        dial: Sequence[str] = (),
        max_reorg: int | None = None,
        seed: int = 0,
        mono_ms: int = 0,
        store: Store | None = None,
        reader: Reader | None = None,
        network: Network = CLASSIC,
        discover: bool = False,
        listen_port: int = 0,
        mines: bool = False,
    ) -> None:
        self.limits = limits or Limits()
        self.entropy = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self.mono_ms = mono_ms
        self.network = network
        self.profile = Profile(
            Ed25519Identity(random.Random(f"key {seed}").randbytes(KEY_BYTES)),  # noqa: S311 - repeatable
            agent="tallystick/test",
            listen_port=listen_port,
            dial=tuple(dial),
            discover=discover,
            max_reorg=max_reorg,
            mines=mines,
        )
        self.addresses: bytes | None = None
        """The book, as it was last saved."""
        if store is None or reader is None:
            memory = MemoryStore(network, self.limits)
            store, reader = memory, MemoryReader(memory, self.limits)
        self.store: Store = store
        self.reader: Reader = reader
        self.effects: list[Effect] = []
        self.restart()

    def restart(self) -> None:
        """Forget everything that is not in the store."""
        self.store.rollback()
        tip = self.reader.block(self.reader.tip().index)
        assert tip is not None
        book = None
        if self.addresses is not None:
            book = address_file.decode(self.addresses, self.limits, private_ok=self.profile.private_ok)
        self.node = Node(
            engine_for(self.network),
            tip,
            self.limits,
            self.now,
            self.entropy,
            profile=self.profile,
            remembered=self.store.peers(),
            bans=self.store.bans(),
            book=book,
        )

    def wake_at_ms(self) -> int | None:
        """When the node wants a tick."""
        return self.node.wake_at_ms()

    @property
    def now(self) -> Now:
        return Now(WALL_MS + self.mono_ms, self.mono_ms)

    def tell(self, *events: Input) -> list[Effect]:
        """Step these events as one batch, commit, and return the effects that are no writes."""
        effects = self._step(events)
        self.store.commit()
        self.effects = effects
        return effects

    def dies_during(self, *events: Input, kept: bool) -> None:
        """The process dies in the batch of these events: after its commit, with nothing said yet, or before."""
        self._step(events)
        if kept:
            self.store.commit()
        else:
            self.store.rollback()

    def _step(self, events: Iterable[Input]) -> list[Effect]:
        effects: list[Effect] = []
        self.store.begin()
        for event in events:
            for effect in self.node.step(event, self.now, self.entropy, self.store):
                if isinstance(effect, WRITES):
                    self.store.apply(effect)
                elif isinstance(effect, SaveAddresses):
                    self.addresses = effect.content
                else:
                    effects.append(effect)
        return effects

    def wait(self, ms: int) -> list[Effect]:
        """Let time pass, with a tick whenever the node asked for one; return all effects of it."""
        end, effects = self.mono_ms + ms, []
        while (wake := self.node.wake_at_ms()) is not None and wake <= end:
            self.mono_ms = max(self.mono_ms, wake)
            effects += self.tell(Tick())
        self.mono_ms = end
        self.effects = effects
        return effects

    def welcomes(self, ip: str, dialect: Dialect = Dialect.CLASSIC) -> bool:
        """May this address dial the node now?"""
        try:
            self.node.check_welcome(ip, dialect, self.now)
        except RuleViolation:
            return False
        return True

    # --- in short ------------------------------------------------------------------------------

    def opens(
        self,
        peer: int,
        remote: str = "127.0.0.1:5000",
        dialled: str | None = None,
        dialect: Dialect = Dialect.CLASSIC,
    ) -> list[Effect]:
        return self.tell(PeerOpened(peer, remote, dialled, dialect))

    def hears(self, peer: int, *blocks: Block) -> list[Effect]:
        """A RESPONSE_BLOCKCHAIN arrives."""
        return self.tell(PeerSaid(peer, classic.response(blocks)))

    def hears_raw(self, peer: int, text: bytes) -> list[Effect]:
        return self.tell(PeerSaid(peer, text))

    def posts(self, data: str) -> Block:
        self.tell(Post(1, data))
        block = self.one(Reply).answer
        assert isinstance(block, Block)
        return block

    def refuses(self, event: Post | AddPeer | RemovePeer | Ban | Unban) -> RuleViolation:
        self.tell(event)
        refusal = self.one(Reply).answer
        assert isinstance(refusal, RuleViolation)
        return refusal

    def all(self, kind: type[E]) -> list[E]:
        return [effect for effect in self.effects if isinstance(effect, kind)]

    def one(self, kind: type[E]) -> E:
        [effect] = self.all(kind)
        return effect

    def said_to(self, peer: int) -> list[classic.Message]:
        return [classic.decode(say.message) for say in self.all(Say) if peer in say.peers]

    def hung_up_on(self) -> list[int]:
        return [effect.peer for effect in self.all(HangUp)]

    def logged(self, event: str) -> bool:
        return any(line.event == event for line in self.all(Log))

    def blocks(self) -> list[AnyBlock]:
        """The best chain, of whatever kind."""
        blocks: list[AnyBlock] = []
        while page := self.reader.page(len(blocks), 1_000):
            blocks += page
        return blocks

    def chain(self) -> list[Block]:
        """The best chain of a classic network."""
        blocks = self.blocks()
        chain = [block for block in blocks if isinstance(block, Block)]
        assert len(chain) == len(blocks)
        return chain

    def data(self) -> list[str]:
        return [block.data for block in self.chain()]


def grow(parent: Block, *data: str) -> list[Block]:
    """Blocks of somebody else, each on the one before."""
    engine, blocks = ClassicEngine(CLASSIC), []
    for each in data:
        parent = engine.seal(header_of(parent), each, WALL_MS)
        blocks.append(parent)
    return blocks


def unchecked(block: Block) -> UncheckedBlock:
    return UncheckedBlock(**msgspec.structs.asdict(block))


def raw_response(rows: Iterable[object]) -> bytes:
    """A RESPONSE_BLOCKCHAIN of anything at all."""
    return json.dumps({"type": 2, "data": json.dumps(list(rows))}).encode()
