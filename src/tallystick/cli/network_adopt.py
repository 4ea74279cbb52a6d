"""`tallystick network adopt`: carry a classic chain into a network of another kind."""

from __future__ import annotations

import contextlib
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tallystick.cli import terminal
from tallystick.cli.exits import ExitCode, Failure
from tallystick.cli.options import Json
from tallystick.model.text import printable

if TYPE_CHECKING:
    from tallystick.app.adoption import Adopted
    from tallystick.model.network import Network


def adopt(
    data_dir: Annotated[
        list[str],
        typer.Option("--data-dir", metavar="DIR", help="The new folder; without --from, the old one and then the new."),
    ],
    network: Annotated[str, typer.Option("--network", metavar="FILE", help="The new network.")],
    *,
    old: Annotated[
        str | None, typer.Option("--from", metavar="DIR", help="The folder of the classic chain.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Carry a classic chain into a new network, each block as a record.

    Every block after genesis becomes a record that names the block it came from; its id is classic:INDEX:HASH, with
    16 digits of the hash. They wait in the new folder until a node there seals them into blocks. No node may run on
    either folder meanwhile, and the old one is not changed. Run again, it goes on where it ended; a folder with
    anything else in it is refused.

    Two ways to say the same:

      tallystick network adopt --from OLD --network network.toml --data-dir NEW

      tallystick network adopt --data-dir OLD --network network.toml --data-dir NEW
    """
    from tallystick.app.config import load_network, read_bounded  # noqa: PLC0415 - keeps --help quick

    source, target = _folders(old, data_dir)
    into = load_network(Path(network), "option --network", read_bounded)
    done = _adopt(source, target, into)
    if as_json:
        terminal.say_json({"blocks": done.blocks, "added": done.added, "network": into.id, "data_dir": str(target)})
        return
    already = done.blocks - done.added
    beside = f"; {already:,} were there already" if already else ""
    terminal.say(f"{terminal.count(done.added, 'block')} adopted into {printable(str(target))}{beside}.")
    terminal.say("They wait to be sealed. Start a node that looks for blocks there:")
    folder = printable(shlex.quote(str(target)))
    terminal.say(f"  tallystick start --network {printable(shlex.quote(network))} --data-dir {folder} --mine")


def _folders(old: str | None, given: list[str]) -> tuple[Path, Path]:
    """The old folder and the new one. Raises Failure."""
    named = given if old is None else [old, *given]
    if len(named) != 2:  # noqa: PLR2004 - from one to the other
        raise Failure(
            ExitCode.USAGE, "two folders are needed: --from OLD --data-dir NEW, or --data-dir OLD ... --data-dir NEW."
        )
    source, target = (Path(name).expanduser() for name in named)
    if source.resolve() == target.resolve():
        raise Failure(ExitCode.USAGE, "the old folder and the new one are the same; a chain is adopted into another.")
    return source, target


def _adopt(source: Path, target: Path, into: Network) -> Adopted:
    from tallystick.app import adoption  # noqa: PLC0415 - keeps --help quick
    from tallystick.app.entropy import ENTROPY  # noqa: PLC0415
    from tallystick.model.limits import LIMITS  # noqa: PLC0415
    from tallystick.model.network import CLASSIC  # noqa: PLC0415
    from tallystick.storage.folder import DataFolder  # noqa: PLC0415
    from tallystick.storage.opening import open_store  # noqa: PLC0415

    if into.rules is None:
        raise Failure(
            ExitCode.USAGE,
            "the new network is a classic one too, whose folder can be used as it is.\n"
            "Make one of another kind with: tallystick network new",
        )
    DataFolder(source).require()
    with contextlib.ExitStack() as opened:
        ledger, old = open_store(source, CLASSIC)
        opened.callback(ledger.close)
        opened.callback(old.close)
        if ledger.lost(1):
            raise Failure(
                ExitCode.REFUSED,
                f"posts that a longer branch removed wait to be mined again in {printable(str(source))}.\n"
                "Start its node, wait until tallystick status says so no more, stop it, and adopt then.",
            )
        try:
            with terminal.progress("Checking") as tell:
                adoption.check_fits(old, into.rules, LIMITS, tell)
            store, new = open_store(target, into)
            opened.callback(store.close)
            opened.callback(new.close)
            with terminal.progress("Adopting") as tell:
                return adoption.adopt(old, store, new, ENTROPY, limits=LIMITS, tell=tell)
        except adoption.AdoptionError as error:
            raise Failure(ExitCode.NO, str(error)) from error
