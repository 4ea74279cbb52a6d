"""A real browser at the explorer: Chromium, as it is installed, driven by Playwright; nothing is downloaded.

Nobody looks on while tests run, so a page says by itself when something is wrong with it. A `Guard` hears whatever a
page's console says of errors, exceptions that nobody catches, answers that fail, violations of the page's policy, and
requests to anywhere but this machine, which do not get there. A test fails with all of it, unless it says what it
expects.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, Request, Response, WebError

COMMANDS: Final = ("chromium", "chromium-browser", "google-chrome")
HOW: Final = (
    f"no browser: none of {', '.join(COMMANDS)} is on PATH. On Debian: apt-get install chromium; on Ubuntu: install "
    "google-chrome (https://www.google.com/chrome/)"
)
REQUIRED: Final = os.environ.get("BROWSER_TESTS") == "required"
"""Then a browser that is missing is a failure, and no reason to skip. `.ci/run` says so."""

ARGUMENTS: Final = (
    "--no-sandbox",  # Chromium has none for root, who builds in containers; it loads nothing but our own pages
    "--disable-dev-shm-usage",  # containers have 64 MiB of it
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    "--renderer-process-limit=1",  # for all pages of a context: to start one takes as long as most tests
)

DESKTOP: Final = (1280, 800)
PHONE: Final = (390, 844)
SHOTS: Final = Path(__file__).parents[2] / ".screenshots"

_HERE: Final = {"127.0.0.1", "localhost", "[::1]", ""}

_TELL: Final = """document.addEventListener("securitypolicyviolation", (event) => console.error(
  `policy violated: ${event.effectiveDirective} by ${event.blockedURI} ${event.sample}`));"""
"""Chromium says so by itself, but not for pages whose policy only reports."""

PATIENCE_MS: Final = 20_000
"""Far more than anything here takes; what takes longer is broken."""


def found_browser() -> str:
    """The path of a browser. Skips the test when there is none, or fails it where one is required."""
    path = next((path for command in COMMANDS if (path := shutil.which(command))), None)
    if path is None:
        if REQUIRED:
            pytest.fail(HOW)
        pytest.skip(HOW)
    return path


@contextmanager
def launched(playwright: Playwright) -> Iterator[Browser]:
    """A browser without a window."""
    browser = playwright.chromium.launch(executable_path=found_browser(), args=ARGUMENTS)
    try:
        yield browser
    finally:
        browser.close()


@dataclass
class Guard:
    """Hears what goes wrong in the pages of a context."""

    heard: list[str] = field(default_factory=list)
    expected: list[re.Pattern[str]] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)
    """Hosts beside this machine that a test answers for itself (`page.route`)."""

    def expects(self, pattern: str) -> None:
        """Something in which this is found goes wrong, and shall."""
        self.expected.append(re.compile(pattern))

    @contextmanager
    def watching(self, context: BrowserContext) -> Iterator[None]:
        """Listen to all pages of it meanwhile. Fails with what went wrong."""
        hears: dict[Any, Callable[[Any], None]] = {
            "console": self._console,
            "weberror": self._exception,
            "request": self._request,
            "requestfailed": self._failed,
            "response": self._response,
            "page": self._page,
        }
        for event, hear in hears.items():
            context.on(event, hear)
        try:
            yield
        finally:
            for event, hear in hears.items():
                context.remove_listener(event, hear)
        if wrong := self.unexpected():
            pytest.fail("in the browser:\n" + "\n".join(wrong))
        if missing := self.missing():
            pytest.fail("expected of the browser, and not heard:\n" + "\n".join(missing))

    def unexpected(self) -> list[str]:
        """What went wrong and should not have."""
        return [each for each in self.heard if not any(pattern.search(each) for pattern in self.expected)]

    def missing(self) -> list[str]:
        """What should have gone wrong and has not."""
        return [each.pattern for each in self.expected if not any(each.search(heard) for heard in self.heard)]

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "assert"}:
            self.heard.append(f"console: {message.text}")

    def _exception(self, error: WebError) -> None:
        self.heard.append(f"exception: {error.error.stack or error.error.message}")

    def _request(self, request: Request) -> None:
        self._check(request.url)

    def _failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # by the page itself, which may change its mind
            self.heard.append(f"request: {request.method} {request.url} failed: {request.failure}")

    def _response(self, response: Response) -> None:
        if response.status >= 400:
            self.heard.append(f"response: {response.request.method} {response.url} was answered {response.status}")

    def _page(self, page: Page) -> None:
        page.on("websocket", lambda socket: self._check(socket.url))

    def _check(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in {"http", "https", "ws", "wss"} and parts.hostname not in _HERE | self.hosts:
            self.heard.append(f"stranger: {url} is not of this machine")


@contextmanager
def apart(browser: Browser) -> Iterator[BrowserContext]:
    """A context of its own: no cookie, file or setting of another."""
    width, height = DESKTOP
    context = browser.new_context(viewport={"width": width, "height": height}, locale="en-GB", timezone_id="UTC")
    context.set_default_timeout(PATIENCE_MS)
    context.add_init_script(_TELL)
    try:
        yield context
    finally:
        context.close()


@contextmanager
def guarded(browser: Browser, guard: Guard) -> Iterator[BrowserContext]:
    """Likewise. Fails with what went wrong in it."""
    with ExitStack() as opened:
        context = opened.enter_context(apart(browser))
        opened.enter_context(guard.watching(context))
        yield context


@contextmanager
def shared(context: BrowserContext, guard: Guard) -> Iterator[BrowserContext]:
    """A context that others had, and will have. What is opened and set in it is gone afterwards. Its first page, which
    is blank, keeps the process of all; a tab's own storage goes with the tab, and nothing here keeps anything else."""
    with guard.watching(context):
        try:
            yield context
        finally:
            for page in context.pages[1:]:
                page.close()
            context.unroute_all()
            context.clear_cookies()


def photographed(page: Page, name: str) -> list[Path]:
    """Pictures of the page as it is, by day and by night, on a desk and on a phone; it is left as on a desk by day."""
    SHOTS.mkdir(exist_ok=True)
    taken = []
    for place, (width, height) in {"desktop": DESKTOP, "phone": PHONE}.items():
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme="light")
        taken.append(SHOTS / f"{name}-{place}-light.png")
        page.screenshot(path=taken[-1], full_page=True)
        page.emulate_media(color_scheme="dark")
        taken.append(SHOTS / f"{name}-{place}-dark.png")
        page.screenshot(path=taken[-1], full_page=True)
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
    return taken
