"""What a node says of itself, and the shape of the whole interface."""

from __future__ import annotations

import time
from dataclasses import replace

import httpx
import pytest
from structlog.testing import capture_logs

from tallystick import __version__
from tallystick.api.access import Access
from tallystick.api.state import ENDPOINTS
from tallystick.model.limits import Limits
from tallystick.model.network import CLASSIC
from tallystick.node.ports import PeerStatus, SyncProgress
from tests.api.serving import JSON_HEAD, run, serving

READABLE = ["/", "/blocks", "/blocks/0", "/blocks?from=0", "/peers", "/bans", "/forks"]
READABLE += ["/status", "/metrics", "/health", "/ready"]


def test_status_tells_all_there_is_to_know() -> None:
    async def main() -> None:
        seconds = iter(range(10, 10_000))
        async with serving(monotonic=lambda: next(seconds) * 1.0, data_size=lambda: 4_096) as node:
            node.ledger.peer_statuses = [
                PeerStatus("10.0.0.1:3001", "ws://10.0.0.1:3001", "connected", 5, None, (7, "f" * 64), None),
                PeerStatus("10.0.0.2:9", None, "connected", 6, None, None, None),
                PeerStatus("ws://10.0.0.3:3001", "ws://10.0.0.3:3001", "waiting", None, 900, None, "refused\r\n\x1b"),
            ]
            body = (await node.client.get("/status")).json()
            assert body["version"] == __version__
            assert body["network"] == {"kind": "classic", "name": "classic", "id": CLASSIC.id, "members": 0}
            assert (body["key"], body["sync"], body["addresses"]) == ("ab" * 32, None, 0)
            assert body["tip"]["index"] == 0
            assert body["uptime_ms"] > 0
            assert [peer["direction"] for peer in body["peers"]] == ["outbound", "inbound", "outbound"]
            assert body["peers"][0]["tip"] == {"index": 7, "hash": "f" * 64}
            assert body["peers"][2] == {
                "address": "ws://10.0.0.3:3001",
                "direction": "outbound",
                "dialled": "ws://10.0.0.3:3001",
                "origin": "configured",
                "state": "waiting",
                "dialect": None,
                "agent": None,
                "key": None,
                "connected_ms": None,
                "next_dial_ms": 900,
                "tip": None,
                "latency_ms": None,
                "received_bytes": None,
                "sent_bytes": None,
                "last_error": "refused\r\n\x1b",
            }
            assert body["dropped"][0]["rule"] == "pong-in-time"
            assert (body["connections"], body["lost_duties"], body["data_bytes"]) == (1, False, 4_096)

    run(main())


def test_status_tells_all_of_a_peer_and_of_the_sync() -> None:
    async def main() -> None:
        async with serving() as node:
            node.ledger.network = replace(CLASSIC, members=frozenset({"cd" * 32}))
            node.ledger.sync = SyncProgress(10, 1_000, 333.3333333, 2_971, 2)
            node.ledger.addresses = 17
            node.ledger.peer_statuses = [
                PeerStatus(
                    "10.0.0.1:40000", None, "connected", 5, None, (7, "f" * 64), None,
                    dialect="tallystick.1", key="cd" * 32, agent="tallystick/1.2.3", latency_ms=3, peer=9,
                    received_bytes=1_000, sent_bytes=2_000, origin="inbound",
                )
            ]  # fmt: skip
            body = (await node.client.get("/status")).json()
            assert body["network"]["members"] == 1
            assert body["sync"] == {
                "index": 10,
                "target": 1_000,
                "blocks_per_second": 333.3,
                "remaining_ms": 2_971,
                "peers": 2,
            }
            assert body["addresses"] == 17
            (peer,) = body["peers"]
            assert (peer["direction"], peer["origin"]) == ("inbound", "inbound")
            assert (peer["dialect"], peer["agent"], peer["key"]) == ("tallystick.1", "tallystick/1.2.3", "cd" * 32)
            assert (peer["latency_ms"], peer["received_bytes"], peer["sent_bytes"]) == (3, 1_000, 2_000)

    run(main())


def test_head_goes_wherever_get_goes() -> None:
    async def main() -> None:
        async with serving() as node:
            node.ledger.mine_many(3)
            for path in READABLE:
                got, head = await node.client.get(path), await node.client.head(path)
                assert (head.status_code, head.content) == (200, b"")
                for name in ("content-type", "content-length", "transfer-encoding", "cache-control"):
                    if path not in {"/status", "/metrics"}:  # their length changes with the time
                        assert head.headers.get(name) == got.headers.get(name), path
            pages = node.ledger.reader.pages_read
            await node.client.head("/blocks")
            assert node.ledger.reader.pages_read == pages + 1

    run(main())


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/blocks", "GET, HEAD"),
        ("PUT", "/blocks/0", "GET, HEAD"),
        ("DELETE", "/status", "GET, HEAD"),
        ("POST", "/metrics", "GET, HEAD"),
        ("OPTIONS", "/health", "GET, HEAD"),
        ("TRACE", "/", "GET, HEAD"),
        ("GET", "/mineBlock", "POST"),
        ("HEAD", "/addPeer", "POST"),
        ("GET", "/peers/x", "DELETE"),
        ("PUT", "/bans", "GET, HEAD, POST"),
        ("GET", "/bans/x", "DELETE"),
        ("BREW", "/blocks", "GET, HEAD"),
    ],
)
def test_other_methods_are_405_and_say_which_there_are(method: str, path: str, allow: str) -> None:
    async def main() -> None:
        async with serving() as node:
            answer = await node.client.request(method, path)
            assert (answer.status_code, answer.headers["allow"]) == (405, allow)
            if method != "HEAD":
                assert answer.json()["status"] == 405

    run(main())


@pytest.mark.parametrize(
    "path", ["/x", "/blocks/0/x", "/BLOCKS", "/mineblock", "/%2e%2e/etc/passwd", "//blocks", "/%00"]
)
def test_unknown_paths_are_404(path: str) -> None:
    async def main() -> None:
        async with serving() as node:
            answer = await node.client.get(f"http://127.0.0.1:{node.server.port}{path}")
            assert answer.status_code == 404
            assert answer.json()["type"] == "urn:tallystick:problem:no-such-path"

    run(main())


def test_the_front_page_lists_what_is_served() -> None:
    async def main() -> None:
        async with serving() as node:
            assert (await node.client.get("/")).json()["endpoints"] == dict(ENDPOINTS)

    run(main())


def test_every_answer_carries_the_headers_that_protect_it() -> None:
    async def main() -> None:
        async with serving() as node:
            answers = [await node.client.get(path) for path in [*READABLE, "/x", "/blocks/x"]]
            answers += [await node.post(b'{"data": "x"}'), await node.post(b"")]
            for answer in answers:
                assert answer.headers["x-content-type-options"] == "nosniff"
                assert answer.headers["cache-control"] == "no-store"
                assert "server" not in answer.headers
                assert "alt-svc" not in answer.headers

    run(main())


def test_a_node_without_a_store_lives_and_is_not_ready() -> None:
    async def main() -> None:
        async with serving(opened=False) as node:
            assert (await node.client.get("/health")).json() == {"status": "alive"}
            for path in ("/ready", "/blocks", "/status"):
                answer = await node.client.get(path)
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
                assert "starting" in answer.json()["detail"]
            assert (await node.post(b'{"data": "x"}')).status_code == 503
            node.server.open(node.ledger, None)
            assert (await node.client.get("/ready")).json() == {"status": "ready"}

    run(main())


def test_our_bugs_are_500_without_a_word() -> None:
    """Catalogue row 122, a defect of the book's node: it ran with debug pages on."""

    async def main() -> None:
        async with serving() as node:
            node.ledger.reader.fails_with = ZeroDivisionError("secret")
            answer = await node.client.get("/blocks/latest")
            assert answer.status_code == 500
            assert "secret" not in answer.text
            assert "Traceback" not in answer.text
            node.ledger.reader.fails_with = None
            assert (await node.client.get("/blocks/latest")).status_code == 200

    with capture_logs() as logs:
        run(main())
    assert [str(entry["exc_info"]) for entry in logs] == ["secret"]


TOKEN = "t" * 32


def test_a_token_is_asked_of_writers() -> None:
    """Catalogue rows 114 and 117, over the wire."""

    async def main() -> None:
        access = Access("127.0.0.1", 0, write_token=TOKEN)
        async with serving(Limits(wrong_token_ms=1), access) as node:
            for headers in ({}, {"authorization": "Bearer x"}, {"authorization": "Bearer " + "\xff"}):
                answer = await node.client.post(
                    "/mineBlock", content=b'{"data": "x"}', headers=httpx.Headers(JSON_HEAD | headers, "latin-1")
                )
                assert answer.status_code == 401
                assert answer.headers["www-authenticate"].startswith("Bearer")
                assert answer.json()["type"] == "urn:tallystick:problem:token-needed"
            assert (await node.client.delete("/peers/x:1")).status_code == 401
            assert (await node.client.delete("/bans/10.0.0.1")).status_code == 401
            assert (await node.client.post("/bans", json={"subject": "10.0.0.1"})).status_code == 401
            assert node.ledger.bans == []
            assert (await node.client.get("/blocks")).status_code == 200
            assert (await node.post(b'{"data": "x"}', authorization=f"Bearer {TOKEN}")).status_code == 200
            assert node.ledger.posted == ["x"]

    run(main())


def test_a_wrong_token_is_answered_late() -> None:
    """Catalogue row 117: nobody tries many tokens."""

    async def main() -> None:
        async with serving(Limits(wrong_token_ms=300), Access("127.0.0.1", 0, write_token=TOKEN)) as node:
            asked_s = time.monotonic()
            assert (await node.post(b'{"data": "x"}', authorization="Bearer " + "x" * 32)).status_code == 401
            assert time.monotonic() - asked_s >= 0.3

    run(main())


def test_one_good_request_opens_nothing_for_the_next() -> None:
    """Fields are remembered byte for byte: another token, origin or host on the same connection is judged again."""

    async def main() -> None:
        async with serving(Limits(wrong_token_ms=1), Access("127.0.0.1", 0, write_token=TOKEN)) as node:
            good = {"authorization": f"Bearer {TOKEN}"}
            for bad, status in (
                ({"authorization": "Bearer x"}, 401),
                (good | {"origin": "http://evil.example"}, 403),
                (good | {"host": "evil.example"}, 421),
            ):
                assert (await node.post(b'{"data": "x"}', **good)).status_code == 200
                assert (await node.post(b'{"data": "x"}', **bad)).status_code == status

    run(main())


def test_what_is_free_opens_nothing_that_is_not() -> None:
    """The same fields, on the same connection: once for what needs no token, or reads, and then for what needs one."""

    async def main() -> None:
        access = Access("127.0.0.1", 0, write_token=TOKEN, read_token="r" * 32)
        async with serving(Limits(wrong_token_ms=1), access) as node:
            for free in ("/health", "/ready", "/docs"):
                assert (await node.client.get(free)).status_code in {200, 302}
                assert (await node.client.get("/status")).status_code == 401
            reads = JSON_HEAD | {"authorization": "Bearer " + "r" * 32, "content-length": "13"}
            for _ in range(2):
                for method, path, status in (("GET", "/status", 200), ("POST", "/mineBlock", 401), ("GET", "/", 200)):
                    answer = await node.client.request(method, path, headers=reads, content=b'{"data": "x"}')
                    assert answer.status_code == status

    run(main())


def test_a_read_token_guards_reading() -> None:
    async def main() -> None:
        async with serving(Limits(wrong_token_ms=1), Access("127.0.0.1", 0, read_token=TOKEN)) as node:
            for path in READABLE:
                free = path in {"/health", "/ready"}
                assert (await node.client.get(path)).status_code == (200 if free else 401)
                answer = await node.client.get(path, headers={"authorization": f"Bearer {TOKEN}"})
                assert answer.status_code == 200

    run(main())
