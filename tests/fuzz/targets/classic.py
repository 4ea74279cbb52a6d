"""Messages of the classic dialect: one reading in, by a second decoder too, and what is read can be written again."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from tallystick.consensus.classic import ClassicEngine
from tallystick.errors import Rule, RuleViolation
from tallystick.model.block import Block, UncheckedBlock, block_hash
from tallystick.model.network import CLASSIC, CLASSIC_GENESIS
from tallystick.wire import classic as product
from tests.fuzz.strictly import strictly
from tests.fuzz.target import SetAttribute, Target
from tests.fuzz.trees import Change, json_trees
from tests.node.player import grow

ENGINE: Final = ClassicEngine(CLASSIC)
KEYS: Final = {"data", "hash", "index", "previous_hash", "timestamp"}
BLOCK: Final = {
    Rule.INDEX_IN_RANGE, Rule.NAMES_ITS_PARENT, Rule.TIMESTAMP_HAS_TEN_DIGITS, Rule.HASH_MATCHES_CONTENT,
    Rule.GENESIS_IS_OURS,
}  # fmt: skip
"""What a block by itself may break."""


def one(data: bytes) -> None:
    """A text is one of the three messages by two decoders, or refused with one rule."""
    try:
        message = product.decode(data)
    except RuleViolation as broken:
        assert broken.rule is Rule.MESSAGE_IS_WELL_FORMED
        assert len(broken.detail) <= 300
        assert _by_the_book(data) is None
        return
    expected = _by_the_book(data)
    assert expected is not None
    match message:
        case product.QueryLatest():
            assert expected == (0, None)
        case product.QueryAll():
            assert expected == (1, None)
        case product.Response(blocks):
            assert expected == (2, [msgspec.structs.asdict(block) for block in blocks])
            for block in blocks:
                assert type(block.index) is int
                assert type(block.timestamp) in {int, str}
            _check_blocks(blocks)


def _by_the_book(text: bytes) -> tuple[int, Any] | None:
    """The message as `json` reads it, held to what the module's text says; None when it is none."""
    try:
        envelope = strictly(text.decode())
        if (
            not isinstance(envelope, dict)
            or type(envelope.get("type")) is not int
            or envelope.keys() - {"type", "data"}
        ):
            return None
        kind, inner = envelope["type"], envelope.get("data")
        if inner is None:
            return (kind, None) if kind in {0, 1} else None
        if kind != 2 or not isinstance(inner, str):
            return None
        inner.encode()
        rows = strictly(inner)
        return (2, rows) if isinstance(rows, list) and all(map(_is_block, rows)) else None
    except (ValueError, RecursionError):  # half a surrogate pair, among others, which `json` takes
        return None


def _is_block(row: Any) -> bool:  # noqa: ANN401 - any JSON value
    if not isinstance(row, dict) or row.keys() != KEYS:
        return False
    if not all(isinstance(row[key], str) for key in ("data", "hash", "previous_hash")):
        return False
    "".join(value for value in row.values() if isinstance(value, str)).encode()
    return type(row["index"]) is int and type(row["timestamp"]) in {int, str}


def _check_blocks(blocks: Sequence[UncheckedBlock]) -> None:
    """Those that are sound by themselves are written as they were read, and in as many bytes as was counted."""
    sound: list[Block] = []
    for block in blocks:
        try:
            sound.append(ENGINE.check_alone(block))
        except RuleViolation as broken:
            assert broken.rule in BLOCK, broken.rule
            assert len(broken.detail) < 500
    again = product.decode(product.response(sound))
    assert isinstance(again, product.Response)
    assert [ENGINE.check_alone(block) for block in again.blocks] == sound
    for each in sound:
        assert product.response_size(each) == len(product.response([each]))


# --- changing what stands in the text within the text ----------------------------------------------------


def _all_resealed(rows: Any, chance: random.Random) -> Any:  # noqa: ANN401 - any JSON value
    if not isinstance(rows, list) or chance.random() < 1 / 4:
        return rows
    return [resealed(row) for row in rows]


def resealed(row: Any) -> Any:  # noqa: ANN401 - any JSON value
    """A block with the hash that its content has, if it can have one."""
    try:
        return {**row, "hash": block_hash(row["index"], row["previous_hash"], row["timestamp"], row["data"])}
    except (TypeError, KeyError, ValueError):
        return row


_inner: Final = json_trees(_all_resealed)
_outer: Final = json_trees()


def mutate(data: bytes, most: int, chance: random.Random, change: Change) -> bytes:
    """The message, or the blocks that stand in it as a text, sometimes with the hashes they should have."""
    if chance.random() < 1 / 3:
        return _outer(data, most, chance, change)
    try:
        message = json.loads(data)
        inner = _inner(message["data"].encode(), most, chance, change)
        written = json.dumps({**message, "data": inner.decode()}).encode()
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return change(data, most)
    return written if len(written) <= most else change(data, most)


def seeds() -> Iterator[bytes]:
    """The queries, and answers of one block, of many, of odd ones."""
    chain = [CLASSIC_GENESIS, *grow(CLASSIC_GENESIS, "one", "", "\u00e9\u2028\U0001f600", '":{"a":1}\\', "x" * 200)]
    yield from (product.QUERY_LATEST, product.QUERY_ALL, b'{"type":0,"data":null}', b'{"type":2,"data":"[]"}')
    yield from (product.response(chain), *(product.response([block]) for block in chain))
    text = json.loads(product.response(chain[1:2]))["data"]
    yield json.dumps({"type": 2, "data": text.replace(str(chain[1].timestamp), f'"{chain[1].timestamp}"')}).encode()
    yield json.dumps({"type": 2, "data": text.replace('"data"', '"data" :1,"data"')}).encode()


def plant(put: SetAttribute) -> None:
    """Keys are counted by their quotation marks and colons alone."""
    put(product, "_STRING_OR_KEY", product._SPACED_KEY_END)


TARGET: Final = Target(one=one, seeds=seeds, plant=plant, mutate=mutate, runs=3_000)
