"""Who may ask what: Host, Origin and token.

A node on 127.0.0.1 has one kind of stranger to fear, the web pages in its owner's browser. They can send
requests to it (CSRF), and by pointing a name of their own at 127.0.0.1 even read the answers (DNS
rebinding). A browser says truthfully which name it asked for (`Host`) and which page asks (`Origin`), so
names that are not listed and origins that are not ours are refused. A node on any other address wants a
token from whoever writes, unless its operator says `--open`.

`judge` is a pure function of a request's head. A connection that sends the same fields again, byte for
byte, need not be judged twice; `protocol` makes use of that.
"""

from __future__ import annotations

import hmac
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final

from tallystick.api.heads import LINE
from tallystick.api.problems import Fault, Refusal
from tallystick.errors import shown

_HEAD: Final = re.compile(LINE.pattern + rb"(?:\r\n[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*)*")
"""Request line in origin form, then header fields (RFC 9112, sections 3.2.1 and 5): no control characters, no bare
line ends, no folded lines, no blank before a colon. Whoever reads such things differently can be made to
see another request than we do."""

_HOST: Final = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?")
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_FREE_PATHS: Final = frozenset({b"/health", b"/ready", b"/docs"})
_FILES: Final = b"/explorer/"
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}


@dataclass(frozen=True, slots=True)
class Access:
    """Who may ask what, as the operator chose."""

    host: str
    """The address to listen on: a numeric one, or a name of this machine."""

    port: int
    """0: any free port."""

    write_token: str | None = field(default=None, repr=False)
    """Writing needs it, on a loopback address too: whoever sets one wants it asked for."""

    read_token: str | None = field(default=None, repr=False)
    """Reading needs this or the write token, and peers of the classic dialect are not let in."""

    open: bool = False
    """Anybody may write."""

    tls: bool = False
    """The port speaks TLS: our own pages are at `https://`."""

    allowed_hosts: frozenset[str] = frozenset()
    """Names this node answers to, beside `localhost`, its own name and every numeric address."""

    allowed_origins: frozenset[str] = frozenset()
    """Origins (`https://ledger.example`) of pages that may ask, beside our own."""


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a request, as much of it as matters here. Header names are lower-case."""

    raw: bytes
    method: str
    hosts: Sequence[str]
    origins: Sequence[str]
    authorizations: Sequence[str]
    knocks: bool = False
    """It asks for the peers' door: `GET /` with `Upgrade: websocket`."""

    names_html: bool = False
    """It accepts HTML, and says so."""


def listens_privately(host: str) -> bool:
    """Is `host` a loopback or private address, as opposed to a public one or all there are?"""
    if host == "localhost":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return not address.is_unspecified and not address.is_global


def own_names() -> frozenset[str]:
    """The names this machine goes by, without asking the network for any."""
    full = socket.gethostname().lower().rstrip(".")
    short = full.partition(".")[0]
    return frozenset({"localhost", full, short, f"{short}.local"} - {"", ".local"})


class Gate:
    """Judges the head of every request."""

    def __init__(self, access: Access, names: frozenset[str] | None = None) -> None:
        self.access = access
        self._scheme = "https" if access.tls else "http"
        listed = {_plain(name) for name in access.allowed_hosts} | {_plain(access.host)}
        self._names = (own_names() if names is None else names) | listed
        self._origins = frozenset(origin.lower().rstrip("/") for origin in access.allowed_origins)
        self._write_tokens = _secrets(access.write_token) if not access.open else []
        if not access.open and not self._write_tokens:
            self._write_tokens = _secrets(access.read_token)
        self._read_tokens = _secrets(access.read_token, access.write_token) if access.read_token else []
        self._own_tokens = _secrets(access.write_token)

    def judge(self, head: Head) -> bool:
        """May this request be served? Raises Refusal. True: so may all with this method and these fields, whatever they
        ask for."""
        if not _HEAD.fullmatch(head.raw):
            raise Refusal(
                Fault.BAD_REQUEST,
                "the head has control characters, a folded line, or a target that is no path; send plain HTTP/1.1",
            )
        if head.knocks:
            self._judge_knock(head)
            return False
        host = self._judge_host(head.hosts)
        self._judge_origin(head.origins, host)
        return self._judge_token(head)

    def holds_token(self, head: Head) -> bool:
        """Did the caller show the token for writing?"""
        return _shows_one_of(self._own_tokens, head.authorizations)

    def _judge_knock(self, head: Head) -> None:
        """A browser always says its origin, so a handshake without one is no browser's, and its Host no matter."""
        if head.origins:
            self._judge_origin(head.origins, self._judge_host(head.hosts))

    def _judge_host(self, hosts: Sequence[str]) -> str:
        """The accepted Host as `name:port`, lower-case, with the port written out."""
        match = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if match is None:
            raise Refusal(
                Fault.HOST_MALFORMED, f"Host is {shown(', '.join(hosts))}; send it once, as name or name:port"
            )
        name = _plain(match["name"])
        if name not in self._names and not _is_numeric(name):
            raise Refusal(
                Fault.HOST_NOT_LISTED,
                f"{shown(name)} is no name of this node; ask for it by its numeric address, "
                f"or start it with --allowed-host {name[:80]}",
            )
        return f"{name}:{match['port'] or _DEFAULT_PORTS[self._scheme]}"

    def _judge_origin(self, origins: Sequence[str], host: str) -> None:
        if not origins:
            return
        origin = origins[0].lower()
        if len(origins) == 1 and origin != "null" and (origin in self._origins or self._authority(origin) == host):
            return
        raise Refusal(
            Fault.ORIGIN_NOT_ALLOWED,
            f"the page {shown(', '.join(origins))} is neither this node's own nor listed; "
            "its operator can list it with --allowed-origin",
        )

    def _authority(self, origin: str) -> str | None:
        """`name:port` of an origin of our own scheme: we serve no other, so no other can be our own page."""
        scheme, _, authority = origin.partition("://")
        match = _HOST.fullmatch(authority) if scheme == self._scheme else None
        return f"{_plain(match['name'])}:{match['port'] or _DEFAULT_PORTS[scheme]}" if match else None

    def _judge_token(self, head: Head) -> bool:
        """Did the caller show one that is good for this method, or need none? If not, what is asked for may be free."""
        tokens = self._read_tokens if head.method in _SAFE_METHODS else self._write_tokens
        if not tokens or _shows_one_of(tokens, head.authorizations):
            return True
        if head.method in _SAFE_METHODS and _is_free(head):
            return False
        was = "the token is wrong" if head.authorizations else "no token was sent"
        raise Refusal(
            Fault.TOKEN_NEEDED,
            f"{was}; send Authorization: Bearer TOKEN, with the token of the node's token file",
            {"www-authenticate": 'Bearer realm="tallystick"'},
        )


def _is_free(head: Head) -> bool:
    """`/health` and `/ready` tell a supervisor yes or no, and nobody anything else. The files of the explorer are the
    same for everybody; which token to send with its questions is something it has to ask its reader."""
    path = head.raw.split(b" ", 2)[1]
    return path in _FREE_PATHS or path.startswith(_FILES) or (path == b"/" and head.names_html)


def _secrets(*tokens: str | None) -> list[bytes]:
    return [token.encode() for token in tokens if token]


def _shows_one_of(tokens: Sequence[bytes], authorizations: Sequence[str]) -> bool:
    """Compares with every token in constant time, so that an answer's delay tells nothing of any."""
    if len(authorizations) != 1:
        return False
    scheme, _, credentials = authorizations[0].partition(" ")
    given = credentials.strip().encode(errors="surrogateescape")
    found = [hmac.compare_digest(given, token) for token in tokens]
    return scheme.lower() == "bearer" and any(found)


def _plain(name: str) -> str:
    return name.lower().rstrip(".").removeprefix("[").removesuffix("]")


def _is_numeric(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
