"""Log lines: to stderr, one event a line, and safe to read whatever peers put into them.

Events come from our own code as structlog calls and from libraries through the standard logging
module; both leave through the same processors. Every value, whoever it came from, is made printable
and cut before it is rendered, so no peer can forge a line or repaint a terminal (see `text`).

A log that cannot be written (a closed pipe, a full disk) is no reason for a node to stop: the line is lost.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Final, TextIO

import structlog
from structlog.typing import EventDict, Processor

from tallystick.model.text import printable

VALUES_PER_LIST: Final = 10
"""Elements of a list shown in one value; the rest is counted."""

_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def configure(level: str = "info", log_format: str = "auto", stream: TextIO | None = None) -> None:
    """Send all log events of `level` and above to `stream` (stderr) in one of `settings.LOG_FORMATS`.

    Called once, before anything logs. Libraries get a word from `warning` on, or `info` when we debug.
    """
    out: TextIO | None = sys.stderr if stream is None else stream  # None where a process was started without one
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _exceptions(with_traceback=level == "debug"),
            _bounded,
            _renderer(log_format, out),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=lambda *_args: _Writer(out),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if isinstance(handler, _FromLibraries):
            root.removeHandler(handler)
    root.addHandler(_FromLibraries())
    root.setLevel(logging.INFO if level == "debug" else max(logging.WARNING, _LEVELS[level]))
    logging.captureWarnings(capture=True)


def bounded(value: object) -> object:
    """A value as it may stand in a log line: numbers as they are, all else printable and cut."""
    if value is None or isinstance(value, bool | int | float):
        return value if not isinstance(value, int) or abs(value) < 2**64 else printable(hex(value))
    if isinstance(value, bytes | bytearray):
        return printable(repr(bytes(value[:1_000])))
    if isinstance(value, Mapping):
        items = list(value.items())[:VALUES_PER_LIST]
        return {printable(str(key)): bounded(item) for key, item in items}
    if isinstance(value, list | tuple):
        kept = [bounded(item) for item in value[:VALUES_PER_LIST]]
        return kept if len(value) <= VALUES_PER_LIST else [*kept, f"…(+{len(value) - VALUES_PER_LIST})"]
    return printable(str(value))


def _bounded(_logger: object, _method: str, event: EventDict) -> EventDict:
    """A processor: every value bounded. A traceback, which only debugging asks for, keeps its lines."""
    return {printable(str(key), 80): value if key == "exception" else bounded(value) for key, value in event.items()}


def _exceptions(*, with_traceback: bool) -> Processor:
    """A processor: an exception as `error=Type: message`, and as a traceback only when debugging."""

    def process(logger: object, method: str, event: MutableMapping[str, object]) -> Mapping[str, object]:
        exc_info = event.get("exc_info")
        error = sys.exception() if exc_info is True else exc_info
        if isinstance(error, tuple):
            error = error[1]
        if not isinstance(error, BaseException):
            event.pop("exc_info", None)
            return event
        event["error"] = f"{type(error).__name__}: {error}"
        if with_traceback:
            event["exc_info"] = error
            rendered = structlog.processors.format_exc_info(logger, method, event)
            lines = str(rendered["exception"]).splitlines()
            return {**rendered, "exception": "\n".join(printable(line) for line in lines)}
        del event["exc_info"]
        return event

    return process


def _renderer(log_format: str, out: TextIO | None) -> Processor:
    if log_format == "json":
        return structlog.processors.JSONRenderer(ensure_ascii=True)
    return structlog.dev.ConsoleRenderer(
        colors=log_format == "auto" and out is not None and out.isatty(),
        sort_keys=False,
        exception_formatter=structlog.dev.plain_traceback,
    )


class _Writer:
    """Where rendered lines go. structlog calls the method named after the level."""

    def __init__(self, out: TextIO | None) -> None:
        self._out = out

    def msg(self, line: str) -> None:
        if self._out is None:
            return
        try:
            self._out.write(line + "\n")
            self._out.flush()
        except (OSError, ValueError):  # the reader is gone, the disk is full, or the stream is closed
            return

    debug = info = warning = error = critical = exception = msg


class _FromLibraries(logging.Handler):
    """Passes records of the standard logging module on to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except (TypeError, ValueError):  # arguments that do not fit the format: a library's bug, not ours
            message = str(record.msg)
        level = max(logging.DEBUG, min(record.levelno, logging.CRITICAL) // 10 * 10)
        structlog.get_logger().log(level, message, logger=record.name, exc_info=record.exc_info)
