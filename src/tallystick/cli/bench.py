"""`tallystick bench`: what a node does on this machine, each figure beside its yardstick."""

from __future__ import annotations

import enum
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tallystick.cli import terminal
from tallystick.cli.exits import ExitCode, Failure
from tallystick.cli.options import Json
from tallystick.cli.terminal import Column

if TYPE_CHECKING:
    from tallystick.bench.figures import Figure, Report
    from tallystick.bench.suite import Run


class PartName(enum.StrEnum):
    """As `bench.suite` has them."""

    WRITE = "write"
    RECORDS = "records"
    READ = "read"
    SYNC = "sync"
    VERIFY = "verify"
    MINING = "mining"
    START = "start"


def bench(
    *,
    quick: Annotated[bool, typer.Option("--quick", help="One short round of each: about 20 s.")] = False,
    only: Annotated[
        list[PartName] | None,
        typer.Option("--only", help="Measure this part. Again, for more of them.", show_default=False),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--dir",
            metavar="DIR",
            help="Folder on the disk that is meant, for the ledgers that are measured; else the system's for temporary "
            "files.",
            show_default=False,
        ),
    ] = None,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print the table in Markdown.")] = False,
    as_json: Json = False,
) -> None:
    """Measure a node on this machine, each figure beside its yardstick.

    Posts, records, reads, a sync, verifying, mining and the start of a process, in about a minute and a half. Nodes are
    started for it in a folder of their own, which is gone afterwards; yours is not touched. A yardstick is the least
    that anybody would have to do for the same, measured in the same run: the ratio to it says more than the figure,
    which depends on the machine. Stop what else is running. Ctrl-C ends it with what was measured so far.
    """
    from tallystick.bench.sizes import QUICK, SHORT  # noqa: PLC0415 - keeps --help quick
    from tallystick.bench.suite import SHORT_PARTS, Run  # noqa: PLC0415

    if folder is not None and not folder.is_dir():
        raise Failure(ExitCode.FOLDER, f"--dir {folder}: there is no such folder.")
    parts = [part for part in SHORT_PARTS if not only or part.name in only]
    _measure(Run(parts, QUICK if quick else SHORT, folder), as_markdown=as_markdown, as_json=as_json)


def _measure(run: Run, *, as_markdown: bool, as_json: bool) -> None:
    """Run it, and tell what was measured."""
    from tallystick.bench.figures import machine_words, markdown  # noqa: PLC0415

    _run(run)
    report = run.report()
    if report is None:
        raise Failure(ExitCode.INTERRUPTED, "Interrupted before anything was measured.")
    if as_json:
        import msgspec  # noqa: PLC0415

        terminal.say_json(msgspec.to_builtins(report))
    elif as_markdown:
        terminal.say(f"{machine_words(report.machine)}\n\n{markdown(report.figures)}")
    else:
        _show(report)
    if not report.complete:
        raise typer.Exit(ExitCode.INTERRUPTED)


def _run(run: Run) -> None:
    """Run it, drawing how far it is, until its end or Ctrl-C. Raises Failure when something cannot be measured."""
    from tallystick.bench.nodes import UnmeasuredError  # noqa: PLC0415

    try:
        with _drawn(len(run.parts)) as draw:
            for number, part in enumerate(run.measure()):
                draw(number, part.doing)
    except KeyboardInterrupt:
        return
    except UnmeasuredError as error:
        raise Failure(ExitCode.REFUSED, f"Not measured: {error}.") from error


@contextmanager
def _drawn(parts: int) -> Iterator[Callable[[int, str], None]]:
    """A bar on stderr; nothing when stderr is no terminal."""
    if not sys.stderr.isatty():
        yield lambda _done, _doing: None
        return
    from rich.console import Console  # noqa: PLC0415 - only when a bar is drawn
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("looking at the machine", total=parts)
        yield lambda done, doing: bar.update(task, completed=done, description=doing)


def _show(report: Report) -> None:
    from tallystick.bench.figures import machine_words  # noqa: PLC0415

    terminal.say(f"{machine_words(report.machine)}\n")
    if not report.complete:
        terminal.say("Interrupted: this is what was measured until then.\n")
    terminal.table(
        [
            Column("what"),
            Column("measured", 20, right=True),
            Column("yardstick", 9, right=True),
            Column("ratio", 20, right=True),
            Column("goal", 5),
        ],
        [_row(figure) for figure in report.figures],
    )
    terminal.say("\nYardsticks, in the unit of what was measured; ratios with the extremes of their rounds:")
    told = dict.fromkeys(each.yardstick.what for each in report.figures if each.yardstick is not None)
    terminal.say(f"{', '.join(told)}. What they are, and what the goals: docs/benchmarks.md.")


def _row(figure: Figure) -> tuple[str, ...]:
    from tallystick.bench.figures import number, ratio_words  # noqa: PLC0415

    return (
        figure.what,
        f"{number(figure.measured.median)} {figure.unit}",
        "" if figure.yardstick is None else number(figure.yardstick.measured.median),
        ratio_words(figure.ratio),
        "" if figure.met is None else "met" if figure.met else "unmet",
    )
