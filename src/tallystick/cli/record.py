"""`tallystick record`: one record, by its id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from tallystick.cli import terminal
from tallystick.cli.options import DEFAULT_URL, Authority, Json, TokenFile, Url
from tallystick.model.text import printable_lines

if TYPE_CHECKING:
    from tallystick.client.answers import StoredRecord

DATA_CHARACTERS: Final = 2_000
"""Characters of each line of a record's data that a person is shown."""

STANDS: Final = {
    "pending": "waits to be sealed into a block",
    "included": "in a block",
    "aside": "only in blocks that a better branch removed",
}
"""Where a record is, in words."""


def record(
    id: Annotated[str, typer.Argument(metavar="ID", help="The id it was posted with, or that the node made.")],
    *,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    ca: Authority = None,
    as_json: Json = False,
) -> None:
    """Show a record: where it stands, and what it holds.

    Ids are unique at one node. When two nodes took the same id for different records, all of them are shown.
    """
    from tallystick.cli import remote  # noqa: PLC0415 - keeps --help quick
    from tallystick.client import answers  # noqa: PLC0415

    with remote.Node(url, token_file, ca) as node:
        body = node.get(node.record_path(id))
        if as_json:
            terminal.say_json(node.read(body, object))
            return
        found = node.read(body, answers.Records).records
    for number, each in enumerate(found):
        if number:
            terminal.say("")
        _show(each)


def _show(stored: StoredRecord) -> None:
    facts = [("record", stored.id), ("status", STANDS.get(stored.status, stored.status))]
    if (block := stored.block) is not None:
        facts.append(("block", f"{block.index}  {block.hash}"))
        facts.append(("sealed", f"{terminal.date(block.timestamp)} ({terminal.age(block.timestamp)})"))
    if stored.position is not None:
        facts.append(("position", f"{stored.position:,} in the log"))
    facts.append(("commitment", stored.commit))
    if stored.erased:
        facts.append(("data", "erased here; what it was stays proven by its commitment"))
        terminal.facts(facts)
        return
    terminal.facts([*facts, ("size", terminal.size(len(bytes(stored.data))))])
    terminal.say("")
    terminal.say(printable_lines(stored.text, DATA_CHARACTERS))
