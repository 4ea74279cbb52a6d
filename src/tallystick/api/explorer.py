"""`GET /` for browsers, and the files of the explorer (`web`).

They are the same for everybody and tell nothing of the ledger, so no token is asked for: where one is needed, the page
asks its reader for it and sends it along with what it wants to know (`access`).
"""

from __future__ import annotations

from sanic import Request

from tallystick.api.answers import Answer, header_lines, status_line
from tallystick.api.desk import Desk
from tallystick.api.problems import Fault, Refusal
from tallystick.api.requests import READ
from tallystick.api.routes import Routes
from tallystick.errors import shown
from tallystick.web.pages import FRONT, HEADERS, Page, pages


class PageAnswer(Answer):
    """A file, or 304 (RFC 9110, section 15.4.5) for whoever has it already."""

    __slots__ = ("_page",)

    def __init__(self, page: Page, known: str) -> None:
        """`known` is what the request says in `If-None-Match`."""
        has_it = page.tag in known
        super().__init__(None if has_it else page.body, 304 if has_it else 200)
        self._page = page

    def head(self) -> bytes:
        """Its own headers, and none of those that other answers carry."""
        own = {"content-type": self._page.kind, "etag": self._page.tag, "vary": "accept"}
        return status_line(self.status) + header_lines({**HEADERS, **own})


def explorer(_: Desk) -> Routes:
    """The routes of this noun. The front page itself is a matter of `state`, as programs get something else there."""
    blueprint = Routes("explorer")

    async def file(request: Request, name: str) -> Answer:
        page = pages().get(name)
        if page is None or name == FRONT:
            raise Refusal(Fault.NO_SUCH_PATH, f"there is no file {shown(name)} here; the explorer is at /")
        return page_answer(request, page)

    async def docs(_: Request) -> Answer:
        return Answer(b"", 302, headers={"location": "/#/api"})

    blueprint.add_route(file, "/explorer/<name:path>", methods=READ)
    blueprint.add_route(docs, "/docs", methods=READ)
    return blueprint


def page_answer(request: Request, page: Page) -> Answer:
    """This file for this request."""
    return PageAnswer(page, request.headers.getone("if-none-match", ""))


def front_page(request: Request) -> Answer:
    """The explorer."""
    return page_answer(request, pages()[FRONT])
