"""`tallystick start`: run a node until somebody stops it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from tallystick.cli import terminal
from tallystick.cli.options import ConfigFile


def _option(flag: str, metavar: str, help: str) -> typer.models.OptionInfo:
    """An option whose default is decided by the configuration, not by the command line."""
    option: typer.models.OptionInfo = typer.Option(flag, metavar=metavar, help=help, show_default=False)
    return option


def start(
    *,
    host: Annotated[str | None, _option("--host", "ADDRESS", "Address to listen on (127.0.0.1).")] = None,
    port: Annotated[str | None, _option("--port", "N", "Port to listen on (3001); 0 takes any free one.")] = None,
    data_dir: Annotated[
        str | None, _option("--data-dir", "DIR", "Folder of the chain (the platform's user data folder).")
    ] = None,
    peers: Annotated[
        list[str] | None, _option("--peer", "ws://HOST:PORT", "A node to connect to; may be given many times.")
    ] = None,
    discover: Annotated[
        bool | None,
        typer.Option(
            "--discover/--no-discover", help="Connect to nodes found through others, too (yes).", show_default=False
        ),
    ] = None,
    network: Annotated[str | None, _option("--network", "classic|FILE", "The network to be part of (classic).")] = None,
    mine: Annotated[
        bool | None,
        typer.Option("--mine/--no-mine", help="Look for blocks, where they have to be found (no).", show_default=False),
    ] = None,
    mine_workers: Annotated[
        str | None, _option("--mine-workers", "N", "Processes that look for blocks (all cores but one).")
    ] = None,
    config: ConfigFile = None,
    token_file: Annotated[
        str | None, _option("--token-file", "FILE", "Whoever writes must send the token in FILE.")
    ] = None,
    read_token_file: Annotated[
        str | None,
        _option("--read-token-file", "FILE", "Whoever reads must send the token in FILE; only members may dial in."),
    ] = None,
    open_: Annotated[
        bool | None, typer.Option("--open/--no-open", help="Let anyone write on any address.", show_default=False)
    ] = None,
    tls_cert: Annotated[
        str | None, _option("--tls-cert", "FILE", "Serve TLS (https, wss) with the certificate in FILE.")
    ] = None,
    tls_key: Annotated[str | None, _option("--tls-key", "FILE", "The private key of that certificate.")] = None,
    tls_ca: Annotated[
        str | None, _option("--tls-ca", "FILE", "Authorities to trust besides the system's when connecting to wss://.")
    ] = None,
    allowed_hosts: Annotated[
        list[str] | None, _option("--allowed-host", "NAME", "A name requests may call this node by; many times.")
    ] = None,
    allowed_origins: Annotated[
        list[str] | None,
        _option("--allowed-origin", "ORIGIN", "A web page's origin that may talk to this node; many times."),
    ] = None,
    max_reorg: Annotated[
        str | None, _option("--max-reorg", "N", "Refuse branches that would take off more than N blocks (any).")
    ] = None,
    log_level: Annotated[str | None, _option("--log-level", "LEVEL", "debug, info, warning or error (info).")] = None,
    log_format: Annotated[str | None, _option("--log-format", "FORMAT", "auto, plain or json (auto).")] = None,
) -> None:
    """Run a node until Ctrl-C or SIGTERM.

    Defaults are in parentheses. Every option is also an environment variable (TALLYSTICK_PORT) and a key of the
    TOML file (port); see docs/configuration.md.
    """
    flags = {name.removesuffix("_"): said for name, said in locals().items()}  # named as the settings are
    from tallystick.app import compose  # noqa: PLC0415 - keeps --help quick
    from tallystick.app.config import load, read_bounded  # noqa: PLC0415

    settings = load(flags, os.environ, read_bounded)
    for file in (settings.token_file, settings.read_token_file, settings.tls_key):
        if file is not None and _others_can_read(file):
            terminal.note(f"warning: other users of this machine can read {file}. Close it with: chmod 600 {file}")
    compose.run(settings)


def _others_can_read(file: Path) -> bool:
    """Are the group's or everyone's read bits set? Windows has none of them. Whoever opens a missing file says so."""
    return os.name == "posix" and file.exists() and bool(file.stat().st_mode & 0o044)
