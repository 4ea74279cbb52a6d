"""Foreign text, made safe to show.

What peers and callers wrote ends up in log lines and on terminals. There a line break forges a second
log line, an escape sequence repaints the screen (CWE-117, CWE-150), and a right-to-left override makes
a text read as another. So everything that is not plainly printable is written as its escape, and long
values are cut. The stored data itself is never changed.
"""

from __future__ import annotations

from typing import Final

VALUE_CHARACTERS: Final = 200
"""So much of one foreign value fits a log line or a table cell; the rest is counted, not shown."""


def printable(text: str, limit: int = VALUE_CHARACTERS) -> str:
    """`text` on one line: at most `limit` of its characters, control, format and bidirectional ones escaped.

    The result may be longer than `limit`, as each escaped character takes up to ten.
    """
    kept = text[:limit]
    if not kept.isprintable():
        kept = "".join(map(_escaped, kept))
    return kept if len(text) <= limit else f"{kept}…(+{len(text) - limit} characters)"


def printable_lines(text: str, limit: int) -> str:
    """As `printable`, but line feeds stay line feeds: for a block's data shown at length."""
    return "\n".join(printable(line, limit) for line in text.split("\n"))


def _escaped(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
