"""The command line as one Typer application, and the one place where errors become words and exit codes.

Help is plain text and every command imports what it needs when it runs: `tallystick --help` loads
neither the server nor a database nor a terminal library, and so answers at once.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any, Final

import typer

from tallystick import __version__
from tallystick.cli.commands import Group, Loaded
from tallystick.cli.exits import ExitCode, Failure
from tallystick.errors import ConfigError, RuleViolation, StoreError

DEBUG_VARIABLE: Final = "TALLYSTICK_DEBUG"


class Commands(Group):
    """The group of all commands. Whatever a command raises ends here."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - Typer's own signature
        super().__init__(**{**options, "commands": Loaded()})

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - Typer's own signature, whose types are private
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except (typer.Exit, typer.Abort):
            raise
        except (Exception, KeyboardInterrupt) as error:
            if type(error).__module__.partition(".")[0] in {"typer", "click"}:
                raise  # a usage error; Typer words these itself
            if os.environ.get(DEBUG_VARIABLE) and not isinstance(error, KeyboardInterrupt | BrokenPipeError):
                raise
            raise typer.Exit(explain(error)) from None
        return result


def explain(error: BaseException) -> ExitCode:
    """Say on stderr what went wrong, in a line or two, and return the exit code for it."""
    code, message = verdict(error)
    if code is ExitCode.PIPE_CLOSED:
        # What is left in the buffer has no reader; without this Python complains at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if message:
        typer.echo(f"tallystick: {message}", err=True)
    return code


def verdict(error: BaseException) -> tuple[ExitCode, str]:  # noqa: PLR0911 - one return a kind of error
    """The exit code and the words for an error. The words are empty when nothing needs saying."""
    match error:
        case Failure():
            return error.code, str(error)
        case ConfigError():
            return ExitCode.USAGE, str(error)
        case StoreError():
            return ExitCode.FOLDER, str(error)
        case RuleViolation():
            return ExitCode.NO, f"{error.detail} (rule {error.rule})"
        case KeyboardInterrupt():
            return ExitCode.INTERRUPTED, ""
        case BrokenPipeError():
            return ExitCode.PIPE_CLOSED, ""
        case OSError():
            where = f"{error.filename}: " if error.filename else ""
            return ExitCode.FOLDER, f"{where}{error.strerror or error}."
        case UnicodeEncodeError(encoding="utf-8"):  # of half a surrogate pair: a byte of an argument that is no UTF-8
            from tallystick.model.text import printable  # noqa: PLC0415 - needed on this path only

            return ExitCode.USAGE, f"{printable(error.object, 80)} is no text in UTF-8."
        case _:
            from tallystick.model.text import printable  # noqa: PLC0415 - likewise

            what = printable(f"{type(error).__name__}: {error}")
            return ExitCode.BUG, f"unexpected error, {what}\nSet {DEBUG_VARIABLE}=1 and run it again for details."


app = typer.Typer(
    name="tallystick",
    cls=Commands,
    help="A ledger for parties who share one record and trust nobody's database.",
    epilog="Exit codes and all options: docs/cli.md.",
    add_completion=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _show_version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(f"tallystick {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    pass
