"""The modules of `web/static/ledger`, as a page of a node has them, for tests to call."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from playwright.sync_api import Browser, Page

from tests.web.browsing import Guard, guarded

NAMES: Final = (
    "bytes",
    "canonical",
    "checks",
    "classic",
    "frontier",
    "hash",
    "log",
    "record",
    "sealed",
    "tamper",
    "whole",
)


class Modules:
    """Runs JavaScript where the modules are at hand by their names."""

    def __init__(self, page: Page) -> None:
        self._page = page

    def run(self, script: str, given: object = None) -> Any:  # noqa: ANN401 - any JSON value
        """What the body of an async function returns, to which `given` is a JSON value. Goes both ways as text, for
        nothing but JSON to come between."""
        text = given if isinstance(given, str) else json.dumps(given)
        return json.loads(self._page.evaluate(_FUNCTION % script, text))


_FUNCTION: Final = (
    "async (text) => { const given = JSON.parse(text);"
    f"const [{', '.join(NAMES)}] = await Promise.all({[f'/explorer/ledger/{name}.js' for name in NAMES]}"
    ".map((path) => import(path)));"
    """
  const each = (work) => Promise.all(given.map(async (one, at) => {
    try { return await work(one, at); } catch (error) { return { refused: error.message }; }
  }));
  return JSON.stringify((await (async () => { %s })()) ?? null,
    (_, value) => typeof value === "bigint" ? value.toString() : value); }"""
)


@contextmanager
def modules_at(browser: Browser, url: str) -> Iterator[Modules]:
    """Those of the node there. What goes wrong in its page fails whoever uses them."""
    with guarded(browser, Guard()) as context:
        page = context.new_page()
        page.goto(url)
        yield Modules(page)
