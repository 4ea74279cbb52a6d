"""`tallystick peers`: whom a node is connected to, whom it keeps dialling, and whom it keeps out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tallystick.cli import terminal
from tallystick.cli.options import DEFAULT_URL, Authority, Json, TokenFile, Url

if TYPE_CHECKING:
    from tallystick.cli.remote import Node
    from tallystick.client.answers import Ban, Peer


def peers(
    *,
    banned: Annotated[bool, typer.Option("--banned", help="List who is kept out instead.")] = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    ca: Authority = None,
    as_json: Json = False,
) -> None:
    """List the node's peers: open connections, and addresses it keeps dialling."""
    from tallystick.cli import remote  # noqa: PLC0415 - keeps --help quick
    from tallystick.client import answers  # noqa: PLC0415

    with remote.Node(url, token_file, ca) as node:
        if banned:
            _show_banned(node, as_json=as_json)
            return
        body = node.get("/status")
        if as_json:
            terminal.say_json(node.read(body, dict[str, object]).get("peers", []))
            return
        known = node.read(body, answers.Status).peers
    if not known:
        terminal.say("No peers yet. Connect to one with: tallystick add-peer ws://HOST:PORT")
        return
    columns = (
        terminal.Column("peer", 32),
        terminal.Column("direction", 9),
        terminal.Column("state", 10),
        terminal.Column("for", 10, right=True),
        terminal.Column("tip", 10, right=True),
        terminal.Column("trouble"),
    )
    terminal.table(columns, map(_row, known))


def _row(peer: Peer) -> tuple[str, ...]:
    return (
        peer.dialled or peer.address,
        peer.direction,
        peer.state,
        "" if peer.connected_ms is None else terminal.span(peer.connected_ms / 1_000),
        "" if peer.tip is None else str(peer.tip.index),
        peer.last_error or "",
    )


def _show_banned(node: Node, *, as_json: bool) -> None:
    from tallystick.client.answers import Ban  # noqa: PLC0415 - keeps --help quick

    body = node.get("/bans")
    if as_json:
        terminal.say_json(node.read(body, list[object]))
        return
    kept_out = node.read(body, list[Ban])
    if not kept_out:
        terminal.say("Nobody is kept out. Keep a node out with: tallystick ban KEY|ADDRESS")
        return
    columns = (terminal.Column("subject", 64), terminal.Column("for", 6, right=True), terminal.Column("cause"))
    terminal.table(columns, map(_banned_row, kept_out))


def _banned_row(ban: Ban) -> tuple[str, ...]:
    return (
        ban.subject,
        "ever" if ban.remaining_ms is None else terminal.span(ban.remaining_ms / 1_000),
        "manual" if ban.manual else "rule",
    )
