"""Pages for everybody: by keyboard, by ear, on a phone, by day and by night, and for those whom motion makes ill."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Page, expect

from tallystick.api.access import Access
from tallystick.client import NewRecord
from tallystick.testing import local
from tallystick.testing.local import LocalLedger
from tests.web.browsing import DESKTOP, PHONE, Guard
from tests.web.nodes import apart, join, nodes, one_node
from tests.web.reading import arrived, follow_link, heading, turn, visit

PAGES: Final = {
    "overview": "/",
    "blocks": "/blocks",
    "block": "/blocks/2",
    "block-many": "/blocks/1",
    "records": "/records",
    "record": "/records/sensor-7",
    "post": "/post",
    "peers": "/peers",
    "forks": "/forks",
    "lab": "/lab",
    "search": "/search?q=reading",
    "api": "/api",
}


@pytest.fixture(scope="module")
def work() -> Iterator[LocalLedger]:
    """Two nodes that are connected, and a few blocks."""
    with nodes(2, seals=False) as (ledger, _):
        ledger.client.post_many([NewRecord({"reading": n, "unit": "°C"}, id=f"sensor-{n}") for n in range(12)])
        ledger.seal()
        ledger.client.post("A reading of some length, as people write them, with words and a full stop.", id="note")
        ledger.seal()
        ledger.seal(3)
        yield ledger


@pytest.fixture(scope="module")
def classic() -> Iterator[LocalLedger]:
    """One that had another past, which is beside its chain now."""
    with apart("classic") as (one, other):
        for number in range(3):
            one.client.mine(f"reading {number} here")
        for number in range(5):
            other.client.mine(f"reading {number} there")
        join(one, other)
        next(one.client.blocks(7, follow=True))  # of those that are mined again, the last one
        yield one


PICTURES: Final = bool(os.environ.get("PHOTOGRAPHS"))
"""Whether pictures are taken, which takes longer than all else."""

AUDIT: Final = """() => {
  const wrong = [];
  const say = (what, element) => wrong.push(`${what}: ${element.outerHTML.slice(0, 120)}`);
  const shown = (element) => element.checkVisibility({ visibilityProperty: true });
  const all = (selector) => [...document.querySelectorAll(selector)].filter(shown);
  const named = (element) => (element.getAttribute("aria-label") ?? "") || [...(element.labels ?? [])].map((label) =>
    label.textContent.trim()).join(" ") || element.textContent.trim()
    || (document.getElementById(element.getAttribute("aria-labelledby"))?.textContent ?? "");
  for (const [selector, count] of [["h1", 1], ["main", 1], ["header", 1], ["footer", 1]])
    if (all(selector).length !== count) wrong.push(`${all(selector).length} of ${selector}`);
  const ids = [...document.querySelectorAll("[id]")].map(({ id }) => id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) wrong.push(`twice: #${id}`);
  const toBeNamed = "input, textarea, button, a[href], summary, meter, nav, [role=region], [role=group], dialog";
  for (const each of all(toBeNamed))
    if (!named(each)) say("no name", each);
  const names = all("nav").map(named);
  if (new Set(names).size !== names.length) wrong.push(`two of nav are called ${names}`);
  for (const each of document.querySelectorAll("label[for]"))
    if (!document.getElementById(each.htmlFor)) say("label of nothing", each);
  for (const each of document.querySelectorAll("[aria-labelledby]"))
    if (!document.getElementById(each.getAttribute("aria-labelledby"))) say("named by nothing", each);
  for (const each of all("img")) if (!each.hasAttribute("alt")) say("no alt", each);
  for (const each of all("svg")) if (each.getAttribute("aria-hidden") !== "true") say("a drawing that is read", each);
  for (const each of all("th")) if (!each.scope) say("no scope", each);
  for (const each of all("[tabindex]")) if (each.tabIndex > 0) say("out of order", each);
  let level = 0;
  for (const each of all("h1, h2, h3, h4, h5, h6")) {
    const here = Number(each.localName[1]);
    if (here > level + 1) say(`h${level} and then`, each);
    level = here;
  }
  for (const each of all("*")) {
    const style = getComputedStyle(each);
    const scrolls = ["auto", "scroll"].includes(style.overflowX) && each.scrollWidth > each.clientWidth + 1;
    const isReached = each.tabIndex >= 0 || each.querySelector("a, button, input, [tabindex='0']");
    if (scrolls && !isReached) say("scrolls and cannot be reached", each);
  }
  for (const each of all("button, .button, input:not([type=checkbox]), textarea, nav a, summary")) {
    const { width, height } = each.getBoundingClientRect();
    if (height < 24 || width < 24) say(`${Math.round(width)}x${Math.round(height)} is small`, each);
  }
  const root = document.documentElement;
  if (root.scrollWidth > innerWidth) wrong.push(`${root.scrollWidth} wide in ${innerWidth}`);
  return [...new Set(wrong)];
}"""
"""Success criteria of WCAG 2.2 that can be computed: 1.1.1, 1.3.1, 1.4.10, 2.4.6, 2.5.8, 4.1.2."""

CONTRAST: Final = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return { r, g, b, a: a / 255 };
  };
  const over = (top, below) => ({ r: top.r * top.a + below.r * (1 - top.a), g: top.g * top.a + below.g * (1 - top.a),
    b: top.b * top.a + below.b * (1 - top.a), a: 1 });
  const behind = (element) => {
    if (!element) return rgba("Canvas");
    const own = rgba(getComputedStyle(element).backgroundColor);
    return own.a === 1 ? own : over(own, behind(element.parentElement));
  };
  const part = (value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const light = ({ r, g, b }) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  const ratio = (one, other) => {
    const [high, low] = [light(one), light(other)].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
  };
  const wrong = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const { parentElement: element, data } = walker.currentNode;
    if (!data.trim() || !element.checkVisibility() || element.closest(".unseen, .skip, noscript")) continue;
    const style = getComputedStyle(element);
    const back = behind(element);
    const found = ratio(over(rgba(style.color), back), back);
    if (found >= 4.5 || element.matches(":disabled")) continue;
    wrong.add(`${found.toFixed(2)} ${element.localName}.${element.className}: ${data.trim().slice(0, 40)}`);
  }
  return [...wrong];
}"""
"""Of every text with what is behind it (WCAG 2.2, 1.4.3)."""


def audited(page: Page) -> list[str]:
    """What is wrong, by day and by night, on a desk and on a phone."""
    wrong = []
    for size in (PHONE, DESKTOP):
        page.set_viewport_size({"width": size[0], "height": size[1]})
        wrong += [f"{size[0]}: {each}" for each in page.evaluate(AUDIT)]
    for theme in ("dark", "light"):
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        wrong += [f"{theme}: {each}" for each in page.evaluate(CONTRAST)]
    return wrong


def settled(page: Page, name: str) -> None:
    """All of a page is there, also what comes a moment later."""
    if name.startswith(("block", "record")) and not name.endswith("s"):
        page.locator(".checks").first.wait_for()
    if name == "overview":
        expect(page.locator(".live")).to_have_text("Live")
        page.locator(".lane li").last.wait_for()
    if name == "search":
        page.locator("main [role=status]", has_text="which is all there is").wait_for()


@pytest.mark.parametrize("kind", ["work", "classic"])
def test_every_page_is_well_made(
    page: Page, guard: Guard, request: pytest.FixtureRequest, kind: str, photograph: Callable[[Page, str], list[Path]]
) -> None:
    """With pictures of each, to look at, if `PHOTOGRAPHS` is set."""
    ledger: LocalLedger = request.getfixturevalue(kind)
    if kind == "work":
        guard.expects("404")  # there is no record of the name that is searched for
    visit(page, ledger)
    wrong: dict[str, Any] = {}
    for name, path in PAGES.items():
        if kind == "classic" and name == "record":
            continue
        turn(page, path)
        settled(page, name if kind == "work" or name != "records" else "post")
        if found := audited(page):
            wrong[name] = found
        if PICTURES:
            photograph(page, f"{kind}-{name}")
    assert wrong == {}


FAULTS: Final = {
    "no name: <input": "<input>",
    "no name: <button": "<button></button>",
    "no name: <a": "<a href='#/'></a>",
    "2 of h1": "<h1>Another</h1>",
    "twice: #main": "<p id='main'>Text</p>",
    "label of nothing": "<label for='nobody'>Text</label>",
    "no alt": "<img>",
    "and then": "<h6>Text</h6>",
    "is small": "<button aria-label='x' data-style='all: unset; display: block; width: 9px; height: 9px'></button>",
    "scrolls and cannot be reached": "<p data-style='overflow-x: auto; width: 9rem; white-space: nowrap'>TEXT</p>",
    "wide in 390": "<p data-style='width: 30rem'>Text</p>",
    "light: 1.": "<p data-style='color: #ddd'>Text</p>",
    "dark: 1.": "<p data-style='color: #222'>Text</p>",
}


def test_the_audit_finds_what_is_wrong(page: Page, work: LocalLedger) -> None:
    """Or the one above shows nothing."""
    visit(page, work, "/post")
    assert audited(page) == []
    for words, markup in FAULTS.items():
        page.evaluate(PUT, markup.replace("TEXT", "text " * 20))
        assert any(words in found for found in audited(page)), words
        page.evaluate("() => document.querySelector('#main > :last-child').remove()")
    assert audited(page) == []


PUT: Final = """(markup) => {
  const [, tag, rest, text] = /^<([a-z0-9]+)(.*?)>(?:(.*)<[/].*>)?$/s.exec(markup);
  const element = document.createElement(tag);
  for (const [, name, value] of rest.matchAll(/([a-z-]+)='(.*?)'/g))
    if (name === "data-style") element.style.cssText = value; else element.setAttribute(name, value);
  element.append(text ?? "");
  document.getElementById("main").append(element);
}"""
"""Puts an element there as our own code would, for the policy lets no markup in."""


def test_what_opens_on_a_page_is_well_made_too(
    page: Page, work: LocalLedger, guard: Guard, opened: ExitStack, photograph: Callable[[Page, str], list[Path]]
) -> None:
    wrong = {}
    shots = partial(photograph, page) if PICTURES else lambda name: name
    visit(page, work, "/api")
    page.evaluate("() => document.querySelectorAll('details').forEach((each) => { each.open = true })")
    page.locator("details.operation form.try").last.wait_for()
    wrong["api"] = audited(page)
    turn(page, "/lab?block=1")
    page.locator(".copy textarea").first.fill('{"reading": 1000}')
    page.locator(".verdict[data-stage=content]").wait_for()
    wrong["lab"] = audited(page)
    shots("work-lab-content")
    turn(page, "/post")
    page.get_by_label("Data").fill("text")
    page.locator("form.post button").click()
    page.locator("article.journey").wait_for()
    wrong["journey"] = audited(page)
    shots("work-post-journey")
    guard.expects("40[014]")
    turn(page, "/blocks/99")
    wrong["refusal"] = audited(page)
    shots("work-refusal")
    guarded = opened.enter_context(one_node(access=Access(local.HOST, 0, write_token="w" * 32)))
    visit(page, guarded, "/post")
    page.get_by_label("Data").fill("text")
    page.locator("form.post button").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    wrong["token"] = audited(page)
    shots("work-token")
    assert {name: found for name, found in wrong.items() if found} == {}


# --- by keyboard ------------------------------------------------------------------------------------

FOCUSED: Final = """() => {
  const { activeElement: element } = document;
  const { outlineStyle, outlineWidth } = getComputedStyle(element);
  return { text: element.textContent.trim().slice(0, 60), id: element.id, tag: element.localName,
    isMarked: outlineStyle !== "none" && parseFloat(outlineWidth) >= 2 };
}"""


def test_the_first_key_leads_past_the_menu(page: Page, work: LocalLedger) -> None:
    visit(page, work, "/blocks")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    assert page.get_by_role("link", name="Skip to content").bounding_box()["x"] >= 0  # type: ignore[index]  # it is there
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    assert heading(page).inner_text() == "Blocks"
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.closest('main') !== null")


def test_everything_can_be_reached_by_keyboard_and_shows_that_it_is(page: Page, work: LocalLedger) -> None:
    visit(page, work, "/blocks/2")
    page.locator(".checks").wait_for()
    wanted = page.evaluate(
        "() => [...document.querySelectorAll('a[href], button, input, textarea, summary')]"
        ".filter((each) => each.checkVisibility() && !each.disabled).length"
    )
    reached: list[dict[str, Any]] = []
    while True:
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if focused["tag"] == "body" or len(reached) > 3 * wanted:
            break
        reached.append(focused)
    assert len([each for each in reached if each["tag"] in {"a", "button", "input", "textarea", "summary"}]) == wanted
    assert [each for each in reached if not each["isMarked"]] == []


def test_the_next_page_is_said_and_begins_at_its_beginning(page: Page, work: LocalLedger) -> None:
    visit(page, work, "/blocks")
    page.evaluate("() => scrollTo(0, 10_000)")
    follow_link(page, page.get_by_role("navigation", name="Pages", exact=True).get_by_role("link", name="Peers"))
    expect(page.locator("#main")).to_be_focused()
    expect(page.locator("#said")).to_have_text("Peers")
    assert page.title() == "Peers · Tallystick"
    assert page.evaluate("() => scrollY") == 0
    expect(page.locator("nav a[aria-current=page]")).to_have_text("Peers")
    page.go_back()
    expect(heading(page)).to_have_text("Blocks")
    expect(page.locator("nav a[aria-current=page]")).to_have_text("Blocks")


def test_a_dialog_keeps_the_focus_and_gives_it_back(page: Page, guard: Guard, opened: ExitStack) -> None:
    guard.expects("401")
    ledger = opened.enter_context(one_node(access=Access(local.HOST, 0, write_token="w" * 32)))
    visit(page, ledger, "/post")
    page.get_by_label("Data").fill("text")
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Record it").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("textbox", name="Token")).to_be_focused()
    for _ in range(6):
        page.keyboard.press("Tab")
        assert page.evaluate(
            "() => document.activeElement === document.body || document.activeElement.closest('dialog') !== null"
        )
    page.keyboard.press("Escape")
    expect(page.get_by_role("alert")).to_be_visible()


def test_where_motion_is_not_wanted_nothing_moves(page: Page, opened: ExitStack) -> None:
    ledger = opened.enter_context(one_node("classic"))
    page.emulate_media(reduced_motion="reduce")
    visit(page, ledger)
    expect(page.locator(".live")).to_have_text("Live")
    for motion, count in (("reduce", 0), ("no-preference", 1)):
        page.emulate_media(reduced_motion=motion)  # type: ignore[arg-type]
        ledger.client.mine(motion)
        expect(page.locator(".stick.new")).to_have_count(1)
        expect(page.locator(".stick.new")).to_contain_text(f"Block {2 - (motion == 'reduce')}")
        moving = "() => document.querySelector('.stick.new').getAnimations().length"
        name = "() => getComputedStyle(document.querySelector('.stick.new')).animationName !== 'none'"
        assert page.evaluate(name) is bool(count), page.evaluate(moving)


def test_without_scripts_one_is_shown_where_the_ledger_is(page: Page, work: LocalLedger) -> None:
    browser = page.context.browser
    assert browser is not None
    context = browser.new_context(java_script_enabled=False)
    try:
        plain = context.new_page()
        plain.goto(work.url)
        expect(plain.get_by_role("link", name="the latest block")).to_be_visible()
    finally:
        context.close()


def test_on_a_phone_the_menu_shows_where_one_is(page: Page, work: LocalLedger) -> None:
    page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    for path, name in (("/api", "API"), ("/lab", "Tamper lab"), ("/", "Overview")):
        visit(page, work, path)
        expect(page.get_by_role("link", name=name, exact=True)).to_be_in_viewport(ratio=1)


def test_a_link_into_the_middle_arrives_there(page: Page, work: LocalLedger) -> None:
    page.goto(f"{work.url}/#/records/sensor-7")
    arrived(page)
    assert page.title() == "Record sensor-7 · Tallystick"
