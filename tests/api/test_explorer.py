"""The files of the explorer, as a browser gets them: who may have them, and with which headers."""

from __future__ import annotations

import pytest

from tallystick.api.access import Access
from tallystick.web.pages import KINDS, POLICY, pages
from tests.api.serving import run, serving

AS_BROWSERS = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
FILES = [f"/explorer/{name}" for name in pages() if name != "index.html"]


def test_a_browser_gets_the_page_and_a_program_gets_json() -> None:
    async def main() -> None:
        async with serving() as node:
            page = await node.client.get("/", headers={"accept": AS_BROWSERS})
            assert page.headers["content-type"] == "text/html; charset=utf-8"
            assert page.text.startswith("<!doctype html>")
            for accept in ("*/*", "application/json", ""):
                answer = await node.client.get("/", headers={"accept": accept})
                assert answer.json()["endpoints"]
                assert answer.headers["vary"] == page.headers["vary"] == "accept"

    run(main())


def test_every_file_says_its_type_and_what_a_browser_may_do_with_it() -> None:
    async def main() -> None:
        async with serving() as node:
            answers = [await node.client.get(path) for path in FILES]
            answers.append(await node.client.get("/", headers={"accept": AS_BROWSERS}))
            for answer in answers:
                assert answer.status_code == 200
                assert answer.headers["content-type"] in KINDS.values()
                assert answer.headers["content-security-policy"] == POLICY
                assert answer.headers["x-content-type-options"] == "nosniff"
                assert answer.headers["cache-control"] == "no-cache"

    run(main())


def test_the_policy_lets_nothing_in_but_files_of_this_node() -> None:
    allowed = dict(rule.split(" ", 1) for rule in POLICY.split("; "))
    assert "unsafe" not in POLICY
    assert allowed.pop("require-trusted-types-for") == "'script'"
    assert allowed["default-src"] == allowed["trusted-types"] == "'none'"
    assert set(allowed.values()) == {"'none'", "'self'"}


def test_a_browser_that_has_a_file_is_not_sent_it_again() -> None:
    async def main() -> None:
        async with serving() as node:
            for path in ("/", FILES[0]):
                head = {"accept": AS_BROWSERS}
                first = await node.client.get(path, headers=head)
                again = await node.client.get(path, headers=head | {"if-none-match": first.headers["etag"]})
                assert (again.status_code, again.content) == (304, b"")
                other = await node.client.get(path, headers=head | {"if-none-match": '"another"'})
                assert other.content == first.content

    run(main())


@pytest.mark.parametrize(
    "path", ["index.html", "x.js", "../pages.py", "%2e%2e/pages.py", "views", "views/", "", "%00", "a/" * 60]
)
def test_other_paths_are_404(path: str) -> None:
    async def main() -> None:
        async with serving() as node:
            answer = await node.client.get(f"http://127.0.0.1:{node.server.port}/explorer/{path}")
            assert answer.status_code == 404
            assert answer.json()["type"] == "urn:tallystick:problem:no-such-path"

    run(main())


def test_the_files_need_no_token_and_what_they_ask_for_does() -> None:
    async def main() -> None:
        access = Access("127.0.0.1", 0, write_token="w" * 32, read_token="r" * 32)
        async with serving(access=access) as node:
            for path in [*FILES, "/docs"]:
                assert (await node.client.get(path)).status_code in {200, 302}
            assert (await node.client.get("/", headers={"accept": AS_BROWSERS})).status_code == 200
            for path in ("/", "/status", "/blocks/0", "/explorer", "/docs/", "/health/../status"):
                assert (await node.client.get(path)).status_code == 401

    run(main())


def test_docs_leads_to_the_page_on_the_interface() -> None:
    async def main() -> None:
        async with serving() as node:
            answer = await node.client.get("/docs")
            assert (answer.status_code, answer.headers["location"]) == (302, "/#/api")

    run(main())
