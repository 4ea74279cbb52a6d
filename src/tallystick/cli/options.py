"""Options that several commands share, each declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_URL = "http://127.0.0.1:3001"

Url = Annotated[
    str, typer.Option("--url", envvar="TALLYSTICK_URL", metavar="URL", help="The node to talk to.", show_default=True)
]

TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        envvar="TALLYSTICK_TOKEN_FILE",
        metavar="FILE",
        help="File with the token that the node asks for.",
    ),
]

Authority = Annotated[
    Path | None,
    typer.Option(
        "--ca",
        envvar="TALLYSTICK_TLS_CA",
        metavar="FILE",
        help="Certificates to trust too, for https://.",
    ),
]

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

DataDir = Annotated[
    str | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        help="Folder of the chain; else TALLYSTICK_DATA_DIR, the configuration file's, or the platform's user data "
        "folder.",
        show_default=False,
    ),
]

ConfigFile = Annotated[
    str | None,
    typer.Option(
        "--config", metavar="FILE", help="TOML file with settings; else TALLYSTICK_CONFIG.", show_default=False
    ),
]

NetworkFile = Annotated[
    str | None,
    typer.Option(
        "--network",
        metavar="classic|FILE",
        help="The network the chain belongs to; else TALLYSTICK_NETWORK, the configuration file's, or classic.",
        show_default=False,
    ),
]
