"""`tallystick status`: what a node says of itself, once or for as long as somebody watches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tallystick.cli import terminal
from tallystick.cli.options import DEFAULT_URL, Authority, Json, TokenFile, Url

if TYPE_CHECKING:
    from tallystick.client.answers import Status


def status(
    *,
    watched: Annotated[bool, typer.Option("--watch", help="Keep showing it, until Ctrl-C.")] = False,
    until_synced: Annotated[
        bool, typer.Option("--until-synced", help="As --watch, and end when the node is at the tip of its peers.")
    ] = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    ca: Authority = None,
    as_json: Json = False,
) -> None:
    """Show what the node is doing: its tip, its sync, its peers, and whom it dropped.

    With --watch, a terminal shows it live; a pipe or file gets a line for every change, and with --json each
    line is the whole state.
    """
    from tallystick.cli import remote  # noqa: PLC0415 - keeps --help quick
    from tallystick.client import answers  # noqa: PLC0415

    with remote.Node(url, token_file, ca) as node:
        if watched or until_synced:
            from tallystick.cli.watch import watch  # noqa: PLC0415 - keeps --help quick

            watch(node, as_json=as_json, until_synced=until_synced)
            return
        body = node.get("/status")
        if as_json:
            terminal.say_json(node.read(body, dict[str, object]))
            return
        now = node.read(body, answers.Status)
    _show(now)


def _show(now: Status) -> None:
    from tallystick.cli import view  # noqa: PLC0415 - keeps --help quick

    connected = now.connected
    terminal.facts(
        [
            ("version", now.version),
            ("network", f"{now.network.name} ({now.network.kind}), {now.network.id}"),
            ("node key", now.key or "unknown"),
            ("tip", f"{now.tip.index}  {now.tip.hash}"),
            ("mined", f"{terminal.date(now.tip.timestamp)} ({terminal.age(now.tip.timestamp)})"),
            *view.sealing(now),
            ("sync", view.sync_state(now)),
            ("running for", terminal.span(now.uptime_ms / 1_000)),
            ("peers", f"{len(connected)} connected, {len(now.peers) - len(connected)} being dialled"),
            ("addresses", f"{now.addresses:,} found through others"),
            ("data", "unknown" if now.data_bytes is None else terminal.size(now.data_bytes)),
        ]
    )
    if now.lost_duties:
        terminal.say("\nPosts that a longer branch removed are being mined again.")
    if connected:
        terminal.say("\nPeers:")
        shown = view.peer_columns(terminal.console().width)
        terminal.table(shown, view.peer_rows(connected, shown))
    if now.dropped:
        terminal.say("\nLast peers dropped for cause:")
        columns = (terminal.Column("peer", 24), terminal.Column("rule", 28), terminal.Column("what it did"))
        terminal.table(columns, [(peer.address, peer.rule, peer.detail) for peer in now.dropped])
