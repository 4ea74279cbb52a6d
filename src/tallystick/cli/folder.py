"""The data folder, for commands that work on it without a node, and the file they read from."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from tallystick.app.config import Place

STDIO = "-"
"""In place of a file: stdin or stdout."""


def find(data_dir: str | None, config: str | None) -> Place:
    """Where the chain is, from the options, the environment and the configuration file. Raises ConfigError."""
    from tallystick.app.config import load_place, read_bounded  # noqa: PLC0415 - keeps --help quick

    return load_place({"data_dir": data_dir, "config": config}, os.environ, read_bounded)


@contextmanager
def source(name: str) -> Iterator[BinaryIO]:
    """The named file to read, or stdin."""
    if name == STDIO:
        yield sys.stdin.buffer
        return
    with Path(name).open("rb") as file:
        yield file
