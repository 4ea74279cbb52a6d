"""`tallystick peers`: whom a node is connected to, and whom it keeps dialling."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tallystick.cli import terminal
from tallystick.cli.options import DEFAULT_URL, Json, TokenFile, Url

if TYPE_CHECKING:
    from tallystick.cli.remote import ShownPeer


def peers(*, url: Url = DEFAULT_URL, token_file: TokenFile = None, as_json: Json = False) -> None:
    """List the node's peers: open connections, and addresses it keeps dialling."""
    from tallystick.cli import remote  # noqa: PLC0415 - keeps --help quick

    with remote.Node(url, token_file) as node:
        body = node.get("/status")
        if as_json:
            terminal.say_json(node.read(body, dict[str, object]).get("peers", []))
            return
        known = node.read(body, remote.ShownStatus).peers
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


def _row(peer: ShownPeer) -> tuple[str, ...]:
    return (
        peer.dialled or peer.address,
        peer.direction,
        peer.state,
        "" if peer.connected_ms is None else terminal.span(peer.connected_ms / 1_000),
        "" if peer.tip is None else str(peer.tip.index),
        peer.last_error or "",
    )
