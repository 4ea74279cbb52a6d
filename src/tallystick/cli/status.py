"""`tallystick status`: what a node says of itself."""

from __future__ import annotations

from tallystick.cli import terminal
from tallystick.cli.options import DEFAULT_URL, Json, TokenFile, Url


def status(*, url: Url = DEFAULT_URL, token_file: TokenFile = None, as_json: Json = False) -> None:
    """Show what the node is doing: its tip, its peers, and whom it dropped."""
    from tallystick.cli import remote  # noqa: PLC0415 - keeps --help quick

    with remote.Node(url, token_file) as node:
        body = node.get("/status")
        if as_json:
            terminal.say_json(node.read(body, dict[str, object]))
            return
        now = node.read(body, remote.ShownStatus)
    connected = sum(peer.state == "connected" for peer in now.peers)
    terminal.facts(
        [
            ("version", now.version),
            ("network", f"{now.network.name} ({now.network.kind}), {now.network.id}"),
            ("tip", f"{now.tip.index}  {now.tip.hash}"),
            ("mined", f"{terminal.date(now.tip.timestamp)} ({terminal.age(now.tip.timestamp)})"),
            ("running for", terminal.span(now.uptime_ms / 1_000)),
            ("peers", f"{connected} connected, {len(now.peers) - connected} being dialled"),
            ("data", "unknown" if now.data_bytes is None else terminal.size(now.data_bytes)),
        ]
    )
    if now.lost_duties:
        terminal.say("\nPosts that a longer branch removed are being mined again.")
    if now.dropped:
        terminal.say("\nLast peers dropped for cause:")
        columns = (terminal.Column("peer", 24), terminal.Column("rule", 28), terminal.Column("what it did"))
        terminal.table(columns, [(peer.address, peer.rule, peer.detail) for peer in now.dropped])
