"""Networks of their own: what a file may say, and that it is never half obeyed."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.app.config import load
from tallystick.app.network_file import (
    BOUNDS,
    HARDEST_BITS,
    checked_network,
    difficulty_for,
    hashes_for,
    network_of,
    read_difficulty,
    write,
)
from tallystick.app.settings import spare_cores
from tallystick.consensus.difficulty import compact, expand
from tallystick.errors import ConfigError
from tallystick.model.network import EASIEST_BITS, Kind, Network, SealedRules, sealed_network

RULES: Final = SealedRules(spacing_ms=60_000, half_life_ms=3_600_000, bits=0x1F00FFFF)
GENESIS_MS: Final = 1_795_525_782_809
MEMBERS: Final = frozenset({"ab" * 32, "cd" * 32})
NETWORK: Final = sealed_network(Kind.WORK, "our-ledger", RULES, GENESIS_MS, MEMBERS)
KEYS: Final = tomllib.loads(write(NETWORK))


def toml(keys: Mapping[str, object]) -> str:
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())


def loaded(text: str) -> Network:
    return load({"network": "n"}, {}, lambda _path: text.encode()).network


def refusal(text: str, **flags: object) -> str:
    with pytest.raises(ConfigError) as caught:
        load({"network": "n", **flags}, {}, lambda _path: text.encode())
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 600
    return message


def in_bounds(key: str) -> st.SearchStrategy[int]:
    return st.integers(BOUNDS[key].least, BOUNDS[key].most)


@given(
    spacing=in_bounds("spacing_ms"),
    genesis=in_bounds("genesis_ms"),
    records=in_bounds("max_block_records"),
    target=st.integers(1 << 128, expand(EASIEST_BITS)),
    members=st.frozensets(st.from_regex(r"[0-9a-f]{64}", fullmatch=True), max_size=3),
)
def test_what_is_written_is_read_back(
    spacing: int, genesis: int, records: int, target: int, members: frozenset[str]
) -> None:
    rules = SealedRules(spacing, max(600_000, 10 * spacing), compact(target), max_block_records=records)
    network = checked_network("a.b-c_D", rules, genesis, members, str)
    assert loaded(write(network)) == network
    assert network_of(tomllib.loads(write(network)), "here") == network


def test_the_file_explains_itself() -> None:
    text = write(NETWORK)
    assert KEYS["kind"] == "work"
    assert KEYS["bits"] == "1f00ffff"
    assert KEYS["id"] == NETWORK.id
    assert KEYS["members"] == sorted(MEMBERS)
    assert "2026-11-24" in text
    assert "members" not in write(sealed_network(Kind.WORK, "x", RULES, GENESIS_MS))
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize("key", sorted(set(KEYS) - {"id", "kind"}))
def test_a_changed_key_does_not_give_the_id(key: str) -> None:
    value: Any = KEYS[key]
    changed = {
        "bits": "1f00fffe",
        "limit_bits": "207ffffe",
        "name": "our-ledgers",
        "members": ["ab" * 32],
    }.get(key, value - 1 if isinstance(value, int) else None)
    message = refusal(toml({**KEYS, key: changed}))
    assert f"Key id in network file n is '{NETWORK.id}'" in message
    assert "one of them was changed" in message


def test_without_an_id_the_file_is_refused_and_the_id_is_told() -> None:
    assert f'add: id = "{NETWORK.id}"' in refusal(toml({key: KEYS[key] for key in KEYS if key != "id"}))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "quorum"}, ["'quorum'", 'kind = "classic" and kind = "work"']),
        ({"spacing": 5}, ["Unknown key spacing", "Did you mean spacing_ms?"]),
        ({"spacing_ms": 99}, ["Key spacing_ms in network file n is 99 ms", "100 to 86,400,000 ms"]),
        ({"spacing_ms": 86_400_001}, ["is 86,400,001 ms"]),
        ({"spacing_ms": True}, ["is True; expected a whole number"]),
        ({"spacing_ms": "60"}, ["is '60'; expected a whole number"]),
        ({"spacing_ms": 10**40}, ["a number of more than 20 digits"]),
        ({"half_life_ms": 599_999}, ["is 599,999 ms; expected 600,000 to"]),
        ({"spacing_ms": 3_600_000}, ["half_life_ms", "at least 36,000,000 ms, 10 blocks"]),
        ({"bits": 0x1F00FFFF}, ["Key bits", "text of 8 hex digits"]),
        ({"bits": "1f00fff"}, ["'1f00fff'"]),
        ({"bits": "00000000"}, ["is 00000000", "(hardest)"]),
        ({"bits": "1f80ffff"}, ["is 1f80ffff"]),
        ({"bits": "ff00ffff"}, ["is ff00ffff"]),
        ({"bits": "20001000"}, ["is 20001000", "the shortest way"]),
        ({"bits": "11000001"}, ["is 11000001"]),
        ({"limit_bits": "2100ffff"}, ["limit_bits", "to 207fffff (easiest)"]),
        ({"limit_bits": "1f00fffe"}, ["Key bits", "to 1f00fffe (easiest)"]),
        ({"max_block_bytes": 4_095}, ["max_block_bytes"]),
        ({"max_block_bytes": 3 * 2**20}, ["max_block_bytes"]),
        ({"max_block_records": 0}, ["max_block_records"]),
        ({"max_data_bytes": 0}, ["max_data_bytes"]),
        ({"max_data_bytes": 2**20}, ["max_data_bytes", "holds records with at most 1,048,320"]),
        ({"genesis_ms": 1_795_525_782}, ["genesis_ms"]),
        ({"name": ""}, ["Key name"]),
        ({"name": "a\nb"}, ["Key name", r"a\nb"]),
        ({"members": []}, ["Key members", "a list of 0"]),
        ({"id": 5}, ["Key id in network file n is 5"]),
    ],
)
def test_what_no_network_can_be_is_refused_with_the_reason(changes: dict[str, object], words: list[str]) -> None:
    message = refusal(toml({**KEYS, **changes}))
    for word in words:
        assert word in message


@pytest.mark.parametrize("key", sorted(set(KEYS) - {"members", "id"}))
def test_what_is_missing_is_named(key: str) -> None:
    assert f"Key {key} in network file n is missing" in refusal(
        toml({each: KEYS[each] for each in KEYS if each != key})
    )


@pytest.mark.parametrize(
    "text", ["genesis_ms = 0x" + "f" * 5_000, "genesis_ms = " + "9" * 5_000, "members = {a = 0x" + "f" * 5_000 + "}"]
)
def test_numbers_too_long_to_be_written_out_are_refused(text: str) -> None:
    kept = {key: KEYS[key] for key in KEYS if key != text.partition(" ")[0]}
    assert "f" * 200 not in refusal(toml(kept) + text)


@given(
    changes=st.dictionaries(
        st.sampled_from(sorted(KEYS)),
        st.integers() | st.text(max_size=10) | st.lists(st.text(), max_size=2),
        max_size=3,
    )
)
def test_whatever_a_table_says_it_is_a_network_or_a_config_error(changes: dict[str, object]) -> None:
    try:
        network = network_of({**KEYS, **changes}, "here")
    except ConfigError as error:
        assert str(error).isprintable()
    else:
        assert network.id == NETWORK.id


# --- difficulty -------------------------------------------------------------------------------------


@given(hashes=st.integers(2, 1 << 127))
def test_a_difficulty_takes_about_so_many_hashes(hashes: int) -> None:
    found = hashes_for(difficulty_for(hashes))
    assert abs(found - hashes) <= max(1, hashes >> 14)


def test_difficulties_are_read_as_people_write_them() -> None:
    assert read_difficulty("1F00ffff") == 0x1F00FFFF
    assert hashes_for(read_difficulty("20")) == (1 << 20) + 1
    assert read_difficulty("1") == EASIEST_BITS
    assert read_difficulty("128") == HARDEST_BITS
    assert difficulty_for(0) == EASIEST_BITS
    assert difficulty_for(1 << 255) == HARDEST_BITS
    for text in ("", "0", "129", "x", "-1", "1f00fff", "1f00fffff", "\u0661"):
        with pytest.raises(ValueError, match="neither a compact target"):
            read_difficulty(text)


# --- mining -----------------------------------------------------------------------------------------


def test_a_node_looks_for_blocks_when_it_is_told_to() -> None:
    def read_file(_path: Path) -> bytes:
        return write(NETWORK).encode()

    assert load({"network": "n"}, {}, read_file).mine is False
    config = load({"network": "n", "mine": True}, {"TALLYSTICK_MINE_WORKERS": "3"}, read_file)
    assert (config.mine, config.mine_workers) == (True, 3)
    assert load({"network": "n"}, {"TALLYSTICK_MINE": "yes"}, read_file).mine_workers == spare_cores() >= 1


def test_where_nothing_has_to_be_found_nobody_looks() -> None:
    with pytest.raises(ConfigError, match="--mine looks for blocks") as caught:
        load({"mine": True}, {}, lambda _path: b"")
    assert "--network FILE" in str(caught.value)
    assert "--mine" in refusal('kind = "classic"', mine=True)


@pytest.mark.parametrize("text", ["0", "257", "all", "-1"])
def test_workers_are_counted(text: str) -> None:
    with pytest.raises(ConfigError, match="expected 1 to 256"):
        load({"mine_workers": text}, {}, lambda _path: b"")


def test_rules_are_bounded_all_of_them() -> None:
    bounded = {*BOUNDS, "bits", "limit_bits"}
    assert {*replace(RULES).__dataclass_fields__} <= bounded
