"""`tallystick block`: one block, by index or hash, orphaned ones too."""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import quote

import typer

from tallystick.app.text import printable_lines
from tallystick.cli import terminal
from tallystick.cli.options import DEFAULT_URL, Authority, Json, TokenFile, Url

DATA_CHARACTERS: Final = 2_000
"""Characters of each line of a block's data that a person is shown."""


def block(
    which: Annotated[str, typer.Argument(metavar="INDEX|HASH|latest", help="The block to show.")] = "latest",
    *,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    ca: Authority = None,
    as_json: Json = False,
) -> None:
    """Show one block. Its hash also finds a block that a longer branch removed."""
    from tallystick.cli import remote  # noqa: PLC0415 - keeps --help quick

    with remote.Node(url, token_file, ca) as node:
        body = node.get(f"/blocks/{quote(which, safe='')}")
        if as_json:
            terminal.say_json(node.read(body, dict[str, object]))
            return
        found = node.read(body, remote.ShownBlock)
    facts = [
        ("block", str(found.index)),
        ("hash", found.hash),
        ("previous", found.previous_hash),
        ("mined", f"{terminal.date(found.timestamp)} ({terminal.age(found.timestamp)})"),
        ("size", terminal.size(len(found.data.encode()))),
    ]
    if found.orphaned:
        facts.append(("orphaned", "yes: a longer branch took its place"))
    if found.mined_again_as:
        facts.append(("mined again", found.mined_again_as))
    terminal.facts(facts)
    terminal.say("")
    terminal.say(printable_lines(found.data, DATA_CHARACTERS))
