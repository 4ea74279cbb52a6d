"""Telling the other peers what is new on the best chain.

*Classic* peers hear each block that extended the tip, in order, and after a reorg the latest only: a lone latest block
after a batch would make each of them fetch the whole chain.

*Native* peers hear of a block once. One that has the parent gets a small block whole, if the right to push is ours
(`wire.native.session`); everybody else gets its index and hash, and asks. After a reorg or a long run they hear of
the newest few, and fetch what they miss.
"""

from __future__ import annotations

from collections.abc import Sequence

from tallystick.chain.chain import Chain, Change
from tallystick.chain.contracts import Engine, View
from tallystick.model.block import Block, Header
from tallystick.model.limits import Limits
from tallystick.model.sealed import AnyBlock
from tallystick.node.effects import Effect, Say
from tallystick.node.peering import Peers
from tallystick.wire import classic
from tallystick.wire.native import codec
from tallystick.wire.native.messages import WEIGHT_BYTES, Announce, Point, Push
from tallystick.wire.native.session import NativeSession
from tallystick.wire.native.table import TABLE


class Gossip:
    """Owner of nothing but the last message it made."""

    def __init__(self, engine: Engine, chain: Chain, peers: Peers, limits: Limits) -> None:
        self._engine = engine
        self._chain = chain
        self._peers = peers
        self._limits = limits
        self._latest: tuple[str, bytes] | None = None

    def latest(self) -> bytes:
        """RESPONSE_BLOCKCHAIN of the tip; kept, for a tip may be large and questions are cheap."""
        tip = self._chain.tip_block
        assert isinstance(tip, Block)  # noqa: S101 - classic peers are let into classic networks only
        if self._latest is None or self._latest[0] != tip.hash:
            self._latest = (tip.hash, classic.response([tip]))
        return self._latest[1]

    def announce(self, change: Change, source: int | None, view: View) -> list[Effect]:
        """Tell everybody but `source` about a change of the best chain."""
        if change.reorg is None and not change.appended:
            return []
        return [*self._to_classic(change, source), *self._to_native(change, view)]

    def _to_classic(self, change: Change, source: int | None) -> list[Effect]:
        """So many blocks that their gossip would not fit a peer's outbox anyway are announced by the last."""
        peers = self._peers.classic_but(source)
        if not peers:
            return []
        appended = [block for block in change.appended if isinstance(block, Block)]  # all are, where these peers are
        size = sum(len(block.data) + classic.LONGEST_FRAME for block in appended)
        if change.reorg is not None or size > self._limits.outbox_pause_bytes:
            return [Say(peers, self.latest(), gossip=True)]
        return [Say(peers, classic.response([block]), gossip=True) for block in appended]

    def _to_native(self, change: Change, view: View) -> list[Effect]:
        if change.reorg is not None or len(change.appended) > self._limits.announced_points:
            ignorant = [peer for peer, _ in self._ignorant(self._chain.tip)]
            return [Say(ignorant, self.newest(view), gossip=True)] if ignorant else []
        return [effect for block in change.appended for effect in self._spread(block)]

    def _spread(self, block: AnyBlock) -> list[Effect]:
        """One new block: whole to those who can use it at once, its name to the others."""
        if not (ignorant := self._ignorant(block.header)):
            return []  # as in a sync, where it would be in vain to count the bytes of each block, or to write it
        hash, previous_hash = bytes.fromhex(block.hash), bytes.fromhex(block.previous_hash)
        push = self._push(block)
        pushed, told = [], []
        for peer, session in ignorant:
            is_next = session.may_push and session.knows(previous_hash)
            if push is not None and is_next and session.takes(len(push)):
                session.learns(hash)
                pushed.append(peer)
            else:
                told.append(peer)
        effects: list[Effect] = []
        if push is not None and pushed:
            effects.append(Say(pushed, push, gossip=True))
        if told:
            announce = Announce((Point(block.index, hash),), self._weight(block.header))
            effects.append(Say(told, codec.encode(announce), gossip=True))
        return effects

    def _push(self, block: AnyBlock) -> bytes | None:
        """The message that brings a whole block, if it is short enough for one."""
        if block.size_bytes > self._limits.push_bytes:
            return None
        push = codec.encode(Push(self._engine.whole(block), self._weight(block.header)))
        return push if len(push) <= TABLE[Push].size_bytes else None

    def _weight(self, header: Header) -> bytes:
        return self._engine.weight(header).to_bytes(WEIGHT_BYTES, "big")

    def newest(self, view: View) -> bytes:
        """Announce the last blocks of the best chain."""
        tip = self._chain.tip.index
        first = max(0, tip + 1 - self._limits.announced_points)
        found = [self._chain.at(index, view) for index in range(first, tip + 1)]
        points = tuple(Point(header.index, bytes.fromhex(header.hash)) for header in found if header is not None)
        return codec.encode(Announce(points, self._weight(self._chain.tip)))

    def _ignorant(self, header: Header) -> Sequence[tuple[int, NativeSession]]:
        """Those who do not have this block, as far as we know, and no better chain."""
        if not (peers := self._peers.native()):
            return []
        hash, weight = bytes.fromhex(header.hash), self._engine.weight(header)
        return [each for each in peers if not (each[1].knows(hash) or each[1].outweighs(weight))]
