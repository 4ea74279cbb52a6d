from __future__ import annotations

from pathlib import Path

from tallystick.bench import bare, ledgers
from tallystick.model.network import CLASSIC
from tallystick.storage.verify import verify

BLOCKS = 60


def test_ledgers_that_are_measured_are_sound(tmp_path: Path) -> None:
    chain = ledgers.chain_of(BLOCKS)
    ledgers.fill(tmp_path / "full", CLASSIC, chain, 25)
    assert verify(tmp_path / "full", CLASSIC).tip == chain[-1].hash
    of = ledgers.work_network(1_000)
    sealed = list(ledgers.sealed_chain(of, 1_000))
    ledgers.fill(tmp_path / "log", of, sealed, 1)
    assert verify(tmp_path / "log", of).records == 1_000


def test_bare_inserts_are_the_rows_of_the_store(tmp_path: Path) -> None:
    """So the yardstick is held to the same work: what it wrote is a sound ledger, but for what only a store adds."""
    chain = ledgers.chain_of(BLOCKS)
    assert bare.insert(tmp_path / "bare", chain) > 0
    assert verify(tmp_path / "bare", CLASSIC).tip == chain[-1].hash


def test_bare_readers_read_all(tmp_path: Path) -> None:
    ledgers.fill(tmp_path, CLASSIC, ledgers.chain_of(BLOCKS), 25)
    assert bare.search_all(tmp_path, ledgers.DATA.upper())[1] == BLOCKS
    assert bare.search_all(tmp_path, "genesis")[1] == 1
    assert bare.encode_all(tmp_path) > 0
    assert bare.hash_all(tmp_path) > 0
