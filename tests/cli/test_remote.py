"""A node at https://: whose certificate is trusted, and what is said of others."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec
import pytest

from tallystick.cli.exits import ExitCode
from tallystick.model.network import CLASSIC

from .certificate import certificate
from .fake_node import Answer, Respond, fake_node
from .running import run

BLOCK: Final = msgspec.to_builtins(CLASSIC.genesis)


def always(answer: Answer) -> Respond:
    return lambda _asked: answer


def test_a_node_at_https_is_asked_once_its_certificate_is_trusted(tmp_path: Path) -> None:
    cert, tls = certificate(tmp_path)
    with fake_node(always(Answer(BLOCK)), tls) as node:
        for command in (["mine", "x"], ["block", "1"]):
            assert run(*command, "--url", node.url, "--ca", str(cert)).code == 0
        assert run("block", "1", "--url", node.url, env={"TALLYSTICK_TLS_CA": str(cert)}).code == 0
        assert run("block", "1", "--url", node.url, env={"SSL_CERT_FILE": str(cert)}).code == 0
        ran = run("block", "1", "--url", node.url)
    assert (ran.code, ran.out) == (ExitCode.UNREACHABLE, "")
    assert "is not trusted: self-signed certificate" in ran.err
    assert "--ca FILE" in ran.err


def test_a_certificate_of_another_host_is_not_trusted(tmp_path: Path) -> None:
    cert, tls = certificate(tmp_path, "127.0.0.2")
    with fake_node(always(Answer(BLOCK)), tls) as node:
        ran = run("block", "--url", node.url, "--ca", str(cert))
    assert ran.code == ExitCode.UNREACHABLE
    assert "IP address mismatch" in ran.err


def test_https_where_no_tls_is_spoken(tmp_path: Path) -> None:
    with fake_node(always(Answer(BLOCK))) as node:
        ran = run("block", "--url", node.url.replace("http:", "https:"))
    assert ran.code == ExitCode.UNREACHABLE
    assert "A node without --tls-cert is at http://" in ran.err
    _, tls = certificate(tmp_path)
    with fake_node(always(Answer(BLOCK)), tls) as node:
        ran = run("block", "--url", node.url.replace("https:", "http:"))
    assert ran.code == ExitCode.UNREACHABLE


@pytest.mark.parametrize(("content", "words"), [(None, "Cannot read"), (b"x", "holds no certificates in PEM")])
def test_an_authority_that_is_none_is_refused(tmp_path: Path, content: bytes | None, words: str) -> None:
    file = tmp_path / "ca"
    if content is not None:
        file.write_bytes(content)
    ran = run("block", "--url", "https://127.0.0.1:1", "--ca", str(file))
    assert ran.code == ExitCode.USAGE
    assert words in ran.err
    assert str(file) in ran.err
