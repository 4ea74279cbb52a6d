"""What a node says to the person who started it: where it listens, who it is, its tip, and three commands to try.

The commands are meant to be pasted into another terminal, whatever folder that is in. So the program is
named by a path unless the shell finds it by its name, and a token is read from its file.
"""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tallystick import __version__
from tallystick.app.config import Config
from tallystick.model.block import Header
from tallystick.wire.addresses import host_port

KEY_DIGITS: Final = 16
"""So much of a node key tells it from all others that a person will meet."""


def greeting(config: Config, host: str, port: int, tip: Header, *, key: str, program: str) -> str:
    """The whole text. `host` and `port` are what the node listens on, `key` is its node key in hex, and `program`
    how a shell calls this one."""
    where = host_port({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port)  # noqa: S104 - compared
    http, ws = ("https", "wss") if config.tls_cert else ("http", "ws")
    url = shlex.quote(f"{http}://{where}")
    write, read = config.token_file or config.read_token_file, config.read_token_file
    trust = _file("--ca", _authority(config))
    ask = f"{program} status --url {url}{trust}{_file('--token-file', read)}"
    curl = f"curl{_file('--cacert', _authority(config))} {url}"
    if config.network.rules is None:
        post = f"{curl}/mineBlock{_bearer(write)} -H 'Content-Type: application/json' -d '{{\"data\": \"hello\"}}'"
    else:
        post = f"{program} post hello --url {url}{trust}{_file('--token-file', write)}"
    return f"""Tallystick {__version__}, a node of the {config.network.name} network
  listening on  {http}://{where}  (peers: {ws}://{where})
  data in       {config.data_dir}
  node key      {key[:KEY_DIGITS]}…  (all of it: tallystick status)
  latest block  {tip.index}  {tip.hash}{_mining(config)}

Try it, from another terminal:
  {curl}/blocks{_bearer(read)}
  {post}
  {ask}

Ctrl-C stops it."""


def _mining(config: Config) -> str:
    """Who looks for blocks, where they have to be found."""
    if config.network.rules is None:
        return ""
    if not config.mine:
        return "\n  mining        not here; other nodes look for blocks, or this one with --mine"
    processes = "1 process looks" if config.mine_workers == 1 else f"{config.mine_workers} processes look"
    return f"\n  mining        {processes} for blocks"


def _authority(config: Config) -> Path | None:
    """What a client on this machine may trust: a certificate can vouch for itself."""
    return config.tls_cert and (config.tls_ca or config.tls_cert)


def _bearer(token_file: Path | None) -> str:
    return "" if token_file is None else f' -H "Authorization: Bearer $(cat {shlex.quote(str(token_file.absolute()))})"'


def _file(option: str, file: Path | None) -> str:
    return "" if file is None else f" {option} {shlex.quote(str(file.absolute()))}"


def program_name(argv0: str, found: Callable[[str], str | None] = shutil.which) -> str:
    """How a shell in any folder calls this program, which was started as `argv0` (`sys.argv[0]`)."""
    path = Path(argv0)
    if path.name == "__main__.py":  # python -m tallystick
        return f"{shlex.quote(sys.executable)} -m tallystick"
    known = found(path.name)
    if known is not None and Path(known).absolute() == path.absolute():
        return path.name
    return shlex.quote(str(path.absolute()))
