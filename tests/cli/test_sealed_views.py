"""What people are shown of a network whose blocks hold records: blocks, forks, status, and mine."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from tallystick.cli import view
from tallystick.cli.exits import ExitCode
from tallystick.client.answers import Mining

from .fake_node import Answer, Asked, Respond, fake_node
from .running import run
from .test_client_commands import STATUS

HOSTILE: Final = "\x1b[2J\r\n[red]x[/red]\u202e"
TIME_MS: Final = 1_700_000_000_123
ERASED: Final = {"commit": "A" * 43, "id": "gone", "erased": True}


def record(number: int, data: object = HOSTILE) -> dict[str, Any]:
    return {"commit": "A" * 43, "id": f"r-{number}", "salt": "B" * 22, "data": data}


def block(index: int = 7, *records: dict[str, Any], **changes: object) -> dict[str, Any]:
    return {
        "index": index,
        "previous_hash": f"{index - 1:064x}",
        "timestamp": TIME_MS,
        "records": list(records),
        "log_size": 100,
        "log_root": "cd" * 32,
        "body_hash": "ef" * 32,
        "seal": "1f00ffff0000000000000005",
        "hash": f"{index:064x}",
    } | changes


def always(answer: object) -> Respond:
    return lambda _asked: Answer(answer)


# --- blocks -----------------------------------------------------------------------------------------


def test_a_sealed_block_is_shown_with_its_records() -> None:
    shown = block(7, record(1), record(2, {"n": [1.5, None]}), ERASED)
    with fake_node(always(shown)) as node:
        ran = run("block", "7", "--url", node.url)
        as_json = run("block", "7", "--json", "--url", node.url)
    assert ran.code == 0
    for words in (
        "2023-11-14 22:13:20.123 UTC",
        "100 records, root " + "cd" * 32,
        r"\x1b[2J",
        '{"n": [1.5, null]}',
        "(erased)",
    ):
        assert words in ran.out
    assert ran.out.replace("\n", "").isprintable()
    assert json.loads(as_json.out) == shown


def test_of_a_large_block_some_records_are_shown_and_the_others_counted() -> None:
    with fake_node(always(block(7, *map(record, range(150))))) as node:
        out = run("block", "7", "--url", node.url).out
    assert "r-99" in out
    assert "r-100" not in out
    assert "50 records more" in out
    with fake_node(always(block(7))) as node:
        assert "It holds no records." in run("block", "7", "--url", node.url).out


def test_an_orphan_lost_to_more_work() -> None:
    with fake_node(always(block(7, orphaned=True, mined_again_as=None))) as node:
        assert "a branch with more work took its place" in run("block", "7", "--url", node.url).out


def chain(count: int) -> Respond:
    blocks = [block(index, *map(record, range(index % 3))) for index in range(count)]

    def respond(asked: Asked) -> Answer:
        if asked.path == "/blocks/latest":
            return Answer(blocks[-1])
        first = int(asked.path.partition("from=")[2].partition("&")[0])
        return Answer(blocks[first : first + 4])

    return respond


def test_sealed_blocks_are_listed() -> None:
    with fake_node(chain(30)) as node:
        ran = run("blocks", "--url", node.url)
        as_json = run("blocks", "--all", "--json", "--url", node.url)
    lines = ran.out.splitlines()
    assert lines[0].split() == ["block", "hash", "mined", "records", "size", "data"]
    assert [int(line.split()[0]) for line in lines[1:]] == list(range(10, 30))
    assert [line.split()[5] for line in lines[1:4]] == ["1", "2", "0"]
    assert ran.out.replace("\n", "").isprintable()
    assert json.loads(as_json.out) == [block(index, *map(record, range(index % 3))) for index in range(30)]


def test_forks_of_sealed_blocks() -> None:
    header: dict[str, Any] = {"index": 6, "hash": "ab" * 32, "previous_hash": "cd" * 32, "timestamp": TIME_MS}
    tip: dict[str, Any] = header | {"index": 7}
    lost = block(7, record(1), orphaned=True, mined_again_as=None)
    with fake_node(always([{"fork": header, "tip": tip, "blocks": [lost]}])) as node:
        ran = run("forks", "--url", node.url)
    assert ran.code == 0
    assert "split off after block 6" in ran.out
    assert r"\x1b[2J" in ran.out


@pytest.mark.parametrize(
    "changes",
    [
        {"records": None},
        {"records": {}},
        {"data": "x"},
        {"timestamp": 10**13},
        {"records": [{"id": 5}]},
        {"log_size": -1},
    ],
)
def test_what_no_node_sends_is_no_block(changes: dict[str, object]) -> None:
    with fake_node(always(block(7) | changes)) as node:
        assert run("block", "7", "--url", node.url).code == ExitCode.UNREACHABLE


# --- status -----------------------------------------------------------------------------------------

POOL: Final[dict[str, Any]] = {"records": 1_234, "bytes": 67_108_864, "most_bytes": 134_217_728}
MINING: Final[dict[str, Any]] = {
    "bits": "1f00ffff",
    "difficulty": 12.5,
    "expected_hashes": 60_000_000,
    "is_mining": True,
    "hashes_per_second": 1_500_000.0,
    "expected_ms": 40_000,
}


def test_status_tells_of_the_pool_and_of_mining() -> None:
    shown = {**STATUS, "tip": {**STATUS["tip"], "timestamp": TIME_MS}, "pool": POOL, "mining": MINING}
    with fake_node(always(shown)) as node:
        ran = run("status", "--url", node.url)
        as_json = run("status", "--json", "--url", node.url)
    assert "1,234 records to be sealed (50 % full)" in ran.out
    assert "1.5 M hashes/s; difficulty 12.5, 60.0 M hashes a block, 40 s each on average" in ran.out
    assert "22:13:20.123 UTC" in ran.out
    assert json.loads(as_json.out) == shown


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"is_mining": False, "hashes_per_second": None, "expected_ms": None}, "not here; difficulty 12.5"),
        ({"hashes_per_second": 0.0, "expected_ms": None}, "here; difficulty 12.5, 60.0 M"),
        ({"expected_hashes": 2**80, "difficulty": 2e6}, "difficulty 2e+06, 1,208,925.8 E hashes a block"),
        ({"expected_ms": 7_200_000}, "2 h each on average"),
    ],
)
def test_mining_in_words(changes: dict[str, object], words: str) -> None:
    shown = {**STATUS, "pool": {**POOL, "records": 0}, "mining": {**MINING, **changes}}
    with fake_node(always(shown)) as node:
        ran = run("status", "--url", node.url)
    assert words in ran.out


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0"), (999, "999"), (1_000, "1.0 k"), (2.5e9, "2.5 G"), (1e12, "1.0 T"), (3e15, "3.0 P")]
)
def test_numbers_as_miners_write_them(number: float, words: str) -> None:
    assert view.scaled(number) == words
    assert words in view.mining_state(Mining(1, number, is_mining=False))


# --- mine -------------------------------------------------------------------------------------------


def test_mine_waits_for_the_block() -> None:
    with fake_node(always(block(7, record(1)))) as node:
        ran = run("mine", "x", "--wait", "2.5", "--url", node.url)
    assert ran.out == f"Block 7 holds it: {7:064x}\n"
    assert node.asked[0].path == "/mineBlock?wait=2.5"
    assert run("mine", "x", "--wait", "-1").code == ExitCode.USAGE
    assert run("mine", "x", "--wait", "301").code == ExitCode.USAGE


def test_mine_tells_what_waits_when_no_block_came() -> None:
    pending = {"records": [{"commit": "A" * 43, "id": "r-1", "status": "pending", "href": "/records/r-1"}]}
    with fake_node(lambda _asked: Answer(pending, 202)) as node:
        ran = run("mine", "x", "--url", node.url)
        as_json = run("mine", "x", "--json", "--url", node.url)
    assert ran.code == 0
    assert "No block holds it yet; it waits to be sealed, as record r-1" in ran.out
    assert "tallystick record r-1" in ran.out
    assert json.loads(as_json.out) == pending
    assert node.asked[0].path == "/mineBlock"
