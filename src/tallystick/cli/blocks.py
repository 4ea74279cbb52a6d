"""`tallystick blocks`: a stretch of a node's chain, page by page, so that a long chain costs no memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from tallystick.cli import terminal
from tallystick.cli.exits import ExitCode, Failure
from tallystick.cli.options import DEFAULT_URL, Authority, Json, TokenFile, Url

if TYPE_CHECKING:
    from tallystick.cli.remote import Node
    from tallystick.client.answers import Block

DEFAULT_LIMIT = 20


def blocks(
    *,
    first: Annotated[
        int | None, typer.Option("--from", min=0, metavar="INDEX", help="Index to begin at.  [default: the last ones]")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, metavar="N", help="How many at most.")] = DEFAULT_LIMIT,
    everything: Annotated[bool, typer.Option("--all", help="The whole chain, genesis first.")] = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    ca: Authority = None,
    as_json: Json = False,
) -> None:
    """List blocks of the best chain, the newest at the bottom.

    With --json the same blocks are one JSON array, a block a line, written as they arrive.
    """
    from tallystick.cli import remote  # noqa: PLC0415 - keeps --help quick
    from tallystick.client import answers  # noqa: PLC0415

    if everything and first is not None:
        raise Failure(ExitCode.USAGE, "--all begins at the genesis block; leave out --from.")
    with remote.Node(url, token_file, ca) as node:
        tip = node.read(node.get("/blocks/latest"), answers.Block).index
        start = 0 if everything else max(0, tip + 1 - limit) if first is None else first
        pages = _pages(node, start, tip + 1 if everything else limit)
        if as_json:
            terminal.say_json_array(block for body, _ in pages for block in body)
            return
        header = True
        for _, page in pages:
            _show(page, header=header)
            header = False
        if header:
            terminal.say(f"No blocks from {start} on; the last one is {tip}.")


def _pages(node: Node, first: int, count: int) -> Iterator[tuple[list[object], list[Block]]]:
    """Pages of up to `count` blocks from `first` on, as they came and as people see them, each linked to the last."""
    from tallystick.client.answers import Block  # noqa: PLC0415 - keeps --help quick
    from tallystick.model.limits import LIMITS  # noqa: PLC0415

    end, last_hash = first + count, None
    while first < end:
        limit = min(end - first, LIMITS.page_blocks)
        body = node.get("/blocks", **{"from": first, "limit": limit})
        page = node.read(body, list[Block])[:limit]
        if not page:
            return
        if page[0].index != first or last_hash not in {None, page[0].previous_hash}:
            raise Failure(
                ExitCode.REFUSED, "the node switched to another branch while its chain was read; run it again."
            )
        yield node.read(body, list[object])[:limit], page
        first, last_hash = first + len(page), page[-1].hash


def _show(page: list[Block], *, header: bool) -> None:
    sealed = page[0].records is not None
    columns = [
        terminal.Column("block", 10, right=True),
        terminal.Column("hash", 12),
        terminal.Column("mined", 14, right=True),
        *([terminal.Column("records", 7, right=True)] if sealed else []),
        terminal.Column("size", 9, right=True),
        terminal.Column("data"),
    ]
    terminal.table(columns, (_row(block) for block in page), header=header)


def _row(block: Block) -> list[str]:
    records = [] if block.records is None else [f"{len(block.records):,}"]
    size = terminal.size(block.size_bytes)
    return [str(block.index), block.hash[:12], terminal.age(block.timestamp), *records, size, block.preview]
