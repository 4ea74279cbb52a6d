"""Text of strangers: whatever they write stands on every page as text, and the browser would not run it anyway."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from time import monotonic
from typing import Any, Final
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, Route, expect

from tallystick.client import NewRecord
from tallystick.testing import local
from tallystick.testing.local import LocalLedger
from tests.web.browsing import PATIENCE_MS, PHONE, Guard
from tests.web.nodes import apart, asked, join, nodes, one_node, work_network
from tests.web.reading import altered, turn, visit

IMAGE: Final = '<img src="http://192.0.2.1/x.png" onerror="alert(1)">'
TEXTS: Final = (
    "<script>alert(1)</script>",
    "<SCRIPT SRC=http://192.0.2.1/x.js></SCRIPT>",
    IMAGE,
    "<svg/onload=alert(1)>",
    '"><svg onload=alert(1)>//',
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "<a href='javascript:alert(1)'>press</a>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    '<math><mi//xlink:href="data:x,<script>alert(1)</script>">',
    "<style>*{display:none!important}</style>",
    "<base href='//192.0.2.1/'><meta http-equiv=refresh content='0;url=//192.0.2.1/'>",
    "<form action=//192.0.2.1/><button>press</button></form>",
    "<template><img src=x onerror=alert(1)></template>",
    "</textarea></title></style></script><img src=x onerror=alert(1)>",
    "</pre></main></body></html><h1>Another page</h1>",
    "<!-- --!> <![CDATA[ ]]> <?xml ?>",
    "&lt;b&gt; &amp;amp; &#x3c;script&#x3e; &nbsp;",
    "{{constructor.constructor('alert(1)')()}} ${alert(1)} <%= 7*7 %> #{7*7}",
    "\x00nul \x01 \x1b[31mred\x1b[0m \x7f \x9b",
    "\u202eexe.gnp \u2066left\u2069 zero\u200bwidth\u200djoined\ufeff \u2028line\u2029",
    "Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d" * 40,
    "W" * 5_000,
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 ä \u4e2d\u6587 \u05e9\u05dc\u05d5\u05dd",
    "HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\n\r\n",
    "http://192.0.2.1/ //192.0.2.1/ data:text/html,<script>alert(1)</script>",
    "x" * 65_000,
)
DEEP: Final[Any] = json.loads('{"a":[' * 30 + '"<b>"' + "]}" * 30)
VALUES: Final[tuple[Any, ...]] = (
    {IMAGE: TEXTS[0], "__proto__": {"polluted": 1}, "constructor": {"prototype": {"polluted": 1}}, "toString": "<b>"},
    list(TEXTS[:12]),
    DEEP,
    {"data": {"records": [], "hash": IMAGE}, "": "", "\u202e": "\x00"},
)
UNSEEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)

LOOK: Final = """() => {
  const wrong = [];
  for (const element of document.querySelectorAll("*")) {
    const tag = element.localName;
    if (["iframe", "object", "embed", "base", "math", "template", "video", "frame"].includes(tag)) wrong.push(tag);
    if (["script", "link", "img", "style", "meta"].includes(tag) && element.closest("main, footer, dialog, #said"))
      wrong.push(`${tag} in the content`);
    for (const { name, value } of element.attributes) {
      if (name.startsWith("on") || name === "srcdoc" || name === "formaction" || name === "xlink:href")
        wrong.push(`${tag} ${name}`);
      if ((name === "href" || name === "src") && !/^(#|[/](?![/]))/.test(value)) wrong.push(`${tag} ${name}=${value}`);
    }
  }
  if (document.querySelectorAll("script").length !== 1) wrong.push("scripts");
  for (const tag of ["main", "h1"]) if (document.querySelectorAll(tag).length !== 1) wrong.push(`not one ${tag}`);
  if (Object.prototype.polluted !== undefined) wrong.push("polluted");
  const root = document.documentElement;
  if (root.scrollWidth > innerWidth) wrong.push(`${root.scrollWidth} wide`);
  return wrong;
}"""


def visible(text: str) -> str:
    """The same in Python: what draws nothing is shown by its number."""
    return UNSEEN.sub(lambda found: f"\\u{{{ord(found[0]):x}}}", text)


@pytest.fixture
def tame(page: Page) -> Iterator[Page]:
    """A page in which nothing that was written is run: no dialog, no other page, no other host (see `Guard`). It is as
    small as a phone's, where long texts have the least room."""
    page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    opened: list[str] = []

    def dialog(found: Any) -> None:  # noqa: ANN401 - Playwright's Dialog
        opened.append(found.message)
        found.dismiss()

    page.on("dialog", dialog)
    page.on("popup", lambda _: opened.append("another page"))
    yield page
    assert opened == []


def harmless(page: Page, where: str) -> None:
    """What is there is what we put there, and fits."""
    assert page.evaluate(LOOK) == [], where


def data_is(page: Page, text: str) -> None:
    """It stands there as it was written. Long texts are shown in full when one asks for it."""
    more = page.get_by_role("button", name=re.compile("Show all .* characters"))
    if more.count():
        more.click()
    assert page.locator("pre.data").evaluate("(pre) => pre.textContent") == visible(text)


# --- what is recorded -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def classic() -> Iterator[LocalLedger]:
    with one_node("classic") as ledger:
        for text in TEXTS:
            ledger.client.mine(text)
        yield ledger


@pytest.fixture(scope="module")
def work() -> Iterator[LocalLedger]:
    """All of it in two blocks, in a network with such a name, of nodes with such programs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local, "__version__", IMAGE)
        with nodes(2, seals=False, network=work_network(f"net {IMAGE} \u202e")) as (ledger, _):
            ledger.client.post_many([NewRecord(text, id=f"t{n}") for n, text in enumerate(TEXTS)])
            ledger.seal()
            ledger.client.post_many([NewRecord(value, id=f"v{n}") for n, value in enumerate(VALUES)])
            ledger.seal()
            yield ledger


def test_texts_in_records_are_texts(tame: Page, work: LocalLedger) -> None:
    """Catalogue row 121."""
    visit(tame, work)
    harmless(tame, "overview")
    assert visible("net " + IMAGE + " \u202e") in tame.locator("h1").inner_text()
    for n, text in enumerate(TEXTS):
        turn(tame, f"/records/t{n}")
        data_is(tame, text)
        harmless(tame, text[:40])
    for n in range(len(VALUES)):
        turn(tame, f"/records/v{n}")
        shown = tame.locator("pre.data").evaluate("(pre) => pre.textContent")
        assert visible(json.dumps(VALUES[n], indent=2, ensure_ascii=False, sort_keys=True)) == shown
        assert False not in set(tame.evaluate(
            "() => [...document.querySelectorAll('[data-holds]')].map(({ dataset }) => JSON.parse(dataset.holds))"
        ))  # fmt: skip
        harmless(tame, f"value {n}")


def test_texts_in_blocks_are_texts(tame: Page, classic: LocalLedger) -> None:
    visit(tame, classic)
    harmless(tame, "overview")
    for n, text in enumerate(TEXTS):
        turn(tame, f"/blocks/{n + 1}")
        data_is(tame, text)
        harmless(tame, text[:40])


@pytest.mark.parametrize("kind", ["work", "classic"])
def test_lists_labs_and_forms_show_it_as_text(tame: Page, request: pytest.FixtureRequest, kind: str) -> None:
    ledger: LocalLedger = request.getfixturevalue(kind)
    visit(tame, ledger, "/blocks")
    for path in ("/blocks", "/blocks/1", "/blocks/2", "/blocks?to=12", "/records", "/peers", "/forks", "/post", "/api"):
        turn(tame, path)
        harmless(tame, path)
    for ref in range(1, asked(ledger, "/blocks/latest")["index"] + 1, 4):
        turn(tame, f"/lab?block={ref}")
        for field in tame.locator(".copy textarea").all():
            field.fill("[1]")
        harmless(tame, f"lab {ref}")


def test_matches_of_a_search_are_texts(tame: Page, work: LocalLedger, classic: LocalLedger, guard: Guard) -> None:
    guard.expects("404")  # there is no record of such a name
    for ledger in (work, classic):
        visit(tame, ledger)
        for text in TEXTS[:-1:2]:
            query = text[:60]
            tame.evaluate("(text) => { location.hash = `#/search?q=${encodeURIComponent(text)}` }", query)
            tame.locator("main [role=status]", has_text=re.compile("all there is|stopped")).wait_for()
            harmless(tame, f"search {query}")


def test_what_a_fork_removed_is_text(tame: Page, opened: ExitStack) -> None:
    one, other = opened.enter_context(apart("classic"))
    for text in TEXTS[:22]:
        one.client.mine(text)
    for number in range(24):
        other.client.mine(f"other {number}")
    visit(tame, one)
    join(one, other)
    expect(tame.locator(".happenings")).to_contain_text("Reorg")
    harmless(tame, "overview")
    turn(tame, "/forks")
    harmless(tame, "forks")
    assert IMAGE[:40] in tame.locator("article.fork").inner_text()


def test_what_is_posted_here_is_text(tame: Page, opened: ExitStack) -> None:
    ledger = opened.enter_context(one_node())
    visit(tame, ledger, "/post")
    for count, text in enumerate(TEXTS[:6], 1):
        tame.get_by_label("Data").fill(text)
        tame.locator("form.post").get_by_role("button").click()
        expect(tame.locator("article.journey")).to_have_count(count)
    harmless(tame, "post")


# --- what stands in the address ---------------------------------------------------------------------

QUERIES: Final = (*TEXTS[:5], TEXTS[14], "../../status", "%", "\u202e", "__proto__", "a" * 5_000)
PLACES: Final = (
    "/records/{}",
    "/blocks/{}",
    "/lab?block={}",
    "/search?q={}",
    "/{}",
    "/blocks?to={}",
    "/records?before={}",
)


@pytest.mark.parametrize("place", PLACES)
def test_text_in_the_address_is_text(tame: Page, work: LocalLedger, guard: Guard, place: str) -> None:
    if place not in {"/blocks?to={}", "/records?before={}"}:
        guard.expects(r"4\d\d")
    visit(tame, work)
    for text in QUERIES:
        for written in (text, quote(text, safe="")):
            turn(tame, place.format(written))
            harmless(tame, place.format(written)[:80])


# --- what a node says -------------------------------------------------------------------------------


def poisoned(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Every text of an answer becomes markup."""
    if isinstance(value, str):
        return f"{value[:3]}{IMAGE}"
    if isinstance(value, list):
        return [poisoned(each) for each in value]
    return {key: poisoned(each) for key, each in value.items()} if isinstance(value, dict) else value


POISONED: Final = {
    "work": ("/", "/blocks", "/blocks/1", "/records", "/records/v1", "/peers", "/lab", "/api", "/search?q=1"),
    "classic": ("/", "/blocks", "/blocks/1", "/forks", "/lab"),
}


def test_whatever_a_node_answers_is_text(tame: Page, work: LocalLedger, classic: LocalLedger, guard: Guard) -> None:
    """Nothing in it is trusted to have a form: hashes, states, names of rules, not even the interface's document."""
    guard.expects("404|exception|TypeError|Error:")

    def poison(url: str, value: Any) -> Any:  # noqa: ANN401 - any JSON value
        told = poisoned(value)
        if url.endswith("/status"):
            told["network"]["kind"] = value["network"]["kind"]  # by which pages differ
        return told

    altered(tame, re.compile(r"^http://[^/]+/(blocks|records|status|forks|search|openapi|peers)\b"), poison)
    for ledger in (work, classic):
        visit(tame, ledger)
        for path in POISONED[ledger.kind]:
            turn(tame, path)
            harmless(tame, path)
    tame.unroute_all(behavior="ignoreErrors")


def test_what_a_node_refuses_with_is_text(tame: Page, work: LocalLedger, guard: Guard) -> None:
    guard.expects("422")
    problem = {"type": f"urn:{IMAGE}", "title": IMAGE, "detail": f"{IMAGE}\u202e\x00", "status": 422}

    def refuse(route: Route) -> None:
        route.fulfill(status=422, content_type="application/problem+json", body=json.dumps(problem))

    tame.route(re.compile(r"^http://[^/]+/(blocks|records|mineBlock|addPeer|peers)\b"), refuse)
    visit(tame, work)
    for path in ("/blocks", "/records/a", "/lab"):
        turn(tame, path)
        expect(tame.get_by_role("alert")).to_contain_text('onerror="alert(1)"')
        harmless(tame, path)
    for path, label in (("/post", "Data"), ("/peers", "Dial another node")):
        turn(tame, path)
        tame.get_by_label(label).fill("x")
        tame.locator("main form").get_by_role("button").last.click()
        expect(tame.get_by_role("alert")).to_contain_text('onerror="alert(1)"')
        harmless(tame, path)
    for odd in ("<h1>no JSON</h1>", "null", "[]", '"text"', '{"title": 7, "detail": {}}', '{"title": ""}'):
        problem_text = odd
        tame.unroute_all()
        tame.route("**/blocks/latest", lambda route: route.fulfill(status=422, body=problem_text))  # noqa: B023 - before the next
        turn(tame, "/blocks")
        expect(tame.get_by_role("alert")).to_be_visible()


def test_events_are_text(tame: Page, work: LocalLedger) -> None:
    block = {"index": 3, "hash": IMAGE, "previous_hash": IMAGE, "timestamp": 1, "records": IMAGE}
    events = [
        ("block", block),
        ("peer", {"address": IMAGE, "state": IMAGE}),
        ("reorg", {"fork": {"index": 1, "hash": IMAGE}, "removed": [{"hash": IMAGE}]}),
        (IMAGE, {"a": IMAGE}),
        ("reset", {**block, "index": 4}),
    ]
    body = "".join(f"id: {n}\nevent: {kind}\ndata: {json.dumps(data)}\n\n" for n, (kind, data) in enumerate(events, 1))
    tame.route("**/events?*", lambda route: route.fulfill(content_type="text/event-stream", body=body))
    visit(tame, work)
    expect(tame.locator(".happenings")).to_contain_text("Reorg")
    harmless(tame, "overview")


# --- should a page ever fail to ---------------------------------------------------------------------

INJECTIONS: Final = {
    "innerHTML": "document.body.innerHTML = '<b>markup</b>'",
    "insertAdjacentHTML": "document.body.insertAdjacentHTML('beforeend', '<b>markup</b>')",
    "outerHTML": "document.querySelector('h1').outerHTML = '<b>markup</b>'",
    "parsing": "new DOMParser().parseFromString('<b>', 'text/html')",
    "eval": "(0, eval)('window.ran = 1')",
    "Function": "new Function('window.ran = 1')()",
    "a timer": "setTimeout('window.ran = 1')",
    "a script's address": "document.createElement('script').src = '/explorer/main.js'",
    "a policy": "trustedTypes.createPolicy('any', { createHTML: (text) => text })",
    "write": "document.write('<b>markup</b>')",
}
QUIET_INJECTIONS: Final = {
    "a script in the page": """const script = document.createElement('script');
      script.append('window.ran = 1'); document.body.append(script);""",
    "a handler": "document.body.setAttribute('onclick', 'window.ran = 1'); document.body.click();",
    "an address that is a script": """const link = document.createElement('a');
      link.href = 'javascript:window.ran = 1'; document.body.append(link); link.click();""",
    "a frame": "document.body.append(Object.assign(document.createElement('iframe'), { src: 'data:text/html,x' }))",
    "a style": "document.head.append(Object.assign(document.createElement('style'), { textContent: 'h1{color:red}' }))",
    "a form": """const form = Object.assign(document.createElement('form'), { action: '/mineBlock', method: 'post' });
      document.body.append(form); form.submit();""",
    "a worker": "try { new Worker('data:text/javascript,1') } catch {}",
    "a request elsewhere": "fetch('http://192.0.2.1/').catch(() => {})",
}


REFUSED: Final = """(script) => new Promise((resolve) => setTimeout(() => {
  try { script(); resolve("done"); } catch (error) { resolve(`${error.name}`); }
}))"""
"""In a task of its own: what Playwright calls itself may evaluate texts whatever the policy says, as a debugger may."""


def test_the_browser_runs_nothing_that_a_page_lets_in(tame: Page, work: LocalLedger, guard: Guard) -> None:
    guard.expects("polic|Polic|Trusted|Refused|violates|Failed to")
    visit(tame, work)
    for name, script in INJECTIONS.items():
        outcome = tame.evaluate(f"() => ({REFUSED})(() => {{ {script} }})")
        assert outcome in {"TypeError", "EvalError"}, name
    for name, script in QUIET_INJECTIONS.items():
        before = len(guard.heard)
        tame.evaluate(f"() => ({REFUSED})(() => {{ {script} }})")
        deadline = monotonic() + PATIENCE_MS / 1_000
        while len(guard.heard) == before:
            assert monotonic() < deadline, f"{name}: nobody minds"
            tame.evaluate("() => new Promise(requestAnimationFrame)")
    assert tame.evaluate("() => [window.ran ?? null, document.querySelectorAll('b').length]") == [None, 0]
    assert tame.evaluate("() => getComputedStyle(document.querySelector('h1')).color") != "rgb(255, 0, 0)"


def test_no_other_page_may_frame_this_one(tame: Page, work: LocalLedger) -> None:
    head = tame.request.get(work.url, headers={"accept": "text/html"}).headers
    assert "frame-ancestors 'none'" in head["content-security-policy"]
