"""How a command ends: exit codes, and the failures that lead to them.

A command that cannot do its work raises `Failure` with the code and a message of one or two lines: what
was wrong, and what to do. `application` prints the message on stderr; nobody ever sees a traceback
unless TALLYSTICK_DEBUG is set.
"""

from __future__ import annotations

import enum

from tallystick.errors import TallystickError


class ExitCode(enum.IntEnum):
    """Every exit code, the same in all commands. The docstrings stand in docs/cli.md."""

    OK = 0
    NO = 1
    USAGE = 2
    UNREACHABLE = 3
    REFUSED = 4
    FOLDER = 5
    BUG = 70
    INTERRUPTED = 130
    PIPE_CLOSED = 141

    @property
    def meaning(self) -> str:
        """What the code tells a script."""
        return _MEANINGS[self]


_MEANINGS = {
    ExitCode.OK: "Done; the answer is yes.",
    ExitCode.NO: "The answer is no: the chain is bad, or there is no such block or peer.",
    ExitCode.USAGE: "The command line or the configuration was not understood.",
    ExitCode.UNREACHABLE: "No node answered at the URL.",
    ExitCode.REFUSED: "The node refused, or could not do it.",
    ExitCode.FOLDER: "The data folder, a file or the disk failed, or another process holds the folder.",
    ExitCode.BUG: "An error in Tallystick itself (EX_SOFTWARE of sysexits.h); set TALLYSTICK_DEBUG=1 for details.",
    ExitCode.INTERRUPTED: "Interrupted with Ctrl-C (128 + SIGINT).",
    ExitCode.PIPE_CLOSED: "Whoever read the output left before its end (128 + SIGPIPE), as with `| head`.",
}


class Failure(TallystickError):
    """A command ends with `code`; the message is for the person at the terminal."""

    def __init__(self, code: ExitCode, message: str) -> None:
        super().__init__(message)
        self.code = code
