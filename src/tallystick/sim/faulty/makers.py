"""Those who make blocks of their own: an *equivocator* makes sound ones that contradict each other, a *forger* makes
ones that break a rule.

Both stand at the tip like any node, so what they make follows what everybody has, and is looked at. A forger pays for
its nonces like a miner; what is wrong with its blocks shows only when they are checked.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any, Final

import msgspec

from tallystick.consensus import engine_for
from tallystick.consensus.difficulty import compact, expand, hash_fits
from tallystick.model.block import Block, Header, block_hash, header_of
from tallystick.model.limits import HOUR_MS
from tallystick.model.record import SALT_BYTES, Record, make_record
from tallystick.model.sealed import AnyBlock, SealedBlock, header_bytes_of, read_header, sealed_block
from tallystick.node.effects import Effect, Say
from tallystick.node.inputs import Now
from tallystick.sim.faulty.turncoat import Turncoat
from tallystick.wire.native import codec
from tallystick.wire.native.messages import WEIGHT_BYTES, Push

BITS_BYTES: Final = 4
"""Of the seal of a work network; a nonce follows."""


class Maker(Turncoat):
    """Makes blocks on the tip."""

    def __init__(self, *arguments: Any, until_ms: int | None = None, **others: Any) -> None:  # noqa: ANN401 - as `Turncoat` has them
        """It makes them until then, on its monotonic clock; None: for ever."""
        super().__init__(*arguments, **others)
        self.made: dict[str | bytes, None] = {}
        self._until_ms = until_ms
        self._number = 0

    def acts(self, now: Now) -> Sequence[Effect]:
        if self._until_ms is not None and now.mono_ms >= self._until_ms:
            return []
        self._number += 1
        return self.makes(list(self.admitted), now)

    def makes(self, peers: Sequence[int], now: Now) -> Sequence[Effect]:
        """What these are told now."""
        raise NotImplementedError

    def push(self, peers: Sequence[int], block: AnyBlock, weight: int) -> Effect:
        """A block to these, said to end a branch of this weight."""
        push = Push(engine_for(self.network).whole(block), weight.to_bytes(WEIGHT_BYTES, "big"))
        return Say(peers, codec.encode(push))

    def text(self, text: str, now: Now) -> Block:
        """A block of a classic network that holds this."""
        block = engine_for(self.network).seal(header_of(self.chain()[-1]), text, now.wall_ms)
        assert isinstance(block, Block)  # noqa: S101 - of a classic network
        return block

    def record(self, text: str) -> Record:
        """A record of this; those that are made at a time share their name."""
        return make_record(f"made-{self._number}", text, self.chance.randbytes(SALT_BYTES))

    def sealed(self, record: Record, wall_ms: int) -> SealedBlock:
        """A block of a sealed network that holds this record."""
        draft = engine_for(self.network).draft(header_of(self.chain()[-1]), [record], self._past, wall_ms)
        block = next(found for nonce in count() if (found := draft.sealed(nonce)) is not None)
        assert isinstance(block, SealedBlock)  # noqa: S101 - of a sealed one
        return block

    def _past(self, _: Header, most: int) -> Sequence[Header]:
        return [header_of(block) for block in self.chain()[-most:]]


class Equivocator(Maker):
    """Two blocks at one height, which hold different data under one name; each peer hears of one of them. Until
    somebody finds the next block the network is in two halves that hold equally good chains."""

    acts_every_ms = 20_000

    def makes(self, peers: Sequence[int], now: Now) -> Sequence[Effect]:
        if len(peers) < 2:  # noqa: PLR2004 - there are no halves
            return []
        return [self._half(peers[half::2], half, now) for half in range(2)]

    def _half(self, peers: Sequence[int], half: int, now: Now) -> Effect:
        text = f"{self._number} for the {'other' if half else 'one'} half"
        if self.network.rules is None:
            block: AnyBlock = self.text(text, now)
            self.made[text] = None
        else:
            record = self.record(text)
            block = self.sealed(record, now.wall_ms)
            self.made[record.leaf] = None
        return self.push(peers, block, engine_for(self.network).weight(header_of(block)))


class Flaw(enum.StrEnum):
    """What can be wrong with a block."""

    HASH = "hash"
    """Its name is not the hash of what it holds; where blocks are sealed: its seal does not hold."""

    INDEX = "index"
    """It counts on from another block than its parent."""

    DATE = "date"
    """Where blocks are sealed: an hour ahead; else not ten digits long."""

    SCHEDULE = "schedule"
    """Its difficulty is not what the schedule asks for."""

    TWICE = "twice"
    """It holds a record that the chain has."""

    LOG = "log"
    """Its root is of another log."""

    BODY = "body"
    """Its records are not those of its header."""


CLASSIC_FLAWS: Final = (Flaw.HASH, Flaw.INDEX, Flaw.DATE)


class Forger(Maker):
    """A block that breaks one rule of the network, now and then."""

    acts_every_ms = 12_000

    def makes(self, peers: Sequence[int], now: Now) -> Sequence[Effect]:
        is_sealed = self.network.rules is not None
        flaw = self.chance.choice([*Flaw] if is_sealed else CLASSIC_FLAWS)
        block = self.forged(flaw, now) if is_sealed else self.forged_text(flaw, now)
        return [self.push(peers, block, self.weight() + 1)]

    def forged_text(self, flaw: Flaw, now: Now) -> Block:
        """A block of a classic network in which this is wrong, and nothing else."""
        block = self.text(f"{self._number} {flaw}", now)
        match flaw:
            case Flaw.INDEX:
                block = msgspec.structs.replace(block, index=block.index + 1)
            case Flaw.DATE:
                block = msgspec.structs.replace(block, timestamp=block.timestamp // 10)
            case _:
                return msgspec.structs.replace(block, data=block.data + "!")
        name = block_hash(block.index, block.previous_hash, block.timestamp, block.data)
        return msgspec.structs.replace(block, hash=name)

    def forged(self, flaw: Flaw, now: Now) -> SealedBlock:
        """A block of a sealed network in which this is wrong, and nothing else."""
        old = [each for block in self.chain() if isinstance(block, SealedBlock) for each in block.records]
        if flaw is Flaw.TWICE and not old:
            flaw = Flaw.LOG
        record = old[0] if flaw is Flaw.TWICE else self.record(f"{flaw}")
        block = self.sealed(record, now.wall_ms + (HOUR_MS if flaw is Flaw.DATE else 0))
        match flaw:
            case Flaw.HASH:
                return _with_nonce(block, fits=False)
            case Flaw.BODY:
                return msgspec.structs.replace(block, records=())
        change = _CHANGES.get(flaw)
        return block if change is None else _with_nonce(change(block), fits=True)


def _other_bits(block: SealedBlock) -> SealedBlock:
    """Twice as hard as it should be: a branch of such blocks would weigh more than its time allows."""
    bits = compact(expand(int.from_bytes(block.seal[:BITS_BYTES], "big")) // 2)
    return msgspec.structs.replace(block, seal=bits.to_bytes(BITS_BYTES, "big") + block.seal[BITS_BYTES:])


_CHANGES: Final[Mapping[Flaw, Callable[[SealedBlock], SealedBlock]]] = {
    Flaw.INDEX: lambda block: msgspec.structs.replace(block, index=block.index + 1),
    Flaw.SCHEDULE: _other_bits,
    Flaw.LOG: lambda block: msgspec.structs.replace(block, log_root=block.body_hash),
}


def _with_nonce(block: SealedBlock, *, fits: bool) -> SealedBlock:
    """The same with a nonce with which its seal holds, or one with which it does not; its name changes with it."""
    bits = block.seal[:BITS_BYTES]
    for nonce in count():
        header = header_bytes_of(msgspec.structs.replace(block, seal=bits + nonce.to_bytes(8, "big")))
        named = sealed_block(header, read_header(header, len(block.seal)), block.records)
        if hash_fits(bytes.fromhex(named.hash), int.from_bytes(bits, "big")) is fits:
            return named
    raise AssertionError("there is no end of nonces")
