"""The rules of the book's network: a block is sealed by nothing, and the longest chain wins.

Anyone may add a block at once, so anyone may also write a longer history from the genesis block up,
for free. A classic chain shows *that* its past was changed to whoever kept a copy; it does not stop
anybody from changing it.

The checks are those of the book's `is_valid_new_block` and `is_valid_chain`, with what they forgot:
types, ranges, ten-digit timestamps, and a genesis block compared field by field (its hash alone can be
forged by moving digits between the fields, for the preimage has no separators).
"""

# Most of what an engine is handed, the rules of this network do not need.
# ruff: noqa: ARG002

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from tallystick.chain.contracts import Draft, Past, Placing, Unchecked
from tallystick.consensus.links import check_linked
from tallystick.errors import Rule, RuleViolation, shown
from tallystick.model.block import (
    INDEX_MAX,
    TIMESTAMP_MAX,
    TIMESTAMP_MIN,
    Block,
    Body,
    Header,
    UncheckedBlock,
    WholeBlock,
    block_hash,
)
from tallystick.model.network import Network
from tallystick.model.record import Record
from tallystick.model.sealed import AnyBlock

_TEN_DIGITS: Final = re.compile(r"[0-9]{10}", re.ASCII)
_HASH: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


class ClassicEngine:
    """`Engine` of the classic kind."""

    takes_records: Final = False
    surveys: Final = False

    def __init__(self, network: Network) -> None:
        self._network = network

    @property
    def network(self) -> Network:
        return self._network

    def read(self, whole: WholeBlock | bytes) -> UncheckedBlock:
        if isinstance(whole, bytes):
            raise _other_kind()
        return UncheckedBlock(whole.data, whole.hash.hex(), whole.index, whole.previous_hash.hex(), whole.timestamp)

    def check_alone(self, block: Unchecked) -> Block:
        """Check type, range and hash. Raises RuleViolation."""
        if not isinstance(block, UncheckedBlock):
            raise _other_kind()
        index, timestamp = block.index, block.timestamp
        if not 0 <= index <= INDEX_MAX:
            raise RuleViolation(Rule.INDEX_IN_RANGE, f"index {shown(index)} is not within 0 and {INDEX_MAX}")
        if index and not _HASH.fullmatch(block.previous_hash):
            raise RuleViolation(
                Rule.NAMES_ITS_PARENT,
                f"block {index} names {shown(block.previous_hash)} as its parent, which is no hash",
            )
        if isinstance(timestamp, str):
            timestamp = _seconds(timestamp, index)
        if not TIMESTAMP_MIN <= timestamp <= TIMESTAMP_MAX:
            raise _bad_timestamp(timestamp, index)
        # The digest decides what the hash may look like: upper case or a wrong length can't equal it.
        digest = block_hash(index, block.previous_hash, timestamp, block.data)
        if digest != block.hash:
            raise RuleViolation(
                Rule.HASH_MATCHES_CONTENT, f"block {index} claims hash {shown(block.hash)}, its content gives {digest}"
            )
        checked = Block(block.data, digest, index, block.previous_hash, timestamp)
        if index == 0 and checked != self._network.genesis:
            raise RuleViolation(Rule.GENESIS_IS_OURS, "the block at index 0 is not this network's genesis block")
        return checked

    def check_in_place(self, block: AnyBlock, parent: Header) -> None:
        check_linked(block, parent)

    def place(self, run: Sequence[AnyBlock], parent: Header, past: Past, wall_ms: int) -> Placing[AnyBlock]:
        """Nothing more can be wrong with blocks that are linked."""
        return Placing(run)

    def check_run(self, index: int, hash: str, bodies: Sequence[Body | bytes]) -> list[Block]:
        """Check the hashes of a run, and with them its links, for a hash covers the one before. Raises RuleViolation.

        Index, parent and the form of the hash need no check: they are not the sender's to choose.
        """
        run: list[Block] = []
        previous = hash
        if index + len(bodies) > INDEX_MAX:
            raise RuleViolation(Rule.INDEX_IN_RANGE, f"{len(bodies)} blocks after {index} pass {INDEX_MAX}")
        for body in bodies:
            if isinstance(body, bytes):
                raise _other_kind()
            index += 1
            timestamp, data = body.timestamp, body.data
            if not TIMESTAMP_MIN <= timestamp <= TIMESTAMP_MAX:
                raise _bad_timestamp(timestamp, index)
            digest = sha256(f"{index}{previous}{timestamp}{data}".encode()).digest()
            if digest != body.hash:
                raise RuleViolation(
                    Rule.HASH_MATCHES_CONTENT,
                    f"block {index} claims hash {body.hash.hex()}, its content on {previous} gives {digest.hex()}",
                )
            name = digest.hex()
            run.append(Block(data, name, index, previous, timestamp))
            previous = name
        return run

    def weight(self, tip: Header) -> int:
        """The number of blocks of the branch after genesis: each weighs 1."""
        return tip.index

    def least_weight(self, tip: Header) -> int:
        """Any branch is kept beside the chain, as long as there is room."""
        return 0

    def records(self, block: AnyBlock) -> Sequence[Record]:
        return ()

    def survey(self, headers: Sequence[bytes], parent: Header, past: Past, wall_ms: int) -> list[Header]:
        raise _other_kind()

    def body(self, block: AnyBlock) -> Body:
        assert isinstance(block, Block)  # noqa: S101 - of this network
        return Body(bytes.fromhex(block.hash), block.timestamp, block.data)

    def whole(self, block: AnyBlock) -> WholeBlock:
        assert isinstance(block, Block)  # noqa: S101 - likewise
        return WholeBlock(
            block.index, bytes.fromhex(block.previous_hash), bytes.fromhex(block.hash), block.timestamp, block.data
        )

    def as_sent(self, block: AnyBlock) -> AnyBlock:
        return block

    def room(self) -> tuple[int, int]:
        return 0, 0

    def draft(self, parent: Header, records: Sequence[Record], past: Past, wall_ms: int) -> Draft:
        raise RuleViolation(Rule.NETWORK_TAKES_RECORDS, "blocks of a classic network are sealed at once, by nothing")

    def seal(self, parent: Header, data: str, wall_ms: int) -> Block:
        """Make a block on `parent`, dated with the clock's whole seconds."""
        index, timestamp = parent.index + 1, wall_ms // 1000
        if not TIMESTAMP_MIN <= timestamp <= TIMESTAMP_MAX:
            raise RuleViolation(
                Rule.CLOCK_IS_SANE, f"this machine's clock says {timestamp} s since 1970; set it, then post again"
            )
        return Block(data, block_hash(index, parent.hash, timestamp, data), index, parent.hash, timestamp)


def _other_kind() -> RuleViolation:
    return RuleViolation(Rule.HASH_MATCHES_CONTENT, "a block of another kind than those of a classic network")


def _seconds(text: str, index: int) -> int:
    """Read a timestamp as pynaivechain writes it, a string. Exactly ten ASCII digits have one reading."""
    if not _TEN_DIGITS.fullmatch(text):
        raise _bad_timestamp(text, index)
    return int(text)


def _bad_timestamp(timestamp: int | str, index: int) -> RuleViolation:
    return RuleViolation(
        Rule.TIMESTAMP_HAS_TEN_DIGITS, f"block {index} has timestamp {shown(timestamp)}, not ten digits of seconds"
    )
