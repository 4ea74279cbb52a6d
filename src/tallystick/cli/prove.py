"""`tallystick prove`: a document that shows, to whoever trusts a block's hash, that a record stands in the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tallystick.cli import terminal
from tallystick.cli.exits import ExitCode, Failure
from tallystick.cli.options import DEFAULT_URL, Authority, TokenFile, Url
from tallystick.model.text import printable

if TYPE_CHECKING:
    from tallystick.client.answers import StoredRecord


def prove(
    id: Annotated[str, typer.Argument(metavar="ID", help="The record to prove.")],
    *,
    block: Annotated[
        str,
        typer.Option(
            "--block",
            metavar="INDEX|HASH|latest",
            help="Prove that it is in the log as of this block.",
            show_default=True,
        ),
    ] = "latest",
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    ca: Authority = None,
) -> None:
    """Print a proof that a record stands in the log: a JSON document that needs no node to be checked.

    It holds the record, a block's header, and the hashes that lead from one to the other. Whoever has that block's
    hash from somebody they trust checks it with: tallystick check FILE --block HASH
    """
    from tallystick.cli import remote  # noqa: PLC0415 - keeps --help quick
    from tallystick.client import answers  # noqa: PLC0415

    with remote.Node(url, token_file, ca) as node:
        body = node.get(node.record_path(id), block=block)
        proven = _proven(id, node.read(body, answers.Records).records)
        terminal.say_json(node.read(bytes(proven.proof), dict[str, object]))


def _proven(id: str, found: list[StoredRecord]) -> StoredRecord:
    """The record to prove. Raises Failure."""
    proven = [each for each in found if bytes(each.proof) not in {b"", b"null"}]
    shown = printable(id)
    if not proven:
        if any(each.block is None for each in found):
            raise Failure(
                ExitCode.NO,
                f"record {shown} is in no block yet, so there is nothing to prove.\n"
                f"It is sealed into one some time; see: tallystick record {shown}",
            )
        raise Failure(ExitCode.NO, f"the node has no proof of record {shown} for that block; it came into a later one.")
    if len(proven) > 1:
        terminal.note(
            f"{len(proven)} records have the id {shown}; this proves the one at position {proven[0].position}."
        )
    return proven[0]
