"""search, against a node that answers as a test tells it to."""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest

from tallystick.cli.exits import ExitCode

from .fake_node import Answer, Asked, Respond, fake_node, problem
from .running import run

HOSTILE: Final = "\x1b[2J\r\nforged [red]line[/red] \u202e\x9b31m"


def match(place: int, *, classic: bool = False) -> dict[str, Any]:
    block = {"index": place if classic else place // 2, "hash": "ab" * 32, "timestamp": 1_700_000_000}
    more = {"id": None, "position": None} if classic else {"id": f"r-{place}", "position": place}
    return {"block": block, **more, "excerpt": HOSTILE}


def ledger(size: int, *, classic: bool = False, stretch: int = 10) -> Respond:
    """A node in whose ledger each third of so many pieces is one that is sought."""

    def respond(asked: Asked) -> Answer:
        query = parse_qs(urlsplit(asked.path).query, strict_parsing=True)
        assert query["text"] == ["% Straße_&"]
        before = min(int(query.get("before", [str(size)])[0]), size)
        limit, searched = int(query["limit"][0]), 0
        assert 1 <= limit <= 50
        matches: list[dict[str, Any]] = []
        while before > 0 and searched < stretch and len(matches) < limit:
            before, searched = before - 1, searched + 1
            matches += [match(before, classic=classic)] if before % 3 == 0 else []
        return Answer({"matches": matches, "before": before or None, "searched": searched})

    return respond


@pytest.mark.parametrize("classic", [False, True])
@pytest.mark.parametrize(
    ("options", "expected", "left"),
    [
        ([], range(99, 41, -3), 42),
        (["--limit", "2"], range(99, 95, -3), 96),
        (["--limit", "50"], range(99, -1, -3), None),
        (["--limit", "200"], range(99, -1, -3), None),
        (["--before", "5"], range(3, -1, -3), None),
        (["--before", "0"], range(0), None),
    ],
)
def test_it_goes_on_until_there_are_enough_or_nothing_is_left(
    options: list[str], expected: range, left: int | None, *, classic: bool
) -> None:
    with fake_node(ledger(100, classic=classic)) as node:
        ran = run("search", "% Straße_&", *options, "--url", node.url)
        as_json = run("search", "% Straße_&", *options, "--json", "--url", node.url)
    assert (ran.code, as_json.code) == (0, 0)
    assert json.loads(as_json.out) == [match(place, classic=classic) for place in expected]
    more = "" if left is None else f"tallystick: older ones may be left; to go on: --before {left}\n"
    assert ran.err == as_json.err == more
    if not expected:
        assert ran.out == "Nothing was found.\n"
        return
    lines = ran.out.splitlines()
    assert lines[0].split() == ["block", "excerpt"] if classic else ["position", "record", "block", "excerpt"]
    assert [int(line.split()[0]) for line in lines[1:]] == list(expected)
    assert ran.out.replace("\n", "").isprintable()


def test_what_is_no_text_is_not_sent() -> None:
    with fake_node(ledger(1)) as node:
        ran = run("search", "\udcff", "--url", node.url)
        assert (ran.code, node.asked) == (ExitCode.USAGE, [])
        assert "is no text in UTF-8" in ran.err


def test_what_the_node_refuses_is_said() -> None:
    with fake_node(lambda _: problem(400, "text is too long; give 1 to 100")) as node:
        ran = run("search", "x" * 101, "--url", node.url)
    assert (ran.code, "give 1 to 100" in ran.err) == (ExitCode.REFUSED, True)


def test_a_node_that_leads_in_a_circle_is_left() -> None:
    with fake_node(lambda _: Answer({"matches": [], "before": 7, "searched": 1})) as node:
        ran = run("search", "x", "--url", node.url)
        assert (ran.code, len(node.asked)) == (ExitCode.UNREACHABLE, 2)
    assert "does not speak as a Tallystick node" in ran.err
