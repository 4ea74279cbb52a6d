"""The worked example of docs/format.md, computed by the words of that page, with nothing but SHA-256."""

from __future__ import annotations

import json
import math
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from hashlib import sha256
from itertools import count
from typing import Final


def hashed(*parts: bytes) -> bytes:
    return sha256(b"".join(parts)).digest()


def canonical(value: object) -> bytes:
    """The canonical form of what occurs in the example: it has no key and no number that JSON would write otherwise."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def base64url(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def u64(number: int) -> bytes:
    return number.to_bytes(8, "big")


def root(leaves: Sequence[bytes]) -> bytes:
    if not leaves:
        return hashed()
    if len(leaves) == 1:
        return leaves[0]
    middle = max(1 << power for power in range(len(leaves).bit_length()) if 1 << power < len(leaves))
    return hashed(b"\1", root(leaves[:middle]), root(leaves[middle:]))


def expand(bits: int) -> int:
    size, mantissa = bits >> 24, bits & 0xFFFFFF
    return mantissa << 8 * (size - 3) if size >= 3 else mantissa >> 8 * (3 - size)


def compact(target: int) -> int:
    size = -(-target.bit_length() // 8)
    mantissa = target >> 8 * (size - 3) if size >= 3 else target << 8 * (3 - size)
    if mantissa & 0x800000:
        mantissa >>= 8
        size += 1
    return size << 24 | mantissa


def schedule(rules: Mapping[str, int], genesis_ms: int, index: int, timestamp: int) -> dict[str, int]:
    """The bits after a parent, with all that leads to them, as rows of the page name it."""
    late = timestamp - (genesis_ms - rules["spacing_ms"]) - rules["spacing_ms"] * (index + 1)
    exponent = math.trunc(Fraction(late * 65536, rules["half_life_ms"]))
    whole = math.floor(Fraction(exponent, 65536))
    fraction = exponent - whole * 65536
    factor = 65536 + ((195766423245049 * fraction + 971821376 * fraction**2 + 5127 * fraction**3 + 2**47) >> 48)
    target = expand(rules["bits"]) * factor
    shift = min(max(whole - 16, -273), 256)
    target = target << shift if shift >= 0 else target >> -shift
    bits = compact(min(max(target, 1), expand(rules["limit_bits"])))
    return {
        "late": late, "exponent": exponent, "whole": whole, "fraction": fraction, "factor": factor,
        "target before it is made compact": target, "bits": bits,
    }  # fmt: skip


@dataclass(frozen=True)
class Sealed:
    """A block of the example."""

    index: int
    previous_hash: bytes
    timestamp: int
    log_size: int
    log_root: bytes
    body_hash: bytes
    bits: int
    nonce: int = 0

    @property
    def header(self) -> bytes:
        return b"".join(
            [
                *(b"TSB1", u64(self.index), self.previous_hash, u64(self.timestamp), u64(self.log_size)),
                *(self.log_root, self.body_hash, self.bits.to_bytes(4, "big"), u64(self.nonce)),
            ]
        )

    @property
    def hash(self) -> bytes:
        return hashed(self.header)

    def found(self) -> Sealed:
        """With the first nonce that fits."""
        tried = (replace(self, nonce=nonce) for nonce in count())
        return next(block for block in tried if int.from_bytes(block.hash, "big") <= expand(self.bits))


@dataclass(frozen=True)
class Posted:
    """A record of the example."""

    id: str
    value: object
    salt: bytes

    @property
    def data(self) -> bytes:
        return canonical(self.value)

    @property
    def commit(self) -> str:
        return base64url(hashed(self.salt, self.data))

    @property
    def entry(self) -> bytes:
        return canonical({"id": self.id, "commit": self.commit})

    @property
    def leaf(self) -> bytes:
        return hashed(b"\0", self.entry)


RULES: Final = {
    "spacing_ms": 60_000,
    "half_life_ms": 3_600_000,
    "bits": 0x207FFFFF,
    "limit_bits": 0x207FFFFF,
    "max_block_bytes": 1_048_576,
    "max_block_records": 10_000,
    "max_data_bytes": 65_536,
}
PARAMETERS: Final = canonical({"kind": "work", "name": "format-example", "members": [], **RULES})
GENESIS_MS: Final = 1_700_000_000_000
GENESIS: Final = Sealed(0, hashed(PARAMETERS), GENESIS_MS, 0, hashed(), hashed(), RULES["bits"])

RECORDS: Final = (
    Posted("order-7", {"qty": 7, "item": "bölt"}, bytes([1]) * 16),
    Posted("note-1", "hello", bytes([2]) * 16),
    Posted("order-8", [1.5, True, None], bytes([3]) * 16),
)
LEAVES: Final = [record.leaf for record in RECORDS]

BLOCK_1: Final = Sealed(
    1, GENESIS.hash, GENESIS_MS + 30_000, 2, root(LEAVES[:2]), hashed(*LEAVES[:2]), RULES["bits"]
).found()
BITS_2: Final = schedule(RULES, GENESIS_MS, 1, BLOCK_1.timestamp)
BLOCK_2: Final = Sealed(
    2, BLOCK_1.hash, GENESIS_MS + 95_000, 3, root(LEAVES), hashed(LEAVES[2]), BITS_2["bits"]
).found()
BLOCKS: Final = (GENESIS, BLOCK_1, BLOCK_2)

PROOF: Final = {
    "format": "tallystick-proof/1",
    "network": GENESIS.hash.hex(),
    "block": BLOCK_2.hash.hex(),
    "header": BLOCK_2.header.hex(),
    "position": 0,
    "path": [LEAVES[1].hex(), LEAVES[2].hex()],
    "entry": RECORDS[0].entry.decode(),
    "salt": base64url(RECORDS[0].salt),
    "data": RECORDS[0].value,
}
CONSISTENCY: Final = {
    "format": "tallystick-consistency/1",
    "network": GENESIS.hash.hex(),
    "old_header": BLOCK_1.header.hex(),
    "header": BLOCK_2.header.hex(),
    "path": [LEAVES[2].hex()],
}
BLOCK_1_JSON: Final = {
    "index": 1,
    "previous_hash": GENESIS.hash.hex(),
    "timestamp": BLOCK_1.timestamp,
    "records": [
        {"commit": each.commit, "id": each.id, "salt": base64url(each.salt), "data": each.value} for each in RECORDS[:2]
    ],
    "log_size": 2,
    "log_root": BLOCK_1.log_root.hex(),
    "body_hash": BLOCK_1.body_hash.hex(),
    "seal": BLOCK_1.header[124:].hex(),
    "hash": BLOCK_1.hash.hex(),
}
