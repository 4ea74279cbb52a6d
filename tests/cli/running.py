"""Runs the command line in this process, as a shell would see it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from typer.testing import CliRunner

from tallystick.cli.application import app


class Ran(NamedTuple):
    code: int
    out: str
    err: str


def run(*arguments: str, stdin: str | bytes | None = None, env: Mapping[str, str] | None = None) -> Ran:
    """Run `tallystick` with these arguments. Whatever happens, the person sees no traceback."""
    result = CliRunner().invoke(app, list(arguments), input=stdin, env=dict(env or {}), prog_name="tallystick")
    ran = Ran(result.exit_code, result.stdout, result.stderr)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in ran.out + ran.err
    return ran
