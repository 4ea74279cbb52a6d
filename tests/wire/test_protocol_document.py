"""The specification of `tallystick.1` and the code say the same."""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from hashlib import sha256
from itertools import accumulate
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from tallystick.consensus.work import WorkEngine
from tallystick.errors import RuleViolation
from tallystick.model.block import Body
from tallystick.model.network import CLASSIC, EASIEST_BITS, Kind, SealedRules, parameters, sealed_network
from tallystick.model.record import make_record, raw_of
from tallystick.model.sealed import SealedBlock, header_bytes_of
from tallystick.wire.identity import Ed25519Identity
from tallystick.wire.native import codec
from tallystick.wire.native.handshake import Side, signed_text
from tallystick.wire.native.messages import (
    Auth,
    GetHeaders,
    GetRecords,
    GetSurvey,
    Headers,
    Hello,
    Inv,
    Message,
    Point,
    Push,
    Ready,
    RecordName,
    Records,
    Survey,
)
from tallystick.wire.native.table import TABLE
from tallystick.wire.reactions import Close

DOCUMENT = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
FRAMES = [bytes.fromhex(text) for text in re.findall(r"```hex\n(.*?)```", DOCUMENT, flags=re.DOTALL)]
DIALLER, ACCEPTOR = Ed25519Identity(bytes([1]) * 32), Ed25519Identity(bytes([2]) * 32)


def test_the_examples_are_messages_and_fit_together() -> None:
    messages = [codec.decode(frame) for frame in FRAMES[:7]]
    assert [type(message) for message in messages] == [Hello, Hello, Auth, Auth, Ready, GetHeaders, Headers]
    dialler, acceptor, acceptor_auth, dialler_auth, _, _, headers = messages
    assert isinstance(dialler, Hello)
    assert isinstance(acceptor, Hello)
    assert (dialler.key, acceptor.key) == (DIALLER.public, ACCEPTOR.public)
    assert dialler.network == acceptor.network == bytes.fromhex(CLASSIC.id)
    assert isinstance(headers, Headers)
    block = headers.blocks[0]
    assert isinstance(block, Body)
    assert acceptor.tip.point.hash == block.hash
    assert block.hash == sha256(f"1{CLASSIC.id}1700000000hello".encode()).digest()
    texts = {side: signed_text(FRAMES[0], FRAMES[1], side) for side in Side}
    assert acceptor_auth == Auth(ACCEPTOR.sign(texts[Side.ACCEPTOR]))
    assert dialler_auth == Auth(DIALLER.sign(texts[Side.DIALLER]))
    assert texts[Side.ACCEPTOR].hex() in DOCUMENT.replace("\n", "")


def test_the_example_of_a_sealed_network_is_what_a_node_of_it_says() -> None:
    """The network, its first record and its first block, from the words around the example."""
    rules = SealedRules(spacing_ms=10_000, half_life_ms=3_600_000, bits=EASIEST_BITS)
    network = sealed_network(Kind.WORK, "example", rules, 1_700_000_000_000)
    assert f"\n{parameters(Kind.WORK, 'example', rules, frozenset()).decode()}\n" in DOCUMENT
    engine, genesis = WorkEngine(network), network.genesis.header
    record = make_record("order-7", {"qty": 7}, bytes([5]) * 16)
    draft = engine.draft(genesis, (record,), lambda _header, _count: [genesis], 1_700_000_010_000)
    block = draft.sealed(0)
    assert isinstance(block, SealedBlock)
    name, start = RecordName(record.id, record.leaf), Point(0, bytes.fromhex(network.id))
    assert [codec.decode(frame) for frame in FRAMES[7:]] == [
        Inv((name,)),
        GetRecords(2, (name,)),
        Records(2, (raw_of(record),), ()),
        Push(engine.whole(block), (2).to_bytes(32, "big")),
        GetSurvey(1, (start,), None, 2_000),
        Survey(1, start, (header_bytes_of(block),)),
    ]
    assert engine.weight(block.header) == 2


def test_a_sealed_block_is_its_header_and_its_records() -> None:
    """The table of the header, read by this test alone."""
    push = codec.decode(FRAMES[10])
    assert isinstance(push, Push)
    assert isinstance(push.block, bytes)
    rows = re.findall(
        r"^\| (\d+|n) \| (.*?) \|", DOCUMENT.split("### Sealed networks")[1].split("### Records")[0], re.MULTILINE
    )
    sizes = [12 if size == "n" else int(size) for size, _ in rows]
    header, records = push.block[: sum(sizes)], push.block[sum(sizes) :]
    magic, index, previous, timestamp, log_size, log_root, body_hash, seal = _cut(header, sizes)
    assert (magic, index, log_size) == (b"TSB1", bytes(7) + b"\1", bytes(7) + b"\1")
    assert int.from_bytes(timestamp, "big") == 1_700_000_010_000
    assert seal == bytes.fromhex("207fffff") + bytes(8)
    [[entry, salt, data]] = msgspec.msgpack.decode(records)
    leaf = sha256(b"\0" + entry).digest()
    assert (log_root, body_hash) == (leaf, sha256(leaf).digest())
    commit = urlsafe_b64encode(sha256(salt + data).digest()).rstrip(b"=").decode()
    assert entry == f'{{"commit":"{commit}","id":"order-7"}}'.encode()
    assert int.from_bytes(sha256(header).digest(), "big") <= 0x7FFFFF << 8 * 29
    assert previous.hex() in codec.encode(GetSurvey(1, (Point(0, previous),), None, 2_000)).hex() == FRAMES[11].hex()


def _cut(text: bytes, sizes: list[int]) -> list[bytes]:
    return [text[end - size : end] for size, end in zip(sizes, accumulate(sizes), strict=True)]


@pytest.mark.parametrize("kind", get_args(Message), ids=lambda kind: kind.__name__)
def test_every_message_has_a_row_with_its_tag_and_its_rate_and_a_section(kind: type[Message]) -> None:
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()
    tag, rate = kind.__struct_config__.tag, TABLE[kind].per_minute
    cells = f" {rate:,} " if rate else " "
    assert re.search(rf"^\| {tag} \| \[{name}\]\(#[^|]*\|[^|]*\|[^|]*\|{cells}\|$", DOCUMENT, flags=re.MULTILINE)
    assert re.search(rf"^### (ping \(4\) and )?{name} \({tag}\)", DOCUMENT, flags=re.MULTILINE)
    section = re.split(rf"^### (?:ping \(4\) and )?{name} \({tag}\).*$", DOCUMENT, flags=re.MULTILINE)[1]
    table = re.search(
        r"^\| field \|.*\n\|---.*\n((?:\|.*\n)*)", re.split(r"^##", section, flags=re.MULTILINE)[0], re.MULTILINE
    )
    fields = re.findall(r"^\| (\w+) \|", table[1] if table else "", flags=re.MULTILINE)
    assert tuple(fields) == kind.__struct_fields__ or name == "ping"


def test_every_close_code_of_this_dialect_is_listed() -> None:
    rows = {int(code) for code in re.findall(r"^\| (\d{4}) \|", DOCUMENT, flags=re.MULTILINE)}
    classic_only = {Close.INVALID_TEXT, Close.POLICY_VIOLATION}
    assert {*Close} - rows <= classic_only
    assert rows <= {*Close}


def test_what_the_document_calls_another_writing_is_refused() -> None:
    """Longer forms, surplus fields, and tags that must be known."""
    ready, get_headers = FRAMES[4], FRAMES[5]
    for frame in (
        b"\x91\xcc\x03",
        b"\xdc\x00\x01\x03",
        b"\x92\x03\xc0",
        get_headers.replace(b"\xcd\x03\xe8", b"\xce\x00\x00\x03\xe8"),
        b"\x91\x63",
        b"\x91\x7f",
        FRAMES[10].replace(b"\xc4\xf0TSB1", b"\xc5\x00\xf0TSB1"),
        FRAMES[7].replace(b"order-7", b"order 7"),
        ready + b"\x00",
    ):
        with pytest.raises(RuleViolation):
            codec.decode(frame)
    assert codec.decode(b"\x91\xcc\x80") is None
