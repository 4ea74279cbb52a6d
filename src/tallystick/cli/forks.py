"""`tallystick forks`: branches beside the best chain. A rewrite of history shows here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tallystick.cli import terminal
from tallystick.cli.options import DEFAULT_URL, Authority, Json, TokenFile, Url

if TYPE_CHECKING:
    from tallystick.client.answers import Fork


def forks(*, url: Url = DEFAULT_URL, token_file: TokenFile = None, ca: Authority = None, as_json: Json = False) -> None:
    """List branches that were left, with their blocks and what was mined again.

    The branch that changed last comes first. Long branches show their newest blocks; tallystick block HASH shows
    any of them.
    """
    from tallystick.cli import remote  # noqa: PLC0415 - keeps --help quick
    from tallystick.client import answers  # noqa: PLC0415

    with remote.Node(url, token_file, ca) as node:
        body = node.get("/forks")
        if as_json:
            terminal.say_json(node.read(body, list[object]))
            return
        found = node.read(body, list[answers.Fork])
    if not found:
        terminal.say("No branches: this node never saw the past change.")
    for fork in found:
        _show(fork)


def _show(fork: Fork) -> None:
    where = "below what is still kept" if fork.fork is None else f"after block {fork.fork.index}"
    terminal.say(f"Branch of {terminal.count(_length(fork), 'block')}, split off {where}:")
    columns = (
        terminal.Column("block", 10, right=True),
        terminal.Column("hash", 12),
        terminal.Column("mined", 14, right=True),
        terminal.Column("again as", 12),
        terminal.Column("data"),
    )
    rows = (
        (
            str(block.index),
            block.hash[:12],
            terminal.age(block.timestamp),
            (block.mined_again_as or "")[:12],
            block.preview,
        )
        for block in reversed(fork.blocks)
    )
    terminal.table(columns, rows)
    terminal.say("")


def _length(fork: Fork) -> int:
    return len(fork.blocks) if fork.fork is None else fork.tip.index - fork.fork.index
