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
from typing import Any, Final, Self, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec

from tallystick.app.config import read_bounded, read_token
from tallystick.app.text import printable
from tallystick.cli.exits import ExitCode, Failure
from tallystick.errors import ConfigError, RuleViolation
from tallystick.model.limits import LIMITS
from tallystick.model.record import check_id
from tallystick.wire.addresses import is_loopback

T = TypeVar("T")

CONNECT_TIMEOUT_S: Final = 5.0
ANSWER_TIMEOUT_S: Final = 30.0
"""Silence of a node that is longer is an error."""

ANSWER_BYTES_MAX: Final = 8 * LIMITS.message_bytes
"""The longest answer: a block as long as a message may be, every character of it escaped."""

_DETAIL_CHARACTERS: Final = 500


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

    def get(self, path: str, **query: int | str) -> bytes:
        """The body of a successful GET."""
        return self._ask("GET", path, params=query)

    def post(self, path: str, body: object) -> bytes:
        """The body of a successful POST of a JSON object."""
        return self._ask("POST", path, json=body)

    def record_path(self, id: str) -> str:
        """Where a record is. Raises Failure for what can be no id, and would lead elsewhere."""
        try:
            return f"/records/{check_id(id)}"
        except RuleViolation as broken:
            raise Failure(ExitCode.USAGE, f"{broken.detail}.") from broken

    def mine(self, data: str, wait_s: float | None) -> bytes:
        """The answer to `POST /mineBlock`, which waits so long for a block where it has to be found."""
        query = {} if wait_s is None else {"wait": f"{round(wait_s, 3):g}"}
        patience_s = ANSWER_TIMEOUT_S + (LIMITS.post_wait_ms / 1_000 if wait_s is None else wait_s)
        timeout = httpx.Timeout(patience_s, connect=CONNECT_TIMEOUT_S)
        return self._ask("POST", "/mineBlock", json={"data": data}, params=query, timeout=timeout)

    def post_text(self, path: str, body: bytes) -> bytes:
        """The body of a successful POST of JSON as it stands."""
        return self._ask("POST", path, content=body, headers={"Content-Type": "application/json"})

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
