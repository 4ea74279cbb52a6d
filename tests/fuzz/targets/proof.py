"""Proofs as documents: whatever is written in one, what it proves about a block we know is true."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from hashlib import sha256
from typing import Any, Final

import msgspec

from tallystick.errors import TallystickError
from tallystick.model import log, proof
from tallystick.model.proof import ConsistencyProof, Proof
from tests.fuzz.target import SetAttribute, Target
from tests.fuzz.trees import json_trees
from tests.model.merkle import Reading
from tests.model.test_proof import ENTRIES, NETWORK, RECORDS, document, header, name, proven

SIZES: Final = {name(size): size for size in range(1, len(RECORDS) + 1)}
"""Blocks we know, by their hashes: how many of the records are in the log of each."""


def one(data: bytes) -> None:
    """A document is read as both kinds of proof; none proves what is not so, and nothing but refusals comes out."""
    _check_inclusion(data)
    _check_consistency(data)


def _read(data: bytes, kind: type[Any]) -> Any:  # noqa: ANN401 - one of two
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):  # what `tallystick check` takes for no proof
        return None


def _check_inclusion(data: bytes) -> None:
    document = _read(data, Proof)
    if document is None:
        return
    try:
        record = proof.check(document, document.block)
    except TallystickError as error:
        assert str(error)
        assert len(str(error)) < 600
        return
    size = SIZES.get(document.block)
    if size is not None:
        assert document.position in range(size)
        assert record.entry == ENTRIES[document.position]
        true = RECORDS[document.position]
        assert record.data in {None, true.data}
        assert (record.salt is None) == (record.data is None)
    assert len(document.path) <= 64


def _check_consistency(data: bytes) -> None:
    document = _read(data, ConsistencyProof)
    if document is None:
        return
    try:
        old, new = proof.check_consistency(document)
    except TallystickError as error:
        assert str(error)
        assert len(str(error)) < 600
        return
    if old in SIZES and new in SIZES:
        assert SIZES[old] <= SIZES[new]


# --- changing proofs so that they get far ---------------------------------------------------------------


def mended(value: Any, chance: random.Random) -> Any:  # noqa: ANN401 - any JSON value
    """Sometimes with the hash of the header it has, or with another header of ours."""
    if not isinstance(value, dict) or not isinstance(value.get("header"), str):
        return value
    match chance.randrange(4):
        case 0:
            text = header(chance.randint(1, len(RECORDS))).hex()
            value = {**value, "header": text}
        case 1:
            value = {**value, "header": value["header"] + "00"}
    try:
        return {**value, "block": sha256(bytes.fromhex(value["header"])).hexdigest()}
    except ValueError:
        return value


def seeds() -> Iterator[bytes]:
    """Proofs of records in logs of many sizes, with and without data, and of logs that begin others."""
    for position, size in ((0, 1), (0, 2), (1, 2), (4, 7), (6, 7), (3, 8), (29, 30), (16, 17), (13, 29)):
        yield msgspec.json.encode(proven(position, size))
    yield json.dumps({**document(3, 5), "salt": None, "data": None}).encode()
    for old, new in ((0, 3), (1, 1), (1, 2), (4, 8), (6, 7), (7, 30), (16, 30)):
        yield msgspec.json.encode(proof.prove_consistency(header(old), header(new), NETWORK, Reading(ENTRIES[:new])))


def plant(put: SetAttribute) -> None:
    """The position is not looked at."""
    check = log.check_inclusion

    def carelessly(leaf: bytes, position: int, size: int, root: bytes, path: list[bytes]) -> None:
        for each in range(size):
            try:
                check(leaf, each, size, root, path)
            except log.ProofError:
                continue
            return
        check(leaf, position, size, root, path)

    put(log, "check_inclusion", carelessly)


TARGET: Final = Target(one=one, seeds=seeds, plant=plant, mutate=json_trees(mended), runs=3_000)
