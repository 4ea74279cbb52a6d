"""A text that is sought in others: without regard to case, in linear time, a piece of a long text at a time.

Case is what `str.casefold` says (Unicode, section 3.13.3: full case folding), so `STRASSE` finds `Straße`. It folds
each character by itself, whatever stands beside it, and never to nothing. `str.lower` does not: the capital sigma
becomes another letter at the end of a word, and so a long text could not be cut anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

PIECE: Final = 32_768
"""Characters that are compared at a time. Half a millisecond where they have to be folded one by one."""

EXCERPT_CHARACTERS: Final = 160
"""Of a text around what was found in it."""


class Needle:
    """What is sought; at least one character."""

    def __init__(self, text: str) -> None:
        self._folded = text.casefold()

    def tries(self, text: str) -> Iterator[str | None]:
        """Look through a text, a piece at a time: None for each in which it is not, and then the excerpt around the
        first place where it is."""
        for start in range(0, len(text), PIECE):
            # Each character makes one or more, so what begins in this piece ends within so many behind it.
            piece = text[start : start + PIECE + len(self._folded) - 1]
            at = self._at(piece)
            if at is not None:
                yield _around(text, start + at, len(self._folded))
                return
            yield None

    def excerpt(self, text: str) -> str | None:
        """The same at once, for a text that is short."""
        return next(filter(None, self.tries(text))) if self._folded in text.casefold() else None

    def _at(self, piece: str) -> int | None:
        """Which character it begins in."""
        folded = piece.casefold()
        at = folded.find(self._folded)
        if at < 0:
            return None
        if len(folded) == len(piece):
            return at
        made = 0
        for number, character in enumerate(piece):
            made += len(character.casefold())
            if made > at:
                return number
        raise AssertionError("characters fold one by one")


def _around(text: str, at: int, length: int) -> str:
    """A stretch of the text with what begins at this character and is about so long in its middle."""
    start = at - max(EXCERPT_CHARACTERS - length, 0) // 2
    start = max(min(start, len(text) - EXCERPT_CHARACTERS), 0)
    return text[start : start + EXCERPT_CHARACTERS]
