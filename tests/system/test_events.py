"""Following real nodes by `GET /events`: across connections, kill -9, and reorgs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

from tests.system.processes import PATIENCE_S, NodeProcess, Served, nodes
from tests.system.work_nodes import WorkNode, network_file

Told = tuple[str, str, dict[str, Any]]
"""Type, id and data of an event."""


@contextmanager
def following(node: Served, query: str = "", last: str = "") -> Iterator[HTTPResponse]:
    with closing(HTTPConnection("127.0.0.1", node.port, timeout=PATIENCE_S)) as connection:
        connection.request("GET", f"/events{query}", headers={"Last-Event-ID": last} if last else {})
        answer = connection.getresponse()
        assert answer.status == 200
        yield answer


def events(answer: HTTPResponse) -> Iterator[Told]:
    fields: dict[str, str] = {}
    while line := answer.readline():
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name == "" and "data" in fields:
            yield fields["event"], fields.get("id", ""), json.loads(fields["data"])
        fields = {**fields, name: value} if name else {}


def test_nothing_is_missed_over_kill_9(tmp_path: Path) -> None:
    """A record is told to be pending once and to be included once, whatever happens in between."""
    node = WorkNode(tmp_path / "a", network_file(tmp_path), mines=True)
    seen: list[tuple[str, str]] = []
    last = ""
    posted = [f"r{number}" for number in range(20)]
    with nodes(node):
        for start in range(0, len(posted), 10):
            some = posted[start : start + 10]
            assert node.ask("POST", "/records", [{"data": id, "id": id} for id in some])[0] == 202
            with following(node, last=last, query="?types=record" + ("" if last else "&from=0")) as answer:
                for _, id, data in events(answer):
                    seen.append((data["id"], data["status"]))
                    last = id
                    if (some[-1], "included") in seen[-3:]:
                        break  # somewhere in the middle
            node.kill()
            node.start()
        with following(node, last=last, query="?types=record") as answer:
            story = events(answer)
            while len(seen) < 2 * len(posted):
                _, _, data = next(story)
                seen.append((data["id"], data["status"]))
    assert sorted(seen) == sorted((id, status) for id in posted for status in ("pending", "included"))


def test_a_reorg_between_two_nodes_is_told_to_whoever_follows_the_one_that_gives_way(tmp_path: Path) -> None:
    a, b = NodeProcess(tmp_path / "a"), NodeProcess(tmp_path / "b")
    with nodes(a, b):
        a.mine("a 1")
        for number in range(3):
            b.mine(f"b {number}")
        with following(a) as answer:
            assert b.ask("POST", "/addPeer", {"peer": a.address})[0] == 200
            story = events(answer)
            told: list[Told] = []
            while [kind for kind, _, _ in told].count("block") < 4:  # those of b, and the post that is mined again
                told.append(next(story))
        kinds = [kind for kind, _, _ in told]
        reorg = next(data for kind, _, data in told if kind == "reorg")
        assert reorg["fork"]["index"] == 0
        assert [each["index"] for each in reorg["removed"]] == [1]
        assert kinds.index("peer") < kinds.index("reorg") < kinds.index("block")
        indexes = [data["index"] for kind, _, data in told if kind == "block"]
        assert indexes == [1, 2, 3, 4]
        assert told[-1][2]["hash"] == a.get("/blocks/4")["hash"]
