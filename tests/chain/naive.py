"""A store so simple that it is right: all blocks in one dictionary, everything else worked out from scratch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tallystick.chain.contracts import Duty, Known, Name, Placed
from tallystick.chain.writes import OWN, AddSide, Append, ForgetPeer, Mark, RememberPeer, Switch, Write
from tallystick.model.block import Block, Header, header_of
from tallystick.model.network import CLASSIC_GENESIS
from tallystick.model.record import Record
from tallystick.model.sealed import AnyBlock


def classic(block: AnyBlock) -> Block:
    """A block of the network that this is about."""
    assert isinstance(block, Block)
    return block


class NaiveStore:
    """`View` and `apply` of a store, without batches. Of a classic network: there are no records."""

    def __init__(self) -> None:
        self.all: dict[str, Block] = {CLASSIC_GENESIS.hash: CLASSIC_GENESIS}
        self.marks: dict[str, Mark] = {}
        self.best: list[str] = [CLASSIC_GENESIS.hash]
        self.addresses: list[str] = []

    @property
    def tip(self) -> Block:
        return self.all[self.best[-1]]

    def chain(self) -> list[Block]:
        return [self.all[hash] for hash in self.best]

    # --- View ----------------------------------------------------------------------------------

    def blocks(self, first: int, count: int, size_bytes: int) -> list[Block]:
        found: list[Block] = []
        for block in self.chain()[first : first + count]:
            size_bytes -= len(block.data.encode())
            if found and size_bytes < 0:
                break
            found.append(block)
        return found

    def headers(self, first: int, count: int) -> Sequence[Header]:
        return [header_of(self.all[hash]) for hash in self.best[first : first + count]]

    def header_bytes(self, first: int, count: int) -> Sequence[bytes]:
        return []

    def side(self, hash: str) -> Header | None:
        return header_of(self.all[hash]) if hash in self.all and hash not in self.best else None

    def named(self, ids: Sequence[str]) -> Sequence[Known]:
        return []

    def known(self, names: Sequence[Name]) -> Sequence[Known]:
        return []

    def placed(self, names: Sequence[Name]) -> Mapping[bytes, Placed]:
        return {}

    def pool(self, after: int, count: int, size_bytes: int) -> tuple[Sequence[Record], int]:
        return [], after

    def pool_size(self) -> tuple[int, int]:
        return 0, 0

    def repeats(self, fork: int, parent: str, records: Sequence[Record]) -> str | None:
        return None

    def lost(self, count: int) -> Sequence[Duty]:
        names = {mark or hash for hash, mark in self.marks.items() if mark is not None}
        lost = [name for name in names if not self.carriers(name) & set(self.best)]
        lost.sort(key=lambda name: (self.all[name].index, name))
        return [Duty(name, self.all[name].data) for name in lost[:count]]

    def carriers(self, name: str) -> set[str]:
        return {hash for hash, mark in self.marks.items() if mark == name or (mark == OWN and hash == name)}

    # --- writes --------------------------------------------------------------------------------

    def apply(self, write: Write) -> None:
        match write:
            case Append():
                for number, block in enumerate(map(classic, write.blocks)):
                    assert (block.index, block.previous_hash) == (len(self.best), self.best[-1])
                    self.all[block.hash] = block
                    self.best.append(block.hash)
                    mark = write.marks[number] if write.marks is not None else None
                    if mark is not None:
                        self.marks[block.hash] = mark
            case AddSide():
                for block in map(classic, write.blocks):
                    assert block.previous_hash in self.all
                    assert block.hash not in self.best
                    self.all[block.hash] = block
            case Switch():
                assert write.old_tip == len(self.best) - 1
                branch, hash = [], write.new_tip
                while hash != self.best[write.fork]:
                    assert hash not in self.best
                    branch.append(hash)
                    hash = self.all[hash].previous_hash
                self.best[write.fork + 1 :] = reversed(branch)
                assert len(self.best) - 1 == write.new_tip_index
            case RememberPeer():
                if write.address not in self.addresses:
                    self.addresses.append(write.address)
            case ForgetPeer():
                if write.address in self.addresses:
                    self.addresses.remove(write.address)
