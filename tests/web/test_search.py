"""Searching: by index, hash, id and text, a stretch at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest
from playwright.sync_api import Locator, Page, expect

from tallystick.client import NewRecord
from tallystick.testing.local import LocalLedger
from tests.web.browsing import Guard
from tests.web.nodes import asked, one_node, renewed
from tests.web.reading import arrived, follow_link, heading, turn, visit

COUNT: Final = 130
FEW: Final = renewed(search_rows=40, search_slice_rows=10)
"""So that a search through everything takes several requests."""

HELD: Final = """const ask = fetch;
  globalThis.held = { asked: 0, ended: 0 };
  globalThis.fetch = (path, options) => !path.includes("before=") ? ask(path, options) :
    new Promise((_, reject) => {
      held.asked += 1;
      options.signal.addEventListener("abort", () => { held.ended += 1; reject(options.signal.reason); });
    });"""
"""The second stretch of a search takes for ever."""


@pytest.fixture(scope="module")
def work() -> Iterator[LocalLedger]:
    with one_node(seals=False, limits=FEW) as ledger:
        ledger.client.post_many([NewRecord(f"pear {number}", id=f"r{number}") for number in range(COUNT)])
        ledger.seal()
        ledger.client.post({"fruit": "Apple <b>"}, id="apple-1")
        ledger.client.post("a pear and an apple, an APPLE", id="both")
        ledger.seal()
        yield ledger


@pytest.fixture(scope="module")
def classic() -> Iterator[LocalLedger]:
    with one_node("classic", limits=FEW) as ledger:
        for number in range(60):
            ledger.client.mine(f"plum {number}" if number else "the first apple")
        yield ledger


def found(page: Page) -> Locator:
    return page.locator("ol.found > li")


def says(page: Page, words: str) -> None:
    expect(page.locator("main [role=status]")).to_have_text(words)


def search(page: Page, text: str) -> None:
    page.get_by_label("Search by index, hash, id or text").fill(text)
    page.keyboard.press("Enter")
    expect(heading(page)).to_have_text(f"Search: {text}")


def test_text_is_found_through_all_stretches_newest_first(page: Page, work: LocalLedger, guard: Guard) -> None:
    guard.expects("404")  # there is no record of this name
    visit(page, work)
    search(page, "apple")
    says(page, f"Found 2 in {COUNT + 2} records, which is all there is.")
    assert [each.inner_text() for each in found(page).get_by_role("link").all()] == [
        "both",
        "block 2",
        "apple-1",
        "block 2",
    ]
    assert page.locator("mark").all_inner_texts() == ["apple", "APPLE", "Apple"]
    follow_link(page, found(page).first.get_by_role("link", name="both"))
    assert heading(page).inner_text() == "Record both"


def test_a_search_ends_with_a_hundred_matches(page: Page, work: LocalLedger, guard: Guard) -> None:
    guard.expects("404")  # there is no record of this name
    visit(page, work, "/search?q=pear")
    expect(page.locator("main [role=status]")).to_contain_text("and stopped.")
    assert found(page).count() >= 100
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)


def test_a_search_can_be_stopped(page: Page, work: LocalLedger) -> None:
    page.add_init_script(HELD)
    visit(page, work, "/search?q=nothing like it")
    expect(page.locator("main [role=status]")).to_contain_text("so far, newest first…")
    page.get_by_role("button", name="Stop").click()
    says(page, "Found 0 in 40 records, and stopped.")
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)


def test_a_search_ends_with_its_page(page: Page, work: LocalLedger) -> None:
    page.add_init_script(HELD)
    visit(page, work, "/search?q=nothing like it")
    page.wait_for_function("() => held.asked === 1")
    turn(page, "/blocks")
    page.wait_for_function("() => held.ended === 1")
    assert page.evaluate("() => held.asked") == 1


def test_an_index_a_hash_and_an_id_are_found_at_once(page: Page, work: LocalLedger, guard: Guard) -> None:
    guard.expects("404")  # there is no record of this name
    visit(page, work)
    hash = asked(work, "/blocks/1")["hash"]
    for text, name in (("1", "Block 1"), (hash, "Block 1"), ("both", "both")):
        search(page, text)
        expect(page.get_by_role("heading", name="Of this name")).to_be_visible()
        expect(page.locator("ul.found")).to_contain_text(name)


def test_in_a_classic_network_blocks_are_found(page: Page, classic: LocalLedger) -> None:
    visit(page, classic, "/search?q=apple")
    says(page, "Found 1 in 61 blocks, which is all there is.")
    follow_link(page, found(page).get_by_role("link", name="Block 1"))
    expect(page.locator("pre.data")).to_have_text("the first apple")


def test_odd_questions_have_answers_too(page: Page, work: LocalLedger) -> None:
    visit(page, work, "/search")
    expect(page.get_by_text("Type an index, a hash, an id or a text above.")).to_be_visible()
    for text in ("x" * 150, "50%", "a&b=c", "#", "?", "a/b", "<b>", "ß", "İ", "\\u{202e}", "%zz"):
        page.evaluate("(text) => { location.hash = `#/search?q=${encodeURIComponent(text)}` }", text)
        expect(heading(page)).to_have_text(f"Search: {text}")
        arrived(page)


def test_dots_are_nobodys_name(page: Page, work: LocalLedger) -> None:
    """In a path they would lead to another one, whose answer is not what was asked for."""
    visit(page, work)
    for text in (".", ".."):
        search(page, text)
        arrived(page)
        expect(page.get_by_role("heading", name="Of this name")).to_have_count(0)
    for path in ("/records/..", "/records/.", "/blocks/..", "/blocks/%2e%2e", "/lab?block=.."):
        turn(page, path)
        expect(page.get_by_role("alert")).to_have_text("No address leads to anything of this name.")


def test_a_path_that_is_none_is_searched_for(page: Page, work: LocalLedger, guard: Guard) -> None:
    guard.expects("404")  # there is no record of this name
    visit(page, work, "/apple-1")
    assert heading(page).inner_text() == "Search: apple-1"
    expect(page.get_by_role("heading", name="Of this name")).to_be_visible()
    for path in ("/constructor", "/__proto__", "/toString", "/hasOwnProperty"):
        visit(page, work, path)
        assert heading(page).inner_text() == f"Search: {path[1:]}"
