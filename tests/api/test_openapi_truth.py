"""The document says what real nodes do: they are asked whatever it says can be asked, and things that it says cannot.

Schemathesis makes the requests out of the document, and holds the answers against it: status, type, headers and body,
in which no member may be that is not described. Always the same requests are made. `GET /events` has no end, so it is
followed by hand; everything else is asked, the whole chain too, which is short here.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import httpx
import jsonschema_rs
import pytest
import requests
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy
from schemathesis import APIOperation, Case, CheckFunction, Config, GenerationMode, openapi
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tallystick.api.openapi.document import document as described
from tallystick.api.openapi.happenings import OF_EVENT
from tallystick.chain.contracts import Fork, Found
from tallystick.chain.writes import AddSide
from tallystick.model.block import header_of
from tallystick.model.limits import LIMITS
from tallystick.model.network import CLASSIC_GENESIS
from tallystick.model.sealed import SealedBlock
from tallystick.node.ports import PeerStatus, SyncProgress
from tallystick.testing import local
from tests.api.fake_ledger import block_on
from tests.api.sealed_node import sealed_node
from tests.api.serving import run, serving
from tests.api.test_events import following
from tests.effort import examples
from tests.storage.kit import switch
from tests.storage.sealed_blocks import branch

_TRUTH: Final[list[CheckFunction]] = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
CHECKS: Final = {"classic": _TRUTH, "work": [*_TRUTH, negative_data_rejection]}
"""A node of a classic network does not look at everything: `?wait=` and the id of a post it leaves alone."""

CONFIG: Final = {"checks": {"negative_data_rejection": {"expected-statuses": [400, 404, 413, 422]}}}
Operation = APIOperation[Any, Any, Any, Any]
KINDS: Final = ["classic", "work"]
ENDLESS: Final = ("GET", "/events")

_RECORDS: Final = {("POST", "/records"), ("DELETE", "/records/{id}")} | {
    (method, path) for method in ("GET", "HEAD") for path in ("/records", "/records/{id}", "/blocks/{ref}/consistency")
}
_PEERS: Final = {("POST", "/addPeer"), ("DELETE", "/peers/{address}")}
NEVER: Final = {"classic": _PEERS | _RECORDS, "work": _PEERS}
"""What is always refused here: there are no records in a classic network, and nobody is dialled."""


async def nowhere(host: str, _port: int) -> list[str]:
    """Nobody is dialled but this machine."""
    if host != "127.0.0.1":
        raise OSError("no resolver")
    return [host]


@contextmanager
def nodes(kind: str, monkeypatch: pytest.MonkeyPatch, count: int = 1) -> Iterator[local.LocalLedger]:
    """Some of that kind, in which the things are that the document's examples name."""
    monkeypatch.setattr(local, "resolved", nowhere)
    with local.quiet(), local.network(count, kind) as [node, *_]:
        if kind == "work":
            node.client.post("paid", "invoice-2026-0815")
            node.client.wait("invoice-2026-0815")
            node.client.wait(node.client.post({"a": [1]}).id)
        else:
            node.client.mine("hello")
        yield node


def closed(document: dict[str, Any]) -> dict[str, Any]:
    """The same, but objects in answers have no other members than those that are described."""
    document = copy.deepcopy(document)
    schemas = document["components"]["schemas"]
    for name in schemas.keys() - {"Post", "NewPeer", "NewBan", "FrontPage"}:
        if "properties" in schemas[name]:
            schemas[name]["additionalProperties"] = False
    return document


def can_be_wrong(operation: Operation) -> bool:
    """Is there anything to fill in, of which not every text is of the right form?"""
    paths = [each.definition for each in operation.path_parameters]
    return bool(operation.body or operation.query or "pattern" in json.dumps(paths))


def strategies(operation: Operation) -> Iterator[SearchStrategy[Case[Any]]]:
    """Requests as they are described, and others."""
    yield operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    if can_be_wrong(operation):
        yield operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)


@pytest.mark.parametrize("kind", KINDS)
def test_a_node_answers_what_the_document_says(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    always_the_same = settings(
        max_examples=examples(8),
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    seen: set[tuple[str, str, int]] = set()
    with nodes(kind, monkeypatch) as node, requests.Session() as session:

        def holds(case: Case[Any]) -> None:
            response = case.call(base_url=node.url, session=session, timeout=30)
            case.validate_response(response, checks=CHECKS[kind])
            seen.add((case.method, case.operation.path, response.status_code))

        document = session.get(f"{node.url}/openapi.json", timeout=30).json()
        for found in openapi.from_dict(closed(document), config=Config.from_dict(CONFIG)).get_all_operations():
            assert isinstance(found, Ok)
            operation = found.ok()
            if (operation.method.upper(), operation.path) != ENDLESS:
                for strategy in strategies(operation):
                    always_the_same(given(case=strategy)(holds))()
    answered = {(method, path) for method, path, status in seen if status < 400}
    assert {(method, path) for method, path, _ in seen} - answered == NEVER[kind]


def check(document: dict[str, Any], name: str, value: object) -> None:
    jsonschema_rs.validate({**document, "$ref": f"#/components/schemas/{name}"}, value)


@pytest.mark.parametrize("kind", KINDS)
def test_events_are_what_the_document_says(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with nodes(kind, monkeypatch, count=2) as node:
        document = closed(httpx.get(f"{node.url}/openapi.json").json())
        wanted = {"block", "peer"} if kind == "classic" else {"block", "peer", "record"}
        with httpx.stream("GET", f"{node.url}/events?from=0", timeout=30) as answer:
            name = ""
            for line in answer.iter_lines():
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    check(document, OF_EVENT[name], json.loads(line.removeprefix("data: ")))
                    wanted.discard(name)
                if not wanted:
                    break


def test_what_has_left_the_chain_is_what_the_document_says() -> None:
    document = closed(described("1.2.3"))

    async def sealed() -> None:
        async with (
            sealed_node(replace(LIMITS, events_every_ms=1)) as node,
            following(node.client, "?from=0") as follower,
        ):
            assert (await node.post(b'[{"data": 1}, {"data": null}]')).status_code == 202
            await node.seal()
            told = [*await follower.some(6)]
            genesis, left = node.reader.block(0), node.reader.block(1)
            assert isinstance(genesis, SealedBlock)
            assert isinstance(left, SealedBlock)
            others = branch(genesis, [], [], variant=7)
            node.store.begin()
            node.store.apply(AddSide(others))
            node.store.apply(switch(left, genesis, others[-1]))
            node.store.commit()
            assert (await node.post(b'{"data": 2}')).status_code == 202  # so that something happens
            told += await follower.some(5)
            assert {event.kind for event in told} == {"block", "record", "reorg"}
            for event in told:
                check(document, OF_EVENT[event.kind], event.data)
            [fork] = (await node.client.get("/forks")).json()
            check(document, "Fork", fork)
            check(document, "SealedOrphan", (await node.client.get(f"/blocks/{left.hash}")).json())
            [pending] = (await node.client.get(f"/records/{left.records[0].id}")).json()["records"]
            check(document, "StoredRecord", pending)

    async def classic() -> None:
        async with serving() as node:
            lost = block_on(CLASSIC_GENESIS, "lost")
            found = Found(lost, orphaned=True, mined_again_as=None)
            node.ledger.reader.left = [
                Fork(header_of(CLASSIC_GENESIS), header_of(lost), [found]),
                Fork(None, header_of(lost), []),
            ]
            node.ledger.reader.beside[lost.hash] = found
            for fork in (await node.client.get("/forks")).json():
                check(document, "Fork", fork)
            check(document, "ClassicOrphan", (await node.client.get(f"/blocks/{lost.hash}")).json())

    run(sealed())
    run(classic())


def test_a_busy_node_says_of_itself_what_the_document_says() -> None:
    async def story() -> None:
        async with serving() as node:
            ledger = node.ledger
            ledger.sync = SyncProgress(5, 10, 3.25, None, 1)
            ledger.peer_statuses = [
                PeerStatus("10.0.0.1:3001", "ws://10.0.0.1:3001", "connected", 5, None, (3, "ab" * 32), "it broke",
                           "tallystick.1", "cd" * 32, "tallystick/0.1.0", 7, 1, 9, 9, "book"),
                PeerStatus("10.0.0.2:3001", None, "waiting", None, 100, None, None),
            ]  # fmt: skip
            check(closed(described("1.2.3")), "Status", (await node.client.get("/status")).json())

    run(story())
