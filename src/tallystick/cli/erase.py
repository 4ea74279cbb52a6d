"""`tallystick erase`: make a node forget what a record holds."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from tallystick.cli import terminal
from tallystick.cli.options import DEFAULT_URL, Authority, Json, TokenFile, Url
from tallystick.model.text import printable


def erase(
    id: Annotated[str, typer.Argument(metavar="ID", help="The record whose data is to go.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask, on a terminal either.")] = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    ca: Authority = None,
    as_json: Json = False,
) -> None:
    """Make a node forget the data of a record, for good.

    Its data and salt go from this node's disk, and do not come back from its peers. What stays is the record's id and
    its commitment, a salted hash from which the data cannot be guessed; so the chain stays sound, and whoever kept the
    data can still prove what it was. Other nodes, backups, exports and proofs that were taken keep what they have:
    each party erases at its own nodes. It cannot be undone.
    """
    from tallystick.cli import remote  # noqa: PLC0415 - keeps --help quick
    from tallystick.client import answers  # noqa: PLC0415

    shown = printable(id)
    if not yes and is_person():
        typer.confirm(f"Erase the data of record {shown} at this node for good?", abort=True, err=True)
    with remote.Node(url, token_file, ca) as node:
        body = node.delete(node.record_path(id))
        node.read(body, answers.Done)
    if as_json:
        terminal.say_json({"status": True})
    else:
        terminal.say(f"The node has forgotten what record {shown} holds. Its id and commitment stay.")


def is_person() -> bool:
    """Does somebody sit at a terminal, who can be asked?"""
    return sys.stdin.isatty()
