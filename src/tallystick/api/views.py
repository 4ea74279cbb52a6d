"""What blocks and records look like in answers.

Where the kinds of networks differ in this, it is told here, by the type of the block.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tallystick.api.answers import encode
from tallystick.chain.contracts import Found, Known, Passage, Shown
from tallystick.model.block import Block, Header
from tallystick.model.proof import Proof
from tallystick.model.record import as_json
from tallystick.model.sealed import AnyBlock, SealedBlock
from tallystick.model.shown import block_json


class OrphanedBlock(msgspec.Struct, frozen=True):
    """A classic block that is kept beside the best chain: the keys of a block, and what became of it."""

    data: str
    hash: str
    index: int
    previous_hash: str
    timestamp: int
    orphaned: bool
    mined_again_as: str | None


ShownBlock = Block | OrphanedBlock | msgspec.Raw
"""A block as it is encoded."""


def blocks_view(blocks: Sequence[AnyBlock]) -> Sequence[ShownBlock]:
    """Blocks of one chain, and so of one kind."""
    if blocks and isinstance(blocks[0], SealedBlock):
        return [block_json(block) for block in blocks if isinstance(block, SealedBlock)]
    return [*blocks]  # type: ignore[list-item]  # all others are classic ones


def found_view(found: Found) -> ShownBlock:
    """A block, and whether it is still one of the chain. Nothing of a sealed one is mined again as another block: its
    records go back to the pool, and each tells where it stands."""
    block = found.block
    if isinstance(block, SealedBlock):
        shown = block_json(block)
        return _with(shown, {"orphaned": True, "mined_again_as": None}) if found.orphaned else shown
    if not found.orphaned:
        return block
    return OrphanedBlock(**msgspec.structs.asdict(block), orphaned=True, mined_again_as=found.mined_again_as)


def header_view(header: Header) -> Header:
    """A block without what it holds, and without what only fork choice and the log need of it."""
    return Header(header.index, header.hash, header.previous_hash, header.timestamp)


def record_view(shown: Shown, tip: int) -> msgspec.Raw:
    """A record, and where it stands when the last block has the index `tip`."""
    return _with(as_json(shown.record), _standing(shown, tip))


def proven_view(shown: Shown, tip: int, proof: Proof | None) -> msgspec.Raw:
    """Likewise, with a proof if there is one."""
    return _with(as_json(shown.record), _standing(shown, tip) | {"proof": proof})


def _standing(shown: Shown, tip: int) -> dict[str, object]:
    block = shown.block
    return {
        "status": shown.placed,
        "block": None if block is None else {"index": block.index, "hash": block.hash, "timestamp": block.timestamp},
        "position": shown.position,
        "confirmations": None if block is None else tip - block.index + 1,
    }


def match_view(passage: Passage, excerpt: str) -> dict[str, object]:
    """Where something was found, and what stands around it."""
    return {
        "block": {"index": passage.index, "hash": passage.hash, "timestamp": passage.timestamp},
        "id": passage.id,
        "position": passage.position,
        "excerpt": excerpt,
    }


def posted_view(stored: Sequence[Known]) -> bytes:
    """What became of posts: each a record's entry, where it stands, and where to ask for it."""
    records = [
        b'%b,"status":"%b","href":"/records/%b"}' % (record.entry[:-1], placed.encode(), record.id.encode())
        for record, placed in stored
    ]
    return b'{"records":[%b]}' % b",".join(records)


def _with(shown: msgspec.Raw, members: dict[str, object]) -> msgspec.Raw:
    """An object that is encoded already, with more members."""
    return msgspec.Raw(bytes(shown)[:-1] + b"," + encode(members)[1:])
