from __future__ import annotations

import os
from pathlib import Path

import pytest

from tallystick.bench.load import load
from tallystick.bench.nodes import Caller, UnmeasuredError, environment, node, resident_bytes, serving, smallest

BRIEFLY = (0.05, 0.01)


def test_a_server_that_does_not_come_up_is_told_of_with_what_it_said(tmp_path: Path) -> None:
    said = r"-m tallystick start did not come up. It said: .*Usage"
    with pytest.raises(UnmeasuredError, match=said), serving(node(tmp_path, "--no-such-option")):
        pass


def test_failed_requests_are_no_measurement() -> None:
    with serving(smallest()) as server:
        assert load(server, "GET", ["/blocks/1", "/blocks/2"], "", 2, BRIEFLY).requests_per_s > 0
        with pytest.raises(UnmeasuredError, match=r"GET /nowhere: [0-9,]+ requests failed; .*404"):
            load(server, "GET", ["/nowhere"], "", 2, BRIEFLY)
        with Caller(server) as caller:
            assert caller.length_of("/blocks/1") == len(caller.get("/blocks/1"))


def test_a_server_that_ends_or_fails_is_told_of(tmp_path: Path) -> None:
    failing = tmp_path / "failing.py"
    failing.write_text(
        "import http.server, sys\n"
        "class Handler(http.server.BaseHTTPRequestHandler):\n"
        "    protocol_version = 'HTTP/1.1'\n"
        "    def do_GET(self):\n"
        "        self.send_response(200 if self.path == '/ready' else 503)\n"
        "        self.send_header('Content-Length', '4')\n"
        "        self.end_headers()\n"
        "        self.wfile.write(b'busy')\n"
        "http.server.HTTPServer(('127.0.0.1', int(sys.argv[-1])), Handler).serve_forever()\n"
    )
    said = pytest.raises(UnmeasuredError, match="GET /x was answered with 503: busy")
    with serving([str(failing)]) as server, Caller(server) as caller, said:
        caller.get("/x")
    with Caller(server) as caller, pytest.raises(UnmeasuredError, match=r"GET /x was not answered \(ConnectionRefused"):
        caller.length_of("/x")


def test_nodes_are_measured_without_the_settings_of_whoever_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TALLYSTICK_PORT", "TALLYSTICK_TOKEN_FILE", "TALLYSTICK_CONFIG", "PORT", "PEERS", "TALLY"):
        monkeypatch.setenv(name, "1")
    assert os.environ.keys() - environment().keys() == {
        *("TALLYSTICK_PORT", "TALLYSTICK_TOKEN_FILE", "TALLYSTICK_CONFIG", "PORT", "PEERS")
    }


def test_memory_of_a_process_is_told() -> None:
    assert resident_bytes(os.getpid()) > 2**20
