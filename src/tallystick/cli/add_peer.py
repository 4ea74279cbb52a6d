"""`tallystick add-peer`: connect a node to another."""

from __future__ import annotations

from typing import Annotated

import typer

from tallystick.cli import terminal
from tallystick.cli.options import DEFAULT_URL, Authority, Json, TokenFile, Url
from tallystick.model.text import printable


def add_peer(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="Where the other node listens: ws://HOST:PORT.")],
    *,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    ca: Authority = None,
    as_json: Json = False,
) -> None:
    """Connect the node to another one, now and after every restart.

    The other need not be reachable yet: the node keeps trying.
    """
    from tallystick.cli import remote  # noqa: PLC0415 - keeps --help quick

    with remote.Node(url, token_file, ca) as node:
        answer = node.read(node.post("/addPeer", {"peer": address}), dict[str, object])
    if as_json:
        terminal.say_json(answer)
    else:
        terminal.say(f"The node keeps connected to {printable(address)}. See: tallystick peers")
