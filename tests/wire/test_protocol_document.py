"""The specification of `tallystick.1` and the code say the same."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path
from typing import get_args

import pytest

from tallystick.errors import RuleViolation
from tallystick.model.network import CLASSIC
from tallystick.wire.identity import Ed25519Identity
from tallystick.wire.native import codec
from tallystick.wire.native.handshake import Side, signed_text
from tallystick.wire.native.messages import Auth, GetHeaders, Headers, Hello, Message, Ready
from tallystick.wire.native.table import TABLE
from tallystick.wire.reactions import Close

DOCUMENT = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
FRAMES = [bytes.fromhex(text) for text in re.findall(r"```hex\n(.*?)```", DOCUMENT, flags=re.DOTALL)]
DIALLER, ACCEPTOR = Ed25519Identity(bytes([1]) * 32), Ed25519Identity(bytes([2]) * 32)


def test_the_examples_are_messages_and_fit_together() -> None:
    messages = [codec.decode(frame) for frame in FRAMES]
    assert [type(message) for message in messages] == [Hello, Hello, Auth, Auth, Ready, GetHeaders, Headers]
    dialler, acceptor, acceptor_auth, dialler_auth, _, _, headers = messages
    assert isinstance(dialler, Hello)
    assert isinstance(acceptor, Hello)
    assert (dialler.key, acceptor.key) == (DIALLER.public, ACCEPTOR.public)
    assert dialler.network == acceptor.network == bytes.fromhex(CLASSIC.id)
    assert isinstance(headers, Headers)
    assert acceptor.tip.point.hash == headers.blocks[0].hash
    assert headers.blocks[0].hash == sha256(f"1{CLASSIC.id}1700000000hello".encode()).digest()
    texts = {side: signed_text(FRAMES[0], FRAMES[1], side) for side in Side}
    assert acceptor_auth == Auth(ACCEPTOR.sign(texts[Side.ACCEPTOR]))
    assert dialler_auth == Auth(DIALLER.sign(texts[Side.DIALLER]))
    assert texts[Side.ACCEPTOR].hex() in DOCUMENT.replace("\n", "")


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
        ready + b"\x00",
    ):
        with pytest.raises(RuleViolation):
            codec.decode(frame)
    assert codec.decode(b"\x91\xcc\x80") is None
