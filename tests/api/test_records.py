"""Records over HTTP: posted, looked at, proven, erased. Behind the API stands a whole node, without peers and disk."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import httpx
import msgspec
import pytest

from tallystick.api.access import Access
from tallystick.chain.writes import AddSide, Append
from tallystick.model import proof
from tallystick.model.limits import KIB, LIMITS, Limits
from tallystick.model.sealed import SealedBlock
from tallystick.model.shown import block_json
from tests.api.sealed_node import SealedNode, sealed_node
from tests.api.serving import JSON_HEAD, LOOPS, run, serving
from tests.storage.sealed_blocks import NETWORK, branch, child, record, records

ENTRY: Final = ["commit", "id", "status", "href"]
STANDING: Final = ["status", "block", "position", "confirmations"]


def problem_of(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["type"].removeprefix("urn:tallystick:problem:")


def batch(count: int, prefix: str = "r") -> bytes:
    return json.dumps([{"id": f"{prefix}-{n}", "data": {"n": n}} for n in range(count)]).encode()


async def one(node: SealedNode, id: str, query: str = "") -> dict[str, Any]:
    """The only record of an id."""
    answer = await node.client.get(f"/records/{id}{query}")
    assert answer.status_code == 200, answer.text
    (shown,) = answer.json()["records"]
    return dict(shown)


# --- posting ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("loop", LOOPS)
def test_a_record_is_taken_and_says_where_to_look(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main() -> None:
        async with sealed_node() as node:
            answer = await node.post(b'{"data": {"any": ["JSON", 1.5, null]}}')
            assert answer.status_code == 202
            assert answer.headers["content-type"] == "application/json"
            (entry,) = answer.json()["records"]
            assert list(entry) == ENTRY
            assert entry["status"] == "pending"
            assert answer.headers["location"] == entry["href"] == f"/records/{entry['id']}"
            (shown,) = (await node.client.get(entry["href"])).json()["records"]
            assert list(shown) == ["commit", "id", "salt", "data", *STANDING, "proof"]
            assert (shown["commit"], shown["data"]) == (entry["commit"], {"any": ["JSON", 1.5, None]})
            assert [shown[name] for name in (*STANDING, "proof")] == ["pending", None, None, None, None]

    run(main(), loop)


def test_many_come_in_their_order() -> None:
    async def main() -> None:
        async with sealed_node() as node:
            answer = await node.post(batch(LIMITS.records_per_post))
            assert (answer.status_code, "location" in answer.headers) == (202, False)
            assert [entry["id"] for entry in answer.json()["records"]] == [f"r-{n}" for n in range(1_000)]
            made = (await node.post(b'[{"data": 1}, {"data": 1}]')).json()["records"]
            assert made[0]["id"] < made[1]["id"]
            await node.seal()
            listed = (await node.client.get("/records")).json()
            assert [record["data"]["n"] for record in listed] == list(range(1_000))

    run(main())


def test_posting_again_is_answered_with_what_is_there() -> None:
    """Catalogue row 123: an answer that got lost is no reason to record anything twice."""

    async def main() -> None:
        async with sealed_node() as node:
            body = b'[{"id": "a", "data": {"x": 1, "y": 2}}, {"id": "b", "data": 2}]'
            first = await node.post(body)
            again = await node.post(b'[{"data": {"y": 2.0, "x": 1}, "id": "a"}, {"id": "b", "data": 2}]')
            assert again.status_code == 202
            assert again.json() == first.json()
            assert node.pending == 2
            await node.seal()
            later = await node.post(body)
            assert later.status_code == 202
            assert later.json()["records"] == [entry | {"status": "included"} for entry in first.json()["records"]]
            mixed = await node.post(b'[{"id": "b", "data": 2}, {"id": "c", "data": 3}, {"id": "c", "data": 3}]')
            assert [entry["status"] for entry in mixed.json()["records"]] == ["included", "pending", "pending"]
            assert node.pending == 1

    run(main())


def test_an_id_is_taken_once() -> None:
    async def main() -> None:
        async with sealed_node() as node:
            await node.post(b'{"id": "a", "data": 1}')
            for body, where in (
                (b'{"id": "a", "data": 2}', ""),
                (b'[{"id": "b", "data": 1}, {"id": "a", "data": 2}]', "record 2: "),
                (b'[{"id": "b", "data": 1}, {"id": "b", "data": 2}]', "record 2: "),
            ):
                answer = await node.post(body)
                assert problem_of(answer) == (409, "record-id-is-free")
                assert answer.json()["detail"].startswith(f"{where}the id")
                assert node.pending == 1
            await node.client.delete("/records/a")
            assert problem_of(await node.post(b'{"id": "a", "data": 1}')) == (409, "record-id-is-free")

    run(main())


@pytest.mark.parametrize(
    ("body", "status", "type"),
    [
        (b"", 400, "not-json"),
        (b'{"data": NaN}', 400, "not-json"),
        (b'{"data": {"a": 1, "a": 1}}', 400, "not-json"),
        (b"{}", 400, "data-missing"),
        (b'"text"', 422, "not-records"),
        (b"[]", 422, "not-records"),
        (b'{"data": 1, "ID": "a"}', 422, "not-records"),
        (b'{"data": 1, "id": "a/b"}', 422, "record-id-is-well-formed"),
        (b'{"data": 9007199254740993}', 422, "data-is-canonical"),
        (rb'{"data": "\ud800"}', 422, "data-is-canonical"),
        (b'{"data":' + b"[" * 70 + b"]" * 70 + b"}", 422, "data-is-canonical"),
        (b'{"data": "' + b"x" * 64 * KIB + b'"}', 413, "data-within-size"),
        (b'{"data": "' + b"x" * 2_000_000 + b'"}', 413, "data-within-size"),
        (b"[" + b",".join([b'{"data":1}'] * 1_001) + b"]", 413, "too-many-records"),
    ],
)
def test_all_or_nothing(body: bytes, status: int, type: str) -> None:
    """Catalogue rows 10-15: what is wrong with one record is wrong with all that came with it."""

    async def main() -> None:
        async with sealed_node() as node:
            assert problem_of(await node.post(body)) == (status, type)
            if status == 422 and body.startswith(b"{"):
                answer = await node.post(b'[{"data": 0}, %b, {"data": 0}]' % body)
                assert answer.status_code == 422
            assert node.pending == 0
            assert (await node.post(b'{"data": "%b"}' % (b"x" * (64 * KIB - 2)))).status_code == 202

    run(main())


def test_what_is_not_called_json_is_not_looked_at() -> None:
    async def main() -> None:
        async with sealed_node() as node:
            for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
                answer = await node.client.post("/records", content=b'{"data": 1}', headers={"content-type": kind})
                assert problem_of(answer) == (415, "not-json-type")
            assert node.pending == 0

    run(main())


def test_a_full_pool_says_when_to_come_back() -> None:
    async def main() -> None:
        async with sealed_node(replace(LIMITS, pool_bytes=4_000)) as node:
            assert (await node.post(batch(8))).status_code == 202
            answer = await node.post(batch(8, "other"))
            assert problem_of(answer) == (503, "pool-has-room")
            assert int(answer.headers["retry-after"]) > 0
            assert (await node.post(batch(8))).status_code == 202  # they are there already
            await node.seal()
            assert (await node.post(batch(8, "other"))).status_code == 202

    run(main())


def test_a_network_of_texts_has_no_records_and_says_what_to_do() -> None:
    async def main() -> None:
        async with serving() as node:
            answers = [
                await node.client.post("/records", content=b'{"data": "x"}', headers=JSON_HEAD),
                await node.client.get("/records"),
                await node.client.get("/records/x"),
                await node.client.delete("/records/x"),
                await node.client.get("/blocks/0/consistency?from=0"),
            ]
            assert [problem_of(answer) for answer in answers] == [(404, "network-takes-records")] * 5
            assert "POST /mineBlock" in answers[0].json()["detail"]

    run(main())


def test_whoever_may_not_write_posts_and_erases_nothing() -> None:
    async def main() -> None:
        async with serving(Limits(wrong_token_ms=1), Access("127.0.0.1", 0, write_token="t" * 32)) as node:
            answer = await node.client.post("/records", content=b'{"data": "x"}', headers=JSON_HEAD)
            assert problem_of(answer) == (401, "token-needed")
            assert problem_of(await node.client.delete("/records/x")) == (401, "token-needed")

    run(main())


# --- looking ----------------------------------------------------------------------------------------


def test_a_record_tells_where_it_stands_and_how_deep() -> None:
    """Catalogue row 124."""

    async def main() -> None:
        async with sealed_node() as node:
            await node.post(b'{"id": "x:1", "data": "text"}')
            assert (await one(node, "x:1"))["status"] == "pending"
            await node.seal()
            shown = await one(node, "x%3A1")
            block = node.reader.find(shown["block"]["hash"])
            assert block is not None
            assert [each.id for each in records_held(block.block)] == ["x:1"]
            assert shown["block"] == {
                "index": block.block.index, "hash": block.block.hash, "timestamp": block.block.timestamp
            }  # fmt: skip
            assert (shown["status"], shown["position"]) == ("included", 0)
            before = shown["confirmations"]
            await node.seal()
            assert (await one(node, "x:1"))["confirmations"] > before >= 1

    run(main())


def records_held(block: object) -> list[Any]:
    assert isinstance(block, SealedBlock)
    return list(block.records)


@pytest.mark.parametrize("id", ["nobody", "a%2Fb", "%00", "%ff", "%F0%9F%98%80", "x" * 500, "..%2f..%2fetc", "%2e%2e"])
def test_an_unknown_id_is_404(id: str) -> None:
    async def main() -> None:
        async with sealed_node() as node:
            await node.post(b'{"id": "somebody", "data": 1}')
            for answer in (await node.client.get(f"/records/{id}"), await node.client.delete(f"/records/{id}")):
                assert problem_of(answer) == (404, "record-is-known")
                assert len(answer.json()["detail"]) < 300

    run(main())


def test_all_records_of_an_id_are_shown() -> None:
    """Two nodes may give one id to two records; then both are in the log."""

    async def main() -> None:
        async with sealed_node() as node:
            both = [record("same", "mine"), record("same", "theirs")]
            put(node, *branch(genesis(), both))
            shown = (await node.client.get("/records/same")).json()["records"]
            assert [each["data"] for each in shown] == ["mine", "theirs"]
            assert [each["position"] for each in shown] == [0, 1]
            assert [each["proof"]["position"] for each in shown] == [0, 1]

    run(main())


def genesis() -> SealedBlock:
    assert isinstance(NETWORK.genesis, SealedBlock)
    return NETWORK.genesis


def put(node: SealedNode, *blocks: SealedBlock) -> None:
    """Blocks onto the chain, past the node, which only the store and its readers know of then."""
    node.store.begin()
    node.store.apply(Append(list(blocks)))
    node.store.commit()


def test_the_log_comes_in_pages_that_link_to_the_next() -> None:
    async def main() -> None:
        async with sealed_node(replace(LIMITS, records_per_page=4)) as node:
            put(node, *branch(genesis(), records("a", 5), [], records("b", 5)))
            url, seen = "/records?limit=3", list[str]()
            while True:
                answer = await node.client.get(url)
                page = answer.json()
                assert all(list(each) == ["commit", "id", "salt", "data", *STANDING] for each in page)
                seen += [each["id"] for each in page]
                if "next" not in answer.links:
                    break
                url = answer.links["next"]["url"]
            assert seen == [f"a-{n}" for n in range(5)] + [f"b-{n}" for n in range(5)]
            assert len((await node.client.get("/records")).json()) == 4
            assert [each["position"] for each in (await node.client.get("/records?after=8")).json()] == [8, 9]
            beyond = await node.client.get("/records?after=10")
            assert (beyond.status_code, beyond.json(), beyond.links) == (200, [], {})
            assert (await node.client.head("/records")).status_code == 200

    run(main())


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=x",
        "after=-1",
        "after=1e3",
        "after=9007199254740992",
        "afer=3",
        "after=1&after=2",
    ],
)
def test_bad_parameters_are_refused(query: str) -> None:
    """Catalogue row 119."""

    async def main() -> None:
        async with sealed_node() as node:
            assert problem_of(await node.client.get(f"/records?{query}")) == (400, "bad-parameter")

    run(main())


# --- proofs -----------------------------------------------------------------------------------------


def proven(shown: dict[str, Any], block: str) -> Any:  # noqa: ANN401 - a record's data
    """What a proof shows, to somebody who trusts the hash of a block."""
    document = msgspec.json.decode(json.dumps(shown["proof"]), type=proof.Proof)
    found = proof.check(document, block)
    assert (found.id, document.network) == (shown["id"], NETWORK.id)
    return None if found.data is None else json.loads(found.data)


def test_a_proof_leads_from_any_record_to_any_block_that_is_not_older() -> None:
    async def main() -> None:
        async with sealed_node() as node:
            chain = branch(genesis(), *(records(f"b{n}", n) for n in range(1, 6)))
            put(node, *chain)
            for block in chain:
                for held in block.records:
                    for later in chain:
                        for ref in (later.hash, str(later.index)):
                            shown = await one(node, held.id, f"?block={ref}")
                            if later.index < block.index:
                                assert shown["proof"] is None
                            else:
                                assert proven(shown, later.hash) == f"the text of {held.id}"
                    latest = await one(node, held.id)
                    assert proven(latest, chain[-1].hash) == f"the text of {held.id}"
                    assert latest == await one(node, held.id, "?block=latest")

    run(main())


@pytest.mark.parametrize("query", ["block=", "block=-1", "block=99", "block=Latest", "block=" + "0" * 64])
def test_a_proof_into_no_block_is_404(query: str) -> None:
    async def main() -> None:
        async with sealed_node() as node:
            await node.post(b'{"id": "a", "data": 1}')
            assert problem_of(await node.client.get(f"/records/a?{query}")) == (404, "no-such-block")
            assert problem_of(await node.client.get("/records/a?blok=0")) == (400, "bad-parameter")

    run(main())


def test_no_proof_leads_beside_the_chain() -> None:
    async def main() -> None:
        async with sealed_node() as node:
            lost = child(genesis(), [record("lost")])
            put_aside(node, lost)
            shown = await one(node, "lost")
            assert [shown[name] for name in (*STANDING, "proof")] == ["aside", None, None, None, None]
            answer = await node.client.get(f"/records/lost?block={lost.hash}")
            assert problem_of(answer) == (404, "no-such-block")
            assert "beside the best chain" in answer.json()["detail"]
            answer = await node.client.get(f"/blocks/{lost.hash}/consistency?from=0")
            assert problem_of(answer) == (404, "no-such-block")

    run(main())


def put_aside(node: SealedNode, *blocks: SealedBlock) -> None:
    node.store.begin()
    node.store.apply(AddSide(list(blocks)))
    node.store.commit()


def test_any_two_blocks_are_proven_to_be_of_one_log() -> None:
    async def main() -> None:
        async with sealed_node() as node:
            chain = [genesis(), *branch(genesis(), records("a", 3), [], records("b", 5), records("c", 1))]
            put(node, *chain[1:])
            for new in chain:
                for old in chain:
                    answer = await node.client.get(f"/blocks/{new.index}/consistency?from={old.hash}")
                    if old.index > new.index:
                        assert problem_of(answer) == (400, "bad-parameter")
                    else:
                        document = msgspec.json.decode(answer.content, type=proof.ConsistencyProof)
                        assert proof.check_consistency(document) == (old.hash, new.hash)
            for path, expected in (
                ("/blocks/latest/consistency", (400, "bad-parameter")),
                ("/blocks/latest/consistency?from=99", (404, "no-such-block")),
                ("/blocks/99/consistency?from=0", (404, "no-such-block")),
            ):
                assert problem_of(await node.client.get(path)) == expected

    run(main())


# --- erasing ----------------------------------------------------------------------------------------


def test_what_is_erased_says_so_everywhere_and_is_proven_as_before() -> None:
    async def main() -> None:
        async with sealed_node() as node:
            await node.post(b'[{"id": "secret", "data": "a name"}, {"id": "other", "data": 1}]')
            await node.seal()
            before = await one(node, "secret")
            answer = await node.client.delete("/records/secret")
            assert (answer.status_code, answer.json()) == (200, {"status": True})
            shown = await one(node, "secret")
            assert list(shown) == ["commit", "id", "erased", *STANDING, "proof"]
            assert (shown["erased"], shown["commit"], shown["block"]) == (True, before["commit"], before["block"])
            assert proven(shown, node.reader.tip().hash) is None
            assert proven(before, before["proof"]["block"]) == "a name"  # whoever kept it can still show what it was
            index = shown["block"]["index"]
            for path in ("/records", "/blocks", f"/blocks/{index}", "/records/secret"):
                text = (await node.client.get(path)).text
                assert "a name" not in text
                assert '"erased":true' in text
            assert (await node.client.delete("/records/secret")).status_code == 200
            assert (await one(node, "other"))["data"] == 1

    run(main())


# --- blocks that hold records -----------------------------------------------------------------------


def test_blocks_are_shown_with_their_records() -> None:
    async def main() -> None:
        async with sealed_node(replace(LIMITS, page_blocks=2)) as node:
            chain = [genesis(), *branch(genesis(), *(records(f"b{n}", n) for n in range(5)))]
            put(node, *chain[1:])
            expected = [json.loads(bytes(block_json(block))) for block in chain]
            for ref in ("latest", "5", chain[-1].hash):
                answer = await node.client.get(f"/blocks/{ref}")
                assert answer.json() == expected[-1]
                assert list(answer.json()) == list(expected[-1])
            whole = await node.client.get("/blocks")
            assert whole.headers["transfer-encoding"] == "chunked"
            assert whole.json() == expected
            page = await node.client.get("/blocks?from=3&limit=2")
            assert page.json() == expected[3:5]
            assert page.links["next"]["url"] == "/blocks?from=5&limit=2"

    run(main())


def test_orphaned_blocks_say_so() -> None:
    async def main() -> None:
        async with sealed_node() as node:
            lost = child(genesis(), [record("lost")])
            put_aside(node, lost)
            expected = json.loads(bytes(block_json(lost))) | {"orphaned": True, "mined_again_as": None}
            assert (await node.client.get(f"/blocks/{lost.hash}")).json() == expected
            (fork,) = (await node.client.get("/forks")).json()
            assert fork["blocks"] == [expected]
            assert list(fork["tip"]) == list(fork["fork"]) == ["index", "hash", "previous_hash", "timestamp"]

    run(main())


# --- status -----------------------------------------------------------------------------------------


def test_status_tells_of_pool_and_mining() -> None:
    async def main() -> None:
        async with sealed_node() as node:
            await node.post(batch(3))
            status = (await node.client.get("/status")).json()
            assert list(status["tip"]) == ["index", "hash", "previous_hash", "timestamp"]
            pool = status["pool"]
            assert (pool["records"], pool["most_bytes"]) == (3, LIMITS.pool_bytes)
            assert 3 * LIMITS.pool_record_bytes < pool["bytes"] < 10 * KIB
            assert status["mining"] == {
                "bits": "207fffff",
                "difficulty": 1.0,
                "expected_hashes": 2,
                "is_mining": True,
                "hashes_per_second": 2_500.0,
                "expected_ms": 0,
            }
        async with serving() as node:
            status = (await node.client.get("/status")).json()
            assert (status["pool"], status["mining"]) == (None, None)

    run(main())
