"""The first page: the end of the chain as it grows, forks, and what it says while the node cannot be reached."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tallystick.testing.local import LocalLedger
from tests.web.browsing import Guard
from tests.web.cable import cable
from tests.web.nodes import apart, asked, join, nodes, one_node, renewed
from tests.web.reading import arrived, follow_link, heading, visit

DRAWN = 12


@pytest.fixture(scope="module")
def classic() -> Iterator[LocalLedger]:
    with one_node("classic") as ledger:
        for number in range(1, 20):
            ledger.client.mine(f"text {number}")
        yield ledger


def sticks(page: Page) -> Locator:
    return page.get_by_role("list", name="Best chain").get_by_role("link")


def drawn(page: Page) -> list[int]:
    """Indexes of the blocks that are drawn, as they stand."""
    return [int(text.replace(",", "").split()[-1]) for text in sticks(page).locator("strong").all_inner_texts()]


def shows(page: Page, tip: int) -> None:
    """The drawing ends with this block, and is the stretch before it without a gap."""
    expect(sticks(page).last).to_contain_text(f"Block {tip}")
    assert drawn(page) == [*range(max(0, tip - DRAWN + 1), tip + 1)]


def card(page: Page, title: str) -> Locator:
    return page.locator(".card").filter(has=page.get_by_role("heading", name=title, exact=True))


def live(page: Page) -> None:
    expect(page.locator(".live")).to_have_text("Live")


# --- the chain --------------------------------------------------------------------------------------


def test_the_end_of_the_chain_is_a_list_of_links_in_order(page: Page, classic: LocalLedger) -> None:
    visit(page, classic)
    live(page)
    shows(page, 19)
    follow_link(page, sticks(page).nth(3))
    assert heading(page).inner_text() == "Block 11"


def test_blocks_that_others_post_appear_as_they_come(page: Page, opened: ExitStack) -> None:
    ledger = opened.enter_context(one_node("classic"))
    visit(page, ledger)
    live(page)
    shows(page, 0)
    for tip in range(1, 15):
        ledger.client.mine(f"text {tip}")
    shows(page, 14)
    expect(page.locator(".happenings li")).to_have_count(8)
    expect(page.locator(".happenings li").first).to_contain_text("Block 14")
    expect(card(page, "Tip")).to_contain_text("Block 14")
    ledger.client.mine("text 15")
    shows(page, 15)
    assert page.locator(".stick.new").count() == 1


def test_records_are_counted_and_the_pool_is_shown(page: Page, opened: ExitStack) -> None:
    ledger = opened.enter_context(one_node(seals=False))
    visit(page, ledger)
    live(page)
    for number in range(3):
        ledger.client.post(f"text {number}")
    expect(card(page, "Pool")).to_contain_text("3 records")
    ledger.seal()
    expect(sticks(page).last).to_contain_text("3 records")
    expect(card(page, "Pool")).to_contain_text("0 records")
    expect(card(page, "Mining")).to_contain_text("2 hashes a block")


def test_peers_come_and_go(page: Page, opened: ExitStack) -> None:
    one, other = opened.enter_context(apart("work"))
    visit(page, one)
    live(page)
    expect(card(page, "Peers")).to_contain_text("0 connections")
    join(one, other)
    expect(card(page, "Peers")).to_contain_text("1 connection")
    expect(page.locator(".happenings")).to_contain_text("is connected")
    follow_link(page, card(page, "Peers").get_by_role("link"))
    assert heading(page).inner_text() == "Peers"


@pytest.mark.parametrize("kind", ["work", "classic"])
def test_a_fork_is_drawn_as_a_branch_and_a_reorg_is_told(page: Page, opened: ExitStack, kind: str) -> None:
    one, other = opened.enter_context(apart(kind))
    for ledger, count in ((one, 2), (other, 4)):
        for number in range(count):
            post(ledger, f"{ledger.url} {number}")
    visit(page, one)
    live(page)
    shows(page, 2)
    left = [asked(one, f"/blocks/{index}")["hash"] for index in (1, 2)]
    join(one, other)
    branch = page.get_by_role("list", name="Branch that left after block 0")
    expect(branch.get_by_role("link")).to_have_count(2)
    assert [link.get_attribute("href") for link in branch.get_by_role("link").all()] == [f"#/blocks/{h}" for h in left]
    expect(page.locator(".happenings")).to_contain_text("Reorg: 2 blocks left the best chain after block 0")
    expect(sticks(page).nth(1).locator("code")).to_have_text(short(asked(one, "/blocks/1")["hash"]))
    follow_link(page, branch.get_by_role("link").first)
    expect(page.get_by_text("not on the best chain")).to_be_visible()


def short(hash: str) -> str:
    return f"{hash[:4]}…{hash[-8:]}"


def post(ledger: LocalLedger, text: str) -> None:
    if ledger.kind == "classic":
        ledger.client.mine(text)
    else:
        ledger.client.wait(ledger.client.post(text).id)


# --- when the node is away --------------------------------------------------------------------------

AWAY = r"ERR_(EMPTY_RESPONSE|CONNECTION_RESET|CONNECTION_REFUSED|INCOMPLETE_CHUNKED_ENCODING|CONNECTION_CLOSED)"


def test_it_goes_on_where_it_was_when_the_connection_is_back(page: Page, guard: Guard, opened: ExitStack) -> None:
    ledger = opened.enter_context(one_node("classic"))
    line = opened.enter_context(cable(ledger))
    ledger.client.mine("text 1")
    page.goto(line.url)
    arrived(page)
    live(page)
    shows(page, 1)
    guard.expects(AWAY)
    for tip in (4, 6):
        line.cut()
        expect(page.locator(".live")).to_have_text("Not connected. Trying again…")
        while asked(ledger, "/blocks/latest")["index"] < tip:
            ledger.client.mine(f"meanwhile {tip}")
        line.plug(ledger)
        live(page)
        shows(page, tip)
    told = page.locator(".happenings li a").all_inner_texts()
    assert told == [f"Block {tip}" for tip in (6, 5, 4, 3, 2)]


def test_a_node_that_has_another_past_now_is_drawn_anew(page: Page, guard: Guard, opened: ExitStack) -> None:
    """As one whose data folder was restored from a backup."""
    before, now = opened.enter_context(apart("classic"))
    line = opened.enter_context(cable(before))
    for number in range(5):
        before.client.mine(f"before {number}")
    for number in range(3):
        now.client.mine(f"now {number}")
    page.goto(line.url)
    arrived(page)
    live(page)
    shows(page, 5)
    guard.expects(AWAY)
    line.cut()
    expect(page.locator(".live")).to_have_text("Not connected. Trying again…")
    line.plug(now)
    live(page)
    expect(sticks(page).last.locator("code")).to_have_text(short(asked(now, "/blocks/latest")["hash"]))
    now.client.mine("now 4")
    expect(sticks(page).last).to_contain_text("Block 4")


def test_it_waits_while_too_many_follow_the_node(page: Page, guard: Guard, opened: ExitStack) -> None:
    (ledger,) = opened.enter_context(nodes(1, "classic", limits=renewed(event_streams=1)))
    guard.expects("503")
    with httpx.Client(trust_env=False) as client, client.stream("GET", f"{ledger.url}/events"):
        visit(page, ledger)
        expect(page.locator(".live")).to_have_text("Not connected. Trying again…")
        ledger.client.mine("text 1")
        expect(card(page, "Tip")).to_contain_text("Block 1")  # which it asks for by itself
    live(page)
    shows(page, 1)


def test_a_page_that_nobody_looks_at_keeps_no_connection(page: Page, classic: LocalLedger) -> None:
    visit(page, classic)
    live(page)
    page.evaluate("""() => { Object.defineProperty(document, 'hidden', { value: true, configurable: true });
      document.dispatchEvent(new Event('visibilitychange')); }""")
    expect(page.locator(".live")).to_have_text("Not connected. Trying again…")
    classic.client.mine("while away")
    tip = asked(classic, "/blocks/latest")["index"]
    page.evaluate("""() => { delete document.hidden; document.dispatchEvent(new Event('visibilitychange')); }""")
    live(page)
    shows(page, tip)
