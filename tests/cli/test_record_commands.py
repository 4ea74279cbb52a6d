"""post, record, records, prove and erase, against a node that answers as a test tells it to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest

from tallystick.cli.exits import ExitCode

from .fake_node import Answer, Asked, Respond, fake_node, problem
from .running import run

HOSTILE: Final = "\x1b[2J\r\nforged [red]line[/red] \u202e\x9b31m"
BLOCK: Final = {"index": 7, "hash": "ab" * 32, "previous_hash": "cd" * 32, "timestamp": 1_700_000_000_123}
COMMIT: Final = "A" * 43
PROOF: Final = {"format": "tallystick-proof/1", "data": {"n": [1, 1.5, "ü"]}, "position": 3}


def stored(id: str = "invoice-17", **changes: object) -> dict[str, Any]:
    return {
        "commit": COMMIT,
        "id": id,
        "salt": "B" * 22,
        "data": {"text": HOSTILE},
        "status": "included",
        "block": BLOCK,
        "position": 3,
    } | changes


PENDING: Final = stored(status="pending", block=None, position=None)
ERASED: Final = {key: value for key, value in stored(erased=True).items() if key not in {"salt", "data"}}


def always(answer: Answer) -> Respond:
    return lambda _asked: answer


# --- post -------------------------------------------------------------------------------------------


def posted(*ids: str, status: str = "pending") -> Answer:
    entries = [{"commit": COMMIT, "id": id, "status": status, "href": f"/records/{id}"} for id in ids]
    return Answer({"records": entries}, 202)


def test_post_puts_text_into_the_pool_and_says_so() -> None:
    with fake_node(always(posted("a", "b"))) as node:
        ran = run("post", "one", "{}", "--url", node.url)
        as_json = run("post", "one", "--json", "--url", node.url)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == "Record a waits to be sealed.\nRecord b waits to be sealed.\n"
    assert json.loads(as_json.out)["records"][0]["id"] == "a"
    first = node.asked[0]
    assert (first.method, first.path) == ("POST", "/records")
    assert first.headers["content-type"] == "application/json"
    assert first.json == [{"data": "one"}, {"data": "{}"}]


def test_post_takes_json_exactly_as_it_stands() -> None:
    with fake_node(always(posted("a"))) as node:
        assert run("post", '{"b": 1.50, "a": [9007199254740993]}', "--as-json", "--url", node.url).code == 0
    assert b'"data":{"b": 1.50, "a": [9007199254740993]}' in node.asked[0].body


def test_post_takes_stdin_and_files_exactly(tmp_path: Path) -> None:
    file = tmp_path / "file"
    for text in ("", "two\nlines\n", "é木🌳", HOSTILE):
        file.write_bytes(text.encode())
        with fake_node(always(posted("a"))) as node:
            assert run("post", "-", "--url", node.url, stdin=text.encode()).code == 0
            assert run("post", "--file", str(file), "--id", "x:1", "--url", node.url).code == 0
        assert [asked.json for asked in node.asked] == [
            {"data": text},
            {"id": "x:1", "data": text},
        ]


def test_a_record_that_is_sealed_already_says_so() -> None:
    with fake_node(always(posted("a", status="included"))) as node:
        assert run("post", "x", "--id", "a", "--url", node.url).out == "Record a is in a block already.\n"
    with fake_node(always(posted())) as node:
        assert run("post", "x", "--url", node.url).code == ExitCode.UNREACHABLE


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "say what to record"),
        (["x", "--file", "y"], "one of them"),
        (["x", "y", "--id", "z"], "--id names one record"),
        (["{", "--as-json"], "not JSON"),
        (["[" * 5_000, "--as-json"], "not JSON"),
        (["\udcff"], "not UTF-8"),
        (["x"] * 1_001, "at most 1,000"),
        (["x" * 5_000_000, "x" * 5_000_000], "a node takes 8,388,608"),
    ],
)
def test_what_cannot_be_posted_is_refused_here(arguments: list[str], words: str) -> None:
    ran = run("post", *arguments)
    assert (ran.code, ran.out) == (ExitCode.USAGE, "")
    assert words in ran.err


def test_what_the_node_refuses_is_told() -> None:
    with fake_node(always(problem(409, "the id 'a' names a record with other data"))) as node:
        ran = run("post", "x", "--id", "a\x1b\udcff", "--url", node.url)
    assert ran.code == ExitCode.REFUSED
    assert "with other data" in ran.err


# --- record and records -----------------------------------------------------------------------------


def test_record_shows_where_it_stands_and_what_it_holds() -> None:
    with fake_node(always(Answer({"records": [stored(), PENDING, ERASED, stored(data="plain\ntext")]}))) as node:
        ran = run("record", "invoice-17", "--url", node.url)
        as_json = run("record", "invoice-17", "--json", "--url", node.url)
    assert ran.code == 0
    for words in (
        "in a block", "7  " + "ab" * 32, "2023-11-14 22:13:20.123 UTC", "3 in the log", COMMIT, "waits to be sealed",
        "erased here", "\nplain\ntext\n", r"\u001b[2J",
    ):  # fmt: skip
        assert words in ran.out
    assert ran.out.replace("\n", "").isprintable()
    assert len(json.loads(as_json.out)["records"]) == 4
    with fake_node(always(problem(404, "no record here has the id 'x'"))) as node:
        assert run("record", "x", "--url", node.url).code == ExitCode.NO
    assert node.asked[0].path == "/records/x"


@pytest.mark.parametrize("command", ["record", "prove", "erase"])
@pytest.mark.parametrize("id", ["", ".", "..", "../x", "a/b", "a?b", "x" * 129, "\u00e9"])
def test_what_can_be_no_id_is_not_asked_for(command: str, id: str) -> None:
    """It would be another URL."""
    with fake_node(always(Answer({"status": True}))) as node:
        assert run(command, id, "--url", node.url).code == ExitCode.USAGE
    assert node.asked == []


@pytest.mark.parametrize("command", ["record", "prove", "erase"])
def test_an_answer_that_says_nothing_is_none(command: str) -> None:
    with fake_node(always(Answer({"records": []}))) as node:
        ran = run(command, "x", "--url", node.url)
    assert (ran.code, ran.out) == (ExitCode.UNREACHABLE, "")


def log(count: int, page: int = 1_000) -> Respond:
    """A node whose log holds so many records, at most `page` of them an answer."""

    def respond(asked: Asked) -> Answer:
        parts = urlsplit(asked.path)
        if parts.path == "/blocks/latest":
            return Answer({**BLOCK, "records": [], "log_size": count})
        query = parse_qs(parts.query)
        after, limit = int(query["after"][0]), int(query["limit"][0])
        assert 1 <= limit <= 1_000
        return Answer([stored(f"r-{n}", position=n) for n in range(after, min(count, after + min(limit, page)))])

    return respond


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], range(10, 30)),
        (["--limit", "3"], range(27, 30)),
        (["--after", "3", "--limit", "2"], range(3, 5)),
        (["--after", "28"], range(28, 30)),
        (["--limit", "1000"], range(30)),
        (["--after", "30"], range(0)),
    ],
)
def test_records_are_listed_page_by_page(options: list[str], expected: range) -> None:
    for page in (1_000, 7):
        with fake_node(log(30, page)) as node:
            ran = run("records", *options, "--url", node.url)
            as_json = run("records", *options, "--json", "--url", node.url)
        assert ran.code == 0
        assert [record["position"] for record in json.loads(as_json.out)] == list(expected)
        if expected:
            lines = ran.out.splitlines()
            assert lines[0].split() == ["position", "record", "block", "size", "data"]
            assert [int(line.split()[0]) for line in lines[1:]] == list(expected)
            assert ran.out.replace("\n", "").isprintable()
        else:
            assert ran.out == "No records after 30; the log holds 30.\n"


# --- prove ------------------------------------------------------------------------------------------


def test_prove_prints_the_proof_of_the_record_that_is_in_a_block() -> None:
    answer = {"records": [PENDING, stored(proof=PROOF)]}
    with fake_node(always(Answer(answer))) as node:
        ran = run("prove", "invoice-17", "--url", node.url)
        run("prove", "a:b", "--block", "latest&x", "--url", node.url)
    assert (ran.code, ran.err) == (0, "")
    assert json.loads(ran.out) == PROOF
    assert ran.out.isascii()
    assert node.asked[0].path == "/records/invoice-17?block=latest"
    assert node.asked[1].path == "/records/a:b?block=latest%26x"


def test_a_record_in_no_block_cannot_be_proven() -> None:
    with fake_node(always(Answer({"records": [PENDING]}))) as node:
        ran = run("prove", "invoice-17", "--url", node.url)
    assert (ran.code, ran.out) == (ExitCode.NO, "")
    assert "in no block yet" in ran.err
    assert "tallystick record invoice-17" in ran.err
    with fake_node(always(Answer({"records": [stored(proof=None)]}))) as node:
        ran = run("prove", "invoice-17", "--block", "5", "--url", node.url)
    assert ran.code == ExitCode.NO
    assert "no proof" in ran.err


def test_of_two_records_with_one_id_the_first_is_proven_and_it_is_said() -> None:
    answer = {"records": [stored(proof=PROOF), stored(proof={}, position=9)]}
    with fake_node(always(Answer(answer))) as node:
        ran = run("prove", "invoice-17", "--url", node.url)
    assert json.loads(ran.out) == PROOF
    assert "2 records have the id invoice-17; this proves the one at position 3" in ran.err


# --- erase ------------------------------------------------------------------------------------------


def test_erase_does_not_ask_a_script() -> None:
    with fake_node(always(Answer({"status": True}))) as node:
        ran = run("erase", "invoice-17", "--url", node.url)
        as_json = run("erase", "a:b", "--yes", "--json", "--url", node.url)
    assert ran == (0, "The node has forgotten what record invoice-17 holds. Its id and commitment stay.\n", "")
    assert json.loads(as_json.out) == {"status": True}
    assert [(asked.method, asked.path) for asked in node.asked] == [
        ("DELETE", "/records/invoice-17"),
        ("DELETE", "/records/a:b"),
    ]


@pytest.mark.parametrize(("said", "erased"), [("y\n", True), ("n\n", False), ("\n", False), ("", False)])
def test_erase_asks_a_person(monkeypatch: pytest.MonkeyPatch, said: str, *, erased: bool) -> None:
    monkeypatch.setattr("tallystick.cli.erase.is_person", lambda: True)
    with fake_node(always(Answer({"status": True}))) as node:
        ran = run("erase", "invoice-17", "--url", node.url, stdin=said)
        assert run("erase", "invoice-17", "--yes", "--url", node.url, stdin="").code == 0
    assert len(node.asked) == 1 + erased
    assert (ran.code == 0) is erased
    assert "Erase the data of record invoice-17" in ran.err
