"""Searching, without a socket: through stretches, errors, and answers that lead nowhere."""

from __future__ import annotations

from typing import Any

import pytest

from tallystick.client.errors import ClientError, Misuse, Refused, Unreachable, Unreadable
from tallystick.client.flows import Core
from tallystick.client.requests import Answer, Request
from tests.storage.sealed_blocks import record

from .ledger import Driver, Ledger, ok, problem

GONE = Unreachable("http://a", "it hung up")


def grown() -> Ledger:
    """Twelve records in four blocks, every fourth a fish."""
    ledger = Ledger()
    for block in range(4):
        ledger.seal(*(record(f"r{block}{n}", "Fish" if (3 * block + n) % 4 == 0 else "bird") for n in range(3)))
    return ledger


def test_all_matches_come_newest_first_through_stretches_without_any() -> None:
    ledger = grown()
    made = Driver(ledger.answer)
    found = made.walk(made.core.search("fish", None))
    assert [each.place for each in found] == [8, 4, 0]
    assert [each.block.hash for each in found] == [ledger.log[place][1].hash for place in (8, 4, 0)]
    assert [request.query.get("before") for request in ledger.asked] == [None, "9", "6", "3"]
    assert [each.place for each in made.walk(made.core.search("fish", found[0].place))] == [4, 0]
    assert made.walk(made.core.search("no such", None)) == made.walk(made.core.search("fish", 0)) == []


def test_a_page_is_asked_for_when_somebody_wants_it() -> None:
    ledger = grown()
    made = Driver(ledger.answer)
    assert len(made.walk(made.core.search("fish", None), most=1)) == 1
    assert len(ledger.asked) == 2


def test_a_stretch_whose_answer_was_lost_is_asked_for_again() -> None:
    ledger = grown()
    lost: list[Answer | ClientError] = [GONE, problem(503, "busy", "0"), GONE]

    def respond(request: Request) -> Answer | ClientError:
        answer = ledger.answer(request)
        return lost.pop() if lost and len(ledger.asked) % 2 else answer

    made = Driver(respond)
    assert [each.place for each in made.walk(made.core.search("fish", None))] == [8, 4, 0]
    assert lost == []


def test_a_switch_of_branches_in_between_changes_nothing_below_it() -> None:
    ledger = grown()
    made = Driver(ledger.answer)
    course = made.core.search("fish", None)
    assert [each.place for each in made.walk(course, most=1)] == [8]
    del ledger.chain[3:]
    ledger.seal(record("new", "fish"))
    assert [each.place for each in made.walk(made.core.search("fish", 8))] == [6, 4, 0]


@pytest.mark.parametrize(("text", "before"), [("\ud800", None), (b"bytes", None), ("fish", -1)])
def test_what_cannot_be_asked_is_not_sent(text: Any, before: int | None) -> None:  # noqa: ANN401
    made = Driver(lambda _: pytest.fail("sent"))
    with pytest.raises(Misuse):
        made.walk(Core().search(text, before))


def test_what_a_node_refuses_is_raised() -> None:
    made = Driver(lambda _: problem(400, "bad-parameter"))
    with pytest.raises(Refused):
        made.walk(made.core.search("x" * 101, None))


def match(position: int | None, index: int = 0) -> dict[str, Any]:
    block = {"index": index, "hash": "ab" * 32, "timestamp": 1_700_000_000}
    return {"block": block, "id": None if position is None else "r", "position": position, "excerpt": "x"}


@pytest.mark.parametrize(
    ("matches", "before"),
    [
        ([], 50),
        ([], 51),
        ([match(50)], None),
        ([match(7), match(7)], None),
        ([match(7), match(8)], None),
        ([match(7)], 8),
        ([match(None, 50)], None),
        ([match(-1)], None),
        ([match(7)], -1),
    ],
)
def test_a_node_that_leads_in_a_circle_is_found_out(matches: list[dict[str, Any]], before: int | None) -> None:
    made = Driver(lambda _: ok({"matches": matches, "before": before, "searched": 1}))
    with pytest.raises(Unreadable):
        made.walk(made.core.search("fish", 50))


@pytest.mark.parametrize("said", [[], {}, {"matches": None, "before": None, "searched": 0}, {"matches": [{}]}, "x"])
def test_what_is_no_answer_to_a_search_is_refused(said: object) -> None:
    made = Driver(lambda _: ok(said))
    with pytest.raises(Unreadable):
        made.walk(made.core.search("fish", None))
