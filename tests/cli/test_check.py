"""`tallystick check`: a proof holds, or it is said why not; nothing but the file and a hash is needed."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.cli import check
from tallystick.cli.exits import ExitCode
from tallystick.model.log import EMPTY_EDGE, extend, node_hash, root_of
from tallystick.model.network import Kind, SealedRules, sealed_network
from tallystick.model.record import Record, make_record
from tallystick.model.sealed import HeaderFields, SealedBlock, body_hash_of, header_bytes, sealed_block

from .running import Ran, run, shell

HOSTILE: Final = "\x1b[2J\r\nforged\u202e"
NETWORK: Final = sealed_network(Kind.WORK, "test", SealedRules(1_000, 600_000, 0x207FFFFF), 1_700_000_000_000)
RECORDS: Final = tuple(make_record(f"r-{n}", {"text": HOSTILE, "n": [n, 1.5, 1e21]}, bytes([n] * 16)) for n in range(7))
"""The log of a chain of one block after genesis."""


def sealed(records: Sequence[Record]) -> tuple[bytes, SealedBlock]:
    """The header and the block that holds these."""
    leaves = [record.leaf for record in records]
    fields = HeaderFields(
        1, bytes.fromhex(NETWORK.id), 1_700_000_001_000, len(leaves), root_of(extend(EMPTY_EDGE, 0, leaves)),
        body_hash_of(leaves), bytes(12),
    )  # fmt: skip
    header = header_bytes(fields)
    return header, sealed_block(header, fields, tuple(records))


def path(position: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PATH(m, D[n]) of RFC 6962, section 2.1.1, as it stands there."""
    if len(leaves) == 1:
        return []
    half = 1 << (len(leaves) - 1).bit_length() - 1
    if position < half:
        return [*path(position, leaves[:half]), root(leaves[half:])]
    return [*path(position - half, leaves[half:]), root(leaves[:half])]


def root(leaves: Sequence[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return node_hash(root(leaves[:half]), root(leaves[half:]))


HEADER, BLOCK = sealed(RECORDS)


def proof(position: int = 3) -> dict[str, Any]:
    record = RECORDS[position]
    assert record.salt is not None
    assert record.data is not None
    return {
        "format": "tallystick-proof/1",
        "network": NETWORK.id,
        "header": HEADER.hex(),
        "block": BLOCK.hash,
        "entry": record.entry.decode(),
        "salt": urlsafe_b64encode(record.salt)[:22].decode(),
        "data": json.loads(record.data),
        "position": position,
        "path": [hash.hex() for hash in path(position, [each.leaf for each in RECORDS])],
    }


def checked(folder: Path, document: object, *options: str) -> Ran:
    file = folder / "proof.json"
    file.write_text(document if isinstance(document, str) else json.dumps(document))
    return run("check", str(file), *options)


@pytest.mark.parametrize("position", range(len(RECORDS)))
def test_a_proof_holds_and_what_was_checked_is_said(tmp_path: Path, position: int) -> None:
    ran = checked(tmp_path, proof(position))
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("The proof holds.\n")
    for words in (
        f"r-{position}\n", f"{position} of 7 in the log", f"1  {BLOCK.hash}", "2023-11-14 22:13:21.000 UTC", NETWORK.id,
        "compare its hash with one you trust", r"\u001b[2J",
    ):  # fmt: skip
        assert words in ran.out
    assert ran.out.replace("\n", "").isprintable()


def test_the_block_can_be_given(tmp_path: Path) -> None:
    ran = checked(tmp_path, proof(), "--block", BLOCK.hash.upper())
    assert ran.code == 0
    assert "(as given)" in ran.out
    assert "compare" not in ran.out
    other = checked(tmp_path, proof(), "--block", "ab" * 32)
    assert (other.code, other.out) == (ExitCode.NO, "")
    assert "ab" * 32 in other.err
    bad = checked(tmp_path, proof(), "--block", "7")
    assert bad.code == ExitCode.USAGE
    assert "64 hex digits" in bad.err


def test_programs_get_json(tmp_path: Path) -> None:
    ran = checked(tmp_path, proof(), "--json")
    assert json.loads(ran.out) == {
        "proven": True,
        "record": {"id": "r-3", "commit": json.loads(RECORDS[3].entry)["commit"]},
        "position": 3,
        "block": {"index": 1, "hash": BLOCK.hash, "timestamp": 1_700_000_001_000},
        "block_given": False,
        "network": NETWORK.id,
    }
    bad = checked(tmp_path, {**proof(), "position": 4}, "--json")
    assert bad.code == ExitCode.NO
    assert json.loads(bad.out)["proven"] is False
    assert json.loads(bad.out)["reason"] in bad.err


def test_a_proof_without_the_data_is_a_proof(tmp_path: Path) -> None:
    without = {key: value for key, value in proof().items() if key not in {"salt", "data"}}
    for document in (without, {**without, "salt": None, "data": None}):
        ran = checked(tmp_path, document)
        assert ran.code == 0
        assert "without its data" in ran.out


def test_stdin_will_do_and_nothing_else_is_needed(tmp_path: Path) -> None:
    assert run("check", "-", stdin=json.dumps(proof())).code == 0
    file = tmp_path / "proof"
    file.write_text(json.dumps(proof(), indent=2))
    assert (
        shell("check", str(file), env={"TALLYSTICK_NETWORK": "/none", "TALLYSTICK_URL": "http://127.0.0.1:1"}).code == 0
    )


# --- what does not hold -----------------------------------------------------------------------------


def flipped(text: str) -> str:
    return ("1" if text[0] == "0" else "0") + text[1:]


TAMPERED: Final[dict[str, Callable[[dict[str, Any]], object]]] = {
    "format": lambda p: {**p, "format": "tallystick-proof/2"},
    "header": lambda p: {**p, "header": p["header"][:-1] + flipped(p["header"][-1])},
    "header is short": lambda p: {**p, "header": p["header"][:200]},
    "header is empty": lambda p: {**p, "header": ""},
    "header is no hex": lambda p: {**p, "header": "x" * 272},
    "block": lambda p: {**p, "block": flipped(p["block"])},
    "block is no hash": lambda p: {**p, "block": "latest"},
    "entry": lambda p: {**p, "entry": RECORDS[4].entry.decode()},
    "entry is no entry": lambda p: {**p, "entry": "{}"},
    "entry is no json": lambda p: {**p, "entry": HOSTILE},
    "salt": lambda p: {**p, "salt": "B" * 21 + "A"},
    "salt is short": lambda p: {**p, "salt": "AAAA"},
    "salt is no base64": lambda p: {**p, "salt": "!" * 22},
    "salt alone": lambda p: {key: p[key] for key in p if key != "data"},
    "data": lambda p: {**p, "data": "forged"},
    "data nearly the same": lambda p: {**p, "data": {**p["data"], "n": [3, 1.5, 1e22]}},
    "data without salt": lambda p: {key: p[key] for key in p if key != "salt"},
    "data is no value": lambda p: {**p, "data": 2**80},
    "position": lambda p: {**p, "position": 2},
    "position is beyond": lambda p: {**p, "position": 7},
    "position is negative": lambda p: {**p, "position": -1},
    "position is huge": lambda p: {**p, "position": 2**80},
    "position is text": lambda p: {**p, "position": "3"},
    "path": lambda p: {**p, "path": [flipped(p["path"][0]), *p["path"][1:]]},
    "path is short": lambda p: {**p, "path": p["path"][1:]},
    "path is long": lambda p: {**p, "path": [*p["path"], "ab" * 32]},
    "path is endless": lambda p: {**p, "path": ["ab" * 32] * 100_000},
    "path is no hashes": lambda p: {**p, "path": ["ab", "", "zz"]},
    "path is text": lambda p: {**p, "path": "ab" * 32},
    "missing": lambda p: {key: p[key] for key in p if key != "entry"},
    "list": lambda p: [p],
    "nothing": lambda _: "",
    "garbage": lambda _: HOSTILE,
    "nested": lambda _: "[" * 100_000,
    "nested data": lambda p: json.dumps(p).replace('"n"', '"n": ' + "[" * 5_000 + "]" * 5_000 + ', "m"'),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_whatever_is_changed_is_noticed_and_said(tmp_path: Path, name: str) -> None:
    ran = checked(tmp_path, TAMPERED[name](proof()))
    assert (ran.code, ran.out) == (ExitCode.NO, "")
    assert ran.err.startswith("tallystick: ")
    assert ran.err.replace("\n", "").isprintable()
    assert len(ran.err) < 1_000


def test_another_network_in_the_document_is_not_hidden(tmp_path: Path) -> None:
    """The header does not name its network, so the document's word is shown, and no more is said of it."""
    ran = checked(tmp_path, {**proof(), "network": "cd" * 32})
    assert ran.code in {ExitCode.OK, ExitCode.NO}
    assert "cd" * 32 in ran.out + ran.err


def test_a_file_that_is_too_long_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "PROOF_BYTES_MAX", 1_000)
    ran = checked(tmp_path, " " * 1_001)
    assert ran.code == ExitCode.NO
    assert "longer than 1000 bytes" in ran.err


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    ran = run("check", str(tmp_path / "none"))
    assert ran.code == ExitCode.FOLDER
    assert "No such file" in ran.err


JSON_VALUES: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=80),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(
    changes=st.dictionaries(st.sampled_from(sorted(set(proof()) - {"network"})), JSON_VALUES, min_size=1, max_size=2)
)
def test_whatever_stands_in_a_proof_there_is_an_answer(changes: dict[str, object]) -> None:
    document = proof() | changes
    ran = run("check", "-", stdin=json.dumps(document))
    left_out = document["salt"] is None and document["data"] is None
    same = {key: value for key, value in document.items() if not (left_out and key in {"salt", "data"})}
    holds = all(value == proof()[key] for key, value in same.items())
    assert (ran.code == ExitCode.OK) is holds
    assert ran.code in {ExitCode.OK, ExitCode.NO}
