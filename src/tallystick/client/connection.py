"""What both shells need to reach a node over HTTP: how httpx is set up, and what its errors mean.

httpx is imported when the first client is made, and not with the package: it takes longer to load than all the rest.
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

from tallystick.client.errors import Misuse, Silent, Unreachable, Unreadable, Untrusted
from tallystick.client.events import is_event_stream
from tallystick.client.requests import Answer, Arriving, Request
from tallystick.model.text import printable
from tallystick.wire.addresses import is_loopback

if TYPE_CHECKING:
    import httpx

C = TypeVar("C")

DEFAULT_URL: Final = "http://127.0.0.1:3001"

CONNECT_TIMEOUT_S: Final = 5.0
ANSWER_TIMEOUT_S: Final = 30.0
"""Silence of a node that is longer is an error."""

WHOLE_ANSWER_S: Final = 600.0
"""An answer that still arrives then is given up, however it trickles: 128 MiB have come by then over two Mbit/s."""

Trust = bool | str | Path | ssl.SSLContext
"""Whose certificates are believed: True for the system's authorities (or those of SSL_CERT_FILE), a file with more of
them in PEM, where a node's own certificate will do, or a context. False believes everybody."""

_NOBODY: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Where no TLS is spoken. To load the system's authorities takes longer than all else that a client is made of."""

_TOKEN: Final = re.compile(r"[!-~]+", re.ASCII)
_BROKE_OFF: Final = ("disconnected", "closed connection")
"""How httpx says that the other end hung up, where it calls it an error of the protocol."""


@dataclass(frozen=True, slots=True)
class Connection:
    """Where a node is, and how to talk to it. Raises Misuse when it is made of what cannot be."""

    url: str
    token: str | None = None
    verify: Trust = True
    timeout_s: float = ANSWER_TIMEOUT_S
    connect_timeout_s: float = CONNECT_TIMEOUT_S

    def opened(self, kind: Callable[..., C]) -> C:
        """A client of httpx, of either kind. Raises Misuse for settings that cannot be, a proxy's in the environment
        among them."""
        import httpx  # noqa: PLC0415 - see the module's text

        options = self._options()
        try:
            return kind(**options)
        except (ValueError, ImportError, httpx.InvalidURL) as error:
            raise Misuse(f"no client can be made: {printable(str(error))}; is a proxy's setting wrong?") from error

    def _options(self) -> dict[str, Any]:
        """What httpx's clients are made with."""
        import httpx  # noqa: PLC0415 - see the module's text

        url = checked_url(self.url)
        headers = {"Accept-Encoding": "identity"}
        if self.token is not None:
            if not _TOKEN.fullmatch(self.token):
                raise Misuse("the token holds something else than printable ASCII")
            headers["Authorization"] = f"Bearer {self.token}"
        return {
            "base_url": url,
            "headers": headers,
            "verify": trust(self.verify if url.startswith("https:") else _NOBODY),
            "timeout": httpx.Timeout(self.timeout_s, connect=self.connect_timeout_s),
            "trust_env": not is_loopback(urlsplit(url).hostname or ""),
        }

    def stream(self, request: Request) -> dict[str, Any]:
        """What httpx sends a request with."""
        import httpx  # noqa: PLC0415 - see the module's text

        return {
            "method": request.method,
            "url": request.path,
            "params": dict(request.query),
            "content": request.body,
            "headers": {**request.headers, **({} if request.body is None else {"Content-Type": "application/json"})},
            "timeout": httpx.Timeout(self.timeout_s + request.more_time_s, connect=self.connect_timeout_s),
        }

    @property
    def shown_url(self) -> str:
        """Where the node is, for people."""
        return printable(self.url)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Those of httpx, as ours."""
        import httpx  # noqa: PLC0415 - see the module's text

        where = self.shown_url
        try:
            yield
        except httpx.TimeoutException as error:
            was_sent = not isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout)
            silence = "it is silent for too long" if was_sent else "it cannot be reached in time"
            raise Silent(where, silence, was_sent=was_sent) from error
        except httpx.ConnectError as error:
            if (tls := _tls_error(error)) is not None:
                raise Untrusted(where, tls) from error
            raise Unreachable(where, _words(error), was_sent=False) from error
        except httpx.NetworkError as error:
            raise Unreachable(where, _words(error)) from error
        except httpx.HTTPError as error:
            if any(words in str(error) for words in _BROKE_OFF):
                raise Unreachable(where, _words(error)) from error
            raise Unreadable(_words(error)) from error


class Reading:
    """One answer while it is read: no longer than its request allows, nor for ever."""

    def __init__(self, request: Request, response: httpx.Response, where: str) -> None:
        self._response = response
        self._where = where
        self._until_s = time.monotonic() + WHOLE_ANSWER_S + request.more_time_s
        self._body = Arriving(request.most_bytes)

    def add(self, part: bytes) -> None:
        """Some more of the body, as it was sent: nobody asked for it to be packed. Raises Unreadable, Silent."""
        self._body.add(part)
        if time.monotonic() > self._until_s:
            raise Silent(self._where, f"its answer is not over after {WHOLE_ANSWER_S:.0f} s")

    def answer(self) -> Answer:
        """All of it."""
        response = self._response
        return Answer(
            response.status_code,
            self._body.whole,
            response.reason_phrase,
            response.headers.get("retry-after"),
            response.headers.get("content-type", ""),
        )

    @property
    def is_stream(self) -> bool:
        """Does its body go on for ever?"""
        return self._response.status_code == 200 and is_event_stream(  # noqa: PLR2004 - HTTP's own
            self._response.headers.get("content-type", "")
        )


def checked_url(url: str) -> str:
    """The URL, when it is one of a node. Raises Misuse."""
    import httpx  # noqa: PLC0415 - see the module's text

    url = url.rstrip("/")
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0 and "@" not in parts.netloc
        httpx.URL(url)
        (parts.hostname or "").encode("idna")  # or looking it up would fail at a label too long
    except (ValueError, httpx.InvalidURL):
        usable = None
    if not usable or parts.query or parts.fragment:
        raise Misuse(f"{printable(url, 80)!r} is no URL of a node; write http://HOST:PORT")
    return url


def trust(verify: Trust) -> ssl.SSLContext:
    """What TLS is spoken with. Raises Misuse."""
    if isinstance(verify, ssl.SSLContext):
        return verify
    context = ssl.create_default_context()
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if verify is not True:
        try:
            context.load_verify_locations(verify)
        except ssl.SSLError as error:
            raise Misuse(f"{printable(str(verify))} holds no certificates in PEM") from error
        except OSError as error:
            raise Misuse(f"Cannot read {printable(str(verify))}: {error.strerror or error}") from error
    return context


def _tls_error(error: BaseException | None) -> ssl.SSLError | None:
    """What TLS said, from among the causes of an error."""
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error


def _words(error: Exception) -> str:
    return printable(str(error)).rstrip(".") or type(error).__name__
