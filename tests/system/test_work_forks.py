"""Branches of a work network that grew apart and meet: what the lighter one held comes back, and is sealed again."""

from __future__ import annotations

import threading
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

from tests.system.processes import PATIENCE_S, connected, eventually, nodes
from tests.system.work_nodes import WorkNode, own_network, verified


class Waits(threading.Thread):
    """A caller of `POST /mineBlock` who waits for the block."""

    def __init__(self, node: WorkNode, data: object, wait: str = "60") -> None:
        super().__init__()
        self.node, self.data, self.wait = node, data, wait
        self.status = 0
        self.answer: dict[str, Any] = {}

    def run(self) -> None:
        with suppress(OSError, HTTPException):  # the node is gone
            self.status, self.answer = self.node.ask("POST", f"/mineBlock?wait={self.wait}", {"data": self.data})

    def ends(self) -> tuple[int, dict[str, Any]]:
        self.join(PATIENCE_S)
        assert not self.is_alive(), "it waits for ever"
        return self.status, self.answer


def restart(node: WorkNode, *, mines: bool) -> None:
    assert node.stop() == 0
    node.mines = mines
    node.start()


def test_records_of_the_lighter_branch_come_back_and_are_sealed_again(tmp_path: Path) -> None:
    """Catalogue rows 82 and 124: included, pending, included; once each, on both nodes, and the fork shows it."""
    network = own_network(tmp_path)
    a, b = (WorkNode(tmp_path / name, network, mines=True) for name in "ab")
    with nodes(a, b):
        ours = [a.post(f"ours {number}", f"ours-{number}")["id"] for number in range(3)]
        theirs = [b.post(f"theirs {number}", f"theirs-{number}")["id"] for number in range(3)]
        a.post("both took it", "shared")
        b.post("both took it", "shared")
        a.seals(*ours, "shared")
        restart(a, mines=False)
        b.seals(*theirs, "shared")
        left = a.record("ours-0")["block"]["hash"]
        last = a.tip()
        eventually(lambda: b.tip()[0] > last[0] + 2, "b is too slow")
        restart(b, mines=False)
        waiting = Waits(a, "whoever finds it")
        waiting.start()
        eventually(lambda: a.pool() == 1, "it is not in the pool")
        a.ask("POST", "/addPeer", {"peer": b.address})
        eventually(lambda: a.tip() == b.tip(), "a does not follow the heavier branch")
        # Nobody mines: what left the chain waits, at both.
        eventually(lambda: b.pool() == a.pool() == 5, "the records are not passed on")
        assert [a.states(id) for id in ours] == [["pending"]] * 3
        assert [a.record(id)["proof"] for id in ours] == [None] * 3
        assert [a.states(id) for id in theirs] == [["included"]] * 3
        [fork] = a.get("/forks")
        assert (fork["tip"]["index"], fork["tip"]["hash"]) == last
        assert a.get(f"/blocks/{left}")["orphaned"] is True
        assert b.get("/forks") == []
        impatient = Waits(a, "not now", wait="0.2")
        impatient.start()
        assert impatient.ends()[0] == 202
        restart(b, mines=True)
        status, block = waiting.ends()
        assert status == 200
        assert "whoever finds it" in [record["data"] for record in block["records"]]
        for node in (a, b):
            node.seals(*ours, *theirs)
            assert node.holds_once([*ours, *theirs])
        commits = [record["commit"] for record in a.log_of_records()]
        assert len(commits) == len(set(commits))
        assert sorted(a.states("shared")) == ["included", "included"]  # two records: each node made one of its own
        assert a.record("ours-1")["block"]["hash"] != left
        for node in (a, b):
            assert node.stop() == 0
    assert verified(a)


def test_two_groups_that_both_mine_and_meet_hold_everything_once(tmp_path: Path) -> None:
    """Catalogue rows 72 and 82, with nobody holding still; callers who wait all get a block that holds their record."""
    network = own_network(tmp_path, bits=16)
    a, b = (WorkNode(tmp_path / name, network, mines=True) for name in "ab")
    with nodes(a, b):
        ids = [
            node.post(f"{name} {number}", f"{name}-{number}")["id"]
            for node, name in ((a, "a"), (b, "b"))
            for number in range(8)
        ]
        a.seals("a-7")
        b.seals("b-7")
        callers = [Waits(node, f"caller {number} at {node.port}") for number in range(3) for node in (a, b)]
        for caller in callers:
            caller.start()
        b.ask("POST", "/addPeer", {"peer": a.address})
        connected(b)
        for caller in callers:
            status, block = caller.ends()
            assert status == 200
            assert caller.data in [record["data"] for record in block["records"]]
        for node in (a, b):
            eventually(lambda node=node: node.holds_once(ids) and node.pool() == 0, "something is lost")  # type: ignore[misc]
            data = [record["data"] for record in node.log_of_records()]
            assert len(data) == len(set(data)) == 16 + 6
        restart(a, mines=False)
        restart(b, mines=False)
        connected(b)
        eventually(lambda: a.tip() == b.tip(), "they do not agree")
        assert a.log_of_records() == b.log_of_records()


def test_a_caller_who_waits_is_told_when_the_node_stops(tmp_path: Path) -> None:
    node = WorkNode(tmp_path / "node", own_network(tmp_path))
    with nodes(node):
        waiting = Waits(node, "still waiting")
        waiting.start()
        eventually(lambda: node.pool() == 1, "it is not in the pool")
        assert node.stop() == 0
        status, answer = waiting.ends()
        assert status == 202
        [posted] = answer["records"]
        node.mines = True
        node.start()
        node.seals(posted["id"])
