"""The data folder, for commands that work on it without a node: where it is, and files written whole or not at all."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from tallystick.app.text import printable
from tallystick.cli.exits import ExitCode, Failure

if TYPE_CHECKING:
    from tallystick.app.config import Place

STDIO = "-"
"""In place of a file: stdin or stdout."""


def find(data_dir: str | None, config: str | None) -> Place:
    """Where the chain is, from the options, the environment and the configuration file. Raises ConfigError."""
    from tallystick.app.config import load_place, read_bounded  # noqa: PLC0415 - keeps --help quick

    return load_place({"data_dir": data_dir, "config": config}, os.environ, read_bounded)


def check_target(target: Path) -> None:
    """Refuse to overwrite a file."""
    if target.exists():
        raise Failure(ExitCode.FOLDER, f"{printable(str(target))} exists. Choose another name, or remove it first.")
    if not target.parent.is_dir():
        raise Failure(ExitCode.FOLDER, f"The folder {printable(str(target.parent))} does not exist.")


@contextmanager
def whole_file(target: Path) -> Iterator[BinaryIO]:
    """A file to write that takes its name only when it is complete and on the disk."""
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _give_usual_mode(name)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _give_usual_mode(name: str) -> None:
    """Give a file of mkstemp, made for its owner alone, what any new file here gets."""
    mask = os.umask(0)
    os.umask(mask)
    Path(name).chmod(0o666 & ~mask)


@contextmanager
def source(name: str) -> Iterator[BinaryIO]:
    """The named file to read, or stdin."""
    if name == STDIO:
        yield sys.stdin.buffer
        return
    with Path(name).open("rb") as file:
        yield file
