"""The one table, and the form of every refusal."""

from __future__ import annotations

import json

import pytest
from sanic.exceptions import MethodNotAllowed, NotFound, PayloadTooLarge, SanicException
from structlog.testing import capture_logs

from tallystick.api.answers import Answer
from tallystick.api.problems import TABLE, Fault, Refusal, problem, problem_of
from tallystick.errors import Rule, RuleViolation, StoreError, StoreFullError


def members(answer: Answer) -> dict[str, object]:
    document: dict[str, object] = json.loads(answer.body or b"")
    return document


@pytest.mark.parametrize("what", [*Rule, *Fault])
def test_every_rule_and_fault_has_a_status_and_a_document(what: Rule | Fault) -> None:
    answer = problem(what, "the detail")
    document = members(answer)
    assert 400 <= answer.status < 600
    assert document["type"] == f"urn:tallystick:problem:{what.value}"
    assert document["title"] == TABLE[what].title
    assert document["detail"] == "the detail"
    assert document.get("rule") == (what.value if isinstance(what, Rule) else None)
    assert document["status"] == (answer.status if what is not Fault.DATA_MISSING else False)
    assert b"\r\ncontent-type: application/problem+json\r\n" in answer.head()


def test_no_two_problems_share_a_type() -> None:
    assert len({str(what) for what in TABLE}) == len(TABLE) == len(Rule) + len(Fault)


def test_the_book_keeps_its_two_keys() -> None:
    document = members(problem(Fault.DATA_MISSING, "d"))
    assert document["status"] is False
    assert document["message"] == "pass value in data key"


def test_what_errors_become() -> None:
    cases: list[tuple[Exception, int, str]] = [
        (Refusal(Fault.NOT_JSON, "d"), 400, "not-json"),
        (RuleViolation(Rule.DATA_WITHIN_SIZE, "d"), 413, "data-within-size"),
        (StoreError("/var/lib/secret is gone"), 503, "store-failed"),
        (StoreFullError("/var/lib/secret is full"), 503, "store-full"),
        (NotFound("/x"), 404, "no-such-path"),
        (MethodNotAllowed("m", "PUT", ("POST", "GET")), 405, "method-not-allowed"),
        (PayloadTooLarge("p"), 413, "body-too-large"),
        (SanicException("teapot", status_code=418), 500, "internal"),
        (ZeroDivisionError("secret"), 500, "internal"),
    ]
    for error, status, kind in cases:
        answer = problem_of(error)
        assert (answer.status, members(answer)["type"]) == (status, f"urn:tallystick:problem:{kind}")
        assert b"secret" not in (answer.body or b"")
    assert b"\r\nallow: GET, POST\r\n" in problem_of(cases[5][0]).head()
    assert problem_of(PayloadTooLarge("p"), head_was_read=False).status == 431


def test_our_bugs_are_logged_in_full_and_shown_to_nobody() -> None:
    """Catalogue row 122: no traceback leaves the node."""
    with capture_logs() as logs:
        answer = problem_of(KeyError("secret"))
    assert b"secret" not in (answer.body or b"")
    assert b"Traceback" not in (answer.body or b"")
    assert [repr(entry["exc_info"]) for entry in logs] == ["KeyError('secret')"]
