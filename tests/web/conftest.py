"""A browser for these tests, one for each worker, and for each test a page of its own in the one window of it.

Playwright's blocking form runs an event loop in the thread of the tests, and other tests run loops of their own there.
So the browser lives as long as tests of this folder run, and no longer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.web.browsing import Guard, apart, found_browser, launched, photographed, shared


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    found_browser()  # before a driver is started for nothing
    with sync_playwright() as playwright, launched(playwright) as browser:
        yield browser


@pytest.fixture(scope="package")
def window(browser: Browser) -> Iterator[BrowserContext]:
    """Where the pages of tests are opened, one test after the other."""
    with apart(browser) as context:
        context.new_page()
        yield context


@pytest.fixture
def guard() -> Guard:
    """What goes wrong in `page`, and what a test expects to."""
    return Guard()


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    """Nodes of this test alone: `opened.enter_context(one_node())`. They end after its pages, which would miss them."""
    with ExitStack() as opened:
        yield opened


@pytest.fixture
def context(window: BrowserContext, guard: Guard, opened: ExitStack) -> Iterator[BrowserContext]:  # noqa: ARG001 - ends first
    with shared(window, guard) as context:
        yield context


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """A blank page, as large as on a desk."""
    return context.new_page()


@pytest.fixture
def photograph() -> Callable[[Page, str], list[Path]]:
    """`photograph(page, "block")` writes four pictures into `.screenshots`."""
    return photographed
