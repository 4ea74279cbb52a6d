"""`GET /metrics` as the server alone answers it, and how requests are counted."""

from __future__ import annotations

import asyncio
import bisect
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from tallystick import __version__
from tallystick.api.access import Access
from tallystick.api.latency import METHODS, OTHER, Histogram, Latency
from tallystick.api.metrics import understood
from tallystick.api.server import listen
from tallystick.errors import StoreError
from tallystick.model.limits import Limits
from tests.api.metric_text import Labels, samples_of
from tests.api.serving import JSON_HEAD, Served, close, run, serving, unresolved, until

COUNT = "tallystick_http_request_duration_seconds_count"


async def scraped(node: Served) -> Mapping[tuple[str, Labels], float]:
    answer = await node.client.get("/metrics")
    assert answer.status_code == 200
    return samples_of(answer.text)


async def requests(node: Served) -> dict[tuple[str, str, str], float]:
    """Route, method and status of what was counted, but for scrapes."""
    counted = {}
    for (name, labels), value in (await scraped(node)).items():
        if name == COUNT and ("route", "/metrics") not in labels:
            by = dict(labels)
            counted[by["route"], by["method"], by["status"]] = value
    return counted


@given(st.lists(st.integers(0, 12) | st.floats(0, 12)))
def test_a_histogram_counts_like_a_list_of_all_observations(seen: list[float]) -> None:
    bounds = (1, 2, 5, 10)
    histogram = Histogram(bounds)
    for value in seen:
        histogram.observe(value)
    seen.sort()
    expected = [(f"{bound}.0", bisect.bisect_right(seen, bound)) for bound in bounds]
    assert histogram.buckets == [*expected, ("+Inf", len(seen))]
    assert histogram.sum == pytest.approx(sum(seen))


def test_requests_count_under_the_template_of_their_route() -> None:
    async def main() -> None:
        async with serving() as node:
            node.ledger.mine_many(3)
            for path in ("/blocks/0", "/blocks/latest", "/blocks/nix", "/", "/blocks", "/blocks?from=0"):
                await node.client.get(path)
            await node.client.head("/blocks/1")
            await node.client.delete("/peers/10.0.0.1:3001")
            await node.post('{"data": "x"}')
            await node.post("{}")
            node.ledger.fails_with = StoreError("the disk is gone")
            await node.post('{"data": "x"}')
            assert await requests(node) == {
                ("/blocks/{ref}", "GET", "2xx"): 2,
                ("/blocks/{ref}", "GET", "4xx"): 1,
                ("/blocks/{ref}", "HEAD", "2xx"): 1,
                ("/", "GET", "2xx"): 1,
                ("/blocks", "GET", "2xx"): 2,
                ("/peers/{address}", "DELETE", "4xx"): 1,
                ("/mineBlock", "POST", "2xx"): 1,
                ("/mineBlock", "POST", "4xx"): 1,
                ("/mineBlock", "POST", "5xx"): 1,
            }

    run(main())


def test_nobody_can_make_series_by_asking_strangely() -> None:
    """Whatever the path, the method or the head: what is refused counts as one route."""

    async def main() -> None:
        async with serving() as node:
            for number in range(20):
                await node.client.get(f"/nix/{number}")
                await node.client.request(f"BREW{number}", f"/blocks/{number}")
                await node.client.request("get", f"/nix{number}")
                await node.client.get("/status", headers={"host": f"evil{number}.example"})
                assert b" 400 " in await node.raw(b"GE\x01T%d / HTTP/1.1\r\n\r\n" % number)
                assert b" 400 " in await node.raw(b"no request %d\r\n\r\n" % number)
            counted = await requests(node)
            assert {route for route, _, _ in counted} == {OTHER}
            assert {method for _, method, _ in counted} <= METHODS | {OTHER}
            assert sum(counted.values()) == 120

    run(main())


def test_every_request_is_counted_once_unless_its_client_left() -> None:
    async def main() -> None:
        async with serving(Limits(request_ms=300), Access("127.0.0.1", 0)) as node:
            node.ledger.hold = asyncio.Event()
            reader, writer = await node.connect()
            body = b'{"data": "x"}'
            head = b"POST /mineBlock HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            writer.write(head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
            await node.ledger.posting.wait()
            await close(writer)
            await until(lambda: node.server.connections == 0)
            assert await requests(node) == {}
            reader, writer = await node.connect()
            writer.write(head + b"Content-Length: 99\r\n\r\n")  # and no body: 408
            assert b" 408 " in await reader.readline()
            await close(writer)
            assert sum((await requests(node)).values()) == 1
            node.ledger.hold.set()
            pipelined = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            answer = await node.raw(pipelined + b"\r\n" + pipelined + b"Connection: close\r\n\r\n")
            assert answer.count(b" 200 OK") == 2
            assert (await requests(node))["/health", "GET", "2xx"] == 2

    run(main())


def test_the_format_is_the_one_that_is_asked_for() -> None:
    async def main() -> None:
        async with serving() as node:
            plain = await node.client.get("/metrics")
            assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
            accept = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,*/*"
            openmetrics = await node.client.get("/metrics", headers={"accept": accept})
            assert openmetrics.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
            assert openmetrics.text.endswith("# EOF\n")
            families = parse_openmetrics(openmetrics.text)  # type: ignore[no-untyped-call]
            assert "tallystick_http_request_duration_seconds" in {family.name for family in families}

    run(main())


@pytest.mark.parametrize(
    "accept",
    [
        "application/openmetrics-text;version=x",
        "application/openmetrics-text; version=1.0.x",
        "application/openmetrics-text;version=1.0.\xb2",
        "application/openmetrics-text;version=" + "9" * 5_000,
        "application/openmetrics-text;escaping=\xff;version=1",
        "text/plain;version=;escaping=dots",
        "text/plain;version=1.0.0;version=y",
        "q=;,=,;version",
        "\xff",
    ],
)
def test_whatever_is_accepted_gets_an_answer_of_a_known_format(accept: str) -> None:
    async def main() -> None:
        async with serving() as node:
            answer = await node.raw(
                b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nAccept: %b\r\n\r\n"
                % accept.encode("latin-1")
            )
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert b"version=9" not in answer
            assert b"tallystick_ready 1.0" in answer

    run(main())


def test_what_prometheus_accepts_is_understood() -> None:
    accept = (
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
        "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
        "text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
    )
    assert understood(accept) == accept


def test_a_node_without_a_store_says_what_it_can() -> None:
    async def main() -> None:
        async with serving(opened=False, data_size=lambda: 4_096) as node:
            assert (await node.client.get("/status")).status_code == 503
            before = await scraped(node)
            assert before["tallystick_ready", ()] == 0
            assert before["tallystick_build_info", (("version", __version__),)] == 1
            assert before["tallystick_data_bytes", ()] == 4_096
            assert before["tallystick_connections", ()] == 1
            status = (("method", "GET"), ("route", "/status"), ("status", "5xx"))
            assert before[COUNT, status] == 1
            assert ("process_resident_memory_bytes", ()) in before
            node.server.open(node.ledger, None)
            assert (await scraped(node))["tallystick_ready", ()] == 1

    run(main())


def test_nodes_in_one_process_do_not_mix() -> None:
    async def main() -> None:
        async with serving() as node, serving() as other:
            await node.client.get("/status")
            assert await requests(other) == {}
            assert await requests(node) == {("/status", "GET", "2xx"): 1}

    run(main())


def test_the_series_of_a_node_are_bounded() -> None:
    """All routes with their methods and all classes of status, and what has no route: some hundred, and no more."""

    async def main() -> None:
        server = await listen(Access("127.0.0.1", 0), resolve=unresolved)
        routes = list(server._app.router.routes)
        await server.stop(0)
        latency = Latency()
        asked = [(route.path, method) for route in routes for method in route.methods]
        asked += [(None, method) for method in [*METHODS, *(f"BREW{number}" for number in range(1_000))]]
        for path, method in asked:
            for status in (200, 202, 400, 401, 404, 503):
                latency.note(path, method, status, 0.1)
        (family,) = latency.collect()
        assert sum(sample.name == COUNT for sample in family.samples) < 150
        assert not latency._noted

    asyncio.run(main())


def test_a_metric_does_not_need_more_than_a_status_does() -> None:
    """Who may read `/status` may read this, and nobody else."""

    async def main() -> None:
        token = "t" * 32
        async with serving(Limits(wrong_token_ms=1), Access("127.0.0.1", 0, read_token=token)) as node:
            for headers in ({}, {"authorization": "Bearer x"}, {"host": "evil.example"}):
                status = await node.client.get("/status", headers=headers)
                answer = await node.client.get("/metrics", headers=headers)
                assert answer.status_code == status.status_code >= 400
                assert "tallystick_" not in answer.text
            answer = await node.client.get("/metrics", headers=JSON_HEAD | {"authorization": f"Bearer {token}"})
            assert answer.status_code == 200

    run(main())
