"""Blocks over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest

from tallystick.chain.contracts import Fork, Found
from tallystick.errors import StoreError, StoreFullError
from tallystick.model.block import header_of
from tallystick.model.limits import Limits
from tallystick.model.network import CLASSIC_GENESIS
from tests.api.fake_ledger import block_on
from tests.api.serving import LOOPS, Served, close, read_all, run, serving, until

KEYS = ["data", "hash", "index", "previous_hash", "timestamp"]


def test_a_post_is_answered_with_its_block() -> None:
    async def main() -> None:
        async with serving() as node:
            answer = await node.post(b'{"data": "first"}')
            assert answer.status_code == 200
            assert answer.headers["content-type"] == "application/json"
            block = answer.json()
            assert list(block) == KEYS
            assert (block["index"], block["data"]) == (1, "first")
            assert (await node.client.get("/blocks/latest")).json() == block

    run(main())


@pytest.mark.parametrize(
    ("body", "kind", "status", "type"),
    [
        (b"{}", "application/json", 400, "data-missing"),
        (b'{"data": 1}', "application/json", 422, "data-not-a-string"),
        (b'{"data": "' + b"x" * 51 + b'"}', "application/json", 413, "data-within-size"),
        (b"data", "application/json", 400, "not-json"),
        (b"", "application/json", 400, "not-json"),
        (b"[]", "application/json", 400, "not-an-object"),
        (b'{"data": "x"}', "text/plain", 415, "not-json-type"),
        (b'{"data": "x"}', "application/x-www-form-urlencoded", 415, "not-json-type"),
        (b'{"data": "x"}', "application/json+x", 415, "not-json-type"),
        (b'{"data": "x"}', "", 415, "not-json-type"),
        (b'{"data": "x"}', "application/json; charset=utf-8", 200, None),
        (b'{"data": "x"}', "Application/JSON ;charset=utf-8", 200, None),
    ],
)
def test_the_table_of_posts(body: bytes, kind: str, status: int, type: str | None) -> None:
    """Catalogue row 114, a defect of the book's node: it read bodies of any content type.

    What a page of another site may send unasked is not accepted.
    """

    async def main() -> None:
        async with serving(Limits(classic_post_bytes=50)) as node:
            answer = await node.client.post("/mineBlock", content=body, headers={"content-type": kind})
            assert answer.status_code == status
            assert len(node.ledger.reader.chain) == (2 if status == 200 else 1)
            if type is not None:
                document = answer.json()
                assert answer.headers["content-type"] == "application/problem+json"
                assert document["type"] == f"urn:tallystick:problem:{type}"
                assert document["title"]
                assert document["detail"]

    run(main())


def test_packed_bodies_are_not_unpacked() -> None:
    """Catalogue row 11: no bombs."""

    async def main() -> None:
        async with serving() as node:
            answer = await node.post(b"\x1f\x8b", **{"content-encoding": "gzip"})
            assert answer.status_code == 415
            assert (await node.post(b'{"data": "x"}', **{"content-encoding": "identity"})).status_code == 200

    run(main())


@pytest.mark.parametrize(("error", "type"), [(StoreError("x"), "store-failed"), (StoreFullError("x"), "store-full")])
def test_a_failing_disk_is_503(error: StoreError, type: str) -> None:
    async def main() -> None:
        async with serving() as node:
            node.ledger.fails_with = error
            node.ledger.reader.fails_with = error
            for answer in (
                await node.post(b'{"data": "x"}'),
                await node.client.get("/blocks"),
                await node.client.get("/blocks/latest"),
                await node.client.get("/blocks?from=1"),
                await node.client.get("/forks"),
            ):
                assert answer.status_code == 503
                assert answer.json()["type"] == f"urn:tallystick:problem:{type}"

    run(main())


def test_blocks_by_index_hash_and_latest() -> None:
    async def main() -> None:
        async with serving() as node:
            node.ledger.mine_many(3)
            third = node.ledger.reader.chain[3]
            for ref in ("3", third.hash, "latest"):
                answer = await node.client.get(f"/blocks/{ref}")
                assert list(answer.json()) == KEYS
                assert answer.json()["hash"] == third.hash

    run(main())


@pytest.mark.parametrize(
    "ref",
    ["4", "-1", "01", "1.0", "٣", "9" * 16, "9" * 400, "f" * 64, "F" * 64, "Latest", "x", "%00", "%2e%2e", "a%0d%0ab"],
)
def test_unknown_blocks_are_404(ref: str) -> None:
    async def main() -> None:
        async with serving() as node:
            node.ledger.mine_many(3)
            answer = await node.client.get(f"/blocks/{ref}")
            assert answer.status_code == 404
            assert answer.json()["type"] == "urn:tallystick:problem:no-such-block"
            assert len(answer.json()["detail"]) < 300

    run(main())


def test_an_orphaned_block_says_so_and_what_came_instead() -> None:
    async def main() -> None:
        async with serving() as node:
            lost = block_on(CLASSIC_GENESIS, "lost")
            again = node.ledger.mine("lost")
            for hash in (again.hash, None):
                node.ledger.reader.beside[lost.hash] = Found(lost, orphaned=True, mined_again_as=hash)
                node.ledger.reader.chain[1] = block_on(CLASSIC_GENESIS, "other")
                answer = (await node.client.get(f"/blocks/{lost.hash}")).json()
                assert list(answer) == [*KEYS, "orphaned", "mined_again_as"]
                assert (answer["data"], answer["orphaned"], answer["mined_again_as"]) == ("lost", True, hash)

    run(main())


def test_forks_show_what_was_left() -> None:
    async def main() -> None:
        async with serving(Limits(fork_blocks=2)) as node:
            lost = block_on(CLASSIC_GENESIS, "lost")
            fork = Fork(header_of(CLASSIC_GENESIS), header_of(lost), [Found(lost, orphaned=True, mined_again_as=None)])
            rootless = Fork(None, header_of(lost), [])
            node.ledger.reader.left = [fork, rootless, rootless]
            answer = (await node.client.get("/forks")).json()
            assert [entry["fork"] and entry["fork"]["index"] for entry in answer] == [0, None]
            assert answer[0]["tip"]["hash"] == lost.hash
            assert answer[0]["blocks"][0]["data"] == "lost"
            assert answer[0]["blocks"][0]["orphaned"] is True
            assert len((await node.client.get("/forks?limit=1")).json()) == 1
            for limit in ("0", "3", "x"):
                assert (await node.client.get(f"/forks?limit={limit}")).status_code == 400

    run(main())


def test_pages_link_to_the_next() -> None:
    async def main() -> None:
        async with serving(Limits(page_blocks=4)) as node:
            node.ledger.mine_many(9)
            url, seen = "/blocks?limit=3", list[int]()
            while True:
                answer = await node.client.get(url)
                seen += [block["index"] for block in answer.json()]
                if "next" not in answer.links:
                    break
                url = answer.links["next"]["url"]
            assert seen == list(range(10))
            assert len((await node.client.get("/blocks?from=2")).json()) == 4
            beyond = await node.client.get("/blocks?from=10")
            assert (beyond.status_code, beyond.json(), beyond.links) == (200, [], {})

    run(main())


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=5",
        "limit=-1",
        "limit=x",
        "limit=",
        "from=-1",
        "from=x",
        "from=1e3",
        "from=9007199254740992",
        "from=%D9%A3",
        "form=3",
        "from=1&from=2",
        "from",
        "&",
        "a=1&b=2&c=3&d=4&e=5",
        "from=1;limit=2",
    ],
)
def test_bad_parameters_are_refused(query: str) -> None:
    """Catalogue row 119: nobody asks for more than a page at a time, by accident least of all."""

    async def main() -> None:
        async with serving(Limits(page_blocks=4)) as node:
            answer = await node.client.get(f"/blocks?{query}")
            assert answer.status_code == 400
            assert answer.json()["type"] == "urn:tallystick:problem:bad-parameter"

    run(main())


def test_the_whole_chain_is_one_array() -> None:
    async def main() -> None:
        async with serving(Limits(page_blocks=7)) as node:
            for count in (1, 6, 7, 8, 50):
                node.ledger.mine_many(count - len(node.ledger.reader.chain))
                answer = await node.client.get("/blocks")
                assert answer.headers["transfer-encoding"] == "chunked"
                assert [block["index"] for block in answer.json()] == list(range(count))
                assert list(answer.json()[0]) == KEYS
            assert (await node.client.get("/blocks")).status_code == 200  # on the same connection

    run(main())


def test_a_client_of_http_1_0_gets_the_chain_without_chunks() -> None:
    """It knows none (RFC 9112, section 6.1): what it gets ends with the connection, whatever it says of keeping it."""

    async def main() -> None:
        async with serving(Limits(page_blocks=7)) as node:
            node.ledger.mine_many(20)
            for method in (b"GET", b"HEAD"):
                ask = method + b" /blocks HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n"
                head, _, body = (await node.raw(ask)).partition(b"\r\n\r\n")
                assert b"\r\nconnection: close" in head
                assert b"transfer-encoding" not in head
                assert b"content-length" not in head
                assert (json.loads(body) if body else None) == (
                    (await node.client.get("/blocks")).json() if method == b"GET" else None
                )

    run(main())


def test_the_chain_ends_where_it_ended_when_it_was_asked_for() -> None:
    """A chain that grows as fast as it is sent would never end."""

    async def main() -> None:
        async with serving(Limits(page_blocks=5)) as node:
            node.ledger.mine_many(9)
            node.ledger.reader.before_page = lambda _: node.ledger.mine_many(10)
            assert len((await node.client.get("/blocks")).json()) == 10

    run(main())


@pytest.mark.parametrize("loop", LOOPS)
def test_a_client_sees_a_broken_transfer_and_never_a_wrong_chain(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main() -> None:
        async with serving(Limits(page_blocks=5)) as node:
            node.ledger.mine_many(19)

            def switch(first: int) -> None:
                if first == 10:
                    chain = node.ledger.reader.chain
                    del chain[3:]
                    node.ledger.mine_many(30, "another branch")

            node.ledger.reader.before_page = switch
            await expect_broken(node)

    run(main(), loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_disk_that_fails_half_way_breaks_the_transfer(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main() -> None:
        async with serving(Limits(page_blocks=5)) as node:
            node.ledger.mine_many(19)

            def fail(first: int) -> None:
                if first == 10:
                    node.ledger.reader.fails_with = StoreError("gone")

            node.ledger.reader.before_page = fail
            await expect_broken(node)

    run(main(), loop)


async def expect_broken(node: Served) -> None:
    received = await node.raw(b"GET /blocks HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert not received.endswith(b"0\r\n\r\n")
    assert b"another" not in received
    node.ledger.reader.before_page = lambda _: None
    node.ledger.reader.fails_with = None
    assert (await node.client.get("/blocks")).status_code == 200  # and the next one is served


@pytest.mark.parametrize("loop", LOOPS)
def test_a_slow_reader_costs_a_few_pages_and_no_more(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """Catalogue row 119: a chain is read as fast as it is taken, however long it is."""

    async def main() -> None:
        async with serving(Limits(page_blocks=10)) as node:
            node.ledger.mine_many(2_000, "x" * 10_000)
            reader, writer = await node.connect()
            writer.write(b"GET /blocks HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            await reader.readexactly(100_000)
            before = 0
            while before != node.ledger.reader.pages_read:  # until nothing fits between us any more
                before = node.ledger.reader.pages_read
                for _ in range(200):
                    await asyncio.sleep(0)
            assert before < 200
            body = (await read_all(reader)).split(b"\r\n")
            assert body[-3:] == [b"0", b"", b""]
            await close(writer)

    run(main(), loop)


def test_so_many_whole_chains_at_a_time() -> None:
    async def main() -> None:
        async with serving(Limits(page_blocks=10, whole_chains=1)) as node:
            node.ledger.mine_many(2_000, "x" * 10_000)
            reader, writer = await node.connect()
            writer.write(b"GET /blocks HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await reader.readexactly(1_000)
            busy = await node.client.get("/blocks")
            assert busy.status_code == 503
            assert int(busy.headers["retry-after"]) > 0
            assert (await node.client.get("/blocks?from=0")).status_code == 200
            writer.transport.abort()
            await until(lambda: node.server.connections == 1)
            assert (await node.client.get("/blocks")).status_code == 200

    run(main())


def test_data_arrives_and_leaves_as_it_is() -> None:
    """Catalogue row 17: byte for byte, and nothing of it is ever markup."""

    async def main() -> None:
        async with serving() as node:
            for data in ("<script>", "e\u0301 \u00e9", "\u202e\x00\x7f\r\n", "\U0001f600", '"\\', ""):
                answer = await node.post(json.dumps({"data": data}))
                assert answer.json()["data"] == data
                assert answer.headers["x-content-type-options"] == "nosniff"

    run(main())


def test_head_of_the_chain_is_a_head_and_no_complaint(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with serving() as node:
            for _ in range(2):  # the second on the same connection
                answer = await node.client.head("/blocks")
                assert answer.status_code == 200
                assert "content-length" not in answer.headers
                assert answer.content == b""

    run(main())
    assert caplog.records == []
