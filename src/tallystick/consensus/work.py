"""Proof of work: a block is sealed by a nonce that is hard to find, and the branch with the most work wins.

The seal is `bits u32 | nonce u64`. The hash of the header, read as a big-endian number, must not exceed the target
that `bits` expands to. So whoever wants to write another history has to find all its nonces again, and faster than
everybody else together finds those of this one (Nakamoto 2008, section 4).

* `bits` follow ASERT (aserti3-2d), in milliseconds. Its anchor is the genesis block, whose parent's time is taken as
  its own minus the spacing. So the target of a block follows from the index and the time of its parent alone.
* A block is dated after the median of the eleven before it (Bitcoin Core, `GetMedianTimePast`), and at most two
  minutes ahead of the clock of whoever checks it. The second is no verdict for ever: such a block is fine later.
* The weight of a branch is the number of hashes that it took, on average: the sum of 2^256 / (target + 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import msgspec

from tallystick.chain.contracts import Draft, Past, Placing, Unchecked
from tallystick.consensus.difficulty import MEDIAN_SPAN, asert, expand, hash_fits, median, work
from tallystick.consensus.links import check_linked
from tallystick.consensus.sealed import (
    as_sent,
    check_body,
    extended_log,
    read_whole,
    records_that_fit,
    sealed_header,
    write_whole,
)
from tallystick.errors import Rule, RuleViolation
from tallystick.model.block import Body, Header, UncheckedBlock, WholeBlock
from tallystick.model.limits import LIMITS
from tallystick.model.log import grow, root_of
from tallystick.model.network import Network, SealedRules
from tallystick.model.record import Record
from tallystick.model.sealed import (
    AnyBlock,
    HeaderFields,
    SealedBlock,
    SealedHeader,
    UncheckedSealed,
    body_hash_of,
    header_bytes,
    read_header,
    sealed_block,
)
from tallystick.model.tiles import tops_of

BITS_BYTES: Final = 4
NONCE_BYTES: Final = 8
SEAL_BYTES: Final = BITS_BYTES + NONCE_BYTES

NEAR_TIP_BLOCKS: Final = 144
"""A lone block whose branch has less work than ours by so many blocks is not kept (Bitcoin Core,
`GetAntiDoSWorkThreshold`): its seal cost next to nothing where difficulty was low."""


@dataclass(frozen=True, slots=True)
class WorkDraft:
    """`Draft` of the work kind."""

    head: bytes
    target: bytes
    expected_hashes: int
    difficulty: float
    block: SealedBlock
    """With a nonce of zero, and so with a hash that seals nothing."""

    tops: Sequence[bytes]

    @property
    def records(self) -> Sequence[Record]:
        return self.block.records

    @property
    def timestamp(self) -> int:
        return self.block.timestamp

    @property
    def bits(self) -> int:
        return int.from_bytes(self.block.seal[:BITS_BYTES], "big")

    def sealed(self, nonce: int) -> SealedBlock | None:
        tail = nonce.to_bytes(NONCE_BYTES, "big")
        digest = sha256(self.head + tail).digest()
        if digest > self.target:
            return None
        return msgspec.structs.replace(self.block, seal=self.block.seal[:BITS_BYTES] + tail, hash=digest.hex())


class WorkEngine:
    """`Engine` of the work kind."""

    takes_records: Final = True
    surveys: Final = True

    def __init__(self, network: Network, future_ms: int = LIMITS.future_ms) -> None:
        assert network.rules is not None  # noqa: S101 - every sealed network has them
        self._network = network
        self._rules: SealedRules = network.rules
        self._future_ms = future_ms
        self._easiest = expand(network.rules.limit_bits)
        self._anchor_parent_ms = network.genesis.timestamp - network.rules.spacing_ms

    @property
    def network(self) -> Network:
        return self._network

    # --- stages of checking --------------------------------------------------------------------

    def read(self, whole: WholeBlock | bytes) -> Unchecked:
        if not isinstance(whole, bytes):
            raise RuleViolation(Rule.HEADER_IS_WELL_FORMED, "a block of the classic kind in a network of another")
        return read_whole(whole, SEAL_BYTES, self._rules.max_block_records)

    def check_alone(self, block: Unchecked) -> SealedBlock:
        if isinstance(block, UncheckedBlock):
            raise RuleViolation(Rule.HEADER_IS_WELL_FORMED, "a block of the classic kind in a network of another")
        if block.index == 0:
            return self._check_genesis(block)
        self._check_seal(block.fields, block.hash)
        return check_body(block, self._rules)

    def _check_genesis(self, block: UncheckedSealed) -> SealedBlock:
        genesis = self._network.genesis
        if block.hash != genesis.hash or block.records:
            raise RuleViolation(Rule.GENESIS_IS_OURS, "the block at index 0 is not this network's genesis block")
        assert isinstance(genesis, SealedBlock)  # noqa: S101 - of a sealed network
        return genesis

    def _check_seal(self, fields: HeaderFields, hash: str) -> None:
        if len(fields.seal) != SEAL_BYTES:  # a header that came as text may have one of any length
            raise RuleViolation(
                Rule.HEADER_IS_WELL_FORMED,
                f"block {fields.index} has a seal of {len(fields.seal)} bytes, not {SEAL_BYTES}",
            )
        bits = int.from_bytes(fields.seal[:BITS_BYTES], "big")
        try:
            target = expand(bits)
        except ValueError as error:
            raise RuleViolation(Rule.SEAL_HOLDS, f"block {fields.index} has no possible target: {error}") from None
        if target > self._easiest:
            raise RuleViolation(
                Rule.SEAL_HOLDS, f"block {fields.index} has bits {bits:08x}, easier than anything in this network"
            )
        if not hash_fits(bytes.fromhex(hash), bits):
            raise RuleViolation(Rule.SEAL_HOLDS, f"block {fields.index} {hash} is above the target of {bits:08x}")

    def check_run(self, index: int, hash: str, bodies: Sequence[Body | bytes]) -> list[SealedBlock]:
        run: list[SealedBlock] = []
        parent = Header(index, hash, "", 0)
        for body in bodies:
            if not isinstance(body, bytes):
                raise RuleViolation(Rule.HEADER_IS_WELL_FORMED, "a block of the classic kind in a network of another")
            unchecked = read_whole(body, SEAL_BYTES, self._rules.max_block_records)
            check_linked(unchecked, parent)
            run.append(self.check_alone(unchecked))
            parent = run[-1].header
        return run

    def check_in_place(self, block: AnyBlock, parent: Header) -> None:
        check_linked(block, parent)

    def place(self, run: Sequence[AnyBlock], parent: Header, past: Past, wall_ms: int) -> Placing[SealedBlock]:
        before = sealed_header(parent)
        times = [header.timestamp for header in past(parent, MEDIAN_SPAN)]
        placed: list[SealedBlock] = []
        tops: list[bytes] = []
        for block in run:
            assert isinstance(block, SealedBlock)  # noqa: S101 - of this network
            bits = int.from_bytes(block.seal[:BITS_BYTES], "big")
            self._check_schedule(block.index, bits, before)
            _check_time(block, times, wall_ms + self._future_ms)
            growth = extended_log(block, before.log_size, before.edge)
            placed.append(msgspec.structs.replace(block, weight=before.weight + work(bits), edge=growth.edge))
            tops += tops_of(growth)
            before = placed[-1].header
            times = [*times[-MEDIAN_SPAN + 1 :], block.timestamp]
        return Placing(placed, tops)

    def bits_after(self, parent: Header) -> int:
        """The compact target of the block that follows `parent`."""
        rules = self._rules
        return asert(
            rules.bits,
            time_delta=parent.timestamp - self._anchor_parent_ms,
            height_delta=parent.index,
            spacing=rules.spacing_ms,
            half_life=rules.half_life_ms,
            limit_bits=rules.limit_bits,
        )

    def _check_schedule(self, index: int, bits: int, parent: Header) -> None:
        expected = self.bits_after(parent)
        if bits != expected:
            raise RuleViolation(
                Rule.DIFFICULTY_FOLLOWS_SCHEDULE,
                f"block {index} has bits {bits:08x}; the schedule asks for {expected:08x}",
            )

    # --- fork choice ---------------------------------------------------------------------------

    def weight(self, tip: Header) -> int:
        return sealed_header(tip).weight

    def least_weight(self, tip: Header) -> int:
        return self.weight(tip) - NEAR_TIP_BLOCKS * work(self.bits_after(tip))

    def records(self, block: AnyBlock) -> Sequence[Record]:
        assert isinstance(block, SealedBlock)  # noqa: S101 - of this network
        return block.records

    # --- what a branch weighs, by its headers alone --------------------------------------------

    def survey(self, headers: Sequence[bytes], parent: Header, past: Past, wall_ms: int) -> list[Header]:
        before = sealed_header(parent)
        times = [header.timestamp for header in past(parent, MEDIAN_SPAN)]
        surveyed: list[Header] = []
        for text in headers:
            fields = read_header(text, SEAL_BYTES)
            hash = sha256(text).hexdigest()
            check_linked(Header(fields.index, hash, fields.previous_hash.hex(), fields.timestamp), before)
            self._check_seal(fields, hash)
            bits = int.from_bytes(fields.seal[:BITS_BYTES], "big")
            self._check_schedule(fields.index, bits, before)
            if surveyed and fields.timestamp > wall_ms + self._future_ms:
                break  # those before it are as good as any
            _check_time(fields, times, wall_ms + self._future_ms)
            if not 0 <= fields.log_size - before.log_size <= self._rules.max_block_records:
                raise RuleViolation(
                    Rule.LOG_MATCHES_RECORDS,
                    f"the log goes from {before.log_size} entries to {fields.log_size} with block {fields.index}",
                )
            weight = before.weight + work(bits)
            before = SealedHeader(fields.index, hash, before.hash, fields.timestamp, weight, fields.log_size)
            surveyed.append(before)
            times = [*times[-MEDIAN_SPAN + 1 :], fields.timestamp]
        return surveyed

    # --- for peers -----------------------------------------------------------------------------

    def body(self, block: AnyBlock) -> bytes:
        assert isinstance(block, SealedBlock)  # noqa: S101 - of this network
        return write_whole(block)

    def whole(self, block: AnyBlock) -> bytes:
        return self.body(block)

    def as_sent(self, block: AnyBlock) -> SealedBlock:
        assert isinstance(block, SealedBlock)  # noqa: S101 - likewise
        return as_sent(block, self._rules)

    # --- making blocks -------------------------------------------------------------------------

    def seal(self, parent: Header, data: str, wall_ms: int) -> AnyBlock:  # noqa: ARG002 - for other kinds of networks
        raise RuleViolation(Rule.NETWORK_TAKES_RECORDS, "blocks of this network hold records, and take work to seal")

    def room(self) -> tuple[int, int]:
        return self._rules.max_block_records, self._rules.max_block_bytes

    def draft(self, parent: Header, records: Sequence[Record], past: Past, wall_ms: int) -> Draft:
        """A block on `parent` with as many of the first `records` as fit, dated now, or as soon after the median of
        those before as it may be."""
        before = sealed_header(parent)
        chosen = tuple(records_that_fit(records, self._rules))
        bits = self.bits_after(parent)
        earliest = median([header.timestamp for header in past(parent, MEDIAN_SPAN)]) + 1
        leaves = [record.leaf for record in chosen]
        growth = grow(before.edge, before.log_size, leaves)
        fields = HeaderFields(
            parent.index + 1,
            bytes.fromhex(parent.hash),
            max(wall_ms, earliest),
            before.log_size + len(chosen),
            root_of(growth.edge),
            body_hash_of(leaves),
            bits.to_bytes(BITS_BYTES, "big") + bytes(NONCE_BYTES),
        )
        header = header_bytes(fields)
        weight = before.weight + work(bits)
        block = msgspec.structs.replace(sealed_block(header, fields, chosen), weight=weight, edge=growth.edge)
        target = expand(bits).to_bytes(32, "big")
        difficulty = work(bits) / work(self._rules.bits)
        return WorkDraft(header[:-NONCE_BYTES], target, work(bits), difficulty, block, tops_of(growth))


def _check_time(block: SealedBlock | HeaderFields, times: Sequence[int], latest_ms: int) -> None:
    """After the median of the eleven before, and not too far ahead. Raises RuleViolation."""
    earliest = median(times)
    if block.timestamp <= earliest:
        raise RuleViolation(
            Rule.TIME_AFTER_MEDIAN,
            f"block {block.index} is dated {block.timestamp}, not after {earliest}, the median of those before it",
        )
    if block.timestamp > latest_ms:
        raise RuleViolation(
            Rule.TIME_NOT_FROM_FUTURE,
            f"block {block.index} is dated {block.timestamp}, {block.timestamp - latest_ms} ms later than may be now",
        )
