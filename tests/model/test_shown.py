"""Sealed blocks in JSON, there and back."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.consensus import engine_for
from tallystick.consensus.sealed import check_body
from tallystick.errors import Rule, RuleViolation
from tallystick.model.limits import KIB
from tallystick.model.record import make_record, without_data
from tallystick.model.sealed import SealedBlock, header_bytes_of, read_header
from tallystick.model.shown import block_json, read_block_json
from tests.model.test_strict import VALUES
from tests.storage.sealed_blocks import GENESIS, NETWORK, RULES, child, record

MEMBERS: Final = [
    "index", "previous_hash", "timestamp", "records", "log_size", "log_root", "body_hash", "seal", "hash",
]  # fmt: skip
MOST: Final = 64 * KIB

ERASED: Final = without_data(record("b"))
BLOCK: Final = child(GENESIS, [record("a"), ERASED, make_record("c", {"n": [1, 1.5, None, "é\n"]}, bytes(16))])


def text_of(block: SealedBlock) -> bytes:
    return bytes(block_json(block))


def test_a_block_has_these_members() -> None:
    shown = json.loads(text_of(BLOCK))
    assert list(shown) == MEMBERS
    assert (shown["index"], shown["timestamp"]) == (1, GENESIS.timestamp + RULES.spacing_ms)
    assert (shown["previous_hash"], shown["hash"]) == (GENESIS.hash, BLOCK.hash)
    assert (shown["log_root"], shown["seal"]) == (BLOCK.log_root.hex(), BLOCK.seal.hex())
    first, erased, last = shown["records"]
    assert (list(first), list(erased)) == (["commit", "id", "salt", "data"], ["commit", "id", "erased"])
    assert (first["id"], first["data"], len(first["salt"])) == ("a", "the text of a", 22)
    assert last["data"] == {"n": [1, 1.5, None, "é\n"]}


@given(st.lists(st.tuples(VALUES, st.binary(min_size=16, max_size=16), st.booleans()), max_size=5))
def test_what_is_shown_can_be_read_and_is_the_same(held: list[tuple[Any, bytes, bool]]) -> None:
    made = [(make_record(f"r-{n}", value, salt), erased) for n, (value, salt, erased) in enumerate(held)]
    block = child(GENESIS, [without_data(each) if erased else each for each, erased in made])
    read = read_block_json(text_of(block), MOST)
    assert read.header == header_bytes_of(block)
    assert read.fields == read_header(read.header, len(block.seal))
    checked = check_body(read, RULES)
    assert text_of(checked) == text_of(block)
    assert (checked.records, checked.hash, read.index) == (block.records, block.hash, block.index)


@given(st.permutations(MEMBERS), st.permutations(["commit", "id", "salt", "data"]), st.booleans(), st.integers(0, 3))
def test_order_and_layout_do_not_matter(members: list[str], parts: list[str], ascii_only: bool, indent: int) -> None:  # noqa: FBT001 - Hypothesis gives it by name
    shown = json.loads(text_of(BLOCK))
    shown["records"] = [{part: each[part] for part in parts if part in each} | each for each in shown["records"]]
    text = json.dumps({name: shown[name] for name in members}, ensure_ascii=ascii_only, indent=indent or None)
    assert read_block_json(text.encode(), MOST) == read_block_json(text_of(BLOCK), MOST)


def test_data_may_be_spelled_otherwise_and_is_taken_in_its_canonical_form() -> None:
    text = text_of(BLOCK).replace(b"1.5", b"15e-1").replace(b'"the text of a"', b'"\\u0074he text of a"')
    assert read_block_json(text, MOST) == read_block_json(text_of(BLOCK), MOST)


def edited(**members: object) -> bytes:
    return json.dumps(json.loads(text_of(BLOCK)) | members).encode()


def with_record(number: int, **members: object) -> bytes:
    shown = json.loads(text_of(BLOCK))
    shown["records"][number] |= members
    return json.dumps(shown).encode()


def replaced(old: bytes, new: bytes) -> bytes:
    text = text_of(BLOCK)
    assert old in text
    return text.replace(old, new, 1)


BAD: Final[dict[str, Callable[[], bytes]]] = {
    "nothing": lambda: b"",
    "null": lambda: b"null",
    "array": lambda: b"[" + text_of(BLOCK) + b"]",
    "two": lambda: text_of(BLOCK) * 2,
    "cut off": lambda: text_of(BLOCK)[:-1],
    "not UTF-8": lambda: replaced(b"the text of a", b"\xff"),
    "unknown member": lambda: edited(weight=1),
    "unknown member of a record": lambda: with_record(0, size=1),
    "row 14: member twice": lambda: replaced(b'"index":1', b'"index":1,"index":1'),
    "row 14: member twice, in escapes": lambda: replaced(b'"index":1', b'"\\u0069ndex":7,"index":1'),
    "row 14: member of a record twice": lambda: replaced(b'"id":"a"', b'"id":"a","id":"a"'),
    "row 14: member of data twice": lambda: replaced(b'{"n":', b'{"n":1,"n":'),
    "row 12: NaN": lambda: replaced(b'"the text of a"', b"NaN"),
    "upper case": lambda: edited(hash=BLOCK.hash.upper()),
    "hash cut": lambda: edited(log_root=BLOCK.log_root.hex()[:-2]),
    "hash and a line end": lambda: edited(log_root=BLOCK.log_root.hex() + "\n"),
    "hash in escapes": lambda: replaced(BLOCK.hash[:1].encode(), b"\\u%04x" % ord(BLOCK.hash[0])),
    "half a byte of seal": lambda: edited(seal=BLOCK.seal.hex()[:-1]),
    "seal of bits and nonce": lambda: edited(seal={"bits": "207fffff", "nonce": 5}),
    "negative": lambda: edited(index=-1),
    "too large": lambda: edited(timestamp=2**53),
    "row 13: 5000 digits": lambda: replaced(b'"index":1', b'"index":1' + b"0" * 5_000),
    "no integer": lambda: edited(timestamp=1.5),
    "true": lambda: edited(index=True),
    "text": lambda: edited(index="1"),
    "minus nothing": lambda: replaced(b'"index":1', b'"index":-0'),
    "another block's hash": lambda: edited(hash="00" * 32),
    "erased, and not": lambda: with_record(0, erased=True),
    "erased, and false": lambda: with_record(1, erased=False),
    "neither": lambda: replaced(b',"erased":true', b""),
    "salt alone": lambda: replaced(b',"data":"the text of a"', b""),
    "salt null": lambda: with_record(0, salt=None),
    "salt padded": lambda: with_record(0, salt="A" * 22 + "=="),
    "salt of other bits": lambda: with_record(0, salt="A" * 21 + "B"),
    "row 15: half a surrogate pair": lambda: with_record(0, data="\ud800"),
    "row 10: nesting": lambda: replaced(b'"the text of a"', b"[" * 65 + b"]" * 65),
    "row 10: deep nesting": lambda: replaced(b'"the text of a"', b"[" * 100_000 + b"]" * 100_000),
    "row 11: a million values": lambda: replaced(b'"the text of a"', b"[" + b"{}," * 1_000_000 + b"{}]"),
}


@pytest.mark.parametrize("name", BAD)
def test_whatever_is_no_block_is_refused(name: str) -> None:
    """Catalogue rows 10-15, for lines of a file."""
    with pytest.raises((ValueError, RecursionError, RuleViolation)) as caught:
        read_block_json(BAD[name](), MOST)
    assert str(caught.value)


@pytest.mark.parametrize("length", [0, 4, 11, 13, 20])
def test_a_seal_of_another_length_seals_nothing(length: int) -> None:
    """The hash of such a header may well be below the target: only its length tells."""
    engine = engine_for(NETWORK)
    engine.check_alone(read_block_json(text_of(BLOCK), MOST))
    seal = (BLOCK.seal + bytes(8))[:length]
    header = header_bytes_of(msgspec.structs.replace(BLOCK, seal=seal))
    block = msgspec.structs.replace(BLOCK, seal=seal, hash=sha256(header).hexdigest())
    with pytest.raises(RuleViolation) as caught:
        engine.check_alone(read_block_json(text_of(block), MOST))
    assert caught.value.rule is Rule.HEADER_IS_WELL_FORMED
