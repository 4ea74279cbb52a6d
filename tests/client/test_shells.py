"""Both shells at real nodes, and at servers that are none."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tallystick.client import (
    Client,
    ClientError,
    IdTaken,
    Misuse,
    NewRecord,
    NotFound,
    NotProven,
    NotYet,
    Silent,
    TokenNeeded,
    Unreachable,
    Unreadable,
    Untrusted,
    connection,
)
from tests.cli.certificate import certificate
from tests.cli.fake_node import Answer, Asked, fake_node, problem
from tests.system.processes import NodeProcess, nodes
from tests.system.work_nodes import WorkNode, own_network

from .shells import SHELLS, Shell, first

both = pytest.mark.parametrize("shell", SHELLS)

TOKEN: Final = "0123456789" + "abcdef"
EASY: Final = 10
"""Exponent of the hashes a block takes."""

# --- real nodes -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("work")
    node = WorkNode(folder / "node", own_network(folder, bits=EASY), mines=True)
    with nodes(node):
        yield node.url


@pytest.fixture(scope="module")
def classic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("classic")
    file = folder / "token"
    file.write_text(TOKEN)
    file.chmod(0o600)
    node = NodeProcess(folder / "node", options=("--token-file", str(file)))
    with nodes(node):
        yield f"http://127.0.0.1:{node.port}"


@both
def test_a_record_is_posted_waited_for_and_proven(work: str, shell: Shell) -> None:
    with shell(work) as node:
        receipt = node.post({"sensor": 7, "celsius": 21})
        record = node.wait(receipt.id, confirmations=1, timeout_s=30)
        assert (record.value, record.status, record.commit) == (
            {"sensor": 7, "celsius": 21},
            "included",
            receipt.commit,
        )
        trusted = node.block(record.block.hash)
        assert receipt.id in [each.id for each in trusted.records]
        proven = node.verify(receipt.id, trusted_block_hash=trusted.hash, data={"celsius": 21, "sensor": 7})
        assert proven.position == record.position
        with pytest.raises(NotProven):
            node.verify(receipt.id, trusted_block_hash=trusted.hash, data={"sensor": 7, "celsius": 22})
        later = node.wait(node.post("more").id)
        assert node.verify_consistency(trusted.hash, later.block.hash) == later.block.hash
        assert node.verify_consistency(trusted.hash)


@both
def test_many_are_posted_and_read_back_in_order(work: str, shell: Shell) -> None:
    with shell(work) as node:
        made = [NewRecord(number) for number in range(1_200)]
        assert [each.id for each in node.post_many(made)] == [each.id for each in made]
        assert node.post_many(made)[0].id == made[0].id, "again, and nothing is twice"
        last = node.wait(made[-1].id, timeout_s=30)
        ids = [each.id for each in first(node, node.records(), last.position + 1)]
        assert [id for id in ids if id in {each.id for each in made}] == [each.id for each in made]
        assert node.records_of(made[0].id)[0].value == 0
        assert [each.id for each in first(node, node.search(made[7].id.upper()))] == [made[7].id]
        with pytest.raises(IdTaken):
            node.post("other", made[0].id)
        with pytest.raises(NotFound):
            node.record("nobody")
        with pytest.raises(NotYet):
            node.wait(made[-1].id, confirmations=10**6, timeout_s=0)


@both
def test_who_follows_sees_what_is_posted_meanwhile(work: str, shell: Shell) -> None:
    with shell(work) as node, Client(work) as other:
        start = node.wait(node.post("start").id, timeout_s=30)
        following = node.records(after=start.position + 1, follow=True)
        posted = [other.post(f"news {number}").id for number in range(3)]
        assert {each.id for each in first(node, following, 3)} == set(posted)
        blocks = first(node, node.blocks(after=start.block.index - 1, follow=True), 2)
        assert [each.index for each in blocks] == [start.block.index, start.block.index + 1]


@both
def test_a_classic_node_mines_for_whoever_has_the_token(classic: str, shell: Shell) -> None:
    with shell(classic) as stranger, pytest.raises(TokenNeeded) as refused:
        stranger.mine("x")
    assert (refused.value.status, refused.value.problem, refused.value.may_retry) == (401, "token-needed", False)
    with shell(classic, token=TOKEN) as node:
        block = node.mine("hello")
        assert node.block(block.hash).data == node.block("latest").data == "hello"
        assert [each.index for each in first(node, node.blocks())] == list(range(block.index + 1))
        assert [each.excerpt for each in first(node, node.search("HELL"))][:1] == ["hello"]
        assert node.status().network.kind == "classic"
        node.add_peer("ws://127.0.0.1:1")
        assert node.peers() == []
        with pytest.raises(NotFound) as keeps_none:
            node.post("x")
        assert keeps_none.value.rule == "network-takes-records"


# --- servers that are none --------------------------------------------------------------------------


@contextmanager
def babbling(*parts: bytes) -> Iterator[str]:
    """A server that takes one request, says this, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def babble() -> None:
            with server.accept()[0] as peer:
                peer.recv(65_536)
                for part in parts:
                    try:
                        peer.sendall(part)
                    except OSError:
                        return

        thread = threading.Thread(target=babble)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join(30)


HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


@both
@pytest.mark.parametrize(
    ("said", "error"),
    [
        ([], Unreachable),
        ([HEAD + b"content-length: 500\r\n\r\n", b'{"version": '], Unreachable),
        ([HEAD + b"transfer-encoding: chunked\r\n\r\n", b"5\r\n[1,"], Unreachable),
        ([b"SSH-2.0-OpenSSH\r\n\r\n"], Unreadable),
        ([HEAD + b"content-length: x\r\n\r\n"], Unreadable),
        ([HEAD + b"transfer-encoding: chunked\r\n\r\n", b"zz\r\n"], Unreadable),
        ([HEAD + b"content-encoding: gzip\r\ncontent-length: 3\r\n\r\n\x1f\x8b\x08"], Unreadable),
        ([HEAD + b"\r\n", *[b" " * 65_536] * 1_000], Unreadable),
        ([b"HTTP/1.1 302 Found\r\nlocation: http://example.org\r\ncontent-length: 0\r\n\r\n"], Unreadable),
        ([b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 500_000], Unreadable),
    ],
)
def test_what_a_broken_server_says_is_a_typed_error(shell: Shell, said: list[bytes], error: type[ClientError]) -> None:
    with babbling(*said) as url, shell(url, patience_s=0) as node, pytest.raises(ClientError) as raised:
        node.status()
    assert type(raised.value) is error
    assert str(raised.value).isprintable()


@both
def test_an_endless_answer_is_cut_off(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "WHOLE_ANSWER_S", -1)
    with babbling(HEAD + b"\r\n", b" ", b" " * 100) as url, shell(url, patience_s=0) as node, pytest.raises(Silent):
        node.status()


@both
def test_nobody_there_and_nobody_who_answers(shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        with shell(url, timeout_s=0.05, patience_s=0) as node, pytest.raises(Silent) as silent:
            node.status()
    assert silent.value.was_sent
    with shell(url, patience_s=0) as node, pytest.raises(Unreachable) as away:
        node.status()
    assert not away.value.was_sent
    assert away.value.may_retry


@both
def test_a_node_that_comes_back_is_found_again(shell: Shell) -> None:
    answers = [problem(503, "it is starting"), Answer([])]

    def respond(asked: Asked) -> Answer:
        assert asked.headers["accept-encoding"] == "identity"
        assert asked.headers["authorization"] == f"Bearer {TOKEN}"
        return answers.pop(0)

    with fake_node(respond) as fake, shell(fake.url, token=TOKEN) as node:
        assert node.peers() == []
    assert len(fake.asked) == 2


@both
def test_a_certificate_has_to_be_trusted(shell: Shell, tmp_path: Path) -> None:
    cert, tls = certificate(tmp_path)
    with fake_node(lambda _: Answer([]), tls) as fake:
        for trust in (cert, str(cert), False, connection.trust(cert)):
            with shell(fake.url, verify=trust) as node:
                assert node.peers() == []
        with shell(fake.url) as node, pytest.raises(Untrusted) as untrusted:
            node.peers()
    assert untrusted.value.is_certificate
    assert not untrusted.value.may_retry


@both
@pytest.mark.parametrize(
    "options",
    [
        {"url": "ws://a"},
        {"url": "http://u:p@h"},
        {"url": "http://h?q"},
        {"token": "two\nlines"},
        {"url": "https://a", "verify": "/nowhere"},
    ],
)
def test_what_cannot_be_is_told_at_once(shell: Shell, options: dict[str, str]) -> None:
    with pytest.raises(Misuse):
        shell(**options)


@both
def test_a_proxy_that_is_none_is_told_at_once(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "nonsense://a")
    monkeypatch.setenv("HTTPS_PROXY", "http://[")
    with pytest.raises(Misuse, match="proxy"):
        shell("http://192.0.2.1")
    with fake_node(lambda _: Answer([])) as fake, shell(fake.url) as node:
        assert node.peers() == [], "nobody asks a proxy about loopback"


def test_importing_it_loads_neither_node_nor_terminal() -> None:
    heavy = {"sanic", "typer", "rich", "httpx", "structlog", "cryptography", "sqlite3", "asyncio", "tallystick.node"}
    code = f"import sys, tallystick.client; print(sorted({heavy} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], check=True, timeout=30, capture_output=True, text=True)
    assert ran.stdout == "[]\n"
