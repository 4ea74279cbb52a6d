"""A node without sockets: events go in by hand, effects are kept to be looked at."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from typing import TypeVar

import msgspec

from tallystick.chain.contracts import Reader, Store
from tallystick.chain.writes import AddSide, Append, ForgetPeer, RememberPeer, Switch
from tallystick.consensus import engine_for
from tallystick.errors import RuleViolation
from tallystick.model.block import Block, UncheckedBlock, header_of
from tallystick.model.limits import Limits
from tallystick.model.network import CLASSIC
from tallystick.node.effects import Effect, HangUp, Log, Reply, Say
from tallystick.node.inputs import AddPeer, Input, Now, PeerOpened, PeerSaid, Post, RemovePeer, Tick
from tallystick.node.machine import Node
from tallystick.storage.memory import MemoryReader, MemoryStore
from tallystick.wire import classic

WALL_MS = 1_700_000_000_000
WRITES = (Append, AddSide, Switch, RememberPeer, ForgetPeer)

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
    ) -> None:
        self.limits = limits or Limits()
        self.entropy = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self.mono_ms = mono_ms
        self.max_reorg = max_reorg
        self.dial = dial
        if store is None or reader is None:
            memory = MemoryStore(CLASSIC, self.limits)
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
        dial = [*self.dial, *self.store.peers()]
        self.node = Node(
            engine_for(CLASSIC), tip, self.limits, self.now, self.entropy, dial=dial, max_reorg=self.max_reorg
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

    # --- in short ------------------------------------------------------------------------------

    def opens(self, peer: int, remote: str = "127.0.0.1:5000", dialled: str | None = None) -> list[Effect]:
        return self.tell(PeerOpened(peer, remote, dialled))

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

    def refuses(self, event: Post | AddPeer | RemovePeer) -> RuleViolation:
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
        return [classic.decode(say.text) for say in self.all(Say) if peer in say.peers]

    def hung_up_on(self) -> list[int]:
        return [effect.peer for effect in self.all(HangUp)]

    def logged(self, event: str) -> bool:
        return any(line.event == event for line in self.all(Log))

    def chain(self) -> list[Block]:
        blocks: list[Block] = []
        while page := self.reader.page(len(blocks), 1_000):
            blocks += page
        return blocks

    def data(self) -> list[str]:
        return [block.data for block in self.chain()]


def grow(parent: Block, *data: str) -> list[Block]:
    """Blocks of somebody else, each on the one before."""
    blocks = []
    for each in data:
        parent = engine_for(CLASSIC).seal(header_of(parent), each, WALL_MS)
        blocks.append(parent)
    return blocks


def unchecked(block: Block) -> UncheckedBlock:
    return UncheckedBlock(**msgspec.structs.asdict(block))


def raw_response(rows: Iterable[object]) -> bytes:
    """A RESPONSE_BLOCKCHAIN of anything at all."""
    return json.dumps({"type": 2, "data": json.dumps(list(rows))}).encode()
