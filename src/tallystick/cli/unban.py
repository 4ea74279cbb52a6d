"""`tallystick unban`: let a node in again."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import typer

from tallystick.cli import terminal
from tallystick.cli.options import DEFAULT_URL, Authority, Json, TokenFile, Url
from tallystick.model.text import printable


def unban(
    subject: Annotated[
        str, typer.Argument(metavar="KEY|ADDRESS", help="A node key or numeric address, as listed by peers --banned.")
    ],
    *,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    ca: Authority = None,
    as_json: Json = False,
) -> None:
    """Let a node in again that was banned, or that broke a rule."""
    from tallystick.cli import remote  # noqa: PLC0415 - keeps --help quick

    with remote.Node(url, token_file, ca) as node:
        body = node.delete(f"/bans/{quote(subject, safe='')}")
        answer = node.read(body, dict[str, object]) if body else {"status": True}
    if as_json:
        terminal.say_json(answer)
    else:
        terminal.say(f"The node lets {printable(subject)} in again.")
