"""`tallystick backup`: a copy of the ledger, beside its running node."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tallystick.cli import folder, terminal
from tallystick.cli.options import ConfigFile, DataDir, Json, NetworkFile
from tallystick.model.text import printable


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The copy; must not exist yet.")],
    *,
    data_dir: DataDir = None,
    network: NetworkFile = None,
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """Copy everything the node keeps into one file.

    The copy is of one moment. Reads only; a node may run on the folder meanwhile. To restore: stop the node, and put
    the copy into an empty data folder as ledger.sqlite.
    """
    from tallystick.storage import backup as storage  # noqa: PLC0415 - keeps --help quick

    place = folder.find(data_dir, config, network)
    tip = storage.backup(place.data_dir, file, place.network)
    size_bytes = file.stat().st_size
    if as_json:
        terminal.say_json({"blocks": tip + 1, "bytes": size_bytes, "file": str(file)})
    else:
        terminal.say(f"{terminal.count(tip + 1, 'block')} ({terminal.size(size_bytes)}) in {printable(str(file))}")
