"""A node, spoken to over HTTP, as the commands see it: bodies of answers, and failures that say what to do.

How a node is reached, how long an answer may be, and what may go wrong is `tallystick.client`'s business. Here every
error of it becomes a `Failure` in words for a person at a terminal. A command asks once: whoever is impatient presses
the arrow key.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Final, NoReturn, Self, TypeVar
from urllib.parse import urlsplit

import msgspec

from tallystick.app.config import read_bounded, read_token
from tallystick.cli.exits import ExitCode, Failure
from tallystick.client import Client, flows, requests
from tallystick.client.answers import Matches
from tallystick.client.connection import ANSWER_TIMEOUT_S, checked_url, trust
from tallystick.client.errors import (
    ClientError,
    Misuse,
    NotFound,
    Refused,
    Silent,
    TokenNeeded,
    Unreachable,
    Unreadable,
    Untrusted,
)
from tallystick.client.requests import ANSWER_BYTES_MAX, Request
from tallystick.errors import ConfigError, RuleViolation
from tallystick.model.limits import LIMITS
from tallystick.model.record import check_id
from tallystick.model.text import printable
from tallystick.wire.addresses import is_loopback

T = TypeVar("T")

_LOOK_FIRST: Final = "If you changed something, look whether it happened before you try again."


class Node:
    """The node at `url`. A context manager; every method raises Failure."""

    def __init__(self, url: str, token_file: Path | None = None, authority: Path | None = None) -> None:
        """`authority` holds certificates in PEM to trust besides the system's. Raises ConfigError too."""
        self._url = url.rstrip("/")
        token = None if token_file is None else read_token(token_file, "option --token-file", read_bounded)
        try:
            is_tls = checked_url(url).startswith("https:")
        except Misuse as error:
            raise ConfigError(f"{error} (--url, TALLYSTICK_URL)") from error
        try:
            verify = trust(authority or True) if is_tls else True
        except Misuse as error:
            raise ConfigError(f"{error} (option --ca).") from error
        self._client = Client(url, token=token, verify=verify, timeout_s=ANSWER_TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def get(self, path: str, **query: int | str) -> bytes:
        """The body of a successful GET."""
        return self._ask("GET", path, query={name: str(value) for name, value in query.items()})

    def search(self, text: str, before: int | None, limit: int) -> Matches:
        """What one stretch of a search came to."""
        try:
            answer = self._client.exchange(flows.search_request(text, before, limit))
            return flows.matches(requests.accepted(answer), before)
        except Misuse as error:
            raise Failure(ExitCode.USAGE, f"{error}.") from error
        except ClientError as error:
            self._fail(error)

    def post(self, path: str, body: object) -> bytes:
        """The body of a successful POST of a JSON object."""
        return self.post_text(path, msgspec.json.encode(body))

    def record_path(self, id: str) -> str:
        """Where a record is. Raises Failure for what can be no id, and would lead elsewhere."""
        try:
            return f"/records/{check_id(id)}"
        except RuleViolation as broken:
            raise Failure(ExitCode.USAGE, f"{broken.detail}.") from broken

    def mine(self, data: str, wait_s: float | None) -> bytes:
        """The answer to `POST /mineBlock`, which waits so long for a block where it has to be found."""
        query = {} if wait_s is None else {"wait": f"{round(wait_s, 3):g}"}
        more_time_s = LIMITS.post_wait_ms / 1_000 if wait_s is None else wait_s
        body = msgspec.json.encode({"data": data})
        return self._ask("POST", "/mineBlock", body=body, query=query, more_time_s=more_time_s)

    def post_text(self, path: str, body: bytes) -> bytes:
        """The body of a successful POST of JSON as it stands."""
        return self._ask("POST", path, body=body)

    def delete(self, path: str) -> bytes:
        """The body of a successful DELETE."""
        return self._ask("DELETE", path)

    def read(self, body: bytes, kind: type[T]) -> T:
        """Parse an answer; one that is not of `kind` comes from no node."""
        try:
            return requests.decoded(body, kind)
        except ClientError as error:
            self._fail(error)

    def _ask(self, method: str, path: str, **more: Any) -> bytes:  # noqa: ANN401 - the fields of a request
        request = Request(method, path, most_bytes=ANSWER_BYTES_MAX, **more)
        try:
            return requests.accepted(self._client.exchange(request))
        except ClientError as error:
            self._fail(error)

    def _fail(self, error: ClientError) -> NoReturn:
        """What an error means to a person. Raises Failure."""
        match error:
            case NotFound():
                code, message = ExitCode.NO, error.detail or "no reason given"
            case TokenNeeded():
                code = ExitCode.REFUSED
                message = f"{error.detail}\nThis node asks for a token: give --token-file FILE."
            case Refused():
                code = ExitCode.REFUSED
                detail = error.detail or "no reason given"
                message = f"the node at {self.shown_url} answered {error.status}: {detail}"
            case Untrusted():
                code, message = ExitCode.UNREACHABLE, self._distrust(error)
            case Silent():
                code = ExitCode.UNREACHABLE
                message = f"{self.shown_url} did not answer within {ANSWER_TIMEOUT_S:.0f} s.\n{_LOOK_FIRST}"
            case Unreachable(was_sent=True):
                code = ExitCode.UNREACHABLE
                message = f"{self.shown_url} broke the connection off ({error.reason}).\n{_LOOK_FIRST}"
            case Unreachable():
                code = ExitCode.UNREACHABLE
                message = (
                    f"no node answers at {self.shown_url} ({error.reason}).\n"
                    f"{self._way_to_start()}name another with --url."
                )
            case Unreadable():
                code = ExitCode.UNREACHABLE
                message = (
                    f"what answers at {self.shown_url} does not speak as a Tallystick node: {error.reason}.\n"
                    "Is the URL right? A node prints its URL when it starts."
                )
            case _:
                code, message = ExitCode.REFUSED, str(error)
        raise Failure(code, message) from error

    def _distrust(self, error: Untrusted) -> str:
        """No TLS connection came about, though something listens there."""
        if error.is_certificate:
            return (
                f"the certificate of {self.shown_url} is not trusted: {error.reason}.\n"
                "If it is your node's, give its certificate, or that of its authority, with --ca FILE."
            )
        return (
            f"{self.shown_url} speaks no TLS with us ({error.reason}).\n"
            "Is the URL right? A node without --tls-cert is at http://."
        )

    def _way_to_start(self) -> str:
        """What to type for a node at this URL. Only this machine's can be started here, and TLS takes more to type."""
        parts = urlsplit(self._url)
        if parts.scheme != "http" or not is_loopback(parts.hostname or ""):
            return "Look whether it runs and can be reached from here, or "
        start = "tallystick start" if parts.port in {None, 3001} else f"tallystick start --port {parts.port}"
        return f"Start one with: {start}    or "

    @property
    def shown_url(self) -> str:
        """Where the node is, for people."""
        return printable(self._url)
