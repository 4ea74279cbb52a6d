from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from tallystick.app import logs


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@given(st.text(), st.text(), st.sampled_from(["plain", "json", "auto"]))
def test_one_event_is_one_printable_line_whatever_peers_say(value: str, other: str, log_format: str) -> None:
    """Catalogue row 120: unicode and CR LF in log fields are escaped."""
    out = io.StringIO()
    logs.configure("info", log_format, out)
    structlog.get_logger().info("Peer said", agent=value, tags=[other, {other: value}])
    line = out.getvalue()
    assert line.endswith("\n")
    assert line[:-1].isprintable()
    assert len(line) < 5_000


def test_long_values_are_cut() -> None:
    out = io.StringIO()
    logs.configure("info", "json", out)
    structlog.get_logger().info("e", text="x" * 10**6, data=b"\x1b" * 10**6, many=list(range(10**4)), big=10**5_000)
    assert len(out.getvalue()) < 2_000
    assert json.loads(out.getvalue())["many"][-1] == "…(+9990)"


def test_a_json_line_has_level_time_event_and_fields() -> None:
    out = io.StringIO()
    logs.configure("info", "json", out)
    structlog.get_logger().warning("Peer dropped", address="127.0.0.1:1", blocks=3, ok=True)
    line = json.loads(out.getvalue())
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "Peer dropped", "level": "warning", "address": "127.0.0.1:1", "blocks": 3, "ok": True}


def test_colours_are_for_terminals_only() -> None:
    plain, terminal = io.StringIO(), Terminal()
    for out, log_format in ((plain, "auto"), (terminal, "plain")):
        logs.configure("info", log_format, out)
        structlog.get_logger().info("hello", port=1)
        assert "\x1b" not in out.getvalue()
        assert "hello" in out.getvalue()
        assert "port=1" in out.getvalue()
    logs.configure("info", "auto", terminal)
    structlog.get_logger().info("hello")
    assert "\x1b[" in terminal.getvalue()


def test_lower_levels_are_silent() -> None:
    out = io.StringIO()
    logs.configure("warning", "plain", out)
    structlog.get_logger().info("quiet")
    assert out.getvalue() == ""


def broken() -> RuntimeError:
    try:
        int("broken\nERROR forged")
    except ValueError as error:
        return RuntimeError(str(error)).with_traceback(error.__traceback__)
    raise AssertionError


def test_an_exception_is_one_line_unless_debugging() -> None:
    """Catalogue row 122: no traceback, no secrets."""
    for level, traceback in (("info", False), ("debug", True)):
        out = io.StringIO()
        logs.configure(level, "plain", out)
        structlog.get_logger().error("It failed", exc_info=broken())
        assert ("Traceback" in out.getvalue()) is traceback
        assert r"RuntimeError: invalid literal for int() with base 10: 'broken\\nERROR forged'" in out.getvalue()
        assert (out.getvalue().count("\n") == 1) is not traceback
        assert "\nERROR" not in out.getvalue()


def test_libraries_speak_through_the_same_door() -> None:
    logging.getLogger().handlers[:] = []  # pytest's own handlers refuse the odd records sent here
    out = io.StringIO()
    logs.configure("info", "json", out)
    logs.configure("info", "json", out)
    logging.getLogger("some.library").warning("odd %s", "\x1b[2J")
    logging.getLogger("some.library").info("chatter")
    logging.getLogger("some.library").error("%d", "not a number")
    first, second = map(json.loads, out.getvalue().splitlines())
    assert (first["event"], first["logger"], first["level"]) == (r"odd \x1b[2J", "some.library", "warning")
    assert second["event"] == "%d"


def test_a_log_that_cannot_be_written_stops_nobody() -> None:
    class Full(io.StringIO):
        def write(self, _text: str) -> int:
            raise OSError(28, "No space left on device")

    closed = io.StringIO()
    closed.close()
    logs.configure("info", "plain", Full())
    structlog.get_logger().info("lost")
    logs.configure("info", "json", closed)
    structlog.get_logger().info("lost")


def test_a_process_may_have_no_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    for log_format in ("auto", "json"):
        logs.configure("info", log_format)
        structlog.get_logger().info("lost")
