"""A node's ledger in twenty lines a route, for a client without a socket: what the documents say, and nothing else.

`Ledger.answer` is told what a client asks and says what a node says. `Driver` runs flows against it, or against
anything else that answers, on a clock that moves when they pause.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import unquote

import msgspec

from tallystick.client.errors import ClientError
from tallystick.client.flows import Core, Course, Flow, Items, Pause, Result, advanced
from tallystick.client.requests import Answer, Request
from tallystick.model import proof as proofs
from tallystick.model.log import Node, node_hash
from tallystick.model.record import Record, as_json, with_data
from tallystick.model.sealed import SealedBlock, header_bytes_of
from tallystick.model.shown import block_json
from tests.storage.sealed_blocks import GENESIS, NETWORK, child

T = TypeVar("T")
Respond = Callable[[Request], Answer | ClientError]


def ok(value: object, status: int = 200) -> Answer:
    return Answer(status, msgspec.json.encode(value))


def problem(status: int, name: str, retry_after: str | None = None, rule: str | None = None) -> Answer:
    document = {"type": f"urn:tallystick:problem:{name}", "status": status, "title": "A title", "detail": "the reason"}
    return Answer(status, msgspec.json.encode(document | ({"rule": rule} if rule else {})), retry_after=retry_after)


@dataclass
class Ledger:
    """A chain that is switched by assigning another one, and a pool."""

    chain: list[SealedBlock] = field(default_factory=lambda: [GENESIS])
    pool: list[Record] = field(default_factory=list)
    asked: list[Request] = field(default_factory=list)

    def seal(self, *records: Record) -> SealedBlock:
        """All of the pool, and these, into a block."""
        block = child(self.chain[-1], [*self.pool, *records])
        self.pool.clear()
        self.chain.append(block)
        return block

    @property
    def log(self) -> list[tuple[Record, SealedBlock]]:
        return [(record, block) for block in self.chain for record in block.records]

    def answer(self, request: Request) -> Answer:  # noqa: PLR0911 - one return a route
        self.asked.append(request)
        query = request.query
        match request.path.strip("/").split("/"):
            case ["records"] if request.method == "POST":
                return self._posted(json.loads(request.body or b""))
            case ["records"]:
                after, limit = int(query["after"]), int(query["limit"])
                stretch = self.log[after : after + limit]
                return ok([self._shown(each, after + number) for number, (each, _) in enumerate(stretch)])
            case ["records", id]:
                return self._found(unquote(id), query.get("block", "latest"))
            case ["search"]:
                return self._sought(query["text"], int(query.get("before", 10**15)), int(query["limit"]))
            case ["blocks"]:
                first, limit = int(query["from"]), int(query["limit"])
                return ok([block_json(block) for block in self.chain[first : first + limit]])
            case ["blocks", ref, *more]:
                return self._one(ref, query["from"] if more else None)
        return problem(404, "no-such-path")

    def _sought(self, text: str, before: int, limit: int) -> Answer:
        """A stretch of three records."""
        stretch = list(enumerate(self.log))[:before][::-1][:3]
        matches: list[dict[str, Any]] = []
        for position, (record, block) in stretch:
            before = position
            data = (record.data or b"").decode()
            if text.casefold() in data.casefold():
                where = {"index": block.index, "hash": block.hash, "timestamp": block.timestamp}
                matches.append({"block": where, "id": record.id, "position": position, "excerpt": data})
                if len(matches) == limit:
                    break
        return ok({"matches": matches, "before": before if stretch and before else None, "searched": len(stretch)})

    def _one(self, ref: str, old_ref: str | None) -> Answer:
        """A block, or the proof that its log begins with that of an old one."""
        block, old = self._named(ref), self._named(old_ref or ref)
        if block is None or old is None:
            return problem(404, "no-such-block")
        if old_ref is None:
            return ok(block_json(block))
        return ok(proofs.prove_consistency(header_bytes_of(old), header_bytes_of(block), NETWORK.id, self.hashes))

    def _posted(self, posts: list[dict[str, Any]]) -> Answer:
        receipts = []
        known = {record.id: record for record, _ in self.log} | {record.id: record for record in self.pool}
        for post in posts:
            made = with_data(post["id"], msgspec.json.encode(post["data"]), bytes(16))
            record = known.get(made.id)
            if record is None:
                self.pool.append(made)
                record = made
            if record.data != made.data:
                return problem(409, "record-id-is-free", rule="record-id-is-free")
            receipts.append({**json.loads(record.entry), "status": "pending", "href": f"/records/{record.id}"})
        return ok({"records": receipts}, 202)

    def _found(self, id: str, ref: str) -> Answer:
        block = self._named(ref)
        if block is None:
            return problem(404, "no-such-block")
        found = [self._shown(record, None) for record in self.pool if record.id == id]
        for position, (record, _) in enumerate(self.log):
            if record.id == id:
                proof = None
                if position < block.log_size:
                    proof = proofs.prove(record, position, header_bytes_of(block), NETWORK.id, self.hashes)
                found.append(self._shown(record, position) | {"proof": proof})
        return ok({"records": found}) if found else problem(404, "record-is-known", rule="record-is-known")

    def _shown(self, record: Record, position: int | None) -> dict[str, Any]:
        shown: dict[str, Any] = json.loads(bytes(as_json(record)))
        if position is None:
            return shown | {"status": "pending", "block": None, "position": None, "confirmations": None}
        block = self.log[position][1]
        where = {"index": block.index, "hash": block.hash, "timestamp": block.timestamp}
        confirmations = len(self.chain) - block.index
        return shown | {"status": "included", "block": where, "position": position, "confirmations": confirmations}

    def _named(self, ref: str) -> SealedBlock | None:
        if ref == "latest":
            return self.chain[-1]
        return next((block for block in self.chain if ref in {str(block.index), block.hash}), None)

    def hashes(self, nodes: Sequence[Node]) -> list[bytes]:
        leaves = [record.leaf for record, _ in self.log]
        return [subtree(leaves[node.index << node.level : (node.index + 1) << node.level]) for node in nodes]


def subtree(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    half = len(leaves) // 2
    return node_hash(subtree(leaves[:half]), subtree(leaves[half:]))


class Driver:
    """Runs flows of `core`, without a socket and without waiting."""

    def __init__(self, respond: Respond, patience_s: float = 30.0) -> None:
        self.now_s = 0.0
        self.pauses: list[float] = []
        self.respond = respond
        self.core = Core(patience_s, lambda: self.now_s, lambda: 1.0)
        self.paused: Callable[[], None] = lambda: None

    def run(self, flow: Flow[T]) -> T:
        step = advanced(flow)
        while not isinstance(step, Result):
            step = advanced(flow, self._outcome(step))
        result: T = step.value
        return result

    def walk(self, course: Course[T], most: int = 10**9) -> list[T]:
        """What it finds, but no more pages once there are `most`."""
        found: list[T] = []
        step = advanced(course)
        while not isinstance(step, Result):
            if isinstance(step, Items):
                found += step.found
                if len(found) >= most:
                    course.close()
                    return found
                step = advanced(course)
            else:
                step = advanced(course, self._outcome(step))
        return found

    def _outcome(self, step: Request | Pause) -> Answer | ClientError | None:
        if isinstance(step, Pause):
            self.pauses.append(step.seconds)
            self.now_s += step.seconds
            self.paused()
            return None
        return self.respond(step)
