"""Configuration: many sources in, one frozen value out.

A setting is taken from the first source that has it:

1. the option on the command line (`--port 3002`);
2. its environment variable (`TALLYSTICK_PORT=3002`);
3. `PORT` and `PEERS`, the two variables of the book's node;
4. its key in the TOML file that `--config` or `TALLYSTICK_CONFIG` names (`port = 3002`);
5. the default.

Nothing is guessed and nothing ignored: an unknown key or variable, a bad value, and settings that
contradict each other are refused (`ConfigError`) with the name, where it came from, and what is
allowed. An empty variable counts as not set.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import platformdirs

from tallystick.app.network_file import network_of
from tallystick.app.refusals import shown_path, shown_value, unknown
from tallystick.app.settings import PREFIX, SETTINGS, Setting, spare_cores
from tallystick.errors import ConfigError
from tallystick.model.network import CLASSIC, Network
from tallystick.model.text import printable
from tallystick.wire.addresses import is_loopback

OTHER_VARIABLES: Final = frozenset({"TALLYSTICK_CONFIG", "TALLYSTICK_URL", "TALLYSTICK_DEBUG"})
"""Variables with our prefix that are no setting of a node: where the file is, and what the client commands read."""

BOOK_VARIABLES: Final = {"PORT": "port", "PEERS": "peers"}
"""The variables of the book's node, and the settings they stand for."""

TOKEN_CHARACTERS_MIN: Final = 16
"""A shorter token could be guessed."""

TOKEN_CHARACTERS_MAX: Final = 1_024
"""A longer one would not fit a request's head."""

FILE_BYTES_MAX: Final = 1_048_576
"""A configuration, network or token file that is larger is another file."""

TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/=-]+")
"""What fits an `Authorization: Bearer` header (RFC 6750, section 2.1)."""

ReadFile = Callable[[Path], bytes]
"""Reads a whole file. Raises OSError."""


@dataclass(frozen=True, slots=True)
class Config:
    """Everything a node is started with. Valid by construction when `load` made it."""

    data_dir: Path
    """Folder of the chain; may exist and hold foreign files."""

    host: str = "127.0.0.1"
    """Address or name to listen on."""

    port: int = 3001
    """Port to listen on; 0 takes any free one."""

    peers: tuple[str, ...] = ()
    """Canonical `ws://host:port` addresses to dial."""

    discover: bool = True
    """Dial peers found through others too, not only those that the operator named."""

    network: Network = CLASSIC
    """The network to be part of."""

    token_file: Path | None = None
    read_token_file: Path | None = None

    open: bool = False
    """Writing needs no token, whatever the address."""

    tls_cert: Path | None = None
    tls_key: Path | None = None
    """Certificate chain and private key: the port speaks TLS, and nothing else. Both or neither."""

    tls_ca: Path | None = None
    """Authorities trusted besides the system's when dialling `wss://`."""

    allowed_hosts: tuple[str, ...] = ()
    """Lower-case names that requests may call this node by, besides localhost and the machine's own."""

    allowed_origins: tuple[str, ...] = ()
    """Lower-case `scheme://host[:port]` of web pages that may talk to this node."""

    mine: bool = False
    """Look for blocks, in a network where they have to be found."""

    mine_workers: int = field(default_factory=spare_cores)
    """Processes that look for them."""

    max_reorg: int | None = None
    """Most blocks that a switch of branches may take off; None for any number."""

    log_level: str = "info"
    log_format: str = "auto"

    token: str | None = field(default=None, repr=False)
    """The text of `token_file`: whoever writes must send it."""

    read_token: str | None = field(default=None, repr=False)
    """The text of `read_token_file`: whoever reads must send it."""


class Place(NamedTuple):
    """Where a chain lies, for commands that work on a data folder and start no node."""

    data_dir: Path
    network: Network


class _Given(NamedTuple):
    """A raw value and where it came from."""

    raw: object
    source: str
    base: Path


def load(flags: Mapping[str, object], env: Mapping[str, str], read_file: ReadFile) -> Config:
    """The configuration of a node.

    `flags` maps names of settings, and `config`, to what the command line said; None means not said.
    Raises ConfigError.
    """
    given = _gather(flags, env, read_file)
    values = {setting.name: _read(setting, given[setting.name]) for setting in SETTINGS if setting.name in given}
    values["network"] = _network(given.get("network"), values.get("network", "classic"), read_file)
    values.setdefault("data_dir", default_data_dir())
    for name in ("token", "read_token"):
        path = values.get(f"{name}_file")
        if isinstance(path, Path):
            values[name] = read_token(path, given[f"{name}_file"].source, read_file)
    config = Config(**values)  # type: ignore[arg-type]  # the table's readers return what Config's fields are
    _check_access(config)
    _check_tls(config)
    _check_mining(config)
    return config


def load_place(flags: Mapping[str, object], env: Mapping[str, str], read_file: ReadFile) -> Place:
    """Only the data folder and the network, from the same sources. Raises ConfigError."""
    given = _gather(flags, env, read_file)
    place = {s.name: _read(s, given[s.name]) for s in SETTINGS if s.name in given and s.name in Place._fields}
    data_dir = place.get("data_dir", default_data_dir())
    network = _network(given.get("network"), place.get("network", "classic"), read_file)
    return Place(Path(str(data_dir)), network)


def default_data_dir() -> Path:
    """The platform's user data folder, for instance `~/.local/share/tallystick`."""
    return platformdirs.user_data_path("tallystick", appauthor=False)


def read_bounded(path: Path) -> bytes:
    """A small file of the operator's; the `read_file` of a real node. Raises OSError."""
    with path.open("rb") as file:
        data = file.read(FILE_BYTES_MAX + 1)
    if len(data) > FILE_BYTES_MAX:
        raise OSError(None, f"larger than {FILE_BYTES_MAX} bytes", str(path))
    return data


def read_token(path: Path, source: str, read_file: ReadFile) -> str:
    """The token in `path`, without the white space around it. Never shown in an error. Raises ConfigError."""
    text = _file_text(path, source, read_file).strip()
    if not TOKEN_CHARACTERS_MIN <= len(text) <= TOKEN_CHARACTERS_MAX:
        raise ConfigError(
            f"{shown_path(path)} ({source}) holds a token of {len(text)} characters; expected {TOKEN_CHARACTERS_MIN} "
            f"to {TOKEN_CHARACTERS_MAX}. Make one with: openssl rand -hex 32 > {shown_path(path)}"
        )
    if not TOKEN.fullmatch(text):
        raise ConfigError(f"The token in {shown_path(path)} ({source}) may hold letters, digits and ._~+/=- only.")
    return text


# --- where values come from -------------------------------------------------------------------------


def _gather(flags: Mapping[str, object], env: Mapping[str, str], read_file: ReadFile) -> dict[str, _Given]:
    """For each setting that somebody set, the value of the strongest source."""
    here = Path()
    given = dict(_from_file(flags.get("config"), env, read_file))
    for variable, name in BOOK_VARIABLES.items():
        if env.get(variable):
            given[name] = _Given(env[variable], f"environment variable {variable}", here)
    known = {setting.variable: setting.name for setting in SETTINGS}
    for variable, text in sorted(env.items()):
        if not variable.startswith(PREFIX) or variable in OTHER_VARIABLES:
            continue
        if variable not in known:
            raise unknown("environment variable", variable, None, known.keys() | OTHER_VARIABLES)
        if text:
            given[known[variable]] = _Given(text, f"environment variable {variable}", here)
    for setting in SETTINGS:
        said = flags.get(setting.name)
        if said is not None and said != []:
            given[setting.name] = _Given(said, f"option {setting.flag}", here)
    return given


def _from_file(flag: object, env: Mapping[str, str], read_file: ReadFile) -> Iterable[tuple[str, _Given]]:
    named, source = (flag, "option --config") if flag else (env.get("TALLYSTICK_CONFIG"), "TALLYSTICK_CONFIG")
    if not named:
        return
    path = Path(str(named)).expanduser()
    known = {setting.name for setting in SETTINGS}
    for key, raw in _toml(path, source, read_file).items():
        if key not in known:
            raise unknown("key", key, f"in {shown_path(path)}", known)
        yield key, _Given(raw, f"key {key} in {shown_path(path)}", path.parent)


def _toml(path: Path, source: str, read_file: ReadFile) -> dict[str, object]:
    try:
        return tomllib.loads(_file_text(path, source, read_file))
    except (ValueError, RecursionError) as error:  # of a number too long to be read it is a plain ValueError
        reason = printable(str(error)) or "nested too deeply"
        raise ConfigError(f"{shown_path(path)} ({source}) is not TOML: {reason}") from error


def _file_text(path: Path, source: str, read_file: ReadFile) -> str:
    try:
        return read_file(path).decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"Cannot read {shown_path(path)} ({source}): {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{shown_path(path)} ({source}) is not UTF-8 text.") from error


# --- what values mean -------------------------------------------------------------------------------


def _read(setting: Setting, given: _Given) -> object:
    try:
        return setting.read(given.raw, given.base)
    except ValueError as error:
        shown = shown_value(given.raw)
        source = given.source[:1].upper() + given.source[1:]
        raise ConfigError(f"{source} is {shown}: {error}; expected {setting.allowed}.") from error


def _network(given: _Given | None, named: object, read_file: ReadFile) -> Network:
    """The built-in network, or the one a `network.toml` describes."""
    if given is None or not isinstance(named, Path):
        return CLASSIC
    return load_network(named, f"{given.source}: a network is classic or a file", read_file)


def load_network(path: Path, source: str, read_file: ReadFile) -> Network:
    """The network that the file `path` describes; `source` says who named it. Raises ConfigError."""
    return network_of(_toml(path, source, read_file), f"in network file {shown_path(path)}")


def _check_tls(config: Config) -> None:
    """A certificate is no use without its private key, nor the other way round."""
    if (config.tls_cert is None) != (config.tls_key is None):
        given, missing = ("--tls-cert", "--tls-key") if config.tls_cert else ("--tls-key", "--tls-cert")
        raise ConfigError(f"{given} is given without {missing}; TLS takes both files, plain HTTP neither.")


def _check_mining(config: Config) -> None:
    """Where whoever posts makes a block at once, there is nothing to look for."""
    if config.mine and config.network.rules is None:
        raise ConfigError(
            f"--mine looks for blocks, and in a {config.network.kind} network nothing has to be found: each post is a "
            "block at once. Leave it out, or name a network of kind work with --network FILE."
        )


def _check_access(config: Config) -> None:
    """Only this machine may reach a node that anyone may write to, unless the operator says otherwise."""
    if config.open and config.token_file:
        raise ConfigError("--open lets anyone write, --token-file asks for a token; choose one of them.")
    if config.read_token_file and not config.token_file:
        raise ConfigError("--read-token-file guards reading while anyone could write; give --token-file too.")
    if not (is_loopback(config.host) or config.token_file or config.open):
        raise ConfigError(
            f"On {config.host} other machines could write to this node. Give --token-file FILE (writers must send "
            "its token), or --open if anyone may write."
        )
