"""`tallystick records`: a stretch of the log, page by page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tallystick.cli import terminal
from tallystick.cli.options import DEFAULT_URL, Authority, Json, TokenFile, Url

if TYPE_CHECKING:
    from tallystick.cli.remote import Node
    from tallystick.client.answers import StoredRecord

DEFAULT_LIMIT: Final = 20


def records(
    *,
    after: Annotated[
        int | None,
        typer.Option(
            "--after", min=0, metavar="N", help="Leave out the first N of the log.  [default: all but the last]"
        ),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, metavar="N", help="How many at most.")] = DEFAULT_LIMIT,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    ca: Authority = None,
    as_json: Json = False,
) -> None:
    """List records that stand in blocks, in the order of the log, the newest at the bottom.

    With --json the same records are one JSON array, a record a line, written as they arrive.
    """
    from tallystick.cli import remote  # noqa: PLC0415 - keeps --help quick
    from tallystick.client import answers  # noqa: PLC0415

    with remote.Node(url, token_file, ca) as node:
        size = node.read(node.get("/blocks/latest"), answers.Block).log_size
        start = max(0, size - limit) if after is None else after
        pages = _pages(node, start, limit)
        if as_json:
            terminal.say_json_array(record for body, _ in pages for record in body)
            return
        header = True
        for _, page in pages:
            _show(page, header=header)
            header = False
        if header:
            terminal.say(f"No records after {start}; the log holds {size:,}.")


def _pages(node: Node, after: int, count: int) -> Iterator[tuple[list[object], list[StoredRecord]]]:
    """Pages of up to `count` records, as they came and as people see them."""
    from tallystick.client.answers import StoredRecord  # noqa: PLC0415 - keeps --help quick
    from tallystick.model.limits import LIMITS  # noqa: PLC0415

    end = after + count
    while after < end:
        limit = min(end - after, LIMITS.records_per_page)
        body = node.get("/records", after=after, limit=limit)
        page = node.read(body, list[StoredRecord])[:limit]
        if not page:
            return
        yield node.read(body, list[object])[:limit], page
        after += len(page)


def _show(page: list[StoredRecord], *, header: bool) -> None:
    columns = (
        terminal.Column("position", 10, right=True),
        terminal.Column("record", 36),
        terminal.Column("block", 9, right=True),
        terminal.Column("size", 9, right=True),
        terminal.Column("data"),
    )
    rows = (
        (
            "" if each.position is None else str(each.position),
            each.id,
            "" if each.block is None else str(each.block.index),
            terminal.size(len(bytes(each.data))),
            each.text,
        )
        for each in page
    )
    terminal.table(columns, rows, header=header)
