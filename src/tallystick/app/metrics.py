"""What a running node has to say at `GET /metrics`, beside what its server knows by itself.

States are those of `GET /status`, asked for when somebody collects, so both always agree. Totals are counted where
things happen: batches by the runner, bytes by the hub. The core knows nothing of either.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from tallystick.api.latency import Histogram
from tallystick.chain.writes import Switch
from tallystick.model.block import Header
from tallystick.model.limits import SECOND_MS
from tallystick.model.sealed import SealedHeader
from tallystick.node.ports import Ledger, MiningStatus, PeerStatus, PoolStatus, Status
from tallystick.wire.dialect import Dialect

_COMMIT_BOUNDS_S: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0)
"""From a disk with a cache that survives loss of power to one that is about to fail."""

_BATCH_BOUNDS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024)


class Commits:
    """What the runner counts of its batches, once they are on disk."""

    def __init__(self) -> None:
        self.seconds = Histogram(_COMMIT_BOUNDS_S)
        self.inputs = Histogram(_BATCH_BOUNDS)
        self.reorgs = 0
        self.removed = 0
        """Blocks that reorgs took off the best chain."""

    def add(self, seconds: float, inputs: int, switches: Sequence[Switch]) -> None:
        """Count a commit: how long it took, the inputs it made durable, and the branches that were followed in it."""
        self.seconds.observe(seconds)
        self.inputs.observe(inputs)
        for switch in switches:
            removed = switch.old_tip - switch.fork
            self.removed += removed
            self.reorgs += removed > 0  # a branch may also be collected beside the chain that it extends


class NodeCollector(Collector):
    """A node, as Prometheus sees it."""

    def __init__(self, ledger: Ledger, commits: Commits, traffic: Callable[[], tuple[int, int]]) -> None:
        """`traffic` tells how many bytes came from peers so far, and went to them."""
        self._ledger = ledger
        self._commits = commits
        self._traffic = traffic

    def collect(self) -> Iterator[Metric]:
        """As Prometheus has it. Raises StoreError."""
        network, status = self._ledger.network, self._ledger.status()
        names = {"kind": str(network.kind), "name": network.name, "id": network.id}
        yield InfoMetricFamily("tallystick_network", "The network this node takes part in.", value=names)
        yield from _of_chain(status)
        yield from _of_commits(self._commits)
        yield from _of_sync(status)
        yield from _of_peers(status)
        received, sent = self._traffic()
        yield _total("peer_received_bytes", "Bytes received from peers, frames included.", received)
        yield _total("peer_sent_bytes", "Bytes sent to peers, frames included.", sent)
        if status.pool is not None:
            yield from _of_pool(status.pool)
        if status.mining is not None:
            yield from _of_mining(status.mining)


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(f"tallystick_{name}", meaning, value=value)


def _total(name: str, meaning: str, value: float) -> Metric:
    return CounterMetricFamily(f"tallystick_{name}", meaning, value=value)


def _histogram(name: str, meaning: str, histogram: Histogram) -> Metric:
    return HistogramMetricFamily(f"tallystick_{name}", meaning, buckets=histogram.buckets, sum_value=histogram.sum)


def _of_chain(status: Status) -> Iterator[Metric]:
    tip = status.tip
    yield _gauge("tip_index", "Index of the last block.", tip.index)
    yield _gauge("tip_timestamp_seconds", "Time of the last block, as its maker's clock had it.", _seconds_of(tip))
    if isinstance(tip, SealedHeader):
        yield _gauge("log_records", "Records in the log as of the last block.", tip.log_size)
    yield _gauge("lost_duties", "1 while posts of this node wait to be mined again, else 0.", status.lost_duties)


def _seconds_of(header: Header) -> float:
    """Classic blocks are dated in seconds, sealed ones in milliseconds."""
    return header.timestamp / SECOND_MS if isinstance(header, SealedHeader) else header.timestamp


def _of_commits(commits: Commits) -> Iterator[Metric]:
    yield _total("reorgs", "Times that a better branch was followed and blocks left the best chain.", commits.reorgs)
    yield _total("reorg_blocks", "Blocks that reorgs took off the best chain.", commits.removed)
    yield _histogram("commit_duration_seconds", "Time it took until a batch was safely on disk.", commits.seconds)
    yield _histogram("commit_inputs", "Posts, messages and other inputs that shared a commit.", commits.inputs)


def _of_sync(status: Status) -> Iterator[Metric]:
    """Zeros while nothing is fetched, so that a query finds a number at any time."""
    sync = status.sync
    index, target = (status.tip.index, status.tip.index) if sync is None else (sync.index, sync.target)
    rate, peers = (0.0, 0) if sync is None else (sync.blocks_per_second, sync.peers)
    yield _gauge("sync_target_index", "Last block of the chain that is fetched, else of our own.", target)
    yield _gauge("sync_behind_blocks", "Blocks of it that are not on disk yet.", max(0, target - index))
    yield _gauge("sync_blocks_per_second", "Blocks fetched, over the last seconds.", rate)
    yield _gauge("sync_peers", "Peers that blocks are asked of.", peers)


def _of_peers(status: Status) -> Iterator[Metric]:
    connected = Counter(_kind_of(peer) for peer in status.peers if peer.state == "connected")
    family = GaugeMetricFamily("tallystick_peers", "Open connections to peers.", labels=["dialect", "direction"])
    for dialect in Dialect:
        for direction in ("inbound", "outbound"):
            family.add_metric([dialect.value, direction], connected[dialect.value, direction])
    yield family
    yield _gauge(
        "peers_unconnected", "Addresses that are dialled and not connected.", len(status.peers) - connected.total()
    )
    yield _gauge("addresses", "Addresses of other nodes that are known.", status.addresses)


def _kind_of(peer: PeerStatus) -> tuple[str | None, str]:
    return peer.dialect, "inbound" if peer.dialled is None else "outbound"


def _of_pool(pool: PoolStatus) -> Iterator[Metric]:
    yield _gauge("pool_records", "Records that wait for their blocks.", pool.records)
    yield _gauge("pool_bytes", "What they count against the limit.", pool.bytes)
    yield _gauge("pool_limit_bytes", "Beyond this, posts are refused.", pool.most_bytes)


def _of_mining(mining: MiningStatus) -> Iterator[Metric]:
    yield _gauge("mining", "1 if this node looks for blocks, else 0.", mining.is_mining)
    yield _gauge("mining_hashes_per_second", "Hashes this node tries, lately.", mining.hashes_per_second or 0)
    yield _gauge("mining_difficulty", "Of the next block, as a multiple of the first one's.", mining.difficulty)
    yield _gauge("mining_expected_hashes", "Hashes it takes on average to find the next block.", mining.expected_hashes)
    if mining.expected_ms is not None:
        seconds = mining.expected_ms / SECOND_MS
        yield _gauge("mining_expected_seconds", "Time this node needs for that on average.", seconds)
