"""Writes docs/cli.md from what `--help` says: `python -m tallystick.cli.reference > docs/cli.md`.

A test compares the file with what this prints, so the reference can't fall behind the program.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from typer.testing import CliRunner

from tallystick.cli.application import app
from tallystick.cli.commands import NAMES, command
from tallystick.cli.exits import ExitCode

WIDTH: Final = 100

INTRODUCTION: Final = """\
# The command line

Written from `tallystick --help` by `make docs`; edit the commands, not this file.

Commands that talk to a node take `--url` and, where the node asks for one, `--token-file`; both may stand in
the environment (`TALLYSTICK_URL`, `TALLYSTICK_TOKEN_FILE`). At an `https://` URL the system's certificate
authorities are trusted, or those in the file that `SSL_CERT_FILE` names, and besides them those of `--ca`; it may
hold the node's own certificate. Commands that work on a data folder take `--data-dir` and find it as
`tallystick start` does ([configuration](configuration.md)).

Every command takes `--json` where it has something to say: one JSON document in ASCII on stdout, whose keys
stay. Without it, output is for people and may change; foreign text in it is escaped, so that no block can
command a terminal. Errors are on stderr, in a line or two.

`tallystick status --watch` shows a node live. It ends with Ctrl-C and code 0, and with code 3 when the node was away
for a minute. `--until-synced` waits for a node: `tallystick status --until-synced && next-step`.

`export` and `import` speak JSON Lines: one block a line, genesis first, UTF-8, keys of a classic block in the order
`data`, `hash`, `index`, `previous_hash`, `timestamp`, those of a sealed one as the API has them (import takes any
order).

`post`, `record`, `records`, `prove` and `erase` are for networks whose blocks hold records. `prove` and `check` belong
together: the one asks a node for a proof, the other needs neither a node nor a network to check it.

```sh
tallystick prove invoice-17 > invoice-17.json
tallystick check invoice-17.json --block HASH     # of a block that somebody you trust named
```

## Exit codes

| code | meaning |
|---|---|
"""


def reference() -> str:
    """The whole document."""
    runner = CliRunner()

    def help_of(*command: str) -> str:
        text = runner.invoke(app, [*command, "--help"], prog_name="tallystick", terminal_width=WIDTH).output
        return "\n".join(line.rstrip() for line in text.strip().splitlines())

    codes = "".join(f"| {code.value} | {code.meaning} |\n" for code in ExitCode)
    parts = [INTRODUCTION + codes, f"## tallystick\n\n```text\n{help_of()}\n```\n"]
    parts += [f"## tallystick {' '.join(command)}\n\n```text\n{help_of(*command)}\n```\n" for command in all_commands()]
    return "\n".join(parts)


def all_commands() -> Iterator[tuple[str, ...]]:
    """The words of every command, those in groups too."""
    for name in NAMES:
        members = getattr(command(name), "commands", None)
        yield from [(name,)] if members is None else [(name, member) for member in members]


if __name__ == "__main__":
    print(reference(), end="")
