"""`tallystick export`: the chain as JSON Lines."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from tallystick.cli import folder, terminal
from tallystick.cli.options import ConfigFile, DataDir, Json, NetworkFile
from tallystick.model.text import printable

if TYPE_CHECKING:
    from tallystick.app.config import Place


def export(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="Where to write; - is stdout.")] = folder.STDIO,
    *,
    data_dir: DataDir = None,
    network: NetworkFile = None,
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """Write the chain as JSON Lines.

    One block a line, genesis first. Reads only; a node may run on the folder meanwhile.
    """
    from tallystick.storage.folder import USUAL_MODE, new_file  # noqa: PLC0415 - keeps --help quick

    place = folder.find(data_dir, config, network)
    if file == folder.STDIO:
        _write(place, sys.stdout.buffer)
        return
    target = Path(file)
    with new_file(target, USUAL_MODE) as partial, partial.open("wb") as out:
        blocks = _write(place, out)
    if as_json:
        terminal.say_json({"blocks": blocks, "file": file})
    else:
        size = terminal.size(target.stat().st_size)
        terminal.say(f"{terminal.count(blocks, 'block')} ({size}) in {printable(file)}")


def _write(place: Place, out: BinaryIO) -> int:
    from tallystick.app.transfer import write_lines  # noqa: PLC0415 - keeps --help quick
    from tallystick.model.limits import LIMITS  # noqa: PLC0415
    from tallystick.storage.opening import open_reader  # noqa: PLC0415

    reader = open_reader(place.data_dir, place.network, LIMITS)
    try:
        total = reader.tip().index + 1
        with terminal.progress("Exporting") as tell:
            return write_lines(reader, out, LIMITS, lambda done: tell(done, total))
    finally:
        reader.close()
