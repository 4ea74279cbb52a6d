"""The greeting: commands that can be pasted as they stand."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tallystick.app.config import Config
from tallystick.app.greeting import greeting, program_name
from tallystick.model.block import header_of
from tallystick.model.network import CLASSIC_GENESIS


def commands(config: Config, host: str = "127.0.0.1", program: str = "tallystick") -> list[list[str]]:
    text = greeting(config, host, 3001, header_of(CLASSIC_GENESIS), program)
    return [shlex.split(line) for line in text.splitlines() if line.startswith(("  curl", f"  {program}"))]


def test_a_plain_node_shows_three_plain_commands(tmp_path: Path) -> None:
    read, write, status = commands(Config(data_dir=tmp_path))
    assert read == ["curl", "http://127.0.0.1:3001/blocks"]
    assert write[:2] == ["curl", "http://127.0.0.1:3001/mineBlock"]
    assert write[-1] == '{"data": "hello"}'
    assert status == ["tallystick", "status", "--url", "http://127.0.0.1:3001"]


def test_tokens_come_from_their_files(tmp_path: Path) -> None:
    write_token, read_token = tmp_path / "a file", tmp_path / "other"
    read, write, status = commands(Config(data_dir=tmp_path, token_file=write_token, read_token_file=read_token))
    assert read[2:] == ["-H", f"Authorization: Bearer $(cat {read_token})"]
    assert f"$(cat '{write_token}')" in write[3]
    assert status[-2:] == ["--token-file", str(read_token)]


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:3001"),  # noqa: S104 - nothing is bound
        ("::", "http://[::1]:3001"),
        ("10.0.0.7", "http://10.0.0.7:3001"),
    ],
)
def test_an_address_that_stands_for_all_is_named_by_one_that_can_be_asked(tmp_path: Path, host: str, url: str) -> None:
    assert commands(Config(data_dir=tmp_path), host)[2][-1] == url


def test_the_program_is_named_so_that_any_shell_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    there = str(tmp_path / "bin" / "tallystick")
    assert program_name(there, lambda _: there) == "tallystick"
    assert program_name("bin/tallystick", lambda _: there) == "tallystick"
    assert program_name("bin/tallystick", lambda _: None) == shlex.quote(there)
    assert program_name("bin/tallystick", lambda _: "/usr/bin/tallystick") == shlex.quote(there)
    assert program_name("/x/tallystick/__main__.py", lambda _: None).endswith(" -m tallystick")
