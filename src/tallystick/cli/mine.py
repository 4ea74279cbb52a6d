"""`tallystick mine`: post data to a node, which puts it into a block."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from tallystick.cli import folder, terminal
from tallystick.cli.exits import ExitCode, Failure
from tallystick.cli.options import DEFAULT_URL, Authority, Json, TokenFile, Url
from tallystick.model.text import printable


def mine(
    data: Annotated[str, typer.Argument(metavar="DATA|-", help="What to record; - reads it from stdin, exactly.")],
    *,
    wait: Annotated[
        float | None,
        typer.Option(
            "--wait",
            min=0,
            max=300,
            metavar="SECONDS",
            help="How long to wait for the block, where it has to be found.  [default: as the node has it, 30]",
            show_default=False,
        ),
    ] = None,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    ca: Authority = None,
    as_json: Json = False,
) -> None:
    """Record DATA in a new block. Returns when the block is safe on the node's disk.

    Where blocks have to be found, it waits for the one that holds DATA. If that takes too long, DATA is recorded all
    the same: it is safe on the node's disk, and comes into a later block.
    """
    from tallystick.cli import remote  # noqa: PLC0415 - keeps --help quick
    from tallystick.client import answers  # noqa: PLC0415

    text = _from_stdin() if data == "-" else data
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Failure(ExitCode.USAGE, "DATA is not UTF-8 text; a block holds text only.") from error
    with remote.Node(url, token_file, ca) as node:
        body = node.mine(text, wait)
        answer = node.read(body, dict[str, object])
        if as_json:
            terminal.say_json(answer)
        elif "index" in answer:
            block = node.read(body, answers.Block)
            terminal.say(f"Block {block.index} holds it: {printable(block.hash)}")
        else:
            pending = printable(node.read(body, answers.Posted).only.id)
            terminal.say(f"No block holds it yet; it waits to be sealed, as record {pending}")
            terminal.say(f"See: tallystick record {pending}")


def _from_stdin() -> str:
    """All of stdin."""
    raw = folder.bounded(sys.stdin.buffer, "stdin")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise Failure(
            ExitCode.USAGE, f"stdin is not UTF-8 text at byte {error.start}; encode it first, for instance with base64."
        ) from error
