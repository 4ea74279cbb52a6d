"""What Prometheus sees of two nodes that find each other, as processes."""

from __future__ import annotations

from collections.abc import Mapping
from http.client import HTTPConnection
from pathlib import Path

from tests.api.metric_text import Labels, growing_of, samples_of
from tests.system.processes import PATIENCE_S, NodeProcess, closing, eventually, nodes

NATIVE_PEERS = tuple(
    ("tallystick_peers", (("dialect", "tallystick.1"), ("direction", direction)))
    for direction in ("inbound", "outbound")
)


def scrape(node: NodeProcess) -> str:
    """As Prometheus does it, on a connection of its own."""
    with closing(HTTPConnection("127.0.0.1", node.port, timeout=PATIENCE_S)) as connection:
        connection.request("GET", "/metrics", headers={"Accept": "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"})
        answer = connection.getresponse()
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        return answer.read().decode()


def value(samples: Mapping[tuple[str, Labels], float], name: str) -> float:
    """Of a metric without labels."""
    return samples[f"tallystick_{name}", ()]


def test_two_nodes_that_find_each_other_show_it(tmp_path: Path) -> None:
    """Both mine alone; then they meet, and the shorter chain gives way to the longer one."""
    a, b = NodeProcess(tmp_path / "a"), NodeProcess(tmp_path / "b")
    with nodes(a, b):
        for number in range(3):
            a.mine(f"a {number}")
        for number in range(5):
            b.mine(f"b {number}")
        alone = scrape(a)
        assert value(samples_of(alone), "tip_index") == 3
        assert value(samples_of(alone), "commit_inputs_sum") == 3
        assert value(samples_of(alone), "reorgs_total") == value(samples_of(alone), "peer_sent_bytes_total") == 0
        assert a.ask("POST", "/addPeer", {"peer": b.address}) == (200, {"status": True})
        eventually(lambda: a.get("/blocks/latest") == b.get("/blocks/latest"), "they never agreed")
        eventually(lambda: a.get("/status")["tip"]["index"] == 8, "the posts of a were not mined again")
        eventually(lambda: b.get("/status")["tip"]["index"] == 8, "and b never heard of it")
        met, other = samples_of(scrape(a)), samples_of(scrape(b))
        assert value(met, "tip_index") == value(other, "tip_index") == 8
        assert value(met, "reorg_blocks_total") >= 3 * value(met, "reorgs_total") >= 3
        assert value(other, "reorgs_total") == value(met, "lost_duties") == value(met, "sync_behind_blocks") == 0
        assert [met[key] for key in NATIVE_PEERS] == [0, 1]
        assert [other[key] for key in NATIVE_PEERS] == [1, 0]
        assert 0 < value(met, "peer_received_bytes_total") <= value(other, "peer_sent_bytes_total")
        assert value(met, "peer_sent_bytes_total") > 0
        assert value(met, "data_bytes") > 0
        assert met["process_resident_memory_bytes", ()] > 2**20
        now = growing_of(scrape(a))
        assert all(now[key] >= was for key, was in growing_of(alone).items())
        assert a.stop() == b.stop() == 0
