"""Sealed networks, written from docs/format.md and docs/protocol.md alone: another miner and verifier.

It shares no code with the node. Together with `native_client` it is what somebody has who never saw the node's program:

* `Network` reads and writes a `network.toml`, and knows its genesis block;
* `Record` is what blocks hold, `child` seals a block of some, `grow` a run of them;
* `check_proof` tells whether a proof holds.

`child` can do wrong what the document forbids: any field of the header may be given another value, and sealed all the
same.
"""

from __future__ import annotations

import json
import os
import struct
import tomllib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any, Final

from tests.system.native_client import ANNOUNCE, PUSH, Message, Point, pack

EASIEST: Final = 0x207FFFFF
"""The target that every second hash meets."""

HEADER: Final = struct.Struct(">4sQ32sQQ32s32sIQ")
MAGIC: Final = b"TSB1"
NOTHING: Final = sha256(b"").digest()


def digest(*parts: bytes) -> bytes:
    return sha256(b"".join(parts)).digest()


def number_of(hash: bytes) -> int:
    return int.from_bytes(hash, "big")


def canonical(value: object) -> bytes:
    """RFC 8785, of values whose keys are ASCII and whose numbers are integers."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def base64url(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


# --- records and their log --------------------------------------------------------------------------


@dataclass(frozen=True)
class Record:
    """An entry of the log with its data, or without, when it was erased."""

    entry: bytes
    salt: bytes | None
    data: bytes | None

    @property
    def id(self) -> str:
        return str(json.loads(self.entry)["id"])

    @cached_property
    def leaf(self) -> bytes:
        return digest(b"\0", self.entry)

    @property
    def name(self) -> list[Any]:
        """As an announcement has it."""
        return [self.id, self.leaf]

    @property
    def parts(self) -> list[bytes | None]:
        """As it is sent."""
        return [self.entry, self.salt, self.data]

    @property
    def erased(self) -> Record:
        return replace(self, salt=None, data=None)


def record(id: str, value: object, salt: bytes | None = None) -> Record:
    """A record that holds this value."""
    salt, data = os.urandom(16) if salt is None else salt, canonical(value)
    return Record(canonical({"commit": base64url(digest(salt, data)), "id": id}), salt, data)


def root_of(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962, section 2.1."""
    if len(leaves) <= 1:
        return leaves[0] if leaves else NOTHING
    middle = 1 << (len(leaves) - 1).bit_length() - 1
    return digest(b"\1", root_of(leaves[:middle]), root_of(leaves[middle:]))


# --- difficulty -------------------------------------------------------------------------------------


def expand(bits: int) -> int:
    size, mantissa = bits >> 24, bits & 0xFFFFFF
    return mantissa << 8 * (size - 3) if size >= 3 else mantissa >> 8 * (3 - size)


def compact(target: int) -> int:
    size = (target.bit_length() + 7) // 8
    mantissa = target >> 8 * (size - 3) if size >= 3 else target << 8 * (3 - size)
    if mantissa & 0x800000:
        mantissa, size = mantissa >> 8, size + 1
    return size << 24 | mantissa


def work_of(bits: int) -> int:
    """Hashes that a block takes on average."""
    return 2**256 // (expand(bits) + 1)


# --- networks ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Network:
    """A network of kind work: its parameters, and the day it began."""

    parameters: Mapping[str, Any]
    genesis_ms: int

    @classmethod
    def make(cls, name: str, genesis_ms: int, **others: object) -> Network:
        """One whose blocks take two hashes; `others` are parameters to be otherwise."""
        parameters = {
            "kind": "work",
            "name": name,
            "members": [],
            "spacing_ms": 1_000,
            "half_life_ms": 3_600_000,
            "bits": EASIEST,
            "limit_bits": EASIEST,
            "max_block_bytes": 1_048_576,
            "max_block_records": 10_000,
            "max_data_bytes": 65_536,
        }
        assert others.keys() <= parameters.keys()
        return cls(parameters | others, genesis_ms)

    @classmethod
    def read(cls, file: Path) -> Network:
        """Of a `network.toml`; its id is checked."""
        found = tomllib.loads(file.read_text())
        genesis_ms, id = found.pop("genesis_ms"), found.pop("id")
        for name in ("bits", "limit_bits"):
            found[name] = int(found[name], 16)
        network = cls({"members": []} | found, genesis_ms)
        assert network.genesis.hash.hex() == id
        return network

    def write(self, file: Path) -> Path:
        """As a `network.toml`."""
        shown = {"genesis_ms": self.genesis_ms, "id": self.genesis.hash.hex(), **self.parameters}
        if not shown["members"]:
            del shown["members"]
        shown |= {name: f"{shown[name]:08x}" for name in ("bits", "limit_bits")}
        file.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in shown.items()))
        return file

    @cached_property
    def genesis(self) -> SealedBlock:
        bound = digest(canonical(dict(self.parameters)))
        bits = self.parameters["bits"]
        return SealedBlock(HEADER.pack(MAGIC, 0, bound, self.genesis_ms, 0, NOTHING, NOTHING, bits, 0))

    def bits_after(self, parent: SealedBlock) -> int:
        """What the schedule asks for."""
        spacing_ms, half_life_ms = self.parameters["spacing_ms"], self.parameters["half_life_ms"]
        late = parent.timestamp - (self.genesis_ms - spacing_ms) - spacing_ms * (parent.index + 1)
        exponent = abs(late) * 65_536 // half_life_ms * (1 if late >= 0 else -1)
        whole, fraction = exponent >> 16, exponent & 0xFFFF
        factor = 65_536 + (
            (195_766_423_245_049 * fraction + 971_821_376 * fraction**2 + 5_127 * fraction**3 + 2**47) >> 48
        )
        shift = max(-273, min(256, whole - 16))
        target = expand(self.parameters["bits"]) * factor
        target = target << shift if shift >= 0 else target >> -shift
        return compact(max(1, min(target, expand(self.parameters["limit_bits"]))))


# --- blocks -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SealedBlock:
    """A block, with what the branch that it ends weighs and logs."""

    header: bytes
    records: tuple[Record, ...] = ()
    work: int = 0
    """Of the branch."""

    leaves: tuple[bytes, ...] = field(default=(), repr=False)
    """Of the whole log."""

    @cached_property
    def hash(self) -> bytes:
        return digest(self.header)

    @property
    def index(self) -> int:
        return int(HEADER.unpack(self.header)[1])

    @property
    def timestamp(self) -> int:
        return int(HEADER.unpack(self.header)[3])

    @property
    def point(self) -> Point:
        return [self.index, self.hash]

    @property
    def weight(self) -> bytes:
        return self.work.to_bytes(32, "big")

    @property
    def size(self) -> int:
        return sum(len(part or b"") for record in self.records for part in record.parts)

    @property
    def body(self) -> bytes:
        """As it is sent, in a run and alone."""
        return self.header + pack([record.parts for record in self.records])

    whole = body

    def with_body(self, records: Iterable[Record]) -> SealedBlock:
        """This header, with records that may be others."""
        return replace(self, records=tuple(records))


def seal(head: bytes, bits: int, *, holds: bool = True) -> bytes:
    """A header whose seal holds, or does not."""
    target = expand(bits)
    for nonce in count():
        header = head + struct.pack(">IQ", bits, nonce)
        if (number_of(digest(header)) <= target) is holds:
            return header
    raise AssertionError("no nonce is left")


def child(
    network: Network, parent: SealedBlock, records: Iterable[Record] = (), *, holds: bool = True, **wrong: object
) -> SealedBlock:
    """A block after `parent`; `wrong` are fields of the header to be otherwise."""
    records = tuple(records)
    own = [record.leaf for record in records]
    leaves = (*parent.leaves, *own) if own else parent.leaves
    header: dict[str, Any] = {
        "magic": MAGIC,
        "index": parent.index + 1,
        "previous": parent.hash,
        "timestamp": parent.timestamp + network.parameters["spacing_ms"],
        "log_size": len(leaves),
        "log_root": root_of(leaves) if own else HEADER.unpack(parent.header)[5],
        "body_hash": digest(*own),
        "bits": network.bits_after(parent),
    }
    assert wrong.keys() <= header.keys()
    header |= wrong
    bits = header["bits"]
    head = HEADER.pack(*header.values(), 0)[:-12]
    return SealedBlock(seal(head, bits, holds=holds), records, parent.work + work_of(bits), leaves)


def grow(network: Network, parent: SealedBlock, count: int, name: str | None = None) -> list[SealedBlock]:
    """So many blocks, each on the one before; of a record each if they are named, else empty."""
    blocks = []
    for _ in range(count):
        held = () if name is None else (record(f"{name}-{parent.index + 1}", f"{name} {parent.index + 1}"),)
        parent = child(network, parent, held)
        blocks.append(parent)
    return blocks


def push(block: SealedBlock) -> Message:
    """What brings a new block."""
    return [PUSH, block.whole, block.weight]


def announce(*blocks: SealedBlock) -> Message:
    """What tells of new blocks."""
    return [ANNOUNCE, [block.point for block in blocks], blocks[-1].weight]


# --- proofs -----------------------------------------------------------------------------------------


def check_proof(proof: Mapping[str, Any], trusted: str) -> None:
    """Does this proof lead to the block that is trusted? AssertionError when it does not."""
    header = bytes.fromhex(proof["header"])
    assert digest(header).hex() == proof["block"] == trusted
    magic, *_ = HEADER.unpack(header)
    assert magic == MAGIC
    log_size, log_root = HEADER.unpack(header)[4:6]
    entry = json.loads(proof["entry"])
    assert canonical(entry) == proof["entry"].encode()
    if proof.get("salt") is not None:
        salt = base64_decode(proof["salt"])
        assert base64url(digest(salt, canonical(proof["data"]))) == entry["commit"]
    assert root_by_path(proof["position"], log_size, digest(b"\0", proof["entry"].encode()), proof["path"]) == log_root


def root_by_path(position: int, log_size: int, leaf: bytes, path: Sequence[str]) -> bytes:
    """RFC 9162, section 2.1.3.2."""
    node, last, hash = position, log_size - 1, leaf
    assert 0 <= node <= last
    for step in map(bytes.fromhex, path):
        assert last > 0, "the path is too long"
        if node % 2 or node == last:
            hash = digest(b"\1", step, hash)
            while node % 2 == 0 and node > 0:
                node, last = node >> 1, last >> 1
        else:
            hash = digest(b"\1", hash, step)
        node, last = node >> 1, last >> 1
    assert last == 0, "the path is too short"
    return hash


def base64_decode(text: str) -> bytes:
    """Without padding."""
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
