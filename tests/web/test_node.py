"""How pages wait and ask (`node.js`), where it shows on no page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest
from playwright.sync_api import Page

from tallystick.testing.local import LocalLedger
from tests.web.nodes import one_node
from tests.web.reading import visit

WAIT: Final = """async () => {
  const { pause } = await import("/explorer/node.js");
  const { signal } = new AbortController();
  let kept = 0;
  const [add, remove] = [signal.addEventListener, signal.removeEventListener];
  signal.addEventListener = (...given) => { kept += 1; add.apply(signal, given); };
  signal.removeEventListener = (...given) => { kept -= 1; remove.apply(signal, given); };
  for (let times = 0; times < 20; times += 1) await pause(1, signal);
  return kept;
}"""

ENDED: Final = """async () => {
  const { pause } = await import("/explorer/node.js");
  const ending = new AbortController();
  const waiting = pause(1e9, ending.signal);
  ending.abort();
  return waiting.then(() => "over");
}"""


@pytest.fixture(scope="module")
def ledger() -> Iterator[LocalLedger]:
    with one_node("classic") as ledger:
        yield ledger


def test_a_page_that_stays_open_for_weeks_keeps_nothing_of_its_waits(page: Page, ledger: LocalLedger) -> None:
    visit(page, ledger, "/api")
    assert page.evaluate(WAIT) == 0


def test_a_wait_ends_with_the_page(page: Page, ledger: LocalLedger) -> None:
    visit(page, ledger, "/api")
    assert page.evaluate(ENDED) == "over"
