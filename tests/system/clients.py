"""Clients who post to one node and another, whatever becomes of it, and remember what they were promised."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Sequence
from http.client import HTTPException
from typing import Any, Final

from tests.system.processes import PATIENCE_S, NodeProcess
from tests.system.work_nodes import WorkNode

ANSWER_S: Final = 1.0
"""So long a client waits for an answer, then it never learns what became of its post."""

LAWFUL: Final = {200, 202, 503}
"""What a node may answer to a good request, whatever is going on. With the last it says why."""


class Client(threading.Thread):
    """Posts until it is stopped, and erases now and then."""

    def __init__(
        self,
        name: str,
        nodes: Sequence[NodeProcess],
        seed: int,
        sizes: Sequence[int] = (10, 10, 100, 2_000, 50_000),
    ) -> None:
        """What it posts has up to so many bytes, some of these or some others."""
        super().__init__(name=name)
        self.sizes = sizes
        self.nodes = nodes
        self.random = random.Random(f"{seed} {name}")  # noqa: S311 - chance of a test
        self.enough = threading.Event()
        self.attempted: list[str] = []
        self.acknowledged: list[tuple[str, NodeProcess]] = []
        self.erased: list[tuple[str, NodeProcess]] = []
        self.complaints: list[object] = []
        """Answers that no client should get."""

    def run(self) -> None:
        while not self.enough.wait(self.random.uniform(0, 0.08)):
            node = self.random.choice(self.nodes)
            if isinstance(node, WorkNode) and self.acknowledged and self.random.random() < 0.05:
                self.erase(*self.random.choice(self.acknowledged))
            else:
                self.posts(node)

    def stop(self) -> None:
        self.enough.set()
        self.join(PATIENCE_S)

    def new(self) -> tuple[str, str]:
        """Something to post: a name for it, and a text that begins with it."""
        post = f"{self.name}-{len(self.attempted)}"
        self.attempted.append(post)
        return post, f"{post} " + "x" * self.random.randrange(self.random.choice(self.sizes))

    def posts(self, node: NodeProcess) -> None:
        """Something new, in the way of its network."""
        if isinstance(node, WorkNode):
            self.record(node)
        else:
            self.mine(node)

    def mine(self, node: NodeProcess) -> None:
        """A post of a classic network. Whether it is safe to try again nobody can know."""
        post, text = self.new()
        status, _ = self.say(node, "POST", "/mineBlock", {"data": text})
        if status == 200:
            self.acknowledged.append((post, node))

    def record(self, node: WorkNode) -> None:
        """Records, some at once now and then. Their ids make it safe to try again where the answer was lost."""
        posts = [self.new() for _ in range(self.random.choice((1, 1, 1, 8)))]
        records = [{"id": post, "data": text} for post, text in posts]
        path, body = "/records", records if len(records) > 1 else records[0]
        if len(records) == 1 and self.random.random() < 0.2:
            path = f"/mineBlock?wait={self.random.choice((0, 0.5))}"
        for _ in range(self.random.choice((1, 3))):
            status, _ = self.say(node, "POST", path, body)
            if status in {200, 202}:
                self.acknowledged += [(post, node) for post, _ in posts]
            if status:
                return

    def erase(self, post: str, node: NodeProcess) -> None:
        """What is in a block, at the node that took it: one that waits may be known to nobody else yet."""
        status, told = self.say(node, "GET", f"/records/{post}")
        if status == 200 and [record["status"] for record in told["records"]] == ["included"]:
            status, _ = self.say(node, "DELETE", f"/records/{post}")
            if status == 200:
                self.erased.append((post, node))

    def say(self, node: NodeProcess, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Ask; status 0 when there was no answer."""
        try:
            status, answer = node.ask(method, path, body, ANSWER_S)
        except (OSError, HTTPException, json.JSONDecodeError):
            return 0, None
        if status not in LAWFUL or (status == 503 and "type" not in answer):
            self.complaints.append((node.folder.name, method, path, status, answer))
        return status, answer
