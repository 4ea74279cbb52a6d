"""`tallystick search`: what holds a text, newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from tallystick.cli import terminal
from tallystick.cli.options import DEFAULT_URL, Authority, Json, TokenFile, Url

if TYPE_CHECKING:
    from tallystick.cli.remote import Node
    from tallystick.client.answers import Match

DEFAULT_LIMIT: Final = 20


def search(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to find: 1 to 100 characters.", show_default=False)],
    *,
    before: Annotated[
        int | None,
        typer.Option(
            "--before",
            min=0,
            metavar="N",
            help="Look below this position of the log; in a classic network, below this block.  [default: the end]",
        ),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, metavar="N", help="How many at most.")] = DEFAULT_LIMIT,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    ca: Authority = None,
    as_json: Json = False,
) -> None:
    """Find a text in records that stand in blocks, without regard to case, newest first.

    Looks at the data of records and at their ids; in a classic network at the data of blocks. It goes on until it has
    as many as you want, or has looked through all of the chain. With --json what is found is one JSON array.
    """
    from tallystick.cli import remote  # noqa: PLC0415 - keeps --help quick

    with remote.Node(url, token_file, ca) as node, terminal.progress("searching") as progress:
        found, left = _found(node, text, before, limit, progress)
    if as_json:
        import msgspec  # noqa: PLC0415

        terminal.say_json_array(msgspec.to_builtins(each) for each in found)
    elif found:
        _show(found)
    else:
        terminal.say("Nothing was found.")
    if left is not None:
        terminal.note(f"older ones may be left; to go on: --before {left}")


def _found(
    node: Node, text: str, before: int | None, limit: int, progress: terminal.Progress
) -> tuple[list[Match], int | None]:
    """At most so many matches, and where to go on, unless nothing is left."""
    from tallystick.model.limits import LIMITS  # noqa: PLC0415 - keeps --help quick

    found: list[Match] = []
    searched = 0
    while True:
        page = node.search(text, before, min(limit - len(found), LIMITS.search_matches))
        found += page.matches[: limit - len(found)]
        searched, before = searched + page.searched, page.before
        progress(searched, searched + (before or 0))
        if before is None or len(found) == limit:
            return found, before


def _show(found: list[Match]) -> None:
    of_records = any(each.position is not None for each in found)
    columns = (
        *([terminal.Column("position", 10, right=True), terminal.Column("record", 36)] if of_records else []),
        terminal.Column("block", 10, right=True),
        terminal.Column("excerpt"),
    )
    rows = (
        (
            *([str(each.place), each.id or ""] if of_records else []),
            str(each.block.index),
            each.excerpt,
        )
        for each in found
    )
    terminal.table(columns, rows)
