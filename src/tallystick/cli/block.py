"""`tallystick block`: one block, by index or hash, orphaned ones too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import quote

import typer

from tallystick.cli import terminal
from tallystick.cli.options import DEFAULT_URL, Authority, Json, TokenFile, Url
from tallystick.model.text import printable_lines

if TYPE_CHECKING:
    from tallystick.client.answers import Block, Record

DATA_CHARACTERS: Final = 2_000
"""Characters of each line of a block's data that a person is shown."""

SHOWN_RECORDS: Final = 100
"""Of a block, to a person."""


def block(
    which: Annotated[str, typer.Argument(metavar="INDEX|HASH|latest", help="The block to show.")] = "latest",
    *,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    ca: Authority = None,
    as_json: Json = False,
) -> None:
    """Show one block. Its hash also finds a block that a better branch removed."""
    from tallystick.cli import remote  # noqa: PLC0415 - keeps --help quick
    from tallystick.client import answers  # noqa: PLC0415

    with remote.Node(url, token_file, ca) as node:
        body = node.get(f"/blocks/{quote(which, safe='')}")
        if as_json:
            terminal.say_json(node.read(body, dict[str, object]))
            return
        found = node.read(body, answers.Block)
    terminal.facts(_facts(found))
    terminal.say("")
    if found.records is None:
        terminal.say(printable_lines(found.data or "", DATA_CHARACTERS))
    else:
        _show_records(found.records)


def _facts(found: Block) -> list[tuple[str, str]]:
    facts = [
        ("block", str(found.index)),
        ("hash", found.hash),
        ("previous", found.previous_hash),
        ("mined", f"{terminal.date(found.timestamp)} ({terminal.age(found.timestamp)})"),
        ("size", terminal.size(found.size_bytes)),
    ]
    if found.records is not None:
        facts += [
            ("records", f"{len(found.records):,}"),
            ("log", f"{terminal.count(found.log_size, 'record')}, root {found.log_root}"),
        ]
    if found.orphaned:
        better = "longer branch" if found.records is None else "branch with more work"
        facts.append(("orphaned", f"yes: a {better} took its place"))
    if found.mined_again_as:
        facts.append(("mined again", found.mined_again_as))
    return facts


def _show_records(records: Sequence[Record]) -> None:
    if not records:
        terminal.say("It holds no records.")
        return
    columns = (terminal.Column("record", 36), terminal.Column("size", 9, right=True), terminal.Column("data"))
    rows = ((record.id, terminal.size(len(bytes(record.data))), record.text) for record in records[:SHOWN_RECORDS])
    terminal.table(columns, rows)
    if (more := len(records) - SHOWN_RECORDS) > 0:
        terminal.say(f"{terminal.count(more, 'record')} more; with --json all are shown.")
