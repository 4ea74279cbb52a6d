from __future__ import annotations

import json
import re
import socket
import threading
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from tallystick.cli import remote
from tallystick.cli.exits import ExitCode
from tallystick.consensus.classic import ClassicEngine
from tallystick.model.block import Block, header_of
from tallystick.model.network import CLASSIC, CLASSIC_GENESIS

from .fake_node import Answer, Asked, Respond, fake_node, problem
from .running import run

HOSTILE = "\x1b[2J\r\nforged [red]line[/red] \u202e\x9b31m"
TOKEN = "0123456789" + "abcdef"


def chain(length: int, data: str = "data") -> list[Block]:
    engine = ClassicEngine(CLASSIC)
    blocks = [CLASSIC_GENESIS]
    while len(blocks) < length:
        block = engine.seal(header_of(blocks[-1]), data, 1_700_000_000_000)
        assert isinstance(block, Block)
        blocks.append(block)
    return blocks


def serving(blocks: list[Block], page: int = 1_000) -> Respond:
    """A node with this chain, at most `page` blocks an answer."""

    def respond(asked: Asked) -> Answer:
        parts = urlsplit(asked.path)
        if parts.path == "/blocks/latest":
            return Answer(msgspec.to_builtins(blocks[-1]))
        if parts.path == "/blocks":
            query = parse_qs(parts.query)
            first, limit = int(query["from"][0]), int(query["limit"][0])
            assert 1 <= limit <= 1_000
            return Answer(msgspec.to_builtins(blocks[first : first + min(limit, page)]))
        return problem(404, "there is no block of that index or hash")

    return respond


def always(answer: Answer) -> Respond:
    return lambda _asked: answer


# --- mine -------------------------------------------------------------------------------------------


def test_mine_posts_the_data_and_says_where_it_is() -> None:
    block = chain(2)[1]
    with fake_node(always(Answer(msgspec.to_builtins(block)))) as node:
        ran = run("mine", "data", "--url", node.url)
        as_json = run("mine", "data", "--json", env={"TALLYSTICK_URL": node.url})
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == f"Block 1 holds it: {block.hash}\n"
    assert json.loads(as_json.out) == msgspec.to_builtins(block)
    (first, _) = node.asked
    assert (first.method, first.path, first.json) == ("POST", "/mineBlock", {"data": "data"})
    assert first.headers["content-type"] == "application/json"
    assert "authorization" not in first.headers


@pytest.mark.parametrize("data", ["", "two\nlines\n", "é木🌳", "-x", HOSTILE])
def test_mine_takes_stdin_exactly(data: str) -> None:
    with fake_node(always(Answer(msgspec.to_builtins(chain(2)[1])))) as node:
        assert run("mine", "-", "--url", node.url, stdin=data.encode()).code == 0
    assert node.asked[0].json == {"data": data}


def test_mine_refuses_what_is_no_text() -> None:
    ran = run("mine", "-", stdin=b"ab\xff")
    assert ran.code == ExitCode.USAGE
    assert "not UTF-8 text at byte 2" in ran.err
    assert run("mine", "\udcff").code == ExitCode.USAGE
    assert "longer than" in run("mine", "-", stdin=b"x" * (8 * 1024 * 1024 + 1)).err


def test_the_token_is_sent_and_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f" {TOKEN}\n")
    with fake_node(always(problem(403, "no"))) as node:
        ran = run("mine", "x", "--url", node.url, "--token-file", str(file))
        run("mine", "x", "--url", node.url, env={"TALLYSTICK_TOKEN_FILE": str(file)})
    assert [asked.headers["authorization"] for asked in node.asked] == [f"Bearer {TOKEN}"] * 2
    assert TOKEN not in ran.out + ran.err
    assert run("mine", "x", "--token-file", str(tmp_path / "none")).code == ExitCode.USAGE


# --- when it goes wrong -----------------------------------------------------------------------------


def test_no_node_says_how_to_start_one() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        for command in (["status"], ["blocks"], ["mine", "x"], ["peers"], ["forks"], ["block", "1"]):
            ran = run(*command, "--url", f"http://127.0.0.1:{port}")
            assert ran.code == ExitCode.UNREACHABLE
            assert f"tallystick start --port {port}" in ran.err
            assert ran.out == ""
        assert "start" not in run("status", "--url", f"https://127.0.0.1:{port}").err  # TLS takes more to type


def test_a_node_that_does_not_answer_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "ANSWER_TIMEOUT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        ran = run("status", "--url", f"http://127.0.0.1:{deaf.getsockname()[1]}")
    assert ran.code == ExitCode.UNREACHABLE
    assert "did not answer" in ran.err


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (problem(413, "data of 9 characters is too long"), ExitCode.REFUSED, "413: data of 9 characters is too long"),
        (problem(401, "a token is needed"), ExitCode.REFUSED, "--token-file"),
        (problem(503, "it is starting; ask again"), ExitCode.REFUSED, "it is starting"),
        (problem(404, "there is no such block"), ExitCode.NO, "there is no such block"),
        (problem(500, HOSTILE), ExitCode.REFUSED, r"\x1b[2J\r\nforged"),
        (problem(500, "x" * 10_000), ExitCode.REFUSED, "…(+9500 characters)"),
        (Answer({"status": False, "message": "pass value in data key"}, 400), ExitCode.REFUSED, "400"),
        (Answer(b"<h1>nginx</h1>", 502, "text/html"), ExitCode.REFUSED, "502: Bad Gateway"),
        (Answer(b"", 302, headers={"location": "http://example.org"}), ExitCode.UNREACHABLE, "redirects"),
        (Answer(b"<h1>hello</h1>", 200, "text/html"), ExitCode.UNREACHABLE, "does not speak as a Tallystick node"),
        (Answer(b"\xff\xfe"), ExitCode.UNREACHABLE, "does not speak"),
        (Answer(b""), ExitCode.UNREACHABLE, "does not speak"),
        (Answer(b"[" * 100_000), ExitCode.UNREACHABLE, "does not speak"),
        (Answer([1, 2]), ExitCode.UNREACHABLE, "does not speak"),
        (Answer({"index": "1"}), ExitCode.UNREACHABLE, "does not speak"),
    ],
)
def test_whatever_a_node_answers_it_is_a_line_and_a_code(answer: Answer, code: int, words: str) -> None:
    with fake_node(always(answer)) as node:
        ran = run("block", "5", "--url", node.url)
    assert (ran.code, ran.out) == (code, "")
    assert words in ran.err
    assert ran.err.replace("\n", "").isprintable()
    assert ran.err.count("\n") <= 2


def test_an_endless_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "ANSWER_BYTES_MAX", 1_000)
    with fake_node(always(Answer(b" " * 1_001))) as node:
        ran = run("status", "--url", node.url)
    assert ran.code == ExitCode.UNREACHABLE
    assert "longer than 1000 bytes" in ran.err


def test_garbage_instead_of_http() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def babble() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1_000)
                connection.sendall(b"SSH-2.0-OpenSSH\r\n")

        thread = threading.Thread(target=babble)
        thread.start()
        ran = run("status", "--url", f"http://127.0.0.1:{server.getsockname()[1]}")
        thread.join(timeout=30)
    assert ran.code == ExitCode.UNREACHABLE
    assert "broke the connection off" in ran.err


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:3001",
        "ws://127.0.0.1:3001",
        "http://",
        "http://a:b",
        "http://u:p@h",
        "http://h?q",
        "http://h:0",
        f"http://{'a' * 64}:1",
        "\x1b",
    ],
)
def test_a_bad_url_is_refused(url: str) -> None:
    ran = run("status", "--url", url)
    assert ran.code == ExitCode.USAGE
    assert "http://HOST:PORT" in ran.err
    assert ran.err.strip().isprintable()


def test_proxies_are_not_asked_about_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    with fake_node(serving(chain(1))) as node:
        assert run("block", "latest", "--url", node.url).code == 0


# --- blocks -----------------------------------------------------------------------------------------


def test_blocks_shows_the_last_twenty() -> None:
    with fake_node(serving(chain(30))) as node:
        ran = run("blocks", "--url", node.url)
    lines = ran.out.splitlines()
    assert ran.code == 0
    assert lines[0].split() == ["block", "hash", "mined", "size", "data"]
    assert [int(line.split()[0]) for line in lines[1:]] == list(range(10, 30))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--from", "3", "--limit", "2"], [3, 4]),
        (["--from", "28"], [28, 29]),
        (["--limit", "3"], [27, 28, 29]),
        (["--limit", "1000"], list(range(30))),
        (["--all"], list(range(30))),
        (["--from", "30"], []),
    ],
)
def test_blocks_as_json_is_one_array_whatever_the_page(options: list[str], expected: list[int]) -> None:
    blocks = chain(30, HOSTILE)
    for page in (1_000, 7):
        with fake_node(serving(blocks, page)) as node:
            ran = run("blocks", "--json", *options, "--url", node.url)
        assert ran.code == 0
        assert ran.out.isascii()
        assert json.loads(ran.out) == [msgspec.to_builtins(blocks[index]) for index in expected]


def test_blocks_of_an_empty_stretch_says_so() -> None:
    with fake_node(serving(chain(3))) as node:
        ran = run("blocks", "--from", "9", "--url", node.url)
    assert (ran.code, ran.out) == (0, "No blocks from 9 on; the last one is 2.\n")


def test_a_switch_between_two_pages_is_noticed() -> None:
    mixture = chain(10, "one")[:5] + chain(10, "other")[5:]
    with fake_node(serving(mixture, page=5)) as node:
        ran = run("blocks", "--all", "--url", node.url)
    assert ran.code == ExitCode.REFUSED
    assert "another branch" in ran.err


def test_data_of_blocks_commands_no_terminal() -> None:
    """Catalogue rows 17 and 120: control characters of data are escaped where people read them."""
    with fake_node(serving(chain(2, HOSTILE))) as node:
        shown = [run("blocks", "--url", node.url), run("block", "latest", "--url", node.url)]
    for ran in shown:
        assert ran.code == 0
        assert ran.out.replace("\n", "").isprintable()
        assert "[red]line[/red]" in ran.out
        assert r"\x1b[2J" in ran.out


@pytest.mark.parametrize("options", [["--limit", "0"], ["--from", "-1"], ["--from", "x"], ["--all", "--from", "1"]])
def test_bad_ranges_are_refused(options: list[str]) -> None:
    assert run("blocks", *options).code == ExitCode.USAGE


# --- block ------------------------------------------------------------------------------------------


def test_block_shows_an_orphan_and_what_came_of_it() -> None:
    block = chain(2)[1]
    document = {**msgspec.to_builtins(block), "orphaned": True, "mined_again_as": "ab" * 32}
    with fake_node(always(Answer(document))) as node:
        ran = run("block", block.hash, "--url", node.url)
        as_json = run("block", block.hash, "--json", "--url", node.url)
    assert node.asked[0].path == f"/blocks/{block.hash}"
    assert "a longer branch took its place" in ran.out
    assert "ab" * 32 in ran.out
    assert "2023-11-14 22:13:20 UTC" in ran.out
    assert json.loads(as_json.out) == document


def test_what_is_asked_for_cannot_leave_the_path() -> None:
    with fake_node(always(problem(404, "no such block"))) as node:
        assert run("block", "../peers?x#y", "--url", node.url).code == ExitCode.NO
        assert run("remove-peer", "ws://a:1", "--url", node.url).code == ExitCode.NO
    assert [asked.path for asked in node.asked] == ["/blocks/..%2Fpeers%3Fx%23y", "/peers/ws%3A%2F%2Fa%3A1"]


# --- status, peers and forks ------------------------------------------------------------------------


STATUS: Final[dict[str, Any]] = {
    "version": "1.2.3",
    "network": {"kind": "classic", "name": "classic", "id": CLASSIC.id},
    "tip": {"index": 7, "hash": "ab" * 32, "previous_hash": "cd" * 32, "timestamp": 1_700_000_000},
    "uptime_ms": 3_700_000,
    "peers": [
        {
            "address": "127.0.0.1:3002",
            "direction": "outbound",
            "dialled": "ws://localhost:3002",
            "origin": "configured",
            "state": "connected",
            "dialect": "tallystick.1",
            "agent": f"tallystick/1.2.3 {HOSTILE}",
            "key": "cd" * 32,
            "connected_ms": 65_000,
            "next_dial_ms": None,
            "tip": {"index": 6, "hash": "ef" * 32},
            "latency_ms": 12,
            "received_bytes": 1_500,
            "sent_bytes": 2_500_000,
            "last_error": None,
        },
        {
            "address": "ws://10.0.0.1:1",
            "direction": "outbound",
            "dialled": "ws://10.0.0.1:1",
            "state": "waiting",
            "connected_ms": None,
            "next_dial_ms": 1_000,
            "tip": None,
            "last_error": HOSTILE,
        },
    ],
    "dropped": [{"address": "127.0.0.1:5", "rule": "hash-matches-content", "detail": HOSTILE}],
    "connections": 3,
    "key": "ab12" * 16,
    "sync": {"index": 7, "target": 1_000, "blocks_per_second": 33.3, "remaining_ms": 29_700, "peers": 1},
    "addresses": 17,
    "lost_duties": True,
    "data_bytes": 1_234_567,
}


def test_status_in_words_and_in_json() -> None:
    with fake_node(always(Answer(STATUS))) as node:
        ran = run("status", "--url", node.url)
        as_json = run("status", "--json", "--url", node.url)
    assert (ran.code, ran.err) == (0, "")
    for words in (
        "1.2.3", "7  abab", "1 h", "1 connected, 1 being dialled", "1.2 MB", "mined again", "hash-matches",
        "ab12" * 16, "block 7 of 1,000 (0 %), 33 blocks/s, 0:30 left, from 1 peer", "17 found through others",
    ):  # fmt: skip
        assert words in ran.out
    row = next(line for line in ran.out.splitlines() if line.startswith("127.0.0.1:3002"))
    assert row.split()[1:4] == ["out", "tallystick.1", "tallystick/1.2.3"]
    assert row.split()[-7:] == ["6", "12", "ms", "1.5", "kB", "2.5", "MB"]
    assert ran.out.replace("\n", "").isprintable()
    assert json.loads(as_json.out) == STATUS


@pytest.mark.parametrize("number", [-1, 2**53, 10**3_000])
@pytest.mark.parametrize(
    "key", ["uptime_ms", "data_bytes", "index", "timestamp", "connected_ms", "latency_ms", "sent_bytes", "target"]
)
def test_numbers_no_node_can_mean_are_no_answer(key: str, number: int) -> None:
    """They have no date and no size, on some systems not even a float."""
    status: dict[str, Any] = json.loads(json.dumps(STATUS))
    places: list[dict[str, Any]] = [status, status["tip"], status["peers"][0], status["sync"]]
    next(place for place in places if key in place)[key] = number
    with fake_node(always(Answer(status))) as node:
        ran = run("status", "--url", node.url)
    assert (ran.code, ran.out) == (ExitCode.UNREACHABLE, "")
    assert "does not speak as a Tallystick node" in ran.err


def test_peers_in_words_and_in_json() -> None:
    with fake_node(always(Answer(STATUS))) as node:
        ran = run("peers", "--url", node.url)
        as_json = run("peers", "--json", "--url", node.url)
    assert ran.out.splitlines()[1].split() == ["ws://localhost:3002", "outbound", "connected", "1", "min", "6"]
    assert r"\x1b[2J\r\nforged" in ran.out
    assert json.loads(as_json.out) == STATUS["peers"]
    with fake_node(always(Answer({**STATUS, "peers": []}))) as node:
        assert "add-peer" in run("peers", "--url", node.url).out


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sync": None}, "at the tip of its peers"),
        ({"sync": None, "peers": STATUS["peers"][1:]}, "no peer is connected"),
        ({"sync": None, "peers": [{**STATUS["peers"][0], "tip": None}]}, "no peer has told its tip yet"),
        (
            {"sync": None, "peers": [{**STATUS["peers"][0], "tip": {"index": 8_000, "hash": "ef" * 32}}]},
            "a peer says that it has block 8,000",
        ),
        (
            {"sync": {"index": 5, "target": 9, "blocks_per_second": 0.0, "remaining_ms": None, "peers": 0}},
            "block 5 of 9 (55 %), 0 blocks/s, from 0 peers",
        ),
    ],
)
def test_status_says_how_far_the_node_is_behind(changes: dict[str, Any], words: str) -> None:
    with fake_node(always(Answer({**STATUS, **changes}))) as node:
        ran = run("status", "--url", node.url)
    assert re.search(rf"^sync +{re.escape(words)}$", ran.out, re.MULTILINE)


def test_the_state_of_an_older_node_is_shown_too() -> None:
    added = {"key", "sync", "addresses"}
    with fake_node(always(Answer({key: value for key, value in STATUS.items() if key not in added}))) as node:
        assert run("status", "--url", node.url).code == 0


def test_forks_show_what_was_removed_and_what_came_instead() -> None:
    fork, lost = chain(2)
    header = {"index": 0, "hash": fork.hash, "previous_hash": "0", "timestamp": fork.timestamp}
    shown = {**msgspec.to_builtins(lost), "data": HOSTILE, "orphaned": True, "mined_again_as": "ab" * 32}
    document = [{"fork": header, "tip": {**header, "index": 1, "hash": lost.hash}, "blocks": [shown]}]
    with fake_node(always(Answer([*document, {**document[0], "fork": None}]))) as node:
        ran = run("forks", "--url", node.url)
        as_json = run("forks", "--json", "--url", node.url)
    assert "Branch of 1 block, split off after block 0:" in ran.out
    assert "below what is still kept" in ran.out
    assert lost.hash[:12] in ran.out
    assert "abababababab" in ran.out
    assert ran.out.replace("\n", "").isprintable()
    assert json.loads(as_json.out)[0] == document[0]
    with fake_node(always(Answer([]))) as node:
        assert "No branches" in run("forks", "--url", node.url).out


# --- peers ------------------------------------------------------------------------------------------


def test_add_and_remove_a_peer() -> None:
    with fake_node(always(Answer({"status": True}))) as node:
        added = run("add-peer", "ws://127.0.0.1:3002", "--url", node.url)
        removed = run("remove-peer", "ws://127.0.0.1:3002", "--url", node.url)
    with fake_node(always(Answer(b"", 204))) as quiet:
        assert run("remove-peer", "127.0.0.1:3002", "--json", "--url", quiet.url).code == 0
    assert (added.code, removed.code) == (0, 0)
    assert "ws://127.0.0.1:3002" in added.out
    assert [(asked.method, asked.path) for asked in node.asked] == [
        ("POST", "/addPeer"),
        ("DELETE", "/peers/ws%3A%2F%2F127.0.0.1%3A3002"),
    ]
    assert node.asked[0].json == {"peer": "ws://127.0.0.1:3002"}


# --- bans -------------------------------------------------------------------------------------------


def test_ban_and_unban() -> None:
    with fake_node(always(Answer({"status": True}))) as node:
        banned = run("ban", "2001:db8::1", "--url", node.url)
        lifted = run("unban", "2001:db8::1", "--url", node.url)
        as_json = [run(command, "ab" * 32, "--json", "--url", node.url) for command in ("ban", "unban")]
    with fake_node(always(Answer(b"", 204))) as quiet:
        assert run("unban", "10.0.0.1", "--json", "--url", quiet.url).code == 0
    assert (banned.code, lifted.code) == (0, 0)
    assert "The node keeps 2001:db8::1 out" in banned.out
    assert "lets 2001:db8::1 in again" in lifted.out
    assert [json.loads(ran.out) for ran in as_json] == [{"status": True}] * 2
    assert [(asked.method, asked.path) for asked in node.asked[:2]] == [
        ("POST", "/bans"),
        ("DELETE", "/bans/2001%3Adb8%3A%3A1"),
    ]
    assert node.asked[0].json == {"subject": "2001:db8::1"}


def test_what_the_node_says_of_a_bad_ban_is_told() -> None:
    with fake_node(always(problem(400, "'x' is neither a node key nor an address"))) as node:
        ran = run("ban", "x", "--url", node.url)
    assert (ran.code, ran.out) == (ExitCode.REFUSED, "")
    assert "neither a node key" in ran.err
    with fake_node(always(problem(404, "10.0.0.1 is not kept out"))) as node:
        assert run("unban", "10.0.0.1", "--url", node.url).code == ExitCode.NO


def test_the_banned_are_listed() -> None:
    bans = [
        {"subject": "ab" * 32, "manual": True, "remaining_ms": None},
        {"subject": f"10.0.0.1{HOSTILE}", "manual": False, "remaining_ms": 7_200_000},
    ]
    with fake_node(always(Answer(bans))) as node:
        ran = run("peers", "--banned", "--url", node.url)
        as_json = run("peers", "--banned", "--json", "--url", node.url)
    assert [asked.path for asked in node.asked] == ["/bans", "/bans"]
    assert ran.out.splitlines()[1].split() == ["ab" * 32, "ever", "manual"]
    assert ran.out.splitlines()[2].split()[-3:] == ["2", "h", "rule"]
    assert ran.out.replace("\n", "").isprintable()
    assert json.loads(as_json.out) == bans
    with fake_node(always(Answer([]))) as node:
        assert "Nobody is kept out" in run("peers", "--banned", "--url", node.url).out
    with fake_node(always(Answer([{"subject": 1}]))) as node:
        assert run("peers", "--banned", "--url", node.url).code == ExitCode.UNREACHABLE
