"""Posting, and what becomes of a post; and the token that a node may want for it."""

from __future__ import annotations

import json
import re
from contextlib import ExitStack
from typing import Final

from playwright.sync_api import Locator, Page, expect

from tallystick.api.access import Access
from tallystick.testing import local
from tests.web.browsing import Guard
from tests.web.cable import cable
from tests.web.nodes import apart, asked, join, one_node, said
from tests.web.reading import arrived, follow_link, heading, visit

READ: Final = "read-token-of-the-tests-0123456789"
WRITE: Final = "write-token-of-the-tests-0123456789"


def fill(page: Page, text: str, *, id: str = "", is_json: bool = False) -> None:
    page.get_by_label("Data").or_(page.get_by_label("Text", exact=True)).fill(text)
    if id:
        page.get_by_label(re.compile("^Id")).fill(id)
    if is_json:
        page.get_by_label("This is JSON, not a text").check()


def send(page: Page) -> None:
    page.locator("form.post").get_by_role("button").click()


def journey(page: Page) -> Locator:
    return page.locator("article.journey").first


def reached(page: Page, *stations: str) -> None:
    """The last post is so far, and no further."""
    expect(journey(page).locator("li.reached")).to_have_text([re.compile(text) for text in stations])


# --- what becomes of it -----------------------------------------------------------------------------


def test_a_record_is_watched_from_the_pool_into_its_block_and_beyond(page: Page, opened: ExitStack) -> None:
    ledger = opened.enter_context(one_node(seals=False))
    visit(page, ledger, "/post")
    fill(page, '{"sensor": 7, "text": "ä"}', id="seven", is_json=True)
    send(page)
    reached(page, "Pending")
    expect(page.get_by_label("Data")).to_have_value("")
    ledger.seal()
    reached(page, "Pending", "Included in block 1")
    ledger.seal()
    reached(page, "Pending", "Included in block 1", "Confirmed: 2 blocks deep")
    ledger.seal(4)
    expect(journey(page).locator("meter")).to_have_attribute("value", "6")
    assert asked(ledger, "/records/seven")["records"][0]["data"] == {"sensor": 7, "text": "ä"}
    follow_link(page, journey(page).get_by_role("link", name="seven"))
    assert heading(page).inner_text() == "Record seven"


def test_a_text_is_a_text_also_when_it_looks_like_json(page: Page, opened: ExitStack) -> None:
    ledger = opened.enter_context(one_node())
    visit(page, ledger, "/post")
    fill(page, '{"a": 1}', id="text")
    send(page)
    reached(page, "Pending", "Included in block 1")
    assert asked(ledger, "/records/text")["records"][0]["data"] == '{"a": 1}'


def test_a_block_of_the_book_is_there_at_once(page: Page, opened: ExitStack) -> None:
    ledger = opened.enter_context(one_node("classic"))
    visit(page, ledger, "/post")
    assert heading(page).inner_text() == "Post a block"
    fill(page, "hello\n world")
    send(page)
    reached(page, "Pending", "Included in block 1")
    ledger.client.mine("another")
    reached(page, "Pending", "Included in block 1", "Confirmed: 2 blocks deep")
    assert asked(ledger, "/blocks/1")["data"] == "hello\n world"


def test_a_post_that_a_longer_chain_removed_is_followed_into_its_new_block(page: Page, opened: ExitStack) -> None:
    one, other = opened.enter_context(apart("classic"))
    for number in range(3):
        other.client.mine(f"other {number}")
    visit(page, one, "/post")
    fill(page, "hello")
    send(page)
    reached(page, "Pending", "Included in block 1")
    join(one, other)
    reached(page, "Pending", "Included in block 4")


def test_several_posts_are_followed_side_by_side(page: Page, opened: ExitStack) -> None:
    ledger = opened.enter_context(one_node())
    visit(page, ledger, "/post")
    for number in range(3):
        fill(page, f"text {number}", id=f"r{number}")
        send(page)
        expect(page.locator("article.journey")).to_have_count(number + 1)
    for article in page.locator("article.journey").all():
        expect(article.locator("li.reached")).not_to_have_count(1)


# --- what is refused --------------------------------------------------------------------------------


def test_what_is_no_json_is_not_sent(page: Page, opened: ExitStack) -> None:
    ledger = opened.enter_context(one_node())
    visit(page, ledger, "/post")
    fill(page, '{"a": ', id="a", is_json=True)
    send(page)
    expect(page.get_by_role("alert")).to_contain_text("This is no JSON")
    expect(page.get_by_label("Data")).to_have_value('{"a": ')
    assert asked(ledger, "/blocks/latest")["index"] == 0


def test_another_post_under_a_taken_id_is_refused_and_the_same_one_is_not(
    page: Page, guard: Guard, opened: ExitStack
) -> None:
    ledger = opened.enter_context(one_node())
    ledger.client.wait(ledger.client.post("first", id="taken").id)
    visit(page, ledger, "/post")
    fill(page, "first", id="taken")
    send(page)
    reached(page, "Pending", "Included in block 1")
    guard.expects("409")
    fill(page, "second", id="taken")
    send(page)
    expect(page.get_by_role("alert")).to_contain_text("taken")
    expect(page.get_by_label("Data")).to_have_value("second")
    page.get_by_label(re.compile("^Id")).fill("not an id")
    assert not page.locator("form.post").evaluate("(form) => form.checkValidity()")


def test_a_node_that_is_away_is_said_and_nothing_typed_is_lost(page: Page, guard: Guard, opened: ExitStack) -> None:
    ledger = opened.enter_context(one_node("classic"))
    line = opened.enter_context(cable(ledger))
    page.goto(f"{line.url}/#/post")
    arrived(page)
    fill(page, "hello")
    guard.expects("ERR_")
    line.cut()
    send(page)
    expect(page.get_by_role("alert")).to_contain_text("The node does not answer")
    line.plug(ledger)
    send(page)
    reached(page, "Pending", "Included in block 1")
    expect(page.get_by_role("alert")).to_have_count(0)


# --- tokens -----------------------------------------------------------------------------------------


def answer(page: Page, token: str, button: str = "Use it") -> None:
    dialog = page.get_by_role("dialog", name="This node asks for a token")
    expect(dialog).to_be_visible()
    dialog.get_by_role("textbox", name="Token").fill(token)
    dialog.get_by_role("button", name=button).click()


def test_a_token_is_asked_for_until_it_is_the_right_one(page: Page, guard: Guard, opened: ExitStack) -> None:
    access = Access(local.HOST, 0, write_token=WRITE)
    ledger = opened.enter_context(one_node("classic", access=access))
    guard.expects("401")
    visit(page, ledger, "/post")
    fill(page, "hello")
    send(page)
    answer(page, "", "Cancel")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("alert")).to_be_visible()
    send(page)
    answer(page, "wrong")
    answer(page, "wrong, and with a space")
    expect(page.get_by_role("dialog")).to_have_count(0)  # it cannot be a token
    send(page)
    answer(page, WRITE)
    reached(page, "Pending", "Included in block 1")
    expect(page.get_by_role("alert")).to_have_count(0)
    fill(page, "again")
    send(page)
    reached(page, "Pending", "Included in block 2")


def test_the_escape_key_gives_no_token(page: Page, guard: Guard, opened: ExitStack) -> None:
    ledger = opened.enter_context(one_node("classic", access=Access(local.HOST, 0, write_token=WRITE)))
    guard.expects("401")
    visit(page, ledger, "/post")
    fill(page, "hello")
    send(page)
    page.get_by_role("textbox", name="Token").fill(WRITE)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("alert")).to_be_visible()
    assert keeps_nothing(page)


def test_enter_sends_the_token(page: Page, guard: Guard, opened: ExitStack) -> None:
    ledger = opened.enter_context(one_node("classic", access=Access(local.HOST, 0, write_token=WRITE)))
    guard.expects("401")
    visit(page, ledger, "/post")
    fill(page, "hello")
    send(page)
    page.get_by_role("textbox", name="Token").fill(WRITE)
    page.keyboard.press("Enter")
    reached(page, "Pending", "Included in block 1")


def keeps_nothing(page: Page) -> bool:
    return bool(page.evaluate("() => sessionStorage.length + localStorage.length + document.cookie.length === 0"))


def test_reading_may_take_a_token_too_which_is_kept_in_this_tab_alone(
    page: Page, guard: Guard, opened: ExitStack
) -> None:
    access = Access(local.HOST, 0, write_token=WRITE, read_token=READ)
    ledger = opened.enter_context(one_node(access=access))
    guard.expects("401")
    page.goto(f"{ledger.url}/#/")
    answer(page, READ)
    arrived(page)
    expect(page.locator(".live")).to_have_text("Live")
    page.reload()
    arrived(page)
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert page.evaluate("() => [localStorage.length, document.cookie]") == [0, ""]
    assert READ not in page.url
    other = page.context.new_page()
    other.goto(f"{ledger.url}/#/blocks")
    expect(other.get_by_role("dialog", name="This node asks for a token")).to_be_visible()
    answer(other, "", "Cancel")
    arrived(other)
    assert heading(other).inner_text() == "That did not work"
    visit(page, ledger, "/post")  # for which the token that reads is not enough
    fill(page, "hello", id="hello")
    send(page)
    answer(page, WRITE)
    reached(page, "Pending", "Included in block 1")


def test_a_token_goes_to_this_node_and_in_no_address(page: Page, guard: Guard, opened: ExitStack) -> None:
    ledger = opened.enter_context(one_node(access=Access(local.HOST, 0, write_token=WRITE, read_token=READ)))
    guard.expects("401")
    requests: list[str] = []
    page.on("request", lambda request: requests.append(f"{request.url} {json.dumps(request.headers)}"))
    page.goto(f"{ledger.url}/#/blocks")
    answer(page, READ)
    arrived(page)
    assert all(READ not in request.split(" ")[0] for request in requests)
    assert any(READ in request for request in requests)
    assert said(ledger.url + "/status")[0] == 401
