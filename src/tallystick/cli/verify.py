"""`tallystick verify`: recompute the whole chain of a data folder."""

from __future__ import annotations

from typing import Annotated

import typer

from tallystick.cli import folder, terminal
from tallystick.cli.exits import ExitCode, Failure
from tallystick.cli.options import ConfigFile, DataDir, Json, NetworkFile
from tallystick.errors import StoreCorruptError


def verify(
    *,
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Also check every page of the database and the whole hash index.")
    ] = False,
    data_dir: DataDir = None,
    network: NetworkFile = None,
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """Recompute the whole chain and name the first bad block.

    Believes nothing but the genesis block. Reads only; a node may run on the folder meanwhile. (Of a folder that no
    node uses, a damaged index of hashes is removed: the next start builds it anew.)
    """
    from tallystick.storage import verify as storage  # noqa: PLC0415 - keeps --help quick

    place = folder.find(data_dir, config, network)
    try:
        with terminal.progress("Verifying") as tell:
            sound = storage.verify(place.data_dir, place.network, thorough=thorough, progress=tell)
    except StoreCorruptError as damage:
        if as_json:
            terminal.say_json({"sound": False, "first_bad_block": damage.index, "reason": str(damage)})
        raise Failure(ExitCode.NO, str(damage)) from damage
    if as_json:
        terminal.say_json(
            {
                "sound": True,
                "blocks": sound.blocks,
                "tip": {"index": sound.blocks - 1, "hash": sound.tip},
                "side_blocks": sound.side_blocks,
                "lost_duties": sound.lost_duties,
                "notes": list(sound.notes),
            }
        )
        return
    terminal.say(f"Sound: {terminal.count(sound.blocks, 'block')}, the last one {sound.tip}")
    if sound.side_blocks:
        terminal.say(f"Beside the chain: {terminal.count(sound.side_blocks, 'block')}, sound too")
    if sound.lost_duties:
        terminal.say(f"To be mined again when a node starts: {terminal.count(sound.lost_duties, 'post')}")
    for note in sound.notes:
        terminal.note(note)
