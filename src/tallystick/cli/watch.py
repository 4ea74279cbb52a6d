"""`tallystick status --watch`: a node's state, again and again until somebody has seen enough.

On a terminal one picture is drawn over and over: the tip, a bar while the node fetches a longer chain, and its
peers. Elsewhere each change is a line: of a sync every percent, of a node at its peers' tip every block. Once
it was there, a node may be away for a while, as it is when somebody starts it anew.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from tallystick.cli import terminal, view
from tallystick.cli.exits import Failure
from tallystick.cli.remote import Node
from tallystick.client.answers import Status
from tallystick.model.text import printable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

EVERY_S: Final = 0.5
PATIENCE_S: Final = 60.0
"""A node that is away for longer is not waited for."""

_AROUND_PEERS: Final = 12
"""Lines of the picture that are no row of a peer, and the one the cursor is left on."""

_BAR_WIDTH: Final = 36
_HASH_DIGITS: Final = 16


class Look(NamedTuple):
    """What was seen at one moment."""

    body: bytes
    status: Status
    """As the node told it last."""

    trouble: str = ""
    """Why it does not tell any more; empty when it does."""


def watch(node: Node, *, as_json: bool, until_synced: bool) -> None:
    """Show the node's state until Ctrl-C, or until it is at the tip of its peers. Raises Failure when it is gone."""
    looks = _until_synced(_looks(node)) if until_synced else _looks(node)
    try:
        if as_json or not _can_draw():
            _write(looks, node, as_json=as_json)
        else:
            _draw(looks, node.shown_url)
    except KeyboardInterrupt:
        return  # so a person ends it; nothing was interrupted


def _looks(node: Node) -> Iterator[Look]:
    """Look every now and then. Raises Failure when the first look fails, or the node is away for too long."""
    last: Look | None = None
    seen_s = 0.0
    while True:
        try:
            body = node.get("/status")
            last = Look(body, node.read(body, Status))
            seen_s = time.monotonic()
        except Failure as failure:
            if last is None or time.monotonic() - seen_s >= PATIENCE_S:
                raise
            last = last._replace(trouble="trying again: " + str(failure).partition("\n")[0].rstrip("."))
        yield last
        time.sleep(EVERY_S)


def _until_synced(looks: Iterator[Look]) -> Iterator[Look]:
    for look in looks:
        yield look
        if look.status.is_synced and not look.trouble:
            return


# --- lines ------------------------------------------------------------------------------------------


def _write(looks: Iterator[Look], node: Node, *, as_json: bool) -> None:
    """A line for every change."""
    last: object = None
    for look in looks:
        now = _what_counts(look)
        if now != last:
            if as_json:
                terminal.say_json_line(node.read(look.body, dict[str, object]))
            else:
                terminal.say(_line(look))
            sys.stdout.flush()
        last = now


def _what_counts(look: Look) -> object:
    """What makes a line of its own worth while: not every rate and byte count."""
    status = look.status
    if look.trouble:
        return "trouble"
    if status.sync is not None:
        return view.percent(status.sync), status.sync.peers
    return status.tip.hash, len(status.connected), status.is_synced


def _line(look: Look) -> str:
    status = look.status
    if look.trouble:
        return look.trouble
    if status.sync is not None:
        return f"syncing: {view.sync_state(status)}"
    connected = terminal.count(len(status.connected), "peer")
    pooled = "" if status.pool is None else f", {terminal.count(status.pool.records, 'record')} to be sealed"
    return (
        f"block {status.tip.index:,} {printable(status.tip.hash, 64)}{pooled}, {connected}: {view.sync_state(status)}"
    )


# --- the picture ------------------------------------------------------------------------------------


def _can_draw() -> bool:
    return sys.stdout.isatty() and not terminal.console().is_dumb_terminal


def _draw(looks: Iterator[Look], url: str) -> None:
    from rich.live import Live  # noqa: PLC0415 - only when a picture is drawn

    console = terminal.console()
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        for look in looks:
            live.update(picture(look, url, console), refresh=True)


def picture(look: Look, url: str, console: Console) -> RenderableType:
    """Everything there is to see, as tall as the terminal at most."""
    from rich.console import Group  # noqa: PLC0415 - only when a picture is drawn
    from rich.text import Text  # noqa: PLC0415

    status = look.status
    about = f"{status.version}  {status.network.name}  {url}  up {terminal.span(status.uptime_ms / 1_000)}"
    tip = f"{status.tip.index:,}  {status.tip.hash[:_HASH_DIGITS]}…  mined {terminal.age(status.tip.timestamp)}"
    end = Text("Ctrl-C ends this view; the node goes on.", style="dim")
    if look.trouble:
        end = Text(look.trouble, style="yellow", no_wrap=True, overflow="ellipsis")
    return Group(
        Text.assemble(("Tallystick ", "bold"), (printable(about), "dim"), no_wrap=True, overflow="ellipsis"),
        Text.assemble(("block  ", "dim"), printable(tip), no_wrap=True, overflow="ellipsis"),
        *(
            Text.assemble((f"{name:<7}", "dim"), printable(value), no_wrap=True, overflow="ellipsis")
            for name, value in view.sealing(status)
        ),
        _progress(status),
        Text(),
        *_peers(status, console),
        Text(),
        end,
    )


def _progress(status: Status) -> RenderableType:
    """A bar while there is something to fetch, else a word."""
    from rich.progress_bar import ProgressBar  # noqa: PLC0415 - only when a picture is drawn
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    name = Text("sync   ", style="dim")
    if status.sync is None:
        return Text.assemble(name, (view.sync_state(status), "green" if status.is_synced else ""))
    sync = status.sync
    row = Table.grid(padding=(0, 2, 0, 0))
    done, total = min(sync.index, sync.target), max(1, sync.target)
    bar = ProgressBar(total, done, width=_BAR_WIDTH, complete_style="cyan", finished_style="cyan")
    row.add_row(bar, f"{view.percent(sync)} %", Text(f"{sync.index:,} of {sync.target:,}", "dim", no_wrap=True))
    both = Table.grid()
    both.add_row(name, row)
    both.add_row(Text(), Text(view.pace(sync), "dim", no_wrap=True, overflow="ellipsis"))
    return both


def _peers(status: Status, console: Console) -> list[RenderableType]:
    """As many open connections as fit, and how many more there are."""
    from rich.text import Text  # noqa: PLC0415 - only when a picture is drawn

    connected, dialled = status.connected, len(status.peers) - len(status.connected)
    fitting = max(1, console.height - _AROUND_PEERS)
    columns = view.peer_columns(console.width)
    drawn: list[RenderableType] = []
    if connected:
        drawn.append(terminal.drawn(columns, view.peer_rows(connected[:fitting], columns)))
    more = [f"{len(connected) - fitting} more"] if len(connected) > fitting else []
    more += [f"{terminal.count(dialled, 'address')} being dialled"] if dialled else []
    return [*drawn, Text(" and ".join(more) or ("" if connected else "no peers"), style="dim")]
