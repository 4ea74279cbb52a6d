"""Runs the command line: in this process where that will do, or as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import NamedTuple

from typer.testing import CliRunner

from tallystick.cli.application import app

PATIENCE_S = 30


class Ran(NamedTuple):
    code: int
    out: str
    err: str


def run(*arguments: str, stdin: str | bytes | None = None, env: Mapping[str, str] | None = None) -> Ran:
    """Run `tallystick` with these arguments. Whatever happens, the person sees no traceback."""
    result = CliRunner().invoke(app, list(arguments), input=stdin, env=dict(env or {}), prog_name="tallystick")
    ran = Ran(result.exit_code, result.stdout, result.stderr)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in ran.out + ran.err, ran.out + ran.err
    return ran


def shell(*arguments: str, env: Mapping[str, str] | None = None) -> Ran:
    """Run it as a process, up to and including the interpreter's own tidying up."""
    ran = subprocess.run(
        [sys.executable, "-m", "tallystick", *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        env={**os.environ, **(env or {})},
    )
    return Ran(ran.returncode, ran.stdout, ran.stderr)
