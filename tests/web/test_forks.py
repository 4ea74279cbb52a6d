"""Forks: what a reorg removed, and what came instead."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from playwright.sync_api import Page, expect

from tests.web.nodes import apart, asked, join, one_node
from tests.web.reading import follow_link, heading, until, visit


def test_that_there_are_none_is_said(page: Page, opened: ExitStack) -> None:
    ledger = opened.enter_context(one_node())
    visit(page, ledger, "/forks")
    expect(page.get_by_text("There are none. All that this node ever saw is on one chain.")).to_be_visible()


def test_removed_blocks_stand_beside_those_that_came_instead(page: Page, opened: ExitStack) -> None:
    one, other = opened.enter_context(apart("classic"))
    for ledger, count in ((one, 2), (other, 3)):
        for number in range(count):
            ledger.client.mine(f"{ledger.url} {number}")
    left = [asked(one, f"/blocks/{index}") for index in (1, 2)]
    visit(page, one, "/forks")
    join(one, other)  # and the page hears of it
    fork = page.locator("article.fork")
    expect(fork.get_by_role("heading", level=2)).to_have_text("2 blocks after block 0")
    removed, instead = (
        fork.locator("section").filter(has_text=text) for text in ("Not on the best chain", "On it instead")
    )
    for item, block in zip(removed.get_by_role("listitem").all(), left, strict=True):
        expect(item).to_contain_text(f"Block {block['index']}")
        expect(item).to_contain_text(block["data"])
    expect(instead.get_by_role("listitem")).to_have_count(2)
    expect(instead.get_by_role("listitem").first).to_contain_text(f"{other.url} 0")
    until(page, lambda: asked(one, f"/blocks/{left[0]['hash']}").get("mined_again_as"))
    visit(page, one, "/forks")
    again = removed.get_by_role("listitem").first
    expect(again).to_contain_text("Mined again as")
    follow_link(page, again.get_by_role("link").last)
    expect(page.locator("pre.data")).to_have_text(left[0]["data"])


@pytest.mark.parametrize("ids", [["a"], [f"r{number}" for number in range(12)]], ids=["one record", "many"])
def test_removed_records_say_where_they_are_now(page: Page, opened: ExitStack, ids: list[str]) -> None:
    one, other = opened.enter_context(apart("work"))
    one.client.wait(one.client.post("before", id="before").id)
    for id in ids:
        one.client.wait(one.client.post(f"text of {id}", id=id).id)
    for number in range(len(ids) + 3):
        other.client.wait(other.client.post(f"other {number}").id)
    join(one, other)
    one.client.wait(ids[0])
    until(page, lambda: (asked(one, f"/records/{ids[-1]}")["records"][0]["block"] or {"index": 0})["index"] > 3)
    visit(page, one, "/forks")
    expect(page.locator("article.fork .stick.aside")).to_have_count(len(ids) + 1)
    follow_link(page, page.locator(".stick.aside").get_by_role("link", name=ids[0], exact=True).first)
    assert heading(page).inner_text() == f"Record {ids[0]}"
    expect(page.get_by_text("Included: it is in a block of the best chain.")).to_be_visible()
