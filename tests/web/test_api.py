"""The page on the API: all of it is there, and can be tried out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tallystick.testing.local import LocalLedger
from tests.web.browsing import Guard
from tests.web.nodes import asked, one_node
from tests.web.reading import arrived, heading, visit


@pytest.fixture(scope="module")
def ledger() -> Iterator[LocalLedger]:
    with one_node() as ledger:
        ledger.client.wait(ledger.client.post("text", id="text").id)
        yield ledger


def operation(page: Page, method: str, path: str) -> Locator:
    """Opened."""
    found = page.locator("details.operation").filter(has=page.get_by_text(path, exact=True))
    found = found.filter(has=page.locator(f".method.{method}"))
    found.locator("summary").first.click()
    return found


def test_every_operation_of_the_document_is_there_and_opens(page: Page, ledger: LocalLedger) -> None:
    visit(page, ledger, "/api")
    operations = {
        (method, path)
        for path, methods in asked(ledger, "/openapi.json")["paths"].items()
        for method in methods
        if method in {"get", "post", "delete", "put", "patch"}
    }
    page.evaluate("() => document.querySelectorAll('details.operation').forEach((each) => { each.open = true })")
    parts = page.locator("details.operation")
    expect(parts.locator("form.try")).to_have_count(len(operations))
    shown = {
        (each.locator(".method").inner_text().lower(), each.locator("summary code").inner_text())
        for each in parts.all()
    }
    assert shown == operations
    assert all(text.startswith("curl ") for text in page.locator("code.command").all_inner_texts())


def test_a_question_is_sent_and_its_answer_shown(page: Page, ledger: LocalLedger) -> None:
    visit(page, ledger, "/api")
    part = operation(page, "get", "/blocks/{ref}")
    part.get_by_label(re.compile("^ref")).fill("1")
    expect(part.locator("code.command")).to_contain_text("/blocks/1'")
    part.get_by_role("button", name="Send").click()
    expect(part.locator("pre.data")).to_contain_text("{")
    expect(part.locator("strong")).to_contain_text("200")
    assert json.loads(part.locator("pre.data").inner_text()) == asked(ledger, "/blocks/1")


def test_a_post_is_sent_and_changes_something(page: Page, ledger: LocalLedger) -> None:
    visit(page, ledger, "/api")
    part = operation(page, "post", "/records")
    part.get_by_label("Body, as JSON").fill('{"data": "from the page\'s form", "id": "tried"}')
    expect(part.locator("code.command")).to_contain_text("'\\''s form")
    part.get_by_role("button", name="Send POST").click()
    expect(part.locator("strong")).to_contain_text("202")
    assert asked(ledger, "/records/tried")["records"][0]["data"] == "from the page's form"


def test_a_refusal_is_an_answer_like_any_other(page: Page, ledger: LocalLedger, guard: Guard) -> None:
    guard.expects("400")
    visit(page, ledger, "/api")
    part = operation(page, "post", "/records")
    part.get_by_label("Body, as JSON").fill("{")
    part.get_by_role("button", name="Send POST").click()
    expect(part.locator("strong")).to_contain_text("400")
    expect(part.locator("pre.data")).to_contain_text("urn:tallystick:problem")


def test_a_stream_that_never_ends_is_shown_as_far_as_it_came(page: Page, ledger: LocalLedger) -> None:
    visit(page, ledger, "/api")
    part = operation(page, "get", "/events")
    part.locator("input[id$=from]").fill("0")
    part.get_by_role("button", name="Send").click()
    expect(part.get_by_text("and there is more")).to_be_visible()
    expect(part.locator("pre.data")).to_contain_text("event: block")


def test_docs_leads_here(page: Page, ledger: LocalLedger) -> None:
    page.goto(f"{ledger.url}/docs")
    arrived(page)
    assert heading(page).inner_text() == "The API of this node"
