"""What was acknowledged is on the chain once, whatever becomes of the node: killed, its disk full, its miners gone."""

from __future__ import annotations

import json
import os
import resource
import threading
from http.client import HTTPConnection, HTTPException
from itertools import count
from pathlib import Path

import psutil

from tests.system.processes import PATIENCE_S, closing, eventually, nodes
from tests.system.work_nodes import WorkNode, gone, is_alive, own_network, verified

KILLS = int(os.environ.get("KILL_ROUNDS", "5"))
BUSY = 13
"""Exponent of the hashes a block takes: dozens of blocks a second, so that a kill finds one half done."""


class RecordLoad(threading.Thread):
    """Posts records, one or some at a time, until the node is gone; `acknowledged` holds their ids."""

    def __init__(self, port: int, name: str, together: int = 1, size: int = 20) -> None:
        super().__init__()
        self.port, self.prefix, self.together, self.size = port, name, together, size
        self.acknowledged: list[str] = []
        self.refusal = 0
        """The status that ended it, if one did."""

    def run(self) -> None:
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)) as connection:
            try:
                for number in count():
                    ids = [f"{self.prefix}-{number}-{place}" for place in range(self.together)]
                    body = json.dumps([{"id": id, "data": f"{id} " + "x" * self.size} for id in ids])
                    connection.request("POST", "/records", body, {"Content-Type": "application/json"})
                    answer = connection.getresponse()
                    told = json.loads(answer.read())
                    if answer.status != 202:
                        self.refusal = answer.status
                        return
                    assert [each["id"] for each in told["records"]] == ids
                    self.acknowledged += ids
            except (OSError, HTTPException):
                return  # the node is gone


def test_kill_9_under_load_loses_no_record_and_seals_none_twice(tmp_path: Path) -> None:
    """Catalogue rows 83, 99 and 100: killed again and again, in the middle of posts, blocks and commits."""
    node = WorkNode(tmp_path / "node", own_network(tmp_path, bits=BUSY), mines=True)
    acknowledged: list[str] = []
    left: list[psutil.Process] = []
    try:
        for kill in range(KILLS):
            node.start()
            loads = [RecordLoad(node.port, f"{kill}-{number}", together) for number, together in enumerate((1, 1, 40))]
            for load in loads:
                load.start()
            # Wait for progress, not for time: a different amount of it every round.
            eventually(lambda: len(loads[0].acknowledged) > 9 * (kill % 5), "nothing was acknowledged")  # noqa: B023 - called at once
            left += node.miners()
            node.kill()
            for load in loads:
                load.join(PATIENCE_S)
                acknowledged += load.acknowledged
        node.start()
        eventually(lambda: node.pool() == 0, "some are never sealed")
        held = [record["id"] for record in node.log_of_records()]
        assert len(held) == len(set(held))
        assert set(acknowledged) <= set(held)
        assert len(acknowledged) > 40 * KILLS
        assert len(left) >= KILLS // 2
        gone(left)
        assert node.stop() == 0
    finally:
        node.end()
    assert verified(node)


def test_a_killed_miner_is_replaced_and_a_killed_node_leaves_none_behind(tmp_path: Path) -> None:
    node = WorkNode(tmp_path / "node", own_network(tmp_path), mines=True)
    with nodes(node):
        for round in range(2):
            eventually(lambda: len(node.miners()) == 1, "nobody searches")
            [miner] = node.miners()
            miner.kill()
            gone([miner])
            status, _ = node.ask("POST", "/mineBlock?wait=30", {"data": f"found by its successor {round}"})
            assert status == 200
        assert "a mining process ended" in node.log.read_text()
        eventually(lambda: len(node.miners()) == 1, "nobody searches")
        orphans = node.miners()
        node.kill()
        gone(orphans)
        node.start()
        eventually(lambda: len(node.miners()) == 1, "nobody searches")
        orphans = node.miners()
        assert node.stop() == 0
        assert not any(map(is_alive, orphans))


def test_a_post_that_is_tried_again_is_recorded_once(tmp_path: Path) -> None:
    """Catalogue row 123: before and after a kill, pending and in a block, an id stands for one record."""
    node = WorkNode(tmp_path / "node", own_network(tmp_path))
    with nodes(node):
        posted = node.post({"amount": 7}, "payment-1")
        assert posted["status"] == "pending"
        node.kill()
        node.start()
        assert node.post({"amount": 7}, "payment-1") == posted
        assert node.ask("POST", "/records", {"data": {"amount": 8}, "id": "payment-1"})[0] == 409
        node.kill()
        node.mines = True
        node.start()
        node.seals("payment-1")
        again = node.post({"amount": 7}, "payment-1")
        assert (again["commit"], again["status"]) == (posted["commit"], "included")
        status, block = node.ask("POST", "/mineBlock?wait=30", {"data": {"amount": 7}, "id": "payment-1"})
        assert (status, block["index"]) == (200, node.record("payment-1")["block"]["index"])
        batch = [{"data": "new", "id": "payment-2"}, {"data": {"amount": 8}, "id": "payment-1"}]
        status, problem = node.ask("POST", "/records", batch)
        assert (status, problem["rule"]) == (409, "record-id-is-free")
        assert "record 2" in problem["detail"]
        assert node.states("payment-2") == []  # all of a batch, or nothing of it
        assert [record["id"] for record in node.log_of_records()] == ["payment-1"]


def test_a_full_disk_stops_the_node_with_every_record_acknowledged(tmp_path: Path) -> None:
    """Catalogue row 103: no file of the node may grow beyond a limit, while records are posted and sealed."""

    def small_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))

    node = WorkNode(tmp_path / "node", own_network(tmp_path, bits=BUSY), mines=True)
    loads: list[RecordLoad] = []
    try:
        node.start(before=small_disk)
        loads = [RecordLoad(node.port, f"load-{number}", 5, 1_000) for number in range(2)]
        for load in loads:
            load.start()
        assert node.wait() == 5
        for load in loads:
            load.join(PATIENCE_S)
        assert {load.refusal for load in loads} <= {0, 503}
        told = node.log.read_text()
        assert "Traceback" not in told
        assert "disk" in told
        acknowledged = [id for load in loads for id in load.acknowledged]
        assert len(acknowledged) > 100
        node.start()
        eventually(lambda: node.pool() == 0, "some are never sealed")
        assert node.holds_once(acknowledged)
        assert node.ask("POST", "/mineBlock?wait=30", {"data": "there is room again"})[0] == 200
        assert node.stop() == 0
    finally:
        node.end()
    assert verified(node)
