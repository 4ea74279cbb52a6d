"""Chains as files, given to `import`: a line is to blame, or the chain is taken; either way the ledger stays sound."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from typing import Any, Final

import msgspec

from tallystick.app import transfer as product
from tallystick.app.transfer import BadLineError, take_lines, write_lines
from tallystick.chain.writes import Append
from tallystick.consensus import engine_for
from tallystick.model.block import header_of
from tallystick.model.limits import LIMITS as DEFAULTS
from tallystick.model.log import EMPTY_EDGE, extend, leaf_hash, root_of
from tallystick.model.network import CLASSIC, CLASSIC_GENESIS, EASIEST_BITS, Network
from tallystick.model.record import without_data
from tallystick.model.sealed import AnyBlock, HeaderFields, body_hash_of, header_bytes
from tallystick.model.shown import block_json
from tallystick.storage.memory import MemoryReader, MemoryStore
from tests.chain.sealed_drawing import STEADY, network
from tests.consensus.forging import grown
from tests.fuzz.target import SetAttribute, Target
from tests.fuzz.targets.classic import resealed
from tests.fuzz.trees import json_trees
from tests.node.player import WALL_MS, grow
from tests.storage.kit import commit
from tests.storage.sealed_blocks import record

LIMITS: Final = replace(DEFAULTS, view_page=3, page_bytes=900, import_line_bytes=2_000, recent_headers=3)
WORK: Final = network(STEADY)
NOW_MS: Final = WALL_MS + 10**9

CLASSIC_CHAIN: Final = [CLASSIC_GENESIS, *grow(CLASSIC_GENESIS, "one", "two", "\u00e9", '"\\', "five")]
WORK_CHAIN: Final = grown(
    engine_for(WORK),  # type: ignore[arg-type]  # of a network of work it is one of work
    *(([record(f"{n}-{m}", "\u00e9" * m) for m in range(n % 3)], 1_000) for n in range(6)),
)
OURS: Final[Mapping[str, tuple[Network, Sequence[AnyBlock]]]] = {
    "classic": (CLASSIC, [*CLASSIC_CHAIN[1:3], *grow(CLASSIC_CHAIN[2], "ours")]),
    "work": (WORK, WORK_CHAIN[1:4]),
}
"""What is in the ledger before."""


def one(data: bytes) -> None:
    """A file is offered to ledgers of both kinds."""
    for kind, blocks in OURS.values():
        _offer(data, kind, blocks)


def _offer(data: bytes, kind: Network, blocks: Sequence[AnyBlock]) -> None:
    store = MemoryStore(kind, LIMITS)
    commit(store, Append(blocks))
    engine, tip, before = engine_for(kind), blocks[-1], store.committed.copied()
    take = partial(take_lines, store=store, engine=engine, wall_ms=NOW_MS, limits=LIMITS)
    try:
        imported = take(io.BytesIO(data), tip=tip)
    except BadLineError as error:
        assert str(error).startswith("line ")
        assert len(str(error)) < 600
        assert store.committed == before
        return
    reader = MemoryReader(store, LIMITS)
    assert imported.tip == reader.tip()
    assert imported.added >= 0 <= imported.removed
    assert reader.tip().index == tip.index + imported.added - imported.removed
    assert engine.weight(imported.tip) >= engine.weight(header_of(tip))
    if imported.tip == header_of(tip):
        assert store.committed == before
    written = io.BytesIO()
    assert write_lines(reader, written, LIMITS) == reader.tip().index + 1
    empty = MemoryStore(kind, LIMITS)
    again = take_lines(io.BytesIO(written.getvalue()), empty, kind.genesis, engine, wall_ms=NOW_MS, limits=DEFAULTS)
    assert again.tip == imported.tip


# --- changing chains so that they get far -------------------------------------------------------------------


def mended(lines: Any, chance: random.Random) -> Any:  # noqa: ANN401 - any JSON value
    """Sometimes as it is, sometimes each block with the hash it should have, sometimes all linked anew as well."""
    if not isinstance(lines, list) or chance.random() < 1 / 4:
        return lines
    if chance.random() < 1 / 3:
        return [resealed(line) for line in lines]
    is_work = any(isinstance(line, dict) and "records" in line for line in lines)
    try:
        return _relinked_work(lines) if is_work else _relinked_classic(lines)
    except (TypeError, KeyError, ValueError, AttributeError):
        return lines


def _relinked_classic(lines: Sequence[Any]) -> list[Any]:
    linked: list[Any] = []
    for line in lines:
        may_be_linked = linked and isinstance(line, dict)
        link = {"index": linked[-1]["index"] + 1, "previous_hash": linked[-1]["hash"]} if may_be_linked else None
        linked.append(line if link is None else resealed({**line, **link}))
    return linked


def _relinked_work(lines: Sequence[Any]) -> list[Any]:
    """Each as the child of the one before: with a log and a body that fit its records, and a nonce that seals it."""
    linked = [lines[0]]
    edge, size = EMPTY_EDGE, 0
    for line in lines[1:]:
        leaves = [
            leaf_hash(b'{"commit":"%b","id":"%b"}' % (_bytes(each["commit"]), _bytes(each["id"])))
            for each in line["records"]
        ]
        edge, size = extend(edge, size, leaves), size + len(leaves)
        parent = linked[-1]
        for nonce in range(1_000):
            seal = EASIEST_BITS.to_bytes(4, "big") + nonce.to_bytes(8, "big")
            fields = HeaderFields(
                parent["index"] + 1,
                bytes.fromhex(parent["hash"]),
                line["timestamp"],
                size,
                root_of(edge),
                body_hash_of(leaves),
                seal,
            )
            hash = _hash_of(fields)
            if hash[0] < "7":
                break
        linked.append(
            {
                **line,
                "index": fields.index, "previous_hash": parent["hash"], "log_size": size,
                "log_root": fields.log_root.hex(),
                "body_hash": fields.body_hash.hex(), "seal": seal.hex(), "hash": hash,
            }
        )  # fmt: skip
    return linked


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


def _hash_of(fields: HeaderFields) -> str:
    try:
        return sha256(header_bytes(fields)).hexdigest()
    except Exception as error:  # of `struct`, for a number that no header can hold
        raise ValueError from error


def seeds() -> Iterator[bytes]:
    """Our chains, further and shorter and other ones, laid out in several ways, and lines that are wrong."""
    classic = [msgspec.json.encode(block) for block in CLASSIC_CHAIN]
    work = [bytes(block_json(block)) for block in WORK_CHAIN]
    other = grow(CLASSIC_CHAIN[1], *"abcdef")
    for lines in (classic, work):
        yield b"\n".join(lines)
        yield b"\xef\xbb\xbf" + b"\r\n\r\n".join(lines[:4]) + b"\n"
        yield b"\n".join(lines[1:3])
        yield b"\n".join([*lines[:2], b"{}", *lines[2:]])
        yield b" , ".join(lines[:3])
    yield b"\n".join(msgspec.json.encode(block) for block in [*CLASSIC_CHAIN[:2], *other])
    bare = msgspec.structs.replace(WORK_CHAIN[2], records=tuple(map(without_data, WORK_CHAIN[2].records)))
    yield b"\n".join([*work[:2], bytes(block_json(bare)), *work[3:]])
    yield b""


def plant(put: SetAttribute) -> None:
    """Lines need not count up."""
    put(product, "_check_sequence", lambda _page, _parsed, _expected: None)
    put(product, "_no_block", lambda number, error: ValueError(f"{number} {error}"))


TARGET: Final = Target(one=one, seeds=seeds, plant=plant, mutate=json_trees(mended, lines=True), runs=600)
