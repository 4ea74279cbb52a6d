"""`tallystick network`: new, show and adopt, and the commands that work on a folder of such a network."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Final

import pytest

from tallystick.app.config import load_network, read_bounded
from tallystick.app.network_file import hashes_for
from tallystick.chain.writes import OWN, AddSide, Append, Switch
from tallystick.cli.exits import ExitCode
from tallystick.consensus import engine_for
from tallystick.model.block import Block, header_of
from tallystick.model.network import CLASSIC, Network
from tallystick.storage.opening import open_store

from .running import Ran, run

ENGINE: Final = engine_for(CLASSIC)
KEY: Final = "ab" * 32


def made(*options: str) -> dict[str, object]:
    ran = run("network", "new", "--name", "our-ledger", *options)
    assert (ran.code, ran.err) == (0, "")
    return tomllib.loads(ran.out)


def new_file(folder: Path, *options: str) -> Path:
    file = folder / "network.toml"
    file.write_text(run("network", "new", "--name", "our-ledger", *options).out)
    return file


def network_in(file: Path) -> Network:
    return load_network(file, "a test", read_bounded)


# --- new --------------------------------------------------------------------------------------------


def test_a_new_network_needs_a_name_only(tmp_path: Path) -> None:
    table = made()
    assert (table["kind"], table["name"]) == ("work", "our-ledger")
    assert (table["spacing_ms"], table["half_life_ms"]) == (60_000, 3_600_000)
    assert network_in(new_file(tmp_path)).rules is not None


@pytest.mark.parametrize(("spacing", "hashes"), [("0.1", 100_000), ("1", 1_000_000), ("60", 60_000_000)])
def test_the_first_block_takes_one_core_about_the_spacing(spacing: str, hashes: int) -> None:
    bits = made("--spacing", spacing)["bits"]
    assert isinstance(bits, str)
    assert abs(hashes_for(int(bits, 16)) - hashes) < hashes / 1_000


def test_what_is_given_stands_in_the_file() -> None:
    table = made(
        "--kind", "work", "--spacing", "2.5", "--half-life", "7200", "--bits", "1F00FFFF", "--member", KEY.upper(),
        "--member", "cd" * 32, "--max-block-bytes", "2000000", "--max-data-bytes", "1000000",
    )  # fmt: skip
    assert (table["spacing_ms"], table["half_life_ms"], table["bits"]) == (2_500, 7_200_000, "1f00ffff")
    assert (table["max_block_bytes"], table["max_data_bytes"]) == (2_000_000, 1_000_000)
    assert table["members"] == [KEY, "cd" * 32]
    assert made("--spacing", "3600")["half_life_ms"] == 60 * 3_600_000


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--spacing", "0.05"], ["Option --spacing is 50 ms", "expected 100 to 86,400,000 ms"]),
        (["--spacing", "86401"], ["Option --spacing"]),
        (["--spacing", "nan"], ["--spacing is nan"]),
        (["--spacing", "inf"], ["--spacing is inf"]),
        (["--half-life", "599"], ["Option --half-life is 599,000 ms", "600,000"]),
        (["--spacing", "600", "--half-life", "3600"], ["--half-life", "at least 6,000,000 ms"]),
        (["--bits", "easy"], ["--bits is 'easy'", "8 hex digits"]),
        (["--bits", "21000001"], ["Option --bits is 21000001", "(easiest)"]),
        (["--kind", "bank"], ["--kind is 'bank'", "kind work"]),
        (["--member", "x"], ["Member 1 given with --member is 'x'", "64 hex digits"]),
        (["--max-data-bytes", "2000000"], ["Option --max-data-bytes", "1,048,320"]),
        (["--max-block-bytes", "0"], ["Option --max-block-bytes"]),
        (["--name", "a b"], ["Option --name is 'a b'"]),
    ],
)
def test_what_no_network_can_be_is_refused(options: list[str], words: list[str]) -> None:
    ran = run("network", "new", "--name", "x", *options)
    assert (ran.code, ran.out) == (ExitCode.USAGE, "")
    for word in words:
        assert word in ran.err


# --- show -------------------------------------------------------------------------------------------


def test_show_says_what_the_file_says(tmp_path: Path) -> None:
    file = new_file(tmp_path, "--member", KEY, "--bits", "20")
    network = network_in(file)
    ran = run("network", "show", str(file))
    assert ran.code == 0
    for words in (
        network.id,
        "our-ledger (work)",
        "60 s",
        "3,600 s",
        "1,048,577 hashes on average",
        "65,536 bytes",
        KEY,
    ):
        assert words in ran.out
    as_json = json.loads(run("network", "show", str(file), "--json").out)
    table = tomllib.loads(file.read_text())
    assert as_json == table


def test_show_of_a_classic_file_and_of_none(tmp_path: Path) -> None:
    file = tmp_path / "n"
    file.write_text('kind = "classic"\n')
    ran = run("network", "show", str(file))
    assert ran.code == 0
    assert CLASSIC.id in ran.out
    assert "everybody is let in" in ran.out
    file.write_text('kind = "work"\n')
    assert run("network", "show", str(file)).code == ExitCode.USAGE
    assert "Cannot read" in run("network", "show", str(tmp_path / "none")).err


# --- adopt ------------------------------------------------------------------------------------------


def chain(length: int, data: str = "data") -> list[Block]:
    blocks: list[Block] = []
    while len(blocks) < length:
        block = ENGINE.seal(header_of(blocks[-1] if blocks else CLASSIC.genesis), data, 1_700_000_000_000)
        assert isinstance(block, Block)
        blocks.append(block)
    return blocks


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The folder of a classic chain of ten blocks and the genesis block."""
    path = tmp_path / "old"
    store, reader = open_store(path, CLASSIC)
    store.begin()
    store.apply(Append(chain(10)))
    store.commit()
    reader.close()
    store.close()
    return path


def adopt(old: Path, file: Path, new: Path, *options: str) -> Ran:
    return run("network", "adopt", "--from", str(old), "--network", str(file), "--data-dir", str(new), *options)


def pooled(new: Path, file: Path) -> int:
    store, reader = open_store(new, network_in(file))
    count, _ = store.pool_size()
    reader.close()
    store.close()
    return count


def test_adopt_carries_a_chain_and_says_how_to_go_on(old: Path, tmp_path: Path) -> None:
    file, new = new_file(tmp_path), tmp_path / "the new"
    ran = adopt(old, file, new)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"10 blocks adopted into {new}.\n")
    assert ran.out.endswith(f"  tallystick start --network {file} --data-dir '{new}' --mine\n")
    again = adopt(old, file, new)
    assert "0 blocks adopted" in again.out
    assert "10 were there already" in again.out
    as_json = json.loads(adopt(old, file, new, "--json").out)
    assert as_json == {"blocks": 10, "added": 0, "network": network_in(file).id, "data_dir": str(new)}
    assert pooled(new, file) == 10
    assert run("verify", "--data-dir", str(old)).code == 0


def test_the_folders_may_be_named_one_after_the_other(old: Path, tmp_path: Path) -> None:
    file, new = new_file(tmp_path), tmp_path / "new"
    ran = run("network", "adopt", "--data-dir", str(old), "--network", str(file), "--data-dir", str(new))
    assert ran.code == 0
    assert pooled(new, file) == 10


@pytest.mark.parametrize("folders", [["--data-dir", "a"], ["--data-dir", "a", "--data-dir", "b", "--from", "c"]])
def test_adopt_needs_two_folders(folders: list[str], tmp_path: Path) -> None:
    ran = run("network", "adopt", "--network", str(new_file(tmp_path)), *folders)
    assert ran.code == ExitCode.USAGE
    assert "two folders are needed" in ran.err


def test_what_cannot_be_adopted_is_refused(old: Path, tmp_path: Path) -> None:
    file, new = new_file(tmp_path), tmp_path / "new"
    same = adopt(old, file, old)
    assert (same.code, "are the same" in same.err) == (ExitCode.USAGE, True)
    classic = tmp_path / "classic.toml"
    classic.write_text('kind = "classic"')
    assert "a classic one too" in adopt(old, classic, new).err
    none = adopt(tmp_path / "none", file, new)
    assert (none.code, "There is no ledger" in none.err) == (ExitCode.FOLDER, True)
    assert not new.exists()
    store, reader = open_store(old, CLASSIC)
    busy = adopt(old, file, new)
    assert (busy.code, "in use" in busy.err) == (ExitCode.FOLDER, True)
    reader.close()
    store.close()
    assert not new.exists()


def test_blocks_that_fit_no_record_are_named_first(old: Path, tmp_path: Path) -> None:
    file, new = new_file(tmp_path, "--max-data-bytes", "100"), tmp_path / "new"
    ran = adopt(old, file, new)
    assert ran.code == ExitCode.NO
    assert "block 1 of the old chain" in ran.err
    assert "--max-data-bytes" in ran.err
    assert not new.exists()


def test_posts_that_wait_to_be_mined_again_are_not_left_behind(tmp_path: Path) -> None:
    path = tmp_path / "old"
    ours, longer = chain(1, "ours"), chain(2, "theirs")
    store, reader = open_store(path, CLASSIC)
    store.begin()
    for write in (Append(ours, [OWN]), AddSide(longer), Switch(0, 1, longer[-1].hash, 2)):
        store.apply(write)
    store.commit()
    reader.close()
    store.close()
    ran = adopt(path, new_file(tmp_path), tmp_path / "new")
    assert ran.code == ExitCode.REFUSED
    assert "wait to be mined again" in ran.err


# --- the other commands of a folder -----------------------------------------------------------------


def test_commands_of_a_folder_take_the_network(old: Path, tmp_path: Path) -> None:
    file, new = new_file(tmp_path), tmp_path / "new"
    adopt(old, file, new)
    where = ["--network", str(file), "--data-dir", str(new)]
    assert "Sound: 1 block" in run("verify", *where).out
    assert "1 block" in run("backup", str(tmp_path / "copy.sqlite"), *where).out
    assert run("verify", "--data-dir", str(new), env={"TALLYSTICK_NETWORK": str(file)}).code == 0
    wrong = run("verify", "--data-dir", str(new))
    assert wrong.code == ExitCode.FOLDER
    assert "belongs to the network" in wrong.err
