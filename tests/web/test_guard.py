"""The guard hears what goes wrong in a page, or every other test of this folder shows nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import pytest
from playwright.sync_api import Browser, Error, Page

from tallystick.testing.local import LocalLedger
from tests.web.browsing import PATIENCE_MS, Guard, guarded

WRONG = {
    "console: oh no": "console.error('oh no')",
    "exception: .*thrown": "setTimeout(() => { throw new Error('thrown') })",
    "exception: .*rejected": "void Promise.reject(new Error('rejected'))",
    "response: GET .*/nowhere was answered 404": "void fetch('/nowhere')",
    "policy violated: script-src": "import('http://192.0.2.1/x.js').catch(() => {})",
    "policy violated: require-trusted-types-for": "try { document.body.innerHTML = '<b>' } catch {}",
    "policy violated: connect-src": "fetch('http://192.0.2.1/').catch(() => {})",
    "policy violated: img-src": "document.body.append(Object.assign(new Image(), {src: 'http://tallystick.test/'}))",
}


def test_what_goes_wrong_in_a_page_fails_its_test(browser: Browser, ledger: LocalLedger) -> None:
    guard = Guard()
    with pytest.raises(pytest.fail.Exception) as failure, guarded(browser, guard) as context:
        does_wrong(context.new_page(), ledger, guard)
    for heard in WRONG:
        assert re.search(heard, str(failure.value))


def does_wrong(page: Page, ledger: LocalLedger, guard: Guard) -> None:
    """All of it, and waits, frame by frame, for what the browser tells of by itself."""
    page.goto(ledger.url)
    for script in WRONG.values():
        page.evaluate(f"() => {{ {script} }}")
    deadline = monotonic() + PATIENCE_MS / 1_000
    while not all(re.search(heard, str(guard.heard)) for heard in WRONG) and monotonic() < deadline:
        page.evaluate("() => new Promise(requestAnimationFrame)")


@pytest.mark.parametrize("url", ["http://tallystick.test/", "http://192.0.2.1/"])
def test_nothing_gets_beyond_this_machine(page: Page, guard: Guard, url: str) -> None:
    guard.expects(f"stranger: {url}")
    guard.expects("failed: net::ERR_NAME_NOT_RESOLVED")
    with pytest.raises(Error, match="ERR_NAME_NOT_RESOLVED"):
        page.goto(url)


def test_what_a_test_expects_has_to_happen(browser: Browser, ledger: LocalLedger) -> None:
    guard = Guard()
    guard.expects("console: never")
    with pytest.raises(pytest.fail.Exception, match="never"), guarded(browser, guard) as context:
        context.new_page().goto(ledger.url)


def test_pictures_are_taken_on_desk_and_phone_by_day_and_by_night(
    page: Page, ledger: LocalLedger, photograph: Callable[[Page, str], list[Path]]
) -> None:
    page.goto(ledger.url)
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in photograph(page, "front"))
