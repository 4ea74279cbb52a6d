"""`GET /search`: where a text stands on the best chain, newest first.

There is no index, so a search is a walk through the ledger, and that may be long. So each request goes a bounded
stretch and says where to go on; whoever asks shows how far it is, and stops when it has enough. Requests take turns:
one walks at a time, a slice of about a millisecond, and between two slices the node does everything else that waits.

A place on the chain is an index, or a position in the log. What stays on the chain stays at its place whatever joins or
leaves above it, so whoever goes on below `before` meets it once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterator
from typing import Final

from sanic import Request

from tallystick.api.answers import Answer, json_answer
from tallystick.api.blocks import affordable
from tallystick.api.desk import Desk
from tallystick.api.problems import Fault, Refusal
from tallystick.api.requests import READ, parameters, whole_number
from tallystick.api.routes import Routes
from tallystick.api.views import match_view
from tallystick.errors import shown
from tallystick.model.block import INDEX_MAX
from tallystick.model.limits import Limits
from tallystick.model.needle import PIECE, Needle

_END: Final = INDEX_MAX + 1
"""Above every place."""


def search(desk: Desk) -> Routes:
    """The route of this noun."""
    blueprint = Routes("search")
    turn = asyncio.Lock()

    async def find(request: Request) -> Answer:
        _ = desk.ledger
        walk = Walk(desk, *_asked(request.query_string, desk.limits))
        if desk.searches >= desk.limits.searches:
            raise Refusal(Fault.BUSY, "as many clients search it as it lets; ask again in a second")
        desk.searches += 1
        try:
            async with turn:
                for _ in walk.slices():
                    await asyncio.sleep(0)  # others come first
        finally:
            desk.searches -= 1
        return affordable(desk, json_answer(walk.view()))

    blueprint.add_route(find, "/search", methods=READ)
    return blueprint


def _asked(query: str, limits: Limits) -> tuple[Needle, int, int]:
    """What is sought, below which place, and how many matches are wanted. Raises Refusal."""
    given = parameters(query, {"text", "before", "limit"})
    text = given.get("text", "")
    if not 1 <= len(text) <= limits.search_characters:
        raise Refusal(
            Fault.BAD_PARAMETER,
            f"text is {shown(text)}, {len(text):,} characters; give 1 to {limits.search_characters}",
        )
    before = whole_number(given["before"], "before", 0, INDEX_MAX) if "before" in given else _END
    limit = whole_number(given.get("limit", str(limits.search_matches_first)), "limit", 1, limits.search_matches)
    return Needle(text), before, limit


class Walk:
    """One request's stretch of the ledger."""

    def __init__(self, desk: Desk, needle: Needle, before: int, limit: int) -> None:
        self._desk = desk
        self._needle = needle
        self._before: int | None = before
        self._limit = limit
        self._searched = 0
        self._characters = 0
        self._matches: list[dict[str, object]] = []

    def slices(self) -> Iterator[None]:
        """Walk; after each step of about a millisecond others may have their turn. Raises Refusal when the node stops
        meanwhile."""
        limits = self._desk.limits
        while self._before is not None:
            rows = min(limits.search_slice_rows, limits.search_rows - self._searched)
            page = self._desk.ledger.reader.passages(self._before, rows, limits.search_slice_characters)
            if not page:
                self._before = None
            for passage in page:
                text = passage.text or ""
                is_long = len(text) > PIECE
                excerpt = (yield from self._in_long(text)) if is_long else self._needle.excerpt(text)
                if excerpt is None and passage.id is not None:
                    excerpt = self._needle.excerpt(passage.id)
                self._searched += 1
                self._characters += len(text)
                self._before = passage.place or None  # below the first there is nothing
                if excerpt is not None:
                    self._matches.append(match_view(passage, excerpt))
                    if len(self._matches) == self._limit:
                        return
            if self._searched >= limits.search_rows or self._characters >= limits.search_stretch_characters:
                return
            yield

    def _in_long(self, text: str) -> Generator[None, None, str | None]:
        for excerpt in self._needle.tries(text):
            if excerpt is not None:
                return excerpt
            yield
        return None

    def view(self) -> dict[str, object]:
        """What came of it."""
        return {"matches": self._matches, "before": self._before, "searched": self._searched}
