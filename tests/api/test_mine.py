"""`POST /mineBlock` where blocks have to be found."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from tallystick.api.mine import wait_ms_of
from tallystick.api.problems import Refusal
from tallystick.model.limits import LIMITS, Limits
from tests.api.sealed_node import SealedNode, sealed_node
from tests.api.serving import JSON_HEAD, LOOPS, close, run, serving, until
from tests.api.test_records import problem_of

HEAD = b"POST /mineBlock%b HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


async def mine(node: SealedNode, body: bytes, query: str = "") -> asyncio.Task[tuple[int, dict[str, object]]]:
    """A caller, of whom the node knows."""

    async def ask() -> tuple[int, dict[str, object]]:
        answer = await node.post(body, f"/mineBlock{query}")
        return answer.status_code, answer.json()

    before = len(node.runner._answers)
    task = asyncio.create_task(ask())
    await until(lambda: len(node.runner._answers) > before or task.done())
    return task


@pytest.mark.parametrize("loop", LOOPS)
def test_the_caller_waits_for_the_block_and_gets_it(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main() -> None:
        async with sealed_node() as node:
            await node.post(b'{"data": "before"}')
            waits = await mine(node, b'{"data": {"any": "JSON"}, "id": "x"}')
            assert not waits.done()
            await node.seal()
            status, block = await waits
            assert status == 200
            assert block == (await node.client.get(f"/blocks/{block['hash']}")).json()
            held = block["records"]
            assert isinstance(held, list)
            assert "x" in [each["id"] for each in held]

    run(main(), loop)


def test_what_is_in_a_block_already_is_answered_with_that_block() -> None:
    """Catalogue row 123."""

    async def main() -> None:
        async with sealed_node() as node:
            body = b'{"data": 1, "id": "x"}'
            waits = await mine(node, body)
            await node.seal()
            first = await waits
            await node.seal()
            for query in ("", "?wait=0", "?wait=300"):
                assert await (await mine(node, body, query)) == first
            assert problem_of(await node.post(b'{"data": 2, "id": "x"}', "/mineBlock")) == (409, "record-id-is-free")

    run(main())


def test_two_who_post_the_same_wait_for_the_same_block() -> None:
    """Catalogue row 123."""

    async def main() -> None:
        async with sealed_node() as node:
            first, second = [await mine(node, b'{"data": 1, "id": "x"}') for _ in range(2)]
            await node.seal()
            assert (await first)[0] == 200
            assert await second == await first
            assert len((await node.client.get("/records")).json()) == 1

    run(main())


@pytest.mark.parametrize("query", ["?wait=0", "?wait=0.0", "?wait=0.000", "?wait=0.05"])
def test_when_the_wait_is_over_the_record_is_where_it_was(query: str) -> None:
    async def main() -> None:
        async with sealed_node() as node:
            answer = await node.post(b'{"data": "x"}', f"/mineBlock{query}")
            assert answer.status_code == 202
            (entry,) = answer.json()["records"]
            assert list(entry) == ["commit", "id", "status", "href"]
            assert (entry["status"], answer.headers["location"]) == ("pending", entry["href"])
            await node.seal()
            (shown,) = (await node.client.get(entry["href"])).json()["records"]
            assert shown["status"] == "included"

    run(main())


@pytest.mark.parametrize(
    ("query", "wait_ms"),
    [("", 30_000), ("wait=0", 0), ("wait=30", 30_000), ("wait=2.5", 2_500), ("wait=0.0015", 1), ("wait=300", 300_000)],
)
def test_seconds_may_have_fractions(query: str, wait_ms: int) -> None:
    assert wait_ms_of(query, LIMITS) == wait_ms


@pytest.mark.parametrize(
    "query",
    ["wait=", "wait=-1", "wait=301", "wait=300.001", "wait=1e2", "wait=.5", "wait=5.", "wait=x", "wait=NaN", "wait=inf",
     "wait=%D9%A3", "wait=" + "9" * 400, "wait=1&wait=1", "wait_ms=5", "wait=0x1", "wait=1_0", "wait=+1"],
)  # fmt: skip
def test_other_waits_are_refused_and_nothing_is_recorded(query: str) -> None:
    with pytest.raises(Refusal):
        wait_ms_of(query, LIMITS)

    async def main() -> None:
        async with sealed_node() as node:
            assert problem_of(await node.post(b'{"data": 1}', f"/mineBlock?{query}")) == (400, "bad-parameter")
            assert node.pending == 0

    run(main())


@pytest.mark.parametrize(
    ("body", "status", "type"),
    [
        (b"{}", 400, "data-missing"),
        (b'[{"data": 1}]', 400, "not-an-object"),
        (b'{"data": 1, "data": 1}', 400, "not-json"),
        (b'{"data": 1, "wait": 5}', 422, "not-records"),
        (b'{"data": 9007199254740992}', 422, "data-is-canonical"),
        (b'{"data": "' + b"x" * 70_000 + b'"}', 413, "data-within-size"),
    ],
)
def test_what_is_no_record_is_refused(body: bytes, status: int, type: str) -> None:
    async def main() -> None:
        async with sealed_node() as node:
            answer = await node.post(body, "/mineBlock")
            assert (answer.status_code, answer.json()["type"]) == (status, f"urn:tallystick:problem:{type}")
            if type == "data-missing":
                assert (answer.json()["status"], answer.json()["message"]) == (False, "pass value in data key")
            assert node.pending == 0

    run(main())


def test_so_many_may_wait_and_others_are_told_at_once() -> None:
    async def main() -> None:
        async with sealed_node(replace(LIMITS, waiting_posts=2)) as node:
            waiting = [await mine(node, b'{"data": %d}' % n) for n in range(2)]
            answer = await node.post(b'{"data": "third"}', "/mineBlock")
            assert problem_of(answer) == (503, "pool-has-room")
            assert int(answer.headers["retry-after"]) > 0
            assert (await node.post(b'{"data": "third"}', "/mineBlock?wait=0")).status_code == 202
            await node.seal()
            assert [status for status, _ in await asyncio.gather(*waiting)] == [200, 200]

    run(main())


def holds(node: SealedNode, count: int) -> bool:
    return node.pending == count


@pytest.mark.parametrize("loop", LOOPS)
def test_whoever_goes_away_leaves_nothing_behind_but_the_record(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def main() -> None:
        async with sealed_node() as node:
            for number in range(5):
                body = b'{"data": %d}' % number
                _, writer = await asyncio.open_connection("127.0.0.1", node.server.port)
                writer.write(HEAD % b"?wait=0.2" + b"Content-Length: %d\r\n\r\n" % len(body) + body)
                await until(partial(holds, node, number + 1))
                writer.transport.abort()
            await until(lambda: node.server.connections == 0)
            await until(lambda: not node.runner._answers)
            await node.seal()
            assert len((await node.client.get("/records")).json()) == 5

    run(main(), loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_whoever_waits_for_a_block_keeps_no_place_for_long_bodies(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    """Catalogue row 109: a body counts until it was read, however long its caller waits afterwards."""

    async def main() -> None:
        async with sealed_node(replace(LIMITS, large_body_bytes=1_000, large_bodies=1)) as node:
            body = json.dumps({"data": "x" * 4_000}).encode()
            reader, writer = await asyncio.open_connection("127.0.0.1", node.server.port)
            writer.write(HEAD % b"" + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
            await until(lambda: node.pending == 1)
            for _ in range(3):
                assert (await node.post(body)).status_code == 202
            await node.seal()
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            await close(writer)
            assert (await node.post(body)).status_code == 202

    run(main(), loop)


def test_a_node_that_stops_waits_with_nobody() -> None:
    """Neither for a block that may take minutes, nor without an answer."""

    async def main() -> None:
        async with sealed_node() as node:
            waits = await mine(node, b'{"data": 1, "id": "x"}', "?wait=300")
            await until(partial(holds, node, 1))
            stops = asyncio.create_task(node.server.stop(300))
            status, document = await waits
            assert status == 202
            assert document == {"records": [json.loads(entry_of(node, "x"))]}
            await stops

    run(main())


def entry_of(node: SealedNode, id: str) -> str:
    (shown,) = node.reader.records_of(id)
    return f'{shown.record.entry[:-1].decode()},"status":"pending","href":"/records/{id}"}}'


def test_those_who_wait_hear_of_a_disk_that_failed() -> None:
    async def main() -> None:
        async with sealed_node() as node:
            waits = await mine(node, b'{"data": 1}')
            node.runner.stop()
            status, document = await waits
            assert (status, document["type"]) == (503, "urn:tallystick:problem:store-failed")

    run(main())


def test_where_blocks_are_made_at_once_nobody_waits() -> None:
    """As in the book, the query is not looked at there."""

    async def main() -> None:
        async with serving(Limits()) as node:
            for query in ("", "?wait=30", "?wait=x"):
                answer = await node.client.post(f"/mineBlock{query}", content=b'{"data": "x"}', headers=JSON_HEAD)
                assert (answer.status_code, answer.json()["data"]) == (200, "x")

    run(main())
