"""The tamper lab: every stage from an edit to a forgery that holds, on copies of both kinds of blocks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Locator, Page, expect

from tallystick.testing.local import LocalLedger
from tests.web.nodes import apart, asked, join, one_node
from tests.web.reading import arrived, heading, until, visit

NOTHING_WRONG = "Nothing is wrong with it."


@pytest.fixture(scope="module")
def classic() -> Iterator[LocalLedger]:
    with one_node("classic") as ledger:
        for number in range(1, 8):
            ledger.client.mine(f"text {number}")
        yield ledger


@pytest.fixture(scope="module")
def work() -> Iterator[LocalLedger]:
    """A record in each block, the third of which is empty, and five in the sixth."""
    with one_node(seals=False) as ledger:
        for number in range(1, 8):
            for at in range({3: 0, 6: 5}.get(number, 1)):
                ledger.client.post({"number": number} if at == 0 else f"text {at}", id=f"r{number}.{at}")
            ledger.seal()
        yield ledger


def stage(page: Page, name: str) -> None:
    """The lab says that things are so far."""
    expect(page.locator(f'.verdict[data-stage="{name}"]')).to_be_visible()


def copy_of(page: Page, index: int) -> Locator:
    return page.get_by_role("group", name=f"Copy of block {index}")


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name).click()


def test_a_classic_chain_is_rewritten_for_nothing(page: Page, classic: LocalLedger) -> None:
    visit(page, classic, "/lab?block=3")
    stage(page, "untouched")
    expect(page.get_by_text(NOTHING_WRONG)).to_have_count(4)
    edges = page.locator(".copy .edge code")
    shown = edges.all_inner_texts()
    assert [shown[at] for at in (1, 3, 5)] == [shown[at] for at in (2, 4, 6)]
    copy_of(page, 4).get_by_label("Data").fill("text 4, or not")
    stage(page, "content")
    expect(copy_of(page, 4).locator("[data-rule=hash-matches-content]")).to_be_visible()
    expect(page.get_by_text(NOTHING_WRONG)).to_have_count(2)  # the next one names what is no longer there
    press(page, "Compute it anew, as a forger would")
    stage(page, "link")
    expect(copy_of(page, 5).locator("[data-rule=names-its-parent]")).to_be_visible()
    assert edges.nth(3).inner_text() != edges.nth(4).inner_text()
    press(page, "Rewrite everything after it")
    stage(page, "rewritten")
    expect(page.get_by_text(NOTHING_WRONG)).to_have_count(4)
    now = edges.all_inner_texts()
    assert now[:3] == shown[:3]
    assert now[7] != shown[7]
    assert asked(classic, "/blocks/4")["data"] == "text 4"
    press(page, "Start over")
    stage(page, "untouched")
    assert edges.all_inner_texts() == shown
    expect(copy_of(page, 4).get_by_label("Data")).to_have_value("text 4")


def test_block_by_block_it_can_be_rewritten_too(page: Page, classic: LocalLedger) -> None:
    visit(page, classic, "/lab?block=4")
    copy_of(page, 4).get_by_label("Time").fill("1700000000")
    stage(page, "content")
    for index in range(4, 8):
        copy_of(page, index).get_by_role("button", name="Compute its hash anew").click()
    stage(page, "link")  # each names the old hash of the one before: that is not computed anew by this button
    press(page, "Rewrite everything after it")
    stage(page, "rewritten")
    copy_of(page, 5).get_by_label("Time").fill("yesterday")
    stage(page, "content")
    expect(copy_of(page, 5).locator("[data-rule=timestamp-has-ten-digits]")).to_be_visible()


def test_typing_back_what_was_there_heals_it(page: Page, classic: LocalLedger) -> None:
    visit(page, classic, "/lab?block=2")
    data = copy_of(page, 2).get_by_label("Data")
    data.press_sequentially("!")
    stage(page, "content")
    data.press("Backspace")
    stage(page, "untouched")


@pytest.mark.parametrize("first", [0, 1, 2, 4])
def test_a_work_chain_takes_nonces_too(page: Page, work: LocalLedger, first: int) -> None:
    """Also from the genesis block on, and where an empty block stands between."""
    at = max(first, 1)
    visit(page, work, f"/lab?block={first}")
    stage(page, "untouched")
    expect(page.get_by_text(NOTHING_WRONG)).to_have_count(4)
    copy_of(page, at).get_by_label(f"Record r{at}.0, as JSON").fill('{"number": 1000000}')
    stage(page, "content")
    expect(copy_of(page, at).locator("[data-rule=commitment-matches-data]")).to_be_visible()
    press(page, "Compute it anew, as a forger would")
    # by chance the new hash fits the seal: every second does
    for name, next_stage in (("Rewrite everything after it", "seal"), ("Look for nonces here", "rewritten")):
        button = page.get_by_role("button", name=name)
        expect(button.or_(page.locator('.verdict[data-stage="rewritten"]')).first).to_be_visible()
        if button.is_visible():
            button.click()
            expect(
                page.locator(f'.verdict[data-stage="{next_stage}"], .verdict[data-stage="rewritten"]')
            ).to_be_visible()
    stage(page, "rewritten")
    expect(page.get_by_text(NOTHING_WRONG)).to_have_count(4)
    assert asked(work, f"/records/r{at}.0")["records"][0]["data"] == {"number": at}
    press(page, "Start over")
    stage(page, "untouched")


def test_what_is_no_json_is_said_while_it_is_typed(page: Page, work: LocalLedger) -> None:
    visit(page, work, "/lab?block=4")
    field = copy_of(page, 4).get_by_label("Record r4.0, as JSON")
    field.fill('{"number": ')
    expect(copy_of(page, 4).get_by_role("alert")).to_contain_text("No JSON yet")
    stage(page, "untouched")
    field.fill('{"number": 4}')
    expect(copy_of(page, 4).get_by_role("alert")).to_be_hidden()
    stage(page, "untouched")
    field.fill("9007199254740993")  # which is no number of the ledger
    stage(page, "content")
    field.fill('{"number":5}')
    stage(page, "content")
    press(page, "Start over")
    expect(copy_of(page, 4).get_by_label("Record r4.0, as JSON")).to_have_value('{"number":4}')


def test_a_few_records_of_a_block_can_be_edited_and_all_are_hashed(page: Page, work: LocalLedger) -> None:
    visit(page, work, "/lab?block=6")
    expect(copy_of(page, 6).get_by_role("textbox")).to_have_count(3)
    expect(copy_of(page, 6).get_by_text("and 2 other records")).to_be_visible()
    copy_of(page, 6).get_by_label("Record r6.1").fill("text 1!")
    stage(page, "content")


def test_one_gets_there_from_a_block_and_on_to_another(page: Page, classic: LocalLedger) -> None:
    visit(page, classic, "/blocks/3")
    page.get_by_role("link", name="Tamper with a copy").click()
    stage(page, "untouched")
    expect(copy_of(page, 3)).to_be_visible()
    page.get_by_label("Another block, by index or hash").fill(asked(classic, "/blocks/6")["hash"])
    press(page, "Take copies")
    expect(copy_of(page, 7)).to_be_visible()
    expect(copy_of(page, 5)).to_have_count(0)
    visit(page, classic, "/lab")
    arrived(page)
    assert heading(page).inner_text() == "Tamper lab"
    expect(copy_of(page, 7)).to_be_visible()


@pytest.mark.parametrize("kind", ["work", "classic"])
def test_a_block_that_left_the_chain_can_be_tampered_with_alone(page: Page, opened: ExitStack, kind: str) -> None:
    one, other = opened.enter_context(apart(kind))
    for ledger, count in ((one, 2), (other, 4)):
        for number in range(count):
            if kind == "classic":
                ledger.client.mine(f"{ledger.url} {number}")
            else:
                ledger.client.wait(ledger.client.post(f"{ledger.url} {number}").id)
    left = asked(one, "/blocks/2")["hash"]
    join(one, other)
    until(page, lambda: asked(one, "/forks"))
    visit(page, one, f"/lab?block={left}")
    stage(page, "untouched")
    page.get_by_role("textbox").first.wait_for()
    page.locator(".copy textarea").first.fill("another")
    stage(page, "content")
