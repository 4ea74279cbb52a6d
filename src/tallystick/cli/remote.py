"""A node, spoken to over HTTP.

Whatever answers at the URL may be something else than a node, or a node in trouble: answers are
bounded, parsed strictly, and every way to fail becomes a `Failure` that says what to do.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Final, Self, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec

from tallystick.app.config import read_bounded, read_token
from tallystick.app.text import printable
from tallystick.cli.exits import ExitCode, Failure
from tallystick.errors import ConfigError
from tallystick.model.block import INDEX_MAX, TIMESTAMP_MAX
from tallystick.model.limits import LIMITS
from tallystick.wire.addresses import is_loopback

T = TypeVar("T")

CONNECT_TIMEOUT_S: Final = 5.0
ANSWER_TIMEOUT_S: Final = 30.0
"""Silence of a node that is longer is an error."""

ANSWER_BYTES_MAX: Final = 8 * LIMITS.message_bytes
"""The longest answer: a block as long as a message may be, every character of it escaped."""

_DETAIL_CHARACTERS: Final = 500


Count = Annotated[int, msgspec.Meta(ge=0, le=INDEX_MAX)]
Seconds = Annotated[int, msgspec.Meta(ge=0, le=TIMESTAMP_MAX)]
Rate = Annotated[float, msgspec.Meta(ge=0, le=INDEX_MAX)]
"""Numbers as a node sends them; others could not be shown as sizes and dates."""


class ShownBlock(msgspec.Struct, frozen=True):
    """A block as the API shows it."""

    data: str
    hash: str
    index: Count
    previous_hash: str
    timestamp: Seconds
    orphaned: bool = False
    mined_again_as: str | None = None


class ShownTip(msgspec.Struct, frozen=True):
    """Index and hash of a block."""

    index: Count
    hash: str


class ShownHeader(msgspec.Struct, frozen=True):
    """A block without its data."""

    index: Count
    hash: str
    timestamp: Seconds


class ShownFork(msgspec.Struct, frozen=True):
    """A branch beside the best chain, its blocks from the tip downwards."""

    fork: ShownHeader | None
    tip: ShownHeader
    blocks: list[ShownBlock]


class ShownPeer(msgspec.Struct, frozen=True):
    """A connection, or an address the node keeps dialling."""

    address: str
    direction: str
    state: str
    dialled: str | None = None
    dialect: str | None = None
    agent: str | None = None
    key: str | None = None
    connected_ms: Count | None = None
    tip: ShownTip | None = None
    latency_ms: Count | None = None
    received_bytes: Count | None = None
    sent_bytes: Count | None = None
    last_error: str | None = None

    @property
    def connected(self) -> bool:
        """Is it more than an address?"""
        return self.state == "connected"


class ShownSync(msgspec.Struct, frozen=True):
    """How far the node is in fetching a chain that is ahead of its own."""

    index: Count
    target: Count
    blocks_per_second: Rate
    remaining_ms: Count | None
    peers: Count


class ShownBan(msgspec.Struct, frozen=True):
    """A node key or numeric address that is kept out; for ever when `remaining_ms` is None."""

    subject: str
    manual: bool
    remaining_ms: Count | None


class ShownDropped(msgspec.Struct, frozen=True):
    """A peer that broke a rule."""

    address: str = ""
    rule: str = ""
    detail: str = ""


class ShownNetwork(msgspec.Struct, frozen=True):
    """The network a node is part of."""

    kind: str
    name: str
    id: str


class ShownStatus(msgspec.Struct, frozen=True):
    """`GET /status`, as much of it as people are shown."""

    version: str
    network: ShownNetwork
    tip: ShownHeader
    uptime_ms: Count
    peers: list[ShownPeer]
    dropped: list[ShownDropped]
    lost_duties: bool
    data_bytes: Count | None
    key: str | None = None
    sync: ShownSync | None = None
    addresses: Count = 0

    @property
    def connected(self) -> list[ShownPeer]:
        """The open connections."""
        return [peer for peer in self.peers if peer.connected]

    @property
    def is_synced(self) -> bool:
        """Is the node at the tip of its peers? Of a node that has none, or none that told its tip, nobody knows."""
        tips = [peer.tip.index for peer in self.connected if peer.tip is not None]
        return self.sync is None and bool(tips) and max(tips) <= self.tip.index


class Node:
    """The node at `url`. A context manager; every method raises Failure."""

    def __init__(self, url: str, token_file: Path | None = None, authority: Path | None = None) -> None:
        """`authority` holds certificates in PEM to trust besides the system's. Raises ConfigError too."""
        self._url = url.rstrip("/")
        headers = {"Accept-Encoding": "identity"}
        if token_file is not None:
            token = read_token(token_file, "option --token-file", read_bounded)
            headers["Authorization"] = f"Bearer {token}"
        self._client = httpx.Client(
            base_url=_checked(self._url),
            verify=_trust(authority) if self._url.startswith("https:") else True,
            headers=headers,
            timeout=httpx.Timeout(ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
            trust_env=not is_loopback(urlsplit(self._url).hostname or ""),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def get(self, path: str, **query: int) -> bytes:
        """The body of a successful GET."""
        return self._ask("GET", path, params=query)

    def post(self, path: str, body: object) -> bytes:
        """The body of a successful POST of a JSON object."""
        return self._ask("POST", path, json=body)

    def delete(self, path: str) -> bytes:
        """The body of a successful DELETE."""
        return self._ask("DELETE", path)

    def read(self, body: bytes, kind: type[T]) -> T:
        """Parse an answer; one that is not of `kind` comes from no node."""
        try:
            return msgspec.json.decode(body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._stranger(printable(str(error))) from error

    def _ask(self, method: str, path: str, **request: Any) -> bytes:  # noqa: ANN401 - httpx's own options
        with self._failures(), self._client.stream(method, path, **request) as answer:
            body = self._bounded(answer)
        if answer.is_success:
            return body
        raise self._refusal(answer, body)

    def _bounded(self, answer: httpx.Response) -> bytes:
        parts, size_bytes = [], 0
        for part in answer.iter_bytes():
            size_bytes += len(part)
            if size_bytes > ANSWER_BYTES_MAX:
                raise self._stranger(f"its answer is longer than {ANSWER_BYTES_MAX} bytes")
            parts.append(part)
        return b"".join(parts)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Errors of the connection, in words."""
        try:
            yield
        except httpx.ConnectError as error:
            if (tls := _tls_error(error)) is not None:
                raise self._distrust(tls) from error
            raise Failure(
                ExitCode.UNREACHABLE,
                f"no node answers at {self.shown_url} ({printable(str(error))}).\n"
                f"{self._way_to_start()}name another with --url.",
            ) from error
        except httpx.TimeoutException as error:
            raise Failure(
                ExitCode.UNREACHABLE,
                f"{self.shown_url} did not answer within {ANSWER_TIMEOUT_S:.0f} s.\n"
                "If you changed something, look whether it happened before you try again.",
            ) from error
        except httpx.HTTPError as error:
            raise self._stranger(printable(str(error)).rstrip(".") or type(error).__name__) from error

    def _distrust(self, error: ssl.SSLError) -> Failure:
        """No TLS connection came about, though something listens there."""
        if isinstance(error, ssl.SSLCertVerificationError):
            return Failure(
                ExitCode.UNREACHABLE,
                f"the certificate of {self.shown_url} is not trusted: {printable(error.verify_message)}.\n"
                "If it is your node's, give its certificate, or that of its authority, with --ca FILE.",
            )
        return Failure(
            ExitCode.UNREACHABLE,
            f"{self.shown_url} speaks no TLS with us ({printable(error.reason or str(error))}).\n"
            "Is the URL right? A node without --tls-cert is at http://.",
        )

    def _way_to_start(self) -> str:
        """What to type for a node at this URL. Only this machine's can be started here, and TLS takes more to type."""
        parts = urlsplit(self._url)
        if parts.scheme != "http" or not is_loopback(parts.hostname or ""):
            return "Look whether it runs and can be reached from here, or "
        start = "tallystick start" if parts.port in {None, 3001} else f"tallystick start --port {parts.port}"
        return f"Start one with: {start}    or "

    def _refusal(self, answer: httpx.Response, body: bytes) -> Failure:
        """What an answer other than 2xx means."""
        status = answer.status_code
        detail = _detail(body) or printable(answer.reason_phrase) or "no reason given"
        if answer.is_redirect:
            return self._stranger(f"it redirects ({status})")
        if status == httpx.codes.NOT_FOUND:
            return Failure(ExitCode.NO, detail)
        if status == httpx.codes.UNAUTHORIZED:
            return Failure(ExitCode.REFUSED, f"{detail}\nThis node asks for a token: give --token-file FILE.")
        return Failure(ExitCode.REFUSED, f"the node at {self.shown_url} answered {status}: {detail}")

    def _stranger(self, reason: str) -> Failure:
        return Failure(
            ExitCode.UNREACHABLE,
            f"what answers at {self.shown_url} does not speak as a Tallystick node: {reason}.\n"
            "Is the URL right? A node prints its URL when it starts.",
        )

    @property
    def shown_url(self) -> str:
        """Where the node is, for people."""
        return printable(self._url)


def _checked(url: str) -> str:
    """The URL, when it is one of a node. Raises ConfigError."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0 and "@" not in parts.netloc
        httpx.URL(url)
        (parts.hostname or "").encode("idna")  # or looking it up would fail at a label too long
    except (ValueError, httpx.InvalidURL):
        usable = None
    if not usable or parts.query or parts.fragment:
        raise ConfigError(f"{printable(url, 80)!r} is no URL of a node; write http://HOST:PORT (--url, TALLYSTICK_URL)")
    return url


def _trust(authority: Path | None) -> ssl.SSLContext:
    """Whose certificates are believed: the system's authorities, or those of SSL_CERT_FILE, and `authority` besides.

    A node's own certificate may be given for its authority. Raises ConfigError.
    """
    context = ssl.create_default_context()
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if authority is not None:
        try:
            context.load_verify_locations(authority)
        except ssl.SSLError as error:
            raise ConfigError(f"{printable(str(authority))} (option --ca) holds no certificates in PEM.") from error
        except OSError as error:
            reason = error.strerror or error
            raise ConfigError(f"Cannot read {printable(str(authority))} (option --ca): {reason}.") from error
    return context


def _tls_error(error: BaseException | None) -> ssl.SSLError | None:
    """What TLS said, from among the causes of an error."""
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error


class _Problem(msgspec.Struct):
    """What we read of a problem document (RFC 9457), or of an error as the book's node writes it."""

    detail: str = ""
    title: str = ""
    message: str = ""


def _detail(body: bytes) -> str:
    try:
        problem = msgspec.json.decode(body, type=_Problem)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return printable(problem.detail or problem.message or problem.title, _DETAIL_CHARACTERS)
