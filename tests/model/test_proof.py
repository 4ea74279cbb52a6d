"""Proofs as documents: what is proven holds, in any layout, and nothing else passes."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.model.log import ProofError
from tallystick.model.proof import ConsistencyProof, Proof, check, check_consistency, prove, prove_consistency
from tallystick.model.record import Record, make_record, without_data
from tallystick.model.sealed import HeaderFields, body_hash_of, header_bytes

from .merkle import Reading, mth

NETWORK: Final = sha256(b"a network").hexdigest()
VALUES: Final = ["text", None, {"n": [0, 1.5, 1e21], "ü": "\u20ac\x1b"}, [], False, {}, -1, [[["deep"]]]]
RECORDS: Final = [make_record(f"record-{n}", VALUES[n % 8], bytes([n]) * 16) for n in range(30)]
ENTRIES: Final = [record.entry for record in RECORDS]


def header(size: int, seal: bytes = bytes(12)) -> bytes:
    """Of a block whose log holds so many of the records."""
    leaves = [record.leaf for record in RECORDS[:size]]
    return header_bytes(
        HeaderFields(7, bytes(32), 1_700_000_000_000, size, mth(ENTRIES[:size]), body_hash_of(leaves), seal)
    )


def name(size: int) -> str:
    return sha256(header(size)).hexdigest()


def proven(position: int, size: int, record: Record | None = None) -> Proof:
    record = RECORDS[position] if record is None else record
    return prove(record, position, header(size), NETWORK, Reading(ENTRIES[:size]))


def document(position: int = 4, size: int = 7) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(proven(position, size)))
    return shown


def read(text: bytes | str) -> Proof:
    return msgspec.json.decode(text, type=Proof)


places = st.integers(1, len(RECORDS)).flatmap(lambda size: st.tuples(st.integers(0, size - 1), st.just(size)))


@given(places)
def test_a_record_is_proven_in_every_log_that_holds_it(place: tuple[int, int]) -> None:
    proof = proven(*place)
    assert check(proof, name(place[1])) == RECORDS[place[0]]
    assert check(read(msgspec.json.encode(proof)), name(place[1])) == RECORDS[place[0]]


@given(places, st.sampled_from([None, 1, "\t"]), st.booleans(), st.booleans())
def test_a_proof_may_be_laid_out_anew(place: tuple[int, int], indent: Any, ascii_only: bool, reverse: bool) -> None:  # noqa: ANN401, FBT001 - of json.dumps
    value = document(*place)
    members = dict(reversed(value.items())) if reverse else value
    text = json.dumps(members, indent=indent, ensure_ascii=ascii_only).replace("1e+21", "1000.0E18")
    assert check(read(text), name(place[1])) == RECORDS[place[0]]


@given(places)
def test_a_record_is_proven_without_its_data(place: tuple[int, int]) -> None:
    left = without_data(RECORDS[place[0]])
    proof = proven(*place, left)
    assert check(proof, name(place[1])) == left
    shown = msgspec.json.decode(msgspec.json.encode(proof))
    assert (shown["salt"], shown["data"]) == (None, None)
    without = {key: value for key, value in shown.items() if key not in {"salt", "data"}}
    assert check(read(json.dumps(without)), name(place[1])) == left


def test_data_that_is_null_is_not_data_that_is_missing() -> None:
    assert (RECORDS[1].data, document(1)["data"]) == (b"null", None)
    assert check(proven(1, 7), name(7)).data == b"null"
    assert check(read(json.dumps({**document(1), "salt": None})), name(7)).data is None


def test_a_proof_reads_as_it_is_specified() -> None:
    """Golden: two records, the second proven, every byte written out."""
    record = make_record("b", {"amount": 12, "to": "ü"}, bytes(range(16)))
    other = make_record("a", "first", bytes(16))
    assert sha256(bytes(range(16)) + '{"amount":12,"to":"ü"}'.encode()).hexdigest() == (
        "ed2d248cc043e184368e29a6c7f5b05c66be92b1d99b0562e9b0553f37fd444f"
    )
    leaves = [sha256(b"\0" + each.entry).digest() for each in (other, record)]
    root = sha256(b"\1" + leaves[0] + leaves[1]).digest()
    text = b"TSB1" + bytes(7) + b"\1" + bytes(32) + (1_700_000_000_123).to_bytes(8, "big") + bytes(7) + b"\2" + root
    text += sha256(leaves[0] + leaves[1]).digest() + bytes.fromhex("207fffff0000000000000005")
    proof = prove(record, 1, text, "ab" * 32, Reading([other.entry, record.entry]))
    assert msgspec.json.decode(msgspec.json.encode(proof)) == {
        "format": "tallystick-proof/1",
        "network": "ab" * 32,
        "block": sha256(text).hexdigest(),
        "header": text.hex(),
        "position": 1,
        "path": [leaves[0].hex()],
        "entry": '{"commit":"7S0kjMBD4YQ2jimmx_WwXGa-krHZmwVi6bBVPzf9RE8","id":"b"}',
        "salt": "AAECAwQFBgcICQoLDA0ODw",
        "data": {"amount": 12, "to": "ü"},
    }
    assert sha256(text).hexdigest() == "f475a6f61e7a61d51460901caa1dd3f6944fc795df6f7b4b837ec7f80666dcd8"
    assert check(proof, sha256(text).hexdigest()) == record


# --- what does not hold -----------------------------------------------------------------------------

OTHER: Final = document(5)
CHANGES: Final[dict[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    "another format": lambda p: {**p, "format": "tallystick-proof/2"},
    "the format of another document": lambda p: {**p, "format": "tallystick-consistency/1"},
    "a network that is no hash": lambda p: {**p, "network": "\x1b[2J"},
    "a network in capitals": lambda p: {**p, "network": "AB" * 32},
    "another block": lambda p: {**p, "block": name(8)},
    "no block": lambda p: {**p, "block": ""},
    "another header": lambda p: {**p, "header": header(8).hex()},
    "another header and its block": lambda p: {**p, "header": header(8).hex(), "block": name(8)},
    "a header in capitals": lambda p: {**p, "header": p["header"].upper()},
    "a header with spaces": lambda p: {**p, "header": " " + p["header"]},
    "a header of half a byte less": lambda p: {**p, "header": p["header"][:-1]},
    "a short header": lambda p: {**p, "header": p["header"][:246]},
    "no header": lambda p: {**p, "header": ""},
    "a header with a longer seal": lambda p: {**p, "header": p["header"] + "00"},
    "another position": lambda p: {**p, "position": 5},
    "a position behind the log": lambda p: {**p, "position": 7},
    "a position before the log": lambda p: {**p, "position": -1},
    "an endless position": lambda p: {**p, "position": 2**200},
    "another entry": lambda p: {**p, "entry": OTHER["entry"]},
    "another record": lambda p: {**p, "entry": OTHER["entry"], "salt": OTHER["salt"], "data": OTHER["data"]},
    "another record at its place": lambda p: {**OTHER, "path": p["path"]},
    "an entry with a space": lambda p: {**p, "entry": p["entry"].replace(",", ", ")},
    "an entry that is none": lambda p: {**p, "entry": "\u20ac"},
    "another salt": lambda p: {**p, "salt": OTHER["salt"]},
    "a salt with bits to spare": lambda p: {**p, "salt": p["salt"][:-1] + chr(ord(p["salt"][-1]) + 1)},
    "a salt with padding": lambda p: {**p, "salt": p["salt"] + "=="},
    "a short salt": lambda p: {**p, "salt": ""},
    "no salt": lambda p: {**p, "salt": None},
    "other data": lambda p: {**p, "data": OTHER["data"]},
    "no data": lambda p: {**p, "data": None},
    "no data at all": lambda p: {key: value for key, value in p.items() if key != "data"},
    "data that no reader holds": lambda p: {**p, "data": 2**53},
    "a shorter path": lambda p: {**p, "path": p["path"][:-1]},
    "a longer path": lambda p: {**p, "path": [*p["path"], "ab" * 32]},
    "no path": lambda p: {**p, "path": []},
    "another path": lambda p: {**p, "path": OTHER["path"]},
    "a path in capitals": lambda p: {**p, "path": [each.upper() for each in p["path"]]},
    "a path of half hashes": lambda p: {**p, "path": [each[:32] for each in p["path"]]},
    "a path of joined hashes": lambda p: {**p, "path": ["".join(p["path"])]},
}


def refused(text: bytes | str, block: str) -> str:
    with pytest.raises(ProofError) as error:
        check(read(text), block)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 300
    return str(error.value)


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_proof_is_refused_with_a_reason(change: str) -> None:
    refused(json.dumps(CHANGES[change](document())), name(7))


def test_another_block_than_the_one_that_is_trusted_is_refused() -> None:
    assert name(8) in refused(json.dumps(document()), name(8))
    refused(json.dumps(document()), name(7).upper())
    refused(json.dumps(document()), "")


@given(st.sampled_from(["block", "header", "path", "entry", "salt"]), st.data())
def test_no_character_of_a_proof_can_be_changed(member: str, data: st.DataObject) -> None:
    value = document()
    text = value[member] if member != "path" else value["path"][0]
    at = data.draw(st.integers(0, len(text) - 1))
    character = data.draw(st.sampled_from("0123456789abcdefghAZ-_ \x00ü").filter(lambda each: each != text[at]))
    altered = text[:at] + character + text[at + 1 :]
    value[member] = [altered, *value["path"][1:]] if member == "path" else altered
    refused(json.dumps(value), name(7))


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b'"\\ud800"', b"1e400", b"[" * 100_000, b"nul", b"1 2"])
def test_data_that_is_no_value_is_refused(data: bytes) -> None:
    """Where whoever read the document has not looked at it."""
    with pytest.raises(ProofError):
        check(msgspec.structs.replace(proven(4, 7), data=msgspec.Raw(data)), name(7))


def test_what_is_shown_of_data_is_what_was_proven() -> None:
    """Some readers take the first of two equal keys. The record that is returned has one."""
    record = make_record("x", {"pay": 1}, bytes(16))
    forged = msgspec.Raw(b'{"pay":1000,"pay":1}')
    text = header_bytes(HeaderFields(1, bytes(32), 1, 1, record.leaf, bytes(32), b""))
    proof = msgspec.structs.replace(prove(record, 0, text, NETWORK, Reading([record.entry])), data=forged)
    assert check(proof, sha256(text).hexdigest()).data == b'{"pay":1}'


def test_a_record_that_came_later_cannot_be_proven() -> None:
    with pytest.raises(ValueError, match="no entry 7"):
        prove(RECORDS[7], 7, header(7), NETWORK, Reading(ENTRIES[:7]))


# --- two blocks -------------------------------------------------------------------------------------


def linked(old: int, new: int) -> ConsistencyProof:
    return prove_consistency(header(old), header(new), NETWORK, Reading(ENTRIES[:new]))


sizes = st.integers(0, len(RECORDS)).flatmap(lambda new: st.tuples(st.integers(0, new), st.just(new)))


@given(sizes)
def test_the_logs_of_two_blocks_are_linked(pair: tuple[int, int]) -> None:
    """Logs of no entries too: blocks may be empty."""
    proof = linked(*pair)
    assert check_consistency(proof) == (name(pair[0]), name(pair[1]))
    again = msgspec.json.decode(msgspec.json.encode(proof), type=ConsistencyProof)
    assert again == proof


LINK: Final = linked(3, 7)


@pytest.mark.parametrize(
    "change",
    [
        {"format": "tallystick-proof/1"},
        {"network": "x"},
        {"old_header": header(4).hex()},
        {"header": header(8).hex()},
        {"header": LINK.old_header, "old_header": LINK.header},
        {"old_header": bytes(136).hex()},
        {"path": LINK.path[1:]},
        {"path": [*LINK.path, "ab" * 32]},
        {"path": []},
        {"path": ["", *LINK.path]},
    ],
)
def test_a_changed_link_is_refused_with_a_reason(change: dict[str, Any]) -> None:
    with pytest.raises(ProofError) as error:
        check_consistency(msgspec.structs.replace(LINK, **change))
    assert 0 < len(str(error.value)) < 300


def test_a_rewritten_log_cannot_be_linked() -> None:
    rewritten = [b"forged", *ENTRIES[1:7]]
    forged = header_bytes(HeaderFields(8, bytes(32), 1, 7, mth(rewritten), bytes(32), bytes(12)))
    for entries in (ENTRIES[:7], rewritten):
        proof = prove_consistency(header(3), forged, NETWORK, Reading(entries))
        with pytest.raises(ProofError, match="leads to the root"):
            check_consistency(proof)


def test_a_shorter_log_does_not_begin_with_a_longer() -> None:
    with pytest.raises(ValueError, match="no beginning"):
        prove_consistency(header(7), header(3), NETWORK, Reading(ENTRIES[:7]))
