"""The greeting: commands that can be pasted as they stand."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tallystick.app.config import Config
from tallystick.app.greeting import greeting, program_name
from tallystick.model.block import header_of
from tallystick.model.network import CLASSIC_GENESIS, Kind, SealedRules, sealed_network

KEY = "0123456789abcdef" * 4


def commands(config: Config, host: str = "127.0.0.1", program: str = "tallystick") -> list[list[str]]:
    text = greeting(config, host, 3001, header_of(CLASSIC_GENESIS), key=KEY, program=program)
    return [shlex.split(line) for line in text.splitlines() if line.startswith(("  curl", f"  {program}"))]


def test_a_plain_node_shows_three_plain_commands(tmp_path: Path) -> None:
    read, write, status = commands(Config(data_dir=tmp_path))
    assert read == ["curl", "http://127.0.0.1:3001/blocks"]
    assert write[:2] == ["curl", "http://127.0.0.1:3001/mineBlock"]
    assert write[-1] == '{"data": "hello"}'
    assert status == ["tallystick", "status", "--url", "http://127.0.0.1:3001"]


def test_the_node_key_is_told_and_where_to_find_all_of_it(tmp_path: Path) -> None:
    text = greeting(Config(data_dir=tmp_path), "127.0.0.1", 3001, header_of(CLASSIC_GENESIS), key=KEY, program="t")
    assert "0123456789abcdef…  (all of it: tallystick status)" in text
    assert KEY not in text


@pytest.mark.parametrize("authority", [None, "ca.crt"])
def test_with_tls_it_is_https_and_wss(tmp_path: Path, authority: str | None) -> None:
    cert, ca = tmp_path / "a cert", tmp_path / authority if authority else None
    config = Config(data_dir=tmp_path, tls_cert=cert, tls_key=tmp_path / "key", tls_ca=ca)
    text = greeting(config, "127.0.0.1", 3001, header_of(CLASSIC_GENESIS), key=KEY, program="tallystick")
    assert "https://127.0.0.1:3001  (peers: wss://127.0.0.1:3001)" in text
    read, write, status = commands(config)
    assert read == ["curl", "--cacert", str(ca or cert), "https://127.0.0.1:3001/blocks"]
    assert write[3] == "https://127.0.0.1:3001/mineBlock"
    assert status == ["tallystick", "status", "--url", "https://127.0.0.1:3001", "--ca", str(ca or cert)]
    assert "http://" not in text


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


SEALED = sealed_network(Kind.WORK, "our-ledger", SealedRules(60_000, 3_600_000, 0x1F00FFFF), 1_700_000_000_000)


def test_where_blocks_hold_records_one_is_posted(tmp_path: Path) -> None:
    token = tmp_path / "a file"
    config = Config(data_dir=tmp_path, network=SEALED, token_file=token)
    read, write, status = (
        shlex.split(line) for line in sealed_greeting(config).splitlines() if line.startswith(("  curl", "  tally"))
    )
    assert read[:2] == ["curl", "http://127.0.0.1:3001/blocks"]
    assert write == ["tallystick", "post", "hello", "--url", "http://127.0.0.1:3001", "--token-file", str(token)]
    assert status[1] == "status"


def sealed_greeting(config: Config) -> str:
    return greeting(config, "127.0.0.1", 3001, header_of(SEALED.genesis), key=KEY, program="tallystick")


def test_it_says_who_looks_for_blocks(tmp_path: Path) -> None:
    assert "a node of the our-ledger network" in sealed_greeting(Config(data_dir=tmp_path, network=SEALED))
    for config, words in (
        (Config(data_dir=tmp_path, network=SEALED), "not here; other nodes look for blocks, or this one with --mine"),
        (Config(data_dir=tmp_path, network=SEALED, mine=True, mine_workers=1), "1 process looks for blocks"),
        (Config(data_dir=tmp_path, network=SEALED, mine=True, mine_workers=3), "3 processes look for blocks"),
    ):
        assert f"\n  mining        {words}\n" in sealed_greeting(config)
    classic = greeting(Config(data_dir=tmp_path), "h", 1, header_of(CLASSIC_GENESIS), key=KEY, program="t")
    assert "mining " not in classic


def test_the_program_is_named_so_that_any_shell_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    there = str(tmp_path / "bin" / "tallystick")
    assert program_name(there, lambda _: there) == "tallystick"
    assert program_name("bin/tallystick", lambda _: there) == "tallystick"
    assert program_name("bin/tallystick", lambda _: None) == shlex.quote(there)
    assert program_name("bin/tallystick", lambda _: "/usr/bin/tallystick") == shlex.quote(there)
    assert program_name("/x/tallystick/__main__.py", lambda _: None).endswith(" -m tallystick")
