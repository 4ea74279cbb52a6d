"""The files of the explorer, as a browser gets them: who may have them, and with which headers."""

from __future__ import annotations

import posixpath
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import tallystick.web
from tallystick.api.access import Access
from tallystick.web.pages import FRONT, KINDS, POLICY, pages
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


# --- what is in them --------------------------------------------------------------------------------

IMPORT = re.compile(r"""(?:\bfrom|\bimport\(|^import)\s*["']([^"']+)["']""", re.MULTILINE)
"""`import "x"`, `import { y } from "x"`, `export { y } from "x"` and `import("x")`."""
MARKUP = re.compile(
    r"\b(?:innerHTML|outerHTML|insertAdjacentHTML|createContextualFragment|setHTMLUnsafe|parseFromString|eval)\b"
    r"|document\.write|new Function|\bsrcdoc\b|trustedTypes|import\((?![\"'])"
)
"""Ways from a text to markup or to a script."""


class Outline(HTMLParser):
    """The elements of a document, with their attributes, and the text that stands in scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inline = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.elements and self.elements[-1][0] in {"script", "style"}:
            self.inline += data.strip()


def text_of(name: str) -> str:
    return pages()[name].body.decode("utf-8")


def named_by(name: str) -> set[str]:
    """Files of the explorer that this one names."""
    text = text_of(name)
    if name.endswith(".js"):
        return {posixpath.normpath(posixpath.join(posixpath.dirname(name), path)) for path in IMPORT.findall(text)}
    if name.endswith(".css"):
        return {path.strip("\"'") for path in re.findall(r"url\((.*?)\)|@import", text)}
    links = [path or "" for _, attributes in Outline(text).elements for path in map(attributes.get, ("src", "href"))]
    return {link.removeprefix("/explorer/") for link in links if link.startswith("/explorer/")}


def test_every_file_that_is_named_is_there_and_every_file_is_named() -> None:
    """From the page on: also what is imported only when somebody looks at it."""
    reached, waiting = set[str](), [FRONT]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            assert name in pages(), f"{name} is not there"
            reached.add(name)
            waiting += named_by(name)
    assert reached == set(pages())


def test_all_files_of_the_folder_are_part_of_the_package_and_served() -> None:
    folder = Path(tallystick.web.__file__).parent / "static"
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == set(pages())


def test_nothing_stands_in_the_page_that_the_policy_would_refuse() -> None:
    page = Outline(text_of(FRONT))
    assert page.inline == ""
    assert [tag for tag, _ in page.elements if tag in {"style", "iframe", "object", "embed", "base"}] == []
    for tag, attributes in page.elements:
        assert not any(name.startswith("on") or name in {"style", "srcdoc"} for name in attributes), tag
        for address in map(attributes.get, ("src", "href", "action")):
            assert address is None or re.match(r"#|/(?!/)", address), address


@pytest.mark.parametrize("name", [name for name in pages() if name.endswith((".js", ".svg"))])
def test_no_script_makes_markup_or_scripts_of_text(name: str) -> None:
    text = text_of(name)
    assert not MARKUP.search(text), MARKUP.search(text)
    if name.endswith(".svg"):
        assert not re.search(r"<script|<style|\bon\w+=|href", text)


@pytest.mark.parametrize("name", [name for name in pages() if name.endswith((".js", ".css"))])
def test_a_file_is_small_and_names_no_other_host(name: str) -> None:
    text = text_of(name)
    assert len(text.splitlines()) <= 500
    assert max(map(len, text.splitlines())) < 450
    assert set(re.findall(r"[a-z]+://[^\s\"'`)]+", text)) <= {"http://www.w3.org/2000/svg", "ws://192.168.1.7:3001"}
