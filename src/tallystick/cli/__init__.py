"""The command line: one file per command, and `main`, the entry point.

`application` puts the commands together, `exits` says how they end. Commands that talk to a running
node use `remote`; those that work on a data folder use `folder`. `terminal` prints.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line with this process's arguments, and exit."""
    try:
        from tallystick.cli.application import app  # noqa: PLC0415 - Ctrl-C during this import is caught too

        app(prog_name="tallystick")
    except KeyboardInterrupt:
        sys.exit(130)
