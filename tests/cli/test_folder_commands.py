from __future__ import annotations

import json
import os
import sqlite3
import stat
from pathlib import Path
from typing import BinaryIO

import msgspec
import pytest

from tallystick.chain.writes import Append
from tallystick.cli.exits import ExitCode
from tallystick.consensus import engine_for
from tallystick.errors import StoreCorruptError
from tallystick.model.block import Block, header_of
from tallystick.model.network import CLASSIC, CLASSIC_GENESIS
from tallystick.storage.opening import open_store

from .running import run, shell

ENGINE = engine_for(CLASSIC)


def chain(length: int, data: str = "data") -> list[Block]:
    blocks = [CLASSIC_GENESIS]
    while len(blocks) < length:
        block = ENGINE.seal(header_of(blocks[-1]), data, 1_700_000_000_000)
        assert isinstance(block, Block)
        blocks.append(block)
    return blocks


def lines(blocks: list[Block]) -> bytes:
    return b"".join(msgspec.json.encode(block) + b"\n" for block in blocks)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A folder with a chain of ten blocks."""
    path = tmp_path / "data"
    store, reader = open_store(path, CLASSIC)
    store.begin()
    store.apply(Append(chain(10)[1:]))
    store.commit()
    reader.close()
    store.close()
    return path


def damage(data_dir: Path, index: int) -> None:
    connection = sqlite3.connect(data_dir / "ledger.sqlite")
    connection.execute("UPDATE blocks SET data = 'changed' WHERE idx = ?", (index,))
    connection.commit()
    connection.close()


# --- verify -----------------------------------------------------------------------------------------


def test_verify_says_what_is_sound(data_dir: Path) -> None:
    tip = chain(10)[-1].hash
    ran = run("verify", "--data-dir", str(data_dir))
    assert ran == (0, f"Sound: 10 blocks, the last one {tip}\n", "")
    as_json = run("verify", "--json", "--thorough", env={"TALLYSTICK_DATA_DIR": str(data_dir)})
    assert json.loads(as_json.out) == {
        "sound": True,
        "blocks": 10,
        "tip": {"index": 9, "hash": tip},
        "side_blocks": 0,
        "lost_duties": 0,
        "notes": [],
    }


@pytest.mark.parametrize("index", [1, 5, 9])
def test_verify_names_the_first_bad_block(data_dir: Path, index: int) -> None:
    damage(data_dir, index)
    damage(data_dir, 9)
    ran = shell("verify", "--data-dir", str(data_dir))
    assert ran.code == ExitCode.NO
    assert f"Block {index} has the hash" in ran.err
    assert ran.out == ""
    as_json = shell("verify", "--json", "--data-dir", str(data_dir))
    assert as_json.code == ExitCode.NO
    assert json.loads(as_json.out)["first_bad_block"] == index


@pytest.mark.parametrize("command", ["verify", "export"])
def test_damage_is_told_in_words_alone(data_dir: Path, command: str) -> None:
    """Catalogue row 122: no traceback, not even one that the interpreter prints while it tidies up."""
    connection = sqlite3.connect(data_dir / "ledger.sqlite")
    connection.execute("UPDATE blocks SET data = X'FF' WHERE idx = 7")
    connection.commit()
    connection.close()
    ran = shell(command, "--data-dir", str(data_dir))
    assert ran.code == (ExitCode.NO if command == "verify" else ExitCode.FOLDER)
    assert "Block 7" in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("command", ["verify", "export", "backup"])
def test_where_there_is_no_ledger_none_is_made(tmp_path: Path, command: str) -> None:
    arguments = [str(tmp_path / "copy")] if command == "backup" else []
    ran = run(command, *arguments, "--data-dir", str(tmp_path / "none"))
    assert ran.code == ExitCode.FOLDER
    assert "There is no ledger" in ran.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("data_dir")
def test_the_folder_is_found_as_start_finds_it(tmp_path: Path) -> None:
    file = tmp_path / "tallystick.toml"
    file.write_text('data_dir = "data"\nport = 5\n')
    assert run("verify", "--config", str(file)).code == 0
    assert run("verify", env={"TALLYSTICK_CONFIG": str(file)}).code == 0
    file.write_text('data-dir = "data"')
    ran = run("verify", "--config", str(file))
    assert ran.code == ExitCode.USAGE
    assert "Did you mean data_dir?" in ran.err


# --- export, import, backup -------------------------------------------------------------------------


def test_export_to_stdout_and_to_a_file(data_dir: Path, tmp_path: Path) -> None:
    expected = lines(chain(10))
    assert run("export", "--data-dir", str(data_dir)).out.encode() == expected
    file = tmp_path / "chain.jsonl"
    ran = run("export", str(file), "--data-dir", str(data_dir))
    assert ran.code == 0
    assert ran.out.startswith("10 blocks (")
    assert file.read_bytes() == expected
    again = run("export", str(file), "--data-dir", str(data_dir))
    assert again.code == ExitCode.FOLDER
    assert "exists" in again.err
    assert file.read_bytes() == expected
    as_json = run("export", str(tmp_path / "other"), "--json", "--data-dir", str(data_dir))
    assert json.loads(as_json.out)["blocks"] == 10


def test_an_export_that_fails_leaves_no_file(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails_half_way(_reader: object, file: BinaryIO, *_more: object) -> int:
        file.write(lines(chain(5)))
        raise StoreCorruptError("Block 7 is damaged on disk.", 7)

    monkeypatch.setattr("tallystick.app.transfer.write_lines", fails_half_way)
    out = tmp_path / "out"
    out.mkdir()
    ran = run("export", str(out / "chain.jsonl"), "--data-dir", str(data_dir))
    assert ran.code == ExitCode.FOLDER
    assert "Block 7" in ran.err
    assert list(out.iterdir()) == []
    assert "No such file" in run("export", str(tmp_path / "no" / "f"), "--data-dir", str(data_dir)).err


@pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX")
def test_an_exported_file_has_the_mode_of_any_new_file(data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    run("export", str(tmp_path / "chain.jsonl"), "--data-dir", str(data_dir))
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("usual", "chain.jsonl")}
    assert len(modes) == 1


def test_import_from_a_file_and_from_stdin(data_dir: Path, tmp_path: Path) -> None:
    file = tmp_path / "chain.jsonl"
    file.write_bytes(lines(chain(15)))
    ran = run("import", str(file), "--data-dir", str(data_dir))
    assert ran == (0, f"Added 5 blocks.\nThe last block is 14, {chain(15)[-1].hash}\n", "")
    as_json = run("import", "-", "--json", "--data-dir", str(data_dir), stdin=lines(chain(20, "other")))
    tip = chain(20, "other")[-1].hash
    assert json.loads(as_json.out) == {"blocks": 20, "added": 19, "removed": 14, "tip": {"index": 19, "hash": tip}}
    assert "Nothing new" in run("import", str(file), "--data-dir", str(data_dir)).out
    assert run("verify", "--data-dir", str(data_dir)).code == 0
    fresh = run("import", str(file), "--data-dir", str(tmp_path / "fresh" / "folder"))
    assert "Added 14 blocks" in fresh.out


def test_import_of_a_bad_file_takes_nothing(data_dir: Path, tmp_path: Path) -> None:
    file = tmp_path / "chain.jsonl"
    file.write_bytes(lines(chain(15)) + b"\x1b[2J\n")
    ran = run("import", str(file), "--data-dir", str(data_dir))
    assert ran.code == ExitCode.NO
    assert "line 16" in ran.err
    assert "Nothing was imported" in ran.err
    assert run("export", "--data-dir", str(data_dir)).out.encode() == lines(chain(10))
    missing = run("import", str(tmp_path / "none"), "--data-dir", str(data_dir))
    assert missing.code == ExitCode.FOLDER
    assert "No such file" in missing.err


def test_beside_a_node_reading_works_and_importing_is_refused(data_dir: Path, tmp_path: Path) -> None:
    """Catalogue row 105: the second process that wants to write is refused; those that only look are not."""
    (tmp_path / "chain.jsonl").write_bytes(lines(chain(15)))
    store, reader = open_store(data_dir, CLASSIC)
    try:
        ran = run("import", str(tmp_path / "chain.jsonl"), "--data-dir", str(data_dir))
        assert ran.code == ExitCode.FOLDER
        assert "in use" in ran.err
        assert run("verify", "--data-dir", str(data_dir)).code == 0
        assert run("export", "--data-dir", str(data_dir)).out.encode() == lines(chain(10))
        assert run("backup", str(tmp_path / "copy"), "--data-dir", str(data_dir)).code == 0
    finally:
        reader.close()
        store.close()


def test_a_backup_is_a_ledger(data_dir: Path, tmp_path: Path) -> None:
    restored = tmp_path / "restored"
    restored.mkdir()
    ran = run("backup", str(restored / "ledger.sqlite"), "--data-dir", str(data_dir))
    assert ran.code == 0
    assert ran.out.startswith("10 blocks (")
    assert run("verify", "--data-dir", str(restored)).code == 0
    again = run("backup", str(restored / "ledger.sqlite"), "--json", "--data-dir", str(data_dir))
    assert again.code == ExitCode.FOLDER
    assert "exists already" in again.err
