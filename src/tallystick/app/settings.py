"""Every setting of a node: its name, how a value is read, and what is allowed.

One table, `SETTINGS`, is the source of the option, the environment variable and the TOML key of each
setting. A reader takes the raw value, text from an option or the environment and any TOML value from a
file, and either returns what the node works with or raises ValueError with the reason.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from tallystick.errors import RuleViolation
from tallystick.model.limits import LIMITS
from tallystick.model.text import printable
from tallystick.wire.addresses import parse as parse_address

PREFIX: Final = "TALLYSTICK_"

LOG_LEVELS: Final = ("debug", "info", "warning", "error")
LOG_FORMATS: Final = ("auto", "plain", "json")

_PORT_MAX: Final = 65_535
_MINE_WORKERS_MAX: Final = 256
_NAMES_MAX: Final = 64
"""Names in `allowed_hosts` and in `allowed_origins`; each request is compared with all of them."""

_HOST_NAME: Final = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")
_ORIGIN: Final = re.compile(r"[a-z][a-z0-9+.-]*://(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?")
_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_FALSE: Final = frozenset({"0", "false", "no", "off"})


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting."""

    name: str
    """As in `Config` and as the TOML key."""

    flag: str
    """The option of `tallystick start`."""

    read: Callable[[object, Path], object]
    """From the raw value, and the folder that relative paths start from, to the value. Raises ValueError."""

    allowed: str
    """What is allowed, as it completes "expected ..."."""

    default: str
    """The default, in words."""

    help: str
    """What it does, in a sentence."""

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return PREFIX + self.name.upper()


def _text(raw: object) -> str:
    if not isinstance(raw, str):
        raise ValueError(f"a {_kind(raw)} is not text")  # noqa: TRY004 - one exception for every bad value
    return raw.strip()


def _kind(raw: object) -> str:
    names = {bool: "boolean", int: "number", float: "number", list: "list", dict: "table"}
    return names.get(type(raw), type(raw).__name__)


def _whole_number(raw: object, low: int, high: int) -> int:
    if isinstance(raw, str) and re.fullmatch(r"[0-9]{1,16}", raw.strip()):
        raw = int(raw)
    if not isinstance(raw, int) or isinstance(raw, bool):
        raise ValueError("not a whole number")  # noqa: TRY004 - as above
    if not low <= raw <= high:
        raise ValueError(f"not within {low} to {high}")
    return raw


def _port(raw: object, _base: Path) -> int:
    return _whole_number(raw, 0, _PORT_MAX)


def spare_cores() -> int:
    """Processor cores that this process may use, without one for everything else; one at least."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        cores = os.cpu_count() or 1
    return min(max(1, cores - 1), _MINE_WORKERS_MAX)


def _mine_workers(raw: object, _base: Path) -> int:
    return _whole_number(raw, 1, _MINE_WORKERS_MAX)


def _max_reorg(raw: object, _base: Path) -> int:
    return _whole_number(raw, 0, 2**53 - 1)


def _host(raw: object, _base: Path) -> str:
    text = _text(raw).lower()
    try:
        return str(ip_address(text.removeprefix("[").removesuffix("]")))
    except ValueError:
        if not _HOST_NAME.fullmatch(text) or text.replace(".", "").isdigit():
            raise ValueError("not an address or host name") from None
        return text


def _path(raw: object, base: Path) -> Path:
    text = _text(raw)
    if not text or "\0" in text:
        raise ValueError("not a path")
    try:
        return base / Path(text).expanduser()
    except RuntimeError as error:  # "~stranger" has no home here
        raise ValueError(str(error)) from error


def _boolean(raw: object, _base: Path) -> bool:
    if isinstance(raw, bool):
        return raw
    word = _text(raw).lower()
    if word not in _TRUE | _FALSE:
        raise ValueError("neither true nor false")
    return word in _TRUE


def _one_of(*words: str) -> Callable[[object, Path], str]:
    def read(raw: object, _base: Path) -> str:
        word = _text(raw).lower()
        if word not in words:
            raise ValueError("not one of them")
        return word

    return read


def _texts(raw: object, most: int) -> list[str]:
    """A list of texts, or one text with commas; without repetitions, in order."""
    items = [_text(item) for item in raw] if isinstance(raw, list | tuple) else _text(raw).split(",")
    kept = [item.strip() for item in items if item.strip()]
    if len(kept) > most:
        raise ValueError(f"{len(kept)} of them, at most {most} are allowed")
    return list(dict.fromkeys(kept))


def _peers(raw: object, _base: Path) -> tuple[str, ...]:
    try:
        parsed = [parse_address(text).text for text in _texts(raw, LIMITS.peer_addresses)]
    except RuleViolation as error:
        raise ValueError(error.detail) from error
    return tuple(dict.fromkeys(parsed))


def _allowed_hosts(raw: object, base: Path) -> tuple[str, ...]:
    return tuple(_host(text, base) for text in _texts(raw, _NAMES_MAX))


def _allowed_origins(raw: object, _base: Path) -> tuple[str, ...]:
    origins = [text.lower().removesuffix("/") for text in _texts(raw, _NAMES_MAX)]
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise ValueError(f"{printable(origin, 80)!r} is not SCHEME://HOST[:PORT]")
    return tuple(origins)


def _network(raw: object, base: Path) -> str | Path:
    """`classic`, or where the file is; `config` reads it."""
    text = _text(raw)
    return "classic" if text == "classic" else _path(text, base)


SETTINGS: Final = (
    Setting("host", "--host", _host, "an IP address or a host name", "127.0.0.1", "Address to listen on."),
    Setting("port", "--port", _port, f"0 to {_PORT_MAX}, 0 for any free one", "3001", "Port to listen on."),
    Setting("data_dir", "--data-dir", _path, "a folder", "the platform's user data folder", "Folder of the chain."),
    Setting(
        "peers",
        "--peer",
        _peers,
        f"addresses ws://HOST:PORT, at most {LIMITS.peer_addresses}",
        "none",
        "Nodes to connect to, and to reconnect to for ever.",
    ),
    Setting(
        "discover",
        "--discover",
        _boolean,
        "true or false",
        "true",
        "Connect to nodes found through others too; with --no-discover, to the given ones only.",
    ),
    Setting("network", "--network", _network, "classic, or a network file", "classic", "The network to be part of."),
    Setting(
        "mine",
        "--mine",
        _boolean,
        "true or false",
        "false",
        "Look for blocks, in a network where they have to be found.",
    ),
    Setting(
        "mine_workers",
        "--mine-workers",
        _mine_workers,
        f"1 to {_MINE_WORKERS_MAX}",
        "all cores but one",
        "Processes that look for blocks, with --mine.",
    ),
    Setting(
        "token_file",
        "--token-file",
        _path,
        "a file whose text is the token, at least 16 characters",
        "none",
        "Whoever writes must send this token.",
    ),
    Setting(
        "read_token_file",
        "--read-token-file",
        _path,
        "a file whose text is the token, at least 16 characters",
        "none",
        "Whoever reads must send this token; only members may dial in.",
    ),
    Setting("open", "--open", _boolean, "true or false", "false", "Let anyone write on any address, without a token."),
    Setting(
        "tls_cert",
        "--tls-cert",
        _path,
        "a file with certificates in PEM, the node's own first",
        "none",
        "Serve TLS (https and wss) with this certificate.",
    ),
    Setting(
        "tls_key",
        "--tls-key",
        _path,
        "a file with the private key in PEM, without a passphrase",
        "none",
        "The private key of that certificate.",
    ),
    Setting(
        "tls_ca",
        "--tls-ca",
        _path,
        "a file with certificates in PEM",
        "none",
        "Authorities to trust besides the system's, when connecting to wss:// addresses.",
    ),
    Setting(
        "allowed_hosts",
        "--allowed-host",
        _allowed_hosts,
        f"host names, at most {_NAMES_MAX}",
        "none",
        "Names besides localhost and the machine's own that requests may call this node by.",
    ),
    Setting(
        "allowed_origins",
        "--allowed-origin",
        _allowed_origins,
        f"origins SCHEME://HOST[:PORT], at most {_NAMES_MAX}",
        "none",
        "Web pages of other sites that may talk to this node.",
    ),
    Setting(
        "max_reorg",
        "--max-reorg",
        _max_reorg,
        "a number of blocks",
        "any depth",
        "Refuse branches that would take off more blocks than this.",
    ),
    Setting("log_level", "--log-level", _one_of(*LOG_LEVELS), ", ".join(LOG_LEVELS), "info", "Least level to log."),
    Setting(
        "log_format",
        "--log-format",
        _one_of(*LOG_FORMATS),
        ", ".join(LOG_FORMATS),
        "auto",
        "Log lines: coloured on a terminal and plain elsewhere (auto), plain, or json.",
    ),
)
"""Every setting, in the order in which people meet them."""
