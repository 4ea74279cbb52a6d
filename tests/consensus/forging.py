"""A good chain of a small work network, and blocks that differ from a good one in exactly what a test says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from itertools import count

import msgspec

from tallystick.consensus.difficulty import hash_fits
from tallystick.consensus.work import WorkEngine
from tallystick.model.block import header_of
from tallystick.model.log import extend, root_of
from tallystick.model.network import SealedRules
from tallystick.model.record import RawRecord, Record, raw_of
from tallystick.model.sealed import HeaderFields, SealedBlock, UncheckedSealed, body_hash_of, header_bytes
from tests.chain.drawing import NOW_MS
from tests.chain.sealed_drawing import SPACING_MS, STEADY, found, network, past_among, sealed
from tests.storage.sealed_blocks import record

RULES = replace(STEADY, half_life_ms=2_000, max_block_records=6, max_block_bytes=1_000, max_data_bytes=300)
NETWORK = network(RULES)
ENGINE = WorkEngine(NETWORK)
GENESIS = sealed(NETWORK.genesis)
LATER_MS = NOW_MS + 10**9


def grown(engine: WorkEngine, *steps: tuple[Sequence[Record], int]) -> list[SealedBlock]:
    """A chain from the genesis block: for each step a block with these records, so long after the one before."""
    chain = [sealed(engine.network.genesis)]
    blocks = {chain[0].hash: chain[0]}
    for records, after_ms in steps:
        parent = header_of(chain[-1])
        draft = engine.draft(parent, records, past_among(blocks), parent.timestamp + after_ms)
        chain.append(found(draft))
        blocks[chain[-1].hash] = chain[-1]
    return chain


CHAIN = grown(
    ENGINE, *(([record(f"{n}.{m}") for m in range(n % 4)], SPACING_MS // 2 + 300 * (-1) ** n) for n in range(15))
)
BLOCKS = {block.hash: block for block in CHAIN}
PAST = past_among(BLOCKS)
PARENT, BLOCK = CHAIN[-2], CHAIN[-1]


def forged(
    parent: SealedBlock = PARENT,
    records: Sequence[Record] = BLOCK.records,
    raws: Sequence[RawRecord] | None = None,
    bits: int | None = None,
    **changes: object,
) -> UncheckedSealed:
    """A block on `parent` whose header fits `records`, but for `changes` of its fields; it comes with `raws` in their
    place. Its seal is found for what its `bits` say, unless that is changed."""
    leaves = [each.leaf for each in records]
    fields = HeaderFields(
        parent.index + 1,
        bytes.fromhex(parent.hash),
        parent.timestamp + SPACING_MS,
        parent.log_size + len(leaves),
        root_of(extend(parent.edge, parent.log_size, leaves)),
        body_hash_of(leaves),
        (ENGINE.bits_after(header_of(parent)) if bits is None else bits).to_bytes(4, "big") + bytes(8),
    )
    fields = msgspec.structs.replace(fields, **changes)
    if "seal" not in changes:
        fields = mined(fields)
    header = header_bytes(fields)
    body = tuple(map(raw_of, records)) if raws is None else tuple(raws)
    return UncheckedSealed(header, fields, body, sha256(header).hexdigest())


def mined(fields: HeaderFields) -> HeaderFields:
    """The same with the first nonce that seals it."""
    bits = fields.seal[:4]
    return next(
        tried
        for nonce in count()
        if hash_fits(
            sha256(
                header_bytes(tried := msgspec.structs.replace(fields, seal=bits + nonce.to_bytes(8, "big")))
            ).digest(),
            int.from_bytes(bits, "big"),
        )
    )


def whole(block: UncheckedSealed) -> bytes:
    """As its sender writes it."""
    return block.header + msgspec.msgpack.encode(block.records)


def through_all_stages(
    sent: bytes, parent: SealedBlock, engine: WorkEngine = ENGINE, blocks: dict[str, SealedBlock] = BLOCKS
) -> SealedBlock:
    """What becomes of a lone block that a peer sends. Raises RuleViolation."""
    block = engine.check_alone(engine.read(sent))
    engine.check_in_place(block, header_of(parent))
    (placed,) = engine.place([block], header_of(parent), past_among(blocks), LATER_MS).blocks
    return placed


def rules_with(**changes: int) -> SealedRules:
    return replace(RULES, **changes)
