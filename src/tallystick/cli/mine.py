"""`tallystick mine`: post data to a node, which puts it into a block."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from tallystick.app.text import printable
from tallystick.cli import terminal
from tallystick.cli.exits import ExitCode, Failure
from tallystick.cli.options import DEFAULT_URL, Authority, Json, TokenFile, Url


def mine(
    data: Annotated[str, typer.Argument(metavar="DATA|-", help="What to record; - reads it from stdin, exactly.")],
    *,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    ca: Authority = None,
    as_json: Json = False,
) -> None:
    """Record DATA in a new block. Returns when the block is safe on the node's disk."""
    from tallystick.cli import remote  # noqa: PLC0415 - keeps --help quick

    text = _from_stdin() if data == "-" else data
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Failure(ExitCode.USAGE, "DATA is not UTF-8 text; a block holds text only.") from error
    with remote.Node(url, token_file, ca) as node:
        block = node.read(body := node.post("/mineBlock", {"data": text}), remote.ShownBlock)
        if as_json:
            terminal.say_json(node.read(body, dict[str, object]))
        else:
            terminal.say(f"Block {block.index} holds it: {printable(block.hash)}")


def _from_stdin() -> str:
    """All of stdin. One byte more than a node takes is read, so that the node says what its limit is."""
    from tallystick.model.limits import LIMITS  # noqa: PLC0415 - keeps --help quick

    raw = sys.stdin.buffer.read(LIMITS.request_body_bytes + 1)
    if len(raw) > LIMITS.request_body_bytes:
        raise Failure(ExitCode.USAGE, f"stdin is longer than {LIMITS.request_body_bytes} bytes; no block holds that.")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise Failure(
            ExitCode.USAGE, f"stdin is not UTF-8 text at byte {error.start}; encode it first, for instance with base64."
        ) from error
