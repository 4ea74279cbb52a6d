"""An HTTP server that answers as a test tells it to, well or badly."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Asked:
    """A request that arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> object:
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    """What to say. `value` becomes JSON unless it is bytes already."""

    value: object = None
    status: int = 200
    kind: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        return self.value if isinstance(self.value, bytes) else json.dumps(self.value).encode()


Respond = Callable[[Asked], Answer]


@dataclass
class FakeNode:
    """A running fake."""

    url: str
    asked: list[Asked] = field(default_factory=list)


def problem(status: int, detail: str) -> Answer:
    """A problem document as the API writes it."""
    value = {"type": "urn:tallystick:problem:x", "title": "A title", "status": status, "detail": detail}
    return Answer(value, status, "application/problem+json")


class Waiting(ThreadingHTTPServer):
    """Closing it waits for the requests under way: none of them speaks up in the next test."""

    daemon_threads = False


@contextmanager
def fake_node(respond: Respond, tls: ssl.SSLContext | None = None) -> Iterator[FakeNode]:
    """Serve `respond` on a free port of loopback, at `https://` with `tls`."""
    node = FakeNode("")

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            length = int(self.headers.get("content-length", 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, self.path, headers, self.rfile.read(length))
            node.asked.append(asked)
            answer = respond(asked)
            self.send_response(answer.status)
            for name, value in {"content-type": answer.kind, "content-length": str(len(answer.body))}.items():
                self.send_header(name, value)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            with suppress(ConnectionError):  # whoever asked may leave before the end
                self.wfile.write(answer.body)

        do_GET = do_POST = do_DELETE = _serve  # noqa: N815 - the names http.server calls

        def log_message(self, *_args: object) -> None:
            pass

    server = Waiting(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    node.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
    try:
        yield node
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
