"""The rules of a chain once more, by the letter: what a node follows is held against them in the end.

Nodes check blocks as they come, in stages, a run at a time, with what they remember of those before. Here a whole
chain is gone through from its first block, with nothing but hashes and the formulas, none of the engines' code.
Whatever slips through a check of a node shows here, though all nodes agree on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import pairwise
from typing import Final

from tallystick.consensus.difficulty import MEDIAN_SPAN, asert, expand
from tallystick.model.block import Block
from tallystick.model.log import extend, root_of
from tallystick.model.network import Network
from tallystick.model.record import Record, commitment
from tallystick.model.sealed import AnyBlock, SealedBlock, header_bytes_of

BITS_BYTES: Final = 4
"""Of a seal; a nonce follows."""


def flaws(chain: Sequence[AnyBlock], network: Network) -> Iterator[str]:
    """What is wrong with a chain, from genesis on."""
    if chain[0] != network.genesis:
        yield "it begins with another block"
    for parent, block in pairwise(chain):
        if block.index != parent.index + 1 or block.previous_hash != parent.hash:
            yield f"block {block.index} does not follow {parent.index}"
    for block in chain[1:]:
        if isinstance(block, Block):
            yield from _flaws_of_text(block)
    sealed = [block for block in chain if isinstance(block, SealedBlock)]
    if sealed:
        yield from _flaws_of_sealed(sealed, network)
        yield from _flaws_of_log(sealed)


def _flaws_of_text(block: Block) -> Iterator[str]:
    text = f"{block.index}{block.previous_hash}{block.timestamp}{block.data}"
    if sha256(text.encode()).hexdigest() != block.hash:
        yield f"block {block.index} is not what its hash is of"
    if len(str(block.timestamp)) != 10:  # noqa: PLR2004 - the digits of a timestamp
        yield f"block {block.index} is dated {block.timestamp}"


def _flaws_of_sealed(chain: Sequence[SealedBlock], network: Network) -> Iterator[str]:
    rules = network.rules
    assert rules is not None  # noqa: S101 - of a sealed network
    for at, block in enumerate(chain[1:], 1):
        parent, bits = chain[at - 1], int.from_bytes(block.seal[:BITS_BYTES], "big")
        digest = sha256(header_bytes_of(block)).digest()
        if digest.hex() != block.hash or int.from_bytes(digest, "big") > expand(bits):
            yield f"the seal of block {block.index} does not hold"
        due = asert(
            rules.bits,
            time_delta=parent.timestamp - (network.genesis.timestamp - rules.spacing_ms),
            height_delta=parent.index,
            spacing=rules.spacing_ms,
            half_life=rules.half_life_ms,
            limit_bits=rules.limit_bits,
        )
        if bits != due:
            yield f"block {block.index} has bits {bits:08x}; the schedule asks for {due:08x}"
        before = sorted(each.timestamp for each in chain[max(0, at - MEDIAN_SPAN) : at])
        if block.timestamp <= before[len(before) // 2]:
            yield f"block {block.index} is not dated after the median of those before it"


def _flaws_of_log(chain: Sequence[SealedBlock]) -> Iterator[str]:
    leaves: list[bytes] = []
    for block in chain:
        own = [record.leaf for record in block.records]
        leaves += own
        if sha256(b"".join(own)).digest() != block.body_hash or not all(map(_is_sound, block.records)):
            yield f"the records of block {block.index} are not those it was sealed with"
        if block.log_size != len(leaves):
            yield f"the log has {len(leaves)} entries as of block {block.index}, which says {block.log_size}"
    if chain[-1].log_root != root_of(extend((), 0, leaves)):
        yield "the root of the log is not that of its entries"
    if len(set(leaves)) != len(leaves):
        yield "a record is there twice"


def _is_sound(record: Record) -> bool:
    """Is it named after its entry, and does its entry commit to its data, if it has some?"""
    is_named = sha256(b"\0" + record.entry).digest() == record.leaf
    if record.salt is None or record.data is None:
        return is_named
    return is_named and commitment(record.salt, record.data) in record.entry
