"""`tallystick remove-peer`: take a connection down, and forget the address."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import typer

from tallystick.cli import terminal
from tallystick.cli.options import DEFAULT_URL, Authority, Json, TokenFile, Url
from tallystick.model.text import printable


def remove_peer(
    address: Annotated[
        str, typer.Argument(metavar="ADDRESS", help="ws://HOST:PORT as added, or HOST:PORT as listed by peers.")
    ],
    *,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    ca: Authority = None,
    as_json: Json = False,
) -> None:
    """Hang up on a peer and forget its address."""
    from tallystick.cli import remote  # noqa: PLC0415 - keeps --help quick

    with remote.Node(url, token_file, ca) as node:
        body = node.delete(f"/peers/{quote(address, safe='')}")
        answer = node.read(body, dict[str, object]) if body else {"status": True}
    if as_json:
        terminal.say_json(answer)
    else:
        terminal.say(f"The node has forgotten {printable(address)}.")
