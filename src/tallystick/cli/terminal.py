"""What people and programs see on stdout.

People get tables and plain sentences in which foreign text is escaped (`model.text`); programs get JSON in
ASCII, which no terminal can take for a command either. rich is imported when the first table is drawn,
and foreign text goes into it as `Text`, never as markup.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from tallystick.model.text import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

PLAIN_WIDTH: Final = 160
"""Columns of a table that goes to a pipe or a file, where there is no terminal to ask."""

SECONDS_MAX: Final = 9_999_999_999
"""Timestamps of classic blocks have ten digits and are in seconds; those of sealed blocks are in milliseconds, and
greater (`app.network_file.BOUNDS`)."""

_MINUTE_S: Final = 60
_HOUR_S: Final = 60 * _MINUTE_S
_DAY_S: Final = 24 * _HOUR_S
_KB: Final = 1_000


class Column(NamedTuple):
    """A column of a table."""

    title: str
    width: int | None = None
    """Fixed characters; None takes what is left."""

    right: bool = False


class Progress(Protocol):
    """Told how far the work is."""

    def __call__(self, done: int, total: int | None = None, /) -> None: ...


def table(columns: Sequence[Column], rows: Iterable[Sequence[str]], *, header: bool = True) -> None:
    """Print rows under columns. Cells that do not fit are cut, never wrapped."""
    console().print(drawn(columns, rows, header=header))


def drawn(columns: Sequence[Column], rows: Iterable[Sequence[str]], *, header: bool = True) -> Table:
    """The table that `table` prints."""
    from rich.table import Table  # noqa: PLC0415 - only when a table is drawn
    from rich.text import Text  # noqa: PLC0415

    drawn = Table(box=None, show_header=header, pad_edge=False, header_style="bold", expand=sys.stdout.isatty())
    for title, width, right in columns:
        drawn.add_column(
            title,
            width=width,
            ratio=None if width else 1,
            justify="right" if right else "left",
            no_wrap=True,
            overflow="ellipsis",
        )
    for row in rows:
        drawn.add_row(*(Text(printable(cell)) for cell in row))
    return drawn


def facts(pairs: Iterable[tuple[str, str]]) -> None:
    """Print one `name  value` a line, values aligned. Values are made printable."""
    kept = list(pairs)
    width = max((len(name) for name, _ in kept), default=0)
    for name, value in kept:
        say(f"{name:<{width}}  {printable(value)}")


def say(text: str) -> None:
    """Print a line. Foreign text in it was made printable by the caller."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding))


def say_json(value: object) -> None:
    """Print one JSON document."""
    print(json.dumps(value, indent=2))


def say_json_line(value: object) -> None:
    """Print one JSON document on a line: one of many, as they come."""
    print(json.dumps(value))


def say_json_array(items: Iterable[object]) -> None:
    """Print a JSON array, one element a line, as the elements come."""
    start = "["
    for item in items:
        sys.stdout.write(f"{start}\n{json.dumps(item)}")
        start = ","
    sys.stdout.write("\n]\n" if start == "," else "[]\n")


def note(text: str) -> None:
    """Print a line on stderr, beside the answer."""
    print(f"tallystick: {text}", file=sys.stderr)


def age(timestamp: int, now: float | None = None) -> str:
    """How long ago a block's `timestamp` was, roughly."""
    seconds = (time.time() if now is None else now) - _seconds(timestamp)
    return "in the future" if seconds < 0 else f"{span(seconds)} ago"


def span(seconds: float) -> str:
    """A length of time in its greatest unit: `5 min`."""
    for unit, name in ((_DAY_S, "d"), (_HOUR_S, "h"), (_MINUTE_S, "min")):
        if seconds >= unit:
            return f"{int(seconds // unit):,} {name}"
    return f"{int(seconds)} s"


def date(timestamp: int) -> str:
    """A block's `timestamp` in UTC, as exact as it is."""
    text = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(int(_seconds(timestamp))))
    return f"{text}.{timestamp % 1_000:03} UTC" if timestamp > SECONDS_MAX else f"{text} UTC"


def _seconds(timestamp: int) -> float:
    """Since 1970."""
    return timestamp / 1_000 if timestamp > SECONDS_MAX else timestamp


def size(size_bytes: int) -> str:
    """A number of bytes, roughly."""
    if size_bytes < _KB:
        return f"{size_bytes} B"
    value, units = size_bytes / _KB, ["kB", "MB", "GB", "TB"]
    while value >= _KB and len(units) > 1:
        value /= _KB
        units.pop(0)
    return f"{value:.1f} {units[0]}"


def count(number: int, noun: str) -> str:
    """`1 block`, `2,000 blocks`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


@contextmanager
def progress(what: str) -> Iterator[Progress]:
    """A progress bar on stderr while `what` is done; nothing when stderr is no terminal."""
    if not sys.stderr.isatty():
        yield lambda _done, _total=None: None
        return
    from rich.console import Console  # noqa: PLC0415 - only when a bar is drawn
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415
    from rich.progress import Progress as Bar  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total=None: bar.update(task, completed=done, total=total)


def console() -> Console:
    """The terminal on stdout, or a page of `PLAIN_WIDTH` where there is none."""
    from rich.console import Console  # noqa: PLC0415 - only when a table is drawn

    return Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH, highlight=False, soft_wrap=False)
