"""Peers: who is connected, and the way to more of them."""

from __future__ import annotations

from contextlib import ExitStack

from playwright.sync_api import Page, expect

from tests.web.browsing import Guard
from tests.web.nodes import apart, nodes, one_node
from tests.web.reading import visit


def test_a_peer_is_added_and_forgotten(page: Page, opened: ExitStack) -> None:
    one, other = opened.enter_context(apart("work"))
    visit(page, one, "/peers")
    expect(page.get_by_text("None yet.")).to_be_visible()
    page.get_by_label("Dial another node").fill(other.address)
    page.get_by_role("button", name="Add").click()
    row = page.get_by_role("row", name=other.address.removeprefix("ws://"))
    expect(row).to_contain_text("connected, outbound")
    expect(row).to_contain_text("tallystick/")
    expect(page.get_by_label("Dial another node")).to_have_value("")
    row.get_by_role("button", name="Forget").click()
    expect(page.get_by_text("None yet.")).to_be_visible()


def test_an_address_that_is_none_is_refused_in_words(page: Page, guard: Guard, opened: ExitStack) -> None:
    ledger = opened.enter_context(one_node())
    guard.expects("400")
    visit(page, ledger, "/peers")
    for address in ("nonsense", "http://127.0.0.1:1", "ws://[::1", "ws://169.254.1.1:1", "<b>", "ws://x y"):
        page.get_by_label("Dial another node").fill(address)
        page.get_by_role("button", name="Add").click()
        expect(page.get_by_role("alert")).to_be_visible()
        expect(page.get_by_label("Dial another node")).to_have_value(address)


def test_a_peer_that_does_not_answer_says_so_and_when_it_is_dialled_again(page: Page, opened: ExitStack) -> None:
    ledger = opened.enter_context(one_node())
    visit(page, ledger, "/peers")
    page.get_by_label("Dial another node").fill("ws://127.0.0.1:1")
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_role("row", name="127.0.0.1:1")).to_contain_text("dialled again in")


def test_peers_of_a_network_are_kept_current(page: Page, opened: ExitStack) -> None:
    one, other, _ = opened.enter_context(nodes(3, "classic"))
    visit(page, one, "/peers")
    expect(page.locator("tbody tr")).to_have_count(2)
    other.client.mine("text")
    for row in page.locator("tbody tr").all():
        expect(row).to_contain_text("1 ")  # the index of its tip
