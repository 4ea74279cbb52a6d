"""Ledgers for tests: there at once, as real as any, and gone without a trace."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest
import structlog

from tallystick.client import NewRecord, NotYet
from tallystick.testing import local
from tallystick.testing.local import LocalLedger

Networks = Callable[..., list[LocalLedger]]


def threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.startswith("tallystick")]


def is_open(ledger: LocalLedger) -> bool:
    port = int(ledger.url.rpartition(":")[2])
    with socket.socket() as probe:
        return probe.connect_ex((local.HOST, port)) == 0


# --- one node ---------------------------------------------------------------------------------------


def test_a_record_is_sealed_at_once(ledger: LocalLedger) -> None:
    receipt = ledger.client.post({"sensor": 7})
    record = ledger.client.wait(receipt.id)
    assert record.value == {"sensor": 7}
    trusted = ledger.client.block("latest").hash
    assert ledger.client.verify(receipt.id, trusted_block_hash=trusted, data={"sensor": 7}).position == 0


def test_each_test_has_a_ledger_of_its_own(ledger: LocalLedger) -> None:
    assert ledger.client.status().tip.index == 0
    assert list(ledger.client.records()) == []


def test_more_blocks_are_made_on_demand(ledger: LocalLedger) -> None:
    receipt = ledger.client.post("x")
    ledger.client.wait(receipt.id)
    with pytest.raises(NotYet):
        ledger.client.wait(receipt.id, confirmations=6, timeout_s=0)
    ledger.seal(5)
    assert ledger.client.wait(receipt.id, confirmations=6, timeout_s=0).confirmations == 6


@pytest.mark.ledger(seals=False)
def test_records_can_be_kept_waiting(ledger: LocalLedger) -> None:
    receipts = [ledger.client.post(number) for number in range(3)]
    assert ledger.client.record(receipts[0].id).status == "pending"
    assert ledger.client.status().tip.index == 0
    ledger.seal()
    assert [each.value for each in ledger.client.records()] == [0, 1, 2]
    assert ledger.client.status().tip.index == 1
    ledger.client.post_many([NewRecord("x" * 60_000) for _ in range(30)])
    ledger.seal()
    (block,) = ledger.client.blocks(after=1)
    assert 5 < len(block.records or ()) < 30, "a block holds so much, and the others wait"


def test_a_thousand_blocks_are_as_easy_as_one(ledger: LocalLedger) -> None:
    ledger.seal(1_000)
    ledger.seal(0)
    mining = ledger.client.status().mining
    assert mining is not None
    assert mining.expected_hashes == pytest.approx(2, rel=0.01)


@pytest.mark.ledger(kind="classic")
def test_a_classic_ledger_by_marker(ledger: LocalLedger) -> None:
    assert ledger.client.mine("hello").index == 1
    assert ledger.client.status().network.kind == ledger.kind == "classic"
    with pytest.raises(ValueError, match="use client"):
        ledger.seal()


@pytest.mark.parametrize("ledger", ["work", "classic"], indirect=True)
def test_either_kind_by_parameter(ledger: LocalLedger) -> None:
    assert ledger.client.status().network.kind == ledger.kind


# --- networks ---------------------------------------------------------------------------------------


def test_three_nodes_are_connected_and_agree(ledger_network: Networks) -> None:
    nodes = ledger_network(3)
    assert [len(node.client.peers()) for node in nodes] == [2, 2, 2]
    receipt = nodes[2].client.post("posted at the third")
    blocks = {node.client.wait(node.client.wait(receipt.id).id).block for node in nodes[2:]}
    hash = next(iter(blocks)).hash  # type: ignore[union-attr]
    assert nodes[0].client.block(hash).index == 1
    nodes[1].seal()
    assert nodes[0].client.block().index == 2


def test_classic_networks_and_several_of_them(ledger_network: Networks) -> None:
    a, b = ledger_network(2, "classic")
    (alone,) = ledger_network(1)
    block = a.client.mine("x")
    found = next(each for each in b.client.blocks(after=0, follow=True))
    assert found == block
    assert alone.client.peers() == []


# --- nothing is left --------------------------------------------------------------------------------


def test_nothing_is_left_of_a_network_however_it_ends() -> None:
    with local.network(2) as nodes:
        nodes[0].client.status()
        assert threads() == ["tallystick-ledger"]
    assert threads() == []
    assert not any(map(is_open, nodes))
    with pytest.raises(RuntimeError, match="a test failed"), local.network(1) as nodes:
        raise RuntimeError("a test failed")
    assert threads() == []
    assert not is_open(nodes[0])


def test_nothing_is_left_of_a_network_that_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []
    node = local._node

    async def broken(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        if started:
            raise OSError("no ports left")
        started.append(await node(*arguments, **options))
        return started[0]

    monkeypatch.setattr(local, "_node", broken)
    with pytest.raises(OSError, match="no ports left"), local.network(2):
        raise AssertionError
    assert threads() == []
    with socket.socket() as probe:
        assert probe.connect_ex((local.HOST, started[0].server.port)) != 0


def test_the_log_of_nodes_is_quiet_and_left_as_it_was() -> None:
    structlog.reset_defaults()
    with local.quiet():
        assert structlog.is_configured()
    assert not structlog.is_configured()
    structlog.configure(cache_logger_on_first_use=False)
    before = structlog.get_config()
    with local.quiet():
        assert structlog.get_config() == before
    structlog.reset_defaults()
