"""What a reader does with the explorer, and what there is to see."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from http import HTTPStatus
from time import monotonic
from typing import Any

from playwright.sync_api import Error, Locator, Page, Route, expect

from tallystick.testing.local import LocalLedger
from tests.web.browsing import PATIENCE_MS
from tests.web.nodes import said

expect.set_options(timeout=PATIENCE_MS)


def visit(page: Page, ledger: LocalLedger, path: str = "/") -> None:
    """Open a page of it anew, such as `/blocks/7`, and wait until it is there."""
    page.goto("about:blank")  # or the browser stays in the page that it has
    page.goto(f"{ledger.url}/#{path}")
    arrived(page)


def arrived(page: Page) -> None:
    """A page is there, whatever it shows."""
    page.locator("#main:not([aria-busy]) h1").wait_for()


def turn(page: Page, path: str) -> None:
    """Go to another page of the same document, as a link does: quicker than `visit`. It may be the same page anew."""
    _mark(page)
    page.evaluate("(path) => { location.hash = `#${path}${path.includes('?') ? '&' : '?'}${Math.random()}` }", path)
    _turned(page)


def follow_link(page: Page, link: Locator) -> None:
    """Click it, and wait for the page that it leads to."""
    _mark(page)
    link.click()
    _turned(page)


def _mark(page: Page) -> None:
    page.evaluate("() => { const old = document.querySelector('#main h1'); old && (old.dataset.old = '1'); }")


def _turned(page: Page) -> None:
    page.locator("#main:not([aria-busy]) h1:not([data-old])").wait_for()


def until(page: Page, true: Callable[[], object]) -> None:
    """Wait for something that the page does not show; it is looked at with each frame."""
    deadline = monotonic() + PATIENCE_MS / 1_000
    while not true():
        assert monotonic() < deadline, "it never came"
        page.evaluate("() => new Promise(requestAnimationFrame)")


def heading(page: Page) -> Locator:
    return page.get_by_role("heading", level=1)


def checks(page: Page) -> dict[str, bool | None]:
    """What the page says of each rule that it checks, as soon as it says so."""
    page.locator(".checks").wait_for()
    found: dict[str, bool | None] = page.evaluate(
        "() => Object.fromEntries([...document.querySelectorAll('.checks [data-rule]')]"
        ".map(({ dataset }) => [dataset.rule, JSON.parse(dataset.holds)]))"
    )
    return found


def summary(page: Page) -> str:
    """What it says of all checks together."""
    return page.locator(".checks .summary strong").inner_text()


def altered(page: Page, pattern: str | re.Pattern[str], change: Callable[[str, Any], Any]) -> None:
    """The node's answers to these paths get to the page changed: `change` is given path and JSON value."""

    def answer(route: Route) -> None:
        status, value = said(route.request.url)
        with contextlib.suppress(Error):  # the page may be gone by now
            route.fulfill(status=status, json=change(route.request.url, value) if status == HTTPStatus.OK else value)

    page.route(pattern, answer)
