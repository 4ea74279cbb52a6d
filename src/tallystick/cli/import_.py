"""`tallystick import`: take a chain from JSON Lines."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Annotated

import typer

from tallystick.cli import folder, terminal
from tallystick.cli.exits import ExitCode, Failure
from tallystick.cli.options import ConfigFile, DataDir, Json, NetworkFile

if TYPE_CHECKING:
    from tallystick.app.config import Place
    from tallystick.app.transfer import Imported


def import_(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="JSON Lines as export writes them; - is stdin.")],
    *,
    data_dir: DataDir = None,
    network: NetworkFile = None,
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """Take a chain from JSON Lines, checking every block. The node must be stopped.

    A file that continues the folder's chain is added to it. One that leaves it replaces the rest if it is longer (in
    a network of kind work: if more work went into it), as a peer's chain would. One bad line, and nothing is taken.
    """
    place = folder.find(data_dir, config, network)
    done = _take(place, file)
    if as_json:
        terminal.say_json(
            {
                "blocks": done.blocks,
                "added": done.added,
                "removed": done.removed,
                "tip": {"index": done.tip.index, "hash": done.tip.hash},
            }
        )
        return
    if not done.added:
        terminal.say(f"Nothing new in {terminal.count(done.blocks, 'block')}: the folder's chain is as good or better.")
    elif done.removed:
        terminal.say(f"Switched to a better branch: {done.removed:,} blocks left, {done.added:,} took their place.")
    else:
        terminal.say(f"Added {terminal.count(done.added, 'block')}.")
    terminal.say(f"The last block is {done.tip.index}, {done.tip.hash}")


def _take(place: Place, file: str) -> Imported:
    from tallystick.app.transfer import BadLineError, take_lines  # noqa: PLC0415 - keeps --help quick
    from tallystick.consensus import engine_for  # noqa: PLC0415
    from tallystick.model.limits import LIMITS  # noqa: PLC0415
    from tallystick.storage.opening import open_store  # noqa: PLC0415

    # A longer branch is kept beside the chain until it is whole; none of it may be dropped before.
    wall_ms = time.time_ns() // 1_000_000
    limits = dataclasses.replace(LIMITS, side_bytes=2**62)
    with folder.source(file) as lines, terminal.progress("Importing") as tell:
        store, reader = open_store(place.data_dir, place.network, limits)
        try:
            tip = reader.block(reader.tip().index)
            assert tip is not None  # noqa: S101 - nobody else writes while we hold the folder
            return take_lines(lines, store, tip, engine_for(place.network), wall_ms=wall_ms, limits=limits, tell=tell)
        except BadLineError as error:
            raise Failure(ExitCode.NO, f"{error}.\nNothing was imported.") from error
        finally:
            reader.close()
            store.close()
