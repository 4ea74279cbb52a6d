"""Full-text search over HTTP: what is found, how far one request goes, and what nobody may make of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import quote_from_bytes

import httpx
import pytest

from tallystick.chain.writes import AddSide
from tallystick.errors import StoreError
from tallystick.model.block import INDEX_MAX
from tallystick.model.limits import LIMITS, Limits
from tallystick.model.needle import PIECE
from tests.api.fake_ledger import block_on
from tests.api.sealed_node import SealedNode, sealed_node
from tests.api.serving import Served, run, serving
from tests.storage.kit import commit, switch
from tests.storage.sealed_blocks import branch, record

SHORT = replace(LIMITS, search_slice_rows=2, search_rows=5)


async def found(client: httpx.AsyncClient, text: str | bytes, **more: int) -> dict[str, Any]:
    raw = text if isinstance(text, bytes) else text.encode()
    query = "".join(f"&{name}={value}" for name, value in more.items())
    answer = await client.get(f"/search?text={quote_from_bytes(raw)}{query}")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert list(body) == ["matches", "before", "searched"]
    assert isinstance(body, dict)
    return body


async def everything(client: httpx.AsyncClient, text: str, **more: int) -> list[dict[str, Any]]:
    """All matches, request by request."""
    body = await found(client, text, **more)
    matches = list(body["matches"])
    while body["before"] is not None:
        body = await found(client, text, before=body["before"], **more)
        matches += body["matches"]
    return matches


@asynccontextmanager
async def chain(*texts: str, limits: Limits = LIMITS) -> AsyncIterator[Served]:
    async with serving(limits) as node:
        for text in texts:
            node.ledger.mine(text)
        yield node


def test_blocks_that_hold_a_text_are_found_newest_first_without_regard_to_case() -> None:
    async def main() -> None:
        async with chain("paid to Anna", "nothing", "PAID to Otto, in Straße 7") as node:
            body = await found(node.client, "Paid")
            block = node.ledger.reader.chain[3]
            where = {"index": 3, "hash": block.hash, "timestamp": block.timestamp}
            assert body["matches"][0] == {"block": where, "id": None, "position": None, "excerpt": block.data}
            assert [match["block"]["index"] for match in body["matches"]] == [3, 1]
            assert (body["before"], body["searched"]) == (None, 4)
            assert [match["block"]["index"] for match in (await found(node.client, "STRASSE"))["matches"]] == [3]
            assert [match["block"]["index"] for match in (await found(node.client, "genesis"))["matches"]] == [0]

    run(main())


def test_a_request_goes_a_bounded_stretch_and_says_where_to_go_on() -> None:
    async def main() -> None:
        async with chain(*(f"text {number}" for number in range(1, 12)), limits=SHORT) as node:
            assert await found(node.client, "text 3") == {"matches": [], "before": 7, "searched": 5}
            body = await found(node.client, "text 3", before=7)
            assert ([match["excerpt"] for match in body["matches"]], body["before"]) == (["text 3"], 2)
            assert await found(node.client, "text 3", before=2) == {"matches": [], "before": None, "searched": 2}
            assert await found(node.client, "text 3", before=0) == {"matches": [], "before": None, "searched": 0}
            assert len(await everything(node.client, "text")) == 11

    run(main())


@pytest.mark.parametrize("limit", [1, 2, 3, 12, 50])
def test_with_the_last_match_that_is_wanted_it_stops_and_the_next_request_finds_the_next(limit: int) -> None:
    async def main() -> None:
        async with chain(*(f"text {number % 3}" for number in range(1, 12)), limits=SHORT) as node:
            matches = await everything(node.client, "TEXT 1", limit=limit)
            assert [match["block"]["index"] for match in matches] == [10, 7, 4, 1]
            first = await found(node.client, "text 1", limit=1)
            assert (len(first["matches"]), first["before"], first["searched"]) == (1, 10, 2)

    run(main())


def test_long_texts_end_a_stretch_early() -> None:
    async def main() -> None:
        limits = replace(LIMITS, search_stretch_characters=150_000, search_slice_characters=100_000)
        async with chain("first", *["x" * 65_536] * 5, limits=limits) as node:
            assert await found(node.client, "first") == {"matches": [], "before": 3, "searched": 4}
            assert len(await everything(node.client, "first")) == 1

    run(main())


def test_between_slices_and_within_a_long_text_others_have_their_turn() -> None:
    async def main() -> None:
        async with chain("x" * (PIECE * 20), *["text"] * 10, limits=replace(LIMITS, search_slice_rows=3)) as node:
            asked = asyncio.ensure_future(found(node.client, "no such"))
            while node.server._desk.searches == 0:  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0)
            turns = 0
            while node.server._desk.searches:
                await asyncio.sleep(0)
                turns += 1
            assert (await asked)["searched"] == 12
            assert turns >= 20

    run(main())


def test_many_searches_wait_for_each_other_and_too_many_are_refused() -> None:
    async def main() -> None:
        limits = replace(LIMITS, search_slice_rows=1, searches=3)
        async with chain(*["text"] * 50, limits=limits) as node:
            answers = await asyncio.gather(*(node.client.get("/search?text=text&limit=50") for _ in range(8)))
            statuses = sorted(answer.status_code for answer in answers)
            assert statuses[:3] == [200] * 3
            assert set(statuses[3:]) <= {200, 503}
            assert len({answer.text for answer in answers if answer.status_code == 200}) == 1
            for answer in answers:
                if answer.status_code == 503:
                    assert answer.json()["type"].endswith(":busy")
            assert node.server._desk.searches == 0
            assert len(await everything(node.client, "text")) == 50

    run(main())


REFUSED = [
    "",
    "text=",
    "text=" + "x" * 101,
    "text=" + "%F0%9F%98%80" * 101,
    "text=%ED%A0%BD",
    "text=%ff",
    "text=%C3",
    "text=a&text=b",
    "txt=a",
    "text=a&before=-1",
    f"text=a&before={INDEX_MAX + 1}",
    "text=a&before=" + "9" * 100,
    "text=a&before=latest",
    "text=a&before=",
    "text=a&limit=0",
    "text=a&limit=51",
    "text=a&limit=1e1",
    "limit=3",
]


@pytest.mark.parametrize("query", REFUSED)
def test_what_cannot_be_searched_for_is_refused_and_nothing_is_read(query: str) -> None:
    async def main() -> None:
        async with chain("a") as node:
            answer = await node.client.get(f"/search?{query}")
            assert (answer.status_code, answer.json()["type"]) == (400, "urn:tallystick:problem:bad-parameter")
            assert len(answer.content) < 1_000
            assert node.ledger.reader.pages_read == 0

    run(main())


@pytest.mark.parametrize("query", ["text=\xff", "text=\xed\xa0\xbd"])
def test_raw_bytes_that_are_no_text_are_refused(query: str) -> None:
    async def main() -> None:
        async with chain("a") as node:
            head = f"GET /search?{query} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n"
            answer = await node.raw(head.encode("latin-1"))
            assert answer.startswith(b"HTTP/1.1 400 ")
            assert (await found(node.client, "a"))["searched"] == 2

    run(main())


HOSTILE = [
    "%",
    "_",
    "'",
    '"',
    "'; DROP TABLE blocks; --",
    "a\0b",
    "\0",
    "\U0001f600",
    "*",
    "[a-z]",
    "\\",
    "\r\n",
    "&=+",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_every_text_means_itself(text: str) -> None:
    async def main() -> None:
        async with chain("plain", f"before {text} behind", "x") as node:
            matches = (await found(node.client, text))["matches"]
            assert [match["excerpt"] for match in matches] == [f"before {text} behind"]

    run(main())


def test_a_hundred_characters_are_found_and_before_may_be_as_great_as_numbers_are() -> None:
    async def main() -> None:
        text = "\U0001f600" * 100
        async with chain(text) as node:
            body = await found(node.client, text, before=INDEX_MAX)
            assert [match["excerpt"] for match in body["matches"]] == [text]

    run(main())


def test_of_a_long_text_an_excerpt_is_shown() -> None:
    async def main() -> None:
        text = "\U0001f600" * 30_000 + "<b>Needle</b>" + "\U0001f601" * 30_000
        async with chain(text) as node:
            (match,) = (await found(node.client, "needle"))["matches"]
            assert len(match["excerpt"]) == 160
            assert match["excerpt"] in text
            assert "<b>Needle</b>" in match["excerpt"]

    run(main())


def test_head_asks_the_same_and_a_failing_disk_is_told() -> None:
    async def main() -> None:
        async with chain("a") as node:
            answer = await node.client.head("/search?text=a")
            assert (answer.status_code, answer.content) == (200, b"")
            node.ledger.reader.fails_with = StoreError("the disk is gone")
            answer = await node.client.get("/search?text=a")
            assert (answer.status_code, answer.json()["type"]) == (503, "urn:tallystick:problem:store-failed")
            assert node.server._desk.searches == 0

    run(main())


def test_a_reorg_between_two_slices_changes_nothing_of_what_is_below_it() -> None:
    async def main() -> None:
        async with chain(
            *(f"text {number}" for number in range(1, 9)), limits=replace(LIMITS, search_slice_rows=3)
        ) as node:
            blocks = node.ledger.reader.chain

            def switches(before: int) -> None:
                if before == 6:  # 8, 7 and 6 were looked at; now all from 7 on is another branch
                    del blocks[7:]
                    for _ in range(4):
                        blocks.append(block_on(blocks[-1], "text of another branch"))

            node.ledger.reader.before_page = switches
            matches = await everything(node.client, "text")
            assert [match["block"]["index"] for match in matches] == [8, 7, 6, 5, 4, 3, 2, 1]

    run(main())


# --- records ----------------------------------------------------------------------------------------


async def posted(node: SealedNode, *records: dict[str, Any]) -> None:
    answer = await node.post(json.dumps(records))
    assert answer.status_code == 202
    await node.seal()


def test_records_are_found_by_id_and_data_where_they_stand() -> None:
    async def main() -> None:
        async with sealed_node() as node:
            await posted(node, {"id": "invoice-1", "data": {"to": "Anna"}})
            await posted(node, {"id": "other", "data": ["INVOICE", 7]}, {"id": "third", "data": None})
            body = await found(node.client, "Invoice")
            assert [(each["id"], each["position"], each["excerpt"]) for each in body["matches"]] == [
                ("other", 1, '["INVOICE",7]'),
                ("invoice-1", 0, "invoice-1"),
            ]
            record = (await node.client.get("/records/other")).json()["records"][0]
            assert body["matches"][0]["block"] == record["block"]
            assert (body["before"], body["searched"]) == (None, 3)
            assert [each["id"] for each in (await found(node.client, '{"to":"anna"}'))["matches"]] == ["invoice-1"]
            assert await found(node.client, "invoice", before=0) == {"matches": [], "before": None, "searched": 0}

    run(main())


def test_what_waits_is_not_found_and_of_what_was_erased_only_the_id() -> None:
    async def main() -> None:
        async with sealed_node() as node:
            assert await found(node.client, "secret") == {"matches": [], "before": None, "searched": 0}
            await posted(node, {"id": "secret-1", "data": "a secret of Anna"})
            await node.client.delete("/records/secret-1")
            await node.post(b'{"id": "secret-2", "data": "a secret that waits"}')
            assert [each["excerpt"] for each in (await found(node.client, "secret"))["matches"]] == ["secret-1"]
            assert (await found(node.client, "Anna"))["matches"] == []

    run(main())


def test_in_the_log_too_one_goes_on_where_the_answer_says() -> None:
    async def main() -> None:
        async with sealed_node(SHORT) as node:
            await posted(node, *({"id": f"r{number}", "data": number % 4} for number in range(12)))
            body = await found(node.client, "3")
            assert (body["before"], body["searched"]) == (7, 5)
            matches = await everything(node.client, "3", limit=1)
            assert [each["id"] for each in matches] == ["r11", "r7", "r3"]

    run(main())


def test_after_a_reorg_to_a_shorter_log_what_stayed_is_found_once() -> None:
    async def main() -> None:
        async with sealed_node(SHORT) as node:
            await posted(node, *({"id": f"kept-{number}", "data": "text"} for number in range(3)))
            fork = node.reader.block(node.reader.tip().index)
            commit(node.store, AddSide(b := branch(fork, [record("new", "text")], [], [], [], [])))  # type: ignore[arg-type]
            await posted(node, *({"id": f"left-{number}", "data": "text"} for number in range(9)))
            tip = node.reader.block(node.reader.tip().index)
            assert fork is not None
            assert tip is not None
            first = await found(node.client, "text", limit=2)
            assert (len(first["matches"]), first["before"]) == (2, 10)
            commit(node.store, switch(tip, fork, b[-1]))
            matches = (await found(node.client, "text", before=first["before"]))["matches"]
            assert [each["id"] for each in matches] == ["new", "kept-2", "kept-1", "kept-0"]

    run(main())


def test_limits_hold_together() -> None:
    assert LIMITS.search_matches_first <= LIMITS.search_matches
    assert LIMITS.search_slice_rows <= LIMITS.search_rows
    assert LIMITS.search_slice_characters <= LIMITS.search_stretch_characters
