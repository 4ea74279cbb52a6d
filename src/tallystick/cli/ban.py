"""`tallystick ban`: keep a node out."""

from __future__ import annotations

from typing import Annotated

import typer

from tallystick.cli import terminal
from tallystick.cli.options import DEFAULT_URL, Authority, Json, TokenFile, Url
from tallystick.model.text import printable


def ban(
    subject: Annotated[
        str,
        typer.Argument(metavar="KEY|ADDRESS", help="A node key (64 hex digits) or a numeric address without a port."),
    ],
    *,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    ca: Authority = None,
    as_json: Json = False,
) -> None:
    """Keep a node out, now and after every restart.

    A key keeps that node out wherever it comes from; an address keeps out whoever comes from there. Open connections
    are closed. For the keys of peers see: tallystick peers --json
    """
    from tallystick.cli import remote  # noqa: PLC0415 - keeps --help quick

    with remote.Node(url, token_file, ca) as node:
        answer = node.read(node.post("/bans", {"subject": subject}), dict[str, object])
    if as_json:
        terminal.say_json(answer)
    else:
        terminal.say(f"The node keeps {printable(subject)} out. See: tallystick peers --banned")
