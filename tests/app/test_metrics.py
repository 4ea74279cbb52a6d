"""What a node has to say to Prometheus: the same as `/status`, what the documents list, and totals that only grow."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tallystick.app.metrics import Commits, NodeCollector
from tallystick.chain.writes import Switch
from tallystick.errors import StoreError
from tallystick.model.network import CLASSIC
from tallystick.node.ports import PeerStatus, SyncProgress
from tests.api.metric_text import Labels, growing_of, samples_of, types_of
from tests.api.sealed_node import HASH_RATE, sealed_node
from tests.api.serving import Served, run, serving

DOCUMENT, OPERATING = (
    (Path(__file__).parents[2] / "docs" / name).read_text(encoding="utf-8") for name in ("api.md", "operating.md")
)
NATIVE = "tallystick.1"


def opened(node: Served, commits: Commits, traffic: tuple[int, int] = (0, 0)) -> None:
    node.server.open(node.ledger, None, NodeCollector(node.ledger, commits, lambda: traffic))


def plain(samples: Mapping[tuple[str, Labels], float]) -> dict[str, float]:
    """Those without labels, by what follows the prefix."""
    return {name.removeprefix("tallystick_"): value for (name, labels), value in samples.items() if not labels}


def assert_agrees(metrics: Mapping[str, float], status: Mapping[str, Any]) -> None:
    """Each number that both have is the same."""
    assert metrics["tip_index"] == status["tip"]["index"]
    assert metrics["lost_duties"] == status["lost_duties"]
    assert metrics["connections"] == status["connections"]
    assert metrics["addresses"] == status["addresses"]
    sync = status["sync"] or {"index": 0, "target": 0, "blocks_per_second": 0, "peers": 0}
    assert metrics["sync_behind_blocks"] == sync["target"] - sync["index"]
    assert round(metrics["sync_blocks_per_second"], 1) == sync["blocks_per_second"]
    assert metrics["sync_peers"] == sync["peers"]
    waiting = [peer for peer in status["peers"] if peer["state"] != "connected"]
    assert metrics["peers_unconnected"] == len(waiting)


def test_a_classic_node_says_what_its_status_says() -> None:
    async def main() -> None:
        async with serving(opened=False) as node:
            opened(node, Commits(), (1_000, 2_000))
            node.ledger.mine_many(7)
            node.ledger.addresses = 17
            node.ledger.sync = SyncProgress(10, 1_000, 333.333, 2_971, 2)
            node.ledger.peer_statuses = [
                PeerStatus("10.0.0.1:1", "ws://10.0.0.1:1", "connected", 5, None, None, None, dialect=NATIVE),
                PeerStatus("10.0.0.2:1", None, "connected", 5, None, None, None, dialect=NATIVE),
                PeerStatus("10.0.0.3:1", None, "connected", 5, None, None, None, dialect=NATIVE),
                PeerStatus("10.0.0.4:1", None, "connected", 5, None, None, None, dialect="classic"),
                PeerStatus("ws://10.0.0.5:1", "ws://10.0.0.5:1", "waiting", None, 9, None, "refused"),
                PeerStatus("ws://10.0.0.6:1", "ws://10.0.0.6:1", "dialling", None, None, None, None),
            ]
            samples = samples_of((await node.client.get("/metrics")).text)
            status = (await node.client.get("/status")).json()
            metrics = plain(samples)
            assert_agrees(metrics, status)
            assert metrics["tip_timestamp_seconds"] == status["tip"]["timestamp"]
            assert (metrics["sync_target_index"], metrics["peers_unconnected"]) == (1_000, 2)
            assert (metrics["peer_received_bytes_total"], metrics["peer_sent_bytes_total"]) == (1_000, 2_000)
            connected = {labels: value for (name, labels), value in samples.items() if name == "tallystick_peers"}
            assert connected == {
                (("dialect", NATIVE), ("direction", "inbound")): 2,
                (("dialect", NATIVE), ("direction", "outbound")): 1,
                (("dialect", "classic"), ("direction", "inbound")): 1,
                (("dialect", "classic"), ("direction", "outbound")): 0,
            }
            network = (("id", CLASSIC.id), ("kind", "classic"), ("name", "classic"))
            assert samples["tallystick_network_info", network] == 1
            assert not [name for name in metrics if name.startswith(("pool", "mining", "log"))]

    run(main())


def test_without_a_sync_a_node_is_behind_by_nothing() -> None:
    async def main() -> None:
        async with serving(opened=False) as node:
            opened(node, Commits())
            node.ledger.mine_many(7)
            node.ledger.network = replace(CLASSIC, name='it is "quoted"\n\\')
            samples = samples_of((await node.client.get("/metrics")).text)
            metrics = plain(samples)
            assert (metrics["sync_target_index"], metrics["sync_behind_blocks"]) == (7, 0)
            [labels] = [labels for name, labels in samples if name == "tallystick_network_info"]
            assert dict(labels)["name"] == 'it is "quoted"\n\\'

    run(main())


def test_a_node_of_a_work_network_says_what_its_status_says() -> None:
    async def main() -> None:
        async with sealed_node() as node:
            for number in range(3):
                await node.post(f'{{"data": {number}}}')
            await node.seal()
            await node.post('{"data": "waits"}')
            metrics = plain(samples_of((await node.client.get("/metrics")).text))
            status = (await node.client.get("/status")).json()
            assert_agrees(metrics, status)
            assert metrics["tip_timestamp_seconds"] == pytest.approx(status["tip"]["timestamp"] / 1_000)
            assert (metrics["log_records"], metrics["pool_records"]) == (3, 1)
            pool, mining = status["pool"], status["mining"]
            assert (metrics["pool_bytes"], metrics["pool_limit_bytes"]) == (pool["bytes"], pool["most_bytes"])
            assert (metrics["mining"], metrics["mining_hashes_per_second"]) == (1, HASH_RATE)
            assert metrics["mining_difficulty"] == pytest.approx(mining["difficulty"])
            assert metrics["mining_expected_hashes"] == mining["expected_hashes"]
            assert metrics["mining_expected_seconds"] == mining["expected_ms"] / 1_000

    run(main())


def test_a_store_that_cannot_be_read_is_an_answer_like_that_of_status() -> None:
    async def main() -> None:
        async with serving(opened=False) as node:
            opened(node, Commits())
            node.ledger.reader.fails_with = StoreError("cannot be read")
            for path in ("/status", "/metrics"):
                answer = await node.client.get(path)
                assert (answer.status_code, answer.json()["type"]) == (503, "urn:tallystick:problem:store-failed")
            node.ledger.reader.fails_with = None
            assert (await node.client.get("/metrics")).status_code == 200

    run(main())


def test_the_documents_list_what_there_is_and_nothing_else() -> None:
    async def main() -> None:
        documented = dict(re.findall(r"^\| `(tallystick_\w+)` \| (\w+) \|", DOCUMENT, flags=re.MULTILINE))
        processes = set(re.findall(r"`(process_\w+)`", DOCUMENT))
        async with sealed_node() as node, serving(opened=False, data_size=lambda: 1) as early:
            await node.client.get("/status")
            before = types_of((await early.client.get("/metrics")).text)
            found = types_of((await node.client.get("/metrics")).text)
            ours = {name: kind for name, kind in found.items() if name.startswith("tallystick_")}
            assert ours | {"tallystick_data_bytes": "gauge"} == documented
            assert set(found) - set(ours) == processes
            assert [name for name in before if name.startswith("tallystick_")] == list(documented)[:5]

    run(main())


def test_queries_and_alerts_of_the_documents_ask_for_what_there_is() -> None:
    asked = set(re.findall(r"\btallystick_\w+", OPERATING))
    assert len(asked) > 10
    assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in asked} <= set(
        re.findall(r"`(tallystick_\w+)`", DOCUMENT)
    )


def test_counters_only_grow() -> None:
    async def main() -> None:
        async with sealed_node() as node:
            before: Mapping[tuple[str, Labels], float] = {}
            for number in range(4):
                await node.post(f'{{"data": {number}}}')
                await node.seal()
                now = growing_of((await node.client.get("/metrics")).text)
                assert before.keys() <= now.keys()
                assert all(now[key] >= value for key, value in before.items())
                before = now
            assert before["tallystick_commit_duration_seconds_count", ()] >= 4

    run(main())


def test_a_reorg_is_what_takes_blocks_off() -> None:
    """A branch that extends ours may be collected beside the chain too: to follow it takes nothing off."""
    commits = Commits()
    commits.add(0.001, 1, [])
    commits.add(0.001, 5, [Switch(fork=7, old_tip=7, new_tip="ab" * 32, new_tip_index=9)])
    assert (commits.reorgs, commits.removed) == (0, 0)
    switches = [Switch(7, 9, "ab" * 32, 10), Switch(7, 10, "cd" * 32, 11)]
    commits.add(0.001, 2, switches)
    assert (commits.reorgs, commits.removed) == (2, 5)
    assert commits.inputs.sum == 8
    assert commits.seconds.sum == pytest.approx(0.003)
    assert dict(commits.inputs.buckets)["2.0"] == 2
