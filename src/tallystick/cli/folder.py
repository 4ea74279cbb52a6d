"""The data folder, for commands that work on it without a node, and the file they read from."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from tallystick.cli.exits import ExitCode, Failure

if TYPE_CHECKING:
    from tallystick.app.config import Place

STDIO = "-"
"""In place of a file: stdin or stdout."""


def find(data_dir: str | None, config: str | None, network: str | None) -> Place:
    """Where the chain is, from the options, the environment and the configuration file. Raises ConfigError."""
    from tallystick.app.config import load_place, read_bounded  # noqa: PLC0415 - keeps --help quick

    return load_place({"data_dir": data_dir, "config": config, "network": network}, os.environ, read_bounded)


@contextmanager
def source(name: str) -> Iterator[BinaryIO]:
    """The named file to read, or stdin."""
    if name == STDIO:
        yield sys.stdin.buffer
        return
    with Path(name).open("rb") as file:
        yield file


def bounded(file: BinaryIO, name: str) -> bytes:
    """All of a file, exactly. One byte more than a node takes is read, to know. Raises Failure."""
    from tallystick.model.limits import LIMITS  # noqa: PLC0415 - keeps --help quick

    raw = file.read(LIMITS.request_body_bytes + 1)
    if len(raw) > LIMITS.request_body_bytes:
        raise Failure(ExitCode.USAGE, f"{name} is longer than {LIMITS.request_body_bytes} bytes; no block holds that.")
    return raw
